"""Pictures show what the data holds, where it lies, and that it is simulated where it is."""

import json

import dask.array as da
import geopandas
import matplotlib
import numpy as np
import pytest
import shapely
import xarray as xr
from matplotlib.colors import to_rgb

from sarmap import plot
from sarmap.draw.shrink import shrink_codes, shrink_values
from sarmap.errors import RequestError

matplotlib.use("Agg")

ROWS, COLUMNS = 90, 60
LEFT, TOP = 570_000, 4_750_000
ATTRS = {
    "simulated": 1,
    "attribution": "SIMULATED by nobody",
    "scenes": json.dumps(
        [
            {"id": "a", "orbit_state": "ascending", "relative_orbit": 68, "role": "pre",
             "datetime": "2018-09-01T08:34:00+00:00"},
            {"id": "b", "orbit_state": "ascending", "relative_orbit": 68, "role": "post_1",
             "datetime": "2018-09-13T08:34:00+00:00"},
        ]
    ),
}  # fmt: skip


def coordinates():
    return {
        "y": TOP - 10 * (np.arange(ROWS) + 0.5),
        "x": LEFT + 10 * (np.arange(COLUMNS) + 0.5),
        "spatial_ref": (
            (),
            0,
            {"crs_wkt": "EPSG:32654", "GeoTransform": f"{LEFT} 10 0 {TOP} 0 -10"},
        ),
    }


@pytest.fixture
def area():
    probability = np.full((ROWS, COLUMNS), 0.1, np.float32)
    probability[:30, :20] = 0.9
    codes = np.zeros((ROWS, COLUMNS), np.uint8)
    codes[60:, :] = 3
    codes[85:, :] = 1
    probability[codes > 0] = np.nan
    return xr.Dataset(
        {"probability": (("y", "x"), probability), "observation": (("y", "x"), codes)},
        coords=coordinates(),
        attrs=ATTRS,
    ).chunk(25)


@pytest.fixture
def composite():
    data = np.full((3, ROWS, COLUMNS), 0.5, np.float32)
    data[1, :30] = 1.0
    data[2] = 20.0
    coords = coordinates() | {"band": ["vv_pre", "vv_post_1", "slope"]}
    codes = np.zeros((ROWS, COLUMNS), np.uint8)
    coords["observation"] = (("y", "x"), codes)
    return xr.DataArray(
        da.from_array(data, chunks=(1, 25, 25)),
        dims=("band", "y", "x"),
        coords=coords,
        attrs=ATTRS | {"scaling": "amplitude"},
    )


def words(ax):
    return [text.get_text() for text in ax.texts] + [ax.get_title(), ax.get_xlabel()]


def image_of(ax):
    (image,) = ax.get_images()
    return image


def test_probability_lies_where_the_map_does_so_that_polygons_fit_on_top(area):
    ax = plot.plot_probability(area, threshold=0.5)
    assert image_of(ax).get_extent() == [LEFT, LEFT + 600, TOP - 900, TOP]
    values = np.asarray(image_of(ax).get_array().filled(np.nan))
    np.testing.assert_allclose(values, area.probability.values)
    assert to_rgb(ax.get_facecolor()) == to_rgb("#d9d9d9")  # what shows through where it is NaN
    slide = shapely.box(LEFT, TOP - 300, LEFT + 200, TOP)
    geopandas.GeoDataFrame(geometry=[slide], crs=32654).boundary.plot(ax=ax)
    assert ax.get_xlim() == (LEFT, LEFT + 600)


def test_every_picture_says_simulated_its_scenes_and_its_owner(area, composite):
    drawn = [
        plot.plot_probability(area),
        plot.plot_observation(area),
        plot.plot_composite(composite),
        plot.plot_change(composite),
        *plot.plot_pair(composite),
    ]
    for ax in drawn:
        assert "SIMULATED" in words(ax)
        assert ax.get_title().startswith("SIMULATED")
        label = ax.get_xlabel().replace("\n", " ")
        assert "orbit 68, 2018-09-01 to 2018-09-13" in label
        assert "SIMULATED by nobody" in label


def test_a_real_map_does_not_say_simulated(area):
    ax = plot.plot_probability(area.assign_attrs(simulated=0, attribution="Copernicus"))
    assert "SIMULATED" not in " ".join(words(ax))


