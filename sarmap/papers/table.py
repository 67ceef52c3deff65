"""A paper's table as its rows are trained: filled row by row, and written after each."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sarmap.errors import SarmapError
from sarmap.learn.outputs import TrainingResult
from sarmap.papers.rows import Asked, Job, train_rows
from sarmap.simulate.fingerprint import simulator_hash


@dataclass
class Table:
    """Rows of one paper, and the files that show them."""

    job: Job
    name: str
    """'paper1' or 'paper2'."""
    title: str
    metrics: Sequence[str]
    """Which scores it shows."""
    rows: dict[Any, Row]
    """By their keys, in the paper's order."""
    started: float
    """When the command was: events and the grid come before the first row."""
    given: Mapping[str, int] = field(default_factory=dict)
    """Settings that were given, and not searched."""
    more: str = ""
    """A paragraph of its own."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """'md', 'csv' and 'png', once written."""
    failures: list[str] = field(default_factory=list)
    trained: float = 0.0
    """Seconds of all rows' epochs, whenever they were trained."""

    def fill(self, asked: Sequence[Asked]) -> Iterator[tuple[Asked, TrainingResult]]:
        """Train rows, or find them trained; gives each once it is in the table. SarmapError where
        some could not be trained: raised after the others were.
        """
        for one, result in train_rows(self.job, asked, self._note):
            ours = result.scores[self.job.part]
            self.rows[one.key] = replace(self.rows[one.key], ours=ours, note="")
            self.trained += sum(epoch["seconds"] for epoch in result.history)
            yield one, result
        if self.failures:
            raise SarmapError(
                f"{len(self.failures)} of the rows could not be trained; {self.name}.md holds the "
                f"others, and the same command tries again. The first, {self.failures[0]}"
            )

    def _note(self, one: Asked, error: SarmapError) -> None:
        self.failures.append(f"{one.name}: {error}")
        self.rows[one.key] = replace(self.rows[one.key], note=str(error))
        self.write()

    def write(self) -> None:
        """The files, with the rows there are."""
        rows = list(self.rows.values())
        self.files = write_report(self.job.out, self.name, rows, self.metrics, self._lines())

    def _lines(self) -> list[str]:
        """What the table is."""
        return [
            self.title,
            f"**Ours is a SIMULATED event**: simulator {simulator_hash()}, seed {_seeds(self.job)};"
            " the papers' is the 2018 Hokkaido Eastern Iburi earthquake. Figures are comparable in "
            "kind only." + _held_out(self.job),
            "'random' is the papers' split, in which neighbours of training samples test; 'blocks' "
            "holds out whole squares, 'events' whole events.",
            _meaning(self.job),
            *([self.more] if self.more else []),
            f"Made by `{self._command()}` in {(time.time() - self.started) / 60:.1f} minutes "
            "(rows that were there are not counted). The epochs of all rows took "
            f"{self.trained / 60:.0f} minutes of the processes that trained them.",
        ]

    def _command(self) -> str:
        """The command that makes the table; events that were given are its own affair."""
        job = self.job
        setting = [] if job.effort.name == "full" else [f"--setting {job.effort.name}"]
        words = ["sarmap reproduce", self.name, *setting, f"--seed {job.seed}"]
        if job.inventory:
            words.append(f"--inventory {Path(job.inventory).name}")
        else:
            words += [f"--split {split}" for split in job.splits]
        return " ".join([*words, *(f"--{key} {value}" for key, value in self.given.items())])


def _seeds(job: Job) -> str:
    return ", ".join(f"{one.seed} ({one.shape[0]} x {one.shape[1]} px)" for one in job.events)


def _held_out(job: Job) -> str:
    if not job.inventory:
        return ""
    return (
        f" Held out and scored: the polygons of {Path(job.inventory).name}, real, on radar that is "
        "simulated around them."
    )


