"""From passes that somebody holds to a map, in two lines."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

import sarmap
from sarmap.errors import RequestError

SIZE = 96
Y, X = np.arange(960.0, 0, -10), np.arange(0.0, 960, 10)


def image(seed, factor=1.0, dims=("y", "x"), hh=False):
    rng = np.random.default_rng(seed)
    power = 0.19 * rng.gamma(4.4, 1 / 4.4, (SIZE, SIZE))
    power[40:60, 30:50] *= factor
    layers = xr.Dataset({"hh" if hh else "vv": (("y", "x"), np.float32(power))}, {"y": Y, "x": X})
    return layers.transpose(*dims)


def slope(y=Y, x=X):
    return xr.DataArray(
        np.full((len(y), len(x)), 25, np.float32), dims=("y", "x"), coords={"y": y, "x": x}
    )


def test_a_landslide_is_found_and_quiet_ground_is_not():
    cube = sarmap.make_cube([image(1), image(2)], [image(3, 0.25)])
    result = sarmap.map_cube(cube, sarmap.make_terrain(slope=slope()), detector="change")
    called = result.probability.values > 0.5
    assert called[45:55, 35:45].mean() > 0.9
    assert called[:30].mean() < 0.01
    assert result.observation.dtype == np.uint8


def test_dims_order_and_coordinates_are_the_inputs():
    cube = sarmap.make_cube([image(1, dims=("x", "y"))], [image(2, dims=("x", "y"))])
    result = sarmap.map_cube(cube, detector="change")
    assert result.probability.dims == ("x", "y")
    assert result.x.values.tolist() == X.tolist()


def test_nothing_is_computed_before_it_is_asked_for():
    result = sarmap.map_cube(sarmap.make_cube([image(1)], [image(2)]), detector="change")
    assert result.probability.chunks is not None


def test_levels_and_trust_stand_in_the_attributes():
    lower = [image(5) * np.float32(10**-0.07), image(6) * np.float32(10**-0.07)]
    cube = sarmap.make_cube([image(1), image(2)], lower)
    attrs = sarmap.map_cube(cube, detector="change").attrs
    levels = json.loads(attrs["sarmap:levels"])
    assert [one["role"] for one in levels] == ["pre_2", "pre", "post_1", "post_2"]
    assert levels[2]["vv"] == pytest.approx(-0.7, abs=0.15)
    assert set(attrs["sarmap:trust"]) >= {"fits", "notes"}


def test_a_pixel_that_was_not_seen_has_no_probability():
    before = image(1)
    before["vv"][5, 5] = np.nan
    result = sarmap.map_cube(sarmap.make_cube([before], [image(2)]), detector="change")
    assert np.isnan(result.probability.values[5, 5])
    assert result.observation.values[5, 5] == 1


def test_hh_is_mapped_by_change():
    cube = sarmap.make_cube([image(1, hh=True)], [image(2, 0.2, hh=True)])
    assert (sarmap.map_cube(cube, detector="change").probability.values[45:55, 35:45] > 0.5).any()


def test_terrain_on_another_grid_is_brought_to_the_cubes():
    coarse = slope(np.arange(990.0, -31, -30), np.arange(-30.0, 1000, 30))
    terrain = sarmap.make_terrain(slope=coarse, crs="EPSG:32654")
    cube = sarmap.make_cube([image(1)], [image(2, 0.2)], crs="EPSG:32654")
    result = sarmap.map_cube(cube, terrain, detector="change")
    assert np.isfinite(result.probability.values).all()
    with pytest.raises(RequestError, match="has no CRS"):
        sarmap.map_cube(sarmap.make_cube([image(1)], [image(2)]), sarmap.make_terrain(slope=coarse))


def test_the_map_does_not_depend_on_the_blocks():
    results = [
        sarmap.map_cube(
            sarmap.make_cube([image(1), image(2)], [image(3, 0.25)], chunk=chunk), detector="change"
        ).probability.values
        for chunk in (96, 31)
    ]
    assert np.array_equal(*results)


def fields(seed, right=0.0):
    """Fields with sharp borders, seen by a pass that lies pixels to the right."""
    rng = np.random.default_rng(9)
    field = ndimage.zoom(rng.normal(0, 2.5, (34, 34)), 12, order=0)[:400, :400]
    there = ndimage.shift(field - 8, (0, right), order=1, mode="nearest")
    speckle = np.random.default_rng(seed)
    bands = {
        band: (
            ("y", "x"),
            np.float32(10 ** ((there - low) / 10) * speckle.gamma(4.4, 1 / 4.4, (400, 400))),
        )
        for band, low in (("vv", 0.0), ("vh", 6.0))
    }
    return xr.Dataset(bands, {"y": np.arange(4000.0, 0, -10), "x": np.arange(0.0, 4000, 10)})


def test_a_jump_of_the_passes_after_the_event_is_no_landslide():
    cube = sarmap.make_cube([fields(1), fields(2)], [fields(3, 1.5), fields(4, 1.5)], chunk=200)
    result = sarmap.map_cube(cube)
    assert result.attrs["detector"] == "attention-unet"
    levels = json.loads(result.attrs["sarmap:levels"])
    assert [one.get("moved") for one in levels[:2]] == [None, None]
    for one in levels[2:]:
        assert one["moved"] == pytest.approx([0, 1.5], abs=0.1)
    assert (result.probability.values > 0.5).mean() < 0.002
