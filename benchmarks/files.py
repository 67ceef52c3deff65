"""The benchmarks' file server: byte ranges over HTTP, counted, and slowed or failing as told.

A process of its own. `GET /-/counts` tells requests, bytes sent and failures since the last
`GET /-/reset?delay=0.08&fail=0.01`, which also sets the seconds added to each request for data and
the share of them that is answered 503. Which of the requests fail hangs on their order alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import socket
import subprocess
import sys
import urllib.request
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

__all__ = ["FileServer", "VirtualFile", "control", "serve_files"]

ROOT = Path(__file__).resolve().parent.parent
_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


class VirtualFile:
    """A header followed by pieces of other files, read as one file."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        header = Path(record["header"]).read_bytes()
        self._pieces: list[tuple[int, int]] = [(-1, 0)]
        self._pieces += list(zip(record["file"], record["offset"], strict=True))
        sizes = [len(header), *record["size"]]
        self._starts = list(accumulate(sizes[:-1], initial=0))
        self.size = sum(sizes)
        self._sizes = sizes
        self._header = header
        self._files = [os.open(name, os.O_RDONLY) for name in record["files"]]

    def read(self, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` (not included)."""
        found = []
        number = bisect_right(self._starts, start) - 1
        while start < stop:
            inside = start - self._starts[number]
            length = min(stop - start, self._sizes[number] - inside)
            source, offset = self._pieces[number]
            found.append(
                self._header[inside : inside + length]
                if source < 0
                else os.pread(self._files[source], length, offset + inside)
            )
            start += length
            number += 1
        return b"".join(found)


class PlainFile:
    """A file as it is."""

    def __init__(self, path: Path) -> None:
        self.size = path.stat().st_size
        self._file = os.open(path, os.O_RDONLY)

    def read(self, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` (not included)."""
        return os.pread(self._file, stop - start, start)


@dataclass
class _State:
    """What is served, how, and what was asked for so far."""

    folder: Path
    virtual: Mapping[str, Any]
    delay: float = 0.0
    fail: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    counts: dict[str, int] = field(default_factory=lambda: {"requests": 0, "bytes": 0, "failed": 0})
    opened: dict[str, Any] = field(default_factory=dict)

    def find(self, name: str) -> Any:
        """The open file of a name, or None."""
        if name not in self.opened:
            if name in self.virtual:
                self.opened[name] = VirtualFile(self.virtual[name])
            else:
                path = (self.folder / name).resolve()
                if not path.is_relative_to(self.folder) or not path.is_file():
                    return None
                self.opened[name] = PlainFile(path)
        return self.opened[name]


@dataclass(frozen=True)
class FileServer:
    """A running server."""

    url: str
    """Root of the files."""

    def reset(self, *, delay: float = 0.0, fail: float = 0.0) -> None:
        """Set the counts to zero, and how later requests are answered."""
        control(self.url, f"reset?delay={delay}&fail={fail}")

    def counts(self) -> dict[str, int]:
        """Requests, bytes and failures since the last reset."""
        return control(self.url, "counts")


def control(url: str, word: str) -> dict[str, int]:
    """Ask a server for its counts (`counts`) or to start anew (`reset?delay=...&fail=...`)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}-/{word}", timeout=30) as answer:
        told: dict[str, int] = json.load(answer)
    return told


@contextmanager
def serve_files(folder: Path, virtual: Mapping[str, Any] | None = None) -> Iterator[FileServer]:
    """Serve a folder, and virtual files by name, on loopback until the `with` block ends."""
    job = json.dumps({"folder": str(folder.resolve()), "virtual": dict(virtual or {})})
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.files"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(job + "\n")
        child.stdin.flush()
        line = child.stdout.readline().strip()
        if not line.isdigit():
            raise RuntimeError("the file server of the benchmarks did not start")
        yield FileServer(f"http://127.0.0.1:{line}/")
    finally:
        child.stdin.close()  # it ends when its input does: also where this process is killed
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


async def _answer(request: Any, state: _State) -> Any:
    from aiohttp import web

    name = request.match_info["name"]
    state.counts["requests"] += 1
    if state.delay:
        await asyncio.sleep(state.delay)
    if state.fail and state.chance.random() < state.fail:
        state.counts["failed"] += 1
        return web.Response(status=503)
    found = state.find(name)
    if found is None:
        return web.Response(status=404)
    span = _RANGE.match(request.headers.get("Range", ""))
    start = int(span[1]) if span else 0
    stop = min(int(span[2]) + 1 if span and span[2] else found.size, found.size)
    if start >= stop:
        return web.Response(status=416)
    headers = {"Accept-Ranges": "bytes", "Content-Type": "image/tiff"}
    if span:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{found.size}"
    if request.method == "HEAD":
        return web.Response(headers={**headers, "Content-Length": str(found.size)})
    body = found.read(start, stop)
    state.counts["bytes"] += len(body)
    return web.Response(status=206 if span else 200, body=body, headers=headers)


async def _control(request: Any, state: _State) -> Any:
    from aiohttp import web

    if request.match_info["word"] == "reset":
        state.delay = float(request.query.get("delay", 0))
        state.fail = float(request.query.get("fail", 0))
        state.chance.seed(1)
        state.counts = dict.fromkeys(state.counts, 0)
    return web.json_response(state.counts)


async def _serve(state: _State, bound: socket.socket) -> None:
    from aiohttp import web

    app = web.Application()
    app.router.add_get("/-/{word}", lambda request: _control(request, state))
    app.router.add_get("/{name:.+}", lambda request: _answer(request, state))
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.SockSite(runner, bound, backlog=256).start()
    print(bound.getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)  # until the parent closes it
    await runner.cleanup()


def main() -> None:
    job = json.loads(sys.stdin.readline())
    bound = socket.create_server(("127.0.0.1", 0))
    asyncio.run(_serve(_State(Path(job["folder"]), job["virtual"]), bound))


if __name__ == "__main__":
    main()
