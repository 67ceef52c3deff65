"""The client of a soak: map after map on one cluster of two workers, one line of JSON after each.

Told by JSON on standard input: ``area``, ``event``, ``catalog``, ``detector``, ``chunk``, ``out``
(an address with ``{}`` for the map's number) and ``blocks``; ``strip`` is null, or the corner
(x, y), CRS, rows and columns of a strip of pixels of 1 m that is mapped instead of the area. Waits
for a line before the next map, so that the one before can be compared and removed; ``end`` is the
last one.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import dask
import psutil
from affine import Affine
from odc.geo.geobox import GeoBox

import sarmap
from sarmap.errors import ClusterError, OutputError
from sarmap.store.block_progress import read_progress

MOST_RUNS = 50
"""Runs in which a map must be whole."""


def main() -> int:
    """Soak until enough blocks are done."""
    from distributed import Client, LocalCluster

    told = json.loads(sys.stdin.readline())
    # A busy machine starts a killed worker slowly, and may stand still: Dask writes one off after
    # 15 s without an end of its start, and after 5 minutes of silence.
    dask.config.set(
        {
            "distributed.deploy.lost-worker-timeout": "120s",
            "distributed.scheduler.worker-ttl": "30 minutes",
            "distributed.comm.timeouts.connect": "120s",
        }
    )
    with (
        LocalCluster(n_workers=2, threads_per_worker=8, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        print("ready", flush=True)
        done = number = 0
        while done < told["blocks"]:
            out = told["out"].format(number)
            runs, stops = _whole(told, out, client)
            blocks = _asked_again(out).total
            done, number = done + blocks, number + 1
            print(json.dumps(_line(out, blocks, runs, stops)), flush=True)
            if sys.stdin.readline().strip() == "end":
                break
    return 0


def request_of(told: dict[str, Any], out: str) -> sarmap.MapRequest:
    """The map that is made again and again."""
    area: Any = tuple(told["area"])
    if told["strip"]:
        left, top, crs, rows, columns = told["strip"]
        area = GeoBox((rows, columns), Affine(1, 0, left, 0, -1, top), crs)
    return sarmap.MapRequest(
        area=area,
        event=told["event"],
        catalog=told["catalog"],
        orbit="ascending",
        detector=told["detector"],
        chunk=told["chunk"],
        out=out,
        resume=True,
    )


def _whole(told: dict[str, Any], out: str, client: Any) -> tuple[int, list[str]]:
    """Map until nothing is left to be done or read again; returns runs, and why they ended."""
    stops: list[str] = []
    for run in range(1, MOST_RUNS + 1):
        try:
            sarmap.map_landslides(request_of(told, out), client=client)
        except (OutputError, ClusterError) as error:
            stops.append(f"{type(error).__name__}: {error}")
            continue
        progress = _asked_again(out)
        if progress.complete:
            return run, stops
        stops.append(f"{progress.failed} blocks held unread pixels")
    raise SystemExit(f"{out} is not whole after {MOST_RUNS} runs: {stops}")


def _asked_again(out: str) -> Any:
    """How far a map is, from a store that may be away at the moment."""
    for _ in range(MOST_RUNS):
        try:
            return read_progress(out)
        except OutputError:
            time.sleep(0.5)
    raise SystemExit(f"{out} does not answer any more")


def _line(out: str, blocks: int, runs: int, stops: list[str]) -> dict[str, Any]:
    """What this process and its workers hold now."""
    me = psutil.Process()
    workers = []
    for child in me.children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                workers.append((child.memory_info().rss, child.num_fds()))
        except psutil.Error:
            continue
    return {
        "out": out,
        "blocks": blocks,
        "runs": runs,
        "stops": stops,
        "rss": me.memory_info().rss,
        "files": me.num_fds(),
        "workers": workers,
    }


if __name__ == "__main__":
    sys.exit(main())
