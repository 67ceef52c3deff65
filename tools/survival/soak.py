"""Thousands of blocks through a cluster of two workers, with a fault every few seconds."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import sarmap
from survival.kills import worker_processes
from survival.soaking import request_of
from survival.stage import (
    Fault,
    FaultServer,
    Stage,
    differences,
    objects,
    remove,
    serve_faults,
    usual,
)

WORK = 100
"""Requests of the store between two kills, about 25 blocks: killed faster than they start, workers
would do nothing at all."""
GROWTH_BYTES = 100 * 2**20
"""Growth of the client's memory from its first maps to its last that is taken for noise."""
GROWTH_FILES = 10
"""The same of its open files."""


@dataclass
class Soaked:
    """What was done to the runs, and what it did."""

    faults: Counter[str] = field(default_factory=Counter)
    """Faults by kind: workers killed; windows in which reads or stores failed."""
    maps: int = 0
    blocks: int = 0
    runs: int = 0
    stops: Counter[str] = field(default_factory=Counter)
    """Why runs ended before their map was whole."""
    different: list[str] = field(default_factory=list)
    """Objects that are not what an undisturbed run makes: blocks lost or wrong."""
    lines: list[dict[str, Any]] = field(default_factory=list)
    """What the client said after each map."""
    requests: dict[str, int] = field(default_factory=dict)
    """Requests that failed on purpose, of reads and of the store."""
    seconds: float = 0.0

    def _thirds(self, key: str) -> tuple[float, float]:
        values = [line[key] for line in self.lines[1:]] or [self.lines[0][key]]
        third = max(len(values) // 3, 1)
        return median(values[:third]), median(values[-third:])

    def record(self) -> Mapping[str, Any]:
        """All figures."""
        memory, files = self._thirds("rss"), self._thirds("files")
        workers = [one for line in self.lines for one in line["workers"]]
        return {
            "faults": dict(self.faults),
            "requests failed on purpose": self.requests,
            "maps": self.maps,
            "blocks": self.blocks,
            "runs": self.runs,
            "runs that ended early": dict(self.stops),
            "objects lost or different": len(self.different),
            "client MB, first and last": [round(value / 1e6) for value in memory],
            "client files, first and last": [round(value) for value in files],
            "most MB of a worker": round(max((rss for rss, _ in workers), default=0) / 1e6),
            "most files of a worker": max((files for _, files in workers), default=0),
            "seconds": round(self.seconds),
        }

    @property
    def good(self) -> bool:
        """True where nothing was lost and nothing grew."""
        memory, files = self._thirds("rss"), self._thirds("files")
        grown = memory[1] - memory[0] > GROWTH_BYTES or files[1] - files[0] > GROWTH_FILES
        return not self.different and not grown


def soak(
    stage: Stage,
    blocks: int,
    every: float,
    kinds: Sequence[str],
    seed: int,
    strip: int,
    minutes: float = float("inf"),
) -> Soaked:
    """Map again and again until `blocks` blocks are done, with a fault about every few seconds.

    It ends with the map at hand when `minutes` have passed.

    With `strip` it is not the whole event that is mapped, but so many rows of its middle, at 1 m.
    """
    soaked = Soaked()
    told = _told(stage, blocks, strip)
    reference = str(stage.folder / "undisturbed.zarr")
    sarmap.map_landslides(request_of(told, reference))
    wanted = objects(reference)
    started = time.perf_counter()
    with storage() as store, _client(told) as client:
        assert client.stdout is not None
        client.stdout.readline()  # the cluster stands
        ended, calm = threading.Event(), threading.Lock()
        trouble = threading.Thread(
            target=_trouble,
            args=(
                *(client.pid, stage.files, store, kinds, every, random.Random(seed), soaked),
                *(ended, calm),
            ),
        )
        trouble.start()
        try:
            _follow(client, wanted, soaked, calm, started + 60 * minutes)
        finally:
            ended.set()
            trouble.join()
        soaked.requests = {"reads": stage.files.hits, "store": store.hits}
    soaked.seconds = time.perf_counter() - started
    return soaked


def _follow(
    client: subprocess.Popen[str],
    wanted: Mapping[str, bytes],
    soaked: Soaked,
    calm: threading.Lock,
    end: float,
) -> None:
    """Compare and remove each map that the client has finished; no fault is for that."""
    assert client.stdout is not None
    assert client.stdin is not None
    for text in client.stdout:
        line = json.loads(text)
        soaked.lines.append(line)
        soaked.maps += 1
        soaked.blocks += line["blocks"]
        soaked.runs += line["runs"]
        soaked.stops.update(stop.split(" ")[0].rstrip(":") for stop in line["stops"])
        with calm:
            soaked.different += differences(objects(line["out"]), wanted)
            remove(line["out"])
        print(
            f"  {soaked.blocks} blocks, {len(soaked.different)} objects differ, "
            f"{dict(soaked.faults)}, client {line['rss'] / 1e6:.0f} MB and {line['files']} files",
            file=sys.stderr,
            flush=True,
        )
        try:
            client.stdin.write("end\n" if time.perf_counter() > end else "on\n")
            client.stdin.flush()
        except BrokenPipeError:
            pass
    if client.wait() != 0:
        raise SystemExit(f"the client left with {client.returncode}")


def _trouble(
    client: int,
    files: FaultServer,
    store: FaultServer,
    kinds: Sequence[str],
    every: float,
    draw: random.Random,
    soaked: Soaked,
    ended: threading.Event,
    calm: threading.Lock,
) -> None:
    """One fault after another, of the kinds in turn, until told to end."""
    number = asked = 0
    while not ended.wait(draw.uniform(0.5, 1.5) * every):
        kind = kinds[number % len(kinds)]
        number += 1
        if kind == "worker":
            workers = worker_processes(client)
            if not workers or store.counts["requests"] < asked + WORK:
                continue
            asked = store.counts["requests"]
            draw.choice(workers).kill()
        else:
            server, faults = (files, usual(0.3)) if kind == "read" else (store, [_AWAY])
            with calm:
                _fail_for(server, faults, draw.uniform(0.5, 2.0), ended)
        soaked.faults[kind] += 1


_AWAY = Fault("503", seconds=0)
"""What a store answers that is away for a while."""


def _fail_for(
    server: FaultServer, faults: Sequence[Fault], seconds: float, ended: threading.Event
) -> None:
    server.faults = faults
    ended.wait(seconds)
    server.faults = []


def _told(stage: Stage, blocks: int, strip: int) -> dict[str, Any]:
    """What the mapping process is told."""
    flags = dict(zip(stage.flags[::2], stage.flags[1::2], strict=True))
    box = stage.event.grid.boundingbox
    middle = round((box.bottom + box.top) / 2)
    columns = int(box.right - box.left)
    return {
        "strip": [box.left, middle, str(stage.event.grid.crs), strip, columns] if strip else None,
        "area": stage.event.area,
        "event": stage.event.event,
        "catalog": stage.server.url,
        "detector": flags["--detector"],
        "chunk": int(flags["--chunk"]),
        "out": "s3://maps/{}.zarr",
        "blocks": blocks,
    }


@contextmanager
def _client(told: Mapping[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """The mapping process; ended with the block."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("soaking.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdin is not None
        client.stdin.write(json.dumps(told) + "\n")
        client.stdin.flush()
        try:
            yield client
        finally:
            if client.poll() is None:
                client.terminate()


@contextmanager
def storage() -> Iterator[FaultServer]:
    """An S3 endpoint in a process of its own, behind a server that can be made to fail."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = "import sys; from moto.server import main; main(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", command, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as moto:
        try:
            _make_bucket(f"http://127.0.0.1:{port}")
            with serve_faults(upstream=f"http://127.0.0.1:{port}") as store:
                os.environ.update(_credentials(store.url.rstrip("/")))
                yield store
        finally:
            moto.terminate()


def _credentials(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _make_bucket(endpoint: str) -> None:
    import boto3

    os.environ.update(_credentials(endpoint))
    for attempt in range(300):
        try:
            boto3.client("s3").create_bucket(Bucket="maps")
        except Exception:  # not up yet
            if attempt == 299:
                raise
            time.sleep(0.2)
        else:
            return
