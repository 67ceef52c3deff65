"""Item records shaped like Planetary Computer's, and STAC APIs on loopback that serve them."""

from __future__ import annotations

import copy
import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

IBURI = (141.84, 42.60, 142.13, 42.88)
EVENT = "2018-09-05T18:08:00Z"
CORE = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
]
FILTER = "https://api.stacspec.org/v1.0.0/item-search#filter"
QUERY = "https://api.stacspec.org/v1.0.0/item-search#query"


def ring(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A GeoJSON rectangle."""
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [corners]}


def radar_record(
    when: str,
    track: int = 68,
    state: str = "ascending",
    *,
    platform: str = "SENTINEL-1B",
    bounds: tuple[float, float, float, float] = (141.0, 42.0, 143.0, 43.5),
    suffix: str = "",
    **properties: Any,
) -> dict[str, Any]:
    """A sentinel-1-rtc item record; `properties` override, and None removes one."""
    stamp = when.replace("-", "").replace(":", "")[:15]
    record = {
        "id": f"S1{platform[-1]}_IW_GRDH_1SDV_{stamp}_{track:03d}{suffix}_rtc",
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/sat/v1.0.0/schema.json"],
        "collection": "sentinel-1-rtc",
        "bbox": list(bounds),
        "geometry": ring(*bounds),
        "links": [],
        "assets": {
            band: {"href": f"http://127.0.0.1:9/{stamp}{suffix}/{band}.tif", "roles": ["data"]}
            for band in ("vv", "vh")
        },
        "properties": {
            "datetime": f"{when}Z",
            "platform": platform,
            "sat:orbit_state": state,
            "sat:relative_orbit": track,
            "s1:slice_number": "12",
            "proj:epsg": 32654,
            "proj:shape": [100, 100],
            "proj:transform": [10.0, 0.0, 560000.0, 0.0, -10.0, 4750000.0, 0.0, 0.0, 1.0],
            **properties,
        },
    }
    record["properties"] = {k: v for k, v in record["properties"].items() if v is not None}
    if "datetime" not in record["properties"]:
        record["properties"]["datetime"] = None
    return record


def two_slices(when: str, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    """A pass over Iburi in two overlapping slices, 25 s apart."""
    later = dt.datetime.fromisoformat(when) + dt.timedelta(seconds=25)
    return [
        radar_record(when, *args, bounds=(141.0, 42.0, 143.0, 42.75), **kwargs),
        radar_record(later.isoformat(), *args, bounds=(141.0, 42.70, 143.0, 43.5), **kwargs),
    ]


def iburi_records() -> list[dict[str, Any]]:
    """Both orbits around the event in slices, and a decoy orbit over a third of the place."""
    records = []
    for day in ("08-08", "08-20", "09-01", "09-13", "09-25"):
        records += two_slices(f"2018-{day}T08:34:00")
    for day in ("08-11", "08-23", "09-04", "09-16", "09-28"):
        records += two_slices(f"2018-{day}T20:42:00", 46, "descending")
    for day in ("08-25", "09-06", "09-18"):
        records.append(
            radar_record(f"2018-{day}T08:26:00", 141, bounds=(141.0, 42.0, 141.94, 43.5))
        )
    return records


def optical_record(when: str, cloud: Any, *, tile: str = "54TWN", **more: Any) -> dict[str, Any]:
    """A sentinel-2-l2a item record."""
    record = radar_record(when, platform="Sentinel-2A", suffix=tile, **more)
    record["id"] = f"S2A_{when}_{tile}"
    record["collection"] = "sentinel-2-l2a"
    record["assets"] = {band: {"href": f"{band}.tif"} for band in ("B04", "B03", "B02")}
    record["properties"] |= {"eo:cloud_cover": cloud, "s2:mgrs_tile": tile}
    return record


def collection_record(name: str = "sentinel-1-rtc") -> dict[str, Any]:
    """A collection record."""
    return {
        "id": name,
        "type": "Collection",
        "stac_version": "1.0.0",
        "description": name,
        "license": "proprietary",
        "links": [],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2014-10-10T00:00:00Z", None]]},
        },
    }


class FakeApi:
    """A small STAC API in this process: paging, and the Filter and Query extensions at will."""

    def __init__(self, records: list[dict[str, Any]], conformance: list[str], page: int = 1000):
        self.records = records
        self.conformance = conformance
        self.page = page
        self.searches: list[dict[str, Any]] = []
        self.status = 200
        self.url = ""

    def landing(self) -> dict[str, Any]:
        search = {"rel": "search", "href": f"{self.url}/search", "type": "application/geo+json"}
        return {
            "id": "fake",
            "type": "Catalog",
            "stac_version": "1.0.0",
            "description": "fake",
            "conformsTo": self.conformance,
            "links": [
                {"rel": "root", "href": self.url},
                {"rel": "data", "href": f"{self.url}/collections"},
                {**search, "method": "GET"},
                {**search, "method": "POST"},
            ],
        }

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        self.searches.append(body)
        found = [record for record in self.records if self._matches(record, body)]
        start, count = body.get("skip", 0), min(body.get("limit", 10), self.page)
        links = []
        if start + count < len(found):
            links = [
                {
                    "rel": "next",
                    "href": f"{self.url}/search",
                    "method": "POST",
                    "body": body | {"skip": start + count},
                }
            ]
        page = copy.deepcopy(found[start : start + count])
        return {"type": "FeatureCollection", "features": page, "links": links}

    def _matches(self, record: dict[str, Any], body: dict[str, Any]) -> bool:
        if record["collection"] not in body.get("collections", [record["collection"]]):
            return False
        if "bbox" in body:
            w, s, e, n = body["bbox"]
            west, south, east, north = record["bbox"]
            if west > e or east < w or south > n or north < s:
                return False
        if "datetime" in body and record["properties"].get("datetime"):
            first, last = body["datetime"].split("/")
            if not first <= record["properties"]["datetime"] <= last:
                return False
        if "filter" in body:
            whole = body["filter"]
            clauses = whole["args"] if whole["op"] == "and" else [whole]
            return all(
                record["properties"].get(clause["args"][0]["property"]) == clause["args"][1]
                for clause in clauses
            )
        if "query" in body:
            return all(
                record["properties"].get(name) == want["eq"] for name, want in body["query"].items()
            )
        return True


def _handler(api: FakeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self, record: Any) -> None:
            payload = json.dumps(record).encode()
            self.send_response(api.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def do_GET(self) -> None:
            if self.path.startswith("/collections"):
                names = sorted({record["collection"] for record in api.records})
                self._answer({"collections": [collection_record(n) for n in names], "links": []})
            else:
                self._answer(api.landing())

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            self._answer(api.search(json.loads(self.rfile.read(length))))

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def fake_api(
    records: list[dict[str, Any]], extensions: tuple[str, ...] = (), page: int = 1000
) -> Iterator[FakeApi]:
    """Serve records from this process until the block ends."""
    api = FakeApi(records, [*CORE, *extensions], page)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Stac:
    """The builders above, for tests: conftest modules cannot be imported by name."""

    area = IBURI
    event = EVENT
    filter = FILTER
    query = QUERY
    radar = staticmethod(radar_record)
    slices = staticmethod(two_slices)
    iburi = staticmethod(iburi_records)
    optical = staticmethod(optical_record)
    collection = staticmethod(collection_record)
    ring = staticmethod(ring)


@pytest.fixture(scope="session")
def stac() -> type[Stac]:
    """Builders of item records."""
    return Stac


@pytest.fixture
def api() -> Callable[..., AbstractContextManager[FakeApi]]:
    """`with api(records, extensions, page) as fake:` a STAC API in this process."""
    return fake_api


@pytest.fixture(scope="module")
def rustac(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real STAC API (rustac, without Filter or Query) with the Iburi records."""
    from sarmap.simulate.serve import serve_catalog

    files: Path = tmp_path_factory.mktemp("files")
    records = [
        *iburi_records(),
        optical_record("2018-09-20T01:26:00", 80.0),
        optical_record("2018-10-20T01:26:00", 0.5),
        optical_record("2018-10-25T01:26:00", "0.5"),
    ]
    collections = [collection_record(), collection_record("sentinel-2-l2a")]
    with serve_catalog(records, collections, files) as served:
        yield served.url
