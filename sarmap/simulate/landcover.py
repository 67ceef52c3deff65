"""What grows and stands on the invented ground: forest, clearings, fields, towns, water."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.noise import band_noise, cell_noise, fractal_noise
from sarmap.simulate.terrain import Relief, sample

__all__ = ["Cover", "LandCover", "make_land_cover"]

Field = NDArray[np.float32]


class Cover(IntEnum):
    """Land-cover class of a pixel."""

    SEA = 0
    RIVER = 1
    FOREST = 2
    FIELD = 3
    TOWN = 4
    CLEARING = 5


@dataclass(frozen=True)
class LandCover:
    """The classes of a scene and what tells one plot of a class from the next."""

    cover: NDArray[np.uint8]
    """`Cover` of each pixel (y, x)."""
    plot: Field
    """0 to 1: the same number all over one field, clearing or block of houses."""
    stand: Field
    """Forest stands: standard normal, smooth over some 100 m."""


def make_land_cover(
    rng: np.random.Generator, relief: Relief, height: Field, slope: Field, grid: Any
) -> LandCover:
    """Cover the ground of a scene.

    Parameters
    ----------
    rng
        Source of randomness.
    relief
        The ground, for valley floors, shore and rivers.
    height, slope
        Metres and degrees on the scene grid (y, x).
    grid
        GeoBox of the scene.

    Returns
    -------
    LandCover
        Fields and towns on flat floors, clearings on some hillsides, forest elsewhere.
    """
    from scipy import ndimage

    shape = height.shape
    offshore = sample(relief, relief.offshore, grid, order=1)
    floor = sample(relief, relief.floor, grid, order=1)
    flat = (slope < 7) & ((floor > 0.35) | ((height < 60) & (slope < 3.5)))
    flat = ndimage.binary_opening(ndimage.binary_closing(flat, iterations=2), iterations=3)
    cover = np.full(shape, Cover.FOREST, np.uint8)
    rows, columns = _plots(rng, shape, across=13.0, along=8.0)
    seed = int(rng.integers(2**62))
    plot = cell_noise(seed, rows, columns)
    hill_rows, hill_columns = _plots(rng, shape, across=24.0, along=17.0)
    open_ground = band_noise(rng, shape, 120) > 0.9
    cleared = (cell_noise(seed + 1, hill_rows, hill_columns) < 0.30) & open_ground & ~flat
    plot = np.where(cleared, cell_noise(seed + 2, hill_rows, hill_columns), plot)
    cover[cleared & (slope < 32)] = Cover.CLEARING
    wooded_bank = band_noise(rng, shape, 50) > 1.5
    cover[flat & ~wooded_bank] = Cover.FIELD
    cover[_towns(rng, flat)] = Cover.TOWN
    cover[burn_rivers(relief, grid)] = Cover.RIVER
    cover[offshore > 0] = Cover.SEA
    stand = fractal_noise(rng, shape, slope=0.9, longest=150, shortest=4)
    return LandCover(cover, plot, stand)


def _plots(
    rng: np.random.Generator, shape: tuple[int, int], across: float, along: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the plot of each pixel: a turned, slightly bent grid of rectangles."""
    turn = rng.uniform(0.2, 0.6)
    y, x = np.indices(shape, dtype=np.float32)
    x = x + 6 * band_noise(rng, shape, 260)
    y = y + 6 * band_noise(rng, shape, 260)
    u = (x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))) / np.float32(across)
    column = np.floor(u).astype(np.int64)
    shift = cell_noise(17, column, column)  # rows of neighbouring columns do not line up
    v = (y * np.float32(np.cos(turn)) - x * np.float32(np.sin(turn))) / np.float32(along) + shift
    return np.floor(v).astype(np.int64), column


def _towns(rng: np.random.Generator, flat: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Settlements on flat ground: about one per 30 km2, 300 to 900 m across, ragged."""
    from scipy import ndimage

    rows, columns = np.nonzero(ndimage.binary_erosion(flat, iterations=12))
    towns = np.zeros(flat.shape, bool)
    if len(rows) == 0:
        return towns
    y, x = np.ogrid[: flat.shape[0], : flat.shape[1]]
    ragged = 1 + 0.35 * band_noise(rng, flat.shape, 24)
    for _ in range(max(1, round(flat.size / 300_000))):
        at = rng.integers(len(rows))
        radius = rng.uniform(12, 40) * min(1.0, flat.shape[0] / 800)
        reach = int(3 * radius) + 2
        top, left = max(0, rows[at] - reach), max(0, columns[at] - reach)
        part = (slice(top, rows[at] + reach), slice(left, columns[at] + reach))
        distance = np.hypot(y[part[0]] - rows[at], x[:, part[1]] - columns[at])
        towns[part] |= distance < radius * ragged[part]
    return towns & flat


def burn_rivers(relief: Relief, grid: Any) -> NDArray[np.bool_]:
    """Pixels whose centre lies in a river."""
    import shapely
    from rasterio.features import rasterize

    left, bottom, right, top = relief.frame.scene
    if not relief.rivers:
        return np.zeros(grid.shape, bool)
    lines = shapely.linestrings(np.stack([line for line, _ in relief.rivers]))
    near = shapely.intersects(lines, shapely.box(left, bottom, right, top))
    if not near.any():
        return np.zeros(grid.shape, bool)
    widths = np.array([width for _, width in relief.rivers])
    banks = shapely.buffer(lines[near], np.maximum(widths[near], 6.0) / 2)
    wet = rasterize(banks, out_shape=tuple(grid.shape), transform=grid.transform, dtype="uint8")
    return np.asarray(wet, dtype=bool)
