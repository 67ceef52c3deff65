"""Several orbits' maps into one: odds, span, counts, reasons, and where each scene came from."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from sarmap.detect.fusion import fuse
from sarmap.errors import RequestError
from sarmap.types import Observation

NAN = np.nan


def orbit(
    probability: Any, observation: Any, *, chunks: int | None = None, **attrs: Any
) -> xr.Dataset:
    layers = [np.atleast_2d(np.float32(probability)), np.atleast_2d(np.uint8(observation))]
    if chunks:
        layers = [da.from_array(layer, chunks=chunks) for layer in layers]
    height, width = layers[0].shape
    return xr.Dataset(
        {"probability": (("y", "x"), layers[0]), "observation": (("y", "x"), layers[1])},
        coords={"y": 1000.0 - 10 * np.arange(height), "x": 10.0 * np.arange(width)},
        attrs=attrs,
    )


def test_odds_of_the_orbits_that_saw_the_pixel_are_multiplied_and_a_third_says_nothing() -> None:
    fused = fuse(
        [
            orbit([0.2, 0.4, NAN, NAN], [0, 0, 3, 1]),
            orbit([0.6, NAN, 0.9, NAN], [0, 3, 0, 3]),
            orbit([0.7, 0.5, NAN, NAN], [0, 0, 2, 3]),
        ]
    )
    np.testing.assert_allclose(fused.probability[0], [7 / 9, 4 / 7, 0.9, NAN], rtol=1e-6)
    np.testing.assert_allclose(fused.disagreement[0], [0.5, 0.1, NAN, NAN], rtol=1e-6)
    np.testing.assert_array_equal(fused.observed_by[0], [3, 2, 1, 0])
    np.testing.assert_array_equal(fused.observation[0], [0, 0, 0, Observation.NO_DATA])


def test_an_orbit_that_cannot_see_a_slope_does_not_outvote_the_one_that_sees_it() -> None:
    fused = fuse([orbit([0.95, 0.95, 0.6], [0, 0, 0]), orbit([1 / 3, 0.1, 0.01], [0, 0, 0])])
    np.testing.assert_allclose(fused.probability[0], [0.95, 38 / 47, 3 / 102], rtol=1e-5)


@pytest.mark.parametrize("codes", list(permutations(Observation, 2)))
def test_one_look_is_enough_else_the_most_severe_reason_is_told(codes: Any) -> None:
    order = [
        Observation.OBSERVED,
        Observation.READ_FAILED,
        Observation.NO_DATA,
        Observation.LAYOVER_SHADOW,
    ]
    fused = fuse([orbit([NAN], [code]) for code in codes])
    assert fused.observation.item() == min(codes, key=order.index)


def test_data_that_could_not_be_read_is_counted_where_another_orbit_saw() -> None:
    fused = fuse([orbit([NAN, NAN], [2, 2]), orbit([0.5, NAN], [0, 2])])
    np.testing.assert_array_equal(fused.observation[0], [0, 2])
    np.testing.assert_array_equal(fused.read_failed_in[0], [1, 2])


def test_types_are_those_of_a_prediction() -> None:
    fused = fuse([orbit([0.5], [0]), orbit([0.5], [0])])
    types = {name: str(variable.dtype) for name, variable in fused.data_vars.items()}
    assert types == {
        "probability": "float32",
        "observation": "uint8",
        "disagreement": "float32",
        "observed_by": "uint8",
        "read_failed_in": "uint8",
    }


def test_it_is_lazy_and_identical_under_every_chunking() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, (2, 30, 20))
    values = np.where(codes == 0, rng.random((2, 30, 20)), NAN)
    whole = fuse([orbit(v, c) for v, c in zip(values, codes, strict=True)])
    cut = fuse([orbit(values[0], codes[0], chunks=7), orbit(values[1], codes[1], chunks=11)])
    assert all(variable.chunks is not None for variable in cut.data_vars.values())
    xr.testing.assert_identical(cut.compute(), whole)


def test_one_orbit_alone_stays_as_it_is() -> None:
    one = orbit([0.25, NAN], [0, 3])
    fused = fuse([one])
    xr.testing.assert_equal(fused[["probability", "observation"]], one)
    assert np.isnan(fused.disagreement).all()


def test_windows_are_fused_where_every_map_has_them() -> None:
    maps = [orbit([0.5], [0]), orbit([0.5], [0])]
    for one, windows in zip(maps, ([0.2, NAN], [0.4, NAN]), strict=True):
        one["window_probability"] = (("window_y", "window_x"), np.float32([windows]))
    np.testing.assert_allclose(fuse(maps).window_probability[0], [0.25, NAN], rtol=1e-6)
    assert "window_probability" not in fuse([maps[0], maps[1].drop_vars("window_probability")])


def test_attributes_name_the_scenes_of_all_orbits() -> None:
    a, b, c = ({"id": name, "orbit_state": "ascending"} for name in "abc")
    fused = fuse(
        [
            orbit([0.5], [0], scenes=json.dumps([a, b]), detector="cnn", tile=25, orbit=68),
            orbit([0.5], [0], scenes=json.dumps([b, c]), detector="cnn", tile=25, orbit=46),
        ]
    )
    assert json.loads(fused.attrs["scenes"]) == [a, b, c]
    assert (fused.attrs["detector"], fused.attrs["tile"]) == ("cnn", 25)
    assert fused.attrs["orbit"] == "[68, 46]"


def test_one_simulated_orbit_makes_a_simulated_map() -> None:
    assert fuse([orbit([0.5], [0], simulated=s) for s in (0, 1)]).attrs["simulated"] == 1


def test_maps_on_other_grids_are_refused() -> None:
    first = orbit([[0.5, 0.5]], [[0, 0]])
    with pytest.raises(RequestError, match="map 2 has"):
        fuse([first, orbit([0.5], [0])])
    with pytest.raises(RequestError, match="differ in coordinate x"):
        fuse([first, first.assign_coords(x=first.x + 5)])
    here, there = (
        first.assign_coords(spatial_ref=xr.DataArray(0, attrs={"crs_wkt": crs}))
        for crs in ("UTM 54", "UTM 53")
    )
    with pytest.raises(RequestError, match="differ in coordinate spatial_ref"):
        fuse([here, there])
    with pytest.raises(RequestError, match="only one of map 1 and map 2 has coordinate spatial"):
        fuse([first, here])


def test_nothing_cannot_be_fused() -> None:
    with pytest.raises(RequestError, match="no map to fuse"):
        fuse([])
