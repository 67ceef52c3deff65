"""`python -m benchmarks [NAME ...]`: run benchmarks, and make the report from their results."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks.cases import BENCHMARKS
from benchmarks.context import Context
from benchmarks.figures import draw
from benchmarks.journal import Journal
from benchmarks.machine import describe_revision, foreign_load
from benchmarks.model import Benchmark
from benchmarks.records import describe_load, write_record
from benchmarks.runner import run_benchmark, say
from benchmarks.tables import render

__all__ = ["main"]

RESULTS = Path(__file__).with_name("results")


def _sizes(_context: Any, _parameter: Any, text: str | None) -> tuple[int, ...]:
    """Whole numbers with commas between."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise click.BadParameter("give whole numbers with commas, like 1,4,16") from None


@click.command(epilog="Example: python -m benchmarks paper chunking --event my-event")
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--quick", is_flag=True, help="Small sizes, few configurations, one repeat.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=RESULTS,
    help="Folder for results. Default: benchmarks/results.",
)  # fmt: skip
@click.option(
    "--event", type=click.Path(exists=True, path_type=Path),
    help="Simulated event of 3842 x 2346 px to use. Default: the demo's, made where missing.",
)  # fmt: skip
@click.option("--repeats", type=click.IntRange(1), help="Interleaved repeats.")
@click.option("--sizes", callback=_sizes, help="Extents for `scaling`, e.g. 1,4,16,92.")
@click.option(
    "--peers-python", type=click.Path(exists=True, path_type=Path), envvar="SARMAP_PEERS_PYTHON",
    help="Interpreter of an environment with PyTorch and MONAI, for `peers`.",
)  # fmt: skip
@click.option("--fresh", is_flag=True, help="Measure anew what an interrupted run measured.")
def main(
    names: tuple[str, ...],
    quick: bool,
    out: Path,
    event: Path | None,
    repeats: int | None,
    sizes: tuple[int, ...],
    peers_python: Path | None,
    fresh: bool,
) -> None:
    """Measure sarmap beside its floors. Without a NAME: all but `hokkaido`, which takes long.

    `report` writes the table of benchmarks/README.md and the chunking table of docs/chunking.md
    from the results in --out.
    """
    if names == ("report",):
        from benchmarks.report import write_report

        for path in write_report(out):
            click.echo(f"wrote {path.name}")
        return
    chosen = [_named(name) for name in names or BENCHMARKS if names or name != "hokkaido"]
    if not quick:
        _say_estimate(chosen)
    revision = describe_revision() | {"load": describe_load(foreign_load())}
    if revision["load"]["disturbed"]:
        say(f"WARNING: others use {revision['load']['cores_used_by_others']} cores of this machine")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sarmap-bench-")))
        context = Context(quick, scratch, stack, event, sizes, peers_python)
        sound = [_run(one, context, out, revision, repeats, fresh) for one in chosen]
    sys.exit(0 if all(sound) else 1)


def _named(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise click.BadParameter(f"{name!r} is none of {', '.join(BENCHMARKS)}, report")
    return BENCHMARKS[name]


def _say_estimate(chosen: list[Benchmark]) -> None:
    for one in chosen:
        say(f"{one.name}: about {one.minutes:g} minutes at full size on two cores with AVX2")
    say(f"in all about {sum(one.minutes for one in chosen):g} minutes")


def _run(
    benchmark: Benchmark,
    context: Context,
    out: Path,
    revision: dict[str, Any],
    repeats: int | None,
    fresh: bool,
) -> bool:
    """Run one benchmark and write its results; False where a task failed or answers differ."""
    started = time.perf_counter()
    reason = benchmark.absent(context)
    if reason:
        say(f"{benchmark.name}: skipped: {reason}")
        return True
    say(f"{benchmark.name}: {benchmark.title}")
    label = f"{benchmark.name}{'-quick' if context.quick else ''}"
    journal = Journal.open(out / "journal" / f"{label}.jsonl", revision["tree"], fresh=fresh)
    record = run_benchmark(benchmark, context, journal, revision, repeats=repeats)
    path = write_record(record, out)
    path.with_suffix(".md").write_text(render(record), encoding="utf-8")
    draw(record, path.with_suffix(".png"))
    if not any(row["failed"] for row in record["rows"]):
        journal.forget()  # the next run measures anew
    click.echo(render(record))
    say(f"{benchmark.name}: {time.perf_counter() - started:.0f} s; results in {path.name}")
    return record["answers"]["identical"] and not any(row["failed"] for row in record["rows"])
