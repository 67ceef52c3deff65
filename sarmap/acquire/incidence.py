"""Where Sentinel-1 looks from: incidence angle on the ellipsoid and look direction over a place.

An item may say both (`view:incidence_angle`, `view:azimuth`, valid at the middle of its footprint;
https://github.com/stac-extensions/view). Where it does not, they follow from the orbit and the
footprint: the look is across the ground track of a 98.18 degree orbit with 175 revolutions in 12
days, right of flight (Capderou 2014, Handbook of Satellite Orbits, section 5.5), and an IW swath of
250 km ends at 46.0 degrees (Sentinel-1 product specification; its 29.1 degrees for the near edge
are the least over all orbit heights), seen from 693 km over a sphere.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from sarmap.acquire.scenes import footprint_of

if TYPE_CHECKING:
    import pystac
    from shapely.geometry.base import BaseGeometry

    from sarmap.types import Passes

Values = NDArray[np.float64]

EARTH_RADIUS = 6_371_000.0
"""Metres."""
ORBIT_HEIGHT = 693_000.0
"""Metres above the sphere."""
INCLINATION = 98.18
"""Degrees."""
ORBITS_PER_DAY = 175 / 12
"""Revolutions per day."""
FAR_INCIDENCE = 46.0
"""Degrees at the far edge of the IW swath."""
SWATH = 250_000.0
"""Width of the IW swath on the ground, metres."""
SWATH_TOLERANCE = 0.15
"""Share by which a footprint may differ from the swath's width and still be the whole swath."""

SQUARE = 32
"""Edge of the squares of places that are held to a footprint at once."""

logger = logging.getLogger(__name__)


def ground_angle(incidence: ArrayLike) -> Values:
    """Angle at the Earth's centre (radians) from the nadir to where the incidence (degrees) is.

    >>> round(float(ground_angle(38.0)) * EARTH_RADIUS / 1000)  # kilometres from the nadir
    475
    """
    theta = np.radians(np.asarray(incidence, np.float64))
    ratio = EARTH_RADIUS / (EARTH_RADIUS + ORBIT_HEIGHT)
    return np.asarray(theta - np.arcsin(ratio * np.sin(theta)))


def incidence_at(angle: ArrayLike) -> Values:
    """Incidence (degrees) at an angle at the Earth's centre (radians) from the nadir.

    >>> round(float(incidence_at(ground_angle(38.0))), 9)
    38.0
    """
    gamma = np.asarray(angle, np.float64)
    orbit = EARTH_RADIUS + ORBIT_HEIGHT
    return np.asarray(
        np.degrees(np.arctan2(orbit * np.sin(gamma), orbit * np.cos(gamma) - EARTH_RADIUS))
    )


def incidence_gradient(incidence: float) -> float:
    """Growth of the incidence angle along ground range, radians per metre.

    >>> round(math.degrees(incidence_gradient(36.0)) * 1000, 3)  # degrees per kilometre
    0.064
    """
    theta, gamma = math.radians(incidence), float(ground_angle(incidence))
    slant = EARTH_RADIUS * math.sin(gamma) / math.sin(theta - gamma)
    return math.cos(theta) / slant + 1 / EARTH_RADIUS


def look_azimuth(latitude: ArrayLike, incidence: ArrayLike, orbit_state: str) -> Values:
    """Direction (degrees from north, clockwise) from the satellite's foot to a place, at the place,
    of its latitude and incidence in degrees; the look is to the right of flight.

    >>> [round(float(look_azimuth(0.0, 38.0, state))) for state in ("ascending", "descending")]
    [78, 282]
    """
    phi = np.radians(np.asarray(latitude, np.float64))
    gamma = ground_angle(incidence)
    right = np.radians(90.0)
    azimuth = _heading(phi, orbit_state) + right
    for _ in range(8):  # the foot depends on the direction back to it: contracts tenfold a step
        back = azimuth + np.pi
        foot = np.arcsin(np.sin(phi) * np.cos(gamma) + np.cos(phi) * np.sin(gamma) * np.cos(back))
        turn = _bearing_turn(phi, gamma, back)
        azimuth = _heading(foot, orbit_state) + right + turn
    return np.asarray(np.degrees(azimuth) % 360.0)


def _heading(phi: Values, orbit_state: str) -> Values:
    """Direction of the ground track (radians from north) over a turning Earth."""
    inclination = math.cos(math.radians(INCLINATION))
    # Beyond the turning latitude the track runs due west; the swath still sees further.
    across = np.sqrt(np.maximum(np.cos(phi) ** 2 - inclination**2, 1e-9))
    climb = np.arctan((inclination - np.cos(phi) ** 2 / ORBITS_PER_DAY) / across)
    return np.asarray(climb if orbit_state == "ascending" else np.pi - climb)


