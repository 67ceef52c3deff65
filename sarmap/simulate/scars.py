"""Where the landslides of a drawn world lie: what the radar meets, and what an analyst draws.

Most landslides start on steep slopes; they crowd, run downhill and out onto gentle ground. Their
areas are log-normal between 300 m2 and 1 km2. The analyst's outline is the same landslide smoothed,
displaced by 0-15 m, a little too wide or too narrow; a few are missed, some neighbours merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.landslides import _outlines, _paths, _start_points
from sarmap.simulate.noise import fractal_noise
from sarmap.simulate.outlines import place_templates, ring_areas
from sarmap.simulate.physics import Physics

__all__ = ["Scars", "draw_scars"]

Field = NDArray[np.float32]

SMALLEST, LARGEST = 300.0, 1.0e6
"""Square metres."""
MOST = 4000
"""Landslides in a world, at most."""
FINER = 3
"""Subpixels along a pixel's edge, from which its covered share is counted."""
MISSED = 0.03
"""Share of the landslides that analysts overlook (wide)."""


@dataclass(frozen=True)
class Scars:
    """The landslides of a world, all (y, x)."""

    covered: Field
    """Share of each pixel that a landslide covers, 0 to 1, where the radar meets it."""
    footprint: NDArray[np.int32]
    """Number of the landslide that covers most of the pixel, from 1; 0 none."""
    truth: NDArray[np.uint8]
    """1 inside an outline as an analyst draws it."""
    count: int
    """Number of landslides."""


def _areas(rng: np.random.Generator, physics: Physics, land_m2: float) -> NDArray[np.float64]:
    """Areas that together cover the wanted share of the land, largest first."""
    wanted = physics.land_share * land_m2
    if wanted <= 0:
        return np.zeros(0)
    drawn = physics.area * np.exp(physics.area_spread * rng.standard_normal(MOST))
    drawn *= max(1.0, wanted / float(drawn.sum()))  # too many for so large a scene: larger ones
    drawn = np.clip(drawn, SMALLEST, min(LARGEST, max(wanted, 2 * SMALLEST)))
    enough = int(np.searchsorted(np.cumsum(drawn), wanted)) + 1
    return np.asarray(np.sort(drawn[:enough])[::-1])


def _likelihood(
    rng: np.random.Generator, physics: Physics, slope: Field, land: NDArray[np.bool_]
) -> Field:
    """How likely a landslide starts at each pixel, up to a factor; 0 everywhere where none can."""
    shape = (slope.shape[0], slope.shape[1])
    top = float(np.quantile(slope[::4, ::4], 0.98))
    best = min(physics.steepest_first, 0.8 * top)  # gentle places fail too, on their steepest
    steep = np.exp(-0.5 * ((slope - best) / max(0.22 * best, 2.0)) ** 2)
    steep *= (1 - physics.gentle) / max(float(steep[land].mean()) if land.any() else 1.0, 1e-6)
    crowd = np.exp(physics.clustering * fractal_noise(rng, shape, slope=1.5))
    return np.asarray((steep + physics.gentle) * crowd * land, dtype=np.float32)


