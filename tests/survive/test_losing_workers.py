"""Workers die while a map is made, some for good: it is finished all the same, and it is the same.

Functions are made inside fixtures, so that they travel to workers by value.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from sarmap.errors import ClusterError
from sarmap.store.block_progress import read_progress
from sarmap.store.result import write_zarr

EDGE, ROWS, COLUMNS = 64, 4, 3
LAYOUT: dict[str, Any] = {"chunk": 32, "shard": 64}
Objects = Callable[[Path | str], dict[str, bytes]]
Workers = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def slow_map(tmp_path: Path) -> Callable[..., xr.Dataset]:
    """A lazy map whose blocks take `seconds`, and whose block (2, 2), or every one, kills the first
    `deadly` workers."""
    count = str(tmp_path / "deaths")

    def make(
        seconds: float = 0.0, deadly: int = 0, everywhere: bool = False, height: int = ROWS
    ) -> xr.Dataset:
        def block(layer: int, block_info: Any) -> Any:
            import os
            import signal
            import time

            import numpy as np

            (top, bottom), (left, right) = block_info[None]["array-location"]
            here = everywhere or (top, left) == (2 * 64, 2 * 64)
            if here and layer == 0 and deadly:
                with open(count, "a+") as file:  # noqa: PTH123
                    file.write("x")
                    file.flush()
                    file.seek(0)
                    if len(file.read()) <= deadly:
                        os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(seconds)
            rows, columns = np.mgrid[top:bottom, left:right]
            if layer == 1:
                return np.zeros(rows.shape, np.uint8)
            return (((rows * 7 + columns * 13) % 251) / 250).astype(np.float32)

        chunks = ((EDGE,) * height, (EDGE,) * COLUMNS)
        layers = [
            da.map_blocks(block, layer, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype))
            for layer, dtype in enumerate((np.float32, np.uint8))
        ]
        dataset = xr.Dataset(
            {"probability": (("y", "x"), layers[0]), "observation": (("y", "x"), layers[1])},
            coords={
                "y": 4700000.0 - 10 * np.arange(EDGE * height),
                "x": 500005.0 + 10 * np.arange(EDGE * COLUMNS),
            },
        )
        dataset.coords["spatial_ref"] = ((), 0, {"crs_wkt": "EPSG:32654"})
        return dataset

    return make


@pytest.fixture
def undisturbed(slow_map: Any, objects: Objects, tmp_path: Path) -> dict[str, bytes]:
    return objects(write_zarr(slow_map(), tmp_path / "undisturbed.zarr", **LAYOUT))


@pytest.fixture
def client(local_workers: Workers) -> Iterator[Any]:
    """Two workers in processes of their own, with nannies that start them again.

    Dask gives a task up with its first worker, not its fourth: starting them takes a while.
    """
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        local_workers(2) as client,
    ):
        yield client


def test_workers_that_are_killed_again_and_again_cost_no_block(
    slow_map: Any, undisturbed: Any, objects: Objects, client: Any, tmp_path: Path
) -> None:
    draw, kills, ended = random.Random(7), [], threading.Event()

    def kill() -> None:
        while not ended.wait(0.7) and len(kills) < 4:
            nanny = draw.choice(list(client.cluster.workers.values()))
            if nanny.pid is not None:
                kills.append(nanny.pid)
                os.kill(nanny.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        out = write_zarr(slow_map(seconds=0.3), tmp_path / "map.zarr", **LAYOUT)
    finally:
        ended.set()
        killer.join()
    assert kills
    assert objects(out) == undisturbed


def test_a_block_that_dask_gave_up_is_tried_again(
    slow_map: Any, undisturbed: Any, objects: Objects, client: Any, tmp_path: Path
) -> None:
    """Its workers have died with it: for Dask alone that is the end (KilledWorker)."""
    out = write_zarr(slow_map(deadly=2), tmp_path / "map.zarr", **LAYOUT)
    assert len((tmp_path / "deaths").read_text()) == 3
    assert objects(out) == undisturbed


def test_a_block_that_kills_every_worker_ends_the_run_with_a_sentence_and_the_rest_is_kept(
    slow_map: Any, objects: Objects, undisturbed: Any, client: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    with pytest.raises(ClusterError, match=r"Block 2, 2 .* was lost with its workers.*chunk="):
        write_zarr(slow_map(deadly=1000), out, **LAYOUT)
    assert read_progress(out).done == ROWS * COLUMNS - 1
    write_zarr(slow_map(), out, resume=True, **LAYOUT)
    assert objects(out) == undisturbed


def test_blocks_beside_one_that_kills_its_worker_are_done(
    slow_map: Any, objects: Objects, local_workers: Workers, tmp_path: Path
) -> None:
    """Two threads: whatever runs beside the deadly block is lost with it, however often."""
    out = tmp_path / "map.zarr"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        local_workers(1, threads=2),
        pytest.raises(ClusterError, match=r"^Block 2, 2 \(row, column\) of probability was lost"),
    ):
        write_zarr(slow_map(seconds=0.1, deadly=1000), out, **LAYOUT)
    assert read_progress(out).done == ROWS * COLUMNS - 1


def test_a_map_whose_every_block_kills_its_worker_ends_soon(
    slow_map: Any, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not each block alone, twice over: a round ends when some in a row are lost."""
    monkeypatch.setattr("sarmap.store.waves._FRUITLESS_WAVES", 2)
    out = tmp_path / "map.zarr"
    with pytest.raises(ClusterError, match=f"^{COLUMNS} blocks, first block 0, 0 .* were lost"):
        write_zarr(slow_map(deadly=1000, everywhere=True, height=1), out, **LAYOUT)
    assert read_progress(out).done == 0
    assert len((tmp_path / "deaths").read_text()) <= COLUMNS + 2 + 2


