"""The simulated ground as Copernicus GLO-30 delivers it: 1 x 1 degree tiles of 1 arc-second.

Pixel centres lie on whole arc-seconds, as in the Copernicus DEM, so a tile's edges are half a pixel
off the degree (Copernicus DEM Product Handbook v3.0, section 2.2).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.noise import fractal_noise
from sarmap.simulate.terrain import CELL, Relief

__all__ = ["TILE", "elevation_tile", "tile_columns", "tile_id", "tile_transform", "tiles_touched"]

TILE = 3600
"""Rows of a tile, and its columns below 50 degrees of latitude."""
APRON = 6_000.0
"""Metres of ground made up beyond the scene's frame."""
_COLUMNS = ((85, 360), (80, 720), (70, 1200), (60, 1800), (50, 2400), (0, TILE))
"""Columns of the tiles from each latitude on towards the pole."""


def tiles_touched(area: tuple[float, float, float, float]) -> list[tuple[int, int]]:
    """South-western corners (latitude, longitude) of the tiles that a bbox touches.

    Examples
    --------
    >>> tiles_touched((141.85, 42.55, 142.15, 42.9))
    [(42, 141), (42, 142)]
    """
    west, south, east, north = area
    return [
        (latitude, longitude)
        for latitude in range(math.floor(south), math.ceil(north))
        for longitude in range(math.floor(west), math.ceil(east))
    ]


def tile_id(latitude: int, longitude: int) -> str:
    """Copernicus name of a tile.

    Examples
    --------
    >>> tile_id(42, 141), tile_id(-3, -60)
    ('Copernicus_DSM_COG_10_N42_00_E141_00_DEM', 'Copernicus_DSM_COG_10_S03_00_W060_00_DEM')
    """
    north = "N" if latitude >= 0 else "S"
    east = "E" if longitude >= 0 else "W"
    return f"Copernicus_DSM_COG_10_{north}{abs(latitude):02d}_00_{east}{abs(longitude):03d}_00_DEM"


def tile_columns(latitude: int) -> int:
    """Columns of the tiles of a row: fewer towards the poles, as in the Copernicus DEM.

    Examples
    --------
    >>> tile_columns(42), tile_columns(61), tile_columns(-51)
    (3600, 1800, 2400)
    """
    nearest = latitude if latitude >= 0 else -latitude - 1
    return next(columns for start, columns in _COLUMNS if nearest >= start)


def tile_transform(latitude: int, longitude: int) -> Any:
    """Affine transform of a tile's pixel corners, degrees."""
    from affine import Affine

    width, height = 1 / tile_columns(latitude), 1 / TILE
    return Affine(width, 0, longitude - width / 2, 0, -height, latitude + 1 + height / 2)


def _spread(relief: Relief) -> tuple[NDArray[np.float32], Any]:
    """The relief with its mirror image around it, sinking into the sea; and its transform."""
    from affine import Affine

    cells = int(APRON / CELL)
    spread = np.pad(relief.height, cells, mode="symmetric")
    for axis, size in enumerate(spread.shape):
        inwards = np.minimum(np.arange(size), np.arange(size)[::-1])
        fade = np.clip(inwards / (0.7 * cells), 0, 1).astype(np.float32)
        fade *= fade * (3 - 2 * fade)
        spread *= fade[:, None] if axis == 0 else fade[None, :]
    left, top = relief.frame.left - cells * CELL, relief.frame.top + cells * CELL
    return spread, Affine.translation(left, top) * Affine.scale(CELL, -CELL)


def _window(relief: Relief, crs: Any, latitude: int, longitude: int) -> tuple[slice, slice]:
    """Rows and columns of a tile that the relief reaches."""
    from rasterio.warp import transform_bounds

    height, width = relief.frame.shape
    left, top = relief.frame.left - APRON, relief.frame.top + APRON
    right, bottom = left + width * CELL + 2 * APRON, top - height * CELL - 2 * APRON
    west, south, east, north = transform_bounds(crs, "EPSG:4326", left, bottom, right, top)
    inverse = ~tile_transform(latitude, longitude)
    first_column, first_row = inverse * (west, north)
    last_column, last_row = inverse * (east, south)

    def limit(value: float, most: int) -> int:
        return min(max(math.floor(value), 0), most)

    columns = tile_columns(latitude)
    return (
        slice(limit(first_row, TILE), limit(last_row + 1, TILE)),
        slice(limit(first_column, columns), limit(last_column + 1, columns)),
    )


def elevation_tile(
    rng: np.random.Generator, relief: Relief, crs: Any, latitude: int, longitude: int
) -> NDArray[np.float32]:
    """One tile of elevation, metres, float32 (3600, `tile_columns`).

    Beyond the scene the relief goes on as its mirror image and sinks into the sea within 6 km. The
    noise is that of a good DEM: 0.3 m over some 100 m.
    """
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    rows, columns = _window(relief, crs, latitude, longitude)
    tile = np.zeros((TILE, tile_columns(latitude)), np.float32)
    part = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
    if part.size == 0:
        return tile
    source, transform = _spread(relief)
    corner = tile_transform(latitude, longitude)
    reproject(
        source,
        part,
        src_transform=transform,
        src_crs=crs,
        dst_transform=corner * corner.translation(columns.start, rows.start),
        dst_crs="EPSG:4326",
        resampling=Resampling.cubic,
    )
    noise = fractal_noise(rng, (part.shape[0], part.shape[1]), slope=0.7, longest=40, shortest=3)
    tile[rows, columns] = np.where(part > 0.3, part + np.float32(0.3) * noise, 0)
    return tile
