"""A web server that fails on purpose: a folder or another server behind faults drawn from a seed.

In front of a folder it answers byte ranges as object storage does; in front of another server (a
STAC API) it passes requests on and rewrites that server's addresses in JSON to its own. Whether a
request is hit is drawn from the seed, the request and how often that very request was made, so the
same run meets the same faults whatever the order in which its threads ask.

From Python::

    with serve_faults(folder=cogs, faults=[Fault("503", rate=0.2)], seed=1) as server:
        ...read from server.url...
    server.counts["503"]

As a process, which says ``ready http://127.0.0.1:port`` and ends with its standard input::

    python tests/faults/fault_proxy.py --folder cogs --delay-ms 80 --fail 0.01 --seed 1

Its faults can be read and changed while it runs at ``/-/faults`` (GET: counts; POST: new faults).
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import email.utils
import hashlib
import json
import re
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web
from yarl import URL

KINDS = (
    "429",  # too many requests, Retry-After in seconds
    "429-date",  # the same, Retry-After as an HTTP date
    "500",
    "503",  # unavailable, Retry-After in seconds
    "403",  # an expired token
    "404",
    "reset",  # connection reset in place of an answer
    "reset-midway",  # connection reset after half the body
    "timeout",  # accepted, never answered
    "truncated",  # half of the body that Content-Length promised, then a clean end
    "short",  # half of the body, with a Content-Length to match
    "wrong-range",  # Content-Range names other bytes than were asked for
    "whole",  # the Range header ignored: 200 and the whole file
    "trickle",  # a few bytes a second
    "html",  # an error page with status 200
    "html-range",  # an error page that poses as the range
    "garbled",  # right headers, other bytes
    "flipped",  # the same with one other bit
    "redirect",  # 302 to `location`
)
"""What can go wrong."""

USUAL = ("429", "503", "500", "reset", "reset-midway", "truncated", "html", "wrong-range")
"""What `--fail` draws from: faults that are over when they are asked again."""

CONTROL = "/-/faults"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")
_PAGE = b"<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>\n"


@dataclass(frozen=True)
class Fault:
    """One kind of failure, and which requests it hits."""

    kind: str
    """One of `KINDS`."""
    rate: float = 1.0
    """Share (0-1) of the matching requests that are hit."""
    path: str = ""
    """Only requests whose path contains this."""
    method: str = ""
    """Only this method; empty: any."""
    tries: int | None = None
    """Only the first so many times that one request (method, path, range) is made."""
    after: int = 0
    """Requests that match and are let through first."""
    times: int | None = None
    """Hits in all; None: no end."""
    within: tuple[int, int] | None = None
    """Only requests for a range that touches these bytes, first to last."""
    seconds: float = 1.0
    """What Retry-After says."""
    pace: float = 10.0
    """Bytes a second of a trickle."""
    location: str = ""
    """Where a redirect leads."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}: choose from {', '.join(KINDS)}")


def usual(rate: float, *, kinds: Sequence[str] = USUAL, path: str = "") -> list[Fault]:
    """The usual faults, hitting `rate` of all requests together, each kind as often."""
    # Faults are drawn one after the other: the later ones see only what the earlier ones spared.
    share = rate / len(kinds)
    return [
        Fault(kind, rate=share / (1 - number * share), path=path, seconds=0)
        for number, kind in enumerate(kinds)
    ]


@dataclass(frozen=True)
class Seen:
    """One request and what became of it."""

    method: str
    path: str
    query: str
    range: str
    fault: str
    """Kind of the fault that hit it; empty: none."""
    status: int
    headers: dict[str, str]


