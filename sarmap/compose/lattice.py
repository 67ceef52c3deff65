"""A scene at an eighth of its resolution: what levelling and trust look at before a map begins.

Each cell is the mean power of 8 x 8 pixels of one pass, counted from the scene's first pixel, so
that it is the same whatever the blocks. Sixty-four pixels together carry a tenth of a decibel of
speckle where one carries two: offsets and noise show that no single pixel shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any

import dask.array as da
import dask.base
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.compose.displacement import Displaced, aligned_cube, find_displaced, squares_of
from sarmap.errors import RequestError

CELL = 8
"""Edge of a cell, pixels."""
RADAR = ("vv", "vh", "hh", "hv")
"""Names that a polarisation may have in a cube."""

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Lattice:
    """Mean levels of every pass in cells of 8 x 8 pixels."""

    levels: Mapping[str, Field]
    """Polarisation -> dB (time, y, x), NaN where a cell holds no measured pixel."""
    pre: tuple[int, ...]
    """Indices along time of the passes before the event, without those left out."""
    post: tuple[int, ...]
    """Indices along time of the passes after it, without those left out."""
    slope: Field | None
    """Degrees (y, x); None where no slope is known."""
    incidence: Field | None
    """Local incidence, degrees (y, x); None where it is not known."""
    shape: tuple[int, int]
    """Pixels of the scene along y and x."""
    spacing: float
    """Metres from pixel to pixel."""
    squares: tuple[Field, ...] = ()
    """Decibels (time, y, x) of single pixels, of VV or HH, in squares spread over the scene."""
    displaced: Displaced = field(default_factory=Displaced)
    """Passes that do not lie on the others, which are read here where they lie."""


def read_lattice(
    cube: xr.Dataset,
    terrain: xr.Dataset | None = None,
    *,
    coarse: bool = False,
    align: bool = True,
) -> Lattice:
    """Read the coarse lattice of a cube: all passes, each cell the mean of its pixels.

    Squares of single pixels are read with it; passes that these show to lie off the others are then
    read once more, where they lie to the whole pixel (without `align` they stay where they are).
    Terrain has `slope` and `incidence` (y, x) in degrees, or not; with `coarse` it lies on the
    lattice already, cell by cell. Raises RequestError where the cube has no radar band, or no pass
    before or after the event.

    >>> power = np.full((2, 16, 8), 0.1, np.float32)
    >>> cube = xr.Dataset({"vv": (("time", "y", "x"), power)},
    ...                   coords={"role": ("time", ["pre", "post_1"])})
    >>> read_lattice(cube).levels["vv"].round(3).squeeze().tolist()
    [[-10.0, -10.0], [-10.0, -10.0]]
    """
    lattice = _read(cube, terrain, coarse)
    found = find_displaced(lattice.squares, lattice.pre, lattice.post, mend=align)
    if any(max(map(abs, move)) > 0.5 for move in found.moved.values()):
        lattice = _read(aligned_cube(cube, found.moved), terrain, coarse)
    pre, post = (
        tuple(number for number in side if number not in found.left_out)
        for side in (lattice.pre, lattice.post)
    )
    return replace(lattice, pre=pre, post=post, displaced=found)


def _read(cube: xr.Dataset, terrain: xr.Dataset | None, coarse: bool) -> Lattice:
    """Cells and squares of a cube as it is."""
    bands = [band for band in RADAR if band in cube]
    roles = [str(role) for role in cube["role"].values]
    pre = tuple(i for i, role in enumerate(roles) if role.startswith("pre"))
    post = tuple(i for i, role in enumerate(roles) if role.startswith("post"))
    if not bands or not pre or not post:
        raise RequestError(
            f"The cube holds {', '.join(bands) or 'no radar band'} of {len(pre)} passes before and "
            f"{len(post)} after the event: a change needs one band and a pass on either side."
        )
    series = {band: cube[band].transpose("time", "y", "x") for band in bands}
    means = {band: _cells(one) for band, one in series.items()}
    planes = {
        name: terrain[name].variable if coarse else _cells(terrain[name].transpose("y", "x"))
        for name in ("slope", "incidence")
        if terrain is not None and name in terrain
    }
    co = next((squares_of(series[band]) for band in ("vv", "hh") if band in series), [])
    known, squares = dask.base.compute(xr.Dataset(means | planes), co)
    return Lattice(
        {band: _decibel(known[band].values) for band in bands},
        pre,
        post,
        np.asarray(known["slope"].values, np.float32) if "slope" in planes else None,
        np.asarray(known["incidence"].values, np.float32) if "incidence" in planes else None,
        (cube.sizes["y"], cube.sizes["x"]),
        spacing_of(cube),
        tuple(_decibel(square) for square in squares),
    )


def _decibel(power: Field) -> Field:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(10 * np.log10(power), np.float32)


def spacing_of(cube: xr.Dataset) -> float:
    """Metres from pixel to pixel along x; degrees are taken at the scene's latitude.

    >>> spacing_of(xr.Dataset(coords={"x": [5.0, 25.0], "y": [10.0, 0.0]}))
    20.0
    """
    x = np.asarray(cube["x"].values, np.float64) if "x" in cube.coords else np.arange(2.0)
    step = abs(float(x[1] - x[0])) if len(x) > 1 else 10.0
    if step >= 0.01:
        return step
    y = np.asarray(cube["y"].values, np.float64)
    return step * 111_320.0 * float(np.cos(np.radians(y.mean())))


def _cells(field: xr.DataArray) -> xr.DataArray:
    """Means of cells of 8 x 8 pixels; cells that stick out take what there is of them."""
    data = da.asarray(field.data)
    rows, columns = (_whole_cells(lengths) for lengths in data.chunks[-2:])
    data = data.rechunk((*data.chunks[:-2], rows, columns))
    chunks = [tuple(-(-length // CELL) for length in lengths) for lengths in (rows, columns)]
    means = da.map_blocks(
        mean_of_cells, data, chunks=(*data.chunks[:-2], *chunks), dtype=np.float32
    )
    return xr.DataArray(means, dims=field.dims)


def _whole_cells(lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Blocks of whole cells, about as long as these.

    >>> _whole_cells((20, 20, 5)), _whole_cells((16, 10)), _whole_cells((7, 4))
    ((16, 24, 5), (16, 10), (11,))
    """
    borders = {end - end % CELL for end in accumulate(lengths[:-1])} - {0}
    edges = [0, *sorted(borders), sum(lengths)]
    return tuple(after - before for before, after in pairwise(edges))


