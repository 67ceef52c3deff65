"""Large rasters at picture size, block by block, never the whole region at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.export.overview import mean_of_seen, square_edge

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MAX_SIZE", "extent_of_picture", "shrink_codes", "shrink_values"]

MAX_SIZE = 1500
"""Longest side of a picture in pixels."""


def shrink_values(data: xr.DataArray, max_size: int = MAX_SIZE) -> NDArray[np.float32]:
    """Means of squares of seen pixels (..., y, x), NaN where none was seen.

    >>> import xarray as xr
    >>> shrink_values(xr.DataArray([[1.0, np.nan], [3.0, 5.0]], dims=("y", "x")), 1).tolist()
    [[3.0]]
    """
    return np.asarray(_shrunk(data, max_size, mean_of_seen), np.float32)


def shrink_codes(data: xr.DataArray, max_size: int = MAX_SIZE) -> NDArray[np.uint8]:
    """Every n-th code (y, x), so that shares of codes stay what they are."""
    edge = _edge(data, max_size)
    return np.asarray(data[..., edge // 2 :: edge, edge // 2 :: edge].compute(), np.uint8)


def _shrunk(data: xr.DataArray, max_size: int, mean: Any) -> NDArray[Any]:
    import dask.array as da

    edge = _edge(data, max_size)
    values = da.asarray(data.data)
    if edge > 1:
        axes = {data.ndim - 2: edge, data.ndim - 1: edge}
        # Means cost a read of everything; blocks that hold whole squares keep it one read each.
        chunks = {axis: _multiple(values.chunksize[axis], edge) for axis in axes}
        values = da.coarsen(mean, values.rechunk(chunks), axes, trim_excess=True)
    return np.asarray(values.compute())


def _edge(data: xr.DataArray, max_size: int) -> int:
    if data.dims[-2:] != ("y", "x"):
        raise RequestError(f"A picture is drawn of (y, x), not of {data.dims}: select a band.")
    rows, columns = data.shape[-2:]
    return min(square_edge(rows, columns, max_size), rows, columns)


def _multiple(size: int, edge: int) -> int:
    return max(size // edge, 1) * edge


def extent_of_picture(
    grid: Any, shape: tuple[int, ...], max_size: int
) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of a shrunk picture; a last incomplete square is left out."""
    rows, columns = (int(n) for n in grid.shape)
    edge = min(square_edge(rows, columns, max_size), rows, columns)
    transform = grid.transform
    left, top = transform.c, transform.f
    return (
        left,
        left + shape[-1] * edge * transform.a,
        top + shape[-2] * edge * transform.e,
        top,
    )
