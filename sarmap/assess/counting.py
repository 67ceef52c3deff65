"""One pass over a map beside its inventory: all counts that scores, curves and tables are made of.

A stored probability is one of 251 steps of 0.004, so the number of pixels at each step, with and
without landslide, holds everything a threshold, a curve or a calibration needs. It is kept for each
square block of the map, because pixels of one place are alike: blocks, not pixels, are resampled
for intervals. Pixels that were not seen or not labelled are counted apart and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.scores import Confusion, Scores
from sarmap.store.encoding import FILL, threshold_level

if TYPE_CHECKING:
    from sarmap.assess.ground import Gradients, LandCover
    from sarmap.assess.labels import Labels
    from sarmap.store.reading import MapReader, Strip

LEVELS = 251
"""Steps of a stored probability: 0, 0.004 ... 1."""
BLOCK = 256
"""Least edge of a block in pixels: 2.56 km at 10 m, far beyond the correlation of speckle."""
_MOST_BLOCKS = 20_000
"""Above so many blocks their edge grows, so that counts of any region stay below 100 MB."""

Counts = NDArray[np.int64]
Sink = Callable[[int, NDArray[np.uint8]], None]
"""Takes the first row and the outcomes (`Confusion`) of whole rows, from top to bottom."""


@dataclass(frozen=True)
class Tally:
    """Counts of a map beside an inventory."""

    counts: Counts
    """Pixels (block, landslide or not, step of probability), int64."""
    block_shape: tuple[int, int]
    """Rows and columns of blocks, numbered row by row."""
    block: int
    """Edge of a block, pixels."""
    pixel_area: float
    """Square metres."""
    threshold: float
    """Probability from which a pixel was called landslide in what follows."""
    unseen: int
    """Pixels that were not observed."""
    unlabelled: int
    """Observed pixels of which the inventory knows nothing."""
    slide_pixels: Counts
    """Pixels of each landslide, seen or not."""
    slide_seen: Counts
    """Those that count."""
    slide_called: Counts
    """Those that count and were called landslide."""
    slide_gradient: NDArray[np.float64] | None
    """Mean gradient towards east and north (slide, 2), NaN where unknown; None: no elevation."""
    cover: Counts | None
    """Pixels (land cover class 0-255, landslide or not, called or not); None: no land cover."""
    control: Counts | None = None
    """Of the pixels that count, those called landslide, all, those that the map's control calls
    landslide and those that it saw, of each block (block, 4); None: a map without a control."""

    @property
    def level(self) -> int:
        """Step from which a pixel was called landslide."""
        return threshold_level(self.threshold)

    @property
    def whole(self) -> Counts:
        """Counts of the whole map (landslide or not, step)."""
        whole: Counts = self.counts.sum(axis=0)
        return whole

    def confusion(self, threshold: float | None = None) -> Counts:
        """TP, FP, FN, TN of each block (block, 4) at a threshold, by default the tally's own."""
        level = self.level if threshold is None else threshold_level(threshold)
        called = self.counts[:, :, level:].sum(axis=2)
        left = self.counts[:, :, :level].sum(axis=2)
        return np.stack([called[:, 1], called[:, 0], left[:, 1], left[:, 0]], axis=1)

    def scores(self, threshold: float | None = None, blocks: Any = slice(None)) -> Scores:
        """Scores at a threshold, of the whole map or of some blocks (index or mask)."""
        tp, fp, fn, tn = (int(n) for n in self.confusion(threshold)[blocks].sum(axis=0))
        at = self.threshold if threshold is None else threshold
        return Scores(tp, fp, fn, tn, self.unseen, at)


