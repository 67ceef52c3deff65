"""Elevation that is none: numbers no ground has, and narrow voids that are bridged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["HIGHEST", "LOWEST", "bridged", "on_earth"]

LOWEST, HIGHEST = -500.0, 9_000.0
"""Metres beyond which no ground lies: the Dead Sea's shore at -430, Everest at 8,849. Files hold
-9999, -32768 or -3.4e38 for none, and do not always say so."""

WIDEST = 2
"""Pixels of a void that is bridged: tiles of high latitudes lack the column where they meet."""

Heights = NDArray[np.float32]


def on_earth(heights: Heights) -> Heights:
    """Heights in metres, NaN where no ground is so low or high; what is unread (-inf) stays that.

    >>> on_earth(np.array([-9999.0, -430.0, 8849.0, 1e20, -np.inf], np.float32)).tolist()
    [nan, -430.0, 8849.0, nan, -inf]
    """
    none = np.isfinite(heights) & ((heights < LOWEST) | (heights > HIGHEST))
    return np.where(none, np.float32(np.nan), heights) if none.any() else heights


def bridged(heights: Heights) -> Heights:
    """Heights (y, x) with voids of up to two pixels between two heights made straight across.

    A bridge that would stand on what is unread (minus infinity) is unread itself.

    >>> bridged(np.array([[3.0, np.nan, np.nan, 9.0, np.nan]], np.float32)).tolist()
    [[3.0, 5.0, 7.0, 9.0, nan]]
    """
    void = np.isnan(heights)
    if not void.any():
        return heights
    ways = np.stack([_across(heights), _across(heights.T).T])
    known = ~np.isnan(ways)
    count = known.sum(axis=0)
    mean = np.where(known, ways, 0).sum(axis=0) / np.maximum(count, 1)
    return np.where(void & (count > 0), mean, heights).astype(np.float32)


def _across(heights: Heights) -> Heights:
    """Each pixel between its nearest heights above and below, NaN where they are too far apart."""
    out = np.full(heights.shape, np.nan, np.float32)
    for width in range(1, WIDEST + 1):
        for above in range(1, width + 1):
            below = width + 1 - above
            upper, lower = _shifted(heights, above), _shifted(heights, -below)
            line = (upper * below + lower * above) / np.float32(width + 1)
            out = np.where(np.isnan(out), line, out)
    return out


def _shifted(heights: Heights, rows: int) -> Heights:
    """Heights moved down by some rows (up where negative), NaN where none come in."""
    out = np.full(heights.shape, np.nan, np.float32)
    if rows > 0:
        out[rows:] = heights[:-rows]
    else:
        out[:rows] = heights[-rows:]
    return out
