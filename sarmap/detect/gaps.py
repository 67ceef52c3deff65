"""What a network is shown where a tile was not seen: its seen part, mirrored.

A convolution looks at the pixels around, so what stands in a gap speaks of the ground beside it.
One number, such as the tile's mean, is a land without speckle whose edge is a line, and a network
that never met either answers at random beside it. The seen part mirrored is land as the network
knows it. All bands come from one place, so that the filling holds no change that the ground does
not: where a single date is missing, the other dates are mirrored with it.

Each tile is filled from itself alone, so that it has the same bits in whatever company.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]


def fill_gaps(tiles: Pixels) -> None:
    """Fill what is NaN in tiles float32 ``[n, y, x, band]``, in place, by mirroring.

    A pixel that lacks a band takes all bands of the pixel that lies as far behind the nearest seen
    one; a gap wider than what was seen is mirrored again and again. Where no pixel of a tile has
    all bands, nothing can be said of it: it becomes 0.

    >>> tiles = np.float32([[[[1], [2], [3], [np.nan], [np.nan], [np.nan], [np.nan]]]])
    >>> fill_gaps(tiles)
    >>> tiles.ravel()
    array([1., 2., 3., 2., 1., 2., 3.], dtype=float32)
    """
    missing: Mask = np.asarray(np.isnan(tiles).any(axis=-1))
    for number in np.flatnonzero(missing.any(axis=(1, 2))):
        if missing[number].all():
            tiles[number] = 0
        else:
            _fill(tiles[number], missing[number])


def _fill(tile: Pixels, missing: Mask) -> None:
    """Fill one tile ``[y, x, band]``; each round mirrors all that is there, and may double it."""
    while missing.any():
        near_y, near_x = distance_transform_edt(
            missing, return_distances=False, return_indices=True
        )
        y, x = np.nonzero(missing)
        near_y, near_x = near_y[y, x], near_x[y, x]
        behind_y, behind_x = 2 * near_y - y, 2 * near_x - x
        height, width = missing.shape
        inside = (behind_y >= 0) & (behind_y < height) & (behind_x >= 0) & (behind_x < width)
        there: Mask = inside.copy()
        there[inside] = ~missing[behind_y[inside], behind_x[inside]]
        if not there.any():  # nothing lies behind: as on both sides of a line of seen pixels
            behind_y, behind_x, there = near_y, near_x, np.ones_like(there)
        y, x = y[there], x[there]
        tile[y, x] = tile[behind_y[there], behind_x[there]]
        missing[y, x] = False
