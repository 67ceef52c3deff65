"""The place a scan is written to, local or in an object store: small objects by name, among them
what became of each unit.

scan.json                  what was asked, the units, and what each is read from
progress.json              what became of each unit, and when
collection.json            the STAC collection over all finished units
units/<unit>/map.zarr      the map of one unit
units/<unit>/<unit>.json   its STAC item
units/<unit>/overview.npz  it at a 64th of its resolution, for a picture
landslides.gpkg, landslides.parquet, overview.png
products.json              what was written of these, so that an edited one is not replaced
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sarmap.errors import OutputError, RequestError
from sarmap.store.location import is_url, store_at
from sarmap.store.objects import clear, get, get_many, holds, put, put_file, storage_errors
from sarmap.store.retrying import patiently

PROGRESS = "progress.json"
Status = Literal["waiting", "running", "done", "unread", "failed", "no_radar"]
"""`unread`: mapped, but some pixels could not be read; `no_radar`: no scene lies over it."""


class Folder:
    """All objects of one scan.

    >>> folder = Folder("memory://doctest-scan")
    >>> folder.write("a/b.json", {"n": 1})
    >>> folder.read("a/b.json"), folder.read("c.json")
    ({'n': 1}, None)
    >>> folder.path("units/54N-0001-0002/map.zarr")
    'memory://doctest-scan/units/54N-0001-0002/map.zarr'
    """

    def __init__(self, out: str | Path) -> None:
        text = str(out) if is_url(out) else str(Path(str(out)).expanduser().absolute())
        self.out = text.rstrip("/")
        self.store = store_at(self.out)
        self._reading = store_at(self.out, read_only=True)  # which makes no folder

    @property
    def shown(self) -> str:
        """Its name, without the folders it lies in."""
        return self.out.rsplit("/", 1)[-1]

    def path(self, name: str) -> str:
        """Path or URL of something in it."""
        return f"{self.out}/{name}"

    def read_bytes(self, name: str) -> bytes | None:
        """An object; None where there is none. OutputError where the store does not answer."""
        with self._asked():
            return get(self._reading, name)

    def read(self, name: str) -> Any:
        """A JSON object; None where there is none. OutputError where the store does not answer, or
        what is there is not JSON.
        """
        found = self.read_bytes(name)
        if found is None:
            return None
        try:
            return json.loads(found)
        except ValueError:
            raise OutputError(f"{name} in {self.shown} is damaged: it is not JSON.") from None

    def read_many(self, names: Iterable[str]) -> dict[str, bytes]:
        """Those of several objects that exist, asked for side by side."""
        with self._asked():
            return get_many(self._reading, names)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except storage_errors() as error:
            raise OutputError(
                f"{self.shown} does not answer ({type(error).__name__}): check the path and the "
                "credentials in the environment."
            ) from None

    def write_bytes(self, name: str, value: bytes) -> None:
        """Put an object, whole or not at all; OutputError where the store does not take it."""
        patiently(lambda: put(self.store, name, value), f"{name} in {self.shown}")

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Put a JSON object."""
        text = json.dumps(record, indent=1, ensure_ascii=False)
        self.write_bytes(name, (text + "\n").encode())

    def begin(self, *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
        """The record of the scan that is to be continued here; None for a new one. RequestError
        where something is there that may not be continued or replaced, OutputError where the place
        does not take files.
        """
        if not is_url(self.out) and Path(self.out).is_file():
            raise RequestError(f"{self.shown} is a file: give a folder as out.")
        record = self.read("scan.json")
        if record is None:
            if not self.empty():
                raise RequestError(
                    f"{self.shown} exists and holds no scan, so nothing is written into it: choose "
                    "another `out`."
                )
            return None
        if overwrite:
            self._clear()
            return None
        if not resume:
            raise RequestError(
                f"{self.shown} holds a scan already: give resume=True (--resume) to continue it, "
                "overwrite=True (--overwrite) to start anew, or another `out`."
            )
        return dict(record)

    def empty(self) -> bool:
        """True where nothing is; OutputError where the store does not answer."""
        with self._asked():
            return not holds(self._reading)

    def _clear(self) -> None:
        """Remove the scan, its record last: what is left of it is known for a scan."""
        try:
            clear(self.store, last="scan.json")
        except storage_errors() as error:
            raise OutputError(
                f"The old scan cannot be removed ({type(error).__name__}): check the permissions."
            ) from None

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """A local file to write, put in place when the block ends well."""
        with tempfile.TemporaryDirectory(prefix="sarmap-scan-") as scratch:
            fresh = Path(scratch) / Path(name).name
            yield fresh
            patiently(lambda: put_file(self.store, name, fresh), f"{name} in {self.shown}")


@dataclass(frozen=True)
class State:
    """What became of one unit."""

    status: Status = "waiting"
    """Where it stands."""
    started: str | None = None
    """UTC instant of the latest try."""
    finished: str | None = None
    """UTC instant of its end."""
    seconds: float = 0.0
    """Wall time of the tries that stored blocks, added up."""
    cores: int = 0
    """Threads that computed it."""
    pixels: int = 0
    """Pixels of the unit."""
    computed: int = 0
    """Pixels computed in `seconds`: fewer than `pixels` where part was done before."""
    blocks: int = 0
    """Blocks of the unit, where it is known."""
    observation: Mapping[str, int] = field(default_factory=dict)
    """Pixels per observation meaning."""
    sentence: str = ""
    """Why it failed, or what a reader should know."""
    detector: str = ""
    """The detector that maps it; empty before it was begun."""

    @property
    def mapped(self) -> bool:
        """True where a finished map lies."""
        return self.status in ("done", "unread")

    @property
    def answered(self) -> bool:
        """True where there is nothing to be tried again."""
        return self.status in ("done", "no_radar")


class Units:
    """The states of all units of one scan, kept in its folder."""

    def __init__(self, folder: Folder, states: Mapping[str, State]) -> None:
        self.folder = folder
        self._states = dict(states)
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> State:
        return self._states[name]

    def all(self) -> dict[str, State]:
        """State of every unit, in the order they are mapped."""
        with self._lock:
            return dict(self._states)

    def set(self, name: str, state: State) -> None:
        """Keep a unit's state, here and in the folder; OutputError where that does not take it."""
        with self._lock:
            self._states[name] = state
            self._write()

    def change(self, names: Iterable[str], to: Callable[[State], State]) -> None:
        """Change several states and write once."""
        with self._lock:
            for name in names:
                self._states[name] = to(self._states[name])
            self._write()

    def _write(self) -> None:
        units = {name: _short(state) for name, state in self._states.items()}
        self.folder.write(PROGRESS, {"updated": now(), "units": units})


def now() -> str:
    """This instant, UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def _short(state: State) -> dict[str, Any]:
    return {key: value for key, value in asdict(state).items() if value or key == "status"}


def read_units(folder: Folder) -> dict[str, State]:
    """The states that a scan has written so far; OutputError where the folder does not answer."""
    record = folder.read(PROGRESS) or {"units": {}}
    return {name: State(**kept) for name, kept in record["units"].items()}
