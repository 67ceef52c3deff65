"""Tiles become terrain on the map's grid: no seam, no block border, known slopes and angles."""

from __future__ import annotations

import logging
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.warp import transform

from sarmap.acquire.terrain import open_terrain
from sarmap.errors import RequestError

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")

OBSERVED, NO_DATA, READ_FAILED = 0, 1, 2
SECOND = 1 / 3600
LEFT, TOP = 581_490.0, 4_738_010.0
"""Near 142 E 42.79 N: the seam of two one-degree tiles crosses a grid from here."""


def surface(lon: Any, lat: Any) -> Any:
    """Smooth hills over degrees, 0-400 m."""
    return 200 + 120 * np.sin(lon * 700) * np.cos(lat * 900) + 80 * np.sin(lat * 300 + lon * 200)


def tile(
    kit: Any, folder: Path, west: float, south: float, rows: int = 400, columns: int = 400
) -> Any:
    """Part of a Copernicus-like tile: pixels are areas around whole arc-seconds."""
    corner = Affine(SECOND, 0, west - SECOND / 2, 0, -SECOND, south + (rows - 0.5) * SECOND)
    y, x = np.mgrid[0:rows, 0:columns]
    lon, lat = corner.c + (x + 0.5) * SECOND, corner.f - (y + 0.5) * SECOND
    name = f"dem_{west:.4f}_{south:.4f}.tif".replace(".", "_", 2)
    return kit.item(kit.tile(folder / name, surface(lon, lat), corner))


@pytest.fixture
def two_tiles(kit: Any, tmp_path: Path) -> Any:
    """Two tiles that meet at 142 E; the catalogue finds them."""
    tiles = [
        tile(kit, tmp_path, 142 - 400 * SECOND, 42.74),
        tile(kit, tmp_path, 142.0, 42.74),
    ]
    kit.serve(tiles)
    return tiles


def expected_heights(grid: GeoBox) -> Any:
    """The surface itself at the grid's pixel centres."""
    y, x = np.mgrid[0 : grid.shape[0], 0 : grid.shape[1]]
    east, north = grid.affine * (x + 0.5, y + 0.5)
    lon, lat = transform(grid.crs, "EPSG:4326", east.ravel(), north.ravel())
    return surface(np.array(lon), np.array(lat)).reshape(grid.shape)


def test_heights_and_slope_of_a_known_surface_show_no_seam(kit: Any, two_tiles: Any) -> None:
    grid = kit.box(260, 240, LEFT, TOP - 900)
    terrain = open_terrain(grid, catalog=kit.settings).compute()
    assert (terrain.observation.values == OBSERVED).all()
    heights = expected_heights(grid)
    error = terrain.dem.values - heights
    assert np.abs(error).max() < 1.5
    # Slope of the surface itself, from 10 m differences.
    p, q = np.gradient(heights, 10.0)
    slope = np.degrees(np.arctan(np.hypot(p, q)))
    wrong = np.abs(terrain.slope.values - slope)
    assert wrong.mean() < 0.7
    lon = transform(
        grid.crs, "EPSG:4326", [grid.boundingbox.left, grid.boundingbox.right], [TOP] * 2
    )[0]
    assert lon[0] < 142 < lon[1]
    seam = round((142 - lon[0]) / (lon[1] - lon[0]) * 240)
    beside = wrong[:, max(seam - 8, 0) : seam + 8]
    assert beside.mean() < 1.5 * wrong.mean()
    assert beside.max() < wrong.max() * 1.01


def test_two_tiles_are_one_surface(kit: Any, two_tiles: Any, tmp_path: Path) -> None:
    grid = kit.box(200, 200, LEFT, TOP - 900)
    parted = open_terrain(grid, catalog=kit.settings).compute()
    kit.serve([tile(kit, tmp_path, 142 - 400 * SECOND, 42.74, columns=800)])
    whole = open_terrain(grid, catalog=kit.settings).compute()
    np.testing.assert_allclose(parted.dem.values, whole.dem.values, atol=2e-3)
    np.testing.assert_allclose(parted.slope.values, whole.slope.values, atol=2e-3)


