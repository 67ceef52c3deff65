"""Scores at every threshold, and whether a probability means what it says.

All from the number of pixels at each of the 251 stored steps of probability, so that a curve costs
the same for a valley and for a country, and is exact for the stored map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarmap.store.encoding import PROBABILITY_STEP

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Scores at each threshold 0.004, 0.008 ... 1 (250 values each); NaN where undefined."""

    threshold: Values
    """Probability from which a pixel is called landslide."""
    precision: Values
    """TP / (TP + FP)."""
    recall: Values
    """TP / (TP + FN)."""
    f1: Values
    """2 TP / (2 TP + FP + FN)."""
    average_precision: float
    """Sum of precision times the gain in recall, from the highest threshold to zero."""

    @property
    def best(self) -> float:
        """The threshold with the highest F1 (the lowest of several); NaN without a landslide."""
        if np.isnan(self.f1).all():
            return math.nan
        return float(self.threshold[int(np.nanargmax(self.f1))])


def precision_recall(counts: NDArray[np.int64]) -> Curve:
    """The precision-recall curve of counts (landslide or not, 251 steps).

    Average precision is Zhu 2004's sum, as in scikit-learn's ``average_precision_score``.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.zeros((2, 251), int)
    >>> counts[1, 200], counts[0, 200], counts[1, 50], counts[0, 10] = 6, 2, 4, 88
    >>> curve = precision_recall(counts)
    >>> round(curve.best, 3), float(curve.precision[199]), float(curve.recall[199])
    (0.044, 0.75, 0.6)
    """
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1].astype(np.float64)
    truth = above[1, 0]
    tp, called = above[1], above[0] + above[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(called > 0, tp / called, np.nan)
        recall = np.where(truth > 0, tp / truth, np.nan)
        f1 = np.where(called + truth > 0, 2 * tp / (called + truth), np.nan)
    gain = np.diff(recall[::-1], prepend=0.0)
    average = float(np.nansum(gain * np.nan_to_num(precision[::-1]))) if truth else math.nan
    thresholds: Values = np.arange(1, counts.shape[1], dtype=np.float64) * PROBABILITY_STEP
    return Curve(thresholds, precision[1:], recall[1:], f1[1:], average)


@dataclass(frozen=True)
class Reliability:
    """Said and true share of landslide in bins of probability; NaN where a bin is empty."""

    edges: Values
    """Edges of the bins (bins + 1); a value on an edge belongs to the bin above it."""
    said: Values
    """Mean probability of each bin's pixels."""
    true: Values
    """Share of each bin's pixels that are landslide."""
    pixels: NDArray[np.int64]
    """Pixels of each bin."""
    brier: float
    """Mean squared difference of probability and truth (Brier 1950, MWR 78, 1-3)."""
    expected_error: float
    """Mean over pixels of the bins' differences (expected calibration error)."""


def reliability(
    counts: NDArray[np.int64], probability: Values | None = None, bins: int = 10
) -> Reliability:
    """Whether 0.7 is right seven times in ten.

    Parameters
    ----------
    counts
        Pixels (landslide or not, 251 steps).
    probability
        What each step says, 0-1 (251 values): its own, or a calibrated one.
    bins
        Equal bins of probability.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.zeros((2, 251), int)
    >>> counts[:, 175] = 30, 70                      # 0.7 said, seven in ten true
    >>> found = reliability(counts)
    >>> float(found.true[7]), round(found.expected_error, 6), round(found.brier, 2)
    (0.7, 0.0, 0.21)
    """
    said = np.arange(counts.shape[1]) * PROBABILITY_STEP if probability is None else probability
    edges = np.linspace(0, 1, bins + 1)
    # A step such as 0.7 is held a little below or above: a hair decides its bin otherwise.
    place = np.minimum(((said + 1e-9) * bins).astype(np.intp), bins - 1)
    pixels, landslide = counts.sum(axis=0).astype(np.float64), counts[1].astype(np.float64)
    number = np.bincount(place, pixels, minlength=bins)
    total = pixels.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(place, pixels * said, minlength=bins) / number
        true = np.bincount(place, landslide, minlength=bins) / number
        squared = landslide * (1 - said) ** 2 + (pixels - landslide) * said**2
        brier = float(squared.sum() / total) if total else math.nan
        error = float(np.nansum(np.abs(mean - true) * number) / total) if total else math.nan
    return Reliability(edges, mean, true, number.astype(np.int64), brier, error)
