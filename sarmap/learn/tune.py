"""A grid of settings, each trained on the same samples: the papers' search for hyper-parameters.

Every cell of the grid is one Dask task and one folder of its own. A finished cell is never repeated
and a killed one goes on from its last epoch. Cells are chosen by validation alone; test samples
have no say.
"""

from __future__ import annotations

import csv
import io
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sarmap.errors import RequestError
from sarmap.learn.config import TrainingConfig, read_config
from sarmap.learn.outputs import prepare_folder
from sarmap.learn.scene import Scene
from sarmap.learn.settle import settle
from sarmap.learn.store import open_samples
from sarmap.learn.train import prepare_samples

__all__ = ["PAPER_GRID", "TuningResult", "tune"]

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
_ALONE = threading.Lock()
"""Seeds and precision are Keras's own globals: one training per process at a time."""

Progress = Callable[[int, int], None]


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

    Returns
    -------
    TuningResult

    Raises
    ------
    RequestError
        The grid names no setting of a training, or a cell cannot be trained.
    """
    config = read_config(config)
    grid = config.grid or (CLASSIFIER_GRID if config.network == "cnn" else PAPER_GRID)
    cells = [
        _cell(config, dict(zip(grid, values, strict=True)))
        for values in itertools.product(*grid.values())
    ]
    folder = Path(config.out).expanduser()
    at = Path(samples or folder / "samples.zarr")
    prepare_samples(config, at, scenes=scenes, client=client, overwrite=overwrite)
    done = _run(cells, str(at), client, overwrite, progress)
    rows = sorted(
        (
            {**{name: getattr(cell, name) for name in grid}, **row}
            for cell, row in zip(cells, done, strict=True)
        ),
        key=lambda row: (-(row["f1"] or 0.0), row["val_loss"]),
    )
    table, text = folder / "tune.csv", folder / "tune.md"
    table.write_text(_csv(rows), encoding="utf-8")
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


def _run(
    cells: Sequence[TrainingConfig],
    samples: str,
    client: Any,
    overwrite: bool,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """The row of every cell, each as one task."""
    from dask.delayed import delayed

    tasks = [
        delayed(run_cell)(cell.model_dump(mode="python"), samples, overwrite) for cell in cells
    ]
    say = progress or (lambda done, total: None)
    rows: list[dict[str, Any]] = []
    if client is None:
        for task in tasks:
            rows.append(task.compute(scheduler="synchronous"))
            say(len(rows), len(tasks))
        return rows
    from distributed import as_completed

    futures = client.compute(tasks)
    for number, _ in enumerate(as_completed(futures), start=1):
        say(number, len(futures))
    gathered: list[dict[str, Any]] = client.gather(futures)
    return gathered


def run_cell(fields: Mapping[str, Any], samples: str, overwrite: bool) -> dict[str, Any]:
    """Train one cell, or take up what is there of it; gives its row."""
    config = read_config(fields)
    with _ALONE:
        result = prepare_folder(config, overwrite=overwrite)
        if result is None:
            store = open_samples(samples)
            result = settle(config, store, store.stored_parts())
    scores = result.scores["validation"]
    return {
        "f1": scores["f1"],
        "iou": scores["iou"],
        "precision": scores["precision"],
        "recall": scores["recall"],
        "val_loss": round(min(one["val_loss"] for one in result.history), 5),
        "epochs": len(result.history),
        "seconds": round(sum(one["seconds"] for one in result.history), 1),
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


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
