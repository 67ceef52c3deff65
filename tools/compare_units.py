"""Cut a simulated event into work units, and compare the scan with one map of the same grid.

    python tools/compare_units.py --work /tmp/units            # simulates the Iburi extent first
    python tools/compare_units.py --event my-event --work /tmp/units

Prints pixels that differ, layer by layer, over the pixels that units map, and whether the polygons
are the same. Nothing may differ, but by a detector that is fitted to its place (attention-unet,
change): units have levels, noise and a signature of their own, and what that changes is shown.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import zarr

import sarmap
from sarmap.regions.opened import Scan
from sarmap.simulate.event import SimulatedEvent, open_event, simulate_event
from sarmap.simulate.serve import serve_event
from sarmap.store.encoding import FILL, threshold_level


def main() -> None:
    """Scan, map, compare; leaves with 1 where anything differs."""
    asked = _arguments()
    work = Path(asked.work)
    work.mkdir(parents=True, exist_ok=True)
    event = open_event(asked.event) if asked.event else _event(work / "event")
    with serve_event(event) as server:
        fields: dict[str, Any] = {
            "area": event.area,
            "event": event.event,
            "catalog": server.catalog,
            "detector": asked.detector,
            "overlap": asked.overlap,
            "orbit": "ascending",
        }
        scan, seconds = _scanned(fields, work / "scan", asked.unit)
        differing = _compare(scan, fields, work, seconds)
    sys.exit(1 if differing else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", required=True, help="Folder for all that is made.")
    parser.add_argument("--event", help="Folder of a simulated event. Default: it is simulated.")
    parser.add_argument("--detector", default="nava-2022-attention-unet")
    parser.add_argument("--overlap", type=int, default=0)
    parser.add_argument("--unit", type=int, default=2048, help="Edge of a unit, pixels.")
    return parser.parse_args()


def _event(folder: Path) -> SimulatedEvent:
    return open_event(folder) if folder.exists() else simulate_event(folder)


def _scanned(fields: dict[str, Any], out: Path, unit: int) -> tuple[Scan, float]:
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    result = sarmap.scan(sarmap.ScanRequest(**fields, out=str(out), unit=unit))
    seconds = time.perf_counter() - started
    if result.incomplete:
        sys.exit(f"units failed: {[s.sentence for s in result.states.values() if s.sentence]}")
    print(f"{len(result.states)} units of {unit} px: {seconds:.1f} s, products included")
    return sarmap.open_scan(out), seconds


def _compare(scan: Scan, fields: dict[str, Any], work: Path, seconds: float) -> int:
    """Differing pixels and polygons of a scan in one zone and a map of its grid."""
    (zone,) = scan.zones.values()
    out = work / "map.zarr"
    one = sarmap.map_landslides(
        sarmap.MapRequest(
            **fields | {"area": zone.grid}, out=str(out), overwrite=True, products=("geopackage",)
        )
    )
    print(f"one map of {zone.grid.shape[0]} x {zone.grid.shape[1]} px: {one.seconds:.1f} s")
    inside = np.zeros(zone.grid.shape, bool)
    for unit in zone.placed:
        inside[unit.top : unit.top + unit.rows, unit.left : unit.left + unit.columns] = True
    group: Any = zarr.open_group(out, mode="r")
    differing = 0
    for layer in ("probability", "observation", "slope"):
        unlike = (zone.canvas(layer)[:, :] != group[layer][:, :]) & inside
        print(f"{layer}: {int(unlike.sum())} of {int(inside.sum())} pixels differ")
        differing += int(unlike.sum())
    one_called, other_called = (
        (values >= threshold_level(0.5)) & (values != FILL) & inside
        for values in (zone.canvas("probability")[:, :], group["probability"][:, :])
    )
    alone, called = one_called ^ other_called, one_called | other_called
    print(
        f"called at 0.5 by one of the two alone: {int(alone.sum())} of {int(called.sum())} pixels"
    )
    mine = gpd.read_file(Path(scan.path) / "landslides.gpkg").geometry
    theirs = gpd.read_file(one.files["geopackage"]).geometry
    same = len(mine) == len(theirs) and bool(mine.geom_equals_exact(theirs, 0).all())
    print(f"polygons: {len(mine)} and {len(theirs)}, {'the same' if same else 'NOT the same'}")
    return differing + (not same)


if __name__ == "__main__":
    main()