def test_change_is_in_decibels_whatever_the_scaling(composite):
    expected = 20 * np.log10(2.0)
    power = composite.copy(data=composite.data**2).assign_attrs(scaling="power")
    decibels = composite.copy(data=20 * np.log10(composite.data)).assign_attrs(scaling="db")
    for one in (composite, power, decibels):
        values = np.asarray(image_of(plot.plot_change(one)).get_array())
        np.testing.assert_allclose(values[:30], expected, rtol=1e-5)
        np.testing.assert_allclose(values[30:], 0, atol=1e-5)


def test_the_pair_shares_one_stretch(composite):
    before, after = plot.plot_pair(composite)
    assert image_of(before).get_clim() == image_of(after).get_clim()


def test_false_colour_is_red_before_and_cyan_after(composite):
    picture = np.asarray(image_of(plot.plot_composite(composite)).get_array())
    assert picture[0, 0, 0] < picture[0, 0, 1] == picture[0, 0, 2]  # brighter after: cyan
    assert picture[-1, 0, 0] == picture[-1, 0, 1]  # unchanged: grey


def test_observation_gives_the_share_of_each_reason(area):
    ax = plot.plot_observation(area)
    labels = {text.get_text() for text in ax.get_legend().get_texts()}
    assert labels == {"seen: 66.7 %", "layover or shadow: 27.8 %", "no data: 5.6 %"}


def test_pictures_are_drawn_on_given_axes_and_with_given_colours(area):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert plot.plot_probability(area, ax=ax, cmap="cividis", colorbar=False) is ax
    assert image_of(ax).get_cmap().name == "cividis"
    plt.close("all")


def test_the_accessor_draws_the_same(area, composite):
    assert area.sarmap.simulated
    assert area.sarmap.plot().get_title() == plot.plot_probability(area).get_title()
    assert composite.sarmap.plot().get_title() == plot.plot_composite(composite).get_title()
    assert composite.sarmap.grid.shape == (ROWS, COLUMNS)
    assert composite.sarmap.observation().get_legend() is not None
    with pytest.raises(RequestError, match="Neither a composite nor outcomes"):
        area.probability.sarmap.plot()


def test_outcomes_show_the_colours_of_an_assessment(area):
    codes = np.zeros((ROWS, COLUMNS), np.uint8)
    codes[:10] = 1
    attrs = ATTRS | {"flag_meanings": "true_negative true_positive"}
    outcome = xr.DataArray(codes, dims=("y", "x"), coords=coordinates(), attrs=attrs).chunk(30)
    picture = np.asarray(image_of(outcome.sarmap.plot()).get_array())
    assert picture[0, 0].tolist() == [0, 158, 115]
    assert picture[50, 0].tolist() == [247, 247, 247]
    whole = outcome.drop_attrs(deep=False).to_dataset(name="outcome").reset_coords("spatial_ref")
    ax = whole.assign_attrs(ATTRS).sarmap.plot()  # as `xarray.open_zarr` gives confusion.zarr
    assert ax.get_title().startswith("SIMULATED")


def test_large_maps_are_drawn_from_means_of_seen_pixels(area):
    small = shrink_values(area.probability, 30)
    assert small.shape == (30, 20)
    blocks = area.probability.values.reshape(30, 3, 20, 3)
    seen = ~np.isnan(blocks)
    with np.errstate(invalid="ignore"):
        expected = np.nansum(blocks, axis=(1, 3)) / seen.sum(axis=(1, 3))
    np.testing.assert_allclose(small, expected, rtol=1e-6)
    codes = shrink_codes(area.observation, 30)
    assert codes.shape == (30, 20)
    assert set(np.unique(codes)) == {0, 1, 3}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda a, c: plot.plot_probability(a.drop_vars("observation")),
            "lacks observation",
        ),
        (
            lambda a, c: plot.plot_composite(c, bands=["vv_pre", "x", "slope"]),
            "one or three",
        ),
        (
            lambda a, c: plot.plot_change(c, polarisation="vh"),
            "has no vh_pre and no vh_post_1",
        ),
        (lambda a, c: plot.plot_change(c.assign_attrs(scaling="?")), "not power, amplitude"),
        (lambda a, c: plot.plot_observation(c.drop_vars("observation")), "no `observation`"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(area, composite, call, sentence):
    with pytest.raises(RequestError, match=sentence.replace("?", r"\?")):
        call(area, composite)
