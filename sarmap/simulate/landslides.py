"""Invented landslides: where they start, how they run, what an interpreter draws of them.

Sizes are log-normal with median 3,900 m2 and mean 7,900 m2, 7,837 on 901 km2: the 2018 Iburi
inventory. They start on slopes around 27.5 degrees below 300 m, cluster, prefer some aspects and
run downhill two to four times as far as they are wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.noise import fractal_noise

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

__all__ = ["Slides", "describe", "invent_slides"]

Field = NDArray[np.float32]

DENSITY = 7_837 / 901.3e6
"""Landslides per square metre of scene."""
MEDIAN_AREA, MEAN_AREA, LARGEST_AREA = 3_900.0, 7_900.0, 250_000.0
"""Square metres."""
UNCHANGED_SHARE = 1 / 6
"""Share of the landslides without a clear change of backscatter."""
STEPS = 10
"""Steps of a slide's path."""


@dataclass(frozen=True)
class Slides:
    """Landslides of a scene."""

    frame: GeoDataFrame
    """Polygons as an interpreter drew them, with id, area_m2, slope_deg, aspect_deg, changed."""
    label: NDArray[np.int32]
    """Number of the landslide that truly covers each pixel (y, x), counted from 1; 0 none."""


def _areas(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Areas at the quantiles of the log-normal, shuffled: small scenes keep the median."""
    from scipy.special import ndtri

    spread = np.sqrt(2 * np.log(MEAN_AREA / MEDIAN_AREA))
    at = (np.arange(count) + rng.uniform(0.2, 0.8, count)) / max(count, 1)
    areas = MEDIAN_AREA * np.exp(spread * ndtri(at))
    return np.asarray(np.minimum(rng.permutation(areas), LARGEST_AREA))


def _likelihood(
    rng: np.random.Generator, height: Field, slope: Field, aspect: Field, allowed: NDArray[np.bool_]
) -> Field:
    """How likely a landslide starts at each pixel, up to a factor."""
    steep = np.exp(-0.5 * ((slope - 30.0) / 2.6) ** 2)  # outlines reach gentler ground too
    low = 1 / (1 + np.exp((height - 290) / 25))
    # the shaking came through with a direction: slopes to the east and south-east failed most
    facing = 0.12 + 0.88 * (0.5 + 0.5 * np.cos(np.radians(aspect - 95))) ** 1.5
    cluster = np.exp(0.8 * fractal_noise(rng, (height.shape[0], height.shape[1]), slope=1.3))
    return np.asarray(steep * low * facing * cluster * allowed, dtype=np.float32)


def _start_points(
    rng: np.random.Generator, likelihood: Field, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of `count` draws from the likelihood."""
    total = np.cumsum(likelihood.ravel(), dtype=np.float64)
    drawn = np.searchsorted(total, rng.uniform(0, total[-1], count))
    rows, columns = np.unravel_index(np.minimum(drawn, likelihood.size - 1), likelihood.shape)
    return rows, columns


def _paths(
    rows: NDArray[Any], columns: NDArray[Any], length: NDArray[Any], east: Field, north: Field
) -> NDArray[np.float64]:
    """Ways downhill (n, steps + 1, 2: row, column) centred on their start points."""
    from scipy import ndimage

    def walk(sign: float) -> list[NDArray[Any]]:
        at = np.stack([rows, columns]).astype(np.float64)
        direction = np.zeros_like(at)
        places = []
        for _ in range(STEPS // 2):
            downhill = np.stack(
                [
                    ndimage.map_coordinates(north, at, order=1, mode="nearest"),
                    -ndimage.map_coordinates(east, at, order=1, mode="nearest"),
                ]
            )
            downhill *= sign
            # a gentle slope turns a moving mass only a little
            direction = 0.5 * direction + downhill / 0.35
            direction /= np.maximum(np.hypot(*direction), 1e-6)
            at = at + direction * length / STEPS
            places.append(at)
        return places

    up, down = walk(-1.0), walk(1.0)
    start = np.stack([rows, columns]).astype(np.float64)
    return np.stack([*up[::-1], start, *down]).transpose(2, 0, 1)


def _outlines(
    rng: np.random.Generator, paths: NDArray[np.float64], width: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rings (n, points, 2: row, column) around paths: round head, waist, fuller toe; ragged."""
    along = np.gradient(paths, axis=1)
    along /= np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-6)
    across = along[..., ::-1] * np.array([1.0, -1.0])
    t = np.linspace(0, 1, paths.shape[1])
    spoon = np.sqrt(np.clip(1 - (2 * t - 1) ** 4, 0, 1)) * (1 + 0.18 * np.cos(2 * np.pi * t))
    count = len(paths)

    def side(sign: float) -> NDArray[np.float64]:
        ragged = 1 + 0.22 * rng.standard_normal((count, len(t)))
        half = 0.5 * width[:, None] * spoon * np.clip(ragged, 0.4, 1.7)
        return np.asarray(paths + sign * across * half[..., None])

    return np.concatenate([side(1.0), side(-1.0)[:, ::-1]], axis=1)


def _polygons(rings: NDArray[np.float64], grid: Any, areas: NDArray[Any]) -> NDArray[Any]:
    """Valid polygons of the right area in the grid's system, from rings in pixels."""
    import shapely
    from shapely import affinity

    a = grid.transform
    points = np.stack(
        [a.c + a.a * (rings[..., 1] + 0.5), a.f + a.e * (rings[..., 0] + 0.5)], axis=-1
    )
    shapes = shapely.buffer(shapely.polygons(points), 0)
    parts = [max(shapely.get_parts(s), key=lambda p: p.area, default=s) for s in shapes]
    scale = np.sqrt(areas / np.maximum(shapely.area(parts), 1.0))
    return np.array(
        [affinity.scale(p, s, s, origin="centroid") for p, s in zip(parts, scale, strict=True)]
    )


def _accept(kept: list[Any], candidates: NDArray[Any], scene: Any) -> NDArray[np.bool_]:
    """Which candidates lie inside the scene and touch nothing kept, nor an earlier candidate."""
    import shapely

    good = shapely.is_valid(candidates) & shapely.within(candidates, scene)
    good &= shapely.area(candidates) > 100.0
    if kept:
        hit = shapely.STRtree(kept).query(candidates, predicate="intersects")[0]
        good[np.unique(hit)] = False
    pairs = shapely.STRtree(candidates).query(candidates, predicate="intersects")
    for later, earlier in pairs[:, pairs[0] > pairs[1]].T:
        if good[earlier]:
            good[later] = False
    return np.asarray(good)


def invent_slides(
    rng: np.random.Generator,
    height: Field,
    slope: Field,
    aspect: Field,
    gradient: tuple[Field, Field],
    allowed: NDArray[np.bool_],
    grid: Any,
) -> NDArray[Any]:
    """Draw landslides onto hillsides.

    Parameters
    ----------
    rng
        Source of randomness.
    height, slope, aspect, gradient
        The ground on the scene grid: metres, degrees, degrees, (east, north) tangents.
    allowed
        Pixels where a landslide may start.
    grid
        GeoBox of the scene.

    Returns
    -------
    shapely polygons in the grid's system, none overlapping another, largest first.
    """
    import shapely
    from scipy import ndimage

    pixel = abs(grid.transform.a)
    count = max(1, round(DENSITY * height.size * pixel**2))
    wanted = np.sort(_areas(rng, count))[::-1]
    likelihood = _likelihood(rng, height, slope, aspect, allowed)
    smooth = [ndimage.gaussian_filter(g, 2.0) for g in gradient]
    scene = shapely.box(*grid.boundingbox)
    kept: list[Any] = []
    for _ in range(25):
        if len(wanted) == 0 or likelihood.sum() <= 0:
            break
        areas = wanted
        rows, columns = _start_points(rng, likelihood, len(areas))
        ratio = rng.uniform(2.2, 4.6, len(areas)) * np.where(areas > 40_000, 0.75, 1.0)
        length = np.sqrt(areas * ratio) / pixel
        paths = _paths(rows, columns, length, smooth[0], smooth[1])
        rings = _outlines(rng, paths, length / ratio * 1.15)
        shapes = _polygons(rings, grid, areas)
        good = _accept(kept, shapes, scene)
        kept.extend(shapes[good])
        wanted = wanted[~good]
    return np.array(kept)


def describe(
    rng: np.random.Generator, shapes: NDArray[Any], slope: Field, aspect: Field, grid: Any
) -> Slides:
    """Landslides as table and label raster.

    Parameters
    ----------
    rng
        Source of randomness: which slides changed, and how far the true edge is from the drawn one.
    shapes
        Polygons in the grid's system.
    slope, aspect
        Degrees on the scene grid (y, x).
    grid
        GeoBox of the scene.

    Returns
    -------
    Slides
        The true cover strays from the drawn outline by about one pixel, as a hand-traced
        inventory does.
    """
    import geopandas
    import shapely
    from rasterio.features import rasterize

    shape = tuple(int(n) for n in grid.shape)
    drawn = np.zeros(shape, np.int32)
    if len(shapes):
        numbered = zip(shapes, range(1, len(shapes) + 1), strict=True)
        drawn = rasterize(numbered, out_shape=shape, transform=grid.transform, dtype="int32")
    count = len(shapes) + 1
    pixels = np.maximum(np.bincount(drawn.ravel(), minlength=count), 1)
    turn = np.radians(aspect)
    sums = [
        np.bincount(drawn.ravel(), field.ravel(), minlength=count)
        for field in (slope, np.sin(turn), np.cos(turn))
    ]
    changed = rng.uniform(size=len(shapes)) >= UNCHANGED_SHARE
    table = {
        "id": np.arange(1, count),
        "area_m2": np.round(shapely.area(shapes), 1) if len(shapes) else np.array([]),
        "slope_deg": np.round(sums[0] / pixels, 1)[1:],
        "aspect_deg": np.round(np.degrees(np.arctan2(sums[1], sums[2])) % 360, 1)[1:],
        "changed": changed.astype(np.int8),
        "simulated": np.ones(len(shapes), np.int8),
    }
    frame = geopandas.GeoDataFrame(table, geometry=list(shapes), crs=grid.crs.to_wkt())
    return Slides(frame, _stray(rng, drawn))


def _stray(rng: np.random.Generator, drawn: NDArray[np.int32]) -> NDArray[np.int32]:
    """Labels moved by a smooth random displacement of about 0.8 px."""
    shape = (drawn.shape[0], drawn.shape[1])
    rows, columns = np.indices(shape, dtype=np.float32)
    for places, limit in ((rows, shape[0]), (columns, shape[1])):
        places += 0.8 * fractal_noise(rng, shape, slope=0.8, longest=25, shortest=4)
        np.clip(places, 0, limit - 1, out=places)
    return np.asarray(drawn[np.rint(rows).astype(np.int32), np.rint(columns).astype(np.int32)])
