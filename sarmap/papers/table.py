"""A paper's table as its rows are trained: filled row by row, and written after each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sarmap.errors import SarmapError
from sarmap.learn.outputs import TrainingResult
from sarmap.papers.rows import Asked, Job, train_rows
from sarmap.papers.table_files import Row, write_report
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
        """Train rows, or find them trained; gives each once it is in the table.

        Raises
        ------
        SarmapError
            Some could not be trained: raised after the others were.
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
