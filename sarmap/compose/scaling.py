"""Backscatter in the scalings a network may read: power, amplitude, decibel.

The papers used amplitude; the product here is gamma-nought power, so amplitude is its square root.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.types import Scaling

SCALINGS: tuple[str, ...] = get_args(Scaling)
"""Names of all scalings."""


def check_scaling(scaling: str) -> Scaling:
    """The scaling, if it is one.

    Raises
    ------
    RequestError
        It is none.
    """
    if scaling not in SCALINGS:
        raise RequestError(f"scaling={scaling!r} is unknown: choose from {', '.join(SCALINGS)}.")
    return scaling  # type: ignore[return-value]


def from_power(power: NDArray[np.float32], scaling: Scaling) -> NDArray[np.float32]:
    """Linear power, any shape, in another scaling; zero and below become NaN.

    >>> from_power(np.array([4.0, 0.0, -1.0], np.float32), "amplitude").tolist()
    [2.0, nan, nan]
    >>> from_power(np.array([100.0], np.float32), "db").round(3).tolist()
    [20.0]
    """
    positive = np.where(power > 0, power, np.float32(np.nan))
    if scaling == "amplitude":
        return np.sqrt(positive)
    if scaling == "db":
        decibels: NDArray[np.float32] = np.float32(10) * np.log10(positive)
        return decibels
    return positive
