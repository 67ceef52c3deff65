"""`sarmap assess`."""

from __future__ import annotations

import click

from sarmap.cli.options import json_option
from sarmap.cli.printing import echo_json

__all__ = ["assess"]


@click.command(epilog="Example: sarmap assess map.zarr --inventory landslides.gpkg")
@click.argument("map_", metavar="MAP.zarr")
@click.option("--inventory", required=True, help="True landslide polygons, in any format.")
@click.option("--threshold", type=float, default=0.5, show_default=True)
@json_option
def assess(map_: str, inventory: str, threshold: float, as_json: bool) -> None:
    """Score a map against an inventory; pixels that were not seen never count."""
    from sarmap.assess.scores import assess_map

    scores = assess_map(map_, inventory, threshold=threshold)
    if as_json:
        echo_json(scores.record())
    else:
        click.echo(str(scores))