def test_tiles_that_do_not_say_where_they_lie_are_placed_by_their_files(
    kit: Any, two_tiles: Any
) -> None:
    grid = kit.box(60, 60, LEFT, TOP - 900)
    stated = open_terrain(grid, catalog=kit.settings).compute()
    for item in two_tiles:
        for key in [key for key in item.properties if key.startswith("proj:")]:
            del item.properties[key]
    found = open_terrain(grid, catalog=kit.settings).compute()
    np.testing.assert_array_equal(found.slope.values, stated.slope.values)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chunk=st.integers(9, 90), row=st.integers(0, 60), column=st.integers(0, 60))
def test_values_do_not_depend_on_blocks_nor_on_the_grids_extent(
    kit: Any, two_tiles: Any, chunk: int, row: int, column: int
) -> None:
    passes = kit.passes()
    whole = open_terrain(kit.box(100, 110, LEFT, TOP - 900), catalog=kit.settings, passes=passes)
    part = open_terrain(
        kit.box(40, 50, LEFT + 10 * column, TOP - 900 - 10 * row),
        catalog=kit.settings,
        passes=passes,
        chunk=chunk,
    )
    here = {"y": slice(row, row + 40), "x": slice(column, column + 50)}
    for name, values in part.compute().data_vars.items():
        np.testing.assert_array_equal(values, whole[name].isel(here).values, err_msg=str(name))


@pytest.mark.parametrize("step", [5.0, 10.0, 12.5, 30.0, 45.0])
def test_any_resolution(kit: Any, two_tiles: Any, step: float) -> None:
    grid = kit.box(40, 30, LEFT, TOP - 900, step=step)
    terrain = open_terrain(grid, catalog=kit.settings, chunk=17).compute()
    assert np.abs(terrain.dem.values - expected_heights(grid)).max() < 1.5
    assert terrain.odc.geobox == grid


def plane_tile(kit: Any, folder: Path, east: float, north: float, **kwargs: Any) -> Any:
    """A tile in the grid's own CRS and lattice that rises east and north at constant rates."""
    y, x = np.mgrid[0:700, 0:700] * 30.0
    heights = 4_000 + east * (x - 10_300) - north * (y - 10_300)  # under the grids: 10 km in
    corner = Affine(30, 0, 570_000, 0, -30, 4_750_020)
    return kit.item(kit.tile(folder / "plane.tif", heights, corner, crs="EPSG:32654", **kwargs))


@pytest.mark.parametrize("steep", [0.0, 10.0, 25.0])
@pytest.mark.parametrize("state", ["ascending", "descending"])
def test_a_slope_that_faces_the_radar_lowers_the_incidence_by_itself(
    kit: Any, tmp_path: Path, steep: float, state: str
) -> None:
    look = {"ascending": 80.0, "descending": 280.0}[state]
    rate = math.tan(math.radians(steep))
    # True north is turned from the grid's by the meridian convergence; the plane rises along the
    # look as seen on the grid.
    grid = kit.box(60, 60, 580_000, 4_740_000)
    lon, lat = transform(grid.crs, "EPSG:4326", [580_300.0], [4_739_700.0])
    convergence = math.degrees(
        math.atan(math.tan(math.radians(lon[0] - 141)) * math.sin(math.radians(lat[0])))
    )
    direction = math.radians(look - convergence)
    kit.serve([plane_tile(kit, tmp_path, rate * math.sin(direction), rate * math.cos(direction))])
    passes = kit.passes(
        state,
        incidence=36.0,
        azimuth=look,
        bounds=(lon[0] - 0.1, lat[0] - 0.1, lon[0] + 0.1, lat[0] + 0.1),
    )
    terrain = open_terrain(grid, catalog=kit.settings, passes=passes).compute()
    np.testing.assert_allclose(terrain.slope.values, steep, atol=0.01)
    np.testing.assert_allclose(terrain.incidence.values, 36.0 - steep, atol=0.08)
    assert terrain.incidence.dtype == np.float32
    assert terrain.layover_shadow.dtype == bool
    assert not terrain.layover_shadow.values.any()
    assert terrain.attrs["incidence_source"] == "view:incidence_angle"


