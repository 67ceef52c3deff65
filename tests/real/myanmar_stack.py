"""The Myanmar stack (netCDF, dB) as COGs in power and STAC items shaped like Planetary Computer's.

The file is read through GDAL's netCDF driver, so that no netCDF library of Python is needed.
"""

from __future__ import annotations

import csv
import datetime as dt
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine, array_bounds
from rasterio.warp import transform_geom

EPSG = 32646
NODATA = -32768.0
_FILE = "myanmar_s1_vvvh_srtm_85dates_30m.nc"


@dataclass(frozen=True)
class Stack:
    """What the file holds, in physical units."""

    power: dict[str, NDArray[np.float32]]
    """vv, vh: (time, y, x) float32 power, NaN where missing."""
    times: tuple[dt.datetime, ...]
    """UTC, to the second."""
    elevation: NDArray[np.float32]
    """(y, x) metres, whole numbers."""
    slope: NDArray[np.float32]
    """(y, x) degrees as the file has it, whole numbers."""
    transform: Affine
    """Pixel to EPSG:32646."""
    relative_orbit: int
    """Track number."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        rows, columns = self.elevation.shape
        return rows, columns

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """left, bottom, right, top in metres."""
        left, bottom, right, top = array_bounds(*self.shape, self.transform)
        return left, bottom, right, top

    @property
    def footprint(self) -> dict[str, Any]:
        """GeoJSON polygon in degrees."""
        ring = shapely.geometry.mapping(shapely.box(*self.bounds))
        return dict(transform_geom(f"EPSG:{EPSG}", "EPSG:4326", ring, precision=7))


def read_stack(folder: Path) -> Stack:
    """Read the stack; dB become power."""
    bands = {}
    for name in ("vv", "vh"):
        decibels, tags = _read(folder, name)
        scale = float(tags[f"{name}#scale_factor"])
        power = 10 ** (decibels.astype(np.float64) * scale / 10)
        bands[name] = np.where(decibels == int(NODATA), np.nan, power).astype(np.float32)
    start = dt.datetime.fromisoformat(tags["time#units"].removeprefix("seconds since "))
    seconds = tags["NETCDF_DIM_time_VALUES"].strip("{}").split(",")
    x, y = _read(folder, "x")[0].ravel(), _read(folder, "y")[0].ravel()
    step = float(x[1] - x[0])
    return Stack(
        power=bands,
        times=tuple(start.replace(tzinfo=dt.UTC) + dt.timedelta(seconds=float(s)) for s in seconds),
        elevation=_read(folder, "elevation")[0][0].astype(np.float32),
        slope=_read(folder, "slope")[0][0].astype(np.float32),
        transform=Affine(step, 0, float(x[0]) - step / 2, 0, -step, float(y[0]) + step / 2),
        relative_orbit=int(tags["NC_GLOBAL#relative_orbit"]),
    )


def read_points(folder: Path) -> list[tuple[float, float, dt.date | None]]:
    """(x, y, date of disturbance or None) of each reference point, EPSG:32646."""
    with (folder / "reference_points.csv").open(encoding="utf-8") as opened:
        return [
            (
                float(row["x"]),
                float(row["y"]),
                dt.date.fromisoformat(row["disturbance_date"]) if row["disturbance_date"] else None,
            )
            for row in csv.DictReader(opened)
        ]


def write_records(
    stack: Stack, folder: Path, first: dt.date, last: dt.date
) -> list[dict[str, Any]]:
    """Write COGs of the passes within [first, last] and of the elevation; return their items."""
    chosen = [n for n, when in enumerate(stack.times) if first <= when.date() <= last]
    return [*(_radar(stack, number, folder) for number in chosen), _elevation(stack, folder)]


def collections() -> list[dict[str, Any]]:
    """The records of the two collections."""
    return [
        {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": name,
            "description": f"{title}, Myanmar, from dulvrq/ddl8s1ts",
            "license": "MIT",
            "links": [],
            "extent": {
                "spatial": {"bbox": [[95, 19, 97, 20]]},
                "temporal": {"interval": [["2014-10-12T00:00:00Z", None]]},
            },
        }
        for name, title in (("sentinel-1-rtc", "Sentinel-1"), ("cop-dem-glo-30", "SRTM"))
    ]


def _read(folder: Path, variable: str) -> tuple[NDArray[Any], dict[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # the driver would turn the rows upside down: it takes the file to run from south to north
        with (
            rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO"),
            rasterio.open(f"netcdf:{folder / _FILE}:{variable}") as opened,
        ):
            return opened.read(), opened.tags()


def _write(path: Path, pixels: NDArray[np.float32], stack: Stack, nodata: float | None) -> None:
    rows, columns = stack.shape
    with rasterio.open(
        path,
        "w",
        driver="COG",
        width=columns,
        height=rows,
        count=1,
        dtype="float32",
        crs=f"EPSG:{EPSG}",
        transform=stack.transform,
        nodata=nodata,
        compress="deflate",
        overviews="none",
    ) as opened:
        opened.write(pixels, 1)


def _item(stack: Stack, name: str, collection: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
        "id": name,
        "collection": collection,
        "geometry": stack.footprint,
        "bbox": list(shapely.geometry.shape(stack.footprint).bounds),
        "properties": {
            **properties,
            "proj:epsg": EPSG,
            "proj:shape": list(stack.shape),
            "proj:transform": list(stack.transform),
        },
        "assets": {},
        "links": [],
    }


def _radar(stack: Stack, number: int, folder: Path) -> dict[str, Any]:
    when = stack.times[number]
    name = f"S1A_{when:%Y%m%dT%H%M%S}_rtc"
    properties = {
        "datetime": f"{when:%Y-%m-%dT%H:%M:%SZ}",
        "platform": "SENTINEL-1A",
        "sat:orbit_state": "descending",
        "sat:relative_orbit": stack.relative_orbit,
        "s1:slice_number": "1",
        "s1:total_slices": "1",
    }
    item = _item(stack, name, "sentinel-1-rtc", properties)
    for band, power in stack.power.items():
        file = f"{name}_{band}.tif"
        _write(folder / file, np.nan_to_num(power[number], nan=NODATA), stack, NODATA)
        details = [{"nodata": NODATA, "data_type": "float32", "spatial_resolution": 30.0}]
        item["assets"][band] = {"href": file, "roles": ["data"], "raster:bands": details}
    return item


def _elevation(stack: Stack, folder: Path) -> dict[str, Any]:
    name = "Copernicus_DSM_COG_10_N19_00_E095_00_DEM"
    _write(folder / f"{name}.tif", stack.elevation, stack, None)
    properties = {"datetime": "2021-04-22T00:00:00Z", "gsd": 30, "platform": "SRTM"}
    item = _item(stack, name, "cop-dem-glo-30", properties)
    item["assets"]["data"] = {"href": f"{name}.tif", "roles": ["data"]}
    return item
