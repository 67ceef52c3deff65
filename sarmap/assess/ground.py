"""The ground below a map, from the user's own rasters: land cover, and which way slopes face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.acquire.slope import horn
from sarmap.assess.covers import WORLD_COVER, LandCover
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
    """A land cover raster for a map's grid.

    Raises
    ------
    RequestError
        It cannot be opened, is no raster of codes from 0 to 255, or does not reach the map.
    """
    source = _source(file)
    with _opened(source, "Land cover") as raster:
        if raster.dtypes[0] != "uint8":
            raise RequestError(
                f"Land cover {Path(source).name!r} holds {raster.dtypes[0]}, not codes from 0 to "
                "255: give it as uint8."
            )
        _check_reach(raster, grid, f"Land cover {Path(source).name!r}")
        said = {
            int(key.split("_")[1]): text
            for key, text in raster.tags(1).items()
            if key.startswith("CLASS_") and key.split("_")[1].isdigit()
        }
    return LandCover(grid, source, said or WORLD_COVER)


def open_gradients(files: Sequence[str | Path], grid: Any) -> Gradients:
    """Elevation rasters (metres) for a map's grid.

    Raises
    ------
    RequestError
        One cannot be opened, or none reaches the map.
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


def _check_reach(raster: Any, grid: Any, what: str) -> None:
    if not _reaches(raster, grid):
        raise RequestError(f"{what} does not reach the map: is it of another place?")


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
