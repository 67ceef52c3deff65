"""Real measurements and recorded catalogue records, served on loopback as catalogues serve them.

Helper modules stand beside this file; tests get them as fixtures.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Helpers = Callable[[str, str], ModuleType]


def _folder(real_data: Path, name: str) -> Path:
    folder = real_data / name
    if not folder.is_dir():
        pytest.skip(f"real data absent: {name} is not in the folder of real data")
    return folder


@pytest.fixture(scope="session")
def opera_folder(real_data: Path) -> Path:
    return _folder(real_data, "opera_rtc")


@pytest.fixture(scope="session")
def opera_records(load_helper: Helpers) -> ModuleType:
    return load_helper("real", "opera_records")


@pytest.fixture(scope="session")
def opera(opera_folder: Path, opera_records: ModuleType) -> Iterator[Any]:
    """The OPERA files behind a STAC API, as the preset's settings with other addresses."""
    from sarmap.acquire.catalogs import PRESETS
    from sarmap.simulate.serve import serve_catalog

    records = opera_records.records(opera_folder, projected=False)
    with serve_catalog(records, [opera_records.collection()], opera_folder) as server:
        # no elevation of this place is at hand, and no login is asked for
        elsewhere = {"url": server.url, "dem_url": None, "dem_collection": None, "login": None}
        yield replace(PRESETS["opera-rtc-s1"], **elsewhere)


@pytest.fixture(scope="session")
def myanmar_stack(load_helper: Helpers) -> ModuleType:
    return load_helper("real", "myanmar_stack")


@pytest.fixture(scope="session")
def myanmar_folder(real_data: Path) -> Path:
    return _folder(real_data, "ddl8s1ts")


@pytest.fixture(scope="session")
def stack(myanmar_stack: ModuleType, myanmar_folder: Path) -> Any:
    """The Myanmar measurements, in power, metres and degrees."""
    return myanmar_stack.read_stack(myanmar_folder)


@pytest.fixture(scope="session")
def myanmar(
    myanmar_stack: ModuleType, stack: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The Myanmar stack behind a STAC API, as settings of a catalogue."""
    from sarmap.simulate.serve import serve_catalog

    folder = tmp_path_factory.mktemp("myanmar")
    first, last = dt.date(2015, 10, 1), dt.date(2017, 8, 1)
    records = myanmar_stack.write_records(stack, folder, first, last)
    with serve_catalog(records, myanmar_stack.collections(), folder) as server:
        yield server.catalog


@pytest.fixture(scope="session")
def signed_storage(load_helper: Helpers) -> ModuleType:
    return load_helper("real", "signed_storage")


@pytest.fixture(scope="session")
def planetary_replay(load_helper: Helpers) -> ModuleType:
    return load_helper("real", "planetary_replay")


@pytest.fixture(scope="session")
def replay(planetary_replay: ModuleType, real_data: Path) -> Any:
    """The recorded Planetary Computer records."""
    return planetary_replay.read_replay(_folder(real_data, "stac"))


@pytest.fixture(scope="session")
def planetary_records(planetary_replay: ModuleType, replay: Any) -> list[dict[str, Any]]:
    """The recorded pass and two repeats of it, and elevation of the place and far away."""
    passes = [planetary_replay.repeat(scene, n) for n in range(3) for scene in replay.scenes]
    return [*passes, *replay.tiles, planetary_replay.tile(replay.tiles[0], 30, 15)]


@pytest.fixture(scope="session")
def planetary_blobs(
    planetary_replay: ModuleType,
    planetary_records: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Folder account/container/path with the blobs of the place: VV and elevation."""
    folder = tmp_path_factory.mktemp("blobs")
    slices = ("29", "30")  # of 30: the two that meet in the place
    for record in planetary_records:
        properties = record["properties"]
        if properties.get("s1:slice_number") in slices:
            day = int(properties["datetime"][5:10].replace("-", ""))
            pixels = planetary_replay.backscatter(day, rows=256, columns=256)
            planetary_replay.write_scene(record, "vv", pixels, folder)
        elif record["id"].startswith("Copernicus_DSM_COG_10_N"):
            planetary_replay.write_tile(record, folder)
    return folder


@pytest.fixture
def planetary(
    signed_storage: ModuleType,
    planetary_replay: ModuleType,
    planetary_records: list[dict[str, Any]],
    planetary_blobs: Path,
    replay: Any,
    tmp_path: Path,
) -> Iterator[Any]:
    """(settings, storage): the preset with only addresses replaced, and the guarded storage."""
    from sarmap.acquire.catalogs import PRESETS
    from sarmap.simulate.serve import serve_catalog

    (tmp_path / "unused").mkdir()
    with signed_storage.serve_signed(signed_storage.SignedStorage(planetary_blobs)) as storage:
        moved = [planetary_replay.readdress(record, storage.url) for record in planetary_records]
        with serve_catalog(moved, replay.collections, tmp_path / "unused") as server:
            preset = PRESETS["planetary-computer"]
            yield replace(preset, url=server.url, signing_url=storage.signing_url), storage
