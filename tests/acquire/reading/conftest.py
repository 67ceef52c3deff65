"""Small COGs, items that name them, and a range-request server that can be told to misbehave."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile
from rasterio.shutil import copy as copy_raster
from rasterio.warp import transform_bounds

from sarmap.acquire import reader
from sarmap.types import CatalogSettings, Pass, Passes

LEFT, TOP, STEP = 600_000.0, 4_740_000.0, 10.0
SETTINGS = CatalogSettings("tests", "http://127.0.0.1:9", trusted=True)  # local files
EVENT = dt.datetime(2018, 9, 5, 18, 8, tzinfo=dt.UTC)
DAYS = {"pre_3": 8, "pre_2": 20, "pre": 32, "post_1": 44, "post_2": 56}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries come at once, and no test remembers another's failures."""
    monkeypatch.setattr(reader, "_failures", reader._Failures())
    with dask.config.set({"sarmap.reads.backoff": 0}):
        yield


def write_cog(
    path: Path,
    pixels: Any,
    *,
    left: float = LEFT,
    top: float = TOP,
    step: float = STEP,
    crs: str = "EPSG:32654",
    nodata: float | None = -32768,
    block: int = 128,
) -> Path:
    """A tiled GeoTIFF of (y, x) or (band, y, x) pixels."""
    bands = np.atleast_3d(pixels.T).T if pixels.ndim == 2 else pixels
    profile = {
        "driver": "GTiff",
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "dtype": bands.dtype.name,
        "crs": crs,
        "transform": Affine(step, 0, left, 0, -step, top),
        "nodata": nodata,
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as made:
            made.write(bands)
        with memory.open() as made:
            copy_raster(
                made, path, driver="COG", blocksize=block, compress="DEFLATE", overviews="NONE"
            )
    return path


def make_item(
    name: str, assets: dict[str, Any], *, properties: dict[str, Any] | None = None, **changes: Any
) -> pystac.Item:
    """An item whose projection fields and footprint are read off its first existing file."""
    files = [href for href in assets.values() if isinstance(href, Path)]
    fields: dict[str, Any] = {}
    west, south, east, north = 140.0, 42.0, 143.0, 44.0
    if files:
        with rasterio.open(files[0]) as made:
            west, south, east, north = transform_bounds(made.crs, "EPSG:4326", *made.bounds)
            fields = {
                "proj:epsg": made.crs.to_epsg(),
                "proj:shape": list(made.shape),
                "proj:transform": list(made.transform),
            }
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    record: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
        "id": name,
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "links": [],
        "properties": {"datetime": "2018-09-01T08:34:00Z", **fields, **(properties or {})},
        "assets": {
            key: href if isinstance(href, dict) else {"href": str(href)}
            for key, href in assets.items()
        },
    }
    return pystac.Item.from_dict({**record, **changes})


def make_passes(
    scenes: dict[str, list[pystac.Item]], *, settings: CatalogSettings = SETTINGS, **changes: Any
) -> Passes:
    """Passes by role."""
    ones = {
        role: Pass(
            role=role,
            datetime=dt.datetime(2018, 8, 1, 8, 34, tzinfo=dt.UTC) + dt.timedelta(days=DAYS[role]),
            orbit_state="ascending",
            relative_orbit=68,
            platform="SENTINEL-1B",
            items=tuple(items),
            coverage=1.0,
        )
        for role, items in scenes.items()
    }
    return Passes(
        pre=tuple(one for role, one in ones.items() if role.startswith("pre")),
        post=tuple(one for role, one in ones.items() if role.startswith("post")),
        catalog=settings,
        event=(EVENT, EVENT),
        **changes,
    )


def make_box(
    rows: int, columns: int, *, row: float = 0, column: float = 0, step: float = STEP
) -> GeoBox:
    """A grid whose corner is offset by rows and columns of 10 m from the files' corner."""
    corner = Affine(step, 0, LEFT + column * STEP, 0, -step, TOP - row * STEP)
    return GeoBox((rows, columns), corner, "EPSG:32654")


@dataclass
class Server:
    """A file server and what it was asked."""

    url: str
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path with query, range."""
    refuse: Callable[[str, str, int], int | None] = lambda _path, _range, _count: None
    """Path, range and request number to an HTTP status to fail with."""


@pytest.fixture
def files_server(tmp_path: Path) -> Iterator[Server]:
    """Serves tmp_path by byte ranges."""
    server: Server

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            wanted = self.headers.get("Range", "")
            server.requests.append((self.command, self.path, wanted))
            status = server.refuse(self.path, wanted, len(server.requests))
            file = tmp_path / self.path.partition("?")[0].lstrip("/")
            if status is None and not file.is_file():
                status = 404
            if status is not None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = file.read_bytes()
            part = data
            if match := re.fullmatch(r"bytes=(\d+)-(\d+)", wanted):
                first, last = int(match[1]), min(int(match[2]), len(data) - 1)
                part = data[first : last + 1]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            else:
                self.send_response(200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if body:
                self.wfile.write(part)

        def log_message(self, *_: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{running.server_address[1]}")
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield server
    running.shutdown()
    running.server_close()


@pytest.fixture
def power() -> Any:
    """Speckle of known seed (300, 260), every pixel different."""
    return np.random.default_rng(7).gamma(4.4, 0.05, (300, 260)).astype(np.float32)


@pytest.fixture
def kit() -> Any:
    """The makers above, for tests that cannot import them."""
    from types import SimpleNamespace

    return SimpleNamespace(
        cog=write_cog, item=make_item, passes=make_passes, box=make_box, settings=SETTINGS
    )
