"""Start real servers for tests: find them, wait for them, end them with whoever started them.

A server that is not installed skips the test on a laptop. Where `SARMAP_REQUIRE_SERVICES=1` is set,
as `.ci/run` does, it fails it instead.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
"""How long a server may take to answer, on a machine with more to do."""

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def absent(what: str, remedy: str) -> NoReturn:
    """Skip, or fail where services are required, because `what` is not here."""
    sentence = f"{what} is not installed here: {remedy}"
    if os.environ.get("SARMAP_REQUIRE_SERVICES") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def find_program(name: str, remedy: str, *, beside: Sequence[Path] = ()) -> str:
    """Path of a program, looked for in `beside` first, then on the PATH and among the servers."""
    places = [*map(str, beside), os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    return found or absent(name, remedy)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """True where something accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end_with_parent(with_signal: int) -> Callable[[], None] | None:
    """Linux: the kernel signals this child when its parent is gone (prctl, PR_SET_PDEATHSIG)."""
    if _LIBC is None:
        return None
    libc = _LIBC
    return lambda: libc.prctl(1, with_signal) and None


def _tail(log: IO[bytes]) -> str:
    log.flush()
    return Path(log.name).read_text(encoding="utf-8", errors="replace")[-2000:]


@contextmanager
def running(
    command: Sequence[str],
    ready: Callable[[], bool],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    cwd: Path | None = None,
    stop: int = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server from when it is `ready` until the block ends; its output goes to the file `log`.

    `user` is changed to where the caller is root; `stop` is the signal that ends it in order.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
            user=user,
            group=None if user is None else _group_of(user),
            extra_groups=None if user is None else [],
            preexec_fn=_end_with_parent(stop),
        )
        try:
            _await(process, ready, output)
            yield process
        finally:
            process.send_signal(stop)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _await(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: IO[bytes]) -> None:
    limit = time.monotonic() + START_SECONDS
    while not ready():
        name = Path(str(process.args[0])).name  # type: ignore[index]
        assert process.poll() is None, f"{name} ended at its start: {_tail(log)}"
        assert time.monotonic() < limit, f"{name} did not answer: {_tail(log)}"
        time.sleep(0.05)
