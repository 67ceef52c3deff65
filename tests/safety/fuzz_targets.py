"""What is fuzzed, and with what: used by Hypothesis in the tests and by atheris in `tools/fuzz.py`.

A target takes something that draws (`choice`, `integer`, `text`) and does what sarmap would do with
the input up to the first read. It may raise sarmap's own errors and nothing else; it may not write,
connect or start anything (`watched` sees to that), nor take for ever.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import json
import os
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

from affine import Affine

from sarmap.errors import SarmapError

SECONDS = 20
"""Seconds of the processor that one input may take."""
WAITING = 15
"""How much longer it may take by the clock: machines are busy."""

WORDS = [
    *(None, True, False, 0, -1, 1, 2, 0.5, 1e308, -1e308, 1e-300, float("nan"), float("inf")),
    *(10**30, 10**400, 2**31, -(2**63), 68, 32654, 4326, 999_999),
    *("", " ", "\x00", "a" * 5000, "\ud800", "\u0664\u0662", "é", "nan", "inf", "1e400", "0"),
    *("/etc/passwd", "../../x", "~/x", "file:///etc/passwd", "/dev/zero", ".", "/", "~nobody/x"),
    *("http://169.254.169.254/", "http://127.0.0.1/", "http://[", "https://8.8.8.8/a.tif?sig=s"),
    *("s3://b/k", "/vsicurl/http://127.0.0.1/", "a.tif", "http://e.org:99999999/", "http://\ud800"),
    *("ascending", "descending", "both", "sentinel-1-rtc", "planetary-computer", "vv", "vh"),
    *("EPSG:32654", "EPSG:4326", "EPSG:0", "+proj=utm", "WGS84", "PROJCRS[", "32654"),
    *("2018-09-05T18:08:00Z", "2018-09-05", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"),
    *("2018-13-01", "2018-09-05T18:08:00Z/2018-09-06", "2018-09-05/2017-01-01", "infinity"),
    *("cog", "geopackage", "points", "item", "all", "log-ratio", "BAA_S", "2.5GB", "-1GB", "1e999"),
    *("Polygon", "MultiPolygon", "Point", "GeometryCollection", "Feature", "FeatureCollection"),
    *([], {}, [[]], [None], {"type": "Polygon"}, [1, 2, 3, 4], [141.8, 42.6, 142.1, 42.9]),
    *([[0, 0], [1, 1]], ["a", "b"], {"a": 1}, [1e308] * 4, [[[0, 0], [0, 1], [1, 1], [0, 0]]]),
]
"""Values that have made programs stumble."""

RING = [[141.0, 42.0], [143.0, 42.0], [143.0, 43.5], [141.0, 43.5], [141.0, 42.0]]
AREA = {"type": "Polygon", "coordinates": [RING]}
ITEM: dict[str, Any] = {
    "type": "Feature",
    "stac_version": "1.0.0",
    "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
    "id": "S1B_IW_GRDH_1SDV_20180901T083400_rtc",
    "collection": "sentinel-1-rtc",
    "bbox": [141.0, 42.0, 143.0, 43.5],
    "geometry": AREA,
    "links": [{"rel": "self", "href": "https://8.8.8.8/items/a"}],
    "assets": {
        "vv": {
            "href": "https://8.8.8.8/a/vv.tif",
            "roles": ["data"],
            "raster:bands": [{"nodata": -32768, "scale": 1, "offset": 0}],
        },
        "vh": {"href": "https://8.8.8.8/a/vh.tif", "bands": [{"nodata": "nan"}]},
    },
    "properties": {
        "datetime": "2018-09-01T08:34:00Z",
        "start_datetime": "2018-09-01T08:34:00Z",
        "platform": "SENTINEL-1B",
        "sat:orbit_state": "ascending",
        "sat:relative_orbit": 68,
        "s1:slice_number": "12",
        "updated": "2018-09-02T00:00:00Z",
        "proj:epsg": 32654,
        "proj:bbox": [500000.0, 4650000.0, 700000.0, 4850000.0],
        "proj:shape": [20000, 20000],
        "proj:transform": [10.0, 0.0, 500000.0, 0.0, -10.0, 4850000.0, 0.0, 0.0, 1.0],
    },
}
REQUEST: dict[str, Any] = {
    "area": [141.83, 42.58, 142.14, 42.89],
    "event": "2018-09-05T18:08:00Z",
    "catalog": {
        "preset": "planetary-computer",
        "url": "https://8.8.8.8/v1",
        "radar_assets": {"vv": "vv", "vh": "vh"},
        "optical_assets": {"red": ["B04", 1]},
        "id_pattern": "S1(?P<platform>[AB])",
        "signing": "planetary-computer",
        "trusted": False,
    },
    "orbit": "ascending",
    "detector": "log-ratio",
    "composite": "BAA_S",
    "out": "map.zarr",
    "pre": 1,
    "post": 2,
    "before_days": 60,
    "crs": "EPSG:32654",
    "resolution": 10,
    "overlap": 0,
    "threshold": 0.5,
    "min_area": 100,
    "chunk": 512,
    "engine": "auto",
    "precision": "f32",
    "memory": "2.5GB",
    "products": ["cog", "item"],
    "overwrite": False,
    "strict": True,
}


class Draw(Protocol):
    """Where a target's input comes from."""

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high."""
        ...

    def text(self) -> str:
        """Some text."""
        ...


def choice(draw: Draw, options: Any) -> Any:
    """One of several."""
    return options[draw.integer(0, len(options) - 1)]


def value(draw: Draw, depth: int = 0) -> Any:
    """Some JSON value; every so often a mad one."""
    kind = draw.integer(0, 9)
    if kind < 6:
        return copy.deepcopy(choice(draw, WORDS))
    if kind == 6:
        return draw.text()
    if kind == 7:
        return draw.integer(-(2**40), 2**40) / 2 ** draw.integer(0, 40)
    if depth > 2:
        return None
    size = draw.integer(0, 4)
    if kind == 8:
        return [value(draw, depth + 1) for _ in range(size)]
    return {draw.text(): value(draw, depth + 1) for _ in range(size)}


def mutated(record: Any, draw: Draw) -> Any:
    """A copy of a record with some of its values dropped, swapped or made up."""
    changed = copy.deepcopy(record)
    for _ in range(draw.integer(1, 4)):
        places = list(_places(changed))
        if not places:
            return value(draw)
        parent, key = choice(draw, places)
        action = draw.integer(0, 9)
        if action == 0:
            del parent[key]
        elif action == 1:
            other, its = choice(draw, places)
            with contextlib.suppress(KeyError, IndexError):
                parent[key] = copy.deepcopy(other[its])
        elif action == 2 and isinstance(parent, dict):
            parent[draw.text()] = value(draw)
        else:
            parent[key] = value(draw)
    return changed


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a nested record."""
    keys = list(node) if isinstance(node, dict) else range(len(node))
    for key in keys:
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])


