"""Rows of a paper's table: their samples, trainings and scores, and the grid before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.labels import NOT_LABELLED
from sarmap.detect.manifest import read_arrays, read_manifest
from sarmap.detect.networks import build_network, set_arrays
from sarmap.errors import RequestError, SarmapError
from sarmap.learn.config import SampleSettings, TrainingConfig, read_config
from sarmap.learn.outputs import TrainingResult, prepare_folder
from sarmap.learn.sample_store import SampleStore, open_samples
from sarmap.learn.scoring import THRESHOLD, Answers, PartScore, answers_of, part_score
from sarmap.learn.settle import check_backend, check_installed
from sarmap.learn.sources import Stored
from sarmap.learn.splits import PARTS
from sarmap.learn.train import prepare_samples
from sarmap.learn.trainings import Training, run_trainings
from sarmap.learn.tune import tune
from sarmap.papers.effort import Effort, Say, sources
from sarmap.simulate.record import SimulatedEvent

RowReport = Callable[[str, Mapping[str, float]], None]
"""Called with the name of a training and its losses after each epoch."""

_HELD_OUT = "event real inventory"


@dataclass(frozen=True)
class Job:
    """What all rows of one reproduction share."""

    out: Path
    effort: Effort
    seed: int
    events: tuple[SimulatedEvent, ...]
    held_out: SimulatedEvent | None
    inventory: str | None
    splits: tuple[str, ...]
    client: Any
    say: Say
    report: RowReport | None

    @property
    def part(self) -> str:
        """Part whose scores a row shows."""
        return _HELD_OUT if self.held_out else "test"


@dataclass(frozen=True)
class Asked:
    """A row that is to be trained."""

    key: Any
    """Its place in the table."""
    name: str
    """Its folder's name."""
    composite: str
    """Of `sarmap.compose.composites`."""
    split: str
    """'random', 'blocks' or 'events'."""
    fields: Mapping[str, Any]
    """What its training has of its own."""


def train_rows(
    job: Job, asked: Sequence[Asked], failed: Callable[[Asked, SarmapError], None]
) -> Iterator[tuple[Asked, TrainingResult]]:
    """Train rows, one after the other or side by side on a cluster; finished ones come first.

    `failed` is called with a row that cannot be trained, and why; the others are trained.
    """
    if job.client is None:
        check_installed()
    missing = []
    for one in asked:
        finished = prepare_folder(_row_config(job, one))
        if finished is None:
            missing.append(one)
        else:
            yield one, finished
    together = [missing] if job.client else [[one] for one in missing]
    for rows in together:
        yield from _train_together(job, rows, failed)


def _train_together(
    job: Job, rows: Sequence[Asked], failed: Callable[[Asked, SarmapError], None]
) -> Iterator[tuple[Asked, TrainingResult]]:
    """Samples of some rows, then their trainings."""
    trainings = []
    for one in rows:
        job.say(f"samples of row {one.name}")
        config, samples = _row_config(job, one), _samples(job, one.composite)
        parts = prepare_samples(config, samples, client=job.client).stored_parts()
        trainings.append(Training(config, samples, parts))
    report = job.report
    trained = run_trainings(
        trainings,
        client=job.client,
        failed=lambda number, error: failed(rows[number], error),
        report=report and (lambda number, epoch: report(rows[number].name, epoch)),
    )
    for number, result in trained:
        job.say(f"row {rows[number].name} is trained")
        yield rows[number], result


def _row_config(job: Job, one: Asked) -> TrainingConfig:
    own = {"name": one.name, "out": str(job.out / "rows" / one.name)}
    return read_config(_config(job, one.composite, one.split, one.fields) | own)


def _samples(job: Job, composite: str) -> Path:
    """Samples are a composite's, whatever is trained on them."""
    return job.out / "samples" / f"{composite}.zarr"


def _config(job: Job, composite: str, split: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    orbit = "descending" if composite.startswith("D_") else "ascending"
    return {
        "composite": composite,
        "seed": job.seed,
        **job.effort.training,
        **fields,
        "samples": {**job.effort.samples, "split": split},
        "events": sources(
            job.events,
            orbit,
            land_cover=fields["network"] == "cnn",
            held_out=job.held_out,
            inventory=job.inventory,
        ),
    }


def search_grid(job: Job) -> dict[str, int]:
    """The best setting of the grid on A_BAA_S with augmentation."""
    job.say(f"grid on A_BAA_S: {dict(job.effort.grid)}")
    fields = {
        "network": "attention-unet",
        "augment": True,
        "epochs": job.effort.grid_epochs,
        "grid": dict(job.effort.grid),
    }
    result = tune(
        _config(job, "A_BAA_S", job.splits[0], fields)
        | {"name": "grid", "out": str(job.out / "grid")},
        samples=_samples(job, "A_BAA_S"),
        client=job.client,
        progress=lambda done, total: job.say(f"{done} of {total} settings"),
        report=job.report,
    )
    return dict(result.best)


def average_orbits(
    job: Job, pair: str, split: str, made: Sequence[TrainingResult]
) -> Mapping[str, Any]:
    """Scores of both orbits' probabilities, averaged."""
    orbits = []
    for letter, result in zip(("A", "D"), made, strict=True):
        store = open_samples(_samples(job, f"{letter}_{pair}"))
        # as the training dealt them out; another split may have been dealt out since
        of = SampleSettings.model_validate({**job.effort.samples, "split": split})
        store.parts(of.split, seed=job.seed, test=of.test, validation=of.validation, block=of.block)
        orbits.append(open_trained(result.manifest, store))
    part = "held_out" if job.held_out else "test"
    return average_scores(orbits, split, part).record()


# --- both orbits, averaged ------------------------------------------------------------------------


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


def average_scores(orbits: Sequence[Trained], split: str, part: str) -> PartScore:
    """Scores of the mean probability of several orbits of one place and split, on patches of a
    part ('test' or 'held_out') that both hold out; RequestError where the samples do not lie at the
    same places.
    """
    first = orbits[0].store
    chosen = np.ones(len(first), bool)
    for one in orbits:
        same = len(one.store) == len(first) and all(
            np.array_equal(_by_place(first, name), _by_place(one.store, name))
            for name in ("row", "column", "event")
        )
        if not same:
            raise RequestError("The orbits' samples lie at different places: make both anew.")
        chosen &= (one.store.stored_parts() == PARTS.index(part))[_order(one.store)]
    places = np.flatnonzero(chosen)
    counts = _count(orbits, places)
    return part_score("both orbits", split, first, _order(first)[places], counts, {})


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
