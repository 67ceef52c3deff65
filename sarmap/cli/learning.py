"""`sarmap train`, `tune` and `reproduce`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sarmap.cli.map_commands import UNREAD
from sarmap.cli.options import cluster_options, json_option, opened_client
from sarmap.cli.printing import answer, echo_json
from sarmap.errors import RequestError

if TYPE_CHECKING:
    from sarmap.learn.outputs import TrainingResult


@click.command(
    epilog="Examples: sarmap train examples/train.yaml; sarmap train --corrections corrected.gpkg "
    "--map map.zarr --out corrected"
)
@click.argument("config", required=False, type=click.Path())
@click.option("--out", help="Folder for weights, card and curves. Default: the configuration's.")
@click.option("--name", help="Name of the weights. Default: the configuration's.")
@click.option("--seed", type=int, help="Default: the configuration's, or 0.")
@click.option("--epochs", type=click.IntRange(1), help="Default: the configuration's, or 10.")
@click.option("--corrections", help="Corrected polygons of a map, to fine-tune from, not CONFIG.")
@click.option("--map", "map_", metavar="MAP.zarr", help="The map that was corrected.")
@click.option("--detector", help="Weights to fine-tune. Default: the map's own.")
@click.option("--catalog", help="Where the map's scenes are. Default: as the map names it.")
@click.option("--reviewed", help="Polygons of the area looked at. Default: tiles with polygons.")
@click.option("--block", type=click.IntRange(1), help="Edge of held-out blocks, px. Default: 256.")
@click.option("--overwrite", is_flag=True, help="Replace another training in the folder.")
@click.option("--dry-run", is_flag=True, help="Cut the samples, count them, and stop there.")
@cluster_options
@json_option
def train(config: str | None, as_json: bool, overwrite: bool, dry_run: bool, **flags: Any) -> None:
    """Train a detector on events with landslide inventories, or fine-tune one on corrections.

    CONFIG is a YAML or TOML file; flags override it. A run that was killed goes on where it
    stopped when it is started again.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if "corrections" in given:
        _refuse(config is not None, "CONFIG", "--corrections")
        _refuse(dry_run, "--dry-run", "--corrections")
        _fine_tune(given, as_json, overwrite)
        return
    for name in ("map_", "detector", "catalog", "reviewed", "block"):
        _refuse(
            name in given, f"--{name.strip('_')}", "a configuration: it goes with --corrections"
        )
    if config is None:
        raise RequestError("sarmap train needs a configuration file; see examples/train.yaml.")
    from sarmap.learn.config import read_config
    from sarmap.learn.train import parts_text, prepare_samples
    from sarmap.learn.train import train as run
    from sarmap.request_file import read_request_file

    with opened_client(given) as client:
        settled = read_config(read_request_file(config) | given)
        how: dict[str, Any] = {"client": client, "overwrite": overwrite, "progress": _say_samples}
        if dry_run:
            store = prepare_samples(settled, Path(settled.out).expanduser() / "samples.zarr", **how)
            click.echo(f"samples   {parts_text(settled, store)}")
            return
        result = run(settled, **how, dealt=_say_parts, report=epoch_lines(settled.epochs))
    answer(result, as_json, training_record, print_training)
    leave(result)


def _refuse(wrong: bool, what: str, beside: str) -> None:
    if wrong:
        raise RequestError(f"{what} cannot be given beside {beside}.")


def _fine_tune(given: dict[str, Any], as_json: bool, overwrite: bool) -> None:
    """`sarmap train --corrections`."""
    from sarmap.learn.corrections import learn_corrections

    if "map_" not in given:
        raise RequestError("--corrections needs the map that was corrected: give --map MAP.zarr.")
    for name in ("cluster", "performance_report"):
        _refuse(name in given, f"--{name.replace('_', '-')}", "--corrections")
    result = learn_corrections(
        **given,
        overwrite=overwrite,
        progress=_say_samples,
        report=epoch_lines(given.get("epochs", 10)),
    )
    if as_json:
        gain = {name: _number(getattr(result.gain, name)) for name in _GAIN}
        echo_json(training_record(result.training) | {"gain": gain})
    else:
        print_training(result.training)
        click.echo(str(result.gain))
    leave(result.training)


