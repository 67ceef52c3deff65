"""Who writes a result store: one run at a time, and the next one told who it is and since when.

A run that begins to write puts its record into the store, where none stands, and renews it while it
works; a run that ends takes it away. A record that stays behind is of a run that was killed: its
process is gone, or, on another machine, it is not renewed any more. A run whose record was replaced
has been taken over, and stops before it stores another block.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from sarmap.errors import OutputError, RequestError
from sarmap.store.ledger import ROOM
from sarmap.store.objects import delete, get, put, put_new
from sarmap.store.retrying import patiently

OWNER = f"{ROOM}/owner.json"
"""Key of the record."""
BEAT = 15.0
"""Seconds after which a run renews its record."""


@dataclass(frozen=True)
class Owner:
    """One run, as its record has it."""

    run: str
    """What tells it from all others; the end of its marks' names."""
    host: str
    pid: int
    born: float
    """When its process began, so that a number that is used again is not taken for it."""
    since: str
    """When it began to write, UTC."""
    beat: float = 0.0
    """When it was last heard of, seconds."""

    def __str__(self) -> str:
        """In words."""
        return f"process {self.pid} on {self.host}, since {self.since}"


def check_free(store: Any, shown: str, *, overwrite: bool, advice: str = "") -> None:
    """Refuse (RequestError) a store that another run is writing to, unless it may be taken over.

    A run on another machine is waited for as long as it takes to see whether it lives.
    """
    owner = _read(store)
    if owner is not None and not overwrite and _lives(store, owner):
        taking = (
            "wait until it is done, or give overwrite=True (--overwrite) to take it over, which "
            "ends that run"
        )
        raise RequestError(f"{shown} is being written by {owner}: {advice or taking}.")


@contextmanager
def owning(store: Any, shown: str) -> Iterator[str]:
    """Own a store for one `with` block; gives the run's name. OutputError where another run began
    at the same moment, or took the store over.
    """
    mine = _myself()
    take = put_new if _read(store) is None else put
    # one that was written before its answer was lost is there at the next try, and found ours
    patiently(lambda: take(store, OWNER, _record(mine)), f"{shown}'s record of its writer")
    check_ours(store, mine.run, shown)
    done = threading.Event()
    beating = threading.Thread(target=_renew, args=(store, mine, done), daemon=True)
    beating.start()
    try:
        yield mine.run
    finally:
        done.set()
        beating.join()
        with suppress(Exception):  # a record that stays is of a process that is gone
            if _owned(store, mine.run):
                delete(store, [OWNER])


def check_ours(store: Any, run: str, shown: str) -> None:
    """Refuse (OutputError) to write on where another run has taken the store over."""
    if not _owned(store, run):
        other = _read(store)
        who = "another run" if other is None else f"another run ({other})"
        raise OutputError(f"{shown} was taken over by {who}, so this one stops.")


def _owned(store: Any, run: str) -> bool:
    owner = _read(store)
    return owner is not None and owner.run == run


def _myself() -> Owner:
    import psutil

    return Owner(
        run=uuid.uuid4().hex[:12],
        host=socket.gethostname(),
        pid=os.getpid(),
        born=psutil.Process().create_time(),
        since=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC",
        beat=time.time(),
    )


def _record(owner: Owner) -> bytes:
    return json.dumps(asdict(owner)).encode()


def _read(store: Any) -> Owner | None:
    """The record in a store; None where there is none, or none that can be read."""
    text = get(store, OWNER)
    with suppress(ValueError, TypeError):
        return Owner(**json.loads(text or b""))
    return None


def _renew(store: Any, mine: Owner, done: threading.Event) -> None:
    """Say again and again that this run lives, as long as the record is its own."""
    while not done.wait(BEAT):
        with suppress(Exception):  # a store that is away for a moment
            if not _owned(store, mine.run):
                return
            put(store, OWNER, _record(Owner(**{**asdict(mine), "beat": time.time()})))


def _lives(store: Any, owner: Owner) -> bool:
    """Whether the run of a record is still there."""
    import psutil

    if owner.host == socket.gethostname():
        try:
            return bool(abs(psutil.Process(owner.pid).create_time() - owner.born) < 2)
        except psutil.Error:
            return False
    for _ in range(8):
        time.sleep(BEAT / 3)
        now = _read(store)
        if now is None or now.run != owner.run:
            return now is not None
        if now.beat != owner.beat:
            return True
    return False
