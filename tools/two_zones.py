"""Scan a region across two UTM zones twice, and compare: on threads to a folder, and on two workers
of a cluster to a bucket.

    python tools/two_zones.py --rows 1921 --columns 2346

Simulates an event on the meridian between zones 53 and 54, all of whose files lie in zone 54, and
an S3 endpoint (moto). Prints, zone by zone and layer by layer, how many packed pixels differ, and
whether the polygons are the same. Leaves with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

import sarmap
from sarmap.simulate.event import simulate_event
from sarmap.simulate.serve import serve_event

sys.path.insert(0, str(Path(__file__).resolve().parent))
from survival.soak import storage

MERIDIAN = (138.0, 37.0)
"""Longitude and latitude on the border of the zones."""
OUT = "s3://maps/region"


def main() -> int:
    """Simulate, scan twice, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1921)
    parser.add_argument("--columns", type=int, default=2346)
    parser.add_argument("--detector", default="nava-2022-attention-unet")
    parser.add_argument("--overlap", type=int, default=0)
    parser.add_argument("--unit", type=int, default=1024, help="edge of a unit, pixels")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sarmap-zones-") as folder:
        work = Path(folder)
        event = simulate_event(
            work / "event",
            rows=asked.rows,
            columns=asked.columns,
            earlier=0,
            center=MERIDIAN,
            optical=False,
        )
        with serve_event(event) as server:
            request = sarmap.ScanRequest(
                area=event.area,
                event=event.event,
                catalog=server.catalog,
                detector=asked.detector,
                overlap=asked.overlap,
                orbit="ascending",
                unit=asked.unit,
                products=("geoparquet",),
                out=str(work / "region"),
            )
            return _twice(request)


def _twice(request: sarmap.ScanRequest) -> int:
    """Scan on threads and on the cluster; 1 where they differ."""
    from distributed import Client, LocalCluster

    alone = _scanned("threads, folder", request)
    with (
        storage(),
        LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        far = request.model_copy(update={"out": OUT})
        together = _scanned("two workers, bucket", far, client)
        return _compare(alone, together)


def _scanned(name: str, request: sarmap.ScanRequest, client: Any = None) -> sarmap.ScanResult:
    started = time.perf_counter()
    result = sarmap.scan(request, client)
    if result.incomplete:
        raise SystemExit(f"units failed: {[s.sentence for s in result.states.values()]}")
    print(f"{name}: {len(result.states)} units, {time.perf_counter() - started:.0f} s", flush=True)
    return result


def _compare(alone: sarmap.ScanResult, together: sarmap.ScanResult) -> int:
    import boto3

    one, other = sarmap.open_scan(alone.path), sarmap.open_scan(together.path)
    differing = int(set(one.zones) != set(other.zones) or len(one.zones) != 2)
    for name, zone in one.zones.items():
        for layer in zone.layers:
            mine, theirs = zone.canvas(layer)[:, :], other.zones[name].canvas(layer)[:, :]
            unlike = int((np.asarray(mine) != np.asarray(theirs)).sum())
            print(f"{name} {layer}: {unlike} of {np.asarray(mine).size:,} pixels differ")
            differing += unlike
    body = boto3.client("s3").get_object(Bucket="maps", Key="region/landslides.parquet")["Body"]
    near, far = (
        gpd.read_parquet(alone.files["geoparquet"]),
        gpd.read_parquet(io.BytesIO(body.read())),
    )
    same = len(near) == len(far) and bool(near.geometry.geom_equals_exact(far.geometry, 0).all())
    print(f"polygons: {len(near)} and {len(far)}, {'the same' if same else 'NOT the same'}")
    return int(bool(differing) or not same)


if __name__ == "__main__":
    sys.exit(main())
