"""What a detector answers in some squares of a scene, before the whole of it is mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.compose.lattice import CELL
from sarmap.compose.levelling import Levelling
from sarmap.detect.fusion import log_odds

Field = NDArray[np.float32]
OpenPart = Callable[[slice, slice], tuple[xr.Dataset, xr.Dataset | None]]
"""Cube and terrain of the rows and columns of a scene."""

SQUARE, ACROSS = 256, 3
"""Edge of a square, pixels, and how many there are along each side of a scene."""


def squares(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Squares spread over a scene, in whole cells of the coarse lattice.

    >>> [(rows.start, columns.start) for rows, columns in squares((256, 1000))]
    [(0, 32), (0, 368), (0, 704)]
    """
    axes = []
    for size in shape:
        count = min(ACROSS, max(size // SQUARE, 1))
        edge = min(SQUARE, size)
        starts = [size * (2 * n + 1) // (2 * count) - edge // 2 for n in range(count)]
        starts = [min(max(one, 0), size - edge) // CELL * CELL for one in starts]
        axes.append([slice(one, one + edge) for one in starts])
    yield from ((rows, columns) for rows in axes[0] for columns in axes[1])


def answer_squares(
    detector: Any,
    levelling: Levelling,
    opened: OpenPart,
    chosen: Callable[[xr.Dataset], xr.Dataset] = lambda cube: cube,
) -> list[tuple[xr.DataArray, Field]]:
    """Of each square what the detector reads, computed, and the log-odds (y, x) of landslides that
    it answers, NaN where not seen; of the passes that are `chosen` of the cube.
    """
    from dask.base import compute

    from sarmap.compose.composites import make_composite
    from sarmap.detect.prediction import predict

    lazy = []
    for rows, columns in squares(levelling.shape):
        cube, terrain = opened(rows, columns)
        composite = make_composite(
            chosen(cube),
            terrain,
            detector.bands,
            scaling=detector.scaling,
            levelling=levelling.within(rows, columns),
        )
        lazy.append((composite, predict(composite, detector)["probability"]))
    return [(composite, log_odds(answer.values)) for composite, answer in compute(*lazy)]