_GAIN = ("before", "after", "low", "high", "patches", "blocks")


def _number(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return None if value != value else value


@click.command(epilog="Example: sarmap tune examples/train.yaml --out grid --cluster local:2")
@click.argument("config", type=click.Path())
@click.option("--out", help="Folder for cells and tables. Default: the configuration's.")
@click.option("--seed", type=int, help="Default: the configuration's.")
@click.option("--epochs", type=click.IntRange(1), help="Default: the configuration's.")
@click.option("--overwrite", is_flag=True, help="Replace another grid in the folder.")
@cluster_options
@json_option
def tune(config: str, as_json: bool, overwrite: bool, **flags: Any) -> None:
    """Train a grid of settings and table them, best first by validation.

    The grid is the configuration's `grid`; without one the paper's: filters 2 to 32 x batch 2 to
    32. Finished cells are never repeated; a killed run goes on.
    """
    from sarmap.learn.config import read_config
    from sarmap.learn.tune import tune as run
    from sarmap.request_file import read_request_file

    given = {name: value for name, value in flags.items() if value is not None}
    with opened_client(given) as client:
        settled = read_config(read_request_file(config) | given)
        result = run(
            settled, client=client, overwrite=overwrite, progress=_say_cell, report=say_epoch
        )
    if as_json:
        echo_json({"best": dict(result.best), "rows": [dict(row) for row in result.rows]})
    else:
        click.echo(result.markdown.read_text(encoding="utf-8"))
        click.echo(f"table     {result.csv}")


def _say_parts(text: str) -> None:
    print(f"samples: {text}", file=sys.stderr)


def _say_cell(done: int, total: int) -> None:
    print(f"{done} of {total} settings trained", file=sys.stderr)


def _say_samples(done: int, total: int) -> None:
    """Says, on standard error, how many windows of the samples are cut."""
    if sys.stderr.isatty():
        text = f"\r\x1b[Ksamples: {done} of {total} windows read"
        print(text, end="\n" if done == total else "", file=sys.stderr, flush=True)


def epoch_lines(epochs: int) -> Callable[[Mapping[str, float]], None]:
    """Says, on standard error, one line per epoch: losses, seconds, and what is left at most.

    `epochs` is the most there will be.
    """
    started = time.perf_counter()
    first: list[float] = []

    def say(epoch: Mapping[str, float]) -> None:
        if not first:
            first.append(epoch["epoch"] - 1)
        done = epoch["epoch"] - first[0]
        left = (time.perf_counter() - started) / done * (epochs - epoch["epoch"])
        print(
            f"epoch {epoch['epoch']:.0f}/{epochs}: {_losses(epoch)}, at most {left / 60:.1f} min "
            "left",
            file=sys.stderr,
        )

    return say


def say_epoch(name: str, epoch: Mapping[str, float]) -> None:
    """Says, on standard error, a line for an epoch of one of several trainings."""
    print(f"{name}, epoch {epoch['epoch']:.0f}: {_losses(epoch)}", file=sys.stderr)


def _losses(epoch: Mapping[str, float]) -> str:
    return f"loss {epoch['loss']:.4f}, validation {epoch['val_loss']:.4f}, {epoch['seconds']:.1f} s"


def training_record(result: TrainingResult) -> dict[str, Any]:
    """A finished training, for JSON."""
    return {
        "manifest": str(result.manifest),
        "card": str(result.card),
        "epochs": len(result.history),
        "reused": result.reused,
        "unread_pixels": result.unread_pixels,
        "scores": dict(result.scores),
    }


def print_training(result: TrainingResult) -> None:
    """A finished training, for a person."""
    from sarmap.learn.card import score_table

    if result.reused:
        click.echo("This training was finished before; nothing was repeated.")
    click.echo(f"weights   {result.manifest}\ncard      {result.card}")
    click.echo(score_table(result.scores))
    click.echo(f"Map with it: sarmap map --detector {result.manifest} ...")


def leave(result: TrainingResult) -> None:
    """Leave with exit code 3 where some radar could not be read."""
    if result.unread_pixels:
        print(
            f"sarmap: {result.unread_pixels:,} pixels around samples could not be read; they "
            "neither trained nor scored.",
            file=sys.stderr,
        )
        click.get_current_context().exit(UNREAD)


# --- the papers' tables ---------------------------------------------------------------------------


@click.command(
    epilog="Examples: sarmap reproduce paper2 --small --out small; sarmap reproduce paper2 "
    "--inventory iburi.zip --filters 32 --batch 16"
)
@click.argument("paper", type=click.Choice(["paper1", "paper2"]))
@click.option("--out", help="Folder for events, rows and tables. Default: the paper's name.")
@click.option(
    "--setting",
    type=click.Choice(["full", "reduced", "small"]),
    help="The papers' effort (default); fewer epochs and filters, for an hour of two cores; or a "
    "minute, whose scores mean nothing.",
)
@click.option("--small", is_flag=True, help="Short for --setting small.")
@click.option("--events", multiple=True, metavar="DIR", help="Simulated event to use; repeatable.")
@click.option("--seed", type=click.IntRange(0), default=21, show_default=True)
@click.option(
    "--split",
    "splits",
    multiple=True,
    type=click.Choice(["random", "blocks"]),
    help="The paper's random split (default), spatial blocks, or both.",
)
@click.option("--inventory", help="Paper 2: hold out an event made around these real polygons.")
@click.option("--filters", type=click.IntRange(1), help="Paper 2: no grid search; with --batch.")
@click.option("--batch", type=click.IntRange(1), help="Paper 2: no grid search; with --filters.")
@cluster_options
@json_option
def reproduce(paper: str, as_json: bool, **flags: Any) -> None:
    """Make a paper's table anew on a SIMULATED event, its figures beside ours.

    Rows that are finished are not repeated; a killed run goes on.
    """
    from sarmap.papers.reproduce import reproduce_paper1, reproduce_paper2

    with opened_client(flags) as client:
        common: dict[str, Any] = {
            "setting": _setting(flags["setting"], flags["small"]),
            "events": flags["events"],
            "seed": flags["seed"],
            "splits": flags["splits"] or ("random",),
            "client": client,
            "say": lambda line: print(line, file=sys.stderr),
            "report": say_epoch,
        }
        out = flags["out"] or paper
        if paper == "paper1":
            for name in ("inventory", "filters", "batch"):
                if flags[name] is not None:
                    raise RequestError(f"--{name} belongs to paper2.")
            made = reproduce_paper1(out, **common)
        else:
            made = reproduce_paper2(
                out,
                **common,
                inventory=flags["inventory"],
                settings=_settings(flags["filters"], flags["batch"]),
            )
    if as_json:
        rows = [{**row.label, "split": row.split, "ours": row.ours} for row in made.rows]
        echo_json({"files": {k: str(v) for k, v in made.files.items()}, "rows": rows})
    else:
        click.echo(made.files["md"].read_text(encoding="utf-8"))
        for file in made.files.values():
            click.echo(f"written   {file}")


def _setting(named: str | None, small: bool) -> str:
    if small and named not in (None, "small"):
        raise RequestError(f"--small and --setting {named} exclude one another: give one.")
    return "small" if small else named or "full"


def _settings(filters: int | None, batch: int | None) -> dict[str, int] | None:
    if (filters is None) != (batch is None):
        raise RequestError("Give --filters and --batch together, or neither to search the grid.")
    return None if filters is None or batch is None else {"filters": filters, "batch": batch}