def fuzz_request(draw: Draw, folder: Path) -> None:
    """A request file: read, checked, and turned into what a map would start from."""
    from sarmap.request_file import make_request, read_request_file

    suffix = choice(draw, (".yaml", ".toml", ".yml", ".json"))
    file = folder / f"request{suffix}"
    with aside():
        file.write_text(_request_text(draw, suffix), encoding="utf-8", errors="surrogatepass")
    fields = read_request_file(file)
    _begin(make_request(fields), folder)


def _request_text(draw: Draw, suffix: str) -> str:
    if draw.integer(0, 3) == 0:
        return draw.text()
    record = mutated(REQUEST, draw)
    if suffix != ".toml":
        return json.dumps(record)
    if not isinstance(record, dict):
        return str(record)
    return "".join(f"{key} = {json.dumps(one)}\n" for key, one in record.items())


def _begin(request: Any, folder: Path) -> None:
    """What a map does of a request before it asks the catalogue."""
    from sarmap.acquire.area import parse_area
    from sarmap.acquire.catalogs import resolve_catalog
    from sarmap.acquire.grid import make_grid
    from sarmap.acquire.instants import parse_event
    from sarmap.compose.names import composite_bands
    from sarmap.export.products import product_files
    from sarmap.net.reach import reach_of
    from sarmap.prepared import memory_limit

    steps: list[Callable[[], Any]] = [
        lambda: reach_of(resolve_catalog(request.catalog, trusted=request.trust_catalog)),
        lambda: parse_event(request.event),
        lambda: parse_area(request.area),
        lambda: make_grid(request.area, crs=request.crs, resolution=request.resolution),
        lambda: request.composite is None or composite_bands(request.composite),
        lambda: memory_limit(request, 8 * 10**9),
        lambda: _stay_beside(
            product_files(request.products, str(folder / "map.zarr")).values(), folder
        ),
    ]
    for step in steps:
        with contextlib.suppress(SarmapError):
            step()


