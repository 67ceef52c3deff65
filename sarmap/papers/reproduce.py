"""The papers' tables, row by row; a finished row is never repeated, a killed one goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sarmap.errors import RequestError
from sarmap.learn.outputs import TrainingResult
from sarmap.papers.effort import (
    FULL1,
    FULL2,
    REDUCED1,
    REDUCED2,
    SMALL1,
    SMALL2,
    Effort,
    Say,
    has_optical,
    own_event,
)
from sarmap.papers.rows import Asked, Job, RowReport, average_orbits, search_grid
from sarmap.papers.table import PAPER1, Figure, Row, Table, paper2_figure, spelled
from sarmap.simulate.record import SimulatedEvent, open_event

SEED = 21
"""Of the simulated event; no shipped weights have seen it."""
_NOT_YET = "not trained yet: run the command again"


Setting = Literal["full", "reduced", "small"]


@dataclass(frozen=True)
class Reproduction:
    """A reproduced table."""

    rows: Sequence[Row]
    """In the paper's order."""
    files: Mapping[str, Path]
    """'md', 'csv' and 'png'."""


def reproduce_paper1(
    out: str | Path,
    *,
    setting: Setting = "full",
    events: Sequence[str | Path] = (),
    seed: int = SEED,
    splits: Sequence[str] = ("random",),
    client: Any = None,
    say: Say = print,
    report: RowReport | None = None,
) -> Reproduction:
    """Paper 1's table: nine composites through the CNN; accuracy, precision, recall.

    `out` takes events, rows and the table; `setting` is one of `sarmap.papers.effort`; `events` are
    folders of simulated events instead of one simulated by `seed`; each of `splits`, 'random' (the
    paper's) or 'blocks', makes a row of each composite. The workers of `client` train rows side by
    side (they must see the folder); None: this process, row after row. `report` is told name and
    losses of every epoch.

    Raises RequestError where an event cannot be used; SarmapError where rows diverged or killed
    their workers: the table holds the others, and why.
    """
    started = time.time()
    effort = {"full": FULL1, "reduced": REDUCED1, "small": SMALL1}[setting]
    job = _job(out, effort, seed, events, None, splits, client, say, report, optical=True)
    optical = all(has_optical(event) for event in job.events)
    without = "the events given have no Sentinel-2 scene"
    rows = {
        (composite, split): Row(
            {"composite": composite},
            split,
            None,
            figure,
            without if composite == "RGB" and not optical else _NOT_YET,
        )
        for composite, figure in PAPER1.items()
        for split in job.splits
    }
    asked = [
        Asked((composite, split), f"{composite}-{split}", composite, split, {"network": "cnn"})
        for (composite, split), row in rows.items()
        if row.note != without
    ]
    table = Table(
        job,
        "paper1",
        "Paper 1: nine composites through the CNN",
        ("accuracy", "precision", "recall"),
        rows,
        started,
    )
    for _ in table.fill(asked):
        table.write()
    return Reproduction(list(rows.values()), table.files)


def reproduce_paper2(
    out: str | Path,
    *,
    setting: Setting = "full",
    events: Sequence[str | Path] = (),
    seed: int = SEED,
    splits: Sequence[str] = ("random",),
    inventory: str | Path | None = None,
    settings: Mapping[str, int] | None = None,
    client: Any = None,
    say: Say = print,
    report: RowReport | None = None,
) -> Reproduction:
    """Paper 2's tables: four composites with and without augmentation, and both orbits averaged.

    All as in `reproduce_paper1`, and `inventory`, real landslide polygons: an event is simulated
    around them and held out whole, the networks train on the others and are scored on the real
    polygons. `settings` are the `filters` and `batch` to use instead of searching the grid on
    A_BAA_S.
    """
    started = time.time()
    effort = {"full": FULL2, "reduced": REDUCED2, "small": SMALL2}[setting]
    job = _job(out, effort, seed, events, inventory, splits, client, say, report, optical=False)
    best = dict(settings) if settings else search_grid(job)
    rows = _paper2_plan(job)
    asked = [
        Asked(
            (name, augmented, split),
            f"{name}-{'augmented' if augmented else 'plain'}-{split}",
            name,
            split,
            {"network": "attention-unet", "augment": augmented, **best},
        )
        for name, augmented, split in rows
        if not name.startswith("both ")
    ]
    # hours on a small machine: what can be compared comes first
    asked.sort(key=lambda one: not rows[one.key].paper.known)
    chosen = "(given)" if settings else "the best of the grid on A_BAA_S (grid/tune.md)"
    table = Table(
        job,
        "paper2",
        "Paper 2: four composites through the Attention U-Net",
        ("precision", "recall", "f1", "iou"),
        rows,
        started,
        given=settings or {},
        more=f"Setting of every row: {spelled(best)}, {chosen}.",
    )
    trained: dict[Any, TrainingResult] = {}
    for one, result in table.fill(asked):
        trained[one.key] = result
        name, augmented, split = one.key
        pair = name.removeprefix("A_").removeprefix("D_")
        places = [(f"{letter}_{pair}", augmented, split) for letter in ("A", "D")]
        orbits = [trained[place] for place in places if place in trained]
        if len(orbits) == len(places):
            both = (f"both {pair}", augmented, split)
            rows[both] = replace(rows[both], ours=average_orbits(job, pair, split, orbits), note="")
        table.write()
    return Reproduction(list(rows.values()), table.files)


# --- rows ----------------------------------------------------------------------------------------


def _job(
    out: str | Path,
    effort: Effort,
    seed: int,
    events: Sequence[str | Path],
    inventory: str | Path | None,
    splits: Sequence[str],
    client: Any,
    say: Say,
    report: RowReport | None,
    *,
    optical: bool,
) -> Job:
    folder = Path(out).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    unknown = [one for one in splits if one not in ("random", "blocks")]
    if unknown or not splits:
        raise RequestError(f"Splits are random and blocks, not {', '.join(splits)}: set --split.")
    given = tuple(open_event(one) for one in events)

    def make(number: int, of: str | None) -> SimulatedEvent:
        return own_event(folder, effort, number, optical=optical, inventory=of, say=say)

    held = None
    if inventory is not None:
        real = str(Path(inventory).expanduser())
        held = make(seed, real)
        given = given or (make(seed + 1, None), make(seed + 2, None))
        splits = ("events",)
    return Job(
        folder,
        effort,
        seed,
        given or (make(seed, None),),
        held,
        None if inventory is None else real,
        tuple(splits),
        client,
        say,
        report,
    )


def _paper2_plan(job: Job) -> dict[tuple[str, bool, str], Row]:
    """Rows by composite, augmentation and split, in the order they are made; none is made yet."""
    names = ("D_BA_S", "A_BA_S", "D_BAA_S", "A_BAA_S", "both BA_S", "both BAA_S")
    rows = {}
    for augmented in (False, True):
        for split in job.splits:
            for name in names:
                pair = name.removeprefix("both ")
                shown = name if name == pair else f"A_{pair} and D_{pair} averaged"
                label = {"composite": shown, "augmentation": "yes" if augmented else "no"}
                figure: Figure = paper2_figure(name, augmented)
                rows[name, augmented, split] = Row(label, split, None, figure, _NOT_YET)
    return rows