@dataclass
class FaultServer:
    """A server that fails on purpose; `faults` and `delay` may be changed while it runs."""

    faults: Sequence[Fault] = ()
    seed: int = 0
    delay: float = 0.0
    """Seconds before every answer."""
    folder: Path | None = None
    """What is served, unless `upstream` is."""
    upstream: str | None = None
    """Root of the server whose answers are passed on."""
    url: str = ""
    """Root of this server; set while it runs."""
    guard: Callable[[str], object] = lambda _query: True
    """From a request's query to whether the storage opens to it; 403 where it does not."""
    rewrite: Callable[[str, bytes], bytes] = lambda _path, body: body
    """From a path and the JSON that the upstream server answered to what is answered instead."""
    named: Callable[[str, str], Mapping[str, str]] = lambda _path, tag: {"ETag": tag}
    """From a file's path and tag to the headers that tell its state."""
    summed: Callable[[bytes, bytes], Mapping[str, str]] = lambda _body, _whole: {}
    """From an answer's bytes and those of the whole file to headers with their checksum."""
    keep: int = 100_000
    """Requests remembered."""
    seen: list[Seen] = field(default_factory=list)
    """Requests in the order of their answers."""
    counts: Counter[str] = field(default_factory=Counter)
    """Hits by kind; 'requests' and 'bytes' in all."""
    _asked: Counter[tuple[str, ...]] = field(default_factory=Counter)
    _matched: Counter[int] = field(default_factory=Counter)
    _hit: Counter[int] = field(default_factory=Counter)

    @property
    def hits(self) -> int:
        """Requests that were hit by a fault."""
        return sum(self.counts[kind] for kind in KINDS)

    def draw(self, method: str, path: str, asked_range: str) -> Fault | None:
        """The fault that hits the next such request, if any."""
        key = (method, path, asked_range)
        nth = self._asked[key]
        self._asked[key] += 1
        for number, fault in enumerate(self.faults):
            if fault.path not in path or fault.method not in ("", method):
                continue
            if fault.within is not None and not _touches(asked_range, fault.within):
                continue
            if fault.tries is not None and nth >= fault.tries:
                continue
            self._matched[number] += 1
            if self._matched[number] <= fault.after:
                continue
            if fault.times is not None and self._hit[number] >= fault.times:
                continue
            if _unit(self.seed, number, fault.kind, nth, *key) < fault.rate:
                self._hit[number] += 1
                return fault
        return None

    def record(self) -> dict[str, Any]:
        """Counts and faults, as the control address tells them."""
        return {"counts": dict(self.counts), "faults": [asdict(fault) for fault in self.faults]}


