"""`sarmap polygons`: the vector products of a finished map made again, at another threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sarmap.cli.options import json_option
from sarmap.cli.printing import echo_json


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
