"""Maps whose blocks fail on command, and count how often they were asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

EDGE = 64
ROWS, COLUMNS = 5, 4
SHAPE = (ROWS * EDGE - 10, COLUMNS * EDGE - 20)


@dataclass
class Weather:
    """What goes wrong with a map's blocks, and which were computed."""

    unread: set[tuple[int, int]] = field(default_factory=set)
    """Blocks whose pixels cannot be read."""
    raising: dict[tuple[int, int], BaseException] = field(default_factory=dict)
    """Blocks that end the run."""
    computed: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How often each block was."""

    def __deepcopy__(self, memo: Any) -> Weather:
        return self


@pytest.fixture
def weather() -> Weather:
    return Weather()


@pytest.fixture
def lazy_map(weather: Weather) -> Callable[..., xr.Dataset]:
    """A lazy map of 5 x 4 blocks under that weather."""

    def make(*, windows: bool = False) -> xr.Dataset:
        return _dataset(weather, windows=windows)

    return make


def _dataset(weather: Weather, *, windows: bool) -> xr.Dataset:
    def block(layer: int, block_info: Any) -> Any:
        (top, bottom), (left, right) = block_info[None]["array-location"]
        place = (top // EDGE, left // EDGE)
        weather.computed[place] += 1
        if place in weather.raising:
            raise weather.raising[place]
        rows, columns = np.mgrid[top:bottom, left:right]
        values = (((rows * 7 + columns * 13) % 251) / 250).astype(np.float32)
        unread = place in weather.unread
        if layer == 0:
            return np.full_like(values, np.nan) if unread else values
        return np.full(values.shape, 2 if unread else 0, np.uint8)

    chunks = tuple(
        tuple(min(EDGE, length - start) for start in range(0, length, EDGE)) for length in SHAPE
    )
    layers = [
        da.map_blocks(block, layer, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype))
        for layer, dtype in enumerate((np.float32, np.uint8))
    ]
    dataset = xr.Dataset(
        {"probability": (("y", "x"), layers[0]), "observation": (("y", "x"), layers[1])},
        coords={
            "y": 4700000.0 + 10 * (SHAPE[0] - np.arange(SHAPE[0])),
            "x": 500005.0 + 10 * np.arange(SHAPE[1]),
        },
    )
    if windows:
        dataset["window_probability"] = (("window_y", "window_x"), layers[0][6:-6:2, 6:-6:2])
        dataset = dataset.assign_coords(
            window_y=dataset["y"].values[6:-6:2], window_x=dataset["x"].values[6:-6:2]
        )
    dataset.coords["spatial_ref"] = ((), 0, {"crs_wkt": "EPSG:32654"})
    return dataset


@pytest.fixture
def objects() -> Callable[[Path | str], dict[str, bytes]]:
    """Every stored object of a map's arrays, with their records."""

    def read(out: Path | str) -> dict[str, bytes]:
        from zarr.core.buffer import default_buffer_prototype
        from zarr.core.sync import sync

        from sarmap.store.location import store_at

        store = store_at(out, read_only=True)

        async def all_of_it() -> dict[str, bytes]:
            found = {}
            async for key in store.list():
                if key != "zarr.json" and not key.startswith(".sarmap"):
                    value = await store.get(key, default_buffer_prototype())
                    assert value is not None
                    found[key] = value.to_bytes()
            return found

        return dict(sync(all_of_it()))

    return read
