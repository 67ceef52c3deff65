"""Pixels from one lattice to another in memory, by GDAL's warper, keeping what failed apart."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

READ_FAILED = np.float32(-np.inf)
"""Stands for a pixel that could not be read, inside `sarmap.acquire` only."""

# rasterio silences this one itself, but with a switch that threads take from each other.
warnings.filterwarnings("ignore", message="Dataset has no geotransform", module=r"rasterio\.warp")


def resample(
    pixels: NDArray[np.float32],
    transform: Affine,
    crs: CRS,
    to_transform: Affine,
    to_crs: CRS,
    shape: tuple[int, int],
    resampling: Resampling,
    **options: Any,
) -> NDArray[np.float32]:
    """Warp pixels in memory; weights are renormalised over valid pixels, so NaN never spreads.

    What a failed pixel (minus infinity) would have weighed in is marked failed: half an answer
    would be another one than that of tomorrow. `options` go to GDAL's warper.
    """
    failed = np.isneginf(pixels)
    clean = np.where(failed, np.float32(np.nan), pixels) if failed.any() else pixels
    out = np.full(shape, np.nan, np.float32)
    common: dict[str, Any] = {
        "src_transform": transform,
        "src_crs": crs,
        "dst_transform": to_transform,
        "dst_crs": to_crs,
        "num_threads": 1,
        **options,
    }
    reproject(clean, out, src_nodata=np.nan, dst_nodata=np.nan, resampling=resampling, **common)
    if clean is not pixels:
        weight = np.zeros(shape, np.float32)
        reproject(failed.astype(np.float32), weight, resampling=resampling, **common)
        out[weight != 0] = READ_FAILED
    return out
