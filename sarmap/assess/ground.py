"""The ground below a map, from the user's own rasters: land cover, and which way slopes face."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.acquire.slope import horn
from sarmap.errors import RequestError


@dataclass(frozen=True)
class Gradients:
    """Elevation rasters, read as gradients on a map's grid."""

    grid: Any
    """odc-geo GeoBox of the map."""
    files: tuple[str, ...]
    """The rasters; where several reach a pixel, the first with a value."""

    def window(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Gradients towards east and north (2, y, x) of a window, NaN where unknown."""
        height = rows.stop - rows.start + 2, columns.stop - columns.start + 2
        shifted = self.grid.translate_pix(columns.start - 1, rows.start - 1)
        around = type(self.grid)(height, shifted.affine, self.grid.crs)
        metres = np.full(height, np.nan, np.float32)
        for file in self.files:
            more = _warped(file, around, "bilinear", np.float32, np.nan)
            metres = np.where(np.isnan(metres), more, metres)
        return np.stack(horn(metres, abs(self.grid.transform.a)))


def open_land_cover(file: str | Path, grid: Any) -> LandCover:
    """A land cover raster for a map's grid; RequestError where it cannot be opened, is no raster of
    codes from 0 to 255, or does not reach the map.
    """
    source = _source(file)
    with _opened(source, "Land cover") as raster:
        if raster.dtypes[0] != "uint8":
            raise RequestError(
                f"Land cover {Path(source).name!r} holds {raster.dtypes[0]}, not codes from 0 to "
                "255: give it as uint8."
            )
        if not _reaches(raster, grid):
            raise RequestError(
                f"Land cover {Path(source).name!r} does not reach the map: is it of another place?"
            )
        said = {
            int(key.split("_")[1]): text
            for key, text in raster.tags(1).items()
            if key.startswith("CLASS_") and key.split("_")[1].isdigit()
        }
    return LandCover(grid, source, said or WORLD_COVER)


def open_gradients(files: Sequence[str | Path], grid: Any) -> Gradients:
    """Elevation rasters (metres) for a map's grid; RequestError where one cannot be opened, or none
    reaches the map.
    """
    sources = tuple(_source(file) for file in files)
    reached = []
    for source in sources:
        with _opened(source, "Elevation") as raster:
            if _reaches(raster, grid):
                reached.append(source)
    if not reached:
        raise RequestError("No elevation file reaches the map: are they of another place?")
    return Gradients(grid, tuple(reached))


def _source(file: str | Path) -> str:
    text = str(file)
    return text if "://" in text else str(Path(text).expanduser())


def _opened(source: str, what: str) -> Any:
    import rasterio
    import rasterio.errors

    try:
        raster = rasterio.open(source)
    except rasterio.errors.RasterioError as error:
        raise RequestError(
            f"{what} {Path(source).name!r} is not a raster that GDAL reads."
        ) from error
    if raster.crs is None:
        raster.close()
        raise RequestError(f"{what} {Path(source).name!r} does not say its reference system.")
    return raster


def _reaches(raster: Any, grid: Any) -> bool:
    from rasterio.warp import transform_bounds

    box = grid.extent.boundingbox
    west, south, east, north = transform_bounds(grid.crs.to_wkt(), raster.crs, *box.bbox)
    bounds = raster.bounds
    return bool(
        west < bounds.right and east > bounds.left and south < bounds.top and north > bounds.bottom
    )


def _warped(source: str, window: Any, resampling: str, dtype: Any, fill: float) -> NDArray[Any]:
    """A raster's first band on a window; `fill` where it has no value."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    rows, columns = (int(n) for n in window.shape)
    with (
        rasterio.open(source) as raster,
        WarpedVRT(
            raster,
            crs=window.crs.to_wkt(),
            transform=window.affine,
            height=rows,
            width=columns,
            resampling=Resampling[resampling],
            nodata=fill,
            dtype=np.dtype(dtype).name,
        ) as view,
    ):
        values: NDArray[Any] = view.read(1)
        return values


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
        """Codes of a window of the grid; `UNKNOWN_COVER` beyond the raster. RequestError where the
        raster cannot be read, or holds other numbers.
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
    import rasterio.errors

    shown = Path(source).name
    try:
        codes = _warped(source, window, "nearest", np.int32, UNKNOWN_COVER)
    except rasterio.errors.RasterioError as error:
        raise RequestError(
            f"Land cover {shown!r} is not a raster with a reference system that GDAL reads."
        ) from error
    if codes.min() < 0 or codes.max() > UNKNOWN_COVER:
        raise RequestError(f"Land cover {shown!r} holds codes beyond 0 to {UNKNOWN_COVER}.")
    small: NDArray[np.uint8] = codes.astype(np.uint8)
    return small
