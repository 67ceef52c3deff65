"""Connected landslide pixels of a map of any size, the same however the map is cut.

The map is read in strips of whole rows. Pass one labels each strip alone, adds up its pixels, and
notes which labels touch across the seam to the strip above; the notes are then joined into
components (the two-pass scheme of Rosenfeld & Pfaltz 1966, with strips for pixels). Sums are of
whole numbers, so that no order of adding shows. Pass two labels the strips again (unless there is
only one) and gives each pixel its component.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.store.encoding import FILL, PROBABILITY_STEP, SLOPE_STEP
from sarmap.store.reading import EDGE, MapReader, Strip, with_edges
from sarmap.types import Observation

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Components:
    """One entry per component, in the order of its first pixel (row by row)."""

    pixels: NDArray[np.int64]
    """Pixels of each."""
    mean: NDArray[np.floating[Any]]
    """Mean probability."""
    largest: NDArray[np.floating[Any]]
    """Largest probability."""
    peak: NDArray[np.int64]
    """First of its most probable pixels, counted from 1 row by row: stays as thresholds change."""
    near: NDArray[np.int64]
    """Pixels of each that lie within `EDGE` of ground that was not seen."""
    slope: NDArray[np.floating[Any]]
    """Mean slope in degrees, NaN where unknown."""
    lookup: NDArray[np.int32]
    """Strip label (counted through all strips) -> component number from 1; 0: left out."""
    level: int
    """Packed probability from which a pixel counts."""
    structure: NDArray[np.bool_]
    """Neighbours that connect."""
    rows: int
    """Rows per strip of both passes."""
    only: tuple[NDArray[np.int32], NDArray[np.uint8]] | None
    """Strip labels and observation codes of the whole map where it is one strip, else None."""


@dataclass
class _Tally:
    """What pass one adds up, one array per strip; index 0 of each is the first label."""

    pixels: list[NDArray[np.int64]] = field(default_factory=list)
    first: list[NDArray[np.int64]] = field(default_factory=list)
    total: list[NDArray[np.int64]] = field(default_factory=list)
    best: list[NDArray[np.int64]] = field(default_factory=list)
    """Of the most probable pixel: steps below 255, times the map's pixels, plus its place."""
    near: list[NDArray[np.int64]] = field(default_factory=list)
    slopes: list[NDArray[np.int64]] = field(default_factory=list)
    sloped: list[NDArray[np.int64]] = field(default_factory=list)
    links: list[NDArray[np.int64]] = field(default_factory=list)
    count: int = 0


def find_components(
    reader: MapReader, level: int, *, smallest: int, connectivity: int, rows: int | None = None
) -> Components:
    """Components of pixels at or above the packed probability `level`, `smallest` pixels or larger.

    `connectivity` is 4 (edges connect) or 8 (corners too); `rows` per strip change memory only,
    never the answer.
    """
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2).astype(bool)
    step = max(rows or reader.strip_rows(), EDGE)
    tally, above, only = _Tally(), np.zeros(reader.shape[1], np.int64), None
    for strip, near in with_edges(reader.strips(step)):
        labels, count = _label(strip, level, structure)
        _add(tally, strip, near, labels, count, shape=reader.shape)
        tally.links.append(_links(above, _numbered(labels[0], tally.count), connectivity))
        above = _numbered(labels[-1], tally.count)
        tally.count += count
        only = (labels, strip.observation) if labels.shape == reader.shape else None
    joined = _joined(tally, smallest, reader.shape[0] * reader.shape[1])
    return Components(**joined, level=level, structure=structure, rows=step, only=only)


