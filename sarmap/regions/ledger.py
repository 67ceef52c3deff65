"""What became of each unit: one small record in the store, written by the scan, read by anyone."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sarmap.regions.folder import Folder

__all__ = ["NAME", "State", "Status", "Units", "read_units"]

NAME = "progress.json"
Status = Literal["waiting", "running", "done", "unread", "failed", "no_radar"]
"""`unread`: mapped, but some pixels could not be read; `no_radar`: no scene lies over it."""


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
        """Keep a unit's state, here and in the folder.

        Raises:
            OutputError: the folder does not take it.
        """
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
        self.folder.write(NAME, {"updated": now(), "units": units})


def now() -> str:
    """This instant, UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def _short(state: State) -> dict[str, Any]:
    return {key: value for key, value in asdict(state).items() if value or key == "status"}


def read_units(folder: Folder) -> dict[str, State]:
    """The states that a scan has written so far.

    Raises:
        OutputError: the folder does not answer.
    """
    record = folder.read(NAME) or {"units": {}}
    return {name: State(**kept) for name, kept in record["units"].items()}
