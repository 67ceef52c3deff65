"""Passes become a lazy cube: same values for every cut, and what could not be read says so."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import rioxarray  # noqa: F401
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from sarmap.acquire.cube import open_cube
from sarmap.errors import CatalogError, RequestError

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")

OBSERVED, NO_DATA, READ_FAILED = 0, 1, 2


@pytest.fixture
def one_pass(kit: Any, tmp_path: Path, power: Any) -> Any:
    """A pre and a post pass of one scene each, VV only."""
    kit.cog(tmp_path / "pre.tif", power)
    kit.cog(tmp_path / "post.tif", power * 2)
    return kit.passes(
        {
            role: [kit.item(f"S1_{role}", {"vv": tmp_path / name})]
            for role, name in (("pre", "pre.tif"), ("post_1", "post.tif"))
        }
    )


def test_pixels_arrive_unchanged_where_scene_and_grid_share_a_lattice(
    one_pass: Any, kit: Any, power: Any
) -> None:
    cube = open_cube(one_pass, kit.box(100, 80, row=40, column=30), bands=("vv",))
    np.testing.assert_array_equal(cube.vv.values[0], power[40:140, 30:110])
    np.testing.assert_array_equal(cube.vv.values[1], power[40:140, 30:110] * 2)
    assert cube.vv.dtype == np.float32
    assert (cube.observation.values == OBSERVED).all()


def test_a_cube_says_where_when_and_what(one_pass: Any, kit: Any) -> None:
    passes = replace(one_pass, catalog=replace(kit.settings, attribution="Contains test data"))
    cube = open_cube(passes, kit.box(6, 4), bands=("vv",))
    assert cube.role.values.tolist() == ["pre", "post_1"]
    assert cube.time.values.astype("datetime64[s]").astype(str).tolist() == [
        "2018-09-02T08:34:00",
        "2018-09-14T08:34:00",
    ]
    assert (float(cube.x[0]), float(cube.y[0])) == (600_005.0, 4_739_995.0)
    assert cube.rio.crs.to_epsg() == 32654
    assert cube.rio.transform() == kit.box(6, 4).affine
    assert cube.odc.geobox == kit.box(6, 4)
    assert (cube.attrs["attribution"], cube.attrs["simulated"]) == ("Contains test data", 0)
    scenes = json.loads(cube.attrs["scenes"])
    assert [scene["id"] for scene in scenes] == ["S1_pre", "S1_post_1"]
    assert set(scenes[0]) == {
        "id",
        "datetime",
        "role",
        "relative_orbit",
        "orbit_state",
        "platform",
    }


def test_passes_are_ordered_by_time_whatever_their_roles(
    kit: Any, tmp_path: Path, power: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    passes = kit.passes({"pre": [item], "pre_2": [item], "post_1": [item], "post_2": [item]})
    cube = open_cube(passes, kit.box(4, 4), bands=("vv",))
    assert cube.role.values.tolist() == ["pre_2", "pre", "post_1", "post_2"]
    assert len(set(cube.pass_id.values)) == 4


def test_power_that_is_no_measurement_is_no_data(kit: Any, tmp_path: Path) -> None:
    bad = np.array([[0.0, -1.0, np.nan, np.inf, -32768.0, 0.5]], np.float32)
    kit.cog(tmp_path / "a.tif", bad)
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    cube = open_cube(kit.passes({"pre": [item], "post_1": [item]}), kit.box(1, 6), bands=("vv",))
    assert cube.observation.values[0].tolist() == [[NO_DATA] * 5 + [OBSERVED]]
    assert np.isnan(cube.vv.values[0, 0, :5]).all()


def test_the_items_nodata_counts_where_the_file_names_none(kit: Any, tmp_path: Path) -> None:
    kit.cog(tmp_path / "a.tif", np.array([[7.0, 0.5]], np.float32), nodata=None)
    asset = {"href": str(tmp_path / "a.tif"), "raster:bands": [{"nodata": "7"}]}
    item = kit.item("a", {"vv": asset, "file": tmp_path / "a.tif"})
    cube = open_cube(kit.passes({"pre": [item], "post_1": [item]}), kit.box(1, 2), bands=("vv",))
    assert cube.observation.values[0].tolist() == [[NO_DATA, OBSERVED]]


def test_the_first_valid_pixel_of_the_slices_wins(kit: Any, tmp_path: Path, power: Any) -> None:
    first, second = power[:200].copy(), power[100:] + 1
    first[150, 20] = -32768
    kit.cog(tmp_path / "1.tif", first)
    kit.cog(tmp_path / "2.tif", second, top=4_739_000.0)
    slices = [kit.item(n, {"vv": tmp_path / f"{n}.tif"}) for n in ("1", "2")]
    cube = open_cube(
        kit.passes({"pre": slices, "post_1": slices[::-1]}), kit.box(300, 260), bands=("vv",)
    )
    expected = np.concatenate([power[:200], power[200:] + 1])
    expected[150, 20] = power[150, 20] + 1
    np.testing.assert_array_equal(cube.vv.values[0], expected)
    np.testing.assert_array_equal(cube.vv.values[1, 100:], second)


def test_a_slice_that_saw_more_goes_before_the_faint_border_of_another(
    kit: Any, tmp_path: Path, power: Any
) -> None:
    first, second = power[:200].copy(), power[100:].copy()
    first[190:] = 3e-4  # -35 dB: far under the sensor's noise, and no declared no data
    second[95:] = 3e-4  # the ground itself is as dark beyond
    kit.cog(tmp_path / "1.tif", first)
    kit.cog(tmp_path / "2.tif", second, top=4_739_000.0)
    slices = [kit.item(n, {"vv": tmp_path / f"{n}.tif"}) for n in ("1", "2")]
    cube = open_cube(
        kit.passes({"pre": slices, "post_1": slices}), kit.box(300, 260), bands=("vv",)
    )
    np.testing.assert_array_equal(cube.vv.values[0, :195], power[:195])
    assert (cube.vv.values[0, 195:200] == np.float32(3e-4)).all()


def test_what_no_scene_covers_is_no_data(one_pass: Any, kit: Any, power: Any) -> None:
    cube = open_cube(one_pass, kit.box(320, 300, row=-10, column=-20), bands=("vv",))
    seen = np.zeros((320, 300), bool)
    seen[10:310, 20:280] = True
    np.testing.assert_array_equal(cube.observation.values[0] == OBSERVED, seen)
    np.testing.assert_array_equal(cube.vv.values[0, 10:310, 20:280], power)


def test_a_pass_that_misses_the_grid_keeps_its_place(kit: Any, tmp_path: Path, power: Any) -> None:
    kit.cog(tmp_path / "a.tif", power)
    kit.cog(tmp_path / "far.tif", power, left=700_000.0)
    here, far = (kit.item(n, {"vv": tmp_path / f"{n}.tif"}) for n in ("a", "far"))
    cube = open_cube(kit.passes({"pre": [far], "post_1": [here]}), kit.box(20, 20), bands=("vv",))
    assert (cube.observation.values[0] == NO_DATA).all()
    assert (cube.observation.values[1] == OBSERVED).all()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.integers(1, 90),
    columns=st.integers(1, 90),
    chunk=st.integers(1, 100),
    row=st.integers(-20, 250),
    column=st.integers(-20, 220),
)
def test_copied_values_do_not_depend_on_blocks(
    one_pass: Any, kit: Any, power: Any, rows: int, columns: int, chunk: int, row: int, column: int
) -> None:
    chunk = max(chunk, max(rows, columns) // 8)
    grid = kit.box(rows, columns, row=row, column=column)
    cube = open_cube(one_pass, grid, bands=("vv",), chunk=chunk)
    padded = np.pad(power, 100, constant_values=np.nan)
    expected = padded[100 + row : 100 + row + rows, 100 + column : 100 + column + columns]
    np.testing.assert_array_equal(cube.vv.values[0], expected)


@pytest.mark.parametrize("chunk", [37, 100, 300])
def test_resampled_values_do_not_depend_on_blocks(
    one_pass: Any, kit: Any, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sarmap.acquire.scene_reader.CELL", 64)
    grid = kit.box(200, 150, row=20.37, column=31.6)
    whole = open_cube(one_pass, grid, bands=("vv",), chunk=1000).compute()
    cut = open_cube(one_pass, grid, bands=("vv",), chunk=chunk).compute()
    np.testing.assert_array_equal(cut.vv.values, whole.vv.values)
    np.testing.assert_array_equal(cut.observation.values, whole.observation.values)


def test_half_a_pixel_off_is_the_mean_of_neighbours(one_pass: Any, kit: Any, power: Any) -> None:
    cube = open_cube(one_pass, kit.box(50, 50, row=10, column=20.5), bands=("vv",))
    expected = (power[10:60, 20:70] + power[10:60, 21:71]) / 2
    np.testing.assert_allclose(cube.vv.values[0], expected, rtol=1e-5)


def test_a_scene_of_the_next_zone_is_warped_as_gdal_warps_it(kit: Any, tmp_path: Path) -> None:
    y, x = np.mgrid[0:300, 0:300]
    smooth = (0.2 + 0.1 * np.sin(x / 25) * np.cos(y / 31)).astype(np.float32)
    # The same ground in zone 53: 141.0 E is 6 degrees east of that zone's meridian.
    kit.cog(tmp_path / "z.tif", smooth, left=1_090_000.0, top=4_760_000.0, crs="EPSG:32653")
    item = kit.item("z", {"vv": tmp_path / "z.tif"})
    from odc.geo.geobox import GeoBox
    from rasterio.warp import transform_bounds

    box = transform_bounds("EPSG:32653", "EPSG:32654", 1_090_800, 4_757_800, 1_092_200, 4_759_200)
    left, top = round(box[0], -1), round(box[3], -1)
    grid = GeoBox.from_bbox(
        (left, top - 1500, left + 1400, top), crs="EPSG:32654", shape=(150, 140)
    )
    cube = open_cube(kit.passes({"pre": [item], "post_1": [item]}), grid, bands=("vv",))
    expected = np.full((150, 140), np.nan, np.float32)
    import rasterio

    with rasterio.open(tmp_path / "z.tif") as made:
        reproject(
            made.read(1),
            expected,
            src_transform=made.transform,
            src_crs=made.crs,
            dst_transform=grid.affine,
            dst_crs=CRS.from_epsg(32654),
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
            tolerance=0,
        )
    both = np.isfinite(expected) & np.isfinite(cube.vv.values[0])
    assert both.mean() > 0.95
    # GDAL's usual approximation is an eighth of a pixel; the surface changes 0.004 per pixel.
    np.testing.assert_allclose(cube.vv.values[0][both], expected[both], atol=6e-4)


def test_no_data_never_bleeds_into_resampled_power(kit: Any, tmp_path: Path) -> None:
    pixels = np.full((40, 40), 0.25, np.float32)
    pixels[:, :10], pixels[:, 10:12], pixels[20:22, 20] = -32768.0, 0.0, -5.0
    kit.cog(tmp_path / "a.tif", pixels)
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    cube = open_cube(
        kit.passes({"pre": [item], "post_1": [item]}),
        kit.box(30, 30, row=3.3, column=3.7),
        bands=("vv",),
    )
    values = cube.vv.values[0]
    np.testing.assert_allclose(values[np.isfinite(values)], 0.25, rtol=1e-5)
    assert np.isnan(values[:, :5]).all()


def test_both_polarisations_count_for_the_observation(kit: Any, tmp_path: Path, power: Any) -> None:
    holed = power.copy()
    holed[5, 7] = 0
    kit.cog(tmp_path / "vv.tif", power)
    kit.cog(tmp_path / "vh.tif", holed)
    item = kit.item("a", {band: tmp_path / f"{band}.tif" for band in ("vv", "vh")})
    cube = open_cube(kit.passes({"pre": [item], "post_1": [item]}), kit.box(20, 20))
    assert set(cube.data_vars) == {"vv", "vh", "observation"}
    assert np.argwhere(cube.observation.values[0] != OBSERVED).tolist() == [[5, 7]]


def test_the_asset_key_comes_from_the_catalogue(kit: Any, tmp_path: Path, power: Any) -> None:
    kit.cog(tmp_path / "a.tif", power)
    item = kit.item("a", {"0_VV": tmp_path / "a.tif"})
    renamed = replace(kit.settings, radar_assets={"vv": "0_VV"})
    passes = kit.passes({"pre": [item], "post_1": [item]}, settings=renamed)
    cube = open_cube(passes, kit.box(3, 3), bands=("vv",))
    np.testing.assert_array_equal(cube.vv.values[0], power[:3, :3])


class TestBadRecords:
    """Refused before anything is read, naming item and asset."""

    def refused(self, kit: Any, item: Any, bands: tuple[str, ...] = ("vv",)) -> str:
        with pytest.raises(RequestError) as caught:
            open_cube(kit.passes({"pre": [item], "post_1": [item]}), kit.box(4, 4), bands=bands)
        return str(caught.value)

    def test_missing_asset(self, kit: Any, tmp_path: Path, power: Any) -> None:
        kit.cog(tmp_path / "a.tif", power)
        message = self.refused(kit, kit.item("S1_x", {"vv": tmp_path / "a.tif"}), ("vv", "vh"))
        assert "'S1_x'" in message
        assert "'vh'" in message
        assert "radar_assets" in message

    def test_no_projection(self, kit: Any) -> None:
        message = self.refused(kit, kit.item("S1_x", {"vv": "http://127.0.0.1:9/a.tif"}))
        assert "'S1_x'" in message
        assert "proj:code" in message

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"proj:epsg": 32654}, "does not say where its pixels lie"),
            ({"proj:code": "EPSG:1"}, "names an unknown projection 'EPSG:1'"),
        ],
    )
    def test_half_a_projection_and_no_file(self, kit: Any, fields: Any, said: str) -> None:
        item = kit.item("S1_x", {"vv": "a.tif"}, properties=fields)
        with pytest.raises(CatalogError, match=f"'S1_x', asset 'vv', whose record {said}"):
            open_cube(kit.passes({"pre": [item], "post_1": [item]}), kit.box(4, 4), bands=("vv",))

    def test_source_form(self, kit: Any, tmp_path: Path, power: Any) -> None:
        kit.cog(tmp_path / "a.tif", power)
        metres = [600_000.0, 4_700_000.0, 700_000.0, 4_800_000.0]
        message = self.refused(kit, kit.item("S1_x", {"vv": tmp_path / "a.tif"}, bbox=metres))
        assert "S1_x" in message
        assert "metres" in message

    def test_unknown_band(self, kit: Any, one_pass: Any) -> None:
        with pytest.raises(RequestError, match="vv, vh, red, green, blue"):
            open_cube(one_pass, kit.box(4, 4), bands=("hh",))

    def test_bad_chunk(self, kit: Any, one_pass: Any) -> None:
        with pytest.raises(RequestError, match="chunk=0"):
            open_cube(one_pass, kit.box(4, 4), bands=("vv",), chunk=0)


def test_projection_fields_of_the_asset_outweigh_the_items(
    kit: Any, tmp_path: Path, power: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    item = kit.item(
        "a",
        {
            "vv": {
                "href": str(tmp_path / "a.tif"),
                "proj:code": "EPSG:32654",
                "proj:bbox": ["600000", "4737000", "602600", "4740000"],
            }
        },
        properties={"proj:epsg": 32601},
    )
    cube = open_cube(kit.passes({"pre": [item], "post_1": [item]}), kit.box(4, 4), bands=("vv",))
    np.testing.assert_array_equal(cube.vv.values[0], power[:4, :4])


class TestOptical:
    """Sentinel-2 through the same door."""

    @pytest.fixture
    def passes(self, kit: Any, tmp_path: Path, power: Any) -> Any:
        kit.cog(tmp_path / "vv.tif", power)
        colours = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)
        kit.cog(tmp_path / "rgb.tif", colours, nodata=0)
        asset = {
            "href": str(tmp_path / "rgb.tif"),
            "raster:bands": [{"nodata": 0, "scale": 1e-4, "offset": -0.1}] * 3,
        }
        optical = kit.item("S2", {"visual": asset, "file": tmp_path / "rgb.tif"})
        settings = replace(
            kit.settings,
            optical_assets={"red": ("visual", 1), "green": ("visual", 2), "blue": ("visual", 3)},
        )
        item = kit.item("a", {"vv": tmp_path / "vv.tif"})
        return kit.passes({"pre": [item], "post_1": [item]}, settings=settings, optical=(optical,))

    def test_reflectance_of_a_multiband_asset(self, passes: Any, kit: Any) -> None:
        cube = open_cube(passes, kit.box(40, 60), bands=("red", "green", "blue"), chunk=16)
        assert cube.green.dims == ("y", "x")
        assert cube.green.dtype == np.float32
        stored = np.arange(3 * 40 * 50, dtype=np.float32).reshape(3, 40, 50)
        np.testing.assert_allclose(cube.green.values[:, :50], stored[1] * 1e-4 - 0.1, atol=1e-6)
        codes = cube.observation_optical.values
        assert (codes[:, 50:] == NO_DATA).all()
        assert codes[0, :2].tolist() == [NO_DATA, OBSERVED]  # the stored red zero is nodata
        assert "observation" not in cube

    def test_the_largest_numbers_are_no_measurement(
        self, kit: Any, tmp_path: Path, power: Any
    ) -> None:
        shades = power.copy()
        shades[0, :3] = np.finfo(np.float32).max, np.finfo(np.float32).min, 1e12
        optical = kit.item("S2", {"red": kit.cog(tmp_path / "red.tif", shades)})
        settings = replace(kit.settings, optical_assets={"red": ("red", 1)})
        passes = kit.passes({"pre": [], "post_1": []}, settings=settings, optical=(optical,))
        cube = open_cube(passes, kit.box(4, 4), bands=("red",))
        np.testing.assert_array_equal(cube.red[0], [np.nan, np.nan, np.nan, power[0, 3]])

    def test_radar_and_optical_together(self, passes: Any, kit: Any) -> None:
        cube = open_cube(passes, kit.box(10, 10), bands=("vv", "red"))
        assert cube.vv.dims == ("time", "y", "x")
        assert cube.red.shape == (10, 10)

    def test_none_found(self, one_pass: Any, kit: Any) -> None:
        with pytest.raises(RequestError, match="optical=True"):
            open_cube(one_pass, kit.box(4, 4), bands=("red",))


def test_a_graph_is_small_and_holds_no_pixels(one_pass: Any, kit: Any) -> None:
    cube = open_cube(one_pass, kit.box(3000, 3000, row=-1000), bands=("vv",), chunk=1000)
    (optimised,) = dask.optimize(cube)
    # Per pass and block: one read with its mosaic, and vv and observation split off it; per file
    # two small ones.
    blocks = 2 * 9
    assert len(dict(optimised.__dask_graph__())) <= 3 * blocks + 2 * 2
    assert len(pickle.dumps(cube)) < 200_000


def test_reads_depend_on_no_other_task_so_that_a_scheduler_can_hold_them_back(
    kit: Any, tmp_path: Path, power: Any
) -> None:
    """distributed queues only tasks that depend on fewer than five: here are five scenes."""
    kit.cog(tmp_path / "one.tif", power)
    roles = ("pre", "pre_2", "pre_3", "post_1", "post_2")
    passes = kit.passes(
        {role: [kit.item(f"S1_{role}", {"vv": tmp_path / "one.tif"})] for role in roles}
    )
    cube = open_cube(passes, kit.box(100, 80), bands=("vv",), chunk=50)
    (optimised,) = dask.optimize(cube.vv.data)
    tasks = dict(optimised.__dask_graph__())
    roots = [key for key, task in tasks.items() if not task.dependencies]
    assert len(roots) == len(roles) * 2 * 2
    reads = {key[0] for key in roots}
    assert len(reads) == 1
    assert {key for key in tasks if key[0] in reads} == set(roots)


def test_blocks_without_a_scene_are_not_read(
    kit: Any, tmp_path: Path, power: Any, files_server: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    item = kit.item("a", {"vv": {"href": f"{files_server.url}/a.tif"}, "f": tmp_path / "a.tif"})
    grid = kit.box(600, 600, row=-300)
    cube = open_cube(kit.passes({"pre": [item], "post_1": [item]}), grid, bands=("vv",), chunk=300)
    cube.vv[:, :300].compute()
    assert files_server.requests == []


def test_a_cube_reads_on_a_distributed_worker(
    one_pass: Any, kit: Any, power: Any, local_workers: Any
) -> None:
    cube = open_cube(one_pass, kit.box(60, 60), bands=("vv",), chunk=32)
    with local_workers(1, threads=2):
        values = cube.vv.compute().values
    np.testing.assert_array_equal(values[0], power[:60, :60])
