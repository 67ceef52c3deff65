"""Answers that depend on what could not be read, told by the reading that they were made from.

A pixel beside one that could not be read has an answer, but another one than it would have had. Nor
does the observation beside it always tell: neighbours read their common ground each for itself, so
a read may fail for one block and not for the other, and a unit of a region is cropped to its own
ground. So each block says itself which of its answers depend on unread pixels. These are counted
with what could not be read, so that resuming does them again, and are not stored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarmap.detect.windows import Block, TileAxis

Mask = NDArray[np.bool_]
Blocks = tuple[tuple[TileAxis, Block], tuple[TileAxis, Block]]


def spoilt_pixels(unread: Mask, blocks: Blocks) -> Mask:
    """Which of a block's pixels have an answer for which an unread pixel was looked at.

    Parameters
    ----------
    unread
        Bool (y, x), all pixels that the block's answers are made from, as `TileAxis.span` lays them
        out.
    blocks
        Tiles and place of the block along y and along x.

    Returns
    -------
    Bool (y, x), the block's own pixels.

    >>> axis, block = TileAxis("segment", size=8, tile=4, stride=4), Block(0, 8, 0)
    >>> unread = np.zeros((8, 8), bool)
    >>> unread[1, 5] = True
    >>> spoilt_pixels(unread, ((axis, block), (axis, block)))[[0, 3, 4]].astype(int)
    array([[0, 0, 0, 0, 1, 1, 1, 1],
           [0, 0, 0, 0, 1, 1, 1, 1],
           [0, 0, 0, 0, 0, 0, 0, 0]])
    """
    shape = tuple(block.stop - block.start for _, block in blocks)
    if not unread.any():
        return np.zeros(shape, np.bool_)
    if blocks[0][0].kind == "pixel":
        return _around(unread, blocks)
    starts = [
        np.arange(*axis.tiles(block.start, block.stop)) * axis.stride + axis.first
        for axis, block in blocks
    ]
    axis = blocks[0][0]
    seen = axis.tile + (2 * axis.halo if axis.kind == "segment" else 0)
    tiles = touched(unread, starts[0] - starts[0][0], starts[1] - starts[1][0], seen)
    for dimension, ((axis, block), origins) in enumerate(zip(blocks, starts, strict=True)):
        tiles = _any_tile(tiles, axis, block, origins, dimension)
    return tiles


def _around(unread: Mask, blocks: Blocks) -> Mask:
    """Pixels whose surroundings, as far as a `pixel` detector looks, hold an unread one."""
    from scipy.ndimage import maximum_filter

    halo = blocks[0][0].halo
    near = np.asarray(maximum_filter(unread, 2 * halo + 1, mode="constant"), np.bool_)
    rows, columns = (slice(halo, halo + block.stop - block.start) for _, block in blocks)
    return near[rows, columns]


def _any_tile(
    tiles: Mask, axis: TileAxis, block: Block, origins: NDArray[np.intp], dimension: int
) -> Mask:
    """From tiles to pixels along one dimension: true where a tile that a pixel takes is."""
    tiles = np.moveaxis(tiles, dimension, 0)
    if axis.kind == "window":
        nearest = axis.nearest(np.arange(block.start, block.stop))
        pixels = tiles[nearest - axis.nearest(np.array([block.start]))[0]]
    else:
        pixels = np.zeros((block.stop - block.start, *tiles.shape[1:]), np.bool_)
        for tile, origin in zip(tiles, origins - block.start, strict=True):
            pixels[max(origin, 0) : max(origin + axis.tile, 0)] |= tile
    return np.moveaxis(pixels, 0, dimension)


def touched(mask: Mask, at_y: NDArray[np.intp], at_x: NDArray[np.intp], edge: int) -> Mask:
    """Which of the tiles that begin at `at_y`, `at_x` hold any pixel of the mask.

    >>> mask = np.eye(4, dtype=bool)
    >>> touched(mask, np.array([0, 2]), np.array([0, 2]), 2).astype(int)
    array([[1, 0],
           [0, 1]])
    """
    if mask.all():
        return np.ones((len(at_y), len(at_x)), np.bool_)
    in_rows = _window_sums(mask, at_y, edge)
    return _window_sums(in_rows.T, at_x, edge).T > 0


def _window_sums(values: NDArray[np.generic], at: NDArray[np.intp], edge: int) -> NDArray[np.int32]:
    """Sums over ``[at, at + edge)`` of axis 0, as far as it reaches."""
    sums = np.zeros((len(values) + 1, values.shape[1]), np.int32)
    np.cumsum(values, axis=0, dtype=np.int32, out=sums[1:])
    found: NDArray[np.int32] = (
        sums[np.clip(at + edge, 0, len(values))] - sums[np.clip(at, 0, len(values))]
    )
    return found
