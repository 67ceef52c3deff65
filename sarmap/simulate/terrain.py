"""Invented relief: hills with dendritic valleys, flat valley floors, a river and a coast.

The relief is made once, at 30 m on a UTM frame somewhat larger than the scene; the radar's 10 m
grid and the elevation tiles are both sampled from it, so they show the same ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.agreement import fit_hillsides
from sarmap.simulate.erosion import Drainage, carve, way_to_sea, without_cliffs
from sarmap.simulate.noise import fractal_noise

__all__ = ["CELL", "Frame", "Relief", "make_relief", "sample", "slope_aspect"]

CELL = 30.0
"""Cell edge of the relief, metres."""
MARGIN = 40
"""Cells of relief beyond the scene on every side."""
SMALLEST = 400
"""Least cells along an edge: below it there is no room for a river's catchment."""
CRITICAL_SLOPE = 0.56
"""Tangent of the steepest hillside; smoothing brings most of them to 25 to 30 degrees."""
STEEPEST, GORGE = 0.72, 2.0
"""Tangent of the steepest slope left, valley sides included: in general, and in a few gorges."""

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """A UTM frame of square cells around the scene."""

    left: float
    """Easting of the western edge, metres."""
    top: float
    """Northing of the northern edge, metres."""
    shape: tuple[int, int]
    """Rows and columns."""
    scene: tuple[float, float, float, float]
    """The scene's left, bottom, right, top."""

    @property
    def diagonal(self) -> float:
        """Length of the scene's diagonal, metres."""
        left, bottom, right, top = self.scene
        return float(np.hypot(right - left, top - bottom))

    def cells(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Fractional row and column (of cell centres) of projected coordinates."""
        return (self.top - y) / CELL - 0.5, (x - self.left) / CELL - 0.5

    def centres(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Easting (columns) and northing (rows) of the cell centres."""
        x = self.left + CELL * (np.arange(self.shape[1]) + 0.5)
        y = self.top - CELL * (np.arange(self.shape[0]) + 0.5)
        return x, y


@dataclass(frozen=True)
class Relief:
    """The ground, before anything grows on it."""

    frame: Frame
    """Where the cells lie."""
    height: Field
    """Metres above the sea (y, x)."""
    offshore: Field
    """Metres seaward of the shore; negative on land."""
    floor: Field
    """1 on a valley floor, falling to 0 on the hillsides."""
    rivers: tuple[tuple[NDArray[np.float64], float], ...]
    """Each reach of a river: its line (n, 2) of eastings and northings, and its width in metres."""


def frame_around(scene: tuple[float, float, float, float]) -> Frame:
    """The relief's frame for a scene (left, bottom, right, top).

    Examples
    --------
    >>> frame_around((0.0, 0.0, 3000.0, 24000.0)).shape
    (880, 400)
    """
    left, bottom, right, top = scene
    columns = max(SMALLEST, int(np.ceil((right - left) / CELL)) + 2 * MARGIN)
    rows = max(SMALLEST, int(np.ceil((top - bottom) / CELL)) + 2 * MARGIN)
    middle_x, middle_y = (left + right) / 2, (bottom + top) / 2
    return Frame(middle_x - columns * CELL / 2, middle_y + rows * CELL / 2, (rows, columns), scene)


def _inland(rng: np.random.Generator, frame: Frame) -> NDArray[np.float64]:
    """Metres inland of a ragged coast that cuts the scene's south-western corner."""
    x, y = frame.centres()
    left, bottom = frame.scene[:2]
    corner = (x[None, :] - left + y[:, None] - bottom) / np.sqrt(2)
    longest = 0.4 * frame.diagonal / CELL
    ragged = fractal_noise(rng, frame.shape, slope=1.8, longest=longest)
    return np.asarray(corner - 0.105 * frame.diagonal + 0.022 * frame.diagonal * ragged)


def _keep_ashore(
    inland: NDArray[np.float64], frame: Frame, land: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Move the coast out until the given points lie at least 400 m inland."""
    if land is None or len(land) == 0:
        return inland
    rows, columns = frame.cells(land[:, 0], land[:, 1])
    at = inland[
        np.clip(np.rint(rows).astype(int), 0, frame.shape[0] - 1),
        np.clip(np.rint(columns).astype(int), 0, frame.shape[1] - 1),
    ]
    return inland + max(0.0, 400.0 - float(at.min()))


def _steepness(
    rng: np.random.Generator, frame: Frame, inland: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Uplift over erodibility: low along the coast, higher inland, uneven at 1 to 15 km."""
    ramp = np.clip(inland / (0.3 * frame.diagonal), 0.0, 1.0)
    uneven = fractal_noise(rng, frame.shape, slope=1.5, longest=500, shortest=40)
    mountains = np.clip(inland / (0.45 * frame.diagonal) - 1.0, 0.0, 1.0)
    rise = (0.12 + 0.92 * ramp + 0.5 * mountains) * np.exp(0.42 * uneven)
    return np.asarray(2.3 * np.clip(rise, 0.08, 2.6))


def _bend(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Field, Field]:
    """Displacement, in cells, that bends the eight compass directions of the drainage away."""
    wide = [2.0 * fractal_noise(rng, shape, slope=1.6, longest=90, shortest=18) for _ in "yx"]
    fine = [0.45 * fractal_noise(rng, shape, slope=0.5, longest=14, shortest=5) for _ in "yx"]
    return wide[0] + fine[0], wide[1] + fine[1]


def _bent(field: NDArray[Any], bend: tuple[Field, Field], order: int) -> Field:
    from scipy import ndimage

    rows, columns = np.indices(field.shape, dtype=np.float32)
    where = np.stack([rows + bend[0], columns + bend[1]])
    return np.asarray(
        ndimage.map_coordinates(field.astype(np.float32), where, order=order, mode="mirror"),
        dtype=np.float32,
    )


def _unbend(cells: NDArray[Any], bend: tuple[Field, Field]) -> NDArray[np.float64]:
    """Where points (n, 2: row, column) of the straight relief lie in the bent one."""
    from scipy import ndimage

    moved = cells.copy()
    for _ in range(6):
        shift = [ndimage.map_coordinates(b, moved.T, order=1, mode="nearest") for b in bend]
        moved = cells - np.stack(shift, axis=1)
    return moved


def _river_reaches(
    tree: Drainage, frame: Frame, bend: tuple[Field, Field], sea: NDArray[np.bool_]
) -> tuple[tuple[NDArray[np.float64], float], ...]:
    """Lines of the cells that drain more than 12 km2, each cell to the next but three."""
    catchment = tree.area * (CELL / 1000) ** 2
    place = np.stack(np.unravel_index(np.arange(tree.area.size), frame.shape), axis=1) * 1.0
    wet = np.flatnonzero((catchment > 12.0) & ~sea.ravel())
    smooth = place.copy()
    for _ in range(6):  # water rounds the corners of the eight directions
        smooth[wet] = (smooth[wet] + smooth[tree.receiver[wet]]) / 2
    smooth[wet] = _unbend(smooth[wet], bend)
    reaches = []
    for cell in wet:
        line = [cell, tree.receiver[cell], tree.receiver[tree.receiver[cell]]]
        points = smooth[line]
        x = frame.left + CELL * (points[:, 1] + 0.5)
        y = frame.top - CELL * (points[:, 0] + 0.5)
        reaches.append((np.stack([x, y], axis=1), float(3.2 * np.sqrt(catchment[cell]))))
    return tuple(reaches)


def _valley_floors(height: Field, catchment: Field) -> tuple[Field, Field]:
    """Fill the larger valleys with flat floors; returns the heights and how much is floor."""
    from scipy import ndimage

    channel = catchment > 2.5
    if not channel.any():
        return height, np.zeros_like(height)
    distance, nearest = ndimage.distance_transform_edt(~channel, return_indices=True)
    distance = (distance * CELL).astype(np.float32)
    bed = ndimage.gaussian_filter(height, 1.5)[nearest[0], nearest[1]]
    width = ndimage.gaussian_filter(
        42.0 * catchment[nearest[0], nearest[1]] ** np.float32(0.45), 3.0
    )
    floor = ndimage.gaussian_filter(bed + 0.004 * distance, 2.0)
    rise = np.clip((distance - 0.7 * width) / (0.75 * width), 0.0, 1.0)
    share = (1.0 - rise * rise * (3.0 - 2.0 * rise)).astype(np.float32)
    filled = height + share * (floor - height)
    return filled.astype(np.float32), share


def make_relief(
    rng: np.random.Generator,
    scene: tuple[float, float, float, float],
    *,
    land: NDArray[np.float64] | None = None,
    shapes: NDArray[Any] | None = None,
) -> Relief:
    """Invent the ground under a scene.

    Parameters
    ----------
    rng
        Source of randomness.
    scene
        Left, bottom, right, top of the scene in a projected system, metres.
    land
        Points (n, 2) of eastings and northings that must lie on land.
    shapes
        Polygons of given landslides: the hillsides under them are made to fit.

    Returns
    -------
    Relief
        0 to about 800 m, on average about 160 m, with the sea in the south-western corner.
    """
    from scipy import ndimage

    frame = frame_around(scene)
    inland = _keep_ashore(_inland(rng, frame), frame, land)
    sea = ndimage.binary_opening(inland < 0, iterations=2)
    if not sea.any():  # rivers need an end: the frame's own corner
        sea[-3:, :3] = True
    resistance = np.exp(
        fractal_noise(rng, frame.shape, slope=1.0)
        + 0.5 * rng.standard_normal(frame.shape, dtype=np.float32)
    )
    steepness = _steepness(rng, frame, inland)
    straight, tree = carve(
        way_to_sea(resistance.astype(np.float64), sea),
        sea,
        steepness,
        critical_slope=CRITICAL_SLOPE,
        rounds=12,
    )
    bend = _bend(rng, frame.shape)
    height = ndimage.gaussian_filter(_bent(straight * CELL, bend, 1), 0.8)
    catchment = np.exp(_bent(np.log(tree.area).reshape(frame.shape), bend, 0)) * np.float32(
        (CELL / 1000) ** 2
    )
    height, floor = _valley_floors(height, catchment)
    gorge = fractal_noise(rng, frame.shape, slope=1.0, longest=120, shortest=40) > 1.2
    steepest = np.where(gorge, GORGE, STEEPEST)
    height = (without_cliffs(height / CELL, steepest) * CELL).astype(np.float32)
    if shapes is not None:
        height, hillside = fit_hillsides(rng, height, (frame.left, frame.top), CELL, shapes)
        floor = floor * (1 - hillside)
    offshore = ndimage.gaussian_filter(_signed_distance(_bent(sea, bend, 1) > 0.5), 1.2)
    height = np.maximum(height, 0.0) * (offshore < 0)
    return Relief(frame, height, offshore, floor, _river_reaches(tree, frame, bend, sea))


def _signed_distance(inside: NDArray[np.bool_]) -> Field:
    """Metres into a mask (positive) or away from it (negative)."""
    from scipy import ndimage

    into = ndimage.distance_transform_edt(inside)
    away = ndimage.distance_transform_edt(~inside)
    return np.asarray((into - away) * CELL, dtype=np.float32)


def sample(relief: Relief, field: Field, grid: Any, order: int = 3) -> Field:
    """A field of the relief on a scene grid (GeoBox in the same system), by cubic splines.

    Returns float32 (y, x) at the grid's pixel centres.
    """
    from scipy import ndimage

    a = grid.transform
    rows, columns = relief.frame.cells(np.array([a.c + a.a / 2]), np.array([a.f + a.e / 2]))
    step = abs(a.a) / CELL
    found = ndimage.affine_transform(
        field,
        np.array([step, step]),
        offset=(float(rows[0]), float(columns[0])),
        output_shape=tuple(grid.shape),
        order=order,
        mode="mirror",
        output=np.float32,
    )
    return np.asarray(found)


def slope_aspect(height: Field, spacing: float) -> tuple[Field, Field, Field, Field]:
    """Slope (degrees), aspect (degrees clockwise from north, downhill), and the eastward and
    northward gradients of a surface, by central differences.

    Examples
    --------
    >>> height = np.arange(3, dtype=np.float32)[None, :].repeat(3, 0) * 10
    >>> slope, aspect, east, north = slope_aspect(height, 10.0)
    >>> float(slope[1, 1]), float(aspect[1, 1])
    (45.0, 270.0)
    """
    down, east = (np.asarray(g, np.float32) for g in np.gradient(height, np.float32(spacing)))
    north = -down
    slope = np.asarray(np.degrees(np.arctan(np.hypot(east, north))), np.float32)
    aspect = np.asarray(np.degrees(np.arctan2(-east, -north)) % 360.0, np.float32)
    return slope, aspect, east, north
