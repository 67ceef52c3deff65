"""`sarmap assess`."""

from __future__ import annotations

from typing import Any

import click

from sarmap.cli.options import json_option
from sarmap.cli.printing import echo_json

__all__ = ["assess"]

_FILE = click.Path()


@click.command(epilog="Example: sarmap assess map.zarr --inventory landslides.gpkg --out scores")
@click.argument("map_", metavar="MAP.zarr")
@click.option("--inventory", required=True, type=_FILE, help="True landslides, in any format.")
@click.option("--layer", help="Layer of the inventory's file.")
@click.option("--crs", help="Reference system of files that do not say theirs.")
@click.option("--threshold", type=float, default=0.5, show_default=True)
@click.option("--surveyed", type=_FILE, help="Polygons of the area looked at; the rest is unknown.")
@click.option("--clouds", type=_FILE, help="Polygons clouded when it was looked at: unknown too.")
@click.option("--land-cover", type=_FILE, help="Raster of land cover codes, such as WorldCover.")
@click.option("--elevation", type=_FILE, multiple=True, help="Elevation raster; may be repeated.")
@click.option("--block", type=click.IntRange(16), help="Edge of resampled blocks. Default: 256 px.")
@click.option("--out", type=_FILE, help="Folder for tables, pictures, and the map of outcomes.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier assessment.")
@json_option
def assess(
    map_: str, inventory: str, out: str | None, overwrite: bool, as_json: bool, **options: Any
) -> None:
    """Score a map against an inventory; pixels that were not seen never count."""
    from sarmap.assess.assessment import assess_map, require_counted
    from sarmap.assess.report import assess_into, markdown

    if out is None:
        found = assess_map(map_, inventory, **options)
        require_counted(found)
    else:
        found = assess_into(map_, inventory, out, overwrite=overwrite, **options)
    if as_json:
        echo_json(found.record())
        return
    click.echo(markdown(found).rstrip())
    if out is not None:
        click.echo(f"\nwritten to {out}")
