"""Why a map shows nothing at all: a few looks at each pass, once it is finished."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.acquire.cube import radar_scenes
from sarmap.acquire.loader import Slice, load
from sarmap.net.signing import Signer, make_signer
from sarmap.types import Pass, Passes

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

LOOKS = 3
"""Looks along each edge of the grid."""
LOOK = 32
"""Edge of one look, pixels."""


def why_empty(passes: Passes, grid: GeoBox, bands: Sequence[str]) -> tuple[str, ...]:
    """Why passes show nothing on a grid, a clause for each that does not.

    Parameters
    ----------
    passes
        The passes of one orbit.
    grid
        The grid of the map.
    bands
        Radar bands that the map reads.

    Returns
    -------
    One clause for each pass and band without a single value above zero in nine looks; empty where
    each has some.
    """
    signer = make_signer(passes.catalog)
    ordered: list[Pass] = list(passes)
    scenes, _ = radar_scenes(ordered, bands, passes.catalog)
    found = (
        _why(one, slices, band, grid, signer)
        for one, slices in zip(ordered, scenes, strict=True)
        for band in bands
    )
    return tuple(clause for clause in found if clause)


def _why(one: Pass, slices: Sequence[Slice], band: str, grid: GeoBox, signer: Signer) -> str:
    """Why a pass shows nothing in one band; empty where it shows something."""
    if np.isfinite(_looks(slices, band, grid, signer, positive=True)).any():
        return ""
    stored = _looks(slices, band, grid, signer, positive=False)
    numbers = stored[np.isfinite(stored)]
    if len(numbers):
        said = (
            f"its values are {numbers.min():.4g} to {numbers.max():.4g}, and power is above zero; "
            "if they are decibel, set scaling: db in the catalogue's settings"
        )
    elif np.isneginf(stored).any():
        said = "it could not be read"
    else:
        said = "its files hold no data there"
    return f"{band.upper()} of {one.role} ({one.datetime:%Y-%m-%d}, {one.items[0].id}): {said}"


def _looks(
    slices: Sequence[Slice], band: str, grid: GeoBox, signer: Signer, *, positive: bool
) -> NDArray[np.float32]:
    """Values of parts of the grid: power, or scaled as the file says and no more."""
    looks: list[NDArray[np.float32]] = []
    for part in _parts(grid):
        pixels: Any = load([slices], [band], part, chunk=LOOK, signer=signer, positive=positive)
        looks.append(pixels.compute(scheduler="sync").ravel())
    return np.concatenate(looks)


def _parts(grid: GeoBox) -> Iterator[GeoBox]:
    """Parts of a grid, spread over it."""
    rows, columns = (int(length) for length in grid.shape)
    for row in _starts(rows):
        for column in _starts(columns):
            yield grid[row : min(row + LOOK, rows), column : min(column + LOOK, columns)]


def _starts(length: int) -> list[int]:
    """Where looks along an edge begin.

    >>> _starts(300), _starts(20)
    ([34, 134, 234], [0])
    """
    if length <= LOOK:
        return [0]
    step = length / LOOKS
    return sorted({max(0, math.floor((n + 0.5) * step - LOOK / 2)) for n in range(LOOKS)})
