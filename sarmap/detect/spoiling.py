"""Answers inside a map that look at pixels outside it, where those could not be read.

A unit of a region is read with context, and cropped (`sarmap.regions.lattice`). A pixel beside
context that could not be read has an answer, but another one than it would have had, and nothing
inside the unit says so. These pixels are counted with what could not be read, so that resuming does
them again, and are not stored.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.types import Observation

__all__ = ["spoilt_inside"]

_NOTHING = np.empty((0, 0), np.bool_)


def spoilt_inside(
    observation: xr.DataArray, margins: tuple[tuple[int, int], tuple[int, int]], reach: int
) -> xr.DataArray:
    """Which answers look at context that could not be read, lazily.

    Args:
        observation: codes (y, x) of the map with its context.
        margins: pixels of context (above, below), (left, right).
        reach: pixels from which an answer may take anything.

    Returns:
        bool (y, x), in the blocks of `observation`.

    >>> codes = xr.DataArray(np.uint8([[2, 0, 0, 0, 2]]), dims=("y", "x")).chunk()
    >>> spoilt_inside(codes, ((0, 0), (1, 0)), reach=2).values
    array([[ True,  True,  True, False, False]])
    """
    import dask.array as da

    codes = da.asarray(observation.data)
    own = da.ones(codes.shape, chunks=codes.chunks, dtype=np.bool_)
    for axis, (before, after) in enumerate(margins):
        place = np.arange(codes.shape[axis])
        inside = (place >= before) & (place < codes.shape[axis] - after)
        lines = da.from_array(inside, chunks=(codes.chunks[axis],))
        own = own & (lines[:, None] if axis == 0 else lines[None, :])
    failed = (codes == int(Observation.READ_FAILED)) & ~own
    spread = da.map_overlap(
        _spread,
        failed,
        depth={axis: min(reach, length) for axis, length in enumerate(codes.shape)},
        boundary="none",
        reach=reach,
        dtype=np.bool_,
        meta=_NOTHING,
    )
    return xr.DataArray(spread.rechunk(codes.chunks), dims=observation.dims)


def _spread(failed: NDArray[np.bool_], *, reach: int) -> NDArray[np.bool_]:
    """True within `reach` pixels, along both axes, of any that is."""
    if not failed.any():
        return failed
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(failed, 2 * reach + 1, mode="constant"), np.bool_)
