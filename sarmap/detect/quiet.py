"""A detector held to what is quiet at a place: its answers between passes before the event.

Nothing happened between them, so what is called there is a false alarm. From six passes on the last
ones stand for those after the event (`sarmap.compose.lattice.quiet_lattice`), the detector
answers some squares of the scene, and its log-odds are lowered until a thousandth of them is
called. What is told of the quiet ground is counted on squares that did not set it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import label

from sarmap.compose.levelling import Levelling
from sarmap.detect.squares import Field, OpenPart, answer_squares

FEWEST = 6
"""Passes before the event from which a detector is held to them."""
CALLED = 0.001
"""Share of quiet ground that may be called."""
FEWEST_PIXELS = 5_000
"""Seen pixels below which nothing is said."""
MOST = 4.0
"""Most that log-odds are lowered by: where that does not do, the place is not quiet."""
POLYGON = 1000.0
"""Area from which a called patch counts, m2."""


@dataclass(frozen=True)
class QuietPair:
    """Passes before the event as if it had fallen among them."""

    pre: tuple[int, ...]
    """Indices along time of those before."""
    post: tuple[int, ...]
    """Indices along time of those that stand for the passes after it."""
    levelling: Levelling
    """Levels and noise, from the passes of `pre`."""

    def of(self, cube: xr.Dataset) -> xr.Dataset:
        """The cube of these passes, in the roles that they play."""
        count = len(self.pre)
        roles = ["pre" if left == 1 else f"pre_{left}" for left in range(count, 0, -1)]
        roles += [f"post_{number}" for number in range(1, len(self.post) + 1)]
        chosen = cube.isel(time=[*self.pre, *self.post])
        return chosen.assign_coords(role=("time", roles))


@dataclass(frozen=True)
class QuietGround:
    """What a detector calls where nothing happened, and what its log-odds are lowered by."""

    lowered: float
    """Log-odds taken off each answer."""
    called: float
    """Quiet ground that is called, percent, on squares that did not set `lowered`."""
    polygons: float
    """Called patches of 1,000 m2 and more per 100 km2 of them."""
    area: float
    """Quiet ground that was looked at, km2."""

    @property
    def provenance(self) -> dict[str, str | int | float]:
        """For a result's attributes."""
        return {
            "quiet_odds_lowered": round(self.lowered, 3),
            "quiet_called_percent": float(f"{self.called:.3g}"),
            "quiet_polygons_per_100_km2": float(f"{self.polygons:.3g}"),
            "quiet_km2": round(self.area, 1),
        }


def hold_to_quiet(
    detector: Any, pairs: Sequence[tuple[QuietPair, OpenPart]], spacing: float
) -> Any:
    """The detector, if it has `held_to(QuietGround)`, held to the quiet ground of the orbits of a
    place that have passes enough: of each its quiet pair, and what opens a part of its scene.
    """
    if not hasattr(detector, "held_to"):
        return detector
    answers = [
        odds
        for pair, opened in pairs
        for _, odds in answer_squares(detector, pair.levelling, opened, pair.of)
    ]
    if len(answers) == 1:  # a small scene: one half of it sets, the other is counted
        answers = np.array_split(answers[0], 2, axis=1)
    halves = [_seen(answers[half::2]) for half in (0, 1)]
    if min(map(len, halves)) < FEWEST_PIXELS / 2:
        return detector
    called, polygons = 0, 0
    for half in (0, 1):
        lowered = _lowered(halves[1 - half])
        for one in answers[half::2]:
            found = np.nan_to_num(one, nan=-np.inf) > lowered
            called += int(found.sum())
            polygons += _patches(found, spacing)
    area = sum(map(len, halves)) * spacing**2 / 1e6
    share = 100 * called / sum(map(len, halves))
    lowered = _lowered(np.concatenate(halves))
    return detector.held_to(QuietGround(lowered, share, 100 * polygons / area, area))


def _seen(answers: Sequence[Field]) -> Field:
    """The log-odds of all pixels that were seen."""
    none = np.empty(0, np.float32)
    return np.concatenate([none, *(one[np.isfinite(one)] for one in answers)])


def _lowered(odds: Field) -> float:
    """What to take off these log-odds for no more than the allowed share above zero."""
    return float(np.clip(np.quantile(odds, 1 - CALLED), 0.0, MOST))


def _patches(called: NDArray[np.bool_], spacing: float) -> int:
    """Patches, with their corners, that are large enough to be candidates."""
    numbers, _ = label(called, np.ones((3, 3)))
    return int((np.bincount(numbers.ravel())[1:] * spacing**2 >= POLYGON).sum())
