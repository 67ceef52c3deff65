"""Gradients by Horn, and values brought from a coarse lattice to a fine one by Keys' cubic.

Horn 1981 (Proc. IEEE 69, 14-47) weighs the eight neighbours 1, 2, 1; Keys 1981 (IEEE TASSP 29,
1153-1160) interpolates with a = -1/2. Both are sums of shifted arrays in a fixed order, so that a
pixel's value does not depend on the array it is computed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.acquire.incidence import incidence_gradient

Field = NDArray[np.float32]


def horn(heights: Field, spacing: float) -> tuple[Field, Field]:
    """Gradients of a surface towards east and north, without unit, of heights (y, x) in metres,
    rows from north to south, and the pixel's edge in metres.

    The outermost pixels lack neighbours: (y - 2, x - 2). NaN where a pixel is, or a neighbour that
    its gradient weighs.

    >>> plane = np.float32([[0, 4, 8], [0, 4, 8], [0, 4, 8]])
    >>> [gradient.tolist() for gradient in horn(plane, 32.0)]
    [[[0.125]], [[0.0]]]
    """
    z = heights
    nw, n, ne = z[:-2, :-2], z[:-2, 1:-1], z[:-2, 2:]
    w, e = z[1:-1, :-2], z[1:-1, 2:]
    sw, s, se = z[2:, :-2], z[2:, 1:-1], z[2:, 2:]
    scale = np.float32(1 / (8 * spacing))
    east = ((ne - nw) + 2 * (e - w) + (se - sw)) * scale
    north = ((nw - sw) + 2 * (n - s) + (ne - se)) * scale
    unknown = np.isnan(z[1:-1, 1:-1])  # it weighs nothing, but there is no ground to be steep
    east[unknown] = north[unknown] = np.nan
    return east, north


def slope_degrees(east: Field, north: Field) -> Field:
    """Steepness in degrees of gradients towards east and north.

    >>> slope_degrees(np.float32([1.0]), np.float32([0.0])).tolist()
    [45.0]
    """
    steepness: Field = np.degrees(np.arctan(np.sqrt(east * east + north * north)))
    return steepness.astype(np.float32)


@dataclass(frozen=True)
class Lattice:
    """Where a block's pixel centres fall on a coarser lattice, along both axes."""

    rows: NDArray[np.float64]
    """Coarse row index of each fine row; whole numbers are coarse centres."""
    columns: NDArray[np.float64]
    """Coarse column index of each fine column."""

    def reach(self, halo: int) -> tuple[slice, slice]:
        """Coarse rows and columns that cubic interpolation reads, and `halo` more."""
        return _reach(self.rows, halo), _reach(self.columns, halo)

    def cubic(self, values: Field, row: int, column: int) -> Field:
        """Interpolate coarse values, whose corner is coarse pixel (row, column).

        A NaN makes a pixel NaN where it weighs something: a pixel on a coarse centre's row or
        column takes that one alone, so equal lattices give the coarse values themselves.
        """
        across = _along(values, self.columns - column, axis=1)
        return _along(across, self.rows - row, axis=0)

    def nearest(self, values: NDArray[np.uint8], row: int, column: int) -> NDArray[np.uint8]:
        """The coarse value that each fine pixel lies in."""
        rows = np.floor(self.rows + 0.5).astype(np.intp) - row
        columns = np.floor(self.columns + 0.5).astype(np.intp) - column
        taken: NDArray[np.uint8] = values[np.ix_(rows, columns)]
        return taken

    def any_near(self, mask: NDArray[np.bool_], row: int, column: int) -> NDArray[np.bool_]:
        """True where any coarse value behind a pixel's slope is: Horn's nine around each tap."""
        across = mask[:, :-2] | mask[:, 1:-1] | mask[:, 2:]
        nine = across[:-2] | across[1:-1] | across[2:]
        along = _any_along(nine, self.columns - (column + 1), axis=1)
        return _any_along(along, self.rows - (row + 1), axis=0)


def _reach(positions: NDArray[np.float64], halo: int) -> slice:
    """Whole positions read around fractional ones.

    >>> _reach(np.array([3.2, 5.9]), 1)
    slice(1, 9, None)
    """
    first, last = int(np.floor(positions[0])), int(np.floor(positions[-1]))
    return slice(first - 1 - halo, last + 3 + halo)


def _along(values: Field, positions: NDArray[np.float64], *, axis: int) -> Field:
    """Keys' cubic along one axis: four gathers, weighted and summed in order."""
    first, *others = _taps(positions)
    out = _weighted(values, *first, axis)
    for index, weight in others:
        out += _weighted(values, index, weight, axis)
    return out


def _any_along(
    mask: NDArray[np.bool_], positions: NDArray[np.float64], *, axis: int
) -> NDArray[np.bool_]:
    """True where the mask holds at a tap that weighs something, along one axis."""
    found = [
        np.take(mask, index, axis=axis) & _beside(weight != 0, axis)
        for index, weight in _taps(positions)
    ]
    return np.asarray(np.logical_or.reduce(found))


def _taps(positions: NDArray[np.float64]) -> list[tuple[NDArray[np.intp], Field]]:
    """Index and weight of the four neighbours of each fractional position."""
    base = np.floor(positions).astype(np.intp)
    weights = _keys((positions - base).astype(np.float32))
    return [(base + offset, weight) for offset, weight in zip(range(-1, 3), weights, strict=True)]


