"""Elevation tiles lie where their files say, whatever their records say."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from sarmap.acquire.terrain import open_terrain

LEFT, TOP = 582_000.0, 4_736_400.0
SIZE = 1 / 3600
READ_FAILED = 2


@pytest.fixture
def tile(kit: Any, tmp_path: Path) -> Any:
    """The item of a hilly tile of 360 x 360 pixels, a tenth of a degree, and its catalogue."""
    y, x = np.mgrid[0:360, 0:360]
    heights = 300 + 150 * np.sin(x / 9.0) + 120 * np.cos(y / 8.0)
    lattice = Affine(SIZE, 0, 141.97, 0, -SIZE, 42.80)
    item = kit.item(kit.tile(tmp_path / "hills.tif", heights, lattice))
    kit.serve([item])
    return item


LIES: dict[str, dict[str, Any]] = {
    # As records of 3DEP, whose pixel is another than the file's.
    "pixels-too-small": {"proj:transform": [1e-5, 0, 141.97, 0, -1e-5, 42.80]},
    "seven-tenths": {"proj:transform": [0.7 * SIZE, 0, 141.97, 0, -0.7 * SIZE, 42.80]},
    "a-few-pixels-off": {"proj:transform": [SIZE, 0, 141.972, 0, -SIZE, 42.80]},
    "northwards": {"proj:transform": [SIZE, 0, 141.97, 0, SIZE, 42.70]},
    "another-projection": {"proj:code": "EPSG:32653"},
    "nothing-but-a-projection": {"proj:shape": None, "proj:transform": None},
}


@pytest.mark.parametrize("lie", LIES)
def test_the_file_decides(kit: Any, tile: Any, lie: str) -> None:
    grid = kit.box(60, 60, LEFT, TOP)
    truth = open_terrain(grid, catalog=kit.settings).compute()
    assert json.loads(truth.attrs["notes"]) == []
    assert float(truth.slope.mean()) > 10
    tile.properties |= LIES[lie]
    terrain = open_terrain(grid, catalog=kit.settings).compute()
    np.testing.assert_array_equal(terrain.dem.values, truth.dem.values)
    np.testing.assert_array_equal(terrain.slope.values, truth.slope.values)
    (note,) = json.loads(terrain.attrs["notes"])
    assert note.startswith("The record of item 'hills' ")


def test_a_tile_whose_rows_run_northwards(kit: Any, tile: Any) -> None:
    grid = kit.box(60, 60, LEFT, TOP)
    truth = open_terrain(grid, catalog=kit.settings).compute()
    path = Path(tile.assets["data"].href)
    with rasterio.open(path) as made:
        heights = made.read(1)
    kit.tile(path, heights[::-1], Affine(SIZE, 0, 141.97, 0, SIZE, 42.70))
    terrain = open_terrain(grid, catalog=kit.settings).compute()
    np.testing.assert_allclose(terrain.dem.values, truth.dem.values, atol=1e-3)


def test_a_file_that_comes_back_elsewhere_is_read_failed(
    kit: Any, tile: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Its header could not be read when the tile was placed by its record."""
    path = Path(tile.assets["data"].href)
    away = path.rename(path.with_suffix(".away"))
    tile.properties |= {"proj:transform": [SIZE, 0, 141.972, 0, -SIZE, 42.80]}
    terrain = open_terrain(kit.box(60, 60, LEFT, TOP), catalog=kit.settings)
    away.rename(path)
    with caplog.at_level(logging.WARNING):
        assert (terrain.observation.values == READ_FAILED).all()
    assert "item 'hills', asset 'data' lies elsewhere than its record" in caplog.text


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({"raster:bands": [{"unit": "foot"}]}, ""),
        ({"raster:bands": [{"unit": "foot", "scale": 0.3048}]}, ""),
        ({"unit": "ft"}, "ft"),
        ({}, "US survey foot"),
        ({"raster:bands": [{"scale": 0.3048}]}, ""),
    ],
)
def test_heights_in_feet_are_made_metres_once(
    kit: Any, tile: Any, fields: dict[str, Any], unit: str
) -> None:
    grid = kit.box(30, 30, LEFT, TOP)
    truth = open_terrain(grid, catalog=kit.settings).compute()
    with rasterio.open(tile.assets["data"].href, "r+") as made:
        made.write(made.read(1) / 0.3048, 1)
        made.units = (unit,)
    tile.assets["data"].extra_fields |= fields
    terrain = open_terrain(grid, catalog=kit.settings).compute()
    np.testing.assert_allclose(terrain.dem.values, truth.dem.values, rtol=1e-5)
