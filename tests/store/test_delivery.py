"""A map in a bucket has its products beside it, there."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
import rasterio

import sarmap
from sarmap.errors import RequestError

PRODUCTS = ("cog", "geopackage", "geoparquet", "quicklook", "item")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"maps-{uuid.uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def names(bucket: str) -> set[str]:
    """Objects of a bucket outside the map's own store."""
    listed = boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    return {one["Key"] for one in listed if ".zarr/" not in one["Key"]}


def test_products_of_a_map_in_a_bucket_lie_beside_it(
    bucket: str, event: Any, server: Any, tmp_path: Path
) -> None:
    request = sarmap.MapRequest(
        area=event.grid,
        event=event.event,
        catalog=server.catalog,
        detector="log-ratio",
        orbit="ascending",
        products=PRODUCTS,
        out=f"s3://{bucket}/2018/iburi.zarr",
    )
    made = sarmap.map_landslides(request)
    endings = ("tif", "gpkg", "parquet", "png", "json")
    beside = {"2018/iburi.qml", "2018/collection.json"}  # the COG's colours, and the catalogue
    assert names(bucket) == {f"2018/iburi.{ending}" for ending in endings} | beside
    assert made.files["cog"] == f"s3://{bucket}/2018/iburi.tif"

    local = sarmap.map_landslides(
        request.model_copy(update={"out": str(tmp_path / "iburi.zarr"), "products": ("cog",)})
    )
    client = boto3.client("s3")
    client.download_file(bucket, "2018/iburi.tif", str(tmp_path / "far.tif"))
    with rasterio.open(tmp_path / "far.tif") as far, rasterio.open(local.files["cog"]) as near:
        assert (far.read() == near.read()).all()
    item = json.loads(client.get_object(Bucket=bucket, Key="2018/iburi.json")["Body"].read())
    assert {one["href"] for one in item["assets"].values()} == {
        f"s3://{bucket}/2018/iburi.{ending}" for ending in ("zarr", *endings[:-1])
    }

    with pytest.raises(RequestError, match=r"iburi.tif, .* exist already"):
        sarmap.map_landslides(request)
    client.delete_object(Bucket=bucket, Key="2018/iburi.tif")
    again = sarmap.map_landslides(request.model_copy(update={"resume": True}))
    assert again.computed == 0
    assert "2018/iburi.tif" in names(bucket)


def test_products_that_stand_in_a_bucket_are_not_replaced_unasked(
    bucket: str, event: Any, server: Any
) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="iburi.tif", Body=b"mine")
    request = sarmap.MapRequest(
        area=event.grid,
        event=event.event,
        catalog=server.catalog,
        detector="log-ratio",
        products=("cog",),
        out=f"s3://{bucket}/iburi.zarr",
    )
    with pytest.raises(RequestError, match=r"iburi\.tif exist already"):
        sarmap.map_landslides(request)
