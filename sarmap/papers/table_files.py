"""A reproduced table as Markdown, CSV and PNG: ours beside the paper's, and what ours is."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sarmap.papers.figures import Figure

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
    out: Path,
    name: str,
    rows: Sequence[Row],
    metrics: Sequence[str],
    lines: Sequence[str],
) -> dict[str, Path]:
    """Write ``name.md``, ``name.csv`` and ``name.png``.

    Parameters
    ----------
    out
        Folder.
    name
        'paper1' or 'paper2'.
    rows
        In the paper's order.
    metrics
        Which scores.
    lines
        What the table is: the first is its title.
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
    import numpy as np
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
