"""A grid of settings, each trained on the same samples: the papers' search for hyper-parameters.

Every cell of the grid is one Dask task and one folder of its own. Cells are chosen by validation
alone; test samples have no say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sarmap.errors import RequestError, SarmapError
from sarmap.learn.config import TrainingConfig, read_config
from sarmap.learn.fitting import write_csv
from sarmap.learn.outputs import TrainingResult
from sarmap.learn.scene import Scene
from sarmap.learn.settle import check_installed
from sarmap.learn.train import prepare_samples
from sarmap.learn.trainings import Training, run_trainings

PAPER_GRID: Mapping[str, tuple[Any, ...]] = {
    "filters": (2, 4, 8, 16, 32),
    "batch": (2, 4, 8, 16, 32),
}
"""Nava et al. 2022, section 3.4: first-layer filters and batch size."""
CLASSIFIER_GRID: Mapping[str, tuple[Any, ...]] = {
    "learning_rate": (0.01, 0.001, 0.0001),
    "batch": (16, 64),
}
"""Nava et al. 2021 tune the learning rate per composite; their values are not given."""

_COLUMNS = ("f1", "iou", "precision", "recall", "val_loss", "epochs", "seconds", "note")

Progress = Callable[[int, int], None]
CellReport = Callable[[str, Mapping[str, float]], None]


@dataclass(frozen=True)
class TuningResult:
    """A finished grid."""

    rows: Sequence[Mapping[str, Any]]
    """One per cell, best first: its settings, validation scores, epochs and seconds."""
    best: Mapping[str, Any]
    """Settings of the best cell."""
    csv: Path
    """The rows as CSV."""
    markdown: Path
    """The rows as a Markdown table."""


def tune(
    config: TrainingConfig | Mapping[str, Any] | str | Path,
    *,
    scenes: Sequence[Scene] | None = None,
    samples: str | Path | None = None,
    client: Any = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    report: CellReport | None = None,
) -> TuningResult:
    """Train every combination of a grid and table the results, best first by validation F1.

    Parameters
    ----------
    config
        What is trained; its `grid` names settings and the values to try. Without one: `PAPER_GRID`
        (filters 2-32 x batch 2-32), for the cnn learning rate x batch.
    scenes, samples, overwrite
        As of `sarmap.train`.
    client
        Dask client whose workers train the cells, one at a time each; they must see the output
        folder. None: one after the other in this process.
    progress
        Called with cells done and in all.
    report
        Called with a cell's name and its losses after each of its epochs, from another thread
        where workers train.

    Returns
    -------
    TuningResult

    Raises
    ------
    RequestError
        The grid names no setting of a training, or a cell cannot be trained as it is asked for.
    ClusterError
        The cluster is gone, or has no worker any more.
    SarmapError
        Every cell diverged or killed its workers.
    """
    if client is None:
        check_installed()
    config = read_config(config)
    grid = config.grid or (CLASSIFIER_GRID if config.network == "cnn" else PAPER_GRID)
    cells = [
        _cell(config, dict(zip(grid, values, strict=True)))
        for values in itertools.product(*grid.values())
    ]
    folder = Path(config.out).expanduser()
    at = Path(samples or folder / "samples.zarr")
    store = prepare_samples(config, at, scenes=scenes, client=client, overwrite=overwrite)
    parts = store.stored_parts()
    trainings = [Training(cell, at, parts) for cell in cells]
    settings = [{name: getattr(cell, name) for name in grid} for cell in cells]
    done: dict[int, dict[str, Any]] = {}

    def add(number: int, row: Mapping[str, Any]) -> None:
        done[number] = {**settings[number], **row}
        if progress:
            progress(len(done), len(cells))

    def pass_over(number: int, error: SarmapError) -> None:
        add(number, dict.fromkeys(_COLUMNS) | {"note": str(error)})

    runs = run_trainings(
        trainings,
        client=client,
        overwrite=overwrite,
        failed=pass_over,
        report=report and (lambda number, epoch: report(trainings[number].label, epoch)),
    )
    for number, result in runs:
        add(number, _row(result))
    rows = sorted((done[number] for number in range(len(cells))), key=_rank)
    if rows[0]["note"]:
        raise SarmapError(f"No setting of the grid could be trained. The first: {rows[0]['note']}")
    table, text = folder / "tune.csv", folder / "tune.md"
    write_csv(rows, table)
    text.write_text(_markdown(rows, config), encoding="utf-8")
    return TuningResult(rows, {name: rows[0][name] for name in grid}, table, text)


def _cell(config: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    """The training of one combination, in a folder named after it."""
    unknown = [name for name in values if name not in TrainingConfig.model_fields]
    fixed = {"grid", "out", "name", "events", "samples"} & values.keys()
    if unknown or fixed:
        raise RequestError(
            f"The grid names {(unknown or sorted(fixed))[0]!r}, which tuning cannot vary: name "
            "settings of the training such as filters, batch, learning_rate or loss."
        )
    label = "_".join(f"{name}-{value}" for name, value in values.items())
    fields = config.model_dump(exclude={"grid"}) | dict(values)
    fields |= {"out": str(Path(config.out) / "cells" / label), "name": config.name}
    return read_config(fields)


def _rank(row: Mapping[str, Any]) -> tuple[bool, float, float]:
    """Best F1 first, then the lower loss; what could not be trained last."""
    return bool(row["note"]), -(row["f1"] or 0.0), row["val_loss"] or 0.0


def _row(result: TrainingResult) -> dict[str, Any]:
    """What a finished cell's row shows of it: `_COLUMNS`."""
    scores = result.scores["validation"]
    return {
        "f1": scores["f1"],
        "iou": scores["iou"],
        "precision": scores["precision"],
        "recall": scores["recall"],
        "val_loss": round(min(one["val_loss"] for one in result.history), 5),
        "epochs": len(result.history),
        "seconds": round(sum(one["seconds"] for one in result.history), 1),
        "note": "",
    }


def _markdown(rows: Sequence[Mapping[str, Any]], config: TrainingConfig) -> str:
    """The rows as a table, with what they are."""
    names = list(rows[0])
    lines = [
        f"# {config.name}: {len(rows)} settings tried",
        "",
        f"`{config.network}` on {', '.join(config.bands)}; scores of the validation part of the "
        f"split *{config.samples.split}*, best F1 first; at most {config.epochs} epochs, seed "
        f"{config.seed}. Test samples had no say.",
        "",
        "| " + " | ".join(names) + " |",
        "|" + " --- |" * len(names),
    ]
    lines += ["| " + " | ".join(_shown(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
