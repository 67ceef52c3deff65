"""How sure a score is: blocks of the map are drawn again and again, with replacement.

Neighbouring pixels share speckle, slope and landslide, so an interval that took them for
independent would be far too narrow. Whole blocks are resampled instead (the block bootstrap of
Künsch 1989, Annals of Statistics 17, 1217-1241), and the interval runs between percentiles of the
redrawn scores (Efron 1979, Annals of Statistics 7, 1-26).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_BLOCKS = 10
"""With fewer blocks percentiles of redrawn scores mean nothing."""

_CHUNK = 100
"""Replicates drawn at a time: bounds memory at 100 x blocks."""
_TAIL = (1 - 0.95) / 2
"""Share of what is redrawn beyond each end of an interval."""


@dataclass(frozen=True)
class Interval:
    """Where a value probably lies; both ends NaN where that cannot be said."""

    low: float
    """Lower end."""
    high: float
    """Upper end."""

    def record(self) -> list[float | None]:
        """Both ends for JSON, None where undefined."""
        return [defined(end) for end in (self.low, self.high)]


def defined(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return None if math.isnan(value) else value


def score_intervals(
    confusion: NDArray[np.int64], *, replicates: int = 1000, seed: int = 0
) -> Mapping[str, Interval]:
    """95 % intervals of ``accuracy``, ``precision``, ``recall``, ``f1``, ``iou``, ``mapped_share``
    (pixels called landslide per landslide pixel) from TP, FP, FN, TN of each block (block, 4).

    Blocks in which no pixel counts are left out; NaN with fewer than `FEWEST_BLOCKS`.

    >>> import numpy as np
    >>> alike = np.tile([6, 2, 4, 88], (40, 1))
    >>> score_intervals(alike)["f1"]
    Interval(low=0.6666666666666666, high=0.6666666666666666)
    """
    counted = confusion[confusion.sum(axis=1) > 0].astype(np.float64)
    if len(counted) < FEWEST_BLOCKS:
        return dict.fromkeys(_SCORES, Interval(math.nan, math.nan))
    redrawn = resampled(counted, replicates=replicates, seed=seed)
    return {name: percentiles(score(*redrawn.T)) for name, score in _SCORES.items()}


def resampled(
    counted: NDArray[np.int64] | NDArray[np.float64], *, replicates: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Sums (replicate, what) over as many blocks as there are in (block, what), drawn with
    replacement.
    """
    rng, number, counted = np.random.default_rng(seed), len(counted), counted.astype(np.float64)
    drawn = [
        rng.multinomial(number, np.full(number, 1 / number), size=min(_CHUNK, replicates - done))
        @ counted
        for done in range(0, replicates, _CHUNK)
    ]
    return np.concatenate(drawn)


def percentiles(values: NDArray[np.float64]) -> Interval:
    """The interval that holds 95 % of redrawn values; NaN where none is defined."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(known, [_TAIL, 1 - _TAIL])
    return Interval(float(low), float(high))


Values = NDArray[np.float64]


def _over(part: Values, whole: Values) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


_SCORES: dict[str, Callable[[Values, Values, Values, Values], Values]] = {
    "accuracy": lambda tp, fp, fn, tn: _over(tp + tn, tp + fp + fn + tn),
    "precision": lambda tp, fp, fn, tn: _over(tp, tp + fp),
    "recall": lambda tp, fp, fn, tn: _over(tp, tp + fn),
    "f1": lambda tp, fp, fn, tn: _over(2 * tp, 2 * tp + fp + fn),
    "iou": lambda tp, fp, fn, tn: _over(tp, tp + fp + fn),
    "mapped_share": lambda tp, fp, fn, tn: _over(tp + fp, tp + fn),
}


def wilson_interval(hits: int, number: int) -> Interval:
    """95 % interval of a share of independent cases (Wilson 1927, JASA 22, 209-212); NaN for none.

    >>> found = wilson_interval(8, 10)
    >>> round(found.low, 3), round(found.high, 3)
    (0.49, 0.943)
    """
    from statistics import NormalDist

    if number == 0:
        return Interval(math.nan, math.nan)
    z = NormalDist().inv_cdf(1 - _TAIL)
    share, spread = hits / number, z * z / number
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / number + spread / (4 * number)) / (1 + spread)
    return Interval(max(middle - half, 0.0), min(middle + half, 1.0))
