"""Speckle of any number of looks and any correlation between neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["correlated", "speckle_of", "white_to_speckle"]

Field = NDArray[np.float32]


def correlated(rng: np.random.Generator, shape: tuple[int, int], correlation: float) -> Field:
    """Normal noise whose neighbours correlate by a given number, at most 0.7, in both directions.

    Three weights (a, 1, a) along both axes: the correlation is 2 a / (1 + 2 a^2).

    Examples
    --------
    >>> field = correlated(np.random.default_rng(1), (300, 300), 0.5)
    >>> round(float(np.corrcoef(field[:, 1:].ravel(), field[:, :-1].ravel())[0, 1]), 1)
    0.5
    """
    white = rng.standard_normal((shape[0] + 2, shape[1] + 2), dtype=np.float32)
    if correlation <= 0:
        return white[1:-1, 1:-1]
    r = min(correlation, 0.7)
    side = np.float32((1 - np.sqrt(1 - 2 * r**2)) / (2 * r))
    rows = side * (white[:-2] + white[2:]) + white[1:-1]
    both = side * (rows[:, :-2] + rows[:, 2:]) + rows[:, 1:-1]
    both *= np.float32(1 / (1 + 2 * side**2))
    return np.asarray(both, dtype=np.float32)


def white_to_speckle(normal: Field, looks: float) -> Field:
    """Gamma-distributed factors of mean 1 from standard normal noise (Wilson & Hilferty 1931)."""
    factor = normal * np.float32(1 / (3 * np.sqrt(looks)))
    factor += np.float32(1 - 1 / (9 * looks))
    np.maximum(factor, np.float32(0.02), out=factor)
    return np.asarray(factor**3, dtype=np.float32)


def speckle_of(
    rng: np.random.Generator, shape: tuple[int, int], looks: float, correlation: float
) -> Field:
    """Multiplicative speckle of some looks and neighbour correlation, mean 1 (y, x).

    Examples
    --------
    >>> field = speckle_of(np.random.default_rng(1), (400, 400), 7.0, 0.2)
    >>> round(float(field.mean()), 2), round(float(field.mean() ** 2 / field.var()), 1)
    (1.0, 7.0)
    """
    return white_to_speckle(correlated(rng, shape, correlation), looks)