def _bearing_turn(phi: Values, gamma: Values, back: Values) -> Values:
    """By how much a great circle turns (radians) from the foot to the place it came from."""
    foot_to_place = np.arctan2(
        -np.sin(back) * np.cos(phi),
        np.sin(phi) * np.sin(gamma) - np.cos(phi) * np.cos(gamma) * np.cos(back),
    )
    at_foot = foot_to_place
    turn = (back - np.pi) - at_foot
    return np.asarray((turn + np.pi) % (2 * np.pi) - np.pi)


@dataclass(frozen=True)
class Anchor:
    """One scene's geometry at one point of it."""

    longitude: float
    """Degrees."""
    latitude: float
    """Degrees."""
    incidence: float
    """On the ellipsoid at that point, degrees."""
    azimuth: float | None
    """Look direction there as the item says, degrees from north; None: from the orbit."""


@dataclass(frozen=True)
class LookModel:
    """Incidence and look direction, scene by scene: each place as the scene says that sees it.

    Never blended with scenes beside it: which of those a map finds depends on its extent, and the
    same ground must be seen alike from every map.
    """

    anchors: tuple[Anchor, ...]
    """One per scene, those of the first pass first."""
    footprints: tuple[BaseGeometry, ...]
    """Of the same scenes, degrees."""
    orbit_state: str
    """'ascending' or 'descending'."""
    source: str
    """'view:incidence_angle', 'footprint' or 'assumed mid-swath': how the incidence is known."""

    def at(self, scene: int, longitude: ArrayLike, latitude: ArrayLike) -> tuple[Values, Values]:
        """Incidence on the ellipsoid and look azimuth of one scene, degrees, at places in degrees.

        Holds beyond the scene too, as if it went on.
        """
        anchor = self.anchors[scene]
        lon, lat = np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)
        x, y = _offset(anchor, lon, lat)
        azimuth = self._azimuth(anchor, lat)
        there = np.radians(azimuth)
        far = x * np.sin(there) + y * np.cos(there)
        angle = incidence_at(ground_angle(anchor.incidence) + far / EARTH_RADIUS)
        return angle, np.asarray(azimuth % 360.0)

    def scenes_over(self, piece: BaseGeometry) -> list[int]:
        """Scenes that may be the first to see any of a piece in degrees; where none does, the
        nearest one."""
        found = []
        for scene, footprint in enumerate(self.footprints):
            if footprint.intersects(piece):
                found.append(scene)
                if footprint.contains(piece):
                    break
        return found or [int(np.argmin([one.distance(piece) for one in self.footprints]))]

    def scene_at(
        self, longitude: Values, latitude: Values, scenes: Sequence[int]
    ) -> NDArray[np.intp]:
        """The first of some scenes that sees each place in degrees; where none does, the first."""
        found = np.full(np.shape(longitude), scenes[0], np.intp)
        parts = list(_squares(longitude, latitude))
        boxes = shapely.box(*np.array([edges for _, edges in parts]).T)
        for scene in reversed(scenes):
            # one of its own: what GEOS prepares belongs to one thread
            footprint = shapely.from_wkb(self.footprints[scene].wkb)
            shapely.prepare(footprint)
            meets = shapely.intersects(footprint, boxes)
            holds = shapely.contains_properly(footprint, boxes)
            for number in np.flatnonzero(meets):
                part = parts[number][0]
                seen = holds[number] or shapely.contains_xy(
                    footprint, longitude[part], latitude[part]
                )
                found[part][seen] = scene
        return found

    @cached_property
    def key(self) -> str:
        """Names this geometry among others."""
        told = repr((self.anchors, [one.wkb for one in self.footprints], self.orbit_state))
        return hashlib.sha256(told.encode()).hexdigest()

    def _azimuth(self, anchor: Anchor, latitude: Values) -> Values:
        """Look direction of one scene at each latitude; at the anchor, what its item says."""
        model = look_azimuth(latitude, anchor.incidence, self.orbit_state)
        if anchor.azimuth is None:
            return model
        middle = look_azimuth(anchor.latitude, anchor.incidence, self.orbit_state)
        return np.asarray(anchor.azimuth + model - middle)


def _squares(
    longitude: Values, latitude: Values
) -> Iterator[tuple[tuple[slice, slice], tuple[float, float, float, float]]]:
    """Squares of places (y, x), and the west, south, east and north of each."""
    for row in range(0, longitude.shape[0], SQUARE):
        for column in range(0, longitude.shape[1], SQUARE):
            part = slice(row, row + SQUARE), slice(column, column + SQUARE)
            lon, lat = longitude[part], latitude[part]
            yield part, (lon.min(), lat.min(), lon.max(), lat.max())


