"""`sarmap train` and `sarmap tune`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from sarmap.cli.options import json_option
from sarmap.cli.printing import echo_json
from sarmap.errors import RequestError

if TYPE_CHECKING:
    from sarmap.learn.train import TrainingResult

__all__ = ["epoch_lines", "sample_lines", "train"]


@click.command(
    epilog="Examples: sarmap train examples/train.yaml; sarmap train --corrections corrected.gpkg "
    "--map map.zarr --detector attention-unet --out mended"
)
@click.argument("config", required=False, type=click.Path())
@click.option("--out", help="Folder for weights, card and curves. Default: the configuration's.")
@click.option("--name", help="Name of the weights. Default: the configuration's.")
@click.option("--seed", type=int, help="Default: the configuration's.")
@click.option("--epochs", type=click.IntRange(1), help="Default: the configuration's.")
@click.option("--overwrite", is_flag=True, help="Replace another training in the folder.")
@json_option
def train(config: str | None, as_json: bool, overwrite: bool, **flags: Any) -> None:
    """Train a detector on events with landslide inventories.

    CONFIG is a YAML or TOML file; flags override it. A run that was killed goes on where it
    stopped when it is started again.
    """
    from sarmap.learn.config import read_config
    from sarmap.learn.train import train as run
    from sarmap.request_file import read_request_file

    if config is None:
        raise RequestError("sarmap train needs a configuration file; see examples/train.yaml.")
    given = {name: value for name, value in flags.items() if value is not None}
    settled = read_config(read_request_file(config) | given)
    result = run(
        settled, overwrite=overwrite, progress=sample_lines(), report=epoch_lines(settled.epochs)
    )
    if as_json:
        echo_json(training_record(result))
    else:
        print_training(result)


def sample_lines() -> Callable[[int, int], None]:
    """Says, on standard error, how many windows of the samples are cut."""

    def say(done: int, total: int) -> None:
        _overwrite(f"samples: {done} of {total} windows read", last=done == total)

    return say


def epoch_lines(epochs: int) -> Callable[[Mapping[str, float]], None]:
    """Says, on standard error, one line per epoch: losses, seconds, and what is left at most."""
    started = time.perf_counter()
    first: list[float] = []

    def say(epoch: Mapping[str, float]) -> None:
        first[:] = first or [epoch["epoch"] - 1]
        done = epoch["epoch"] - first[0]
        left = (time.perf_counter() - started) / done * (epochs - epoch["epoch"])
        print(
            f"epoch {epoch['epoch']:.0f}/{epochs}: loss {epoch['loss']:.4f}, validation "
            f"{epoch['val_loss']:.4f}, {epoch['seconds']:.1f} s, at most {left / 60:.1f} min left",
            file=sys.stderr,
        )

    return say


def _overwrite(text: str, *, last: bool) -> None:
    """A line on a terminal that the next one replaces; silent where that is no terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)


def training_record(result: TrainingResult) -> dict[str, Any]:
    """A finished training, for JSON."""
    return {
        "manifest": str(result.manifest),
        "card": str(result.card),
        "epochs": len(result.history),
        "reused": result.reused,
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
