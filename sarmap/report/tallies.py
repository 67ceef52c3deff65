"""What is counted while the map is read once: pixels by probability, and what was seen where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.report.cells import encoded
from sarmap.report.strips import Rows
from sarmap.store.encoding import FILL
from sarmap.types import Observation

LEVELS = 251
"""Stored steps of probability, 0 to 1."""


def histogram_of(
    probability: NDArray[np.uint8], groups: NDArray[np.uint16] | None = None, number: int = 1
) -> NDArray[np.int64]:
    """Pixels (group, 251) at each step of probability; what was not seen is left out.

    >>> import numpy as np
    >>> histogram_of(np.uint8([[0, 250, 255, 0]]))[0, [0, 250]]
    array([2, 1])
    """
    packed: NDArray[Any] = probability.ravel()
    if groups is not None:
        packed = packed + groups.ravel().astype(np.int64) * 256
    counts = np.bincount(packed, minlength=256 * number).reshape(-1, 256)
    return counts[:, :LEVELS]


@dataclass
class Histogram:
    """Pixels of the whole map by probability, and by what was seen of them."""

    probability: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LEVELS, np.int64))
    observation: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(Observation), np.int64)
    )
    control: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LEVELS, np.int64))
    """Pixels by what the detector says of passes before the event; zeros where it was not asked."""

    def add(self, rows: Rows) -> None:
        """The next strip."""
        self.probability += histogram_of(rows.probability)[0]
        counts = np.bincount(rows.observation.ravel(), minlength=len(Observation))
        self.observation += counts[: len(Observation)]
        if rows.control is not None:
            self.control += histogram_of(rows.control)[0]


@dataclass
class SeenGrid:
    """How much of each square of about a kilometre was seen, for the density of landslides."""

    shape: tuple[int, int]
    """Rows and columns of the map."""
    edge: int
    """Pixels per side of a square."""
    _open: NDArray[np.int64] | None = None

    def add(self, rows: Rows) -> None:
        """The next strip."""
        seen = (rows.probability != FILL).astype(np.int32)
        across = np.add.reduceat(seen, np.arange(0, self.shape[1], self.edge), axis=1)
        if self._open is None:
            self._open = np.zeros((-(-self.shape[0] // self.edge), across.shape[1]), np.int64)
        np.add.at(self._open, (rows.top + np.arange(len(seen))) // self.edge, across)

    def record(self, kilometre: float) -> dict[str, Any]:
        """For the page; `kilometre` is the edge of a square in km."""
        seen = np.zeros((1, 1), np.int64) if self._open is None else self._open
        return {
            "edge": self.edge,
            "km": round(kilometre, 4),
            "rows": seen.shape[0],
            "columns": seen.shape[1],
            "seen": encoded(seen.astype("<u4")),
        }
