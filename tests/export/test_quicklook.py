"""The picture shows what the map says, loudly where it is simulated, and stays small."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from sarmap.draw.colours import AT_EDGE, YELLOW, display_bands, hatched
from sarmap.draw.panels import Extent, Image, busiest_square, draw_outlines, radar_image
from sarmap.draw.shrink import composite_overview, decimate, square_edge
from sarmap.errors import OutputError, RequestError
from sarmap.export import quicklook
from sarmap.export.polygons import polygonise, write_polygons
from sarmap.export.quicklook import write_quicklook
from sarmap.store.reading import open_reader
from sarmap.store.result import write_zarr

BANDS = ["vv_pre", "vv_post_1", "slope"]


def make_map(shape=(300, 240), simulated=1):
    rng = np.random.default_rng(4)
    probability = np.full(shape, 0.05, np.float32)
    probability[shape[0] // 2 : shape[0] // 2 + 30, shape[1] // 2 : shape[1] // 2 + 20] = 0.9
    observation = np.zeros(shape, np.uint8)
    observation[:40, :50], observation[-40:, :50], observation[:40, -50:] = 1, 2, 3
    probability[observation != 0] = np.nan
    dataset = xr.Dataset(
        {
            "probability": (("y", "x"), probability),
            "observation": (("y", "x"), observation),
            "slope": (("y", "x"), rng.uniform(0, 40, shape).astype(np.float32)),
        },
        coords={
            "y": 4800000 - 10 * (np.arange(shape[0]) + 0.5),
            "x": 500005 + 10.0 * np.arange(shape[1]),
        },
        attrs={
            "simulated": simulated,
            "attribution": "Contains modified Copernicus Sentinel data 2018",
            "detector": "log-ratio",
            "sarmap:event": '["2018-09-05T18:08:00+00:00"]',
            "scenes": [
                {"id": "A", "role": "pre", "datetime": "2018-09-01T08:34:00Z",
                 "orbit_state": "ascending", "relative_orbit": 68},
                {"id": "B", "role": "post_1", "datetime": "2018-09-13T08:34:00Z",
                 "orbit_state": "ascending", "relative_orbit": 68},
            ],
        },
    )  # fmt: skip
    dataset.coords["spatial_ref"] = ((), 0, {"crs_wkt": "EPSG:32654"})
    return dataset


def make_composite(dataset, bands=BANDS, scaling="amplitude"):
    rng = np.random.default_rng(5)
    shape = (len(bands), dataset.sizes["y"], dataset.sizes["x"])
    values = rng.gamma(4.4, 0.1, shape).astype(np.float32)
    return xr.DataArray(
        da.from_array(values, chunks=(len(bands), 64, 64)),
        dims=("band", "y", "x"),
        coords={"band": bands, "y": dataset["y"].values, "x": dataset["x"].values},
        attrs={"scaling": scaling},
    )


def pixels(file):
    with Picture.open(file) as image:
        return np.asarray(image.convert("RGB")).astype(int), dict(image.text)


def near(image, colour):
    """How many pixels have about a colour."""
    return int((np.abs(image - np.array(colour)).sum(axis=2) < 12).sum())


def test_a_stored_map_with_its_overview_becomes_a_picture(tmp_path):
    dataset = make_map()
    store = write_zarr(dataset.chunk(100), tmp_path / "map.zarr")
    overview = composite_overview(make_composite(dataset)).compute()
    image, text = pixels(write_quicklook(store, tmp_path / "a.png", overview=overview))
    assert image.shape[0] > 1000
    assert near(image, (255, 225, 77)) > 100  # outlines
    assert near(image, (217, 217, 217)) > 500  # ground of 'no data'
    assert text["SIMULATED"] == "YES"
    assert text["Source"] == "A, B"
    assert "Copernicus" in text["Copyright"]


def test_only_a_simulated_map_is_marked_in_red(tmp_path):
    red = {}
    for simulated in (0, 1):
        file = tmp_path / f"{simulated}.png"
        image, text = pixels(write_quicklook(make_map(simulated=simulated), file))
        red[simulated] = near(image, (0xB0, 0, 0x20))
        assert text["SIMULATED"] == ("YES" if simulated else "NO")
        assert text["Title"].startswith("SIMULATED") == bool(simulated)
    assert red[0] == 0
    assert red[1] > 200


def test_a_map_of_two_orbits_shows_where_they_disagree(tmp_path):
    dataset = make_map()
    one, _ = pixels(write_quicklook(dataset, tmp_path / "one.png"))
    dataset["disagreement"] = dataset["probability"] * 0 + 1
    store = write_zarr(dataset.chunk(100), tmp_path / "map.zarr")
    two, _ = pixels(write_quicklook(store, tmp_path / "two.png"))
    assert two.shape[1] > 1.5 * one.shape[1]
    assert near(two, (0, 0, 4)) > 10 * near(one, (0, 0, 4))  # the end of the colour scale


def test_given_polygons_are_the_ones_drawn(tmp_path):
    dataset = make_map()
    none = polygonise(dataset, min_area=1e9)
    file = write_polygons(dataset, tmp_path / "p.parquet")[0]
    blue = {}
    for name, polygons in (("none", none), ("file", file), ("own", None)):
        image, _ = pixels(write_quicklook(dataset, tmp_path / f"{name}.png", polygons=polygons))
        blue[name] = near(image, (0, 0x6B, 0xA4))
    assert blue["file"] == blue["own"] > blue["none"]


@pytest.fixture
def coarse(monkeypatch):
    """Pictures of a quarter of the pixels a side, where it is not their detail that counts."""
    monkeypatch.setattr(quicklook, "_DPI", 40)


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (500, 90), (90, 500)])
def test_maps_of_every_shape_can_be_drawn(tmp_path, shape, coarse):
    dataset = make_map(shape)
    dataset["spatial_ref"].attrs["GeoTransform"] = "500000 10 0 4800000 0 -10"
    image, _ = pixels(
        write_quicklook(
            dataset, tmp_path / "a.png", overview=composite_overview(make_composite(dataset))
        )
    )
    assert 80 < max(image.shape[:2]) < 1600


@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    blocks=st.tuples(st.integers(3, 20), st.integers(3, 20)),
    max_size=st.integers(1, 25),
)
@settings(max_examples=25, deadline=None)
def test_an_overview_is_the_mean_of_seen_pixels_whatever_the_blocks(shape, blocks, max_size):
    rng = np.random.default_rng(1)
    values = rng.random((2, *shape), dtype=np.float32)
    values[:, rng.random(shape) < 0.3] = np.nan
    composite = xr.DataArray(
        da.from_array(values, chunks=(1, *blocks)),
        dims=("band", "y", "x"),
        coords={"band": BANDS[:2], "y": -10.0 * np.arange(shape[0]), "x": np.arange(shape[1])},
    )
    edge = square_edge(*shape, max_size)
    found = composite_overview(composite, max_size)
    high, wide = min(edge, shape[0]), min(edge, shape[1])
    rows, columns = shape[0] // high, shape[1] // wide
    found = found.compute()
    assert found.shape == (2, rows, columns)
    assert max(rows, columns) <= max_size
    for row in range(rows):
        for column in range(columns):
            square = values[:, row * high : (row + 1) * high, column * wide : (column + 1) * wide]
            expected = [band[~np.isnan(band)].mean() if (~np.isnan(band)).any() else np.nan
                        for band in square]  # fmt: skip
            np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-5)
    assert found["y"][0] == pytest.approx(np.mean(-10.0 * np.arange(high)))


@given(shape=st.tuples(st.integers(1, 20), st.integers(1, 20)), max_size=st.integers(1, 25))
@settings(max_examples=25, deadline=None)
def test_decimation_keeps_the_highest_seen_probability_and_the_commonest_code(shape, max_size):
    dataset = make_map((90, 80)).isel(y=slice(30, 30 + shape[0]), x=slice(30, 30 + shape[1]))
    dataset["spatial_ref"].attrs["GeoTransform"] = "500000 10 0 4800000 0 -10"
    small = decimate(open_reader(dataset), max_size)
    edge = small.edge
    probability, codes = dataset["probability"].values, dataset["observation"].values
    for (row, column), level in np.ndenumerate(small.probability):
        part = (slice(row * edge, (row + 1) * edge), slice(column * edge, (column + 1) * edge))
        seen = probability[part][~np.isnan(probability[part])]
        expected = 255 if seen.size == 0 else round(float(seen.max()) * 250)
        assert abs(int(level) - expected) <= 1
        counts = np.bincount(codes[part].ravel(), minlength=4)
        assert counts[small.observation[row, column]] == counts.max()


def test_decimation_is_the_same_in_strips(monkeypatch):
    from sarmap.store import reading

    reader = open_reader(make_map())
    whole = decimate(reader, 50)
    monkeypatch.setattr(reading, "_STRIP_PIXELS", 10_000)
    cut = decimate(open_reader(make_map().chunk(16)), 50)
    np.testing.assert_array_equal(whole.probability, cut.probability)
    np.testing.assert_array_equal(whole.observation, cut.observation)
    assert whole.edge == 6


def test_false_colour_is_red_before_cyan_after_and_grey_where_nothing_changed():
    dataset = make_map((60, 60))
    composite = make_composite(dataset).compute()
    composite[:] = np.linspace(0.2, 0.8, 60)[None, None, :]
    composite[0, :20] = 1.5
    composite[1, 40:] = 1.5
    image = radar_image(composite_overview(composite)).pixels
    assert image[10, 30, 0] > image[10, 30, 1]
    assert image[50, 30, 1] > image[50, 30, 0]
    np.testing.assert_allclose(image[30, :, 0], image[30, :, 1])


def test_power_is_shown_as_amplitude():
    dataset = make_map((60, 60))
    power = make_composite(dataset, scaling="power")
    amplitude = (power**0.5).assign_attrs(scaling="amplitude")
    np.testing.assert_allclose(
        radar_image(composite_overview(power)).pixels,
        radar_image(composite_overview(amplitude)).pixels,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("bands", "shown"),
    [
        (["vv_pre", "vv_post_1", "vh_post_1"], ("vv_pre", "vv_post_1", "vv_post_1")),
        (["vh_pre", "vh_post_1", "vh_post_2"], ("vh_pre", "vh_post_1", "vh_post_1")),
        (["vv_post_1", "vh_post_1", "dem"], ("vv_post_1",)),
        (["red", "green", "blue"], ("red", "green", "blue")),
        (["slope"], ("slope",)),
    ],
)
def test_every_composite_of_the_papers_has_display_bands(bands, shown):
    assert display_bands(bands) == shown


@pytest.mark.parametrize("bands", [["vv_post_1"], ["red", "green", "blue"]])
def test_one_band_and_three_of_light_can_be_drawn(tmp_path, bands, coarse):
    dataset = make_map((120, 90))
    write_quicklook(
        dataset, tmp_path / "a.png", overview=composite_overview(make_composite(dataset, bands))
    )


def test_the_close_look_is_where_most_landslide_is():
    dataset = make_map((300, 240))
    small = decimate(open_reader(dataset))
    whole = Extent(500_000, 502_400, 4_797_000, 4_800_000)
    square = busiest_square((small.probability >= 125) & (small.probability < 255), whole)
    assert square.west <= 501_200.1
    assert square.east >= 501_399.9
    assert square.south <= 4_798_200.1
    assert square.north >= 4_798_499.9
    assert square.width == pytest.approx(square.height)
    assert busiest_square(small.probability == 250, whole) is None


def test_unseen_pixels_are_opaque_and_differ_by_reason():
    dataset = make_map()
    image = hatched(decimate(open_reader(dataset)).observation)
    opaque = image[..., 3] == 255
    np.testing.assert_array_equal(opaque, dataset["observation"].values != 0)
    grounds = {tuple(image[place]) for place in ((5, 12), (-40, 5), (5, -1), (20, 25))}
    assert len(grounds) > 2


def test_part_of_an_image_lies_where_it_lay():
    image = Image(np.arange(100).reshape(10, 10, 1), Extent(0, 10, 0, 10))
    part = image.part(Extent(2.5, 4.5, 6.2, 7.9))
    assert part.pixels[0, 0, 0] == 22
    assert part.extent == Extent(2, 5, 6, 8)


def test_existing_misnamed_and_unwritable_files_are_refused(tmp_path):
    dataset = make_map((60, 50))
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(RequestError, match="overwrite=True"):
        write_quicklook(dataset, tmp_path / "a.png")
    with pytest.raises(RequestError, match=r"\.png"):
        write_quicklook(dataset, tmp_path / "a.jpg")
    with pytest.raises(OutputError, match="cannot be written"):
        write_quicklook(dataset, tmp_path / "a.png" / "b.png")


def test_outlines_at_the_edge_of_what_was_seen_are_grey():
    import geopandas
    import shapely
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure

    shapes = [
        shapely.box(0, 0, 9, 9).difference(shapely.box(2, 2, 3, 3)),
        shapely.box(20, 0, 30, 9),
    ]
    panel = Figure().add_axes((0, 0, 1, 1))
    draw_outlines(
        panel, geopandas.GeoDataFrame({"at_edge": [True, False]}, geometry=shapes), YELLOW, 1
    )
    colours = [tuple(one) for one in panel.collections[0].get_colors()]
    assert colours == [to_rgba(AT_EDGE)] * 2 + [to_rgba(YELLOW)]
