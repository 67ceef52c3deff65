"""Where samples lie, found from polygons and land cover alone: no radar pixel is read here.

Patches (Nava et al. 2022, section 3.1): a plain cut of whole tiles, of which the paper keeps those
with at least one landslide pixel. Clips (Nava et al. 2021, section III): 25 x 25 px around points
in landslides, drawn per polygon with a stride, and around points of other land, as many from each
land cover as it can give.

The scene is walked through window by window; what is found does not depend on the windows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.ground import UNKNOWN_COVER, LandCover
from sarmap.assess.labels import NOT_LABELLED, Labels
from sarmap.errors import RequestError

Places = NDArray[np.int64]
WINDOW = 2048
"""About the edge of the windows walked through, pixels."""


@dataclass(frozen=True)
class PatchRule:
    """Which tiles become patches."""

    tile: int = 64
    """Edge, pixels."""
    stride: int = 64
    """Step between patches, pixels."""
    keep: Literal["slide", "all"] = "slide"
    """'slide': with at least one landslide pixel, the paper's; 'all': all that are labelled."""
    empty: float = 1.0
    """Of all: share kept of those without a landslide pixel, drawn at random."""


@dataclass(frozen=True)
class ClipRule:
    """Which points become clips."""

    clip: int = 25
    """Edge, pixels; odd."""
    stride: int = 4
    """Landslide points lie on every so-manieth row and column; each polygon has at least one."""
    per_polygon: int = 12
    """Most clips of one polygon."""
    negatives: float = 1.0
    """Clips of other land per landslide clip; the paper's set is balanced."""
    negative_stride: int = 8
    """Points of other land lie on every so-manieth row and column."""
    guard: int = 3
    """No landslide pixel lies within so many pixels of a point of other land."""
    seed: int = 0
    """Of the drawing."""


@dataclass(frozen=True)
class Index:
    """First pixels of samples, with what is known before any pixel is read."""

    row: Places
    """First row on the scene's grid."""
    column: Places
    """First column."""
    positive: NDArray[np.bool_]
    """Whether a sample holds (patch) or is centred on (clip) a landslide."""
    cover: NDArray[np.uint8]
    """Land cover at the sample's centre."""

    def take(self, chosen: Any) -> Index:
        """The chosen samples, in that order."""
        return Index(
            self.row[chosen], self.column[chosen], self.positive[chosen], self.cover[chosen]
        )


def find_patches(labels: Labels, rule: PatchRule, covers: LandCover | None = None) -> Index:
    """Whole tiles of a scene that a rule keeps, in order of rows; RequestError where the scene is
    smaller than a tile, or none is kept.
    """
    rows, columns = _shape(labels, rule.tile)
    found = []
    for window_rows, window_columns, at_y, at_x in _tile_windows(rows, columns, rule):
        mask = labels.mask(window_rows, window_columns)
        view = np.lib.stride_tricks.sliding_window_view(mask, (rule.tile, rule.tile))
        view = view[:: rule.stride, :: rule.stride]
        slide = (view == 1).any(axis=(2, 3))
        kept = slide if rule.keep == "slide" else (view != NOT_LABELLED).any(axis=(2, 3))
        y, x = np.nonzero(kept)
        found.append(Index(at_y[y], at_x[x], slide[y, x], np.full(len(y), UNKNOWN_COVER, np.uint8)))
    index = _joined(found)
    if not len(index.row):
        raise RequestError(
            "No patch holds a landslide pixel that is labelled: check the inventory, the surveyed "
            "area and the clouds, or keep all patches (keep='all')."
        )
    index = index.take(np.lexsort((index.column, index.row)))
    if rule.empty < 1:
        own = int(hashlib.sha256(labels.digest.encode()).hexdigest()[:16], 16)
        chance = np.random.default_rng(own).random(len(index.row))
        index = index.take(index.positive | (chance < rule.empty))
    if covers is None:
        return index
    half = rule.tile // 2
    return _with_covers(index, covers, index.row + half, index.column + half)