def mean_of_cells(values: Field) -> Field:
    """Mean of what is finite in each cell of 8 x 8 (..., y, x), NaN where nothing is.

    Summed in one order, so that a cell has the same bits in whatever block it lies.
    """
    pad = [(0, 0)] * (values.ndim - 2) + [(0, -n % CELL) for n in values.shape[-2:]]
    there = np.isfinite(values)
    known = values if there.all() else np.where(there, values, np.float32(0))
    if any(map(any, pad)):
        known, there = np.pad(known, pad), np.pad(there, pad)
    total, count = _summed(known), _summed(there.view(np.uint8))
    return np.asarray(
        np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0), np.float32
    )


def _summed(values: NDArray[Any]) -> NDArray[Any]:
    rows = values[..., 0::CELL, :].copy()
    for step in range(1, CELL):
        rows += values[..., step::CELL, :]
    cells = rows[..., 0::CELL].copy()
    for step in range(1, CELL):
        cells += rows[..., step::CELL]
    return cells


def quiet_lattice(lattice: Lattice) -> Lattice | None:
    """The passes before the event as if it had fallen among them; None where they are too few.

    The last of them stand for those after the event, as many as there are, where at least two are
    left before.
    """
    after = min(len(lattice.post), len(lattice.pre) - 2)
    if after < 1:
        return None
    return replace(lattice, pre=lattice.pre[:-after], post=lattice.pre[-after:])


def at_pixels(field: Field, rows: NDArray[Any], columns: NDArray[Any]) -> Field:
    """A field of the lattice at rows and columns of pixels, bilinear between cells' centres.

    >>> at_pixels(np.float32([[0, 8]]), np.array([0]), np.array([0, 4, 7, 11, 12])).tolist()
    [[0.0, 0.5, 3.5, 7.5, 8.0]]
    """
    down, low_y = _between((np.asarray(rows) + 0.5) / CELL - 0.5, field.shape[0])
    along, low_x = _between((np.asarray(columns) + 0.5) / CELL - 0.5, field.shape[1])
    high_y = np.minimum(low_y + 1, field.shape[0] - 1)
    high_x = np.minimum(low_x + 1, field.shape[1] - 1)
    left = field[:, low_x] * (1 - along) + field[:, high_x] * along
    upper, lower = left[low_y], left[high_y]
    upper *= (1 - down)[:, None]
    lower *= down[:, None]
    upper += lower
    return np.asarray(upper, np.float32)


def _between(position: NDArray[np.float64], size: int) -> tuple[Field, NDArray[np.intp]]:
    """Share of the way from the cell before to the one after, and the cell before."""
    inside = np.clip(position, 0, size - 1)
    low = np.minimum(inside.astype(np.intp), max(size - 2, 0))
    return (inside - low).astype(np.float32), low