def _stay_beside(files: Any, folder: Path) -> None:
    for file in files:
        if not Path(file).resolve().is_relative_to(folder.resolve()):
            raise AssertionError(f"a product outside the folder: {file}")


def fuzz_item(draw: Draw, folder: Path) -> None:
    """STAC items: read, paired, checked, laid over a grid, and told of in a map's attributes."""
    import numpy as np
    import shapely
    from odc.geo.geobox import GeoBox

    from sarmap.acquire.cube import open_cube
    from sarmap.acquire.pairing import choose, group_passes, tracks_of
    from sarmap.acquire.scenes import is_simulated, read_scene
    from sarmap.store.provenance import public_attributes
    from sarmap.types import CatalogSettings, Passes

    settings = CatalogSettings(
        "fuzz",
        "https://8.8.8.8/v1",
        orbit_state_from_time=draw.integer(0, 1) == 1,
        id_pattern=choice(draw, (None, r"(?P<platform>S1[AB])_(?P<relative_orbit>\d+)")),
    )
    event = dt.datetime(2018, 9, 5, 18, 8, tzinfo=dt.UTC)
    records = []
    for number, day in enumerate(("09-01", "09-13", "09-25")):
        record = copy.deepcopy(ITEM)
        record["id"] += f"_{number}"
        record["properties"]["datetime"] = f"2018-{day}T08:34:00Z"
        records.append(record)
    place = draw.integer(0, len(records) - 1)
    records[place] = mutated(records[place], draw)
    scenes = [read_scene(record, settings) for record in records]
    for scene in scenes:
        is_simulated(scene.item)
    tracks = tracks_of(group_passes(scenes, shapely.box(141.83, 42.58, 142.14, 42.89)))
    chosen = choose(tracks, (event, event), pre=1, post=2)
    if chosen is None:
        return
    grid = GeoBox((64, 64), Affine(10, 0, 600_000, 0, -10, 4_740_000), "EPSG:32654")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        passes = Passes(chosen.pre, chosen.post, settings, (event, event))
        if not passes.pre or not passes.post:
            return
        with _no_file():
            cube = open_cube(passes, grid, bands=("vv", "vh"), chunk=64)
    assert cube["vv"].shape[1:] == (64, 64)
    assert np.dtype(cube["vv"].dtype) == np.float32
    json.dumps(public_attributes(cube.attrs))


def _no_file() -> Any:
    """No header of a file is asked for: records are what is tried."""
    return mock.patch("sarmap.acquire.header._read_place", return_value=None)


def fuzz_elevation(draw: Draw, folder: Path) -> None:
    """Elevation items: laid under a grid and made ready to be read."""
    from odc.geo.geobox import GeoBox

    from sarmap.acquire import dem, tiles
    from sarmap.acquire.scenes import read_item
    from sarmap.types import CatalogSettings

    record = copy.deepcopy(ITEM)
    record["assets"] = {"data": record["assets"]["vv"]}
    record["properties"] |= {
        "proj:epsg": 4326,
        "proj:shape": [3600, 3600],
        "proj:transform": [1 / 3600, 0, 141.0, 0, -1 / 3600, 43.0, 0, 0, 1],
    }
    items = [read_item(mutated(record, draw)), read_item(record)]
    settings = CatalogSettings("fuzz", "https://8.8.8.8/v1")
    grid = GeoBox((64, 64), Affine(10, 0, 600_000, 0, -10, 4_740_000), "EPSG:32654")
    with _no_file(), mock.patch("sarmap.acquire.tiles.pin_files"):
        sources, _ = tiles.tile_sources(items, settings, dem.make_signer(settings))
    groups = tiles.in_groups(sources)
    resolution = tiles.mother_resolution(groups[0][0])
    surface = dem.Dem(groups, 32654, resolution, dem.make_signer(settings))
    assert 0 < surface.resolution < 1e6
    for group in groups:
        lattice = group[0].transform
        assert lattice is not None
        # What one cell takes in memory follows from these two alone.
        assert dem.CELL * surface.resolution / tiles._metres(group[0]) < 10_000
    tiles.meets(items[0].bbox, tiles.bbox_of(grid, 100.0))