def _label(strip: Strip, level: int, structure: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    from scipy import ndimage

    chosen = (strip.probability >= level) & (strip.probability != FILL)
    labels = np.empty(chosen.shape, np.int32)
    count = ndimage.label(chosen, structure, output=labels)
    return labels, int(count)


def _numbered(labels: NDArray[np.int32], offset: int) -> NDArray[np.int64]:
    """Labels of one strip's row counted through all strips; 0 stays background."""
    wide = labels.astype(np.int64)
    return np.where(wide > 0, wide + offset, 0)


def _add(
    tally: _Tally,
    strip: Strip,
    near: NDArray[np.bool_],
    labels: NDArray[np.int32],
    count: int,
    *,
    shape: tuple[int, int],
) -> None:
    inside = np.flatnonzero(labels)
    owner = labels.ravel()[inside] - 1
    levels = strip.probability.ravel()[inside].astype(np.int64)
    tally.pixels.append(np.bincount(owner, minlength=count))
    tally.total.append(_sums(owner, levels, count))
    place = inside + strip.top * shape[1]
    tally.first.append(_least(owner, place, count))
    tally.best.append(_least(owner, (FILL - levels) * (shape[0] * shape[1]) + place, count))
    tally.near.append(np.bincount(owner[near.ravel()[inside]], minlength=count))
    if strip.slope is None:
        nothing = np.zeros(count, np.int64)
        tally.slopes.append(nothing)
        tally.sloped.append(nothing)
        return
    slopes = strip.slope.ravel()[inside].astype(np.int64)
    known = slopes != FILL
    tally.slopes.append(_sums(owner[known], slopes[known], count))
    tally.sloped.append(np.bincount(owner[known], minlength=count))


def _least(owner: NDArray[Any], values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    least = np.full(count, _NEVER)
    np.minimum.at(least, owner, values)
    return least


def _sums(owner: NDArray[Any], values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    # bincount adds in float64, which is exact for whole numbers below 2**53.
    return np.bincount(owner, weights=values, minlength=count).astype(np.int64)


def _links(
    above: NDArray[np.int64], below: NDArray[np.int64], connectivity: int
) -> NDArray[np.int64]:
    """Pairs of labels that touch across a seam, each once: int64 (n, 2)."""
    shifts = [(above, below)]
    if connectivity == 8:
        shifts += [(above[:-1], below[1:]), (above[1:], below[:-1])]
    pairs = np.concatenate([np.stack(pair, axis=1) for pair in shifts])
    return np.unique(pairs[(pairs > 0).all(axis=1)], axis=0)


def _joined(tally: _Tally, smallest: int, places: int) -> dict[str, Any]:
    """Strip labels joined across seams, numbered by first pixel, small ones left out."""
    owner, count = _merge(np.concatenate([*tally.links, np.empty((0, 2), np.int64)]), tally.count)
    pixels = _sums(owner, _all(tally.pixels), count)
    first = _least(owner, _all(tally.first), count)
    kept = np.argsort(first, kind="stable")
    kept = kept[pixels[kept] >= smallest]
    number = np.zeros(count, np.int32)
    number[kept] = np.arange(1, kept.size + 1)
    sloped = _sums(owner, _all(tally.sloped), count)[kept]
    slopes = _sums(owner, _all(tally.slopes), count)[kept]
    with np.errstate(invalid="ignore"):
        slope = slopes * SLOPE_STEP / sloped
    total = _sums(owner, _all(tally.total), count)[kept]
    best = _least(owner, _all(tally.best), count)[kept]
    return {
        "pixels": pixels[kept],
        "mean": total * PROBABILITY_STEP / pixels[kept],
        "largest": (FILL - best // places) * PROBABILITY_STEP,
        "peak": best % places + 1,
        "near": _sums(owner, _all(tally.near), count)[kept],
        "slope": slope,
        "lookup": np.concatenate([np.zeros(1, np.int32), number[owner]]),
    }


def _all(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([*parts, np.empty(0, np.int64)])


def _merge(links: NDArray[np.int64], count: int) -> tuple[NDArray[Any], int]:
    """Component of each strip label, from the pairs that touch."""
    if len(links) == 0:
        return np.arange(count), count
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(links), np.int8)
    graph = coo_array((ones, (links[:, 0] - 1, links[:, 1] - 1)), shape=(count, count))
    total, owner = connected_components(graph, directed=False)
    return owner, int(total)


def labelled_strips(
    reader: MapReader, components: Components, *, gaps: bool = False
) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """First row and component numbers (0: none) of each strip, from top to bottom.

    With `gaps` ground that was not seen has its observation code, less than 0.
    """
    if components.only is not None:
        labels, observation = components.only
        yield 0, _with_gaps(components.lookup[labels], observation if gaps else None)
        return
    offset = 0
    for strip in reader.strips(components.rows):
        labels, count = _label(strip, components.level, components.structure)
        own = components.lookup[offset : offset + count + 1].copy()
        own[0] = 0
        offset += count
        yield strip.top, _with_gaps(own[labels], strip.observation if gaps else None)


def _with_gaps(
    numbers: NDArray[np.int32], observation: NDArray[np.uint8] | None
) -> NDArray[np.int32]:
    """Component numbers and, where there is none, codes of what was not seen, less than 0."""
    if observation is not None:
        places = np.flatnonzero(observation)
        codes = observation.ravel()[places].astype(np.int32)
        known = codes <= max(Observation)
        numbers.ravel()[places[known]] = -codes[known]
    return numbers
