"""A small made-up scene whose landslides are as plain to see as can be: bright squares."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BANDS = ("vv_pre", "vv_post_1", "slope")
CRS = 32654


@pytest.fixture(scope="session")
def grid() -> Any:
    from affine import Affine
    from odc.geo.geobox import GeoBox

    return GeoBox((320, 256), Affine(10, 0, 500_000, 0, -10, 4_800_000), f"EPSG:{CRS}")


@pytest.fixture(scope="session")
def slides(grid: Any) -> Any:
    """Squares of 8 x 8 px whose first pixels are (7, 7), (7, 47) ... (47, 7) ..."""
    import geopandas
    import shapely

    rows, columns = np.meshgrid(np.arange(7, 310, 40), np.arange(7, 246, 40), indexing="ij")
    x, y = 500_000 + 10 * columns.ravel(), 4_800_000 - 10 * rows.ravel()
    return geopandas.GeoDataFrame(geometry=shapely.box(x, y - 80, x + 80, y), crs=CRS)


@pytest.fixture(scope="session")
def truth(grid: Any, slides: Any) -> np.ndarray:
    """The mask by plain counting: 8 x 8 px at each lattice point."""
    mask = np.zeros((320, 256), np.uint8)
    for row in range(7, 310, 40):
        for column in range(7, 246, 40):
            mask[row : row + 8, column : column + 8] = 1
    return mask


@pytest.fixture(scope="session")
def make_composite(grid: Any, truth: np.ndarray) -> Callable[..., Any]:
    """A lazy composite in which `vv_post_1` is bright on landslides; `holes` are NaN."""
    import dask.array as da
    import xarray as xr
    from odc.geo.xr import xr_coords

    def make(*, seed: int = 0, chunk: int = 100, holes: tuple[slice, slice] | None = None) -> Any:
        rng = np.random.default_rng(seed)
        values = rng.normal(0.3, 0.05, (3, 320, 256)).astype(np.float32)
        values[1] += 0.5 * truth
        if holes is not None:
            values[0, holes[0], holes[1]] = np.nan
        codes = np.isnan(values).any(axis=0).astype(np.uint8)
        composite = xr.DataArray(
            da.from_array(values, chunks=(3, chunk, chunk)),
            dims=("band", "y", "x"),
            coords={**xr_coords(grid), "band": list(BANDS)},
            attrs={"scaling": "amplitude"},
        )
        lazy_codes = da.from_array(codes, chunks=chunk)
        return composite.assign_coords(observation=(("y", "x"), lazy_codes))

    return make


@pytest.fixture(scope="session")
def make_scene(grid: Any, slides: Any, make_composite: Callable[..., Any]) -> Callable[..., Any]:
    from sarmap.assess.labels import read_labels
    from sarmap.learn.scene import Scene

    def make(
        name: str = "made-up", *, role: str = "training", covers: Any = None, **how: Any
    ) -> Any:
        of = {key: how.pop(key) for key in ("surveyed", "clouds") if key in how}
        labels = read_labels(grid, how.pop("slides", slides), **of)
        return Scene(name, make_composite(**how), labels, covers, role, simulated=True)

    return make
