"""A scene at an eighth of its resolution: what levelling and trust look at before a map begins.

Each cell is the mean power of 8 x 8 pixels of one pass, counted from the scene's first pixel, so
that it is the same whatever the blocks. Sixty-four pixels together carry a tenth of a decibel of
speckle where one carries two: offsets and noise show that no single pixel shows.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.errors import RequestError

__all__ = ["CELL", "Lattice", "read_lattice", "slope_cells"]

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
    """Indices along time of the passes before the event."""
    post: tuple[int, ...]
    """Indices along time of the passes after it."""
    slope: Field | None
    """Degrees (y, x); None where no slope is known."""
    shape: tuple[int, int]
    """Pixels of the scene along y and x."""
    spacing: float
    """Metres from pixel to pixel."""


def read_lattice(cube: xr.Dataset, terrain: xr.Dataset | None = None) -> Lattice:
    """Read the coarse lattice of a cube: all passes, each cell the mean of its pixels.

    Parameters
    ----------
    cube
        Power `vv` and others (time, y, x) with the coordinate `role`.
    terrain
        With `slope` (y, x) in degrees, or without; None: no terrain.

    Raises
    ------
    RequestError
        The cube has no radar band, or no pass before or after the event.

    Examples
    --------
    >>> power = np.full((2, 16, 8), 0.1, np.float32)
    >>> cube = xr.Dataset({"vv": (("time", "y", "x"), power)},
    ...                   coords={"role": ("time", ["pre", "post_1"])})
    >>> read_lattice(cube).levels["vv"].round(3).squeeze().tolist()
    [[-10.0, -10.0], [-10.0, -10.0]]
    """
    bands = [band for band in RADAR if band in cube]
    roles = [str(role) for role in cube["role"].values]
    pre = tuple(i for i, role in enumerate(roles) if role.startswith("pre"))
    post = tuple(i for i, role in enumerate(roles) if role.startswith("post"))
    if not bands or not pre or not post:
        raise RequestError(
            f"The cube holds {', '.join(bands) or 'no radar band'} of {len(pre)} passes before and "
            f"{len(post)} after the event: a change needs one band and a pass on either side."
        )
    means = {band: _cells(cube[band].transpose("time", "y", "x")) for band in bands}
    slope = slope_cells(terrain)
    known = xr.Dataset(means | ({} if slope is None else {"slope": slope})).compute()
    levels = {band: np.asarray(10 * np.log10(known[band].values), np.float32) for band in bands}
    return Lattice(
        levels,
        pre,
        post,
        None if slope is None else np.asarray(known["slope"].values, np.float32),
        (cube.sizes["y"], cube.sizes["x"]),
        spacing_of(cube),
    )


def slope_cells(terrain: xr.Dataset | None) -> xr.DataArray | None:
    """Mean slope of each cell, degrees (y, x); None where the terrain has none."""
    if terrain is None or "slope" not in terrain:
        return None
    return _cells(terrain["slope"].transpose("y", "x"))


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
    field = field.where(np.isfinite(field)).reset_coords(drop=True)
    field = field.drop_vars([name for name in ("y", "x", "time") if name in field.coords])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a cell of no pixel has no mean
        coarse: Any = field.coarsen(y=CELL, x=CELL, boundary="pad")
        mean: xr.DataArray = coarse.mean()
    return mean
