"""What a side-looking radar cannot tell apart or reach: layover and shadow from the terrain.

Along each range line the surface is walked away from the radar (Kropatsch & Strobl 1990, IEEE TGRS
28, 98-107). Layover, active or passive, is ground whose slant range is met again further out or was
met before; shadow is ground below the highest ray so far.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sarmap.acquire.incidence import incidence_gradient

HALO = 192
"""Mother-grid pixels looked at around a cell: 5.8 km at 30 m, enough for 3.2 km of relief."""

SLACK = 0.05
"""Metres by which slant range must fall back before it counts, above what rounding makes."""


def hidden(
    heights: NDArray[np.float32], spacing: float, incidence: float, origin: float = 0.0
) -> NDArray[np.bool_]:
    """Layover and shadow along range lines.

    Parameters
    ----------
    heights
        Metres (range, line), ground range growing along the first axis, away from the radar; NaN
        where unknown.
    spacing
        Metres between samples.
    incidence
        On the ellipsoid, degrees, at ground range `origin`.
    origin
        Sample at which the incidence is given; it grows from there by the orbit's geometry.

    Returns
    -------
    True where hidden (range, line).

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
    """Layover and shadow of a square cell from its surroundings.

    Parameters
    ----------
    heights
        Metres (y, x) of the cell and `HALO` pixels on each side; NaN where unknown.
    spacing
        Pixel edge, metres.
    incidence, azimuth
        At the cell's middle, degrees; the azimuth counts from the grid's north.

    Returns
    -------
    True where hidden (y, x), of the cell alone.
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