def _unit(*key: object) -> float:
    """A number in 0-1 drawn from a key.

    >>> _unit(1, "a") == _unit(1, "a") != _unit(2, "a")
    True
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _touches(asked_range: str, span: Sequence[int]) -> bool:
    """True where a Range header asks for any byte of a span.

    >>> _touches("bytes=0-99", (99, 120)), _touches("bytes=0-99", (100, 120)), _touches("", (0, 1))
    (True, False, False)
    """
    asked = _RANGE.match(asked_range)
    if asked is None:
        return False
    return int(asked[1]) <= span[1] and (not asked[2] or int(asked[2]) >= span[0])


@dataclass(frozen=True)
class _Answer:
    """What a healthy server would say."""

    status: int
    headers: dict[str, str]
    body: bytes
    first: int = 0
    """Offset of the body in the file."""
    size: int = 0
    """Bytes of the whole file."""


class _App:
    """The request handler of one `FaultServer`."""

    def __init__(self, server: FaultServer) -> None:
        self.server = server
        self.client: ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == CONTROL:
            return await self._control(request)
        server = self.server
        fault = server.draw(request.method, request.path, request.headers.get("Range", ""))
        if not server.guard(request.query_string):
            fault = Fault("403")
        server.counts["requests"] += 1
        if fault:
            server.counts[fault.kind] += 1
        if server.delay:
            await asyncio.sleep(server.delay)
        self._note(request, fault, 0)
        place = len(server.seen) - 1
        try:
            answer = await (self._file(request) if server.folder else self._passed_on(request))
            status = await self._send(request, answer, fault)
        except (TimeoutError, ConnectionError):
            status = None
        if status is None:  # hung up: what aiohttp is given now goes nowhere
            return web.Response()
        server.seen[place] = replace(server.seen[place], status=status.status)
        return status

    def _note(self, request: web.Request, fault: Fault | None, status: int) -> None:
        seen = Seen(
            method=request.method,
            path=request.path,
            query=request.query_string,
            range=request.headers.get("Range", ""),
            fault=fault.kind if fault else "",
            status=status,
            headers=dict(request.headers),
        )
        if len(self.server.seen) < self.server.keep:
            self.server.seen.append(seen)

    async def _control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            told = await request.json()
            self.server.faults = [Fault(**fault) for fault in told["faults"]]
            self.server.delay = float(told.get("delay", self.server.delay))
        return web.json_response(self.server.record())

    async def _file(self, request: web.Request) -> _Answer:
        assert self.server.folder is not None
        root = self.server.folder.resolve()
        file = (root / request.path.lstrip("/")).resolve()
        if not file.is_relative_to(root) or not file.is_file():
            return _Answer(404, {"Content-Type": "text/plain"}, b"no such file\n")
        found = file.stat()
        size = found.st_size
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Type": "image/tiff" if file.suffix in (".tif", ".tiff") else "text/plain",
            **self.server.named(request.path, f'"{found.st_mtime_ns:x}-{size:x}"'),
        }
        asked = _RANGE.match(request.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]) if asked and asked[2] else size - 1, size - 1)
        if asked and first > last:
            return _Answer(416, {**headers, "Content-Range": f"bytes */{size}"}, b"")
        with file.open("rb") as opened:
            opened.seek(first)
            body = opened.read(last - first + 1)
        headers |= self.server.summed(body, file.read_bytes())
        if not asked:
            return _Answer(200, headers, body, 0, size)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return _Answer(206, headers, body, first, size)

    async def _passed_on(self, request: web.Request) -> _Answer:
        upstream = str(self.server.upstream).rstrip("/")
        if self.client is None:
            self.client = ClientSession(timeout=ClientTimeout(60), auto_decompress=True)
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "content-length", "connection", "accept-encoding")
        }
        async with self.client.request(
            request.method,
            URL(upstream + request.raw_path, encoded=True),
            data=await request.read(),
            headers={**kept, "Accept-Encoding": "identity"},
            allow_redirects=False,
        ) as answer:
            body = await answer.read()
            headers = {
                name: value
                for name, value in answer.headers.items()
                if name.lower()
                in ("content-type", "content-range", "accept-ranges", "etag", "last-modified")
            }
            if "json" in headers.get("Content-Type", ""):
                body = body.replace(upstream.encode(), self.server.url.rstrip("/").encode())
                body = self.server.rewrite(request.path, body)
            return _Answer(answer.status, headers, body, 0, len(body))

    async def _send(
        self, request: web.Request, answer: _Answer, fault: Fault | None
    ) -> web.StreamResponse | None:
        """Answer as the fault has it; None where the connection was ended."""
        if fault is None:
            self.server.counts["bytes"] += len(answer.body)
            return await _plain(request, answer)
        if fault.kind in ("429", "429-date", "500", "503", "403", "404"):
            return await _plain(request, _refusal(fault))
        if fault.kind == "redirect":
            return await _plain(request, _Answer(302, {"Location": fault.location}, b""))
        if fault.kind in ("html", "html-range"):
            status = 200 if fault.kind == "html" else answer.status
            ranged = {k: v for k, v in answer.headers.items() if k == "Content-Range"}
            page = (_PAGE * (len(answer.body) // len(_PAGE) + 1))[: len(answer.body)]
            body = _PAGE if fault.kind == "html" else page
            headers = {"Content-Type": "text/html", **(ranged if fault.kind != "html" else {})}
            return await _plain(request, _Answer(status, headers, body))
        if fault.kind == "timeout":
            await asyncio.sleep(3600)
        if fault.kind == "reset":
            _reset(request)
            return None
        return await self._send_body(request, answer, fault)

    async def _send_body(
        self, request: web.Request, answer: _Answer, fault: Fault
    ) -> web.StreamResponse | None:
        """The faults of a body that does arrive, in some way."""
        half = answer.body[: len(answer.body) // 2]
        if half.startswith(b"{") and b"}" in half:  # JSON, cut where it looks like an end
            half = half[: half.rindex(b"}") + 1]
        if fault.kind == "short":
            return await _plain(request, replace(answer, body=half))
        if fault.kind == "whole":
            if self.server.folder is None:
                return await _plain(request, answer)
            whole = (self.server.folder / request.path.lstrip("/")).read_bytes()
            kept = {k: v for k, v in answer.headers.items() if k != "Content-Range"}
            return await _plain(request, _Answer(200, kept, whole))
        if fault.kind == "wrong-range":
            first = answer.first + 64
            moved = f"bytes {first}-{first + len(answer.body) - 1}/{answer.size + 64}"
            return await _plain(
                request, replace(answer, headers={**answer.headers, "Content-Range": moved})
            )
        if fault.kind == "garbled":
            noise = hashlib.shake_128(repr(request.path).encode()).digest(len(answer.body))
            return await _plain(request, replace(answer, body=noise))
        if fault.kind == "flipped":
            middle = len(answer.body) // 2
            bit = bytes([answer.body[middle] ^ 1])
            body = answer.body[:middle] + bit + answer.body[middle + 1 :]
            return await _plain(request, replace(answer, body=body))
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = len(answer.body)
        await response.prepare(request)
        if fault.kind == "trickle":
            for start in range(len(answer.body)):
                await response.write(answer.body[start : start + 1])
                await asyncio.sleep(1 / fault.pace)
            return response
        await response.write(half)
        if fault.kind == "reset-midway":
            _reset(request)
            return None
        assert fault.kind == "truncated", fault.kind
        if request.transport is not None:
            request.transport.close()
        return None


def _refusal(fault: Fault) -> _Answer:
    """An answer with an error status."""
    headers = {"Content-Type": "text/plain"}
    if fault.kind in ("429", "503"):
        headers["Retry-After"] = f"{fault.seconds:g}"
    if fault.kind == "429-date":
        when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=fault.seconds)
        headers["Retry-After"] = email.utils.format_datetime(when, usegmt=True)
    return _Answer(int(fault.kind[:3]), headers, b"refused on purpose\n")


async def _plain(request: web.Request, answer: _Answer) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


def _reset(request: web.Request) -> None:
    """End the connection with a TCP reset."""
    transport = request.transport
    if transport is not None:
        bound = transport.get_extra_info("socket")
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def _serve(
    server: FaultServer, bound: socket.socket, started: threading.Event, ended: asyncio.Event
) -> None:
    handler = _App(server)
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_route("*", "/{path:.*}", handler.handle)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, bound, backlog=512).start()
    started.set()
    await ended.wait()
    if handler.client is not None:
        await handler.client.close()
    await runner.cleanup()


def _listen(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    bound.listen(512)
    return bound


@contextmanager
def serve_faults(
    *,
    folder: str | Path | None = None,
    upstream: str | None = None,
    faults: Sequence[Fault] = (),
    seed: int = 0,
    delay: float = 0.0,
    port: int = 0,
) -> Iterator[FaultServer]:
    """Serve `folder`, or pass on to `upstream`, on loopback from a thread until the block ends."""
    if (folder is None) == (upstream is None):
        raise ValueError("give either folder= or upstream=")
    server = FaultServer(
        faults=list(faults),
        seed=seed,
        delay=delay,
        folder=Path(folder) if folder is not None else None,
        upstream=upstream,
    )
    bound = _listen(port)
    server.url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
    started, loop, ended = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(_serve(server, bound, started, ended)), daemon=True
    )
    thread.start()
    try:
        if not started.wait(30):
            raise RuntimeError("the fault server did not start")
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        if not thread.is_alive():
            loop.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A web server that fails on purpose.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folder", help="folder to serve with byte ranges")
    source.add_argument("--upstream", help="root of the server to pass requests on to")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="added to every answer")
    parser.add_argument("--fail", type=float, default=0.0, help="share of requests that fail")
    parser.add_argument(
        "--kinds", default=",".join(USUAL), help=f"faults drawn by --fail: {','.join(KINDS)}"
    )
    parser.add_argument("--path", default="", help="only paths that contain this fail")
    return parser.parse_args()


def main() -> int:
    """Serve until standard input closes; then print the counts as one line of JSON."""
    given = _arguments()
    kinds = [kind for kind in given.kinds.split(",") if kind]
    faults = usual(given.fail, kinds=kinds, path=given.path) if given.fail else []
    with serve_faults(
        folder=given.folder,
        upstream=given.upstream,
        faults=faults,
        seed=given.seed,
        delay=given.delay_ms / 1000,
        port=given.port,
    ) as server:
        print(f"ready {server.url}", flush=True)
        while sys.stdin.buffer.read(4096):
            pass
        print(json.dumps(server.record()["counts"]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
