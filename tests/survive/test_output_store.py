"""The place a map goes to is full, slow or away: waited for, then given up cleanly, and resumed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import pytest
import xarray as xr
from zarr.storage import LocalStore

from sarmap.errors import OutputError
from sarmap.store import retrying
from sarmap.store.block_progress import read_progress
from sarmap.store.result import write_zarr

LAYOUT: dict[str, Any] = {"chunk": 32, "shard": 64}
ALL = 20
LazyMap = Callable[..., xr.Dataset]
Objects = Callable[[Path | str], dict[str, bytes]]
FAULTS = Path(__file__).resolve().parents[1] / "faults" / "fault_proxy.py"


@pytest.fixture
def undisturbed(
    lazy_map: LazyMap, weather: Any, objects: Objects, tmp_path: Path
) -> dict[str, bytes]:
    write_zarr(lazy_map(), tmp_path / "undisturbed.zarr", **LAYOUT)
    weather.computed.clear()
    return objects(tmp_path / "undisturbed.zarr")


class Disk:
    """A disk with so much room, under every local store."""

    def __init__(self, room: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        self.refused = 0
        self.freed_after: int | None = None
        whole = LocalStore.set

        async def put(store: LocalStore, key: str, value: Any, **how: Any) -> None:
            if len(value) > self.room:
                self.refused += 1
                if self.freed_after is not None and self.refused >= self.freed_after:
                    self.room = float("inf")
                raise OSError(28, "No space left on device")
            self.room -= len(value)
            await whole(store, key, value, **how)

        monkeypatch.setattr(LocalStore, "set", put)


def test_a_full_disk_that_is_freed_is_waited_for(
    lazy_map: LazyMap,
    objects: Objects,
    undisturbed: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(45_000, monkeypatch)
    disk.freed_after = 5
    write_zarr(lazy_map(), tmp_path / "map.zarr", **LAYOUT)
    assert disk.refused >= 5
    assert objects(tmp_path / "map.zarr") == undisturbed


def test_a_disk_that_stays_full_ends_the_run_and_keeps_what_is_done(
    lazy_map: LazyMap,
    weather: Any,
    objects: Objects,
    undisturbed: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "map.zarr"
    with monkeypatch.context() as patched:
        disk = Disk(45_000, patched)
        with (
            dask.config.set(scheduler="synchronous"),
            pytest.raises(OutputError, match=r"could not be written \(No space left on device\)"),
        ):
            write_zarr(lazy_map(), out, patience=0.5, **LAYOUT)
        assert disk.refused > 1
    progress = read_progress(out)
    assert 0 < progress.done < ALL
    weather.computed.clear()
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert len(weather.computed) == ALL - progress.done
    assert objects(out) == undisturbed


def test_waits_grow_and_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(retrying.time, "sleep", sleep)
    monkeypatch.setattr(retrying.time, "monotonic", lambda: now[0])

    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="Layer 'a' could not be written"):
        retrying.patiently(full, "Layer 'a'", 60)
    assert 8 <= len(waits) <= 20
    assert sum(waits) == pytest.approx(60, abs=0.1)
    assert waits[0] < 0.5
    assert 3 < max(waits) <= 12


@pytest.mark.parametrize("number", [13, 30, 20], ids=["permission", "read-only", "not a folder"])
def test_a_refusal_that_will_last_is_not_tried_twice(number: int) -> None:
    tries = []

    def refuse() -> None:
        tries.append(1)
        raise OSError(number, "no")

    with pytest.raises(OutputError):
        retrying.patiently(refuse, "Layer 'a'", 60)
    assert len(tries) == 1


# --- an object store -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faults() -> ModuleType:
    name = "sarmap_tests_faults_fault_proxy"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, FAULTS)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def storage(s3: Any, faults: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket behind a server that can be made to fail."""
    import os

    endpoint = os.environ["AWS_ENDPOINT_URL"]
    with faults.serve_faults(upstream=endpoint) as between:
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
            monkeypatch.setenv(name, between.url.rstrip("/"))
        yield between


@pytest.fixture
def bucket(s3: Any) -> str:
    import uuid

    import boto3

    name = f"maps-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def test_an_object_store_that_answers_503_for_a_while_costs_nothing(
    lazy_map: LazyMap,
    objects: Objects,
    undisturbed: Any,
    bucket: str,
    storage: Any,
    faults: ModuleType,
) -> None:
    storage.faults = [
        faults.Fault("503", method="PUT", after=12, times=10, seconds=0),
        faults.Fault("reset", method="PUT", path="owner.json", times=2),
        faults.Fault("reset", method="PUT", rate=0.1),
    ]
    out = f"s3://{bucket}/map.zarr"
    write_zarr(lazy_map(), out, patience=600, **LAYOUT)  # on a machine however busy
    assert storage.counts["503"] == 10
    assert objects(out) == undisturbed
    assert read_progress(out).complete


def test_an_object_store_that_stays_away_ends_the_run_which_is_resumed(
    lazy_map: LazyMap,
    weather: Any,
    objects: Objects,
    undisturbed: Any,
    bucket: str,
    storage: Any,
    faults: ModuleType,
) -> None:
    out = f"s3://{bucket}/map.zarr"
    storage.faults = [faults.Fault("503", method="PUT", after=30, seconds=0)]
    with (
        dask.config.set(scheduler="synchronous"),
        pytest.raises(OutputError, match="could not be written") as caught,
    ):
        write_zarr(lazy_map(), out, patience=0.2, **LAYOUT)
    assert storage.url not in str(caught.value)
    storage.faults = []
    progress = read_progress(out)
    assert progress.status == "unfinished"
    assert 0 < progress.done < ALL
    weather.computed.clear()
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert len(weather.computed) == ALL - progress.done
    assert objects(out) == undisturbed


def test_progress_of_a_far_map_takes_one_listing_and_two_reads(
    lazy_map: LazyMap, weather: Any, bucket: str, storage: Any
) -> None:
    out = f"s3://{bucket}/map.zarr"
    weather.raising = {(3, 1): RuntimeError("killed")}
    with dask.config.set(scheduler="synchronous"), pytest.raises(RuntimeError, match="killed"):
        write_zarr(lazy_map(), out, **LAYOUT)
    before = len(storage.seen)
    assert read_progress(out).status == "unfinished"
    asked = [(one.method, "list" in one.query) for one in storage.seen[before:]]
    assert len(asked) == 3
    assert [listing for _, listing in asked].count(True) == 1
    weather.raising = {}
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    before = len(storage.seen)
    assert read_progress(out).complete
    assert len(storage.seen) - before == 1
