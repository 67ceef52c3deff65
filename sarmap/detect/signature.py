"""A detector fitted to the signature of an event: what its landslides do to the echo.

A network has learnt many laws of change and allows for all of them at each pixel. An event follows
few: here landslides darken VV and VH, there they brighten both, or show in VH alone. How often each
change of VV and VH is a landslide is estimated from the detector's own answers in some squares of
the scene, by expectation and maximisation (Dempster, Laird and Rubin 1977, J. R. Stat. Soc. B 39),
and set beside the same in the drawn worlds that validated the network: where a change is a
landslide more often than there, its log-odds are raised, where more seldom, lowered. Where the
squares show few landslides, the answers stay near to what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.compose.levelling import Levelling
from sarmap.detect.squares import Field, OpenPart, answer_squares

BANDS = ("vv_change_in_noise", "vh_change_in_noise")
"""The changes that are told apart."""
WIDTH = 3
"""Edge of the square that a change is averaged over, pixels."""
STEP, CLASSES = 0.8, 15
"""Width of a class of change, in noise, and how many classes each band has, zero in the middle."""
BLUR = 0.5
"""Standard deviation of the blur over classes."""
SHARE, MOST = 0.6, 2.0
"""How much of the difference counts, and the most that it may be, log-odds."""
SHARPNESS = 2.0
"""Log-odds are multiplied by this before pixels are counted, so that slight doubts over much ground
do not outweigh what is seen clearly."""
USUAL_PIXELS = 5_000
"""Landslide pixels that the validating worlds count as."""
USUAL_GROUND = 10
"""Pixels of other ground that they count as, for each of these."""
ROUNDS = 2
"""Rounds of expectation and maximisation."""
RAISED = 0.2
"""Added to all log-odds: what the signature lowers is mostly false, so that with it as much quiet
ground is called as without (chosen on scenes and real passes that no report shows)."""
FEWEST_PIXELS = 50_000
"""Seen pixels below which nothing is fitted: of 10,000, false alarms alone drew the signature."""

Counts = NDArray[np.float64]
"""Pixels [landslides or other ground, class of VV, class of VH]."""


@dataclass(frozen=True)
class Signature:
    """What is added to the log-odds at an event, by class of change in VV and in VH."""

    odds: tuple[tuple[float, ...], ...]
    """Log-odds [class of VV, class of VH]."""
    landslides: float
    """Landslide pixels that it was found from."""

    def added(self, changes: Field) -> Field:
        """Log-odds [n, y, x] to be added where VV and VH changed so, in noise [n, y, x, band]."""
        table = np.asarray(self.odds, np.float32).ravel()
        return np.stack([table[change_classes(*np.moveaxis(one, -1, 0))] for one in changes])

    @property
    def provenance(self) -> dict[str, str | int | float]:
        """For a result's attributes."""
        return {
            "signature_landslide_pixels": round(self.landslides),
            "signature_odds_lowest": min(map(min, self.odds)),
            "signature_odds_highest": max(map(max, self.odds)),
        }


def change_classes(vv: Field, vh: Field) -> NDArray[np.intp]:
    """Class of the change around each pixel (y, x), in noise; what is missing counts as none.

    >>> still = np.zeros((3, 3), np.float32)
    >>> int(change_classes(still, still)[1, 1]), CLASSES * CLASSES // 2
    (112, 112)
    """
    from scipy.ndimage import uniform_filter

    middle, found = CLASSES // 2, np.zeros(vv.shape, np.intp)
    for band in (vv, vh):
        mean = uniform_filter(np.nan_to_num(band), WIDTH, mode="nearest")
        found = (
            found * CLASSES + middle + np.clip(np.rint(mean / STEP), -middle, middle).astype(int)
        )
    return found


def count_classes(odds: Field, classes: NDArray[np.intp]) -> Counts:
    """Pixels of landslides and of other ground in each class, by log-odds (n)."""
    landslide = 1 / (1 + np.exp(-SHARPNESS * odds.astype(np.float64)))
    cells = CLASSES * CLASSES
    counts = [np.bincount(classes, weight, cells) for weight in (landslide, 1 - landslide)]
    return np.asarray(counts, np.float64).reshape(2, CLASSES, CLASSES)


def fit_signature(detector: Any, places: Sequence[tuple[Levelling, OpenPart]]) -> Any:
    """The detector, if it knows the usual signature, fitted to that of the event: of each orbit
    the levels, and what opens a part of its scene.
    """
    usual = getattr(detector, "usual_signature", None)
    if usual is None:
        return detector
    found = [sample for place in places for sample in sample_squares(detector, *place)]
    odds, classes = (np.concatenate([one[index] for one in found]) for index in (0, 1))
    if len(odds) < FEWEST_PIXELS:
        return detector
    return detector.with_signature(find_signature(odds, classes, usual))


def sample_squares(
    detector: Any, levelling: Levelling, opened: OpenPart
) -> list[tuple[Field, NDArray[np.intp]]]:
    """Log-odds and class of change of the seen pixels of each square."""
    found = []
    for composite, odds in answer_squares(detector, levelling, opened):
        seen = ~np.isnan(odds)
        classes = change_classes(*composite.sel(band=list(BANDS)).values)
        found.append((odds[seen], classes[seen]))
    return found


def find_signature(odds: Field, classes: NDArray[np.intp], usual: Counts) -> Signature:
    """The signature of pixels of these log-odds and classes, beside the usual counts."""
    middle = CLASSES // 2
    if (classes % CLASSES == middle).all():  # VV alone: VH is not known, and neither is it there
        alone = np.zeros_like(usual)
        alone[..., middle] = usual.sum(axis=-1)
        usual = alone
    usual = _blurred(usual)
    usual = usual / usual.sum(axis=(1, 2), keepdims=True)
    weight = USUAL_PIXELS * np.array([1, USUAL_GROUND])[:, None, None]
    table = np.zeros(CLASSES * CLASSES)
    for _ in range(ROUNDS):
        here = count_classes(odds + table[classes].astype(np.float32), classes)
        landslides = float(here[0].sum())
        shares = _blurred(here) + weight * usual
        shares /= shares.sum(axis=(1, 2), keepdims=True)
        ratio = np.log(shares + 1e-9) - np.log(usual + 1e-9)
        table = SHARE * np.clip(ratio[0] - ratio[1], -MOST, MOST).ravel()
    rows = (table + RAISED).round(3).reshape(CLASSES, CLASSES).tolist()
    return Signature(tuple(map(tuple, rows)), landslides)


def _blurred(counts: Counts) -> Counts:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(counts, (0, BLUR, BLUR)))
