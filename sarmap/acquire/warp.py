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

__all__ = ["READ_FAILED", "resample"]

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

    Failed pixels (minus infinity) weigh nothing, and stay marked where no value reaches. `options`
    go to GDAL's warper.
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
        marked = np.zeros(shape, np.uint8)
        reproject(failed.astype(np.uint8), marked, resampling=Resampling.nearest, **common)
        out[np.isnan(out) & (marked == 1)] = READ_FAILED
    return out
