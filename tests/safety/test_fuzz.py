"""Inputs that strangers may write: accepted, or refused in a sentence; nothing else, in any way.

`tools/fuzz.py` runs the same targets for as long as one likes; what it found stands here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sarmap.acquire.area import parse_area
from sarmap.acquire.catalogs import resolve_catalog
from sarmap.acquire.grid import make_grid
from sarmap.acquire.instants import parse_event
from sarmap.acquire.scenes import read_scene
from sarmap.acquire.source import item_source
from sarmap.errors import RequestError, SarmapError
from sarmap.net.reach import Reach
from sarmap.types import CatalogSettings

SETTINGS = CatalogSettings("fuzz", "https://8.8.8.8/v1")


@pytest.fixture(scope="module")
def targets(fuzz_targets: ModuleType) -> ModuleType:
    return fuzz_targets


@pytest.fixture(scope="module")
def folder(targets: ModuleType) -> Iterator[Path]:
    """A folder to work in, while nothing may be written, connected or started."""
    with targets.watched() as place:
        yield place


class Drawn:
    """Draws from Hypothesis, which keeps files of its own."""

    def __init__(self, data: Any, targets: ModuleType) -> None:
        self.data = data
        self.aside = targets.aside

    def integer(self, low: int, high: int) -> int:
        with self.aside():
            return int(self.data.draw(st.integers(low, high)))

    def text(self) -> str:
        with self.aside():
            return str(self.data.draw(st.text(max_size=20)))


@pytest.mark.parametrize(
    ("name", "tries"), [("request", 200), ("item", 200), ("elevation", 50), ("geometry", 200)]
)
def test_any_input_is_accepted_or_refused_in_a_sentence(
    name: str, tries: int, targets: ModuleType, folder: Path
) -> None:
    @settings(max_examples=tries, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def try_one(data: Any) -> None:
        targets.try_input(targets.TARGETS[name], Drawn(data, targets), folder)

    try_one()


class TestTheHarness:
    """It notices what it is there for."""

    @pytest.mark.parametrize(
        "act",
        [
            lambda folder: (folder / "x").write_text("x"),
            lambda folder: (folder / "x").mkdir(),
            lambda folder: __import__("subprocess").run(["true"], check=False),
            lambda folder: __import__("socket").create_connection(("127.0.0.1", 9), 1),
        ],
        ids=["write", "mkdir", "start", "connect"],
    )
    def test_what_is_forbidden(
        self, act: Callable[[Path], Any], targets: ModuleType, folder: Path
    ) -> None:
        with pytest.raises(targets.Forbidden):
            targets.try_input(lambda _draw, place: act(place), None, folder)

    def test_what_hangs(
        self, targets: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(targets, "SECONDS", 0.2)

        def hang(_draw: Any, _folder: Path) -> None:
            while True:
                try:
                    sum(range(1000))
                except Exception:
                    continue

        with pytest.raises(targets.Hung):
            targets.try_input(hang, None, folder)

    def test_what_crashes(self, targets: ModuleType, folder: Path) -> None:
        with pytest.raises(ZeroDivisionError):
            targets.try_input(lambda _draw, _folder: 1 / 0, None, folder)

    def test_what_is_refused(self, targets: ModuleType, folder: Path) -> None:
        def refuse(_draw: Any, _folder: Path) -> None:
            raise SarmapError("no")

        assert targets.try_input(refuse, None, folder) == "refused"


def changed(record: Any, path: str, value: Any) -> Any:
    """A record with one value replaced."""
    whole = copy.deepcopy(record)
    *parents, last = path.split("/")
    node = whole
    for key in parents:
        node = node[key]
    node[last] = value
    return whole


HUGE = 10**400

FOUND_ITEMS = [
    ("type", "Polygon"),
    ("id", None),
    ("id", ["a"]),
    ("id", ""),
    ("bbox", 1.5),
    ("bbox", ["all", 0, 1, 1]),
    ("bbox", [[]]),
    ("bbox", [HUGE, 0, 1, 1]),
    ("bbox", [0, 0, 1]),
    ("geometry", {"type": "baa_s", "coordinates": []}),
    ("geometry", {"type": "Polygon", "coordinates": [[[HUGE, 0], [1, 1], [2, 2], [HUGE, 0]]]}),
    ("geometry", {"type": "GeometryCollection", "geometries": []}),
    ("properties/datetime", "0001-01-01T00:00:00+14:00"),
    ("properties/sat:relative_orbit", float("inf")),
    ("properties/sat:relative_orbit", HUGE),
    ("properties", []),
    ("assets", []),
    ("assets/vv/href", None),
    ("assets/vv/href", ["a"]),
    ("assets/vv/href", "http://["),
]


@pytest.mark.parametrize(("path", "value"), FOUND_ITEMS)
def test_items_that_were_found_to_crash(path: str, value: Any, targets: ModuleType) -> None:
    record = changed(targets.ITEM, path, value)
    if path == "geometry":  # a footprint that cannot be read stands back behind the bbox
        assert read_scene(record, SETTINGS).footprint.bounds == (141.0, 42.0, 143.0, 43.5)
        return
    with pytest.raises(RequestError, match=r"item|Item"):
        item_source(read_scene(record, SETTINGS).item, "vv", setting="radar_assets", reach=Reach())


FOUND_FIELDS = [
    ("properties/proj:epsg", "SENTINEL-1B"),
    ("properties/proj:epsg", HUGE),
    ("properties/proj:epsg", {}),
    ("properties/proj:code", "EPSG:~/x"),
    ("properties/proj:code", "EPSG:a:b"),
    ("properties/proj:code", [1]),
    ("properties/proj:shape", [1]),
    ("properties/proj:shape", ["\x00", 1]),
    ("properties/proj:shape", [{}, 1]),
    ("properties/proj:transform", [1, 2]),
    ("properties/proj:transform", ["http://[", 0, 0, 0, 0, 0]),
    ("properties/proj:transform", 7.5),
    ("properties/proj:transform", [HUGE, 0, 0, 0, 0, 0]),
]


@pytest.mark.parametrize(("path", "value"), FOUND_FIELDS)
def test_projection_fields_that_were_found_to_crash_are_not_believed(
    path: str, value: Any, targets: ModuleType
) -> None:
    record = changed(targets.ITEM, path, value)
    item = read_scene(record, SETTINGS).item
    source = item_source(item, "vv", setting="radar_assets", reach=Reach())
    assert source.doubt
    assert not source.placed


FOUND_BANDS = [
    ("assets/vv/raster:bands", 5),
    ("assets/vv/raster:bands", ["a"]),
    ("assets/vv/raster:bands", [{"nodata": [1]}]),
    ("assets/vv/raster:bands", [{"scale": "both"}]),
]


@pytest.mark.parametrize(("path", "value"), FOUND_BANDS)
def test_band_fields_that_were_found_to_crash(path: str, value: Any, targets: ModuleType) -> None:
    record = changed(targets.ITEM, path, value)
    item = read_scene(record, SETTINGS).item
    with pytest.raises(RequestError, match=item.id):
        item_source(item, "vv", setting="radar_assets", reach=Reach())


@pytest.mark.parametrize(
    "area",
    [
        "a" * 5000,
        "~no-such-user/x",
        "~a\x00b/x",
        "a\x00b",
        [HUGE, 0, 1, 1],
        {"type": "\ud800", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[HUGE, 0], [1, 1], [2, 2], [HUGE, 0]]]},
        {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[1, 1]] * 2}}
            ]
            * 2,
        },
    ],
)
def test_places_that_were_found_to_crash(area: Any) -> None:
    with pytest.raises(RequestError):
        parse_area(area)


def test_names_that_were_found_to_crash() -> None:
    with pytest.raises(RequestError, match="crs"):
        make_grid((142.0, 42.7, 142.01, 42.71), crs="\ud800")


def test_a_bbox_of_text_is_a_bbox_of_numbers(targets: ModuleType) -> None:
    record = changed(targets.ITEM, "bbox", ["141", "42", "143", "43.5"])
    assert read_scene(record, SETTINGS).item.bbox == [141.0, 42.0, 143.0, 43.5]


def test_numbers_that_were_found_to_crash() -> None:
    from sarmap.prepared import memory_limit
    from sarmap.types import MapRequest

    wild = MapRequest(area=(1, 1, 2, 2), event="2018-09-05", memory="1e999")
    with pytest.raises(RequestError, match="memory"):
        memory_limit(wild, 10**9)
    with pytest.raises(RequestError, match="resolution"):
        make_grid((142.0, 42.7, 142.01, 42.71), resolution=HUGE)
    with pytest.raises(RequestError):
        resolve_catalog("http://[")
    with pytest.raises(RequestError):
        resolve_catalog({"url": "http://["})
    with pytest.raises(RequestError):
        parse_event("0001-01-01T00:00:00+14:00")
    with pytest.raises(RequestError, match="preset"):
        resolve_catalog({"preset": ["planetary-computer"]})
