"""Cloud-optimised GeoTIFF of one layer of a map: for every GIS that reads no sharded Zarr.

The image is written in strips and then laid out by GDAL's COG driver (OGC Cloud Optimized GeoTIFF,
21-026), so that memory stays bounded whatever the map's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import OutputError, RequestError
from sarmap.gdal import gdal
from sarmap.store.delivery import check_file, replacing
from sarmap.store.encoding import FILL, PROBABILITY_STEP, SLOPE_STEP
from sarmap.store.reading import MapReader, Strip, open_reader
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

_TILE = 512


@dataclass(frozen=True)
class _Band:
    """How one layer looks as an image band."""

    description: str
    unit: str
    scale: float
    nodata: int | None
    resampling: str


_BANDS = {
    "probability": _Band("landslide probability", "1", PROBABILITY_STEP, FILL, "AVERAGE"),
    "slope": _Band("slope angle of the terrain", "degree", SLOPE_STEP, FILL, "AVERAGE"),
    "disagreement": _Band(
        "largest difference between orbits", "1", PROBABILITY_STEP, FILL, "AVERAGE"
    ),
    "observation": _Band(
        ", ".join(f"{code.value} {code.meaning}" for code in Observation), "", 1.0, None, "MODE"
    ),
}


def write_cog(
    source: xr.Dataset | MapReader | str | Path,
    out: str | Path,
    *,
    variable: str = "probability",
    dtype: str = "uint8",
    overwrite: bool = False,
) -> str:
    """Write one layer as a cloud-optimised GeoTIFF with overviews.

    Parameters
    ----------
    source
        A stored map (path or URL; the fastest), a map Dataset, or a reader of one.
    out
        File ending in ``.tif`` or ``.tiff``.
    variable
        ``probability`` (uint8, scale 0.004, nodata 255), ``slope`` (uint8, scale 0.4 degrees,
        nodata 255), ``disagreement`` of fused orbits (as probability) or ``observation`` (uint8
        codes).
    dtype
        ``uint8``: as stored, values to be multiplied by the scale; ``float32``: the values
        themselves, NaN where there is none, four times the size (not for ``observation``).
    overwrite
        Replace an existing file.

    Returns
    -------
    The file written.

    Raises
    ------
    RequestError
        The file exists, the layer is not there, or `source` is no map.
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> import numpy as np, rasterio, tempfile, xarray as xr
    >>> area = xr.Dataset(
    ...     {
    ...         "probability": (("y", "x"), np.array([[0.1, 0.7, np.nan]], "float32")),
    ...         "observation": (("y", "x"), np.array([[0, 0, 3]], "uint8")),
    ...     },
    ...     coords={"y": [4735005.0], "x": [577905.0, 577915.0, 577925.0]},
    ... )
    >>> area.coords["spatial_ref"] = (
    ...     (), 0, {"crs_wkt": "EPSG:32654", "GeoTransform": "577900 10 0 4735010 0 -10"}
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with rasterio.open(write_cog(area, f"{folder}/map.tif")) as image:
    ...         image.read(1), image.nodata, image.scales
    (array([[ 25, 175, 255]], dtype=uint8), 255.0, (0.004,))
    """
    file = Path(out).expanduser()
    if file.suffix.lower() not in (".tif", ".tiff"):
        raise RequestError(f"{file.name} must end in .tif or .tiff.")
    if dtype not in ("uint8", "float32") or (dtype, variable) == ("float32", "observation"):
        raise RequestError(
            f"dtype={dtype!r} is not how {variable} is written: uint8, or float32 for what is no "
            "code."
        )
    check_file(file, overwrite=overwrite)
    optional = () if variable in ("probability", "observation") else (variable,)
    reader = open_reader(source, *optional)
    if variable not in _BANDS or variable not in reader.layers:
        raise RequestError(
            f"variable={variable!r} is not in the map as an image; it is one of "
            f"{', '.join(_BANDS)}, and slope and disagreement are not in every map."
        )
    band = _BANDS[variable]
    nodata = band.nodata if dtype == "uint8" else float("nan")
    with (
        replacing(file, overwrite=overwrite) as fresh,
        writing_cog(fresh, reader.grid, dtype, nodata, band.resampling, file.name) as image,
    ):
        _write_strips(reader, image, variable, dtype)
    return str(file)


@contextmanager
def writing_cog(
    file: Path, grid: GeoBox, dtype: str, nodata: float | None, resampling: str, shown: str
) -> Iterator[Any]:
    """An ordinary tiled GeoTIFF of one band, open for writing, that becomes a cloud-optimised one
    in the end; OutputError, which names it as `shown`, where it cannot be written.
    """
    import rasterio
    import rasterio.errors
    import rasterio.shutil

    plain, (height, width) = file.with_name(f"plain-{file.name}"), map(int, grid.shape)
    profile = {
        "driver": "GTiff",
        "dtype": dtype,
        "count": 1,
        "height": height,
        "width": width,
        "crs": None if grid.crs is None else grid.crs.to_wkt(),
        "transform": grid.transform,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": _TILE,
        "blockysize": _TILE,
        "compress": "lzw",
        "bigtiff": "if_safer",
    }
    options: dict[str, Any] = {
        "compress": "deflate",
        "blocksize": _TILE,
        "overviews": "ignore_existing",
        "overview_resampling": resampling,
        "bigtiff": "if_safer",
        "num_threads": "all_cpus",
    }
    try:
        with gdal(), rasterio.open(plain, "w", **profile) as image:
            yield image
        with gdal():
            rasterio.shutil.copy(plain, file, driver="COG", **options)
    except rasterio.errors.RasterioError as error:
        raise OutputError(
            f"{shown} cannot be written: GDAL found no way ({type(error).__name__}); is the disk "
            "full?"
        ) from error
    finally:
        plain.unlink(missing_ok=True)


def _write_strips(reader: MapReader, image: Any, variable: str, dtype: str) -> None:
    from rasterio.windows import Window

    band, (_, width) = _BANDS[variable], reader.shape
    for strip in reader.strips(edge=_TILE):
        rows = _layer(strip, variable, dtype)
        image.write(rows, 1, window=Window(0, strip.top, width, rows.shape[0]))
    image.scales, image.offsets = (band.scale if dtype == "uint8" else 1.0,), (0.0,)
    image.units, image.descriptions = (band.unit,), (band.description,)
    image.update_tags(**_tags(reader))


def _layer(strip: Strip, variable: str, dtype: str) -> NDArray[Any]:
    layer: NDArray[np.uint8] = getattr(strip, variable)
    if dtype == "uint8":
        return layer
    band = _BANDS[variable]
    values = layer.astype(np.float32) * np.float32(band.scale)
    values[layer == band.nodata] = np.nan
    return values


def _tags(reader: MapReader) -> dict[str, str]:
    """What the file says of its making."""
    made = reader.provenance
    tags = {
        "SIMULATED": "YES" if made.simulated else "NO",
        "AREA_OR_POINT": "Area",
        "TIFFTAG_SOFTWARE": f"sarmap {made.version}".strip(),
        "TIFFTAG_IMAGEDESCRIPTION": _title(made.simulated),
        "TIFFTAG_COPYRIGHT": made.attribution,
        "ATTRIBUTION": made.attribution,
        "SCENES": ", ".join(made.scene_ids),
        "DETECTOR": made.detector,
    }
    return {key: text for key, text in tags.items() if text}


def _title(simulated: bool) -> str:
    return "SIMULATED landslide map" if simulated else "Landslide map"
