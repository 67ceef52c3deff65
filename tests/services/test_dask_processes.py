"""A real scheduler and real workers, sharing no folder: with and without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client

import sarmap

Starter = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")
def request_fields(event: Any, server: Any) -> dict[str, Any]:
    return {
        "area": event.grid,
        "event": event.event,
        "catalog": server.catalog,
        "orbit": "ascending",
        "engine": "openvino",
        "precision": "f32",
        "chunk": 128,
    }


@pytest.fixture(scope="module")
def alone(request_fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """The map made by this process's own threads."""
    out = tmp_path_factory.mktemp("alone") / "map.zarr"
    request = sarmap.MapRequest(**request_fields, out=str(out))
    return sarmap.map_landslides(request).dataset.load()


def _assert_same(one: xr.Dataset, other: xr.Dataset) -> None:
    for name in ("probability", "observation", "slope"):
        np.testing.assert_array_equal(one[name].values, other[name].values)


def test_workers_in_folders_of_their_own_give_the_same_map(
    request_fields: dict[str, Any], alone: xr.Dataset, start_dask: Starter, s3: Any
) -> None:
    """COGs by HTTP, the result to S3; scheduler and workers are processes of their own."""
    request = sarmap.MapRequest(**request_fields, out=f"s3://{s3.bucket}/cluster.zarr")
    with start_dask(env=s3.environment) as address, Client(address) as client:
        folders = client.run(os.getcwd)
        assert len(set(folders.values())) == 2
        assert str(Path.cwd()) not in folders.values()
        together = sarmap.map_landslides(request, client=client).dataset.load()
    _assert_same(alone, together)
    assert any(key.startswith("cluster.zarr/probability/c/") for key in s3.names())


def test_a_worker_without_tensorflow_gives_the_same_map(
    request_fields: dict[str, Any],
    alone: xr.Dataset,
    start_dask: Starter,
    s3: Any,
    slim_python: str,
) -> None:
    """The network is converted and run by OpenVINO there: one engine, one answer, to the bit."""
    request = sarmap.MapRequest(**request_fields, out=f"s3://{s3.bucket}/slim.zarr")
    with (
        start_dask(pythons=[slim_python], threads=2, env=s3.environment) as address,
        Client(address) as client,
    ):
        assert set(client.run(find_spec, "tensorflow").values()) == {None}
        together = sarmap.map_landslides(request, client=client).dataset.load()
    _assert_same(alone, together)
