"""What is done with finished maps: `sarmap assess`, `compare`, `polygons` and `report`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sarmap.cli.options import json_option
from sarmap.cli.printing import echo_json, print_comparison

if TYPE_CHECKING:
    from sarmap.report.writing import Report

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


@click.command(epilog="Example: sarmap polygons iburi.zarr --threshold 0.7 --min-area 1000")
@click.argument("map_", metavar="MAP", type=click.Path())
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Probability that makes a landslide. Default: the map's own.",
)
@click.option("--min-area", type=float, help="Smallest polygon kept, m². Default: the map's own.")
@click.option(
    "--calibrated",
    metavar="FILE",
    type=click.Path(),
    help="Calibrate probabilities first, by the calibration.json of `sarmap assess --out`.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="One file (.gpkg, .kmz ...). Default: the map's own, beside it, replaced unless edited.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing --out.")
@json_option
def polygons(map_: str, out: str | None, as_json: bool, overwrite: bool, **asked: Any) -> None:
    """Outline the landslides of a finished MAP again, without mapping anew.

    Without --out the map's own files of polygons are made again (a GeoPackage where it has none). A
    file that was edited since sarmap wrote it is never replaced.
    """
    from sarmap.assess.calibration import apply_calibration
    from sarmap.export.keeping import remake_vectors
    from sarmap.export.polygons import write_polygons
    from sarmap.store.provenance import settings_of
    from sarmap.store.result import open_map

    dataset = open_map(map_)
    own = settings_of(dataset.attrs)
    threshold = own[0] if asked["threshold"] is None else asked["threshold"]
    smallest = own[1] if asked["min_area"] is None else asked["min_area"]
    calibrated = None
    if asked["calibrated"] is not None:
        calibrated = apply_calibration(dataset, asked["calibrated"])
    if out is None:
        files = remake_vectors(map_, threshold=threshold, min_area=smallest, source=calibrated)
    else:
        source = map_ if calibrated is None else calibrated
        (file,) = write_polygons(
            source, out, threshold=threshold, min_area=smallest, overwrite=overwrite
        )
        files = {Path(file).suffix[1:]: file}
    if as_json:
        echo_json({"files": files, "threshold": threshold, "min_area": smallest})
        return
    for name, file in files.items():
        click.echo(f"{name:10} {file}  (from probability {threshold:g}, {smallest:g} m² on)")


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
