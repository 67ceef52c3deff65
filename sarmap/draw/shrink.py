"""Large rasters at picture size, block by block, never the whole region at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.draw.colours import display_bands
from sarmap.errors import RequestError
from sarmap.store.encoding import FILL
from sarmap.store.reading import MapReader

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

MAX_SIZE = 1500
"""Longest side of a picture in pixels."""


def square_edge(rows: int, columns: int, max_size: int) -> int:
    """Edge of the pixel squares that shrink a map to at most `max_size` pixels a side.

    >>> square_edge(3842, 2346, 1500), square_edge(100, 100, 1500)
    (3, 1)
    """
    return max(-(-max(rows, columns) // max_size), 1)


def mean_of_seen(block: NDArray[Any], axis: Any = None) -> NDArray[np.float32]:
    """Mean of the values that are not NaN, NaN where all are.

    NumPy's nanmean warns of those, and silencing warnings is not safe in threads.
    """
    seen = ~np.isnan(block)
    total = np.where(seen, block, 0).sum(axis=axis, dtype=np.float64)
    number = seen.sum(axis=axis)
    mean: NDArray[np.float32] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return mean.astype(np.float32)


def composite_overview(composite: xr.DataArray, max_size: int = MAX_SIZE) -> xr.DataArray:
    """A lazy, small picture (float32 band, y, x) of a composite's shown bands, to be computed in
    the pass that makes the map.

    Each pixel is the mean of a square of seen pixels, NaN where none was seen; attribute ``pixel``
    is its width and height. A last incomplete row or column of squares is left out.
    """
    import dask.array as da

    names = [str(name) for name in composite["band"].values]
    shown = list(dict.fromkeys(display_bands(names)))
    chosen = composite.isel(band=[names.index(name) for name in shown])
    rows, columns = composite.sizes["y"], composite.sizes["x"]
    edge = square_edge(rows, columns, max_size)
    # A map narrower than one square is one strip of it, not nothing.
    high, wide = min(edge, rows), min(edge, columns)
    data = da.asarray(chosen.data)
    if edge > 1:
        data = da.coarsen(mean_of_seen, data, {1: high, 2: wide}, trim_excess=True)
    return xr.DataArray(
        data,
        dims=("band", "y", "x"),
        coords={
            "band": shown,
            "y": _centres(composite["y"].values, high),
            "x": _centres(composite["x"].values, wide),
        },
        attrs={
            "scaling": composite.attrs.get("scaling", "power"),
            "pixel": [wide * _pixel(composite), high * _pixel(composite)],
        },
    )


def _pixel(composite: xr.DataArray) -> float:
    """Pixel size along x, or along y where there is one column."""
    for axis in ("x", "y"):
        if composite.sizes[axis] > 1:
            return abs(float(composite[axis][1] - composite[axis][0]))
    return 10.0


def _centres(values: NDArray[Any], edge: int) -> NDArray[np.float64]:
    whole = len(values) // edge * edge
    means: NDArray[np.float64] = np.asarray(values[:whole], np.float64).reshape(-1, edge).mean(1)
    return means


def shrink_values(data: xr.DataArray, max_size: int = MAX_SIZE) -> NDArray[np.float32]:
    """Means of squares of seen pixels (..., y, x), NaN where none was seen.

    >>> import xarray as xr
    >>> shrink_values(xr.DataArray([[1.0, np.nan], [3.0, 5.0]], dims=("y", "x")), 1).tolist()
    [[3.0]]
    """
    import dask.array as da

    edge = _edge(data, max_size)
    values = da.asarray(data.data)
    if edge > 1:
        axes = {data.ndim - 2: edge, data.ndim - 1: edge}
        # Means cost a read of everything; blocks that hold whole squares keep it one read each.
        chunks = {axis: max(values.chunksize[axis] // edge, 1) * edge for axis in axes}
        values = da.coarsen(mean_of_seen, values.rechunk(chunks), axes, trim_excess=True)
    return np.asarray(values.compute(), np.float32)


def shrink_codes(data: xr.DataArray, max_size: int = MAX_SIZE) -> NDArray[np.uint8]:
    """Every n-th code (y, x), so that shares of codes stay what they are."""
    edge = _edge(data, max_size)
    return np.asarray(data[..., edge // 2 :: edge, edge // 2 :: edge].compute(), np.uint8)


def _edge(data: xr.DataArray, max_size: int) -> int:
    if data.dims[-2:] != ("y", "x"):
        raise RequestError(f"A picture is drawn of (y, x), not of {data.dims}: select a band.")
    rows, columns = data.shape[-2:]
    return min(square_edge(rows, columns, max_size), rows, columns)


def extent_of_picture(
    grid: GeoBox, shape: tuple[int, ...], max_size: int
) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of a shrunk picture; a last incomplete square is left out."""
    rows, columns = (int(n) for n in grid.shape)
    edge = min(square_edge(rows, columns, max_size), rows, columns)
    transform = grid.transform
    left, top = transform.c, transform.f
    right, bottom = left + shape[-1] * edge * transform.a, top + shape[-2] * edge * transform.e
    return left, right, bottom, top


