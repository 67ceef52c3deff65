"""What a view reads: the window in view, no finer than the screen, whatever the map's size."""

import numpy as np
import pytest
import xarray as xr

import sarmap
from sarmap.errors import RequestError
from sarmap.plot.interactive import open_source, view_of

ROWS, COLUMNS = 300, 200
LEFT, TOP = 570_000, 4_750_000


@pytest.fixture
def area():
    probability = np.linspace(0, 1, ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)
    codes = np.zeros((ROWS, COLUMNS), np.uint8)
    codes[:10] = 1
    probability[:10] = np.nan
    return xr.Dataset(
        {"probability": (("y", "x"), probability), "observation": (("y", "x"), codes)},
        coords={
            "y": TOP - 10 * (np.arange(ROWS) + 0.5),
            "x": LEFT + 10 * (np.arange(COLUMNS) + 0.5),
            "spatial_ref": ((), 0, {"crs_wkt": "EPSG:32654"}),
        },
        attrs={"simulated": 1},
    ).chunk(64)


@pytest.fixture
def sources(area, tmp_path):
    sarmap.write_cog(area, tmp_path / "map.tif")
    sarmap.write_zarr(area, tmp_path / "map.zarr")
    return {
        "dataset": open_source(area),
        "tif": open_source(tmp_path / "map.tif"),
        "zarr": open_source(str(tmp_path / "map.zarr")),
    }


def test_the_whole_map_is_thinned_to_the_screen(sources):
    for source in sources.values():
        view = view_of(source, None, None, 50, 50)
        assert view.values.shape == (50, 34)
        assert view.bounds == (LEFT, TOP - 3000, LEFT + 2000, TOP)


def test_a_small_window_is_shown_pixel_by_pixel(sources, area):
    x, y = (LEFT + 395.0, LEFT + 501.0), (TOP - 1000.0, TOP - 905.0)
    for source in sources.values():
        view = view_of(source, x, y, 50, 50)
        assert view.bounds == (LEFT + 390, TOP - 1000, LEFT + 510, TOP - 900)
        expected = area.probability[90:100, 39:51].values
        np.testing.assert_allclose(view.values, expected, atol=0.003)


def test_what_was_not_seen_stays_unseen(sources):
    for source in sources.values():
        view = view_of(source, None, (TOP - 80.0, TOP), 500, 500)
        assert np.isnan(view.values).all()


def test_a_view_beside_the_map_does_not_fail(sources):
    for source in sources.values():
        view = view_of(source, (0.0, 10.0), (0.0, 10.0), 50, 50)
        assert view.values.shape == (1, 1)


def test_the_picture_says_simulated_and_follows_the_view(area):
    holoviews = pytest.importorskip("holoviews")
    shown = sarmap.plot.explore(area, width=50, height=50)
    picture = shown[()]
    assert isinstance(picture, holoviews.Image)
    title = holoviews.Store.lookup_options("bokeh", picture, "plot").kwargs["title"]
    assert title.startswith("SIMULATED")
    whole = shown[()].dimension_values("probability", flat=False)
    shown.event(x_range=(LEFT + 390, LEFT + 500), y_range=(TOP - 1000, TOP - 900))
    assert whole.shape == (50, 34)
    assert shown[()].dimension_values("probability", flat=False).shape == (10, 11)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (lambda a, p: a.drop_vars("probability"), "lacks probability"),
        (lambda a, p: p / "nothing.tif", "cannot be opened"),
        (lambda a, p: p / "nothing.zarr", "is not a map"),
    ],
)
def test_what_is_no_map_is_refused_in_a_sentence(area, tmp_path, source, sentence):
    with pytest.raises(RequestError, match=sentence):
        sarmap.plot.explore(source(area, tmp_path))
