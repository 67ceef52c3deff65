"""Measure the peak memory of sampling and training on a large, lazy, synthetic composite.

    python tools/training_memory.py --work FOLDER --edge 10000

The composite (four bands) is noise made block by block as it is asked for, with a landslide every
kilometre; every patch is kept. Prints JSON: seconds and peak resident memory after each stage.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from pathlib import Path

import dask.array as da
import geopandas
import numpy as np
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from sarmap.assess.labels import read_labels
from sarmap.learn.config import read_config
from sarmap.learn.scene import Scene
from sarmap.learn.train import prepare_samples, train

BANDS = ("vv_pre", "vv_post_1", "vv_post_2", "slope")


def main() -> None:
    """Sample, train, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--edge", type=int, default=10_000, help="pixels")
    parser.add_argument("--filters", type=int, default=2)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--keep", choices=("all", "slide"), default="all")
    given = parser.parse_args()
    config = read_config(
        {
            "name": "memory",
            "out": str(given.work / "out"),
            "filters": given.filters,
            "depth": given.depth,
            "epochs": 1,
            "batch": 32,
            "events": [{"name": "synthetic", "simulated": "none"}],
            "samples": {"keep": given.keep},
        }
    )
    said = {"pixels": given.edge**2, "keep": given.keep, "filters": given.filters}
    scene = _scene(given.edge)
    for stage, run in (
        ("samples", lambda: prepare_samples(config, given.work / "s.zarr", scenes=[scene])),
        ("training", lambda: train(config, scenes=[scene], samples=given.work / "s.zarr")),
    ):
        started = time.perf_counter()
        done = run()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        said[stage] = {
            "seconds": round(time.perf_counter() - started, 1),
            "peak_GB": round(peak, 2),
        }
        if stage == "samples":
            said["patches"] = len(done)
    print(json.dumps(said, indent=2))
    shutil.rmtree(given.work)


def _scene(edge: int) -> Scene:
    grid = GeoBox((edge, edge), Affine(10, 0, 500_000, 0, -10, 4_800_000), "EPSG:32654")
    at = np.arange(500, edge * 10 - 500, 1000) + 0.0
    x, y = (axis.ravel() for axis in np.meshgrid(500_000 + at, 4_800_000 - at))
    slides = geopandas.GeoDataFrame(geometry=shapely.box(x, y, x + 80, y + 120), crs=32654)
    values = da.random.default_rng(0).normal(
        0.3, 0.1, (len(BANDS), edge, edge), chunks=(-1, 1024, 1024)
    )
    composite = xr.DataArray(
        values.astype(np.float32),
        dims=("band", "y", "x"),
        coords={"band": list(BANDS)},
        attrs={"scaling": "amplitude"},
    )
    return Scene("synthetic", composite, read_labels(grid, slides), simulated=True)


if __name__ == "__main__":
    main()
