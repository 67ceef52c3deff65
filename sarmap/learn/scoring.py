"""Scores of a network on parts of the samples, with intervals, and where its false alarms lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.intervals import Interval, score_intervals
from sarmap.assess.labels import NOT_LABELLED
from sarmap.assess.scores import SCORES, Scores
from sarmap.learn.sample_store import SampleStore
from sarmap.learn.sources import Stored
from sarmap.learn.splits import PARTS, blocks_of

SQUARE = 256
"""Edge of the squares that intervals redraw, pixels: far beyond the correlation of speckle."""
THRESHOLD = 0.5
Answers = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class PartScore:
    """Scores of one part of the samples."""

    part: str
    """'training', 'validation', 'test', or 'event NAME' for an event that was held out whole."""
    split: str
    """Split that made the part: 'random', 'blocks' or 'events'."""
    samples: int
    """Patches or clips."""
    scores: Scores
    """Counts of pixels (patches) or clips."""
    intervals: Mapping[str, Interval]
    """95 % intervals by score; NaN where too few squares were seen."""
    false_alarms: Mapping[str, tuple[int, int]]
    """Land cover -> pixels or clips called landslide, and all that are none."""

    def record(self) -> dict[str, Any]:
        """As plain values, for a manifest and for tables."""
        counts = self.scores.record()
        return {
            "split": self.split,
            "samples": self.samples,
            "count": self.scores.pixels,
            **{name: _rounded(counts[name]) for name in SCORES},
            "intervals": {
                name: [_rounded(end) for end in self.intervals[name].record()] for name in SCORES
            },
            "false_alarms": {
                name: {"called": called, "of": of, "share": round(called / of, 5) if of else None}
                for name, (called, of) in self.false_alarms.items()
            },
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def answers_of(model: Any) -> Answers:
    """Probability of landslide from a Keras model of two classes, a batch at a time."""

    def ask(images: NDArray[np.float32]) -> NDArray[np.float32]:
        # called directly: a traced graph for each of many small networks costs more than it gives
        return np.asarray(model(images, training=False), np.float32)[..., 1]

    return ask


def score_parts(
    ask: Answers, store: SampleStore, codes: NDArray[np.uint8], split: str, normalisation: Any
) -> list[PartScore]:
    """Scores of validation, test and each held-out event, where they hold samples, by the part of
    each (`SampleStore.parts`). `ask` answers images [n, y, x, band], normalised as the network
    takes its tiles, with probability [n, y, x] or [n].
    """
    chosen = {
        "validation": np.flatnonzero(codes == PARTS.index("validation")),
        "test": np.flatnonzero(codes == PARTS.index("test")),
    }
    held = codes == PARTS.index("held_out")
    for number, event in enumerate(store.events):
        chosen[f"event {event['name']}"] = np.flatnonzero(held & (store.event == number))
    return [
        _score(ask, store, which, part, "events" if part[:6] == "event " else split, normalisation)
        for part, which in chosen.items()
        if len(which)
    ]


def _score(
    ask: Answers,
    store: SampleStore,
    which: NDArray[np.int64],
    part: str,
    split: str,
    normalisation: Any,
) -> PartScore:
    counts, covers = count_outcomes(ask, store, which, normalisation)
    names = store.cover_names()
    found = {
        "unknown" if code == NOT_LABELLED else names.get(code, f"class {code}"): pair
        for code, pair in covers.items()
    }
    return part_score(part, split, store, which, counts, found)


def part_score(
    part: str,
    split: str,
    store: SampleStore,
    which: NDArray[np.int64],
    counts: NDArray[np.int64],
    covers: Mapping[str, Any],
) -> PartScore:
    """Scores of samples of a store from their TP, FP, FN and TN (n, 4), with intervals over
    squares.
    """
    squares = blocks_of(store.event[which], store.row[which], store.column[which], SQUARE)
    _, square = np.unique(squares, return_inverse=True)
    by_square = np.zeros((int(square.max()) + 1, 4), np.int64)
    np.add.at(by_square, square, counts)
    total = [int(n) for n in counts.sum(axis=0)]
    return PartScore(part, split, len(which), Scores(*total), score_intervals(by_square), covers)


def count_outcomes(
    ask: Answers, store: SampleStore, which: NDArray[np.int64], normalisation: Any
) -> tuple[NDArray[np.int64], dict[int, tuple[int, int]]]:
    """TP, FP, FN, TN of each sample (n, 4); and, by land cover, false alarms and all other land."""
    source = Stored(store, which, normalisation, memory=0)
    counts = np.zeros((len(which), 4), np.int64)
    covers = np.zeros((256, 2), np.int64)
    for start in range(0, len(which), 64):
        numbers = np.arange(start, min(start + 64, len(which)))
        images, labels = source.read(numbers)
        called = ask(images) >= THRESHOLD
        truth, known = labels == 1, labels != NOT_LABELLED
        outcomes = (called & truth, called & ~truth, ~called & truth, ~called & ~truth)
        axes = tuple(range(1, labels.ndim))
        for column, outcome in enumerate(outcomes):
            counts[numbers, column] = (outcome & known).sum(axis=axes)
        land = store.read_covers(which[numbers])
        if land is not None:
            for column, where in enumerate((outcomes[1] & known, ~truth & known)):
                covers[:, column] += np.bincount(land[where].ravel(), minlength=256)
    present = np.flatnonzero(covers[:, 1])
    return counts, {int(c): (int(covers[c, 0]), int(covers[c, 1])) for c in present}


# --- what fine-tuning gained ----------------------------------------------------------------------


FEWEST_BLOCKS = 10
"""With fewer blocks held out an interval means nothing."""


@dataclass(frozen=True)
class Gain:
    """By how much fine-tuning helped on held-out corrections."""

    before: float
    """F1 of the weights it started from; NaN where undefined."""
    after: float
    """F1 of the fine-tuned weights."""
    low: float
    """Lower end of the 95 % interval of the difference; NaN with fewer than ten blocks."""
    high: float
    """Upper end."""
    patches: int
    """Tiles (or clips) held out."""
    blocks: int
    """Spatial blocks they lie in."""

    def __str__(self) -> str:
        interval = (
            f"too few blocks ({self.blocks}) for an interval"
            if np.isnan(self.low)
            else f"95 % interval {100 * self.low:+.1f} to {100 * self.high:+.1f}"
        )
        verdict = "" if self.low > 0 else " It is not certain that it helped."
        if not self.after > self.before:
            verdict = " It did not help here: keep the weights you had."
        return (
            f"On {self.patches} held-out samples in {self.blocks} spatial blocks: F1 "
            f"{100 * self.before:.1f} % before, {100 * self.after:.1f} % after, "
            f"{100 * (self.after - self.before):+.1f} points ({interval}).{verdict}"
        )


def paired_gain(
    before: NDArray[np.int64], after: NDArray[np.int64], block: NDArray[np.int64], seed: int = 0
) -> Gain:
    """F1 before and after on the same samples, of TP, FP, FN, TN each (n, 4), with a paired
    block-bootstrap interval: whole spatial blocks are redrawn, for both alike.

    >>> worse, better = np.array([[1, 1, 1, 0]] * 12), np.array([[2, 0, 1, 0]] * 12)
    >>> print(paired_gain(worse, better, np.arange(12)))
    On 12 held-out samples in 12 spatial blocks: F1 50.0 % before, 80.0 % after, +30.0 points \
(95 % interval +30.0 to +30.0).
    """
    _, number = np.unique(block, return_inverse=True)
    blocks = int(number.max()) + 1
    sums = np.zeros((2, blocks, 4), np.float64)
    for which, counts in enumerate((before, after)):
        np.add.at(sums[which], number, counts)
    f1 = _f1(sums.sum(axis=1))
    low = high = float("nan")
    if blocks >= FEWEST_BLOCKS:
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=1000)
        redrawn = _f1(drawn @ sums[1]) - _f1(drawn @ sums[0])
        redrawn = redrawn[np.isfinite(redrawn)]
        if len(redrawn):
            low, high = (float(end) for end in np.quantile(redrawn, [0.025, 0.975]))
    return Gain(float(f1[0]), float(f1[1]), low, high, len(before), blocks)


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    twice = 2 * counts[:, 0]
    whole = twice + counts[:, 1] + counts[:, 2]
    scores: NDArray[np.float64] = np.full(len(counts), np.nan)
    return np.divide(twice, whole, out=scores, where=whole > 0)
