"""Passes and terrain that somebody holds already: arrays and files to a cube."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

from sarmap.acquire.arrays import make_cube, make_terrain
from sarmap.errors import RequestError
from sarmap.mapping import judge
from sarmap.types import Observation

COORDS = {"y": [25.0, 15.0, 5.0], "x": [5.0, 15.0]}


def image(value=0.1, bands=("vv", "vh"), coords=COORDS):
    return xr.Dataset(
        {band: (("y", "x"), np.full((3, 2), value, np.float32)) for band in bands}, coords=coords
    )


def test_roles_count_away_from_the_event():
    cube = make_cube([image()] * 3, [image()] * 2)
    assert cube.role.values.tolist() == ["pre_3", "pre_2", "pre", "post_1", "post_2"]


def test_dates_alone_will_do_and_zones_become_utc():
    cube = make_cube([image()], [image()], times=["2024-01-01", "2024-01-13T03:00+09:00"])
    assert str(cube.time.values[0])[:16] == "2024-01-01T00:00"
    assert str(cube.time.values[1])[:16] == "2024-01-12T18:00"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1e-4])
def test_what_is_no_measurement_is_no_data(bad):
    one = image(bands=("vv",))
    one["vv"][1, 1] = bad
    cube = make_cube([one], [image(bands=("vv",))])
    assert np.isnan(cube.vv.values[0, 1, 1])
    assert cube.observation.values[0, 1, 1] == Observation.NO_DATA
    assert (cube.observation.values == Observation.OBSERVED).sum() == 11


@pytest.mark.parametrize(("scaling", "value"), [("amplitude", 0.1**0.5), ("db", -10.0)])
def test_amplitude_and_decibels_become_power(scaling, value):
    cube = make_cube([image(value)], [image(value)], scaling=scaling)
    assert cube.vv.values == pytest.approx(0.1)


def test_coordinates_and_crs_are_kept():
    cube = make_cube([image()], [image()], crs="EPSG:32654")
    assert cube.y.values.tolist() == COORDS["y"]
    assert cube.rio.crs.to_epsg() == 32654


@pytest.mark.parametrize("name", ["frequency_band", "sar:frequency_band"])
def test_arrays_of_another_wavelength_say_so_and_no_network_is_trusted(name):
    assert make_cube([image()], [image()]).attrs["frequency_band"] == "C"
    cube = make_cube([image()], [image().assign_attrs({name: "L"})])
    notes = {note.code: note.text for note in judge(cube, None).trust.notes}
    assert "L-band" in notes["wavelength"]


def test_a_file_of_another_wavelength_says_so_by_its_name(tmp_path):
    files = [write(tmp_path / f"{name}.tif", np.full((4, 5), 0.2)) for name in ("S1A", "SAOCOM1A")]
    cubes = [make_cube(files[:1], [file]) for file in files]
    assert [one.attrs["frequency_band"] for one in cubes] == ["C", "L"]


def test_passes_cut_out_of_a_series_are_passes():
    series = xr.concat([image(0.1), image(0.4)], "time").assign_coords(time=[0, 1])
    cube = make_cube([series.isel(time=0)], [series.isel(time=1)])
    assert cube.vv.values[:, 0, 0] == pytest.approx([0.1, 0.4])
    assert cube.y.values.tolist() == COORDS["y"]


@pytest.mark.parametrize(
    ("pre", "post", "how", "sentence"),
    [
        ([], [image()], {}, "0 passes before"),
        ([image()], [image(bands=("vv",))], {}, "give all passes the same bands"),
        ([image()], [image(coords={"y": [35.0, 15.0, 5.0], "x": [5.0, 15.0]})], {}, "another grid"),
        ([image()], [image()], {"scaling": "sigma"}, "scaling='sigma' is unknown"),
        ([image()], [image()], {"scaling": "dn"}, "do not say their factor"),
        ([image()], [image()], {"times": ["2024-01-01"]}, "1 instants for 2 passes"),
        ([image()], [image()], {"times": ["2024-02-01", "2024-01-01"]}, "do not rise"),
        ([image()], ["after.tif"], {}, "Some passes are arrays"),
        ([xr.Dataset()], [image()], {}, "name its variables vv, vh, hh, hv"),
    ],
)
def test_what_cannot_be_a_cube_is_said(pre, post, how, sentence):
    with pytest.raises(RequestError, match=sentence):
        make_cube(pre, post, **how)


CORNER = Affine(10, 0, 500_000, 0, -10, 4_700_000)


def write(path, values, *, transform=CORNER, names=()):
    values = np.float32(values).reshape(-1, *np.shape(values)[-2:])
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(values),
        height=values.shape[1],
        width=values.shape[2],
        dtype="float32",
        crs="EPSG:32654",
        transform=transform,
    ) as file:
        file.write(values)
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)
    return path


def test_one_file_for_each_polarisation(tmp_path):
    vv, vh = (
        write(tmp_path / f"S1A_RTC_{name}.tif", np.full((4, 5), value))
        for name, value in (("VV", 0.2), ("VH", 0.05))
    )
    cube = make_cube([{"vv": vv, "vh": vh}], [{"vv": vv, "vh": vh}])
    assert cube.vv.values == pytest.approx(0.2)
    assert cube.vh.values == pytest.approx(0.05)
    assert cube.x.values[0] == 500_005


@pytest.mark.parametrize("names", [("VV", "VH"), ("Gamma0_VH", "Gamma0_VV"), ()])
def test_two_bands_by_their_descriptions_else_vv_then_vh(tmp_path, names):
    bands = np.stack([np.full((4, 5), 0.2), np.full((4, 5), 0.05)])
    path = write(tmp_path / "pass.tif", bands, names=names)
    cube = make_cube([path], [path])
    swapped = bool(names) and names[0].endswith("VH")
    assert cube.vv.values == pytest.approx(0.05 if swapped else 0.2)


@pytest.mark.parametrize(
    ("scaling", "stored", "scale"),
    [("amplitude", 0.5, 1.0), ("db", -6.0206, 1.0), ("db", -602.06, 0.01), ("dn", 500, 0.001)],
)
def test_files_are_read_as_told_with_their_own_factor(tmp_path, scaling, stored, scale):
    path = write(tmp_path / "a_vv.tif", np.full((12, 10), stored))
    with rasterio.open(path, "r+") as file:
        file.scales = (scale,)
    cube = make_cube([path], [path], scaling=scaling)
    assert cube.vv.values == pytest.approx(0.25, rel=1e-4)


def test_files_of_decibel_told_as_power_are_refused_when_they_are_read(tmp_path):
    path = write(tmp_path / "a_vv.tif", np.full((12, 10), -6.0))
    cube = make_cube([path], [path])
    with pytest.raises(RequestError, match=r"a_vv\.tif.*cannot be power.*--scaling db"):
        cube.vv.compute()


def test_digital_numbers_without_a_factor_are_refused(tmp_path):
    path = write(tmp_path / "a_vv.tif", np.full((12, 10), 500))
    with pytest.raises(RequestError, match="by what factor"):
        make_cube([path], [path], scaling="dn").vv.compute()


def test_files_on_another_grid_are_warped_to_the_first(tmp_path):
    ramp = np.tile(np.linspace(0.1, 0.2, 40), (30, 1))
    first = write(tmp_path / "a_vv.tif", ramp[:, :20])
    moved = Affine(10, 0, 499_950, 0, -10, 4_700_050)
    other = write(tmp_path / "b_vv.tif", np.full((40, 40), 0.3), transform=moved)
    cube = make_cube([first], [other])
    assert cube.vv.shape == (2, 30, 20)
    assert cube.vv.values[1] == pytest.approx(0.3)


def test_a_file_without_a_projection_is_named(tmp_path):
    path = tmp_path / "grd.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=4, width=4, dtype="float32"
    ) as file:
        file.write(np.ones((1, 4, 4), np.float32))
    with pytest.raises(RequestError, match=r"grd.tif has no map projection.*RTC"):
        make_cube([path], [path])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"gone\.tif cannot be opened"):
        make_cube([tmp_path / "gone.tif"], [tmp_path / "gone.tif"])


def test_slope_is_derived_from_elevation_in_metres_or_degrees():
    plane = np.tile(np.float32([0, 10, 20, 30]), (4, 1))
    metres = xr.DataArray(
        plane, dims=("y", "x"), coords={"y": np.arange(30.0, -1, -10), "x": np.arange(0.0, 31, 10)}
    )
    assert make_terrain(metres).slope.values[1:-1, 1:-1] == pytest.approx(45, abs=0.01)
    step = 10 / 111_320
    degrees = metres.assign_coords(y=[3e-4, 2e-4, 1e-4, 0.0], x=step * np.arange(4))
    assert make_terrain(degrees).slope.values[1:-1, 1:-1] == pytest.approx(45, abs=0.1)


def test_slope_that_is_given_is_used():
    slope = xr.DataArray(np.full((3, 2), 12, np.float32), dims=("y", "x"), coords=COORDS)
    terrain = make_terrain(slope * 0, slope=slope, incidence=slope * 3)
    assert terrain.slope.values == pytest.approx(12)
    assert terrain.incidence.values == pytest.approx(36)


def test_terrain_of_nothing_and_elevation_without_metres_are_refused():
    with pytest.raises(RequestError, match="got nothing"):
        make_terrain()
    with pytest.raises(RequestError, match="no coordinates"):
        make_terrain(np.zeros((4, 4)))
