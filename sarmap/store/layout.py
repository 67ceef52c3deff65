"""Chunks and shards of the result store: integer arithmetic only.

A *chunk* is what is compressed alone, a *shard* what one object stores. A shard is a whole number
of chunks, and every Dask block is written as whole shards by one task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError

if TYPE_CHECKING:
    import xarray as xr

CHUNK = 512
"""Edge of what is compressed alone, pixels, where nothing else is asked for."""

_MERGED_SHARD = 1024
"""Blocks smaller than a chunk are merged to this edge: many small objects list slowly."""
_LARGEST_SHARD = 4096
"""A single block is cut into shards of at most about this edge."""


@dataclass(frozen=True)
class Layout:
    """How the pixels of one layer are cut."""

    chunks: tuple[int, int]
    """Rows and columns of a chunk."""
    shards: tuple[int, int]
    """Rows and columns of a shard, each a multiple of the chunk's."""


def plan_layout(
    dataset: xr.Dataset, *, chunk: int = CHUNK, shard: int | None = None
) -> dict[str, Layout]:
    """Layout of every variable; variables that share dims share one. RequestError where `chunk` or
    `shard` is not positive, or `shard` is no multiple of `chunk`.
    """
    if chunk < 1 or (shard is not None and (shard < 1 or shard % chunk)):
        raise RequestError(f"shard={shard} must be a positive multiple of chunk={chunk}.")
    by_dims: dict[tuple[Any, ...], Layout] = {}
    layouts: dict[str, Layout] = {}
    for name in sorted(dataset.data_vars, key=lambda one: str(one) != "probability"):
        variable = dataset[name]
        if variable.dims not in by_dims:
            blocks = variable.chunks or tuple((size,) for size in variable.shape)
            rows, columns = (axis_layout(sizes, chunk, shard) for sizes in blocks)
            by_dims[variable.dims] = Layout((rows[0], columns[0]), (rows[1], columns[1]))
        layouts[str(name)] = by_dims[variable.dims]
    return layouts


def count_blocks(shape: tuple[int, int], chunk: int) -> int:
    """Blocks that a map of `shape`, computed in pieces of `chunk`, is stored and resumed in.

    Small pieces are stored several at a time, large ones in parts:

    >>> count_blocks((3842, 2346), 1024), count_blocks((3842, 2346), 128)
    (12, 12)
    >>> count_blocks((5000, 5000), 8192)
    4
    """
    count = 1
    for length in shape:
        pieces = [min(chunk, length - start) for start in range(0, length, chunk)]
        count *= -(-length // axis_layout(pieces, CHUNK)[1])
    return count


def axis_layout(blocks: Sequence[int], chunk: int, shard: int | None = None) -> tuple[int, int]:
    """Chunk and shard length along one axis that is cut into `blocks`.

    The shard is a Dask block, or several small ones, where blocks are even and divide into
    chunks that are not much smaller than asked for; else it is two chunks, and blocks are recut.

    >>> axis_layout([1024, 1024, 298], 512), axis_layout([1000, 1000, 1], 512)
    ((512, 1024), (500, 1000))
    >>> axis_layout([64] * 40, 512), axis_layout([700, 300, 700], 512), axis_layout([3], 512)
    ((512, 1024), (512, 1024), (512, 512))
    """
    length, block = sum(blocks), max(blocks[0], 1)
    if shard is not None:
        return chunk, shard
    if len(blocks) == 1:
        whole = -(-max(length, 1) // chunk) * chunk
        return chunk, min(whole, max(_LARGEST_SHARD // chunk, 1) * chunk)
    even = all(size == block for size in blocks[:-1]) and blocks[-1] <= block
    if even:
        merged = block * -(-max(_MERGED_SHARD, chunk) // block) if block < chunk else block
        inner = next(n for n in range(min(merged, chunk), 0, -1) if merged % n == 0)
        if inner * 4 > chunk:
            return inner, merged
    return chunk, 2 * chunk
