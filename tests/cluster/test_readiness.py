"""Every worker of a map proves that it fits before it takes part, also one that comes late."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask.system import CPU_COUNT
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

import sarmap
from sarmap.cluster.plugin import MapPlugin, engine_threads
from sarmap.cluster.readiness import packed, ready_workers
from sarmap.detect.hardware import usable_cores
from sarmap.errors import ClusterError, RequestError

Starter = Callable[..., AbstractContextManager[str]]
HERE = "/proc/self/cwd/map.zarr"
"""A place that is another one in each process, as a local disk is on each machine."""


@pytest.fixture(scope="module")
def two(start_dask: Starter) -> Iterator[str]:
    """A scheduler and two workers of four threads on this machine."""
    with start_dask(threads=4) as address:
        yield address


@pytest.fixture
def detector() -> Any:
    return sarmap.load_detector("log-ratio")


@given(st.integers(1, 128), st.integers(1, 128), st.integers(1, 64))
def test_engines_of_one_machine_never_use_more_threads_than_it_has_cores(
    threads: int, cores: int, neighbours: int
) -> None:
    count = engine_threads(threads, cores, neighbours)
    assert 1 <= count <= threads
    assert count * neighbours <= max(cores, neighbours)


def test_workers_that_share_a_machine_share_its_cores(
    two: str, detector: Any, tmp_path: Path
) -> None:
    with Client(two) as client, ready_workers(client, detector, str(tmp_path / "map.zarr")):
        told = client.run(usable_cores)
    assert set(told.values()) == {engine_threads(4, CPU_COUNT, 2)}


def test_nothing_is_left_on_workers_or_beside_the_result(
    two: str, detector: Any, tmp_path: Path
) -> None:
    with Client(two) as client:
        with ready_workers(client, detector, str(tmp_path / "map.zarr")):
            assert all(client.run(_has_plugin).values())
            assert [path.name for path in tmp_path.iterdir()] == [".map.zarr.workers"]
        assert not any(client.run(_has_plugin).values())
        assert set(client.run(usable_cores).values()) == {min(4, CPU_COUNT)}
    assert not list(tmp_path.iterdir())


def _has_plugin(dask_worker: Any) -> bool:
    return MapPlugin.name in dask_worker.plugins


def worker(address: str, name: str, *more: str) -> list[str]:
    words = ["--host", "127.0.0.1", "--no-dashboard", "--nthreads", "1", "--name", name, *more]
    return [sys.executable, "-m", "distributed.cli.dask_worker", address, *words]


def test_a_late_worker_takes_part_only_where_it_sees_the_result(
    start_dask: Starter,
    processes: Any,
    detector: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with start_dask(pythons=[sys.executable]) as address, Client(address) as client:
        (first,) = client.run(_folder).items()
        monkeypatch.chdir(first[1])  # the first worker and this client see one folder

        def listed() -> set[str]:
            return {one["id"] for one in client.scheduler_info(n_workers=-1)["workers"].values()}

        with ready_workers(client, detector, HERE):
            fits, blind = Path(first[1]), tmp_path / "blind"
            blind.mkdir()
            with processes.running(
                worker(address, "fits", "--no-nanny"),
                lambda: "fits" in listed(),
                tmp_path / "fits.log",
                cwd=fits,
            ):
                assert sum(client.run(_has_plugin).values()) == 2
            log = tmp_path / "blind.log"
            with processes.running(
                worker(address, "blind"), lambda: _left(log), log, cwd=blind
            ) as process:
                assert process.wait(timeout=60) is not None
            assert "does not see the place of map.zarr" in log.read_text(encoding="utf-8")
            assert "blind" not in listed()


def _left(log: Path) -> bool:
    return "Closing Nanny" in log.read_text(encoding="utf-8")


def _folder() -> str:
    return str(Path.cwd())


class Locked:
    """A detector that holds what cannot be pickled."""

    bands = ("vv_post_1",)
    name = "locked"

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, tiles: Any) -> Any:
        return tiles[..., 0]


class Heavy:
    """A detector that carries its weights."""

    bands = ("vv_post_1",)
    name = "heavy"

    def __init__(self) -> None:
        self.weights = np.zeros(1_000_000, np.float32)

    def __call__(self, tiles: Any) -> Any:
        return tiles[..., 0]


def test_a_detector_that_cannot_travel_is_refused_in_a_sentence(two: str, tmp_path: Path) -> None:
    with (
        Client(two) as client,
        pytest.raises(RequestError, match=r"Detector locked cannot travel to workers \(TypeError"),
        ready_workers(client, Locked(), str(tmp_path / "map.zarr")),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_detector_that_carries_its_weights_is_refused_in_a_sentence() -> None:
    with pytest.raises(RequestError, match="Detector heavy carries 4 MB with it: models do not"):
        packed(Heavy())


def test_the_shipped_detectors_travel_as_a_few_hundred_bytes() -> None:
    for name in ("attention-unet", "cnn", "log-ratio"):
        assert len(packed(sarmap.load_detector(name))) < 2_000


def test_a_detector_whose_module_workers_lack_is_told_of(
    two: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module beside the user's script, importable for the client alone."""
    (tmp_path / "my_detector.py").write_text(
        "class Mine:\n"
        "    bands = ('vv_post_1',)\n"
        "    def __call__(self, tiles):\n"
        "        return tiles[..., 0]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import my_detector

    told = r"Worker \S+ cannot unpack the detector \(ModuleNotFoundError\): install its module"
    with (
        Client(two) as client,
        pytest.raises(ClusterError, match=told),
        ready_workers(client, my_detector.Mine(), str(tmp_path / "map.zarr")),
    ):
        pass
    with Client(two) as client:
        assert not any(client.run(_has_plugin).values())


def test_what_is_no_client_is_refused(detector: Any, tmp_path: Path) -> None:
    with (
        pytest.raises(RequestError, match="client= is a str, not a Dask client"),
        ready_workers("tcp://127.0.0.1:8786", detector, str(tmp_path)),  # type: ignore[arg-type]
    ):
        pass


def test_memory_of_one_process_is_no_place_for_a_cluster_s_result(two: str, detector: Any) -> None:
    with (
        Client(two) as client,
        pytest.raises(RequestError, match="out=memory://"),
        ready_workers(client, detector, "memory://map.zarr"),
    ):
        pass


def test_a_cluster_without_workers_is_told_of(
    scheduler_here: Any, detector: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sarmap.cluster.readiness.FIRST_WORKER", 0.5)
    with (
        scheduler_here(0) as address,
        Client(address) as client,
        pytest.raises(ClusterError, match=r"had no worker for 0\.5 s"),
        ready_workers(client, detector, str(tmp_path / "map.zarr")),
    ):
        pass


def test_a_worker_with_too_little_memory_is_named_before_anything_is_computed(
    request_of: Callable[..., sarmap.MapRequest], local_workers: Any
) -> None:
    with (
        local_workers(1, threads=2, memory_limit="400MiB") as client,
        pytest.raises(RequestError, match=r"about 0\.\d GB on worker tcp://\S+ with blocks of 128"),
    ):
        sarmap.map_landslides(request_of(), client)
    assert not Path(str(request_of().out)).exists()
