"""The child process behind `serve`: a static file server that also keeps the STAC API alive.

Talks to its parent in lines. It binds a free port and says ``port N``; it is told, as one line of
JSON, which folder to serve and how to start the STAC API; it says ``ready http://...`` once both
answer, or ``failed <reason>``. It ends, and the API with it, when its standard input closes: so a
parent that is killed leaves nothing running. Imports stay few, because every map of the demo waits
for this start.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from pathlib import Path
from typing import IO, Any

START_SECONDS = 30.0
"""How long the STAC API may take to answer."""

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
"""Loaded ahead: a forked child must not import, another thread may hold the import lock."""

ATTEMPTS = 3
"""Starts of the STAC API before giving up: the free port found may be taken in between."""


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def listen() -> socket.socket:
    """A listening socket on a free loopback port."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    bound.listen(128)
    return bound


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """Linux: have the kernel end this child with its parent (prctl, PR_SET_PDEATHSIG = 1)."""
    assert _LIBC is not None
    _LIBC.prctl(1, signal.SIGKILL)


def spawn_api(
    rustac: str, arguments: list[str], port: int, log: IO[bytes]
) -> subprocess.Popen[Any]:
    """Start `rustac serve` on a loopback port."""
    return subprocess.Popen(
        [rustac, "serve", "--addr", f"127.0.0.1:{port}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )


def answers(port: int) -> bool:
    """True where something accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_api(
    rustac: str, arguments: list[str], wanted: int | None = None
) -> tuple[subprocess.Popen[Any], int]:
    """Start the STAC API, on a wanted port or a free one, and wait until it answers.

    Raises RuntimeError, with the last line the API said, where it ends or stays silent.
    """
    if wanted is not None and answers(wanted):
        raise RuntimeError(f"port {wanted} is taken by another program")
    said = ""
    for _ in range(ATTEMPTS):
        port = wanted or free_port()
        with tempfile.TemporaryFile() as log:
            api = spawn_api(rustac, arguments, port, log)
            limit = time.monotonic() + START_SECONDS
            while api.poll() is None and time.monotonic() < limit:
                if answers(port) and api.poll() is None:
                    return api, port
                time.sleep(0.01)
            api.kill()
            api.wait()
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            said = lines[-1] if lines else "it said nothing"
    raise RuntimeError(f"the STAC API (rustac serve) did not start: {said}")


def stop(api: subprocess.Popen[Any]) -> None:
    """End the STAC API, by force where it lingers."""
    api.terminate()
    try:
        api.wait(timeout=2)
    except subprocess.TimeoutExpired:
        api.kill()
        api.wait()


async def _serve_files(folder: Path, bound: socket.socket, started: threading.Event) -> None:
    # aiohttp: its static route answers byte ranges with sendfile(2).
    from aiohttp import web
    from google_crc32c import value

    async def sum_up(request: web.Request, answer: web.StreamResponse) -> None:
        # With a checksum of the answer, no reader need inflate a block twice to check it.
        asked = re.match(r"bytes (\d+)-(\d+)/", answer.headers.get("Content-Range", ""))
        if asked:
            with (folder / request.match_info["filename"]).open("rb") as file:
                file.seek(int(asked[1]))
                body = file.read(int(asked[2]) + 1 - int(asked[1]))
            told = b64encode(value(body).to_bytes(4, "big")).decode()
            answer.headers["Content-Digest"] = f"crc32c=:{told}:"

    app = web.Application()
    app.on_response_prepare.append(sum_up)
    app.router.add_static("/", folder)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.SockSite(runner, bound, backlog=128).start()
    started.set()
    await asyncio.Event().wait()


def _wait_for_parent() -> None:
    while sys.stdin.buffer.read(4096):
        pass


def main() -> int:
    """Run the child until the parent closes its end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent acts
    bound = listen()
    _say(f"port {bound.getsockname()[1]}")
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    told = json.loads(line)
    started = threading.Event()
    threading.Thread(
        target=lambda: asyncio.run(_serve_files(Path(told["files"]), bound, started)), daemon=True
    ).start()
    try:
        api, port = start_api(told["rustac"], told["arguments"], told.get("port"))
    except (OSError, RuntimeError) as error:
        _say(f"failed {error}")
        return 1
    try:
        if not started.wait(START_SECONDS):
            _say("failed the file server did not start")
            return 1
        _say(f"ready http://127.0.0.1:{port}/")
        _wait_for_parent()
    finally:
        stop(api)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the file server's thread never returns
