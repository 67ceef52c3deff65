"""Run a benchmark: interleaved repeats in fresh processes, answers compared, results kept at once.

Repeats are interleaved (all configurations once, then all again), so that a slow minute of the
machine falls on all alike.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.answers import Judge
from benchmarks.context import Context
from benchmarks.files import control
from benchmarks.journal import Journal
from benchmarks.model import Benchmark, Configuration
from benchmarks.processes import TaskFailed, run_task
from benchmarks.records import make_record

__all__ = ["run_benchmark"]

Launch = Callable[..., dict[str, Any]]


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def run_benchmark(
    benchmark: Benchmark,
    context: Context,
    journal: Journal,
    revision: dict[str, Any],
    *,
    repeats: int | None = None,
    launch: Launch = run_task,
) -> dict[str, Any]:
    """Measure what the journal does not hold yet; the result record."""
    configurations = list(benchmark.configure(context))
    usual = repeats or (1 if context.quick else benchmark.repeats)
    judge = _judge(configurations, journal)
    failed: dict[str, str] = {}
    rounds = max((one.repeats or usual for one in configurations), default=0)
    if repeats or context.quick:
        rounds = usual
    for repeat in range(rounds):
        for one in configurations:
            if repeat < min(one.repeats or usual, rounds) and one.label not in failed:
                try:
                    _measure(one, repeat, context, journal, judge, launch)
                except TaskFailed as error:
                    say(f"  {one.label}: FAILED: {error}")
                    failed[one.label] = str(error)
    rows = [
        (one, journal.results(one.key, rounds), failed.get(one.label)) for one in configurations
    ]
    return make_record(benchmark, context, rows, judge, revision)


def _judge(configurations: Sequence[Configuration], journal: Journal) -> Judge:
    """A judge who remembers the references of an interrupted run; forgets results without one."""
    judge = Judge()
    for one in configurations:
        if one.family is None:
            continue
        path = _answer_path(journal, one.family)
        first = journal.done.get((one.key, 0), {})
        if first.get("reference") and path.is_file():
            judge.references[one.family] = (one.label, path)
    for one in configurations:
        if one.family is not None and one.family not in judge.references:
            journal.done.pop((one.key, 0), None)
        elif kept := journal.done.get((one.key, 0), {}).get("comparison"):
            judge.remember(kept)
    return judge


def _answer_path(journal: Journal, family: str) -> Path:
    """Where the reference of a family is kept while the benchmark lasts."""
    name = "".join(letter if letter.isalnum() else "-" for letter in family)
    return journal.path.parent / f"{journal.path.stem}-{name}.npz"


def _measure(
    one: Configuration,
    repeat: int,
    context: Context,
    journal: Journal,
    judge: Judge,
    launch: Launch,
) -> None:
    """One process of one configuration, unless the journal holds it."""
    if (one.key, repeat) in journal.done:
        return
    arguments = dict(one.arguments)
    if context.quick and one.task == "mapping:run":
        arguments.setdefault("warm", False)  # half the time, and no figure to compare
    answer = context.scratch / "answer.npz"
    if one.family is not None and repeat == 0:
        arguments["keep"] = str(answer)
    if one.server and "control" in arguments:
        arguments["server"] = dict(one.server)
    result = launch(one.task, arguments, python=one.python, tree=bool(arguments.get("tree", False)))
    if "control" in arguments:
        control(arguments["control"], "reset")
    if one.family is not None and repeat == 0:
        result |= _judged(one, answer, journal, judge)
    journal.add(one.key, repeat, result)
    shown = result["metrics"].get("seconds", result["process_seconds"])
    say(f"  {one.label}: {shown:.2f} s, process {result['process_seconds']:.1f} s")


def _judged(one: Configuration, answer: Path, journal: Journal, judge: Judge) -> dict[str, Any]:
    """The answer compared, or kept as its family's reference."""
    assert one.family is not None
    if one.family not in judge.references:
        kept = _answer_path(journal, one.family)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(answer.read_bytes())
        answer.unlink()
        judge.hear(one.family, one.label, kept, 0.0)
        return {"reference": True}
    found = judge.hear(one.family, one.label, answer, one.tolerance)
    assert found is not None
    if not found.identical:
        say(f"  {one.label}: the ANSWER DIFFERS from that of {found.reference}")
    return {"comparison": found.record()}
