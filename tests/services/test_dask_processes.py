"""A real scheduler and a real worker without TensorFlow, sharing no folder with the client."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client

import sarmap

Starter = Callable[..., AbstractContextManager[str]]


def test_a_worker_without_tensorflow_gives_the_same_map(
    event: Any, server: Any, start_dask: Starter, s3: Any, slim_python: str, tmp_path: Path
) -> None:
    """The network is converted and run by OpenVINO there: one engine, one answer, to the bit."""
    here = sarmap.MapRequest(
        area=event.grid[64:224, 50:210],
        event=event.event,
        catalog=server.catalog,
        orbit="ascending",
        engine="openvino",
        precision="f32",
        chunk=128,
        out=str(tmp_path / "map.zarr"),
    )
    alone = sarmap.map_landslides(here).dataset.load()
    there = here.model_copy(update={"out": f"s3://{s3.bucket}/slim.zarr"})
    with (
        start_dask(pythons=[slim_python], threads=2, env=s3.environment, models=None) as address,
        Client(address) as client,
    ):
        assert set(client.run(find_spec, "tensorflow").values()) == {None}
        together = sarmap.map_landslides(there, client=client).dataset.load()
    for name in ("probability", "observation", "slope"):
        np.testing.assert_array_equal(alone[name].values, together[name].values)