def _weighted(values: Field, index: NDArray[np.intp], weight: Field, axis: int) -> Field:
    """Values at `index` along an axis times their weights; no weight, no NaN."""
    term = np.take(values, index, axis=axis)
    term *= _beside(weight, axis)
    idle = np.flatnonzero(weight == 0)
    if idle.size:
        term[(slice(None),) * axis + (idle,)] = 0
    return term


def _beside(line: NDArray[Any], axis: int) -> NDArray[Any]:
    """Values along one axis, to be broadcast over the other of two."""
    return line.reshape((-1, 1) if axis == 0 else (1, -1))


def _keys(t: Field) -> tuple[Field, Field, Field, Field]:
    """Weights of the four neighbours at fraction t, a = -1/2.

    >>> [float(w[0]) for w in _keys(np.float32([0.5]))]
    [-0.0625, 0.5625, 0.5625, -0.0625]
    """
    return (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


HALO = 192
"""Mother-grid pixels looked at around a cell: 5.8 km at 30 m, enough for 3.2 km of relief."""

SLACK = 0.05
"""Metres by which slant range must fall back before it counts, above what rounding makes."""


def hidden(
    heights: NDArray[np.float32], spacing: float, incidence: float, origin: float = 0.0
) -> NDArray[np.bool_]:
    """Layover and shadow along range lines: True where hidden (range, line).

    Heights (metres, NaN where unknown) lie `spacing` metres apart in ground range, which grows
    along the first axis, away from the radar. The incidence on the ellipsoid (degrees) is that at
    the sample `origin`, and grows from there by the orbit's geometry.

    A wall of 100 m seen at 45 degrees lays over the 100 m before it and hides the 100 m behind.

    >>> wall = np.zeros((40, 1), np.float32); wall[20] = 100.0
    >>> np.flatnonzero(hidden(wall, 10.0, 45.0, 20))[[0, -1]].tolist()
    [11, 29]
    """
    theta, growth = math.radians(incidence), incidence_gradient(incidence)
    angle = theta + growth * (np.arange(heights.shape[0]) - origin) * spacing
    sine, cosine = np.sin(angle), np.cos(angle)
    # Integrals of sin and cos of the angle along the ground: range and height of view of flat land.
    flat_slant = (math.cos(theta) - cosine) / growth
    flat_view = (sine - math.sin(theta)) / growth
    slant = flat_slant[:, np.newaxis] - heights * cosine[:, np.newaxis]
    view = flat_view[:, np.newaxis] + heights * sine[:, np.newaxis]
    masked = slant < np.fmax.accumulate(slant, axis=0) - SLACK
    masked |= slant > np.fmin.accumulate(slant[::-1], axis=0)[::-1] + SLACK
    masked |= view < np.fmax.accumulate(view, axis=0) - SLACK
    return np.asarray(masked)


def cell_hidden(
    heights: NDArray[np.float32], spacing: float, incidence: float, azimuth: float
) -> NDArray[np.bool_]:
    """Layover and shadow of a square cell from its surroundings: True where hidden (y, x).

    Heights (metres, NaN where unknown) are those of the cell and `HALO` pixels on each side,
    `spacing` metres apart; incidence and azimuth (from the grid's north) are degrees at its middle.
    """
    direction = math.radians(azimuth)
    east, south = math.sin(direction), -math.cos(direction)
    # The axis nearer to the look becomes the first one, growing away from the radar; each step
    # along it drifts by less than a pixel along the other.
    along_rows = abs(south) > abs(east)
    major, minor = (south, east) if along_rows else (east, south)
    turned = heights if along_rows else heights.T
    turned = turned[::-1] if major < 0 else turned
    found = _sheared_hidden(turned, minor / abs(major), spacing / abs(major), incidence)
    found = found[::-1] if major < 0 else found
    return np.ascontiguousarray(found if along_rows else found.T)


def _sheared_hidden(
    heights: NDArray[np.float32], drift: float, spacing: float, incidence: float
) -> NDArray[np.bool_]:
    """Layover and shadow of the inner cell; range lines drift along the second axis."""
    length = heights.shape[0]
    size, middle = length - 2 * HALO, (length - 1) / 2
    shift = (np.arange(length) - middle) * drift
    # A line is named by its place at the middle; those that pass the cell, and one to spare.
    reach = math.ceil(abs(drift) * size / 2) + 1
    count = size + 2 * reach
    pad = math.ceil(abs(drift) * middle) + 2
    padded = np.pad(heights, ((0, 0), (pad, pad)), constant_values=np.nan)
    whole = np.floor(shift).astype(np.intp)
    part = (shift - whole).astype(np.float32)[:, np.newaxis]
    first = (pad + HALO - reach + whole)[:, np.newaxis] + np.arange(count)
    left, right = (np.take_along_axis(padded, first + step, axis=1) for step in (0, 1))
    right[part[:, 0] == 0] = 0  # what weighs nothing must not spread NaN
    lines = left * (1 - part) + right * part
    masked = hidden(lines, spacing, incidence, origin=middle)
    inner = slice(HALO, HALO + size)
    start = reach - np.rint(shift[inner]).astype(np.intp)
    return np.take_along_axis(masked[inner], start[:, np.newaxis] + np.arange(size), axis=1)
