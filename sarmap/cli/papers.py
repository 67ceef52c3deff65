"""`sarmap reproduce`."""

from __future__ import annotations

import sys
from typing import Any

import click

from sarmap.cli.learning import say_epoch
from sarmap.cli.options import cluster_options, json_option, opened_client
from sarmap.cli.printing import echo_json
from sarmap.errors import RequestError


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
