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
