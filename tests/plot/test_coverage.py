"""Coverage is drawn from codes and footprints; smoothing is of power; colours can be chosen."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

import sarmap
from sarmap.errors import RequestError

matplotlib.use("Agg")

ROWS, COLUMNS = 40, 30
LEFT, TOP = 570_000, 4_750_000


def coordinates():
    return {
        "y": TOP - 10 * (np.arange(ROWS) + 0.5),
        "x": LEFT + 10 * (np.arange(COLUMNS) + 0.5),
        "spatial_ref": ((), 0, {"crs_wkt": "EPSG:32654"}),
    }


@pytest.fixture
def cube():
    codes = np.zeros((3, ROWS, COLUMNS), np.uint8)
    codes[0, :10] = 1  # the first pass misses a quarter
    codes[:, :4] = 1  # all miss a tenth
    return xr.Dataset(
        {"observation": (("time", "y", "x"), codes)},
        coords=coordinates(),
        attrs={"simulated": 1, "attribution": "SIMULATED by nobody"},
    ).chunk(10)


@pytest.fixture
def passes():
    import datetime as dt

    box = shapely.box(141.8, 42.8, 141.9, 42.95)
    scene = SimpleNamespace(id="a", geometry=shapely.geometry.mapping(box))
    return [
        SimpleNamespace(
            role=role,
            datetime=dt.datetime(2018, 9, day, 8, 34, tzinfo=dt.UTC),
            orbit_state="ascending",
            relative_orbit=68,
            items=(scene,),
            coverage=0.5,
        )
        for role, day in (("pre", 1), ("post_1", 13))
    ]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_coverage_counts_the_passes_that_saw_each_pixel(cube):
    ax = sarmap.plot.plot_coverage(cube)
    assert legend(ax) == ["in 3 passes: 75.0 %", "in 2 passes: 15.0 %", "in no pass: 10.0 %"]
    assert ax.get_title().startswith("SIMULATED")
    assert cube.sarmap.coverage().get_title() == ax.get_title()


def test_coverage_needs_passes(cube):
    with pytest.raises(RequestError, match="time, y, x"):
        sarmap.plot.plot_coverage(cube.isel(time=0))


def test_footprints_name_each_pass_and_its_share(passes):
    class Found(list):
        catalog = SimpleNamespace(attribution="SIMULATED by nobody")
        simulated = True

    grid = GeoBox((ROWS, COLUMNS), matplotlib_affine(), "EPSG:32654")
    ax = sarmap.plot.plot_footprints(Found(passes), grid)
    assert legend(ax) == [
        "pre: 2018-09-01 08:34 UTC, 50 %",
        "post_1: 2018-09-13 08:34 UTC, 50 %",
    ]
    assert "SIMULATED" in [text.get_text() for text in ax.texts]
    assert "2018-09-01 to 2018-09-13" in ax.get_xlabel().replace("\n", " ")


def matplotlib_affine():
    from affine import Affine

    return Affine(10, 0, LEFT, 0, -10, TOP)


def test_colours_of_codes_can_be_chosen(cube):
    one = cube.isel(time=0)
    ax = sarmap.plot.plot_observation(one, colors={1: "#102030"})
    (image,) = ax.get_images()
    assert np.asarray(image.get_array())[0, 0].tolist() == [0x10, 0x20, 0x30]


def test_change_is_averaged_as_power_not_as_decibels():
    power = np.ones((2, ROWS, COLUMNS), np.float32)
    power[1, ::2] = 3.0  # every other row triples: the mean over squares doubles
    for scaling, values in (
        ("power", power),
        ("amplitude", np.sqrt(power)),
        ("db", 10 * np.log10(power)),
    ):
        composite = xr.DataArray(
            values,
            dims=("band", "y", "x"),
            coords=coordinates() | {"band": ["vv_pre", "vv_post_1"]},
            attrs={"scaling": scaling},
        )
        (image,) = sarmap.plot.plot_change(composite, window=2).get_images()
        shown = np.asarray(image.get_array())
        assert shown.shape == (ROWS // 2, COLUMNS // 2)
        np.testing.assert_allclose(shown, 10 * np.log10(2), rtol=1e-5)
        with pytest.raises(RequestError, match="at least 1"):
            sarmap.plot.plot_change(composite, window=0)


def test_one_band_is_drawn_in_the_colours_asked_for():
    composite = xr.DataArray(
        np.linspace(0, 1, ROWS * COLUMNS, dtype=np.float32).reshape(1, ROWS, COLUMNS),
        dims=("band", "y", "x"),
        coords=coordinates() | {"band": ["slope"]},
        attrs={"scaling": "amplitude"},
    )
    (image,) = sarmap.plot.plot_composite(composite, bands=["slope"], cmap="cividis").get_images()
    assert image.get_cmap().name == "cividis"
    low, high = image.get_clim()
    assert (round(low, 2), round(high, 2)) == (0.02, 0.98)
