"""A map at picture size: squares of pixels, read strip by strip, never the full region at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.draw.shrink import MAX_SIZE, square_edge
from sarmap.store.encoding import FILL
from sarmap.store.reading import MapReader


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
    step = max(reader.strip_rows(columns) // edge, 1) * edge
    highest, codes, differences = [], [], []
    for strip in reader.strips(step):
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