def _meaning(job: Job) -> str:
    """What the scores are, and of what effort."""
    effort = job.effort
    if effort.name == "small":
        return (
            "This is the small setting: it shows that the command works, and its scores mean "
            "nothing."
        )
    grid = f"; grid {spelled(effort.grid)} of {effort.grid_epochs} epochs" if effort.grid else ""
    less = " The papers trained longer, and paper 2 with 32 first-layer filters."
    return (
        "Scores in percent; in brackets 95 % block-bootstrap intervals. The "
        f"**{effort.name}** setting: {spelled(effort.training)}; samples "
        f"{spelled(effort.samples)}{grid}." + (less if effort.name == "reduced" else "")
    )


def spelled(settings: Mapping[str, Any]) -> str:
    """Settings as words."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


# --- files ----------------------------------------------------------------------------------------


METRICS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou": "IoU",
}
ABSENT = "not available"


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    label: Mapping[str, str]
    """Column -> what the row is of."""
    split: str
    """Split that the score is of."""
    ours: Mapping[str, Any] | None
    """Scores with intervals, as `sarmap.learn.scoring.PartScore.record`; None: not made."""
    paper: Figure
    """The paper's."""
    note: str = ""
    """Why ours was not made, or what to know."""


def write_report(
    out: Path, name: str, rows: Sequence[Row], metrics: Sequence[str], lines: Sequence[str]
) -> dict[str, Path]:
    """Write ``name.md``, ``name.csv`` and ``name.png`` of rows in the paper's order; the first of
    `lines` is the title.
    """
    files = {suffix: out / f"{name}.{suffix}" for suffix in ("md", "csv", "png")}
    files["md"].write_text(_markdown(rows, metrics, lines), encoding="utf-8")
    files["csv"].write_text(_csv(rows, metrics), encoding="utf-8")
    _plot(files["png"], rows, metrics, lines[0])
    return files


def _markdown(rows: Sequence[Row], metrics: Sequence[str], lines: Sequence[str]) -> str:
    labels = list(rows[0].label)
    head = [*labels, "split of ours"]
    for metric in metrics:
        head += [f"{METRICS[metric]} % ours", f"{METRICS[metric]} % paper"]
    table = ["| " + " | ".join([*head, "note"]) + " |", "|" + " --- |" * (len(head) + 1)]
    for row in rows:
        cells = [*row.label.values(), row.split]
        for metric in metrics:
            cells += [_ours(row, metric), _paper(row, metric)]
        table.append("| " + " | ".join([*cells, row.note]) + " |")
    return "\n".join([f"# {lines[0]}", "", *(f"{line}\n" for line in lines[1:]), *table]) + "\n"


def _ours(row: Row, metric: str) -> str:
    if row.ours is None:
        return ABSENT
    value = row.ours.get(metric)
    if value is None:
        return "undefined"
    low, high = row.ours["intervals"][metric]
    ends = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return f"{100 * value:.2f}{ends}"


def _paper(row: Row, metric: str) -> str:
    value = getattr(row.paper, metric)
    return ABSENT if value is None else f"{value:.2f}"