def fuzz_geometry(draw: Draw, folder: Path) -> None:
    """Places: a box, GeoJSON as mapping or text, anything."""
    from sarmap.acquire.grid import make_grid

    kind = draw.integer(0, 5)
    if kind == 0:
        area: Any = [value(draw) for _ in range(draw.integer(0, 6))]
    elif kind == 1:
        area = draw.text()
    elif kind == 2:
        area = {"type": "Feature", "properties": {}, "geometry": mutated(AREA, draw)}
    elif kind == 3:
        feature = {"type": "Feature", "geometry": AREA}
        area = mutated({"type": "FeatureCollection", "features": [feature, feature]}, draw)
    elif kind == 4:
        area = json.dumps(mutated(AREA, draw))
    else:
        area = _moved(draw)
    made = make_grid(area, resolution=choice(draw, (10, 10, 30, 0.1, value(draw))))
    assert 0 < made.shape[0] <= 200_000
    assert 0 < made.shape[1] <= 200_000


def _moved(draw: Draw) -> Any:
    """A ring of made-up corners."""
    ring = [
        [draw.integer(-400, 400) / choice(draw, (1, 2, 10)), draw.integer(-100, 100)]
        for _ in range(draw.integer(0, 8))
    ]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]] if ring else ring]}


TARGETS: dict[str, Callable[[Draw, Path], None]] = {
    "request": fuzz_request,
    "item": fuzz_item,
    "elevation": fuzz_elevation,
    "geometry": fuzz_geometry,
}
"""Name -> what is done with an input."""


class Hung(BaseException):
    """An input took too long. Not an Exception: no code under test may swallow it."""


class Forbidden(BaseException):
    """Code under test wrote, connected or started something."""


@dataclass
class _Watch:
    """What code under test may do now."""

    on: bool = False
    installed: bool = False


_watch = _Watch()
_STARTED = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")
_CHANGED = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod")


def _audit(name: str, arguments: tuple[Any, ...]) -> None:
    if not _watch.on:
        return
    if name in _STARTED or name in _CHANGED:
        raise Forbidden(f"{name} {arguments[:1]!r}")
    if name == "open" and isinstance(arguments[2], int):
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        if arguments[2] & writes:
            raise Forbidden(f"open for writing {arguments[0]!r}")


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """What the harness itself does, such as writing its own files, is not the code under test's."""
    before, _watch.on = _watch.on, False
    try:
        yield
    finally:
        _watch.on = before


def _resolve_numbers(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    """Addresses only: no name is asked for while fuzzing."""
    options.pop("flags", None)
    return _getaddrinfo(host, port, *arguments, flags=socket.AI_NUMERICHOST, **options)


_getaddrinfo = socket.getaddrinfo


@contextlib.contextmanager
def watched() -> Iterator[Path]:
    """A folder to work in, while nothing may be written, connected, started or take too long."""
    if not _watch.installed:
        sys.addaudithook(_audit)
        _watch.installed = True
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="sarmap-fuzz-") as folder:
        os.chdir(folder)
        socket.getaddrinfo = _resolve_numbers
        try:
            yield Path(folder)
        finally:
            socket.getaddrinfo = _getaddrinfo
            os.chdir(before)


def _on_alarm(_signal: int, _frame: Any) -> None:
    raise Hung(f"more than {SECONDS} s")


def try_input(target: Callable[[Draw, Path], None], draw: Draw, folder: Path) -> str:
    """Run one input: 'accepted' or 'refused'; anything else is raised.

    Raises
    ------
    Hung, Forbidden, Exception
        What no input may bring about.
    """
    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, SECONDS),
        signal.SIGALRM: (signal.ITIMER_REAL, WAITING * SECONDS),
    }
    previous = {number: signal.signal(number, _on_alarm) for number in timers}
    for timer, seconds in timers.values():
        signal.setitimer(timer, seconds)
    _watch.on = True
    try:
        target(draw, folder)
        return "accepted"
    except SarmapError:
        return "refused"
    finally:
        _watch.on = False
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, previous[number])
