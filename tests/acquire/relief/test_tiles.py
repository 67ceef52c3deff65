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
from odc.geo.geobox import GeoBox
from rasterio.warp import transform

from sarmap.acquire.dem import bridged
from sarmap.acquire.terrain import open_terrain
from sarmap.errors import RequestError

LEFT, TOP = 582_000.0, 4_736_400.0
SIZE = 1 / 3600
NO_DATA, READ_FAILED = 1, 2


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


def test_a_file_written_anew_while_a_map_is_made_or_before_it_goes_on_is_refused(
    kit: Any, tile: Any
) -> None:
    grid, path = kit.box(60, 60, LEFT, TOP), Path(tile.assets["data"].href)
    terrain = open_terrain(grid, catalog=kit.settings)
    held = json.loads(terrain.attrs["dem_files"])
    assert held["hills data"][0] == path.stat().st_size
    with rasterio.open(path) as made:
        heights, lattice = made.read(1), made.transform
    kit.tile(path, heights + 1, lattice)
    with pytest.raises(RequestError, match=r"'hills', asset 'data' is another one than when"):
        terrain.dem.compute()
    with pytest.raises(RequestError, match=r"'hills', asset 'data' is another one than when"):
        open_terrain(grid, catalog=kit.settings, known=held)
    anew = open_terrain(grid, catalog=kit.settings).dem.compute()
    assert anew.notnull().all()


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


class TestVoids:
    """No ground is so low or high; a void costs its own pixels, and a narrow one nothing."""

    @pytest.mark.parametrize("none", [-9999.0, -32768.0, -3.4e38, 1e20, np.inf])
    @pytest.mark.filterwarnings("error::RuntimeWarning")
    def test_what_no_file_declares_is_a_void_as_one_it_declares(
        self, kit: Any, tile: Any, none: float
    ) -> None:
        """Neither slopes of kilometres beside it, nor layover."""
        path = Path(tile.assets["data"].href)
        with rasterio.open(path) as made:
            heights = made.read(1)
        corner = Affine(SIZE, 0, 141.97, 0, -SIZE, 42.80)
        heights[150:160, 150:160] = -1000.0
        kit.tile(path, heights, corner, nodata=-1000.0)
        grid, passes = kit.box(200, 200, 583_000.0, 4_734_500.0), kit.passes()
        declared = open_terrain(grid, catalog=kit.settings, passes=passes).compute()
        heights[150:160, 150:160] = none
        kit.tile(path, heights, corner)
        terrain = open_terrain(grid, catalog=kit.settings, passes=passes).compute()
        assert (terrain.observation.values == NO_DATA).any()
        for name in terrain.data_vars:
            np.testing.assert_array_equal(terrain[name].values, declared[name].values)

    @pytest.mark.parametrize("width", [1, 2])
    @pytest.mark.parametrize("chunk", [13, 1024])
    def test_a_seam_is_bridged(self, kit: Any, tile: Any, width: int, chunk: int) -> None:
        grid = kit.box(60, 60, LEFT, TOP)
        truth = open_terrain(grid, catalog=kit.settings).compute()
        with rasterio.open(tile.assets["data"].href, "r+") as made:
            heights = made.read(1)
            heights[:, 112 : 112 + width] = np.nan
            made.write(heights, 1)
        terrain = open_terrain(grid, catalog=kit.settings, chunk=chunk).compute()
        assert (terrain.observation.values == 0).all()
        assert 0 < abs(terrain.dem - truth.dem).max() < 10.0 * width  # hills of 24 m a pixel

    def test_no_bridge_stands_on_what_is_unread_or_spans_a_hole(self) -> None:
        heights = np.array([[1.0, -np.inf, np.nan, 4.0, np.nan, 8.0]], np.float32)
        assert bridged(heights).tolist() == [[1.0, -np.inf, -np.inf, 4.0, 6.0, 8.0]]
        holed = np.full((7, 7), 5.0, np.float32)
        holed[2:5, 2:5] = np.nan
        np.testing.assert_array_equal(bridged(holed), holed)


@pytest.mark.parametrize(
    ("epsg", "longitude"), [(32701, -179.97), (32760, 179.97), (32701, -180.0), (32760, 179.999)]
)
@pytest.mark.parametrize("tiles", [(0, 1), (1, 0)])
def test_elevation_at_180_degrees(
    kit: Any, tmp_path: Path, epsg: int, longitude: float, tiles: tuple[int, int]
) -> None:
    """Two tiles that meet there, falling northwards by a tenth: whole beside it and across."""
    y = np.arange(360)[:, np.newaxis] * np.ones((1, 360))
    items = [
        kit.item(kit.tile(tmp_path / f"{name}.tif", 100 + 3.075 * y, Affine(*lattice)))
        for name, lattice in (
            ("west", (SIZE, 0, 179.9, 0, -SIZE, -16.75)),
            ("east", (SIZE, 0, -180.0, 0, -SIZE, -16.75)),
        )
    ]
    kit.serve([items[number] for number in tiles])
    x, north = transform("EPSG:4326", f"EPSG:{epsg}", [longitude], [-16.8])
    corner = Affine(10, 0, round(x[0], -1) - 500, 0, -10, round(north[0], -1) + 500)
    grid = GeoBox((100, 100), corner, f"EPSG:{epsg}")
    terrain = open_terrain(grid, catalog=kit.settings, passes=kit.passes()).compute()
    assert (terrain.observation.values == 0).all()
    fall = np.degrees(np.arctan(0.1))  # 3.075 m in one arc-second, 30.75 m
    np.testing.assert_allclose(terrain.slope.values, fall, atol=0.05)
    assert np.ptp(terrain.incidence.values) < 0.5