def _offset(anchor: Anchor, lon: Values, lat: Values) -> tuple[Values, Values]:
    """Metres east and north of an anchor."""
    middle = np.radians((lat + anchor.latitude) / 2)
    turn = (lon - anchor.longitude + 180.0) % 360.0 - 180.0
    x = np.radians(turn) * np.cos(middle) * EARTH_RADIUS
    return np.asarray(x), np.asarray(np.radians(lat - anchor.latitude) * EARTH_RADIUS)


def look_model(passes: Passes) -> LookModel:
    """The geometry of the passes' orbit, from the scenes of all passes.

    Scenes that neither say their incidence nor span the whole swath are left to those that do;
    where there are none, they are taken to lie in its middle: the model's `source` says so, and so
    does a warning.
    """
    scenes = [(item, one.orbit_state) for one in passes for item in one.items]
    state = scenes[0][1]
    stated = [(item, _stated(item)) for item, _ in scenes]
    known = [
        (item, anchor)
        for item, said in stated
        if (anchor := said or _from_footprint(item, state)) is not None
    ]
    if known:
        source = "view:incidence_angle" if any(said for _, said in stated) else "footprint"
    else:
        logger.warning(
            "Item %r says no view:incidence_angle and is no whole IW swath: its incidence is taken "
            "as that of the swath's middle",
            scenes[0][0].id,
        )
        middle = _swath_incidence(0.5)
        known = [(item, Anchor(*_middle(item), middle, None)) for item, _ in scenes]
        source = "assumed mid-swath"
    footprints = tuple(footprint_of(item) for item, _ in known)
    return LookModel(tuple(anchor for _, anchor in known), footprints, state, source)


def _stated(item: pystac.Item) -> Anchor | None:
    """What the item itself says."""
    incidence = item.properties.get("view:incidence_angle")
    if incidence is None:
        return None
    azimuth = item.properties.get("view:azimuth")
    return Anchor(*_middle(item), float(incidence), None if azimuth is None else float(azimuth))


def _from_footprint(item: pystac.Item, orbit_state: str) -> Anchor | None:
    """Incidence at the footprint's middle from its near and far edges; None for part of a swath."""
    longitude, latitude = _middle(item)
    anchor = Anchor(longitude, latitude, 38.0, None)
    direction = np.radians(look_azimuth(latitude, anchor.incidence, orbit_state))
    corners = np.array(list(_points(item)), np.float64)
    x, y = _offset(anchor, corners[:, 0], corners[:, 1])
    far = x * np.sin(direction) + y * np.cos(direction)
    width = float(far.max() - far.min())
    if abs(width / SWATH - 1) > SWATH_TOLERANCE:
        return None
    share_beyond = float(far.max()) / width
    return Anchor(longitude, latitude, _swath_incidence(share_beyond), None)


def _swath_incidence(share_beyond: float) -> float:
    """Incidence where the given share (0-1) of the swath's width lies further out.

    >>> [round(_swath_incidence(share), 1) for share in (1, 0.5, 0)]
    [30.9, 39.1, 46.0]
    """
    return float(incidence_at(ground_angle(FAR_INCIDENCE) - share_beyond * SWATH / EARTH_RADIUS))


def _middle(item: pystac.Item) -> tuple[float, float]:
    """Longitude and latitude of the middle of the footprint's extent."""
    points = np.array(list(_points(item)), np.float64)
    lowest, highest = points.min(axis=0), points.max(axis=0)
    longitude, latitude = (lowest + highest) / 2
    return float(longitude), float(latitude)


def _points(item: pystac.Item) -> Iterator[Sequence[float]]:
    """Corners of the footprint, or of the bbox where there is none; unwrapped at 180 degrees."""
    if item.geometry:
        points = list(_flatten(item.geometry["coordinates"]))
    else:
        box = item.bbox or [0.0, 0.0, 0.0, 0.0]
        half = len(box) // 2
        points = [(box[0], box[1]), (box[half], box[half + 1])]
    first = points[0][0]
    for point in points:
        yield (first + (point[0] - first + 180.0) % 360.0 - 180.0, point[1])


def _flatten(nested: Any) -> Iterator[Sequence[float]]:
    """All positions of nested GeoJSON coordinates."""
    if nested and isinstance(nested[0], int | float):
        yield nested
        return
    for part in nested:
        yield from _flatten(part)