@pytest.mark.parametrize("chunk", [1024, 37])
def test_the_same_ground_is_seen_alike_whichever_scenes_a_map_finds(
    kit: Any, two_tiles: Any, chunk: int
) -> None:
    # A pass of two scenes that meet within the grid and say different angles; a map of the south
    # finds the southern one alone, a map of the north the northern one.
    middle = 42.7875
    north = kit.passes(incidence=44.0, azimuth=82.0, bounds=(141.0, middle, 143.0, 43.5))
    south = kit.passes(incidence=28.0, azimuth=76.0, bounds=(141.0, 42.0, 143.0, middle))

    def joined(one: Any, other: Any) -> Any:
        return replace(one, items=(*one.items, *other.items))

    both = replace(
        north,
        pre=(joined(north.pre[0], south.pre[0]),),
        post=(joined(north.post[0], south.post[0]),),
    )
    rows = 120
    whole_grid = kit.box(rows, 60, LEFT, TOP + 300)
    whole = open_terrain(whole_grid, catalog=kit.settings, passes=both, chunk=chunk).compute()
    y, x = np.meshgrid(whole.y.values, whole.x.values, indexing="ij")
    _, latitude = transform("EPSG:32654", "EPSG:4326", x.ravel(), y.ravel())
    border = np.nonzero(np.diff((np.reshape(latitude, y.shape) > middle).all(axis=1)))[0][0] + 1
    assert 20 < border < rows - 20
    for passes, part in (
        (north, slice(0, border - 6)),  # the kernels reach a little further than the pixels
        (south, slice(border + 6, rows)),
    ):
        grid = kit.box(part.stop - part.start, 60, LEFT, TOP + 300 - 10 * part.start)
        alone = open_terrain(grid, catalog=kit.settings, passes=passes, chunk=chunk).compute()
        for name, values in alone.data_vars.items():
            np.testing.assert_array_equal(values, whole[name][part].values, err_msg=str(name))
    assert 0.05 < whole.layover_shadow.values.mean() < 0.95


def test_a_face_steeper_than_the_incidence_is_hidden(kit: Any, tmp_path: Path) -> None:
    kit.serve([plane_tile(kit, tmp_path, math.tan(math.radians(50)), 0.0)])
    grid = kit.box(30, 30, 580_000, 4_740_000)
    terrain = open_terrain(grid, catalog=kit.settings, passes=kit.passes("ascending"))
    assert terrain.layover_shadow.values.all()
    other = open_terrain(grid, catalog=kit.settings, passes=kit.passes("descending"))
    assert not other.layover_shadow.values.any()  # 50 degrees away from a ray 54 degrees steep


def test_voids_are_no_data_and_nothing_else(kit: Any, tmp_path: Path) -> None:
    made = plane_tile(kit, tmp_path, 0.1, 0.0)
    import rasterio

    path = Path(made.assets["data"].href)
    with rasterio.open(path, "r+") as edited:
        heights = edited.read(1)
        heights[340:343, 340:343] = -32767
        edited.nodata = -32767
        edited.write(heights, 1)
    kit.serve([made])
    grid = kit.box(120, 120, 570_000 + 340 * 30 - 600, 4_750_020 - 340 * 30 + 600)
    terrain = open_terrain(grid, catalog=kit.settings).compute()
    void = terrain.observation.values == NO_DATA
    assert 81 <= void.sum() <= 27 * 27
    assert void[60:69, 60:69].all()
    np.testing.assert_array_equal(np.isnan(terrain.slope.values), void)
    np.testing.assert_allclose(terrain.slope.values[~void], math.degrees(math.atan(0.1)), atol=1e-2)


