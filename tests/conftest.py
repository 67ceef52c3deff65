"""What tests of several rooms share: the real data, and one small simulated event."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

# A busy machine is slow now and then; no test here is about time.
settings.register_profile("sarmap", deadline=None)
settings.load_profile("sarmap")

ROOT = Path(__file__).resolve().parent.parent


def load_module(room: str, name: str) -> ModuleType:
    """The module tests/<room>/<name>.py; pytest's importlib mode puts no folder on the path."""
    full = f"sarmap_tests_{room}_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, ROOT / "tests" / room / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


@pytest.fixture(scope="session")
def load_helper() -> Callable[[str, str], ModuleType]:
    """`load_helper(room, name)`: a helper module that stands in a room's folder of tests."""
    return load_module


@pytest.fixture(scope="session")
def fault_proxy() -> ModuleType:
    """A server before real files that fails as it is told; see tests/faults/fault_proxy.py."""
    return load_module("faults", "fault_proxy")


# Real parts for every room.
_services = load_module("services", "fixtures")
processes, slim_python = _services.processes, _services.slim_python
database, stac_api = _services.database, _services.stac_api
nginx, s3_server, s3 = _services.nginx, _services.s3_server, _services.s3
start_dask, local_workers = _services.start_dask, _services.local_workers


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real measurements; tests that need it skip, saying so, where it is absent."""
    folder = Path(os.environ.get("SARMAP_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real data absent: set SARMAP_REAL_DATA or keep it at ../shared/data")
    return folder


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one parallel run see."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def made_once(shared_folder: Path) -> Callable[[str, Callable[[Path], Any]], Path]:
    """`made_once(name, make)`: a folder that the first process to ask makes, for all of them."""
    from filelock import FileLock

    def folder(name: str, make: Callable[[Path], Any]) -> Path:
        place = shared_folder / name
        with FileLock(shared_folder / f"{name}.lock"):
            if not place.exists():
                make(place)
        return place

    return folder


@pytest.fixture(scope="session")
def simulated(made_once: Callable[[str, Callable[[Path], Any]], Path]) -> Callable[..., Any]:
    """`simulated(name, seed=..., ...)`: a simulated event to read from, made once."""
    from sarmap.simulate.event import open_event, simulate_event

    def event(name: str, **how: Any) -> Any:
        return open_event(made_once(name, lambda folder: simulate_event(folder, **how)))

    return event


@pytest.fixture(scope="session")
def event(simulated: Callable[..., Any]) -> Any:
    """A small simulated event: 320 x 260 px, both orbits."""
    return simulated("small", seed=5, rows=320, columns=260, earlier=1)


@pytest.fixture(scope="session")
def own_files(event: Any, made_once: Callable[[str, Callable[[Path], Any]], Path]) -> Path:
    """The small event's ascending passes as HyP3 would give them (before/, after/), and dem.tif."""

    def make(folder: Path) -> None:
        for record in json.loads(event.items.read_text(encoding="utf-8"))["features"]:
            told = record["properties"]
            if told.get("sat:relative_orbit") != 68:
                continue
            side = "before" if told["datetime"] < event.event else "after"
            when = re.sub(r"[-:]|\.\d+|Z", "", told["datetime"])[:15]
            (folder / side).mkdir(parents=True, exist_ok=True)
            for pol in ("vv", "vh"):
                name = f"S1A_IW_{when}_DVP_RTC10_G_gpuned_1A2B_{pol.upper()}.tif"
                (folder / side / name).symlink_to(event.path / record["assets"][pol]["href"])
        _joined(sorted(event.path.glob("cop-dem-glo-30/*.tif")), folder / "dem.tif")

    return made_once("own_files", make)


def _joined(tiles: list[Path], path: Path) -> None:
    import rasterio
    from rasterio.merge import merge

    heights, transform = merge(tiles)
    with rasterio.open(tiles[0]) as file:
        profile = file.profile
    profile.update(transform=transform, height=heights.shape[1], width=heights.shape[2])
    with rasterio.open(path, "w", **profile) as file:
        file.write(heights)


@pytest.fixture(scope="session")
def server(event: Any) -> Iterator[Any]:
    """The small event behind a real STAC API and a range-request file server on loopback."""
    from sarmap.simulate.serve import serve_event

    with serve_event(event) as running:
        yield running


@pytest.fixture
def request_of(event: Any, server: Any, tmp_path: Path) -> Callable[..., Any]:
    """A request for the whole small event, with changes."""
    import sarmap

    def make(**changes: Any) -> sarmap.MapRequest:
        fields: dict[str, Any] = {
            "area": event.grid,
            "event": event.event,
            "catalog": server.catalog,
            "detector": "log-ratio",
            "orbit": "ascending",
            "out": str(tmp_path / "map.zarr"),
        }
        return sarmap.MapRequest(**fields | changes)

    return make


@pytest.fixture(scope="session")
def converted_models(shared_folder: Path) -> Path:
    """Folder of networks that were converted once in this run."""
    (shared_folder / "models").mkdir(exist_ok=True)
    return shared_folder / "models"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory, converted_models: Path) -> Path:
    """A cache of this process, whose converted models serve all of the run."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    folder.mkdir()
    (folder / "models").symlink_to(converted_models, target_is_directory=True)
    return folder


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Tests never read or fill the user's cache."""
    monkeypatch.setenv("SARMAP_CACHE", str(cache))
