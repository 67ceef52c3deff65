"""One simulated event that all tests of this room read back from its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.features import rasterize

Band = NDArray[np.float32]


@dataclass(frozen=True)
class Files:
    """An event as a stranger would read it: rasterio on its files, nothing of the simulator."""

    event: Any
    items: list[dict[str, Any]]

    def of(self, collection: str) -> list[dict[str, Any]]:
        return [item for item in self.items if item["collection"] == collection]

    def slices(self, orbit: int, day: str) -> list[dict[str, Any]]:
        return [
            item
            for item in self.of("sentinel-1-rtc")
            if item["properties"]["sat:relative_orbit"] == orbit
            and item["properties"]["datetime"].startswith(day)
        ]

    def band(self, orbit: int, day: str, polarisation: str) -> Band:
        """A pass on the scene grid, both slices, NaN where there is no power above zero."""
        whole = np.full(self.event.shape, np.nan, np.float32)
        _, _, left, _, _, top = self.event.transform
        for item in self.slices(orbit, day):
            with rasterio.open(self.event.path / item["assets"][polarisation]["href"]) as source:
                values = source.read(1)
                row = round((top - source.transform.f) / 10)
                column = round((source.transform.c - left) / 10)
            part = whole[row : row + values.shape[0], column : column + values.shape[1]]
            seen = (values > 0) & np.isnan(part)
            part[seen] = values[seen]
        return whole

    def landslides(self) -> Any:
        import geopandas

        return geopandas.read_file(self.event.inventory)

    def mask(self) -> NDArray[np.bool_]:
        return np.asarray(
            rasterize(
                self.landslides().geometry,
                out_shape=self.event.shape,
                transform=self.event.grid.transform,
            ),
            dtype=bool,
        )

    def height(self) -> Band:
        """The elevation tiles on the scene grid, bilinear."""
        from rasterio.warp import Resampling, reproject

        found = np.zeros(self.event.shape, np.float32)
        for item in self.of("cop-dem-glo-30"):
            with rasterio.open(self.event.path / item["assets"]["data"]["href"]) as source:
                part = np.full(self.event.shape, np.nan, np.float32)
                reproject(
                    rasterio.band(source, 1),
                    part,
                    dst_transform=self.event.grid.transform,
                    dst_crs=self.event.crs,
                    dst_nodata=np.nan,
                    resampling=Resampling.cubic_spline,
                )
            found = np.where(np.isnan(part), found, part)
        return found


@pytest.fixture(scope="session")
def scene(simulated: Callable[..., Any]) -> Files:
    """A simulated event of 5.4 x 5 km with one earlier pass of each orbit."""
    event = simulated("simulated", seed=3, rows=540, columns=500, earlier=1)
    return Files(event, json.loads(event.items.read_text())["features"])
