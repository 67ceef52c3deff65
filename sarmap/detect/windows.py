"""Where tiles and windows lie: integers only, one axis at a time, always on the scene's own grid.

The strategy, once: tile ``k`` begins at ``first + k * stride`` of the **scene**, whatever block it
is computed in, so that no chunk size can move it. The last tile sticks out of the scene where it
must; what it sees there is the scene mirrored at its border pixel (``numpy.pad(mode="reflect")``,
repeated as often as needed), never another block's edge and never a tile moved inwards.

- ``segment``: tiles from pixel 0; several cover a pixel where they overlap, and are blended.
- ``window``: windows from pixel 0 in steps of the stride; each pixel takes the window whose centre
  is nearest (of two equally near, the lower). A scene smaller than the window gets one window,
  centred.
- ``pixel``: no tiles; a block and its halo.

Rows and columns follow the same rules, so a scene is described by two `TileAxis`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from sarmap.types import Kind

Integers = NDArray[np.intp]


def reflect(index: Integers, size: int) -> Integers:
    """Indices anywhere on the axis, folded back into ``[0, size)`` at the border pixels.

    >>> reflect(np.arange(-3, 7), 4)
    array([3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> reflect(np.arange(3), 1)
    array([0, 0, 0])
    """
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    folded: Integers = np.mod(index, period)
    return np.minimum(folded, period - folded)


@dataclass(frozen=True)
class TileAxis:
    """Tiles, windows or pixels along one axis of a scene.

    >>> axis = TileAxis("segment", size=150, tile=64, stride=64)
    >>> axis.count, axis.origin(2), axis.span(128, 150)
    (3, 128, (128, 192))
    """

    kind: Kind
    """What the detector answers for."""
    size: int
    """Pixels of the scene along this axis."""
    tile: int
    """Pixels of a tile or window."""
    stride: int
    """Pixels from one tile to the next."""
    halo: int = 0
    """Pixels of context on either side."""

    @property
    def first(self) -> int:
        """Origin of tile 0: pixel 0, or before it where one window is centred on a small scene."""
        return min(0, (self.size - self.tile) // 2) if self.kind == "window" else 0

    @property
    def count(self) -> int:
        """Tiles that visit every pixel, the last row or column of tiles included."""
        return max(0, -(-(self.size - self.tile) // self.stride)) + 1

    def origin(self, k: int) -> int:
        """First pixel of tile `k`, its halo not counted."""
        return self.first + k * self.stride

    def nearest(self, pixel: Integers) -> Integers:
        """Tile whose centre is nearest to each pixel; of two equally near, the lower.

        >>> TileAxis("window", size=100, tile=25, stride=2).nearest(np.array([0, 12, 13, 14, 99]))
        array([ 0,  0,  0,  1, 38])
        """
        # in half pixels, so that the centre of an even tile is a whole number too
        beyond_first = 2 * pixel - (2 * self.first + self.tile - 1)
        return np.clip(-((self.stride - beyond_first) // (2 * self.stride)), 0, self.count - 1)

    @property
    def anchor(self) -> int:
        """Where patches of windows begin: the window that pixel 0 would take, were there any.

        Counted from there, blocks that are a multiple of a patch take whole patches.

        >>> TileAxis("window", size=100, tile=25, stride=2).anchor
        -6
        """
        return -((self.stride + 2 * self.first + self.tile - 1) // (2 * self.stride))

    def tiles(self, start: int, stop: int) -> tuple[int, int]:
        """Tiles (half-open range) that the pixels ``[start, stop)`` take their answer from."""
        if self.kind == "window":
            low, high = self.nearest(np.array([start, stop - 1]))
            return int(low), int(high) + 1
        low = max(0, -(-(start - self.tile + 1) // self.stride))
        return low, min(self.count, (stop - 1) // self.stride + 1)

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Pixels, halo included, that an answer for ``[start, stop)`` is computed from.

        May lie outside the scene on both sides; `reflect` says what is seen there.
        """
        if self.kind == "pixel":
            return start - self.halo, stop + self.halo
        low, high = self.tiles(start, stop)
        margin = self.halo if self.kind == "segment" else 0
        return self.origin(low) - margin, self.origin(high - 1) + self.tile + margin

    def centres(self) -> NDArray[np.float64]:
        """Index of every window's centre on the scene; half pixels where the window is even."""
        origins = np.arange(self.count, dtype=np.float64) * self.stride + self.first
        return origins + (self.tile - 1) / 2

    def representatives(self) -> slice:
        """One pixel per window that takes it, as a slice of the scene: the lowest such pixel.

        The centre itself would not do: that of a last window at a wide stride lies outside.
        """
        start = max(0, self.first + (self.tile + 1 - self.stride) // 2)
        return slice(start, start + (self.count - 1) * self.stride + 1, self.stride)


@dataclass(frozen=True)
class Block:
    """One block's place along one axis."""

    start: int
    """First pixel of the block on the scene."""
    stop: int
    """Pixel after its last."""
    offset: int
    """Scene pixel of the first value that the block was given, its neighbours' included."""


@dataclass(frozen=True)
class BlockedAxis:
    """One axis cut into blocks, with what each block borrows from its neighbours."""

    axis: TileAxis
    """Where the tiles lie."""
    chunks: tuple[int, ...]
    """Pixels of each block."""
    depth: tuple[int, int]
    """Pixels borrowed from the block before and from the block after."""

    def block(self, index: int) -> Block:
        """Place of block number `index`."""
        start = sum(self.chunks[:index])
        return Block(start, start + self.chunks[index], max(0, start - self.depth[0]))


def plan_blocks(axis: TileAxis, chunks: tuple[int, ...]) -> BlockedAxis:
    """Blocks for `axis`, as near to the given `chunks` as the tiles allow.

    Tiles that do not overlap are never cut: chunks off the tile grid become multiples of the tile.
    No block is smaller than what its neighbours borrow of it: a small last block joins the one
    before it, and where that does not do, blocks are doubled until it does.

    >>> plan_blocks(TileAxis("segment", 130, 64, 64), (64, 64, 2)).chunks
    (64, 66)
    >>> plan_blocks(TileAxis("segment", 300, 64, 64), (100, 100, 100)).chunks
    (128, 128, 44)
    """
    for candidate in _candidates(axis, chunks):
        depth = _depth(axis, candidate)
        if min(candidate) >= max(depth):
            return BlockedAxis(axis, candidate, depth)
    raise AssertionError("one block over the whole axis borrows nothing")


def _candidates(axis: TileAxis, chunks: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Ever larger blocks, from the given chunks to one block."""
    uncut = axis.kind == "segment" and axis.stride == axis.tile
    if not uncut or all(edge % axis.tile == 0 for edge in accumulate(chunks[:-1])):
        yield chunks
        yield _last_joined(chunks)
    step = axis.tile if uncut else 1
    edge = -(-max(chunks) // step) * step
    while edge < axis.size:
        regular = (edge,) * (axis.size // edge) + ((axis.size % edge,) if axis.size % edge else ())
        yield regular
        yield _last_joined(regular)
        edge *= 2
    yield (axis.size,)


def _last_joined(chunks: tuple[int, ...]) -> tuple[int, ...]:
    return chunks if len(chunks) == 1 else (*chunks[:-2], chunks[-2] + chunks[-1])


def _depth(axis: TileAxis, chunks: tuple[int, ...]) -> tuple[int, int]:
    """Pixels that the neediest block borrows from before and from after it."""
    before = after = stop = 0
    for chunk in chunks:
        start, stop = stop, stop + chunk
        seen = reflect(np.arange(*axis.span(start, stop)), axis.size)
        before = max(before, start - int(seen.min()))
        after = max(after, int(seen.max()) + 1 - stop)
    return before, after


def blend_weights(axis: TileAxis, low: int, high: int) -> NDArray[np.float64]:
    """Weight of every pixel of the tiles `low` to `high`; float64 ``[high - low, tile]``.

    A squared-sine window divided by the sum of all tiles' windows at the same pixel of the scene,
    so that the weights of the tiles that cover a pixel sum to one there, to the last border pixel,
    and fall smoothly to nearly nothing where a tile ends inside the scene.

    >>> blend_weights(TileAxis("segment", 6, 4, 2), 0, 2).round(2)
    array([[1.  , 1.  , 0.85, 0.15],
           [0.15, 0.85, 1.  , 1.  ]])
    """
    window = np.sin(np.pi * (np.arange(axis.tile) + 0.5) / axis.tile) ** 2
    tiles = np.arange(low, high)[:, None]
    total = np.zeros((high - low, axis.tile))
    reach = (axis.tile - 1) // axis.stride
    # neighbours in the order of the scene: the sum at a pixel has the same bits in every tile
    for step in range(-reach, reach + 1):
        inside = np.arange(axis.tile) - step * axis.stride
        there = (inside >= 0) & (inside < axis.tile)
        exists = (tiles + step >= 0) & (tiles + step < axis.count)
        total += np.where(there & exists, window[np.clip(inside, 0, axis.tile - 1)], 0.0)
    return window / total


# --- answers that depend on what could not be read ------------------------------------------------


Mask = NDArray[np.bool_]
Blocks = tuple[tuple[TileAxis, Block], tuple[TileAxis, Block]]


def spoilt_pixels(unread: Mask, blocks: Blocks) -> Mask:
    """Which of a block's own pixels (y, x) have an answer for which an unread pixel was looked at,
    of all that its answers are made from (y, x), as `TileAxis.span` lays them out.

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