def find_clips(labels: Labels, rule: ClipRule, covers: LandCover | None = None) -> Index:
    """Clips of both classes that a rule draws, in order of rows; RequestError where the scene is
    smaller than a clip, or one class has no point.
    """
    rows, columns = _shape(labels, rule.clip)
    half = rule.clip // 2
    slides: list[Any] = [_own_points(labels)]
    others: list[Any] = []
    for window_rows, window_columns in _windows(rows, columns):
        mask, inner = _with_margin(labels, window_rows, window_columns, rule.guard)
        slides.append(_slide_points(labels, mask[inner], window_rows, window_columns, rule))
        others.append(_other_points(mask, inner, window_rows, window_columns, rule))
    rng = np.random.default_rng([rule.seed, 25])
    y, x = _inside(_per_polygon(np.concatenate(slides), rule, rng), half, rows, columns)
    # in the scene's order, not the windows', so that the same ones are drawn
    oy, ox = _inside(np.unique(np.concatenate(others), axis=0), half, rows, columns)
    if not len(y) or not len(oy):
        lacking = "landslides" if not len(y) else "other land"
        raise RequestError(
            f"The labelled area holds no clip of {lacking}: both classes are needed, so give a "
            "larger area, or a smaller guard= or negative_stride=."
        )
    other = Index(oy - half, ox - half, np.zeros(len(oy), bool), np.zeros(len(oy), np.uint8))
    slide = Index(y - half, x - half, np.ones(len(y), bool), np.zeros(len(y), np.uint8))
    if covers is not None:
        other, slide = (
            _with_covers(one, covers, one.row + half, one.column + half) for one in (other, slide)
        )
    other = other.take(_evenly(other.cover, round(len(y) * rule.negatives), rng))
    both = _joined([slide, other])
    return both.take(np.lexsort((both.column, both.row)))


# --- walking through the scene -------------------------------------------------------------------


def _shape(labels: Labels, edge: int) -> tuple[int, int]:
    rows, columns = (int(n) for n in labels.grid.shape)
    if min(rows, columns) < edge:
        raise RequestError(
            f"The training area is {rows} x {columns} px and holds no sample of {edge} px: give a "
            "larger area."
        )
    return rows, columns


def _windows(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, rows, WINDOW):
        for left in range(0, columns, WINDOW):
            yield slice(top, min(top + WINDOW, rows)), slice(left, min(left + WINDOW, columns))


def _tile_windows(
    rows: int, columns: int, rule: PatchRule
) -> Iterator[tuple[slice, slice, Places, Places]]:
    """Windows of whole tiles, with the first row and column of each tile in them."""
    step = max(WINDOW // rule.stride, 1) * rule.stride
    starts = [np.arange(0, size - rule.tile + 1, rule.stride) for size in (rows, columns)]
    for top in range(0, rows, step):
        at_y = starts[0][(starts[0] >= top) & (starts[0] < top + step)]
        for left in range(0, columns, step):
            at_x = starts[1][(starts[1] >= left) & (starts[1] < left + step)]
            if len(at_y) and len(at_x):
                spans = (slice(int(at[0]), int(at[-1]) + rule.tile) for at in (at_y, at_x))
                yield *spans, at_y, at_x  # type: ignore[misc]


def _joined(parts: list[Index]) -> Index:
    return Index(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("row", "column", "positive", "cover")
        )
    )


def _with_covers(index: Index, covers: LandCover, y: Places, x: Places) -> Index:
    """The index with the land cover at its samples' centres."""
    rows, columns = (int(n) for n in covers.grid.shape)
    cover = np.full(len(y), UNKNOWN_COVER, np.uint8)
    for window_rows, window_columns in _windows(rows, columns):
        here = (
            (y >= window_rows.start)
            & (y < window_rows.stop)
            & (x >= window_columns.start)
            & (x < window_columns.stop)
        )
        if here.any():
            codes = covers.window(window_rows, window_columns)
            cover[here] = codes[y[here] - window_rows.start, x[here] - window_columns.start]
    return Index(index.row, index.column, index.positive, cover)


# --- points of clips -----------------------------------------------------------------------------


def _with_margin(
    labels: Labels, rows: slice, columns: slice, margin: int
) -> tuple[NDArray[np.uint8], tuple[slice, slice]]:
    """Mask of a window with what lies around it, and where the window is in it."""
    height, width = (int(n) for n in labels.grid.shape)
    top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
    bottom, right = min(rows.stop + margin, height), min(columns.stop + margin, width)
    inner = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    return labels.mask(slice(top, bottom), slice(left, right)), inner


