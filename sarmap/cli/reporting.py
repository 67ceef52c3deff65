"""`sarmap report`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sarmap.cli.options import json_option
from sarmap.cli.printing import echo_json

if TYPE_CHECKING:
    from sarmap.report.writing import Report

_FILE = click.Path()


@click.command(
    epilog="Example: sarmap report iburi.zarr --districts towns.gpkg --exposure roads.gpkg "
    "--exposure buildings.gpkg"
)
@click.argument("map_", metavar="MAP.zarr|SCAN")
@click.option(
    "--out",
    type=_FILE,
    help="Folder, or a file ending in .html that holds all. Default: MAP_report beside the map.",
)
@click.option("--threshold", type=float, help="Probability to start with. Default: the map's own.")
@click.option("--min-area", type=float, help="Smallest landslide, m². Default: the map's own.")
@click.option("--districts", type=_FILE, help="Polygons to count by, in any vector format.")
@click.option("--district-name", metavar="COLUMN", help="Column that names them. Default: found.")
@click.option(
    "--exposure",
    type=_FILE,
    multiple=True,
    help="Roads, buildings or others that may be touched; may be repeated.",
)
@click.option(
    "--background",
    type=_FILE,
    multiple=True,
    help="Coast, roads or rivers to be drawn below the landslides; may be repeated.",
)
@click.option(
    "--assessment", type=_FILE, help="Folder of `sarmap assess --out`, for the area's interval."
)
@click.option("--catalog", help="Read the scenes again from here, for a map that keeps no radar.")
@click.option("--title", help="Heading of the page.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier page.")
@json_option
def report(map_: str, out: str | None, as_json: bool, **options: Any) -> None:
    """Write a finished map, or the folder of a scan, as a page that opens offline in any browser.

    Pan, zoom and swipe between the radar before and after and the probability; move the threshold;
    sort and filter the landslides. Nothing is fetched when it is opened. A scan in several UTM
    zones gets a page for each, and a first page that leads to them; one that is not finished says
    so.
    """
    from sarmap.progress import progress_bar

    beside = Path(map_.rstrip("/"))
    place = out or f"{beside.stem if '://' in map_ else beside.with_suffix('')}_report"
    write = _writer(map_)
    with progress_bar() as progress:
        made = write(place, progress=progress, **options)
    if as_json:
        echo_json(
            {
                "out": made.path,
                "open": made.index,
                "bytes": made.bytes,
                "tiles": made.tiles,
                "landslides": made.landslides,
                "mapped_km2": round(made.mapped_km2, 4),
                "seconds": round(made.seconds, 3),
                "missing": list(made.missing),
            }
        )
        return
    click.echo(f"page      {made.index}")
    click.echo(f"shows     {made.landslides:,} candidate landslides, {made.mapped_km2:,.2f} km²")
    click.echo(f"size      {made.bytes / 1e6:.1f} MB, {made.tiles:,} tiles, {made.seconds:.1f} s")
    for sentence in made.missing:
        click.echo(f"note      {sentence}")


def _writer(source: str) -> Callable[..., Report]:
    """What writes the page of a map, or of a scan."""
    from sarmap.regions.opened import open_scan
    from sarmap.regions.scan_folder import Folder
    from sarmap.report.writing import write_report

    if Folder(source).read_bytes("scan.json") is not None:
        return open_scan(source).write_report
    return partial(write_report, source)
