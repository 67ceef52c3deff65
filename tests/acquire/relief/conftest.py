"""Elevation tiles as files and items, and a catalogue that finds them without a network."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from sarmap.acquire import dem, reader, tiles
from sarmap.types import CatalogSettings, Pass, Passes

SETTINGS = CatalogSettings(
    "tests", "http://127.0.0.1:9", trusted=True, attribution="test elevation"
)
EVENT = dt.datetime(2018, 9, 5, 18, 8, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries come at once, and no test remembers another's failures."""
    monkeypatch.setattr(reader, "_failures", reader._Failures())
    with dask.config.set({"sarmap.reads.backoff": 0}):
        yield


def write_tile(
    path: Path,
    heights: Any,
    transform: Affine,
    crs: str = "EPSG:4326",
    nodata: float | None = None,
) -> Path:
    """A tiled GeoTIFF of heights (y, x)."""
    profile = {
        "driver": "GTiff",
        "count": 1,
        "height": heights.shape[0],
        "width": heights.shape[1],
        "dtype": "float32",
        "crs": crs,
        "transform": transform,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
    }
    with rasterio.open(path, "w", **profile) as made:
        made.write(heights.astype(np.float32), 1)
    return path


def tile_item(path: Path, **properties: Any) -> pystac.Item:
    """The item of an elevation tile, as Planetary Computer writes it."""
    from rasterio.warp import transform_bounds

    with rasterio.open(path) as made:
        west, south, east, north = transform_bounds(made.crs, "EPSG:4326", *made.bounds)
        fields = {
            "proj:epsg": made.crs.to_epsg(),
            "proj:shape": list(made.shape),
            "proj:transform": list(made.transform)[:6],
        }
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return pystac.Item.from_dict(
        {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": ["https://stac-extensions.github.io/projection/v1.0.0/schema.json"],
            "id": path.stem,
            "bbox": [west, south, east, north],
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "links": [],
            "properties": {"datetime": "2021-04-22T00:00:00Z", **fields, **properties},
            "assets": {"data": {"href": str(path)}},
        }
    )


def make_passes(
    state: str = "ascending",
    *,
    incidence: float | None = 36.0,
    azimuth: float | None = None,
    bounds: tuple[float, float, float, float] = (141.0, 42.0, 143.0, 43.5),
) -> Passes:
    """One pre and one post pass that say their geometry."""
    west, south, east, north = bounds
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    stated = {"view:incidence_angle": incidence, "view:azimuth": azimuth}
    item = pystac.Item.from_dict(
        {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": "S1",
            "bbox": list(bounds),
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "links": [],
            "properties": {
                "datetime": "2018-09-01T08:34:00Z",
                **{key: value for key, value in stated.items() if value is not None},
            },
            "assets": {},
        }
    )

    def one(role: str) -> Pass:
        return Pass(role, EVENT, state, 68, "SENTINEL-1B", (item,), 1.0)

    return Passes((one("pre"),), (one("post_1"),), SETTINGS, (EVENT, EVENT))


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makers, and `serve(items)`, which stands in for the catalogue's search."""

    def serve(items: list[pystac.Item]) -> None:
        def search(_settings: Any, place: tuple[float, ...]) -> list[pystac.Item]:
            return [item for item in items if tiles.meets(item.bbox, place)]

        monkeypatch.setattr(dem, "search_tiles", search)

    def box(rows: int, columns: int, left: float, top: float, step: float = 10.0) -> GeoBox:
        return GeoBox((rows, columns), Affine(step, 0, left, 0, -step, top), "EPSG:32654")

    return SimpleNamespace(
        tile=write_tile,
        item=tile_item,
        passes=make_passes,
        serve=serve,
        box=box,
        settings=SETTINGS,
    )
