"""The whole route, STAC to Zarr, on one scheduler; and the building of its graph alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.answers import save
from benchmarks.files import control as ask
from benchmarks.tasks.requests import answer_layers, make_request, stored_bytes, temporary_store

__all__ = ["graph", "run"]


def run(
    *,
    control: str,
    warm: bool = True,
    scheduler: str = "threads",
    workers: int = 2,
    threads: int = 1,
    server: Mapping[str, float] | None = None,
    keep: str | None = None,
    crop: Sequence[int] | None = None,
    store: Mapping[str, int] | None = None,
    read_back: bool = False,
    tree: bool = False,
    **request: Any,
) -> dict[str, Any]:
    """Map once, and say what it took.

    Parameters
    ----------
    control
        Root of the file server, for its counts.
    warm
        Map one tile of the extent before: libraries are loaded, the network has been converted,
        but hardly a pixel has been read.
    scheduler
        'threads', 'processes' (Dask's own) or 'distributed' (a local cluster, started before).
    workers, threads
        Of a local cluster, or of 'processes'.
    server
        How the file server behaves meanwhile.
    keep, crop
        File for the answer, and the part of it to keep.
    store
        `chunk` and `shard` of the result store, where not its own choice.
    read_back
        Also measure how fast the store is read.
    tree
        Told to the parent, which samples the memory of all processes.
    request
        Arguments of `make_request`.
    """
    with temporary_store() as out, _running(scheduler, workers, threads) as client:
        if warm:
            first = make_request(out=out, **{**request, "shape": (64, 64)})
            _map(first, out, scheduler, workers, client, store)
        asked = make_request(out=out, **request)
        told = {"delay": 0, "fail": 0} | dict(server or {})
        ask(control, f"reset?delay={told['delay']}&fail={told['fail']}")
        started = time.perf_counter()
        with _Outside() as outside:
            made = _map(asked, out, scheduler, workers, client, store)
        seconds = time.perf_counter() - started
        counts = ask(control, "counts")
        written, objects = stored_bytes(out)
        back = _read_back(out) if read_back else {}
        if keep is not None:
            save(keep, **answer_layers(out, crop))
    pixels = asked.area.shape[0] * asked.area.shape[1]
    metrics = {
        "seconds": seconds,
        "ns_per_pixel": 1e9 * seconds / pixels,
        "tasks": made["tasks"],
        "requests": counts["requests"],
        "failed_requests": counts["failed"],
        "bytes_read": counts["bytes"],
        "bytes_written": written,
        "objects": objects,
        "unread_pixels": made["unread"],
        "graph_seconds": outside.seconds if scheduler == "threads" else None,
        **back,
    }
    return {"metrics": metrics}


def _map(
    request: Any,
    out: str,
    scheduler: str,
    workers: int,
    client: Any,
    store: Mapping[str, int] | None,
) -> dict[str, int]:
    """One map; tasks and unread pixels."""
    import dask

    from sarmap.assembly import assemble, prepare
    from sarmap.pipeline import map_landslides

    if scheduler != "processes" and store is None:
        result = map_landslides(request, client)
        return {"tasks": result.plan.tasks, "unread": result.observation["read_failed"]}
    from sarmap.planning import READ_THREADS, count_tasks
    from sarmap.store.result import count_observations, open_map, write_zarr

    assembly = assemble(prepare(request))
    settings = (
        {"scheduler": "processes", "num_workers": workers}
        if scheduler == "processes"
        else {"scheduler": "threads", "num_workers": READ_THREADS}
    )
    with dask.config.set(settings):
        write_zarr(assembly.dataset, out, overwrite=True, **(store or {}))
    unread = count_observations(open_map(out))["read_failed"]
    return {"tasks": count_tasks(assembly.dataset), "unread": unread}


@contextmanager
def _running(scheduler: str, workers: int, threads: int) -> Iterator[Any]:
    """A client of a local cluster where one is asked for, else None."""
    if scheduler != "distributed":
        yield None
        return
    from sarmap.cluster.opening import open_client
    from sarmap.cluster.specification import Local

    with open_client(Local(workers=workers, threads=threads, dashboard=None)) as client:
        client.wait_for_workers(workers)
        yield client


def _read_back(out: str, windows: int = 200) -> dict[str, float]:
    """Milliseconds of one 256 px window anywhere in the probability, and seconds of all of it."""
    import numpy as np
    import zarr

    array = zarr.open_group(out, mode="r")["probability"]
    chance = np.random.default_rng(0)
    corners = chance.integers(0, [length - 256 for length in array.shape], (windows, 2))
    started = time.perf_counter()
    for row, column in corners:
        array[row : row + 256, column : column + 256]
    each = (time.perf_counter() - started) / windows
    started = time.perf_counter()
    array[:]
    return {"window_ms": 1000 * each, "whole_seconds": time.perf_counter() - started}


class _Outside:
    """Seconds of a `with` block, from its first run of Dask's local scheduler on, spent outside it.

    A map runs in waves, each with a graph of its own: this is what making them took, and storing
    what is no pixel. What goes before the first wave is `graph`'s to measure.
    """

    seconds: float = 0.0

    def __enter__(self) -> _Outside:
        from dask.callbacks import Callback

        self._since: float | None = None

        def start(_graph: Any) -> None:
            if self._since is not None:
                self.seconds += time.perf_counter() - self._since

        def finish(*_: Any) -> None:
            self._since = time.perf_counter()

        self._callback = Callback(start=start, finish=finish)
        self._callback.register()
        return self

    def __exit__(self, *_: Any) -> None:
        self._callback.unregister()
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since


class _Built(Exception):
    """The graph is ready to run."""


def graph(*, control: str, **request: Any) -> dict[str, Any]:
    """Seconds from a prepared request to its first wave ready to run; nothing is read."""
    _first_wave({**request, "shape": (64, 64)})  # libraries are loaded
    return {"metrics": _first_wave(request)}


def _first_wave(request: dict[str, Any]) -> dict[str, float]:
    import dask
    from dask.callbacks import Callback

    from sarmap.assembly import assemble, prepare
    from sarmap.planning import count_tasks
    from sarmap.store.result import write_zarr

    class Stop(Callback):  # type: ignore[misc]
        def _start(self, dsk: Any) -> None:
            raise _Built(time.perf_counter(), len(dsk))

    with temporary_store() as out:
        prepared = prepare(make_request(out=out, **request))
        started = time.perf_counter()
        assembly = assemble(prepared)
        try:
            with dask.config.set(scheduler="threads"), Stop():
                write_zarr(assembly.dataset, out, overwrite=True)
        except _Built as built:
            ready, tasks = built.args
        else:
            raise AssertionError("the graph ran")
    height, width = prepared.grid.shape
    return {
        "seconds": ready - started,
        "tasks": count_tasks(assembly.dataset),
        "tasks_run": tasks,
        "ns_per_pixel": 1e9 * (ready - started) / (height * width),
    }