def test_a_tile_on_the_grids_own_lattice_is_kept_to_its_last_pixel(
    kit: Any, tmp_path: Path
) -> None:
    heights = np.random.default_rng(3).integers(0, 900, (60, 50)).astype(np.float32)
    corner = Affine(30, 0, 580_020, 0, -30, 4_740_000)
    kit.serve([kit.item(kit.tile(tmp_path / "own.tif", heights, corner, crs="EPSG:32654"))])
    grid = kit.box(70, 62, 580_020 - 6 * 30, 4_740_000 + 5 * 30, step=30.0)
    terrain = open_terrain(grid, catalog=kit.settings).compute()
    expected = np.full((70, 62), np.nan, np.float32)
    expected[5:65, 6:56] = heights
    np.testing.assert_array_equal(terrain.dem.values, expected)
    sloped = np.zeros((70, 62), bool)
    sloped[6:64, 7:55] = True  # Horn needs all eight neighbours
    np.testing.assert_array_equal(np.isfinite(terrain.slope.values), sloped)
    np.testing.assert_array_equal(terrain.observation.values == OBSERVED, sloped)
    for chunk in (7, 31):
        cut = open_terrain(grid, catalog=kit.settings, chunk=chunk).compute()
        np.testing.assert_array_equal(cut.dem.values, terrain.dem.values)
        np.testing.assert_array_equal(cut.slope.values, terrain.slope.values)
    part = open_terrain(kit.box(20, 20, 580_020, 4_740_000, step=30.0), catalog=kit.settings)
    np.testing.assert_array_equal(part.dem.values, expected[5:25, 6:26])
    np.testing.assert_array_equal(part.slope.values, terrain.slope.values[5:25, 6:26])


def test_a_tile_that_cannot_be_read_is_read_failed(kit: Any, two_tiles: Any) -> None:
    Path(two_tiles[1].assets["data"].href).unlink()
    grid = kit.box(100, 200, LEFT, TOP - 900)
    terrain = open_terrain(grid, catalog=kit.settings).compute()
    codes = terrain.observation.values
    assert set(np.unique(codes)) == {OBSERVED, READ_FAILED}
    assert np.isnan(terrain.slope.values[codes == READ_FAILED]).all()
    assert not np.isinf(terrain.dem.values).any()
    assert np.isfinite(terrain.slope.values[codes == OBSERVED]).all()


def test_ground_that_unread_hills_might_hide_does_not_pass_for_seen(
    kit: Any, two_tiles: Any
) -> None:
    """The neighbour tile casts the shadows; its pixels are 3 km away, and it cannot be read."""
    grid = kit.box(60, 60, LEFT + 4000, TOP - 900)
    passes = kit.passes("ascending")
    whole = open_terrain(grid, catalog=kit.settings, passes=passes).compute()
    assert (whole.observation.values == OBSERVED).all()
    Path(two_tiles[0].assets["data"].href).unlink()
    terrain = open_terrain(grid, catalog=kit.settings, passes=passes).compute()
    np.testing.assert_array_equal(terrain.slope.values, whole.slope.values)
    hidden = terrain.layover_shadow.values
    assert (terrain.observation.values[~hidden] == READ_FAILED).all()
    assert not hidden.all()
    alone = open_terrain(grid, catalog=kit.settings).compute()
    assert (alone.observation.values == OBSERVED).all()