def tally_map(
    reader: MapReader,
    labels: Labels,
    *,
    threshold: float = 0.5,
    block: int | None = None,
    cover: LandCover | None = None,
    gradients: Gradients | None = None,
    sink: Sink | None = None,
) -> Tally:
    """Count a map beside its labels on its grid, some rows at a time, in blocks whose edge is by
    default 256 pixels, more for very large maps.

    `cover` says where false alarms lie, `gradients` which way a landslide faces; `sink` is given
    every row's outcomes, to be written. Raises RequestError where the threshold is out of range.
    """
    rows, columns = reader.shape
    edge = block or _edge(rows, columns)
    shape = (-(-rows // edge), -(-columns // edge))
    count = _Counter(shape, edge, threshold_level(threshold), len(labels.landslides))
    # Whole stored blocks are read at a time, and counted by rows of blocks.
    for strip in reader.strips(edge=edge):
        for top in range(0, strip.probability.shape[0], edge):
            part = _part(strip, top, edge)
            window = slice(part.top, part.top + part.probability.shape[0]), slice(0, columns)
            numbers, labelled = labels.numbers(*window), labels.labelled(*window)
            outcome = count.add(part, numbers, labelled)
            if part.control_probability is not None:
                count.add_control(part, part.control_probability, outcome)
            if cover is not None:
                count.add_cover(cover.window(*window), outcome)
            if gradients is not None:
                count.add_gradients(gradients.window(*window), numbers)
            if sink is not None:
                sink(part.top, outcome)
    return Tally(
        counts=count.levels,
        block_shape=shape,
        block=edge,
        pixel_area=abs(reader.grid.transform.a * reader.grid.transform.e),
        threshold=threshold,
        unseen=count.unseen,
        unlabelled=count.unlabelled,
        slide_pixels=count.slide_pixels,
        slide_seen=count.slide_seen,
        slide_called=count.slide_called,
        slide_gradient=None if gradients is None else count.mean_gradients(),
        cover=None if cover is None else count.cover,
        control=count.control if "control_probability" in reader.layers else None,
    )


def _edge(rows: int, columns: int) -> int:
    """Edge of a block: 256 px, doubled until the map has at most 20,000 blocks.

    >>> _edge(3842, 2346), _edge(100_000, 100_000)
    (256, 1024)
    """
    edge = BLOCK
    while -(-rows // edge) * -(-columns // edge) > _MOST_BLOCKS:
        edge *= 2
    return edge


def _part(strip: Strip, top: int, rows: int) -> Strip:
    from dataclasses import replace

    window = slice(top, top + rows)
    return replace(
        strip,
        top=strip.top + top,
        probability=strip.probability[window],
        observation=strip.observation[window],
        slope=None,
        disagreement=None,
        control_probability=(
            None if strip.control_probability is None else strip.control_probability[window]
        ),
    )


class _Counter:
    """The running counts of `tally_map`."""

    def __init__(self, shape: tuple[int, int], edge: int, level: int, slides: int) -> None:
        self.shape, self.edge, self.level, self.slides = shape, edge, level, slides
        self.levels = np.zeros((shape[0] * shape[1], 2, LEVELS), np.int64)
        self.slide_pixels = np.zeros(slides, np.int64)
        self.slide_seen = np.zeros(slides, np.int64)
        self.slide_called = np.zeros(slides, np.int64)
        self.gradient = np.zeros((slides, 2))
        self.inclined = np.zeros(slides, np.int64)
        self.cover = np.zeros((256, 2, 2), np.int64)
        self.control = np.zeros((shape[0] * shape[1], 4), np.int64)
        self.unseen = self.unlabelled = 0

    def add(
        self, part: Strip, numbers: NDArray[np.int32], labelled: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """Count rows that lie in one row of blocks; returns each pixel's outcome."""
        packed = part.probability
        seen = (packed != FILL) & (part.observation == 0)
        counts = seen & labelled
        truth, called = numbers > 0, packed >= self.level
        self.unseen += int((~seen).sum())
        self.unlabelled += int((seen & ~labelled).sum())
        first = part.top // self.edge * self.shape[1]
        columns = np.arange(packed.shape[1]) // self.edge
        key = (np.broadcast_to(columns, packed.shape)[counts] * 2 + truth[counts]) * LEVELS
        found = np.bincount(key + packed[counts], minlength=self.shape[1] * 2 * LEVELS)
        self.levels[first : first + self.shape[1]] += found.reshape(self.shape[1], 2, LEVELS)
        self.slide_pixels += self._by_slide(numbers[truth])
        self.slide_seen += self._by_slide(numbers[truth & counts])
        self.slide_called += self._by_slide(numbers[truth & counts & called])
        outcome = np.full(packed.shape, Confusion.UNSEEN, np.uint8)
        outcome[seen & ~labelled] = Confusion.NOT_LABELLED
        table = np.array(
            [
                [Confusion.TRUE_NEGATIVE, Confusion.FALSE_POSITIVE],
                [Confusion.FALSE_NEGATIVE, Confusion.TRUE_POSITIVE],
            ],
            np.uint8,
        )
        outcome[counts] = table[truth[counts].astype(np.intp), called[counts].astype(np.intp)]
        return outcome

    def _by_slide(self, numbers: NDArray[np.int32]) -> Counts:
        counted: Counts = np.bincount(numbers, minlength=self.slides + 1)[1:]
        return counted

    def add_control(
        self, part: Strip, packed: NDArray[np.uint8], outcome: NDArray[np.uint8]
    ) -> None:
        """Count what a control calls landslide of the pixels that count."""
        counts = outcome < Confusion.NOT_LABELLED
        called = (outcome == Confusion.TRUE_POSITIVE) | (outcome == Confusion.FALSE_POSITIVE)
        asked = counts & (packed != FILL)
        first = part.top // self.edge * self.shape[1]
        block = np.broadcast_to(np.arange(packed.shape[1]) // self.edge, packed.shape)
        for place, mask in enumerate((called, counts, asked & (packed >= self.level), asked)):
            found = np.bincount(block[mask], minlength=self.shape[1])
            self.control[first : first + self.shape[1], place] += found

    def add_cover(self, codes: NDArray[np.uint8], outcome: NDArray[np.uint8]) -> None:
        """Count land cover beside outcomes."""
        counts = outcome < Confusion.NOT_LABELLED
        truth = (outcome == Confusion.TRUE_POSITIVE) | (outcome == Confusion.FALSE_NEGATIVE)
        called = (outcome == Confusion.TRUE_POSITIVE) | (outcome == Confusion.FALSE_POSITIVE)
        key = codes[counts].astype(np.intp) * 4 + truth[counts] * 2 + called[counts]
        self.cover += np.bincount(key, minlength=1024).reshape(256, 2, 2)

    def add_gradients(self, gradient: NDArray[np.float32], numbers: NDArray[np.int32]) -> None:
        """Sum gradients (2, y, x) over each landslide."""
        known = (numbers > 0) & np.isfinite(gradient).all(axis=0)
        for axis in (0, 1):
            weights = gradient[axis][known].astype(np.float64)
            self.gradient[:, axis] += np.bincount(
                numbers[known], weights, minlength=self.slides + 1
            )[1:]
        self.inclined += self._by_slide(numbers[known])

    def mean_gradients(self) -> NDArray[np.float64]:
        """Mean gradient of each landslide, NaN where none is known."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.gradient / self.inclined[:, None])
