"""Which passes the simulated event has, and how each is cut into slices."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.geometry import TRACKS, Track

__all__ = ["Slice", "Timing", "cut_into_slices", "timings"]

REPEAT = dt.timedelta(days=12)
"""Repeat of one relative orbit."""
OVERLAP = 0.08
"""Part of the scene's length along the track that both slices of a pass hold."""
_CLOCK = {
    "ascending": (-4, dt.time(8, 34, 11, 437_000)),
    "descending": (-1, dt.time(20, 42, 26, 813_000)),
    "decoy": (-10, dt.time(8, 41, 53, 204_000)),
}
"""Days from the event's day to the last pass before it, and the time of day, UTC."""


@dataclass(frozen=True)
class Timing:
    """One overpass."""

    track: Track
    """Its orbit."""
    name: str
    """Key of the track in `TRACKS`."""
    when: dt.datetime
    """Instant at the border between its two slices, UTC."""


@dataclass(frozen=True)
class Slice:
    """The part of a pass that one item holds."""

    number: int
    """1 for the earlier, 2 for the later."""
    window: tuple[slice, slice]
    """Rows and columns of the scene grid that its raster covers."""
    valid: NDArray[np.bool_]
    """Pixels with data within the window."""
    edge: NDArray[np.bool_]
    """Pixels at the slanted border, where real products hold power of zero and below."""
    footprint: Any
    """Outline of the valid pixels in the grid's system, a shapely polygon."""


def timings(event: dt.datetime, orbits: tuple[str, ...], earlier: int, decoy: bool) -> list[Timing]:
    """Passes before and after an event: per orbit `earlier` + 1 before it and two after it.

    Examples
    --------
    >>> event = dt.datetime(2018, 9, 5, 18, 8, tzinfo=dt.timezone.utc)
    >>> [t.when.strftime("%m-%d %H:%M") for t in timings(event, ("ascending",), 1, False)]
    ['08-20 08:34', '09-01 08:34', '09-13 08:34', '09-25 08:34']
    """
    found = []
    plans = [(name, earlier) for name in orbits] + ([("decoy", 0)] if decoy else [])
    for name, more in plans:
        days, clock = _CLOCK[name]
        before = dt.datetime.combine(event.date(), clock, event.tzinfo) + dt.timedelta(days=days)
        if before >= event:  # a descending pass late on the day before is always before it
            before -= REPEAT
        found += [
            Timing(TRACKS[name], name, before + repeat * REPEAT) for repeat in range(-more, 3)
        ]
    return found


def _along_track(track: Track, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Pixels flown since the scene's centre (y, x)."""
    heading = np.radians(track.heading)
    east = np.arange(shape[1], dtype=np.float32) - (shape[1] - 1) / 2
    north = (shape[0] - 1) / 2 - np.arange(shape[0], dtype=np.float32)
    return np.asarray(
        north[:, None] * np.cos(heading) + east[None, :] * np.sin(heading), dtype=np.float32
    )


def _half_plane(track: Track, grid: Any, past: float, sign: float) -> Any:
    """The part of the covered scene that lies on one side of a line across the track."""
    import shapely

    left, bottom, right, top = grid.boundingbox
    right = left + (right - left) * track.coverage
    pixel = abs(grid.transform.a)
    heading = np.radians(track.heading)
    forward = np.array([np.sin(heading), np.cos(heading)]) * sign
    aside = np.array([forward[1], -forward[0]])
    box = grid.boundingbox
    middle = np.array([(box.left + box.right) / 2, (box.bottom + box.top) / 2])
    middle += np.array([np.sin(heading), np.cos(heading)]) * past * pixel
    reach = 4 * max(right - left, top - bottom) + 1000
    corners = [
        middle + aside * reach,
        middle - aside * reach,
        middle - aside * reach + forward * reach,
        middle + aside * reach + forward * reach,
    ]
    return shapely.intersection(shapely.Polygon(corners), shapely.box(left, bottom, right, top))


def cut_into_slices(track: Track, grid: Any) -> list[Slice]:
    """The two overlapping slices of a pass, cut square to the flight direction.

    Parameters
    ----------
    track
        The orbit: its heading slants the cut, its coverage ends the swath.
    grid
        GeoBox of the scene.
    """
    shape = (int(grid.shape[0]), int(grid.shape[1]))
    flown = _along_track(track, shape)
    columns = max(1, round(shape[1] * track.coverage))
    half = OVERLAP / 2 * float(flown.max() - flown.min())
    slices = []
    for number, (sign, border) in enumerate(((-1.0, half), (1.0, -half)), start=1):
        inside = (flown - border) * sign >= 0
        inside[:, columns:] = False
        rows = np.flatnonzero(inside.any(axis=1))
        window = (slice(int(rows[0]), int(rows[-1]) + 1), slice(0, columns))
        valid = inside[window]
        edge = valid & (np.abs(flown[window] - border) < 1.5)
        footprint = _half_plane(track, grid, border, sign)
        slices.append(Slice(number, window, valid, edge, footprint))
    return slices
