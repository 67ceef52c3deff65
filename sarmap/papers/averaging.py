"""Both orbits of one place, averaged: paper 2 found it to score below the ascending orbit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.intervals import score_intervals
from sarmap.assess.labels import NOT_LABELLED
from sarmap.assess.scores import Scores
from sarmap.detect.manifest import read_arrays, read_manifest
from sarmap.detect.networks import build_network, set_arrays
from sarmap.errors import RequestError
from sarmap.learn.sample_store import SampleStore
from sarmap.learn.scoring import SQUARE, THRESHOLD, Answers, PartScore, answers_of
from sarmap.learn.settle import check_backend
from sarmap.learn.sources import Stored
from sarmap.learn.splits import PARTS, blocks_of


@dataclass(frozen=True)
class Trained:
    """A trained segmenter with the samples of its orbit."""

    ask: Answers
    """Images [n, y, x, band] to probability [n, y, x]."""
    store: SampleStore
    """Samples of its orbit."""
    normalisation: Any
    """As it takes its tiles."""


def open_trained(manifest: Path, store: SampleStore) -> Trained:
    """A network as it was stored, with the samples it was trained among."""
    check_backend()
    known = read_manifest(manifest)
    model = build_network(str(known.network), len(known.bands), known.arguments)
    set_arrays(model, read_arrays(manifest.parent / known.weights))
    return Trained(answers_of(model), store, known.normalisation)


def average_scores(orbits: Sequence[Trained], split: str, parts: Sequence[str]) -> PartScore:
    """Scores of the mean probability of several orbits, on patches that both hold out.

    Parameters
    ----------
    orbits
        Networks and samples of one place and one split.
    split
        Name of the split.
    parts
        Parts that are scored: 'test', or 'held_out'.

    Raises
    ------
    RequestError
        The orbits' samples do not lie at the same places.
    """
    first = orbits[0].store
    codes = [PARTS.index(part) for part in parts]
    chosen = np.ones(len(first), bool)
    for one in orbits:
        same = len(one.store) == len(first) and all(
            np.array_equal(_by_place(first, name), _by_place(one.store, name))
            for name in ("row", "column", "event")
        )
        if not same:
            raise RequestError("The orbits' samples lie at different places: make both anew.")
        inside = np.isin(one.store.stored_parts(), codes)
        chosen &= inside[_order(one.store)]
    places = np.flatnonzero(chosen)
    counts = _count(orbits, places)
    of = [_order(first)[places]]
    squares = blocks_of(first.event[of[0]], first.row[of[0]], first.column[of[0]], SQUARE)
    _, number = np.unique(squares, return_inverse=True)
    by_square = np.zeros((int(number.max()) + 1, 4), np.int64)
    np.add.at(by_square, number, counts)
    total = [int(n) for n in counts.sum(axis=0)]
    return PartScore(
        "both orbits", split, len(places), Scores(*total), score_intervals(by_square), {}
    )


def _order(store: SampleStore) -> NDArray[np.intp]:
    """Samples in order of event, row and column, whatever windows they were read in."""
    order: NDArray[np.intp] = np.lexsort((store.column, store.row, store.event))
    return order


def _by_place(store: SampleStore, name: str) -> NDArray[np.int64]:
    values: NDArray[np.int64] = getattr(store, name)[_order(store)]
    return values


def _count(orbits: Sequence[Trained], places: NDArray[np.intp]) -> NDArray[np.int64]:
    """TP, FP, FN, TN of each place (n, 4), of pixels that every orbit saw."""
    counts = np.zeros((len(places), 4), np.int64)
    sources = [
        Stored(one.store, _order(one.store)[places], one.normalisation, memory=0) for one in orbits
    ]
    for start in range(0, len(places), 64):
        numbers = np.arange(start, min(start + 64, len(places)))
        answers, known, truth = [], True, None
        for one, source in zip(orbits, sources, strict=True):
            images, masks = source.read(numbers)
            answers.append(one.ask(images))
            known = known & (masks != NOT_LABELLED)
            truth = masks == 1 if truth is None else truth | (masks == 1)
        called = np.mean(answers, axis=0) >= THRESHOLD
        outcomes = (called & truth, called & ~truth, ~called & truth, ~called & ~truth)  # type: ignore[operator]
        for column, outcome in enumerate(outcomes):
            counts[numbers, column] = (outcome & known).sum(axis=(1, 2))
    return counts
