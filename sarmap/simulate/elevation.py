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


def _spread(relief: Relief, corners: NDArray[np.float64]) -> tuple[NDArray[np.float32], Any]:
    """The relief mirrored outwards until it covers the corners (x, y), and its transform."""
    from affine import Affine

    rows, columns = relief.frame.cells(corners[:, 0], corners[:, 1])
    height, width = relief.frame.shape
    up, left = max(0, math.ceil(-rows.min()) + 4), max(0, math.ceil(-columns.min()) + 4)
    down = max(0, math.ceil(rows.max()) - height + 4)
    right = max(0, math.ceil(columns.max()) - width + 4)
    spread = np.pad(relief.height, ((up, down), (left, right)), mode="symmetric")
    origin = Affine.translation(relief.frame.left - left * CELL, relief.frame.top + up * CELL)
    return spread, origin * Affine.scale(CELL, -CELL)


def elevation_tile(
    rng: np.random.Generator, relief: Relief, crs: Any, latitude: int, longitude: int
) -> NDArray[np.float32]:
    """One tile of elevation, metres, float32 (3600, `tile_columns`).

    Beyond the scene the relief goes on as its mirror image. The noise is that of a good DEM:
    0.3 m over some 100 m.
    """
    from pyproj import Transformer
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    edge = np.linspace(0, 1, 9)
    longitudes, latitudes = np.meshgrid(longitude + edge, latitude + edge)
    to_grid = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    corners = np.stack(to_grid.transform(longitudes.ravel(), latitudes.ravel()), axis=1)
    source, transform = _spread(relief, corners)
    tile = np.zeros((TILE, tile_columns(latitude)), np.float32)
    reproject(
        source,
        tile,
        src_transform=transform,
        src_crs=crs,
        dst_transform=tile_transform(latitude, longitude),
        dst_crs="EPSG:4326",
        resampling=Resampling.cubic,
        num_threads=1,
    )
    noise = fractal_noise(rng, (tile.shape[0], tile.shape[1]), slope=0.7, longest=40, shortest=3)
    return np.where(tile > 0.3, tile + np.float32(0.3) * noise, 0).astype(np.float32)
