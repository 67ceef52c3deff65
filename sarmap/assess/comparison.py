"""Two maps of one event, such as day 7's and day 19's: what stays, what goes, what is new.

A responder maps with the first pass after an event and again with the second. The second map does
not show other landslides: it shows better which of the first were noise. What both call landslide
is the surer part; beside an inventory the same counts say how much surer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sarmap.assess.intervals import FEWEST_BLOCKS, Interval, defined, percentiles, resampled
from sarmap.assess.labels import Labels, read_labels
from sarmap.errors import RequestError
from sarmap.store.encoding import FILL, threshold_level
from sarmap.store.reading import MapReader, open_reader

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame

BLOCK = 256
"""Edge of the blocks that are redrawn for intervals, pixels."""
PARTS = ("kept", "withdrawn", "new")
"""Called landslide by both maps; by the first alone; by the second alone."""
_TWICE = ("first", "second")


@dataclass(frozen=True)
class Part:
    """Ground that the two maps call landslide in the same way."""

    km2: float
    """Its area, of what both maps saw (and, beside an inventory, is labelled)."""
    true_km2: float | None
    """Of it, landslide in the inventory; None: no inventory was given."""

    @property
    def precision(self) -> float:
        """Share of it that is landslide; NaN where that is not known."""
        return math.nan if self.true_km2 is None or not self.km2 else self.true_km2 / self.km2


@dataclass(frozen=True)
class Comparison:
    """Two maps side by side."""

    threshold: float
    """Probability from which a pixel is called landslide, in both."""
    seen_km2: float
    """Area that both maps saw (and that is labelled, beside an inventory)."""
    parts: Mapping[str, Part]
    """'kept', 'withdrawn' and 'new'."""
    scores: Mapping[str, Mapping[str, float]]
    """'first' and 'second' -> precision, recall, f1, iou; empty without an inventory."""
    intervals: Mapping[str, Mapping[str, Interval]]
    """The same of their 95 % intervals; 'gain' -> those of second less first, of the same
    redrawn blocks."""
    found: Mapping[str, int]
    """Landslides with at least one pixel called: 'first', 'second', 'both'; 'of' all that a pixel
    of both maps saw; empty without an inventory."""
    simulated: bool
    """True where either map is of a simulated event."""

    def record(self) -> dict[str, Any]:
        """All of it for JSON, undefined numbers as None."""
        return {
            "simulated": self.simulated,
            "threshold": self.threshold,
            "seen_km2": self.seen_km2,
            "parts": {
                name: {
                    "km2": part.km2,
                    "true_km2": part.true_km2,
                    "precision": defined(part.precision),
                }
                for name, part in self.parts.items()
            },
            "scores": {
                which: {name: defined(value) for name, value in values.items()}
                for which, values in self.scores.items()
            },
            "intervals": {
                which: {name: one.record() for name, one in values.items()}
                for which, values in self.intervals.items()
            },
            "found": dict(self.found),
        }


def compare_maps(
    first: xr.Dataset | str | Path,
    second: xr.Dataset | str | Path,
    *,
    threshold: float = 0.5,
    inventory: GeoDataFrame | str | Path | None = None,
    surveyed: GeoDataFrame | str | Path | None = None,
    clouds: GeoDataFrame | str | Path | None = None,
    layer: str | None = None,
    crs: Any = None,
) -> Comparison:
    """Compare two maps of one place, pixel by pixel, where both saw the ground; in bounded memory.

    Parameters
    ----------
    first, second
        Maps on one grid, or paths or URLs of stored ones: the earlier, then the later.
    threshold
        Probability (0-1] from which a pixel is called landslide.
    inventory, surveyed, clouds, layer, crs
        As of `sarmap.assess_map`; without an inventory nothing is called true or false.

    Raises
    ------
    RequestError
        One is no map, they lie on different grids, both saw nothing in common, or the inventory
        cannot be used.
    """
    readers = (open_reader(first), open_reader(second))
    _check_grids(*readers)
    grid = readers[0].grid
    labels = None
    if inventory is not None:
        labels = read_labels(
            grid, inventory, surveyed=surveyed, clouds=clouds, layer=layer, crs=crs
        )
    counts, slides = _count(readers, labels, threshold_level(threshold))
    if not counts.sum():
        raise RequestError(
            "No pixel was seen by both maps (and labelled): there is nothing to compare."
        )
    unit = abs(grid.transform.a * grid.transform.e) / 1e6
    whole = counts.sum(axis=0) * unit
    parts = {
        name: Part(float(whole[code].sum()), float(whole[code, 1]) if labels else None)
        for name, code in zip(PARTS, (3, 1, 2), strict=True)
    }
    scores, intervals = _scores(counts) if labels else ({}, {})
    simulated = any(reader.provenance.simulated for reader in readers)
    return Comparison(
        threshold, float(whole.sum()), parts, scores, intervals, _found(slides), simulated
    )


def _check_grids(first: MapReader, second: MapReader) -> None:
    same = first.shape == second.shape and first.grid.crs == second.grid.crs
    if not same or not np.allclose(tuple(first.grid.affine), tuple(second.grid.affine)):
        raise RequestError(
            "The two maps lie on different grids: map the same area at the same resolution twice."
        )


def _count(
    readers: tuple[MapReader, MapReader], labels: Labels | None, level: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of each block by what the maps call them and what is true (block, 4, 2); and how often
    each landslide was seen, called by the first, by the second, by both (slide, 4).

    What the maps call a pixel: 1 for the first, plus 2 for the second.
    """
    rows, columns = readers[0].shape
    across = -(-columns // BLOCK)
    counts = np.zeros((-(-rows // BLOCK), across, 8), np.int64)
    slides = np.zeros((0 if labels is None else len(labels.landslides), 4), np.int64)
    step = readers[0].strip_rows(BLOCK)
    block = np.arange(columns) // BLOCK
    for top in range(0, rows, step):
        strips = [reader.strip(top, min(top + step, rows)) for reader in readers]
        for start in range(0, strips[0].probability.shape[0], BLOCK):
            packed = [strip.probability[start : start + BLOCK] for strip in strips]
            window = slice(top + start, top + start + packed[0].shape[0]), slice(0, columns)
            seen = (packed[0] != FILL) & (packed[1] != FILL)
            called = (packed[0] >= level) + 2 * (packed[1] >= level).astype(np.intp)
            numbers = np.zeros(seen.shape, np.int32)
            if labels is not None:
                seen &= labels.labelled(*window)
                numbers = labels.numbers(*window)
                slides += _by_slide(numbers, seen, called, len(slides))
            key = (np.broadcast_to(block, seen.shape) * 4 + called) * 2 + (numbers > 0)
            found = np.bincount(key[seen], minlength=across * 8)
            counts[(top + start) // BLOCK] += found.reshape(across, 8)
    return counts.reshape(-1, 4, 2), slides


def _by_slide(
    numbers: NDArray[np.int32], seen: NDArray[np.bool_], called: NDArray[np.intp], slides: int
) -> NDArray[np.int64]:
    """Pixels of each landslide: seen, called by the first, by the second, by both."""
    masks = (seen, seen & (called & 1 > 0), seen & (called & 2 > 0), seen & (called == 3))
    counted = [np.bincount(numbers[mask], minlength=slides + 1)[1:] for mask in masks]
    return np.stack(counted, axis=1)


def _scores(
    counts: NDArray[np.int64],
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Interval]]]:
    """Scores of both maps and their intervals, those of the difference from the same drawings."""
    blocks = counts[counts.sum(axis=(1, 2)) > 0]
    outcomes = np.concatenate([_outcomes(blocks, bit) for bit in (1, 2)], axis=1)
    whole = outcomes.sum(axis=0, keepdims=True).astype(np.float64)
    value = [_rates(whole[:, part : part + 3]) for part in (0, 3)]
    scores = {
        which: {name: float(rate[0]) for name, rate in rates.items()}
        for which, rates in zip(_TWICE, value, strict=True)
    }
    if len(blocks) < FEWEST_BLOCKS:
        none = dict.fromkeys(value[0], Interval(math.nan, math.nan))
        return scores, dict.fromkeys((*_TWICE, "gain"), none)
    drawn = resampled(outcomes)
    redrawn = [_rates(drawn[:, part : part + 3]) for part in (0, 3)]
    intervals = {
        which: {name: percentiles(rate) for name, rate in rates.items()}
        for which, rates in zip(_TWICE, redrawn, strict=True)
    }
    gain = {name: percentiles(redrawn[1][name] - redrawn[0][name]) for name in redrawn[0]}
    return scores, {**intervals, "gain": gain}


def _outcomes(counts: NDArray[np.int64], bit: int) -> NDArray[np.int64]:
    """TP, FP, FN of one map in each block (block, 3)."""
    called = [code for code in range(4) if code & bit]
    left = [code for code in range(4) if not code & bit]
    return np.stack(
        [
            counts[:, called, 1].sum(axis=1),
            counts[:, called, 0].sum(axis=1),
            counts[:, left, 1].sum(axis=1),
        ],
        axis=1,
    )


def _rates(outcomes: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    tp, fp, fn = outcomes.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "iou": tp / (tp + fp + fn),
        }


def _found(slides: NDArray[np.int64]) -> dict[str, int]:
    if not len(slides):
        return {}
    seen, first, second = (slides[:, place] > 0 for place in range(3))
    return {
        "of": int(seen.sum()),
        "first": int(first.sum()),
        "second": int(second.sum()),
        "both": int((first & second).sum()),
    }


def changed_polygons(
    first: xr.Dataset | str | Path,
    second: xr.Dataset | str | Path,
    *,
    threshold: float = 0.5,
    min_area: float = 0.0,
) -> GeoDataFrame:
    """Polygons of both maps with the column ``change``.

    'kept' and 'new' are the second map's: those that touch a polygon of the first, and those that
    do not; 'withdrawn' are the first map's that touch none of the second.

    Raises
    ------
    RequestError
        One is no map, or they lie on different grids.
    """
    from sarmap.export.polygons import polygonise

    _check_grids(open_reader(first), open_reader(second))
    before, after = (
        polygonise(one, threshold=threshold, min_area=min_area) for one in (first, second)
    )
    touched = before.sindex.query(after.geometry.array, predicate="intersects")
    kept = np.zeros(len(after), bool)
    kept[touched[0]] = True
    gone = np.ones(len(before), bool)
    gone[touched[1]] = False
    after["change"] = np.where(kept, "kept", "new")
    before["change"] = "withdrawn"
    joined = pd.concat([after, before[gone]], ignore_index=True)
    joined["id"] = np.arange(1, len(joined) + 1)
    return joined.set_geometry("geometry")
