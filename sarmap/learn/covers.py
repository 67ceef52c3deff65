"""Land cover of a scene, window by window: where negatives are drawn, where false alarms lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError

__all__ = ["UNKNOWN_COVER", "LandCover"]

UNKNOWN_COVER = 255
"""Code of a pixel whose land cover nobody gives."""


@dataclass(frozen=True)
class LandCover:
    """Land-cover codes 0-254 on a scene's grid: an array, or any raster file that GDAL reads."""

    grid: Any
    """odc-geo GeoBox of the scene."""
    source: NDArray[np.uint8] | Path
    """Codes (y, x) on the grid; or a raster of codes in any reference system, read by nearest."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Names of codes."""

    def window(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Codes of a window of the grid; `UNKNOWN_COVER` beyond the raster.

        Raises
        ------
        RequestError
            The raster cannot be read, or holds other numbers.
        """
        if isinstance(self.source, Path):
            return _read(self.source, self.grid[rows, columns])
        return self.source[rows, columns]

    @property
    def digest(self) -> str:
        """Hash by which samples made with it are known."""
        if isinstance(self.source, Path):
            stat = self.source.stat()
            return f"{self.source.name}-{stat.st_size}-{stat.st_mtime_ns}"
        return hashlib.sha256(self.source.tobytes()).hexdigest()[:16]

    def name(self, code: int) -> str:
        """What a code stands for.

        >>> LandCover(None, np.zeros((1, 1), np.uint8), {2: "forest"}).name(2)
        'forest'
        """
        return "unknown" if code == UNKNOWN_COVER else self.names.get(code, f"class {code}")


def _read(path: Path, window: Any) -> NDArray[np.uint8]:
    """One window of a raster on a grid, nearest, so that codes stay codes."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    rows, columns = (int(n) for n in window.shape)
    try:
        with (
            rasterio.open(path) as raster,
            WarpedVRT(
                raster,
                crs=window.crs.to_wkt(),
                transform=window.transform,
                width=columns,
                height=rows,
                resampling=Resampling.nearest,
                nodata=UNKNOWN_COVER,
                dtype="int32",
            ) as warped,
        ):
            codes = warped.read(1)
    except rasterio.errors.RasterioError as error:
        raise RequestError(
            f"Land cover {path.name!r} is not a raster with a reference system that GDAL reads."
        ) from error
    if codes.min() < 0 or codes.max() > UNKNOWN_COVER:
        raise RequestError(f"Land cover {path.name!r} holds codes beyond 0 to {UNKNOWN_COVER}.")
    small: NDArray[np.uint8] = codes.astype(np.uint8)
    return small