def _slide_points(
    labels: Labels, mask: NDArray[np.uint8], rows: slice, columns: slice, rule: ClipRule
) -> Places:
    """Points (n, 3: polygon, row, column) of the scene's stride grid inside landslides."""
    numbers = labels.numbers(rows, columns)
    on_grid = np.zeros(mask.shape, bool)
    on_grid[
        -rows.start % rule.stride :: rule.stride, -columns.start % rule.stride :: rule.stride
    ] = 1
    y, x = np.nonzero(on_grid & (mask == 1) & (numbers > 0))
    return np.stack([numbers[y, x] - 1, y + rows.start, x + columns.start], axis=1).astype(np.int64)


def _own_points(labels: Labels) -> Places:
    """One point within each polygon, so that small landslides are drawn as well."""
    points = labels.landslides.geometry.representative_point()
    to_pixels = ~labels.grid.transform
    x, y = to_pixels * (points.x.to_numpy(), points.y.to_numpy())
    places = np.stack([np.arange(len(x)), np.floor(y), np.floor(x)], axis=1).astype(np.int64)
    rows, columns = labels.grid.shape
    places = places[
        (places[:, 1] >= 0) & (places[:, 1] < rows) & (places[:, 2] >= 0) & (places[:, 2] < columns)
    ]
    own: Places = places[_labelled_slide(labels, places)]
    return own


def _labelled_slide(labels: Labels, places: Places) -> NDArray[np.bool_]:
    """Which points lie on a pixel that the mask calls landslide."""
    rows, columns = (int(n) for n in labels.grid.shape)
    good = np.zeros(len(places), bool)
    for window_rows, window_columns in _windows(rows, columns):
        here = (
            (places[:, 1] >= window_rows.start)
            & (places[:, 1] < window_rows.stop)
            & (places[:, 2] >= window_columns.start)
            & (places[:, 2] < window_columns.stop)
        )
        if here.any():
            mask = labels.mask(window_rows, window_columns)
            y, x = places[here, 1] - window_rows.start, places[here, 2] - window_columns.start
            good[here] = mask[y, x] == 1
    return good


def _per_polygon(points: Places, rule: ClipRule, rng: np.random.Generator) -> Places:
    """Points (n, 2: row, column), at most so many per polygon, none twice."""
    points = np.unique(points, axis=0)
    points = points[rng.permutation(len(points))]
    points = points[np.argsort(points[:, 0], kind="stable")]
    first = np.searchsorted(points[:, 0], points[:, 0])
    chosen = points[np.arange(len(points)) - first < rule.per_polygon]
    once: Places = np.unique(chosen[:, 1:], axis=0)
    return once


def _other_points(
    mask: NDArray[np.uint8],
    inner: tuple[slice, slice],
    rows: slice,
    columns: slice,
    rule: ClipRule,
) -> Places:
    """Points (n, 2: row, column) of the scene's negative grid, away from landslides."""
    from scipy.ndimage import maximum_filter

    near = maximum_filter(mask == 1, 2 * rule.guard + 1, mode="constant", cval=False)[inner]
    step = rule.negative_stride
    free = (mask[inner] == 0) & ~near
    y = np.arange(-rows.start % step, free.shape[0], step)
    x = np.arange(-columns.start % step, free.shape[1], step)
    down, along = np.nonzero(free[np.ix_(y, x)])
    points: Places = np.stack([y[down] + rows.start, x[along] + columns.start], axis=1)
    return points


def _inside(points: Places, half: int, rows: int, columns: int) -> tuple[Places, Places]:
    """Rows and columns of the points around which a whole clip lies in the scene."""
    y, x = points[:, 0], points[:, 1]
    whole = (y >= half) & (y < rows - half) & (x >= half) & (x < columns - half)
    return y[whole], x[whole]


def _evenly(groups: NDArray[np.uint8], most: int, rng: np.random.Generator) -> Places:
    """`most` members, as many from each group as it can give."""
    members = sorted((np.flatnonzero(groups == code) for code in np.unique(groups)), key=len)
    chosen, left = [], most
    for place, group in enumerate(members):
        part = min(len(group), -(-left // (len(members) - place)))
        chosen.append(rng.choice(group, part, replace=False))
        left -= part
    members_drawn: Places = np.concatenate(chosen).astype(np.int64)
    return members_drawn
