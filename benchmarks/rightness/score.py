"""Scores of a map against landslides by number; a called pixel may lie one pixel off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from benchmarks.rightness.mapping import Answer

__all__ = ["CLASSES", "Score", "calibration_gap", "score"]

Mask = NDArray[np.bool_]
EIGHT = np.ones((3, 3), bool)
CLASSES = ((0, 1_000), (1_000, 3_000), (3_000, 10_000), (10_000, 10**9))
"""Areas of landslides, m2."""


@dataclass(frozen=True)
class Score:
    """All figures of one scene, at a probability of 0.5 unless they say otherwise."""

    f1: float
    precision: float
    recall: float
    best_f1: float
    """At the threshold that suits this scene best."""
    elsewhere: float
    """Share of the land called, two pixels and more from any landslide."""
    false_polygons: float
    """Called patches over 1,000 m2 that touch no landslide, per 100 km2."""
    auc: float
    touched: tuple[tuple[int, int], ...]
    """Landslides touched, and there, by class of area."""
    touched_of_all: tuple[tuple[int, int], ...] | None
    """The same, those in layover or shadow counted as missed; None: where that is is not known."""
    calibration: NDArray[np.float64]
    """As `calibration` gives it."""


def score(
    answer: Answer, number: NDArray[np.int32], spacing: float, hidden: Mask | None = None
) -> Score:
    """Score a map against landslides by number, 0 for none; `hidden`: in layover or shadow."""
    seen, truth = answer.seen, number > 0
    probability = np.where(seen, answer.probability, 0).astype(np.float32)
    called = seen & (probability >= 0.5)
    near = ndimage.binary_dilation(truth, EIGHT)
    far = seen & ~ndimage.binary_dilation(truth, EIGHT, iterations=2)
    precision = _share(called & near, called)
    recall = _share(ndimage.binary_dilation(called, EIGHT) & truth, truth & seen)
    total = precision + recall
    return Score(
        f1=2 * precision * recall / total if total else 0.0,
        precision=precision,
        recall=recall,
        best_f1=best_f1(probability, truth, seen),
        elsewhere=_share(called & far, far),
        false_polygons=false_polygons(called, truth, seen, spacing),
        auc=float(roc_auc_score(truth[seen], probability[seen])),
        touched=touched(called, number, seen, spacing),
        touched_of_all=None if hidden is None else touched(called, number, seen, spacing, hidden),
        calibration=calibration(probability[seen], truth[seen]),
    )


def _share(part: Mask, whole: Mask) -> float:
    count = int(whole.sum())
    return float((part & whole).sum() / count) if count else 0.0


def best_f1(probability: NDArray[np.float32], truth: Mask, seen: Mask) -> float:
    """F1 at the best of many thresholds; what is called grows by a maximum filter."""
    p = np.where(seen, probability, -1.0)
    near = ndimage.binary_dilation(truth, EIGHT)
    cuts = np.quantile(p[seen], np.linspace(0.7, 0.9999, 60))
    cuts = np.unique(np.concatenate([np.linspace(0.01, 0.99, 60), cuts[cuts > 0]]))
    parts = (p[seen], p[seen & near], ndimage.maximum_filter(p, 3)[truth & seen])
    called, right, found = (len(v) - np.searchsorted(np.sort(v), cuts) for v in parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = right / called, found / max(len(parts[2]), 1)
        return float(np.nanmax(2 * precision * recall / (precision + recall), initial=0.0))


def touched(
    called: Mask,
    number: NDArray[np.int32],
    seen: Mask,
    spacing: float,
    hidden: Mask | None = None,
) -> tuple[tuple[int, int], ...]:
    """Of the landslides of each class that were seen: those that a called pixel touches, all.

    Those of which half is `hidden` are there and not touched, whatever was seen or called.
    """
    index = np.arange(1, int(number.max()) + 1)
    area = np.bincount(number.ravel(), minlength=len(index) + 1)[1:] * spacing**2
    visible = ndimage.sum_labels(seen, number, index) > 0
    hit = ndimage.maximum(ndimage.binary_dilation(called, EIGHT), number, index) > 0
    if hidden is not None:
        lost = np.asarray(ndimage.mean(hidden, number, index)) >= 0.5
        visible, hit = visible | lost, hit & ~lost
    classes = [visible & (area > low) & (area <= high) for low, high in CLASSES]
    return tuple((int((hit & one).sum()), int(one.sum())) for one in classes)


def false_polygons(called: Mask, truth: Mask, seen: Mask, spacing: float) -> float:
    """Called patches over 1,000 m2 that come no nearer than two pixels to a landslide."""
    label, count = ndimage.label(called, EIGHT)
    index = np.arange(1, count + 1)
    area = np.bincount(label.ravel(), minlength=count + 1)[1:] * spacing**2
    right = ndimage.maximum(ndimage.binary_dilation(truth, iterations=2), label, index)
    land = (seen & ~truth).sum() * spacing**2 / 1e8
    return float(((area > 1000) & (np.asarray(right) == 0)).sum() / land)


def calibration(probability: NDArray[np.float32], truth: Mask) -> NDArray[np.float64]:
    """Pixels and sum of probabilities in each tenth, of other land and of landslides (2, 10, 2)."""
    bins = np.clip((probability * 10).astype(int), 0, 9)
    return np.array(
        [
            np.stack([np.bincount(bins[of], told, 10) for told in (None, probability[of])], 1)
            for of in (~truth, truth)
        ]
    )


def calibration_gap(bins: NDArray[np.float64], prevalence: float | None) -> float:
    """Largest distance of probability from truth in bins of 0.2-0.9 with 1,000 px; NaN for none.

    Landslides weigh as much as if they covered a share `prevalence` of the land; None: as they do.
    """
    pixels = bins[..., 0].sum(1)
    with np.errstate(invalid="ignore"):
        wanted = pixels[1] / pixels.sum() if prevalence is None else prevalence
        weights = np.array([1 - wanted, wanted]) / pixels
        weighted = bins * weights[:, None, None]
        count, told = weighted.sum(0).T
        gaps = np.abs(told - weighted[1, :, 0]) / count
    kept = gaps[2:9][bins[:, 2:9, 0].sum(0) >= 1000]
    return float(kept.max()) if len(kept) else float("nan")
