"""How many landslides were found, by their size and by how they face the radar."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sarmap.acquire.incidence import look_azimuth
from sarmap.assess.intervals import Interval, wilson_interval

if TYPE_CHECKING:
    from sarmap.assess.counting import Tally

SIZES = (0.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, np.inf)
"""Edges of the size classes, square metres."""
FACINGS = ("towards the radar", "across", "away from the radar")
MIDDLE_INCIDENCE = 38.0
"""Degrees; the look direction changes by a degree over the whole swath."""
TOWARDS, AWAY = 60.0, 120.0
"""Degrees between the downslope direction and the direction to the satellite."""


@dataclass(frozen=True)
class HitRow:
    """Landslides of one class."""

    name: str
    """The class."""
    landslides: int
    """Landslides with at least one pixel that counts."""
    hit: int
    """Those with at least one pixel called landslide."""
    half: int
    """Those with at least half of their pixels called landslide."""
    too_small: int
    """Landslides of the class without any pixel that counts (too small, unseen, not labelled)."""
    interval: Interval
    """Of the share that was hit (Wilson, 95 %)."""

    @property
    def share(self) -> float:
        """Share hit; NaN for none."""
        return self.hit / self.landslides if self.landslides else float("nan")


def hits_by_size(tally: Tally, area: NDArray[np.float64]) -> tuple[HitRow, ...]:
    """A row for all landslides of a tally, and one per size class, of the square metres of each."""
    rows = [_row("all", tally, np.ones(len(area), bool))]
    for low, high in itertools.pairwise(SIZES):
        name = f"{low:,.0f} m2 and more" if np.isinf(high) else f"{low:,.0f} to {high:,.0f} m2"
        rows.append(_row(name, tally, (area >= low) & (area < high)))
    return tuple(rows)


def hits_by_facing(
    tally: Tally, latitude: float, orbit_states: Sequence[str]
) -> dict[str, tuple[HitRow, ...]]:
    """Rows per orbit state of the map: landslides that face the radar, lie across, or face away, at
    the latitude of the map's middle; empty where the tally has no gradients.
    """
    if tally.slide_gradient is None:
        return {}
    found = {}
    for state in orbit_states:
        look = float(look_azimuth(latitude, MIDDLE_INCIDENCE, state))
        angle = facing(tally.slide_gradient, look)
        classes = [angle <= TOWARDS, (angle > TOWARDS) & (angle < AWAY), angle >= AWAY]
        found[state] = tuple(
            _row(name, tally, chosen) for name, chosen in zip(FACINGS, classes, strict=True)
        )
    return found


def facing(gradient: NDArray[np.float64], look: float) -> NDArray[np.float64]:
    """Angle (degrees) between the way a slope faces, down its gradient towards east and north
    (slide, 2), and the way to the satellite, against the look (degrees from north, clockwise): 0
    where it faces the radar, 180 where it faces away, NaN where it is flat or unknown.

    >>> facing(np.array([[1.0, 0.0], [-1.0, 0.0]]), 90.0).round(6).tolist()  # rises to the east
    [0.0, 180.0]
    """
    east, north = -gradient[:, 0], -gradient[:, 1]
    length = np.hypot(east, north)
    to_satellite = np.radians(look + 180)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = (east * np.sin(to_satellite) + north * np.cos(to_satellite)) / length
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _row(name: str, tally: Tally, chosen: NDArray[np.bool_]) -> HitRow:
    seen, called = tally.slide_seen[chosen], tally.slide_called[chosen]
    number, hit = int((seen > 0).sum()), int((called > 0).sum())
    half = int(((called * 2 >= seen) & (called > 0)).sum())
    return HitRow(name, number, hit, half, int((seen == 0).sum()), wilson_interval(hit, number))
