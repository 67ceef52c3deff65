"""STAC records of the OPERA RTC-S1 files, as NASA's CMR-STAC gives them, and what the files hold.

CMR-STAC's records carry no orbit, no platform and no projection: the first two stand in the
granule's name, the third only in the file. `projected=True` adds `proj:*`, as a mirror of the
collection would have it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.warp import transform_geom

COLLECTION = "OPERA_L2_RTC-S1_V1_1"
_GRANULE = re.compile(
    r"(?P<id>OPERA_L2_RTC-S1_(?P<burst>T\d{3}-\d+-IW\d)_(?P<time>\d{8}T\d{6}Z)_\w+_(?P<platform>S1[AB])"
    r"_30_v1\.0)_(?P<polarisation>V[VH])\.tif"
)


def granules(folder: Path) -> dict[str, dict[str, Path]]:
    """Granule id -> {polarisation: file}."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for file in sorted(folder.glob("OPERA_L2_RTC-S1_*.tif")):
        name = _GRANULE.fullmatch(file.name)
        assert name is not None, file.name
        found[name["id"]][name["polarisation"]] = file
    return dict(found)


def records(folder: Path, *, projected: bool = False) -> list[dict[str, Any]]:
    """One STAC item per granule; hrefs are file names."""
    return [_record(name, files, projected) for name, files in granules(folder).items()]


def collection() -> dict[str, Any]:
    """The collection's record."""
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": COLLECTION,
        "title": "OPERA Radiometric Terrain Corrected SAR Backscatter from Sentinel-1",
        "description": "OPERA RTC-S1, 30 m, one item per burst",
        "license": "not-provided",
        "links": [],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2014-06-15T00:00:00Z", None]]},
        },
    }


def mosaic(folder: Path, day: str, polarisation: str, bounds: Any) -> NDArray[np.float32]:
    """All bursts of one day (YYYYMMDD) on the 30 m grid of `bounds`, by plain rasterio reads.

    Args: `bounds` is (left, bottom, right, top) in the files' CRS, whole multiples of 30 m.
    """
    left, bottom, right, top = bounds
    canvas = np.full((round((top - bottom) / 30), round((right - left) / 30)), np.nan, np.float32)
    for name, files in granules(folder).items():
        if f"_{day}T" not in name.split("_v1.0")[0].rsplit("_", 3)[0]:
            continue
        with rasterio.open(files[polarisation]) as opened:
            pixels = opened.read(1)
            row, column = (
                round((top - opened.bounds.top) / 30),
                round((opened.bounds.left - left) / 30),
            )
        rows = slice(max(row, 0), min(row + pixels.shape[0], canvas.shape[0]))
        columns = slice(max(column, 0), min(column + pixels.shape[1], canvas.shape[1]))
        if rows.start < rows.stop and columns.start < columns.stop:
            canvas[rows, columns] = pixels[
                rows.start - row : rows.stop - row, columns.start - column : columns.stop - column
            ]
    return canvas


def _record(name: str, files: dict[str, Path], projected: bool) -> dict[str, Any]:
    granule = _GRANULE.fullmatch(files["VV"].name)
    assert granule is not None
    start = dt.datetime.strptime(granule["time"], "%Y%m%dT%H%M%SZ")
    with rasterio.open(files["VV"]) as opened:
        crs, transform, shape, bounds = opened.crs, opened.transform, opened.shape, opened.bounds
    ring = shapely.geometry.mapping(shapely.box(*bounds))
    geometry = transform_geom(crs, "EPSG:4326", ring, precision=7)
    assets = {
        f"0_{polarisation}": {
            "href": file.name,
            "title": "Direct Download",
            "description": f"Download {file.name}",
            "roles": ["data"],
        }
        for polarisation, file in sorted(files.items())
    }
    properties: dict[str, Any] = {
        "datetime": f"{start:%Y-%m-%dT%H:%M:%S}.000Z",
        "start_datetime": f"{start:%Y-%m-%dT%H:%M:%S}.000Z",
        "end_datetime": f"{start + dt.timedelta(seconds=3):%Y-%m-%dT%H:%M:%S}.000Z",
    }
    if projected:
        properties |= {
            "proj:epsg": crs.to_epsg(),
            "proj:transform": list(transform)[:6],
            "proj:shape": list(shape),
        }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
        "id": name,
        "collection": COLLECTION,
        "geometry": geometry,
        "bbox": list(shapely.geometry.shape(geometry).bounds),
        "properties": properties,
        "assets": assets,
        "links": [],
    }