def test_open_sea_beside_a_tile_is_no_data_and_said(
    kit: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kit.serve([tile(kit, tmp_path, 142.0, 42.74)])
    with caplog.at_level(logging.WARNING):
        terrain = open_terrain(kit.box(100, 200, LEFT, TOP - 900), catalog=kit.settings).compute()
    assert "N42E141" in caplog.text
    assert set(np.unique(terrain.observation.values)) == {OBSERVED, NO_DATA}


class TestRefused:
    """Nothing that could pass for terrain where there is none."""

    def test_no_tile(self, kit: Any) -> None:
        kit.serve([])
        with pytest.raises(RequestError, match=r"141\.99.*42\.7.*'cop-dem-glo-30'"):
            open_terrain(kit.box(10, 10, LEFT, TOP), catalog=kit.settings)

    def test_no_collection(self, kit: Any) -> None:
        bare = replace(kit.settings, dem_collection=None)
        with pytest.raises(RequestError, match="dem_collection"):
            open_terrain(kit.box(10, 10, LEFT, TOP), catalog=bare)

    def test_missing_asset(self, kit: Any, two_tiles: Any) -> None:
        for item in two_tiles:
            item.assets["elevation"] = item.assets.pop("data")
        with pytest.raises(RequestError, match="dem_asset"):
            open_terrain(kit.box(10, 10, LEFT, TOP), catalog=kit.settings)

    def test_no_projection_and_no_file(self, kit: Any, two_tiles: Any) -> None:
        for item in two_tiles:
            for key in [key for key in item.properties if key.startswith("proj:")]:
                del item.properties[key]
        Path(two_tiles[1].assets["data"].href).unlink()
        with pytest.raises(RequestError, match=f"'{two_tiles[1].id}'.*could not be opened"):
            open_terrain(kit.box(10, 10, LEFT, TOP), catalog=kit.settings)

    def test_degrees(self, kit: Any) -> None:
        grid = GeoBox((10, 10), Affine(1e-4, 0, 142, 0, -1e-4, 42.8), "EPSG:4326")
        with pytest.raises(RequestError, match="in metres"):
            open_terrain(grid, catalog=kit.settings)

    def test_feet(self, kit: Any) -> None:
        grid = GeoBox((10, 10), Affine(10, 0, 6e6, 0, -10, 2e6), "EPSG:2227")
        with pytest.raises(RequestError, match="in metres"):
            open_terrain(grid, catalog=kit.settings)

    def test_rotated(self, kit: Any) -> None:
        grid = GeoBox((10, 10), Affine.rotation(10) * Affine.scale(10, -10), "EPSG:32654")
        with pytest.raises(RequestError, match="rotated"):
            open_terrain(grid, catalog=kit.settings)


def test_tiles_of_another_spacing_are_filled_in(kit: Any, tmp_path: Path) -> None:
    fine = tile(kit, tmp_path, 142.0, 42.74)
    wide = 2 * SECOND
    corner = Affine(wide, 0, 142 - 200 * wide, 0, -SECOND, 42.74 + 399.5 * SECOND)
    y, x = np.mgrid[0:400, 0:200]
    heights = surface(corner.c + (x + 0.5) * wide, corner.f - (y + 0.5) * SECOND)
    kit.serve([fine, kit.item(kit.tile(tmp_path / "wide.tif", heights, corner))])
    grid = kit.box(100, 200, LEFT, TOP - 900)
    terrain = open_terrain(grid, catalog=kit.settings).compute()
    assert (terrain.observation.values == OBSERVED).mean() > 0.99
    assert np.nanmax(np.abs(terrain.dem.values - expected_heights(grid))) < 12


def test_it_is_lazy_and_travels(kit: Any, two_tiles: Any) -> None:
    terrain = open_terrain(
        kit.box(300, 300, LEFT, TOP), catalog=kit.settings, passes=kit.passes(), chunk=100
    )
    assert len(terrain.slope.data.dask) == 9
    again = pickle.loads(pickle.dumps(terrain))
    np.testing.assert_array_equal(again.slope[:50, :50].values, terrain.slope[:50, :50].values)
    assert terrain.attrs["attribution"] == "test elevation"
    assert terrain.attrs["dem_resolution"] == 30.0


def test_elevation_may_have_a_notice_of_its_own(kit: Any, two_tiles: Any) -> None:
    settings = replace(kit.settings, dem_attribution="owners of the elevation")
    terrain = open_terrain(kit.box(9, 9, LEFT, TOP), catalog=settings)
    assert terrain.attrs["attribution"] == "owners of the elevation"
