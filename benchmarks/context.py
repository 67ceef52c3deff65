"""What all benchmarks of one run share: the sizes asked for, the scenes being served, scratch."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.scenes import Scene, event_of, served_event, served_mosaic

__all__ = ["FULL", "QUICK", "Context"]

FULL = (3842, 2346)
"""Rows and columns of the papers' extent."""
QUICK = (1100, 1060)
"""Those of the event of a quick run."""


@dataclass
class Context:
    """One run of the command."""

    quick: bool
    """Small sizes and few configurations."""
    scratch: Path
    """Folder for stores and answers, removed at the end."""
    stack: ExitStack
    """Ends the servers."""
    given: Path | None = None
    """Folder of a simulated event of full size."""
    sizes: tuple[int, ...] = ()
    """Multiples of the extent for `scaling`; empty: its own choice."""
    peers: Path | None = None
    """Interpreter of the environment with PyTorch and MONAI."""
    _mosaics: dict[tuple[int, int], Scene] = field(default_factory=dict)

    @cached_property
    def event(self) -> Any:
        """The simulated event."""
        return event_of(*(QUICK if self.quick else FULL), None if self.quick else self.given)

    @cached_property
    def extent(self) -> tuple[int, int]:
        """Rows and columns that count as one extent."""
        rows, columns = self.event.shape
        return (832, 704) if self.quick else (rows, columns)

    @cached_property
    def scene(self) -> Scene:
        """The event, being served over HTTP."""
        return self.stack.enter_context(served_event(self.event))

    @cached_property
    def local(self) -> Scene:
        """The event, its files read in place."""
        return self.stack.enter_context(served_event(self.event, local=True))

    def mosaic(self, shape: tuple[int, int]) -> Scene:
        """A scene of any size, being served over HTTP."""
        if shape not in self._mosaics:
            folder = self.scratch / f"mosaic-{shape[0]}x{shape[1]}"
            self._mosaics[shape] = self.stack.enter_context(
                served_mosaic(self.event, shape, folder)
            )
        return self._mosaics[shape]

    def folder(self, name: str) -> Path:
        """A folder of scratch."""
        made = self.scratch / name
        made.mkdir(parents=True, exist_ok=True)
        return made