def _csv(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = [*rows[0].label, "split", "samples"]
    for metric in metrics:
        head += [f"{metric}_ours", f"{metric}_low", f"{metric}_high", f"{metric}_paper"]
    writer.writerow([*head, "paper_table", "note"])
    for row in rows:
        ours = row.ours or {}
        cells: list[Any] = [*row.label.values(), row.split, ours.get("samples", "")]
        for metric in metrics:
            ends = (ours.get("intervals") or {}).get(metric) or [None, None]
            numbers = [_percent(one) for one in (ours.get(metric), *ends)]
            cells += [*numbers, _paper(row, metric)]
        writer.writerow([*cells, row.paper.table, row.note])
    return text.getvalue()


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _plot(path: Path, rows: Sequence[Row], metrics: Sequence[str], title: str) -> None:
    """One panel per score: ours as bars with intervals, the paper's as marks where known."""
    from matplotlib.figure import Figure as Canvas

    names = [" ".join([*row.label.values(), f"({row.split})"]) for row in rows]
    at = np.arange(len(rows))
    canvas = Canvas(
        figsize=(2.2 + 2.6 * len(metrics), 1.6 + 0.28 * len(rows)), dpi=120, layout="constrained"
    )
    panels = canvas.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        ours = np.array([_number(row, metric) for row in rows])
        ends = np.array([_ends(row, metric) for row in rows])
        axes.barh(at, ours, color="#4477aa", label="ours (SIMULATED event)")
        error = np.abs(ends - ours[:, None]).T
        axes.errorbar(ours, at, xerr=error, fmt="none", ecolor="0.3", capsize=2)
        paper = [getattr(row.paper, metric) for row in rows]
        known = [place for place in at if paper[place] is not None]
        axes.plot([paper[k] for k in known], known, "D", color="#cc3311", label="paper (Iburi)")
        axes.set(xlabel=f"{METRICS[metric]} %", xlim=(0, 100))
    panels[0].set_yticks(at, names, fontsize=7)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    canvas.suptitle(title, fontsize=10)
    canvas.savefig(path)


def _number(row: Row, metric: str) -> float:
    value = (row.ours or {}).get(metric)
    return float("nan") if value is None else 100 * float(value)


def _ends(row: Row, metric: str) -> tuple[float, float]:
    ends = ((row.ours or {}).get("intervals") or {}).get(metric) or [None, None]
    own = _number(row, metric)
    low, high = (own if end is None else 100 * float(end) for end in ends)
    return low, high


# --- what the papers found ------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """Scores a paper gives for one row, percent; None where they are not at hand."""

    table: str
    """Where in the paper."""
    accuracy: float | None = None
    """Percent."""
    precision: float | None = None
    """Percent."""
    recall: float | None = None
    """Percent."""
    f1: float | None = None
    """Percent."""
    iou: float | None = None
    """Percent."""

    @property
    def known(self) -> bool:
        """Whether any figure of the row is at hand."""
        figures = (self.accuracy, self.precision, self.recall, self.f1, self.iou)
        return any(value is not None for value in figures)


_TABLE1 = "Nava et al. 2021, table of results"
_TABLES2 = "Nava et al. 2022, Tables 4 and 5"

PAPER1: Mapping[str, Figure] = {
    "RGB": Figure(_TABLE1, 99.20, 99.60, 98.81),
    "SSD": Figure(_TABLE1, 86.63, 92.24, 80.16),
    "SSS": Figure(_TABLE1, 80.84, 82.77, 78.17),
    "BAD": Figure(_TABLE1, 89.96, 95.83, 83.47),
    "BAS": Figure(_TABLE1, 88.55, 96.58, 79.84),
    "HHH": Figure(_TABLE1, 81.87, 93.22, 68.75),
    "BAA": Figure(_TABLE1, 94.17, 97.32, 90.83),
    "BAC": Figure(_TABLE1, 90.83, 93.36, 87.92),
    "BAH": Figure(_TABLE1, 93.33, 95.22, 91.25),
}
"""Paper 1 by composite, in the paper's order."""

PAPER2: Mapping[tuple[str, bool], Figure] = {
    (composite, augmented): Figure(_TABLES2)
    for composite in ("D_BA_S", "A_BA_S", "D_BAA_S", "A_BAA_S")
    for augmented in (False, True)
} | {
    ("A_BAA_S", True): Figure(_TABLES2, recall=71.60, f1=61.15, iou=44.13),
    ("A_BA_S", False): Figure(_TABLES2, precision=57.16),
}
"""Paper 2 by composite and whether it was augmented."""


def paper2_figure(composite: str, augmented: bool) -> Figure:
    """The paper's row; empty for rows that the paper does not table, such as both orbits averaged.

    >>> paper2_figure("A_BAA_S", True).f1, paper2_figure("both BAA_S", True).f1
    (61.15, None)
    """
    none = Figure("Nava et al. 2022: said to be below the ascending orbit alone, without a figure")
    return PAPER2.get((composite, augmented), none)