def test_a_worker_that_is_gone_for_good_is_done_without(
    slow_map: Any, undisturbed: Any, objects: Objects, local_workers: Workers, tmp_path: Path
) -> None:
    with (
        local_workers(1) as client,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "distributed.cli.dask_worker"),
                *(client.cluster.scheduler_address, "--no-nanny", "--nthreads", "1"),
                *("--no-dashboard", "--host", "127.0.0.1"),
                *("--local-directory", str(tmp_path)),
            ],
            stderr=subprocess.DEVNULL,
        ) as mortal,
    ):
        client.wait_for_workers(2, timeout=60)
        told: list[int] = []

        def progress(done: int, _: int) -> None:
            told.append(done)
            if done == 4:
                mortal.kill()

        out = write_zarr(slow_map(seconds=0.1), tmp_path / "map.zarr", progress=progress, **LAYOUT)
        assert mortal.wait(30) != 0
        assert len(client.scheduler_info()["workers"]) == 1
    assert told == list(range(1, ROWS * COLUMNS + 1))
    assert objects(out) == undisturbed


def _end_all_workers(client: Any) -> None:
    """Workers and the nannies that would start them again."""
    for nanny in list(client.cluster.workers.values()):
        client.cluster.sync(nanny.close)


def test_a_cluster_of_our_own_whose_workers_are_all_gone_gets_new_ones(
    slow_map: Any,
    undisturbed: Any,
    objects: Objects,
    client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sarmap.store.workers._LOOK", 0.2)
    monkeypatch.setattr("sarmap.store.workers._MISSED", 1.0)

    def progress(done: int, _: int) -> None:
        if done == 4:
            _end_all_workers(client)

    with dask.config.set(
        {"sarmap.cluster.no_worker": 60, "distributed.deploy.lost-worker-timeout": "1s"}
    ):
        out = write_zarr(slow_map(seconds=0.1), tmp_path / "map.zarr", progress=progress, **LAYOUT)
    assert objects(out) == undisturbed


def test_without_any_worker_the_run_ends_with_a_sentence_instead_of_waiting_for_ever(
    slow_map: Any, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(client.cluster), "scale", lambda *_: None)

    def progress(done: int, _: int) -> None:
        if done == 4:
            _end_all_workers(client)

    with (
        dask.config.set({"sarmap.cluster.no_worker": 2}),
        pytest.raises(ClusterError, match="no worker for 2 s"),
    ):
        write_zarr(slow_map(seconds=0.1), tmp_path / "map.zarr", progress=progress, **LAYOUT)
    assert read_progress(tmp_path / "map.zarr").done >= 4


def test_a_cluster_that_is_gone_ends_the_run_with_a_sentence(
    slow_map: Any, objects: Objects, undisturbed: Any, local_workers: Workers, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    with local_workers(1) as client:

        def progress(done: int, _: int) -> None:
            if done == 5:
                client.cluster.close()

        with pytest.raises(ClusterError, match="gone"):
            write_zarr(slow_map(seconds=0.1), out, progress=progress, **LAYOUT)
    assert read_progress(out).done >= 5
    write_zarr(slow_map(), out, resume=True, **LAYOUT)
    assert objects(out) == undisturbed