def _rings(
    rng: np.random.Generator,
    physics: Physics,
    areas: NDArray[np.float64],
    likelihood: Field,
    gradient: tuple[Field, Field],
    templates: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Outlines (n, points, 2: row, column) of the wanted areas."""
    rows, columns = _start_points(rng, likelihood, len(areas))
    if templates is not None:
        east, north = (tangent[rows, columns] for tangent in gradient)
        fall = np.stack([north, -east], axis=1).astype(np.float64)
        fall /= np.maximum(np.linalg.norm(fall, axis=1, keepdims=True), 1e-6)
        starts = np.stack([rows, columns], axis=1).astype(np.float64)
        return place_templates(rng, templates, starts, fall, areas / physics.spacing**2)
    ratio = np.clip(physics.elongation * np.exp(0.3 * rng.standard_normal(len(areas))), 1.2, 12)
    ratio = np.where(areas > 1e5, np.minimum(ratio, 3.0), ratio)
    length = np.sqrt(areas * ratio) / physics.spacing
    paths = _paths(rows, columns, length, *gradient)
    rings = _outlines(rng, paths, length / ratio * 1.15)
    area = ring_areas(rings) * physics.spacing**2
    scale = np.clip(np.sqrt(areas / np.maximum(area, 1.0)), 0.3, 3.0)[:, None, None]
    middle = rings.mean(axis=1, keepdims=True)
    return np.asarray(middle + (rings - middle) * scale)


def _burn(shapes: Any, shape: tuple[int, int], finer: int) -> NDArray[np.int32]:
    """Polygons in pixels to numbers on a grid so many times finer; later ones on top."""
    from affine import Affine
    from rasterio.features import rasterize

    if len(shapes) == 0:
        return np.zeros((shape[0] * finer, shape[1] * finer), np.int32)
    burnt = rasterize(
        zip(shapes, range(1, len(shapes) + 1), strict=True),
        out_shape=(shape[0] * finer, shape[1] * finer),
        transform=Affine(1 / finer, 0, 0, 0, 1 / finer, 0),
        dtype="int32",
    )
    return np.asarray(burnt)


def _polygons(rings: NDArray[np.float64]) -> Any:
    import shapely

    return shapely.polygons(rings[..., ::-1] + 0.5) if len(rings) else np.zeros(0, object)


def _drawn(
    rng: np.random.Generator, physics: Physics, rings: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """The analyst's outlines burnt (y, x): displaced, smoothed, too wide or too narrow; a few are
    missing, and in some worlds near neighbours are drawn as one."""
    from scipy import ndimage

    kept = rings[rng.random(len(rings)) >= MISSED]
    pixel, count = physics.spacing, len(kept)
    angle = rng.uniform(0, 2 * np.pi, count)
    off = np.minimum(physics.outline_error * np.sqrt(rng.uniform(0, 1, count)), 15.0) / pixel
    moved = kept + (off * np.stack([np.sin(angle), np.cos(angle)])).T[:, None, :]
    smooth = (np.roll(moved, 1, axis=1) + 2 * moved + np.roll(moved, -1, axis=1)) / 4
    lines = moved + rng.uniform(0, 1) * (smooth - moved)
    middle = lines.mean(axis=1, keepdims=True)
    reach = np.linalg.norm(lines - middle, axis=2).mean(axis=1)
    swell = rng.normal(rng.uniform(-2, 5), 2.0, count) / pixel
    lines = middle + (lines - middle) * (1 + np.clip(swell / reach, -0.3, 0.4))[:, None, None]
    burnt = _burn(_polygons(lines), shape, 1) > 0
    if rng.random() < 0.3:
        burnt = ndimage.binary_closing(burnt)
    return np.asarray(burnt)


def draw_scars(
    rng: np.random.Generator,
    physics: Physics,
    slope: Field,
    gradient: tuple[Field, Field],
    land: NDArray[np.bool_],
    templates: NDArray[np.float64] | None = None,
) -> Scars:
    """Draw landslides onto hillsides.

    Parameters
    ----------
    rng
        Source of randomness.
    physics
        The world's law.
    slope
        Degrees (y, x).
    gradient
        Tangents towards east and north (y, x).
    land
        Where a landslide may start (y, x).
    templates
        Shapes to use instead of invented ones, as `outlines.outline_templates` gives them.

    Returns
    -------
    Scars
        None of them where the share is 0 or no land is steep enough.
    """
    from scipy import ndimage

    shape = (slope.shape[0], slope.shape[1])
    areas = _areas(rng, physics, float(land.sum()) * physics.spacing**2)
    likelihood = _likelihood(rng, physics, slope, land)
    if likelihood.sum() <= 0 or len(areas) == 0:
        empty = np.zeros(shape, np.int32)
        return Scars(empty.astype(np.float32), empty, empty.astype(np.uint8), 0)
    smooth = ndimage.gaussian_filter(gradient[0], 2.0), ndimage.gaussian_filter(gradient[1], 2.0)
    rings = _rings(rng, physics, areas, likelihood, smooth, templates)
    turn, moved = np.radians(physics.look), physics.geometry_error / physics.spacing
    seen = rings + moved * np.array([-np.cos(turn), np.sin(turn)])
    fine = _burn(_polygons(seen), shape, FINER)
    covered = (fine > 0).reshape(shape[0], FINER, shape[1], FINER).mean(axis=(1, 3))
    largest = fine.reshape(shape[0], FINER, shape[1], FINER).max(axis=(1, 3))
    middle = fine[FINER // 2 :: FINER, FINER // 2 :: FINER]
    number = np.where(middle > 0, middle, np.where(covered > 0.3, largest, 0))
    truth = _drawn(rng, physics, rings, shape)
    return Scars(
        covered.astype(np.float32), number.astype(np.int32), truth.astype(np.uint8), len(areas)
    )
