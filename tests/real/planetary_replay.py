"""Recorded Planetary Computer records, replayed at other dates, and the blobs behind them.

Records keep everything but what makes them another pass (date, id, absolute orbit) and the
address of the storage. Blobs have the records' own shape (29,015 x 21,268 px) and are sparse files:
only the blocks of a small place hold pixels.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from rasterio.windows import Window

EPSG = 32633
NODATA = -32768.0
BOUNDS = (520_000.0, 3_399_770.0, 522_560.0, 3_402_330.0)
"""The place: left, bottom, right, top in EPSG:32633, 256 x 256 px; two slices meet in it."""
SEAM = 3_401_050.0
"""Northing, metres, at which the northern slice's pixels end and the southern one's begin."""
SHARED = 20
"""Rows of pixels that both slices hold, on each side of the seam."""
_BLOB = re.compile(r"https://(?P<account>\w+)\.blob\.core\.windows\.net/")
_DAY = re.compile(r"/(\d{4})/(\d{1,2})/(\d{1,2})/")
_REPEAT = 175  # absolute orbits in 12 days


@dataclass(frozen=True)
class Replay:
    """Records as recorded, by collection."""

    scenes: list[dict[str, Any]]
    """The four scenes of one pass, 2024-04-19."""
    tiles: list[dict[str, Any]]
    """Elevation tiles, none of them near the place."""
    collections: list[dict[str, Any]]
    """Both collections."""


def read_replay(folder: Path) -> Replay:
    """The recorded records."""

    def load(name: str) -> Any:
        return json.loads((folder / name).read_text(encoding="utf-8"))

    return Replay(
        scenes=load("sentinel-1-rtc-pc.json"),
        tiles=load("cop-dem-glo-30-pc.json"),
        collections=[
            load("pc_collection_sentinel-1-rtc.json"),
            load("pc_collection_cop-dem-glo-30.json"),
        ],
    )


def place() -> tuple[float, float, float, float]:
    """The place as (west, south, east, north), degrees, within `BOUNDS` by 100 m."""
    left, bottom, right, top = BOUNDS
    inner = (left + 100, bottom + 100, right - 100, top - 100)
    west, south, east, north = transform_bounds(f"EPSG:{EPSG}", "EPSG:4326", *inner)
    return west, south, east, north


def repeat(scene: Mapping[str, Any], cycles: int) -> dict[str, Any]:
    """The same slice `cycles` repeats of 12 days later, as its record would read."""
    later = dt.timedelta(days=12 * cycles)
    record = copy.deepcopy(dict(scene))
    properties = record["properties"]
    old = dt.datetime.fromisoformat(properties["datetime"])
    text = json.dumps(record).replace(f"{old:%Y%m%dT}", f"{old + later:%Y%m%dT}")
    orbit = properties["sat:absolute_orbit"]
    text = text.replace(f"_{orbit:06d}_", f"_{orbit + _REPEAT * cycles:06d}_")
    new = old + later
    record = json.loads(_DAY.sub(f"/{new.year}/{new.month}/{new.day}/", text))
    for name in ("datetime", "start_datetime", "end_datetime"):
        stamp = str(properties[name])
        record["properties"][name] = stamp.replace(f"{old:%Y-%m-%d}", f"{new:%Y-%m-%d}")
    record["properties"]["sat:absolute_orbit"] = orbit + _REPEAT * cycles
    return dict(record)


def tile(recorded: Mapping[str, Any], south: int, west: int) -> dict[str, Any]:
    """An elevation tile's record moved to another degree square in the north and east."""
    record = copy.deepcopy(dict(recorded))
    old = re.search(r"[NS]\d\d_00_[EW]\d\d\d_00", record["id"])
    assert old is not None
    record = json.loads(json.dumps(record).replace(old[0], f"N{south:02d}_00_E{west:03d}_00"))
    step = 1 / 3600
    left, top = west - step / 2, south + 1 + step / 2
    right, bottom = left + 1, top - 1
    record["bbox"] = [left, bottom, right, top]
    ring = [[right, bottom], [right, top], [left, top], [left, bottom], [right, bottom]]
    record["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    record["properties"]["proj:shape"] = [3600, 3600]
    record["properties"]["proj:transform"] = [step, 0.0, left, 0.0, -step, top]
    return dict(record)


def readdress(record: Mapping[str, Any], storage: str) -> dict[str, Any]:
    """The record with its blobs' hrefs on another storage, the account as first folder."""
    text = json.dumps({"assets": record["assets"]})
    moved = _BLOB.sub(lambda found: f"{storage}/{found['account']}/", text)
    return {**record, **json.loads(moved)}


def blob(record: Mapping[str, Any], asset: str) -> Path:
    """Where a blob lies below the storage's folder: account/container/path."""
    href = record["assets"][asset]["href"]
    found = _BLOB.match(href)
    assert found is not None, href
    return Path(found["account"], href[found.end() :])


def backscatter(day: int, *, rows: int, columns: int) -> NDArray[np.float32]:
    """(y, x) float32 power over `BOUNDS` on a day (MMDD): smooth ground under speckle."""
    noise = np.random.default_rng(day).gamma(4.4, 1 / 4.4, (rows, columns))
    y, x = np.mgrid[:rows, :columns] / 40.0
    power: NDArray[np.float32] = (0.18 * (1 + 0.3 * np.sin(x) * np.cos(y)) * noise).astype(
        np.float32
    )
    return power


def write_scene(record: Mapping[str, Any], asset: str, pixels: Any, folder: Path) -> None:
    """The sparse blob of a slice: its side of the seam and a few rows beyond, else no data."""
    properties = record["properties"]
    transform = Affine(*properties["proj:transform"][:6])
    left, _, _, top = BOUNDS
    column, row = (round(value) for value in ~transform * (left, top))
    rows = pixels.shape[0]
    seam = round((top - SEAM) / 10)
    northern = properties["s1:slice_number"] != properties["s1:total_slices"]
    mine = np.full(pixels.shape, NODATA, np.float32)
    kept = slice(0, seam + SHARED) if northern else slice(seam - SHARED, rows)
    mine[kept] = pixels[kept]
    mine[kept.stop - 1 if northern else kept.start] = 0.0  # a border of zeros, as real slices have
    height, width = properties["proj:shape"]
    _write_sparse(
        folder / blob(record, asset),
        (height, width),
        transform,
        EPSG,
        NODATA,
        {(row, column): mine},
    )


def write_tile(record: Mapping[str, Any], folder: Path) -> None:
    """The blob of an elevation tile: hills under the place and around it, else untouched."""
    properties = record["properties"]
    transform = Affine(*properties["proj:transform"][:6])
    west, south, east, north = place()
    first, top = ~transform * (west, north)
    last, bottom = ~transform * (east, south)
    row, column = int(top) - 60, int(first) - 60
    y, x = np.mgrid[: int(bottom - top) + 120, : int(last - first) + 120]
    hills = (400 + 60 * np.sin(x / 9.0) + 45 * np.cos(y / 7.0)).astype(np.float32)
    height, width = properties["proj:shape"]
    path = folder / blob(record, "data")
    _write_sparse(path, (height, width), transform, 4326, None, {(row, column): hills})


def _write_sparse(
    path: Path,
    shape: tuple[int, int],
    transform: Affine,
    epsg: int,
    nodata: float | None,
    parts: Mapping[tuple[int, int], NDArray[np.float32]],
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=shape[0],
        width=shape[1],
        count=1,
        dtype="float32",
        crs=f"EPSG:{epsg}",
        transform=transform,
        nodata=nodata,
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="deflate",
        sparse_ok=True,
    ) as opened:
        for (row, column), pixels in parts.items():
            opened.write(pixels, 1, window=Window(column, row, pixels.shape[1], pixels.shape[0]))
