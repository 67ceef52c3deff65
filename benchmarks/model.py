"""The values that travel through a benchmark: what is tried, how it is shown, what came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.context import Context

__all__ = ["Benchmark", "Configuration", "Metric"]


_PRIVATE = frozenset({"control", "catalog", "event", "transform", "keep", "folder"})
"""Arguments that are addresses or places: they never reach a result file."""


@dataclass(frozen=True)
class Metric:
    """One figure of a row: a column of the table."""

    key: str
    """Its name in what a task returns."""
    heading: str
    """Column heading, with the unit."""
    digits: int = 2
    """Digits after the point."""
    scale: float = 1.0
    """What the measured value is divided by before it is shown."""


@dataclass(frozen=True)
class Configuration:
    """One thing to be tried, in a process of its own."""

    label: str
    """What it is, unique within its benchmark."""
    task: str
    """Module and function below `benchmarks.tasks`, e.g. 'mapping:run'."""
    arguments: Mapping[str, Any]
    """The task's keyword arguments; plain JSON."""
    group: str = ""
    """Heading that the table puts it under."""
    repeats: int | None = None
    """How often; None: as often as the benchmark says."""
    family: str | None = None
    """Configurations of one family must give the same answer; None: it gives none."""
    tolerance: float = 0.0
    """Largest difference from the family's first answer; 0: the same bits."""
    floor: str | None = None
    """Label of the configuration that says what the machine could do at best."""
    python: str | None = None
    """Interpreter of another environment; None: this one."""
    server: Mapping[str, Any] = field(default_factory=dict)
    """How the file server behaves meanwhile: `delay` (seconds), `fail` (share of requests)."""

    @property
    def settings(self) -> dict[str, Any]:
        """Its arguments without addresses and places; of a path, the last name."""
        return {
            key: PurePath(value).name if isinstance(value, str) and "/" in value else value
            for key, value in {**self.arguments, **self.server}.items()
            if key not in _PRIVATE
        }

    @property
    def key(self) -> str:
        """What identifies it in a journal: everything that may change its figures."""
        parts = [self.label, self.task, self.settings]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Benchmark:
    """A question, the configurations that answer it, and how the answer is shown."""

    name: str
    """As typed on the command line."""
    title: str
    """Heading of its table."""
    configure: Callable[[Context], Sequence[Configuration]]
    """The configurations to be tried; may start servers that the context ends."""
    metrics: tuple[Metric, ...]
    """Columns of the table; the first is drawn."""
    minutes: float
    """Expected at full size on two cores with AVX2, for the estimate that is printed first."""
    repeats: int = 3
    """Interleaved repeats at full size."""
    absent: Callable[[Context], str | None] = lambda context: None
    """Why it cannot run on this machine, as a sentence; None: it can."""
    notes: tuple[str, ...] = ()
    """Sentences below the table."""
    on_event: bool = True
    """Measured on the simulated event; False: on ground of its own."""
