"""What a map reads around its own grid, so that nothing is mirrored at its border."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sarmap.types import Chunk

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

Margins = tuple[tuple[int, int], tuple[int, int]]
"""Pixels (above, below), (left, right) of a grid."""


def widened(grid: GeoBox, chunk: int, margins: Margins) -> tuple[GeoBox, Chunk]:
    """The grid that is read, context and all, and its blocks: cropped, they are whole blocks."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    (above, below), (left, right) = margins
    if not any((above, below, left, right)):
        return grid, chunk
    height, width = (int(length) for length in grid.shape)
    corner = grid.affine * Affine.translation(-left, -above)
    wide = GeoBox((above + height + below, left + width + right), corner, grid.crs)
    return wide, (blocks_of(height, chunk, (above, below)), blocks_of(width, chunk, (left, right)))


def blocks_of(length: int, chunk: int, margin: tuple[int, int]) -> tuple[int, ...]:
    """Block lengths of an axis with its context.

    >>> blocks_of(2500, 1024, (16, 48))
    (1040, 1024, 500)
    """
    blocks = [min(chunk, length - start) for start in range(0, length, chunk)]
    blocks[0] += margin[0]
    blocks[-1] += margin[1]
    return tuple(blocks)


def cropped(data: Any, grid: GeoBox, margins: Margins) -> Any:
    """A Dataset or DataArray without its context; windows whose centre lies in it are left out."""
    from sarmap.acquire.cube import grid_coords

    if not any(map(any, margins)):
        return data
    own = {
        dim: slice(before, before + int(length))
        for dim, (before, _), length in zip(("y", "x"), margins, grid.shape, strict=True)
    }
    kept = data.isel(own).assign_coords(grid_coords(grid))
    box = grid.boundingbox
    for dim, low, high in (("y", box.bottom, box.top), ("x", box.left, box.right)):
        name = f"window_{dim}"
        if name in kept.dims:
            inside = (kept[name].values > low) & (kept[name].values <= high)
            kept = kept.isel({name: inside})
    return kept