# --- a map at picture size ------------------------------------------------------------------------


@dataclass(frozen=True)
class Decimated:
    """A map at picture size."""

    probability: NDArray[np.uint8]
    """Highest packed probability of each square, 255 where none was seen."""
    observation: NDArray[np.uint8]
    """Observation code of most of each square's pixels."""
    edge: int
    """Pixels per side of a square."""
    disagreement: NDArray[np.uint8] | None = None
    """Largest packed difference between orbits in each square; None for a map of one orbit."""


def decimate(reader: MapReader, max_size: int = MAX_SIZE) -> Decimated:
    """A map in squares of pixels, read in strips; the last square of a row may be incomplete."""
    rows, columns = reader.shape
    edge = square_edge(rows, columns, max_size)
    highest, codes, differences = [], [], []
    for strip in reader.strips(edge=edge):
        highest.append(_highest(strip.probability, edge))
        codes.append(_most_common(strip.observation, edge))
        if strip.disagreement is not None:
            differences.append(_highest(strip.disagreement, edge))
    return Decimated(
        np.concatenate(highest),
        np.concatenate(codes),
        edge,
        np.concatenate(differences) if differences else None,
    )


def _filled(values: NDArray[Any], edge: int, fill: int) -> NDArray[Any]:
    """Values filled up to whole squares at the far edges."""
    rows, columns = (-(-n // edge) * edge for n in values.shape)
    if (rows, columns) == values.shape:
        return values
    full = np.full((rows, columns), fill, values.dtype)
    full[: values.shape[0], : values.shape[1]] = values
    return full


def _over_squares(
    combine: np.ufunc, values: NDArray[Any], edge: int, dtype: type[np.generic]
) -> NDArray[Any]:
    """`combine` over each square: whole rows first, which is quick, then the few columns left."""
    rows = values[::edge].astype(dtype)
    for offset in range(1, edge):
        combine(rows, values[offset::edge], out=rows)
    squares = rows[:, ::edge].copy()
    for offset in range(1, edge):
        combine(squares, rows[:, offset::edge], out=squares)
    return squares


def _highest(packed: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    # One more turns 255 (not seen) into 0, below every probability, and back.
    shifted = _filled(packed + np.uint8(1), edge, 0)
    highest: NDArray[np.uint8] = _over_squares(np.maximum, shifted, edge, np.uint8) - np.uint8(1)
    return highest


def _most_common(codes: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    full = _filled(codes, edge, FILL)
    counts = [_over_squares(np.add, full == code, edge, np.uint16) for code in range(4)]
    most: NDArray[np.uint8] = np.stack(counts).argmax(axis=0).astype(np.uint8)
    return most
