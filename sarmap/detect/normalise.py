"""Tiles made ready for a network: scaled as its training was, and without a missing value.

``tile-minmax`` is the papers' patch normalisation (Nava et al. 2022, section 3.2), built per band
so that slope in degrees stays useful beside backscatter: ``(x - min) / (max - min)`` over the
tile's measured pixels; a band that is constant in a tile becomes 0.

A missing pixel is filled so that it says as little as possible:

- ``tile-minmax`` and ``none``: the tile's seen part, mirrored (`sarmap.detect.normalise`). Any one
  number would be land without speckle, and a change where only one date is missing.
- fixed statistics: the same for tiles of a `segment` detector; in windows, of which there are too
  many to mirror each, the band's offset, that is the training data's mean: 0 once normalised.

Every result depends on its own tile alone and on a fixed order of additions, so that a tile has
the same bits in whatever company it is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from sarmap.detect.protocol import FixedStatistics, Normalisation
from sarmap.types import Kind

Pixels = NDArray[np.float32]

_GROUP_BYTES = 2**20
"""Tiles worked on at a time: what stays in a core's cache."""


def standardise(values: Pixels, statistics: FixedStatistics) -> Pixels:
    """Fixed normalisation ``(value - offset) / scale`` of float32 ``[band, y, x]``; NaN stays NaN.

    >>> standardise(np.float32([[[1.0, 3.0]]]), FixedStatistics((1.0,), (2.0,)))
    array([[[0., 1.]]], dtype=float32)
    """
    offset, scale = (
        np.asarray(pair, np.float32)[:, None, None]
        for pair in (statistics.offset, statistics.scale)
    )
    standard: Pixels = values - offset
    standard /= scale
    return standard


def normalise_tiles(
    tiles: Pixels, normalisation: Normalisation | FixedStatistics, kind: Kind = "segment"
) -> None:
    """Normalise float32 tiles ``[n, y, x, band]`` of a kind of detector in place, and fill gaps.

    >>> tiles = np.float32([[[[2.0], [np.nan], [4.0]]]])
    >>> normalise_tiles(tiles, "tile-minmax")
    >>> tiles.ravel()
    array([0., 0., 1.], dtype=float32)
    """
    if isinstance(normalisation, FixedStatistics):
        planes = np.moveaxis(tiles, -1, 0).reshape(tiles.shape[-1], -1, 1)
        standard = standardise(planes, normalisation).reshape(tiles.shape[-1], *tiles.shape[:-1])
        tiles[...] = np.moveaxis(standard, 0, -1)
        if kind == "window":
            np.nan_to_num(tiles, copy=False, nan=0.0)
        else:
            fill_gaps(tiles)
        return
    if normalisation not in get_args(Normalisation):
        raise ValueError(
            f"Tiles cannot be normalised by {normalisation!r}: use tile-minmax, none, or the "
            "FixedStatistics that describe(detector).normalisation gives."
        )
    group = max(1, _GROUP_BYTES // max(1, tiles[:1].nbytes))
    for start in range(0, len(tiles), group):
        part = tiles[start : start + group]
        if normalisation == "tile-minmax":
            _stretch(part)
        fill_gaps(part)


def _stretch(tiles: Pixels) -> None:
    """Per tile and band from its least to its greatest measured value, in place."""
    # adding 0 makes the least value +0 where it is -0: its sign would depend on the order
    low = _over_pixels(np.fmin, tiles) + np.float32(0)
    span = _over_pixels(np.fmax, tiles) - low
    span[span == 0] = 1
    n, y, x, band = tiles.shape
    # whole rows, since NumPy is slow where the innermost axis is only a few bands long
    rows = tiles.reshape(n, y, x * band)
    rows -= np.tile(low, (1, x))[:, None]
    rows /= np.tile(span, (1, x))[:, None]


def _over_pixels(join: Callable[..., NDArray[Any]], tiles: NDArray[Any]) -> NDArray[Any]:
    """Join all pixels of each tile and band, halving them until one is left; ``[n, band]``.

    Halving keeps the order of additions the tile's own (NumPy's own reduction may choose another
    order for another number of tiles) and the inner loops long.
    """
    n, y, x, band = tiles.shape
    pixels = tiles.reshape(n, y * x, band)
    while (left := pixels.shape[1]) > 1:
        half = left // 2
        joined = join(pixels[:, :half], pixels[:, half : 2 * half])
        if left % 2:
            joined[:, 0] = join(joined[:, 0], pixels[:, -1])
        pixels = joined
    return pixels[:, 0].copy()


# --- what a network is shown where a tile was not seen --------------------------------------------


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
