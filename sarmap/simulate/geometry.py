"""Where a right-looking radar stands, and what it therefore sees of each slope.

Plane-wave geometry: over one scene the look direction turns by less than a degree, so the range
lines are taken as parallel and only the incidence angle changes across them. Layover and shadow
follow Kropatsch & Strobl 1990 (IEEE TGRS 28, 98-107): layover where slant range does not grow
along a range line, shadow where nearer ground stands higher in the view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TRACKS", "Track", "View", "incidence_of", "see"]

Field = NDArray[np.float32]

ORBIT_RADIUS = 6_371_000.0 + 693_000.0
EARTH_RADIUS = 6_371_000.0


@dataclass(frozen=True)
class Track:
    """One relative orbit of Sentinel-1 over the place."""

    orbit_state: str
    """'ascending' or 'descending'."""
    relative_orbit: int
    """Track number."""
    heading: float
    """Flight direction, degrees clockwise from north."""
    incidence: float
    """Incidence angle on the ellipsoid at the scene's centre, degrees."""
    platform: str
    """'SENTINEL-1A' or 'SENTINEL-1B'."""
    coverage: float = 1.0
    """Share of the scene's width that the swath covers, from the west."""

    @property
    def look(self) -> float:
        """Direction in which the radar looks, degrees clockwise from north: right of the track."""
        return (self.heading + 90.0) % 360.0


TRACKS = {
    "ascending": Track("ascending", 68, 348.4, 35.9, "SENTINEL-1B"),
    "descending": Track("descending", 46, 191.6, 36.3, "SENTINEL-1B"),
    "decoy": Track("ascending", 141, 348.6, 43.7, "SENTINEL-1A", coverage=0.45),
}
"""Tracks of the simulated event; the decoy covers only the west of the scene."""


@dataclass(frozen=True)
class View:
    """What one track sees of the ground."""

    local_incidence: Field
    """Angle between the ground's normal and the way to the radar, degrees (y, x)."""
    layover: NDArray[np.bool_]
    """Pixels that share their slant range with others (y, x)."""
    shadow: NDArray[np.bool_]
    """Pixels the radar does not reach (y, x)."""


def incidence_of(track: Track, shape: tuple[int, int], spacing: float) -> Field:
    """Incidence angle on the ellipsoid of each pixel, degrees (y, x).

    It grows with ground range by the geometry of a circular orbit of 693 km.

    Examples
    --------
    >>> angle = incidence_of(TRACKS["ascending"], (1, 2346), 10.0)
    >>> bool(angle[0, 0] < 35.9 < angle[0, -1]), bool(34 < angle.min() and angle.max() < 38)
    (True, True)
    """
    look = np.radians(track.look)
    y, x = np.indices(shape, dtype=np.float32)
    east = (x - (shape[1] - 1) / 2) * spacing
    north = ((shape[0] - 1) / 2 - y) * spacing
    far = east * np.float32(np.sin(look)) + north * np.float32(np.cos(look))
    middle = np.radians(track.incidence)
    nadir = np.arcsin(EARTH_RADIUS * np.sin(middle) / ORBIT_RADIUS)
    slant = ORBIT_RADIUS * np.sin(middle - nadir) / np.sin(middle)
    # moving the target by ds along the ground turns the look by cos(incidence) ds / slant range,
    # and the vertical by ds / radius
    per_metre = np.cos(middle) / slant + 1.0 / EARTH_RADIUS
    return np.asarray(track.incidence + np.degrees(far * per_metre), dtype=np.float32)


def _local_incidence(track: Track, incidence: Field, east: Field, north: Field) -> Field:
    """Angle between normal (-east, -north, 1) and the direction to the radar."""
    look = np.radians(track.look)
    angle = np.radians(incidence)
    rise = east * np.float32(np.sin(look)) + north * np.float32(np.cos(look))  # along range
    cosine = (np.cos(angle) + np.sin(angle) * rise) / np.sqrt(1 + east**2 + north**2)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))), dtype=np.float32)


def _along_range(
    height: Field, spacing: float, look: float
) -> tuple[Field, NDArray[np.float32], NDArray[np.float32]]:
    """The surface turned so that ground range grows along columns, and where each pixel went."""
    from scipy import ndimage

    rows, columns = height.shape
    side = int(np.ceil(np.hypot(rows, columns))) + 2
    turn = np.radians(look)
    v, u = np.indices((side, side), dtype=np.float32) - (side - 1) / 2
    # u: steps along the look direction; v: steps to its right
    sin, cos = np.float32(np.sin(turn)), np.float32(np.cos(turn))
    east, north = u * sin + v * cos, u * cos - v * sin
    where = np.stack([(rows - 1) / 2 - north, (columns - 1) / 2 + east])
    turned = ndimage.map_coordinates(height, where, order=1, mode="nearest")
    y, x = np.indices((rows, columns), dtype=np.float32)
    east, north = x - (columns - 1) / 2, (rows - 1) / 2 - y
    back_u = east * sin + north * cos + (side - 1) / 2
    back_v = east * cos - north * sin + (side - 1) / 2
    return np.asarray(turned, dtype=np.float32), back_v, back_u


def hidden(
    height: Field, spacing: float, incidence: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Layover and shadow of range lines: ground range grows along the last axis, metres.

    Examples
    --------
    A wall of 101 m seen at 45 degrees: it lays over 100 m before it and hides 100 m behind it.

    >>> wall = np.zeros((1, 40), np.float32); wall[0, 20] = 101.0
    >>> layover, shadow = hidden(wall, 10.0, 45.0)
    >>> np.flatnonzero(layover)[[0, -1]].tolist(), np.flatnonzero(shadow)[[0, -1]].tolist()
    ([10, 20], [21, 30])
    """
    angle = np.radians(incidence)
    ground = np.arange(height.shape[-1], dtype=np.float32) * np.float32(spacing)
    slant = ground * np.float32(np.sin(angle)) - height * np.float32(np.cos(angle))
    seen = ground * np.float32(np.cos(angle)) + height * np.float32(np.sin(angle))
    # 0.5 m: below it neighbouring samples of a smooth slope are told apart by rounding only
    nearest_yet = np.maximum.accumulate(slant, axis=-1)
    nearest_left = np.minimum.accumulate(slant[..., ::-1], axis=-1)[..., ::-1]
    folded = (slant < nearest_yet - 0.5) | (slant > nearest_left + 0.5)
    horizon = np.maximum.accumulate(seen, axis=-1)
    return folded, seen < horizon - 0.5


def see(track: Track, height: Field, east: Field, north: Field, spacing: float) -> View:
    """What a track sees of a surface.

    Parameters
    ----------
    track
        The orbit.
    height
        Metres (y, x).
    east, north
        Gradients of the surface towards east and north.
    spacing
        Pixel edge, metres.

    Returns
    -------
    View
        Local incidence angle, layover and shadow.
    """
    incidence = incidence_of(track, (height.shape[0], height.shape[1]), spacing)
    local = _local_incidence(track, incidence, east, north)
    step = 2 if min(height.shape) > 400 else 1  # layover needs no finer than 20 m
    turned, v, u = _along_range(height[::step, ::step], spacing * step, track.look)
    folded, dark = hidden(turned, spacing * step, track.incidence)
    rows, columns = np.rint(v).astype(np.int32), np.rint(u).astype(np.int32)

    def back(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        coarse = mask[rows, columns]
        fine = coarse.repeat(step, axis=0).repeat(step, axis=1)
        return fine[: height.shape[0], : height.shape[1]]

    return View(local, back(folded), back(dark))
