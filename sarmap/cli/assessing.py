"""`sarmap assess` and `sarmap compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sarmap.cli.options import json_option
from sarmap.cli.printing import echo_json, print_comparison

_FILE = click.Path()


@click.command(epilog="Example: sarmap assess map.zarr --inventory landslides.gpkg --out scores")
@click.argument("map_", metavar="MAP.zarr")
@click.option("--inventory", required=True, type=_FILE, help="True landslides, in any format.")
@click.option("--layer", help="Layer of the inventory's file.")
@click.option("--crs", help="Reference system of the inventory, whatever its file says.")
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


@click.command(
    epilog="Example: sarmap compare day-7.zarr day-19.zarr --inventory landslides.gpkg "
    "--out changes.gpkg"
)
@click.argument("first", metavar="FIRST.zarr")
@click.argument("second", metavar="SECOND.zarr")
@click.option("--inventory", type=_FILE, help="True landslides, to say which map is right.")
@click.option("--layer", help="Layer of the inventory's file.")
@click.option("--crs", help="Reference system of the inventory, whatever its file says.")
@click.option("--surveyed", type=_FILE, help="Polygons of the area looked at; the rest is unknown.")
@click.option("--clouds", type=_FILE, help="Polygons clouded when it was looked at: unknown too.")
@click.option("--threshold", type=float, default=0.5, show_default=True)
@click.option("--min-area", type=float, default=0.0, help="Smallest polygon of --out, square m.")
@click.option(
    "--out", type=_FILE, help="File (.gpkg, .geojson ...) of kept, withdrawn, new polygons."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@json_option
def compare(
    first: str,
    second: str,
    out: str | None,
    min_area: float,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Say how a map changed between two passes: what was kept, withdrawn, and what is new."""
    from sarmap.assess.comparison import changed_polygons, compare_maps
    from sarmap.export.vector_files import check_ending, write_frame
    from sarmap.store.delivery import check_file

    file = None if out is None else Path(out).expanduser()
    if file is not None:
        check_ending(file)
        check_file(file, overwrite=overwrite)
    found = compare_maps(first, second, **options)
    if file is not None:
        frame = changed_polygons(first, second, threshold=options["threshold"], min_area=min_area)
        write_frame(frame, file, layer="changes", kind="Polygon", overwrite=overwrite)
    if as_json:
        echo_json(found.record())
        return
    print_comparison(found)
    if file is not None:
        click.echo(f"written to {out}")
