"""Relief carved by rivers: the steady state of stream-power erosion, so that valleys are dendritic.

In the steady state uplift and erosion balance, and the slope of every cell follows from its
catchment alone, S = (U / K) A ** -m (Whipple & Tucker 1999, JGR 104, eq. 9, n = 1), up to the
slope at which a hillside fails. Heights are sums of slopes along the drainage tree; draining the
new heights gives the next tree. Every cell stands above its receiver, so no pit ever forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drainage", "carve", "drain", "way_to_sea", "without_cliffs"]

AREA_EXPONENT = 0.6
"""Concavity: high, so that rivers run flat between steep hillsides, as in eastern Iburi."""

_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Drainage:
    """Where the water of each cell goes; cells are numbered row by row."""

    receiver: NDArray[np.int64]
    """Cell that each cell drains to; itself in the sea."""
    distance: NDArray[np.float64]
    """Way to the receiver, in cells."""
    order: NDArray[np.int64]
    """Cells sorted by their number of steps to the sea."""
    bounds: NDArray[np.int64]
    """Where each step count begins in `order`."""
    area: NDArray[np.float64]
    """Cells that drain through each cell, itself included."""


def _receivers(
    height: NDArray[np.float64], sea: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Steepest of the eight neighbours below each cell."""
    rows, columns = height.shape
    padded = np.pad(height, 1, constant_values=np.inf)
    steepest = np.zeros((rows, columns))
    cell = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
    receiver = cell.copy()
    distance = np.ones((rows, columns))
    for dy, dx in _NEIGHBOURS:
        away = float(np.hypot(dy, dx))
        drop = (height - padded[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns]) / away
        better = drop > steepest
        steepest[better] = drop[better]
        receiver[better] = cell[better] + dy * columns + dx
        distance[better] = away
    receiver[sea] = cell[sea]
    return receiver.ravel(), distance.ravel()


def _steps_to_outlet(receiver: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of cells on the way to the outlet, by pointer doubling."""
    ahead = receiver.copy()
    steps: NDArray[np.int64] = (receiver != np.arange(receiver.size)).astype(np.int64)
    while True:
        further = steps[ahead]
        if not further.any():
            return steps
        steps += further
        ahead = ahead[ahead]


def drain(height: NDArray[np.float64], sea: NDArray[np.bool_]) -> Drainage:
    """The drainage tree and catchment area of every cell of a relief.

    Examples
    --------
    >>> height = np.array([[0.0, 1.0, 2.0, 3.0]])
    >>> drain(height, height == 0).area.tolist()
    [4.0, 3.0, 2.0, 1.0]
    """
    receiver, distance = _receivers(height, sea)
    steps = _steps_to_outlet(receiver)
    order = np.argsort(steps, kind="stable")
    bounds = np.concatenate(([0], np.cumsum(np.bincount(steps))))
    area = np.ones(receiver.size)
    for level in range(len(bounds) - 2, 0, -1):
        cells = order[bounds[level] : bounds[level + 1]]
        np.add.at(area, receiver[cells], area[cells])
    return Drainage(receiver, distance, order, bounds, area)


def way_to_sea(resistance: NDArray[np.float64], sea: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Length of the easiest way from each cell to the sea: a first relief without pits.

    Examples
    --------
    >>> way_to_sea(np.ones((1, 4)), np.array([[True, False, False, False]])).tolist()
    [[0.0, 1.0, 2.0, 3.0]]
    """
    from scipy import ndimage
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import dijkstra

    rows, columns = sea.shape
    cell = np.arange(sea.size).reshape(sea.shape)
    cost = resistance.ravel()
    links = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = cell[: rows - dy, max(0, -dx) : columns - max(0, dx)].ravel()
        other = cell[dy:, max(0, dx) : columns + min(0, dx)].ravel()
        links.append((one, other, (cost[one] + cost[other]) / 2 * np.hypot(dy, dx)))
    ones, others, lengths = (np.concatenate(part) for part in zip(*links, strict=True))
    graph = csr_matrix((lengths, (ones, others)), shape=(sea.size, sea.size))
    shore = cell[sea & ndimage.binary_dilation(~sea, structure=np.ones((3, 3)))]
    way = dijkstra(graph, directed=False, indices=shore, min_only=True).reshape(sea.shape)
    way[sea] = 0.0
    return np.asarray(way)


def carve(
    height: NDArray[np.float64],
    sea: NDArray[np.bool_],
    steepness: NDArray[np.float64],
    *,
    critical_slope: float,
    rounds: int,
) -> tuple[NDArray[np.float64], Drainage]:
    """The relief in balance with its own rivers.

    Parameters
    ----------
    height
        A first relief without pits (y, x): only where it drains to matters.
    sea
        Cells held at height 0, where all rivers end.
    steepness
        Slope (tangent) of a cell whose catchment is one cell: uplift over erodibility.
    critical_slope
        Steepest slope (tangent) that a hillside keeps.
    rounds
        How often the relief is drained anew.

    Returns
    -------
    Heights, float64 (y, x), in cell edges, and the drainage they were built on.

    Examples
    --------
    >>> ramp = np.arange(4.0)[None, :]
    >>> carve(ramp, ramp == 0, np.ones((1, 4)), critical_slope=0.5, rounds=1)[0].round(2).tolist()
    [[0.0, 0.5, 1.0, 1.5]]
    """
    z, reach = height, steepness.ravel()
    for _ in range(rounds):
        tree = drain(z, sea)
        rise = np.minimum(reach * tree.area**-AREA_EXPONENT, critical_slope) * tree.distance
        built = np.zeros(z.size)
        for level in range(1, len(tree.bounds) - 1):
            cells = tree.order[tree.bounds[level] : tree.bounds[level + 1]]
            built[cells] = built[tree.receiver[cells]] + rise[cells]
        z = built.reshape(z.shape)
    return without_cliffs(z, critical_slope), tree


def without_cliffs(height: NDArray[Any], critical_slope: Any) -> NDArray[Any]:
    """The highest relief below a given one that is nowhere steeper than the critical slope.

    Where two catchments meet their heights differ until the divide has moved; the cliff between
    them slides down instead. The slope is a tangent, one for all cells or one for each. Lowering a
    cell to a neighbour's height plus the slope makes no pit.

    Examples
    --------
    >>> without_cliffs(np.array([[0.0, 9.0, 9.0, 1.0]]), 1.0).tolist()
    [[0.0, 1.0, 2.0, 1.0]]
    """
    rows, columns = height.shape
    z = height.copy()
    while True:
        padded = np.pad(z, 1, constant_values=np.inf)
        lower = z
        for dy, dx in _NEIGHBOURS:
            beside = padded[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns]
            lower = np.minimum(lower, beside + critical_slope * float(np.hypot(dy, dx)))
        if not (lower < z).any():
            return z
        z = lower
