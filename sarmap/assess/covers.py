"""Land cover below a map or a composite, window by window: where negatives are drawn, where false
alarms lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError

UNKNOWN_COVER = 255
"""Code of a pixel whose land cover nobody gives."""
WORLD_COVER: Mapping[int, str] = {
    10: "tree cover",
    20: "shrubland",
    30: "grassland",
    40: "cropland",
    50: "built-up",
    60: "bare or sparse vegetation",
    70: "snow and ice",
    80: "permanent water",
    90: "herbaceous wetland",
    95: "mangroves",
    100: "moss and lichen",
}
"""Classes of ESA WorldCover (product user manual v2.0, table 3)."""


@dataclass(frozen=True)
class LandCover:
    """Land-cover codes 0-254 on a grid: an array, or any raster that GDAL reads."""

    grid: Any
    """odc-geo GeoBox of the map or composite."""
    source: NDArray[np.uint8] | Path | str
    """Codes (y, x) on the grid; or a raster of codes (path or URL) in any reference system, read
    by nearest."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Names of codes."""

    def window(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Codes of a window of the grid; `UNKNOWN_COVER` beyond the raster.

        Raises
        ------
        RequestError
            The raster cannot be read, or holds other numbers.
        """
        if isinstance(self.source, Path | str):
            return _read(str(self.source), self.grid[rows, columns])
        return self.source[rows, columns]

    @property
    def digest(self) -> str:
        """Hash by which samples made with it are known."""
        if isinstance(self.source, Path | str):
            path = Path(self.source)
            stat = path.stat()
            return f"{path.name}-{stat.st_size}-{stat.st_mtime_ns}"
        return hashlib.sha256(self.source.tobytes()).hexdigest()[:16]

    def name(self, code: int) -> str:
        """What a code stands for; 0 is unknown unless it has a name of its own.

        >>> cover = LandCover(None, np.zeros((1, 1), np.uint8), {2: "forest"})
        >>> cover.name(2), cover.name(3), cover.name(0), cover.name(255)
        ('forest', 'class 3', 'unknown', 'unknown')
        """
        if code in self.names:
            return self.names[code]
        return "unknown" if code in (0, UNKNOWN_COVER) else f"class {code}"


def _read(source: str, window: Any) -> NDArray[np.uint8]:
    """One window of a raster on a grid, nearest, so that codes stay codes."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    rows, columns = (int(n) for n in window.shape)
    shown = Path(source).name
    try:
        with (
            rasterio.open(source) as raster,
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
            f"Land cover {shown!r} is not a raster with a reference system that GDAL reads."
        ) from error
    if codes.min() < 0 or codes.max() > UNKNOWN_COVER:
        raise RequestError(f"Land cover {shown!r} holds codes beyond 0 to {UNKNOWN_COVER}.")
    small: NDArray[np.uint8] = codes.astype(np.uint8)
    return small
