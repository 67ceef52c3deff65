"""The pixels that may be landslide at any threshold the page offers, and nothing else.

A browser cannot hold a region's map, but it can hold these: runs of neighbouring pixels along rows,
with the probability and the slope of each. From them the page outlines landslides, counts and
measures them anew at any threshold, pixel by pixel as `sarmap.export.polygons` does.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.report.strips import Rows
from sarmap.store.encoding import FILL
from sarmap.types import Observation

LOWEST = 25
"""Packed probability (0.1) of the lowest threshold offered, where that is not too much."""
_MOST = 12_000_000
"""Pixels that a page may hold; of more, the least probable are left out."""
_LONGEST = 65_535


@dataclass
class Cells:
    """Takes strips from top to bottom, and keeps their likely pixels."""

    width: int
    """Columns of the map."""
    level: int = LOWEST
    """Smallest packed probability that is kept; rises where there are too many."""
    most: int = _MOST
    """Pixels kept at most."""
    pixels: int = 0
    """Pixels kept so far."""
    _parts: list[tuple[NDArray[Any], ...]] = field(default_factory=list)

    def add(
        self, rows: Rows, near: NDArray[np.bool_], districts: NDArray[np.uint16] | None = None
    ) -> None:
        """The next strip, and of each of its pixels whether unseen ground is near and its district.

        Districts are numbered from 1; 0: none.
        """
        likely = (rows.probability >= self.level) & (rows.probability != FILL)
        at = np.flatnonzero(likely)
        slope = None if rows.slope is None else rows.slope.ravel()[at]
        part = (
            at + rows.top * self.width,
            rows.probability.ravel()[at],
            np.full(len(at), FILL, np.uint8) if slope is None else slope,
            near.ravel()[at].astype(np.uint8),
            np.zeros(len(at), np.uint16) if districts is None else districts.ravel()[at],
        )
        self._parts.append(part)
        self.pixels += len(at)
        if self.pixels > 2 * self.most:
            self._shrink()

    def _columns(self) -> tuple[NDArray[Any], ...]:
        empty = (np.empty(0, np.int64), *(np.empty(0, kind) for kind in ("u1", "u1", "u1", "u2")))
        parts = [*self._parts, empty]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _shrink(self) -> None:
        """Leave out the least probable pixels until there are few enough."""
        columns = self._columns()
        counts = np.bincount(columns[1], minlength=256)[::-1].cumsum()[::-1]
        fits = np.flatnonzero(counts <= self.most)
        self.level = max(int(fits[0]) if len(fits) else 250, self.level)
        kept = columns[1] >= self.level
        self._parts = [tuple(column[kept] for column in columns)]
        self.pixels = int(kept.sum())

    def settle(self) -> None:
        """Leave out what is too much; `level` is final then."""
        if self.pixels > self.most:
            self._shrink()

    def record(self) -> dict[str, Any]:
        """For the page, once settled: runs as gaps and lengths, then the values of their pixels.

        A run ends with its row, at a pixel that is not kept, and where the district changes.
        """
        at, values, slopes, near, districts = self._columns()
        starts = _starts(at, districts, self.width)
        lengths = np.diff(np.append(starts, len(at)))
        ends = at[starts] + lengths
        gaps = at[starts] - np.concatenate([[0], ends[:-1]]) if len(starts) else starts
        return {
            "level": self.level,
            "pixels": len(at),
            "runs": len(starts),
            "gaps": encoded(gaps.astype("<u4")),
            "lengths": encoded(lengths.astype("<u2")),
            "districts": encoded(districts[starts].astype("<u2")),
            "values": encoded(values),
            "slopes": encoded(slopes),
            "near": encoded(near),
        }


def _starts(at: NDArray[np.int64], districts: NDArray[np.uint16], width: int) -> NDArray[np.int64]:
    """Indices of the pixels that begin a run."""
    if len(at) == 0:
        return np.empty(0, np.int64)
    new = np.ones(len(at), bool)
    new[1:] = (
        (np.diff(at) != 1) | (np.diff(districts.astype(np.int32)) != 0) | (at[1:] % width == 0)
    )
    starts = np.flatnonzero(new)
    longest = np.diff(np.append(starts, len(at))).max()
    if longest > _LONGEST:  # a row of one landslide wider than 65,535 pixels
        first = np.repeat(starts, np.diff(np.append(starts, len(at))))
        new |= (np.arange(len(at)) - first) % _LONGEST == 0
        starts = np.flatnonzero(new)
    return starts


def encoded(values: NDArray[Any]) -> str:
    """Numbers as base64 of their zlib-packed bytes, which a page takes apart again.

    >>> import numpy as np
    >>> zlib.decompress(base64.b64decode(encoded(np.uint8([1, 2]))))
    b'\\x01\\x02'
    """
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 6)).decode()


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
        if rows.control_probability is not None:
            self.control += histogram_of(rows.control_probability)[0]


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
