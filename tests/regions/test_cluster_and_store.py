"""A region across two UTM zones on two workers, written to S3, equals the single machine's answer;
and a region across the antimeridian is one scan."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

import sarmap
from sarmap.errors import RequestError
from sarmap.regions.status import scan_status

Make = Callable[..., sarmap.ScanRequest]


def packed(path: str) -> dict[str, dict[str, Any]]:
    scan = sarmap.open_scan(path)
    return {
        name: {layer: zone.canvas(layer)[:, :] for layer in zone.layers}
        for name, zone in scan.zones.items()
    }


def test_two_zones_on_two_workers_with_s3_equal_threads_on_one_machine(
    scan_request: Make, s3: Any, local_workers: Any
) -> None:
    asked: dict[str, Any] = {
        "area": (137.994, 36.996, 138.006, 37.004),
        "products": ("geoparquet",),
        "threshold": 0.3,
    }
    alone = sarmap.scan(scan_request(**asked))
    out = f"s3://{s3.bucket}/hokkaido"
    with local_workers(2) as client:
        together = sarmap.scan(scan_request(**asked, out=out), client)
    assert not together.incomplete
    mine, theirs = packed(alone.path), packed(together.path)
    assert set(mine) == set(theirs) == {"53N", "54N"}
    for zone, layers in mine.items():
        assert set(layers) == set(theirs[zone])
        for layer, values in layers.items():
            np.testing.assert_array_equal(values, theirs[zone][layer], err_msg=f"{zone} {layer}")
    found = scan_status(out)
    assert found.finished
    assert found.rate is not None

    def fetched(name: str) -> bytes:
        body = s3.client().get_object(Bucket=s3.bucket, Key=f"hokkaido/{name}")["Body"]
        return bytes(body.read())

    polygons = gpd.read_parquet(io.BytesIO(fetched("landslides.parquet")))
    local = gpd.read_parquet(alone.files["geoparquet"])
    assert len(polygons) == len(local) > 0
    assert polygons.geometry.geom_equals_exact(local.geometry, 0).all()
    record = json.loads(fetched("collection.json"))
    items = [link for link in record["links"] if link["rel"] == "item"]
    assert len(items) == together.count("done")
    assert s3.environment["AWS_SECRET_ACCESS_KEY"] not in json.dumps(record)


@pytest.fixture(scope="module")
def fiji(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """An event across 180 degrees, its records cut there as real catalogues do (RFC 7946)."""
    from sarmap.acquire.scenes import footprint_of, read_item
    from sarmap.simulate.event import simulate_event
    from sarmap.simulate.serve import serve_catalog

    event = simulate_event(
        tmp_path_factory.mktemp("events") / "fiji",
        seed=3,
        rows=120,
        columns=200,
        earlier=0,
        center=(179.99999, -17.0),
        optical=False,
        decoy=False,
        orbits=("ascending",),
    )
    items = json.loads(event.items.read_text())["features"]
    for item in items:
        footprint = footprint_of(read_item(item))
        item["geometry"] = shapely.geometry.mapping(footprint)
        item["bbox"] = list(footprint.bounds)
    collections = json.loads(event.collections.read_text())
    for collection in collections:
        collection["extent"]["spatial"]["bbox"] = [[-180, -18, 180, -16]]
    with serve_catalog(items, collections, event.path) as server:
        yield event, server


class Change:
    """How far the backscatter changed; needs no elevation, which the simulator lacks at 180 E."""

    bands = ("vv_pre", "vv_post_1")
    scaling, kind = "db", "pixel"

    def __call__(self, tiles: Any) -> Any:
        return np.clip(np.abs(tiles[..., 1] - tiles[..., 0]) / 10, 0, 1)


def test_a_detector_that_needs_elevation_is_refused_before_anything_is_made(
    fiji: tuple[Any, Any], tmp_path: Path
) -> None:
    event, server = fiji
    out = tmp_path / "scan"
    request = sarmap.ScanRequest(
        area=event.area, event=event.event, catalog=server.catalog, detector="log-ratio",
        out=str(out),
    )  # fmt: skip
    with pytest.raises(RequestError, match="no elevation, which detector 'log-ratio' reads"):
        sarmap.scan(request)
    assert not out.exists()


def test_a_region_across_the_antimeridian_is_one_scan(
    fiji: tuple[Any, Any], tmp_path: Path
) -> None:
    event, server = fiji
    west, south, east, north = event.area
    assert west > east

    def scanned(name: str, **more: Any) -> Any:
        fields: dict[str, Any] = {
            "area": (west + 0.002, south + 0.002, east - 0.002, north - 0.002),
            "event": event.event,
            "catalog": server.catalog,
            "detector": Change(),
            "unit": 128,
            "chunk": 128,
            "threshold": 0.6,
            "products": ("geopackage", "quicklook"),
            "out": str(tmp_path / name),
        }
        return sarmap.scan(sarmap.ScanRequest(**fields | more))

    two = scanned("two-zones")
    assert not two.incomplete
    scan = sarmap.open_scan(two.path)
    assert set(scan.zones) == {"1S", "60S"}
    overview = scan.overview(200)
    assert 179 < float(overview.longitude[0]) < 180 < float(overview.longitude[-1]) < 181
    assert float((overview.observed > 0).mean()) > 0.9
    record = json.loads((Path(two.path) / "collection.json").read_text())
    box = record["extent"]["spatial"]["bbox"][0]
    assert box[0] > 179 > -179 > box[2]

    polygons = gpd.read_file(two.files["geopackage"])
    assert polygons.crs.to_epsg() == 4326
    assert len(polygons) > 0
    assert set(polygons["zone"]) >= {"1S", "60S"}

    # in one system across 180 degrees: zone 60's own pixels again, to the bit
    one = scanned("one-system", crs=32760)
    west_half, whole = scan["60S"].load(), sarmap.open_scan(one.path)["epsg32760"].load()
    same = whole.sel(x=west_half.x, y=west_half.y)
    mapped = west_half.observation == 0
    assert int(mapped.sum()) > 4_000
    for layer in ("probability", "orbit"):
        np.testing.assert_array_equal(
            west_half[layer].where(mapped).values, same[layer].where(mapped).values
        )
    assert whole.sizes["x"] > west_half.sizes["x"]
