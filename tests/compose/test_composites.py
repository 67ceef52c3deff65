"""Cube and terrain become a band stack, with one code per pixel for what was seen."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from sarmap.compose.composites import make_composite
from sarmap.compose.names import COMPOSITES
from sarmap.errors import RequestError

OBSERVED, NO_DATA, READ_FAILED, HIDDEN = 0, 1, 2, 3
ROLES = ("pre_2", "pre", "post_1", "post_2")
ROWS, COLUMNS = 20, 30


@pytest.fixture
def cube() -> xr.Dataset:
    """Four passes of VV and VH, one optical image, all observed."""
    random = np.random.default_rng(3)
    shape = (len(ROLES), ROWS, COLUMNS)
    times = np.datetime64("2018-08-20T08:34:00", "ns") + np.arange(4) * np.timedelta64(12, "D")
    dims = ("time", "y", "x")
    return xr.Dataset(
        {
            "vv": (dims, random.gamma(4.4, 0.05, shape).astype(np.float32)),
            "vh": (dims, random.gamma(4.4, 0.01, shape).astype(np.float32)),
            "observation": (dims, np.zeros(shape, np.uint8)),
            **{
                colour: (("y", "x"), random.random((ROWS, COLUMNS), np.float32))
                for colour in ("red", "green", "blue")
            },
            "observation_optical": (("y", "x"), np.zeros((ROWS, COLUMNS), np.uint8)),
        },
        coords={
            "time": times,
            "role": ("time", list(ROLES)),
            "y": np.arange(ROWS) * -10.0,
            "x": np.arange(COLUMNS) * 10.0,
            "spatial_ref": 0,
        },
        attrs={
            "orbit_state": "ascending",
            "scenes": "[]",
            "attribution": "test",
            "simulated": 1,
            "other": "stays behind",
        },
    )


@pytest.fixture
def terrain(cube: xr.Dataset) -> xr.Dataset:
    """Elevation, slope, incidence and nothing hidden."""
    random = np.random.default_rng(4)
    shape = (ROWS, COLUMNS)
    layers: dict[str, Any] = {
        name: (("y", "x"), random.random(shape, np.float32) * 40)
        for name in ("dem", "slope", "incidence")
    }
    layers["observation"] = (("y", "x"), np.zeros(shape, np.uint8))
    layers["layover_shadow"] = (("y", "x"), np.zeros(shape, bool))
    return xr.Dataset(layers, coords={"y": cube.y, "x": cube.x})


def expected_band(name: str, cube: xr.Dataset, terrain: xr.Dataset) -> Any:
    """A band in amplitude, written out by hand."""
    if name in cube:
        return cube[name].values
    if name in terrain:
        return terrain[name].values
    variable, _, role = name.partition("_")
    amplitude = np.sqrt(cube[variable].values)
    if role == "change":
        return amplitude[ROLES.index("post_1")] - amplitude[ROLES.index("pre")]
    return amplitude[ROLES.index(role)]


@pytest.mark.parametrize("name", sorted(set(COMPOSITES) - {"D_BA_S", "D_BAA_S"}))
@pytest.mark.parametrize("chunk", [7, 100])
def test_every_composite_stacks_its_bands(
    name: str, chunk: int, cube: xr.Dataset, terrain: xr.Dataset
) -> None:
    cut = {"y": chunk, "x": chunk}
    composite = make_composite(cube.chunk({"time": 1, **cut}), terrain.chunk(cut), name)
    assert composite.dims == ("band", "y", "x")
    assert composite.band.values.tolist() == list(COMPOSITES[name].bands)
    assert composite.dtype == np.float32
    assert composite.chunks[0] == (len(COMPOSITES[name].bands),)
    for band in COMPOSITES[name].bands:
        np.testing.assert_allclose(
            composite.sel(band=band).values, expected_band(band, cube, terrain), rtol=1e-6
        )
    assert (composite.observation.values == OBSERVED).all()


def test_it_is_lazy_and_takes_few_tasks(cube: xr.Dataset, terrain: xr.Dataset) -> None:
    cut = {"y": 10, "x": 10}
    composite = make_composite(cube.chunk({"time": 1, **cut}), terrain.chunk(cut), "BAA_S")
    assert isinstance(composite.data, da.Array)
    assert isinstance(composite.observation.data, da.Array)
    assert composite.observation.data.chunks == composite.data.chunks[1:]
    own = [layer for name, layer in composite.data.dask.layers.items() if "compose_block" in name]
    assert [len(layer) for layer in own] == [2 * 3]


def test_attributes_say_what_it_is(cube: xr.Dataset, terrain: xr.Dataset) -> None:
    composite = make_composite(cube, terrain, "BAA_S", scaling="db")
    assert composite.attrs == {
        "scaling": "db",
        "composite": "BAA_S",
        "orbit_state": "ascending",
        "scenes": "[]",
        "attribution": "test",
        "simulated": 1,
    }
    assert "composite" not in make_composite(cube, None, ["vv_pre"]).attrs
    terrain.attrs["attribution"] = "elevation"
    assert make_composite(cube, terrain, ["vv_pre"]).attrs["attribution"] == "test elevation"
    terrain.attrs["attribution"] = "test"
    assert make_composite(cube, terrain, ["vv_pre"]).attrs["attribution"] == "test"
    assert "spatial_ref" in composite.coords


def test_scaling_is_of_radar_bands_only(cube: xr.Dataset, terrain: xr.Dataset) -> None:
    composite = make_composite(cube, terrain, ["vv_pre", "vv_change", "slope", "red"], scaling="db")
    decibel = 10 * np.log10(cube.vv.values)
    np.testing.assert_allclose(composite[0].values, decibel[1], rtol=1e-5)
    np.testing.assert_allclose(composite[1].values, decibel[2] - decibel[1], atol=1e-4)
    np.testing.assert_array_equal(composite[2].values, terrain.slope.values)
    np.testing.assert_array_equal(composite[3].values, cube.red.values)


def test_older_passes_are_not_read(cube: xr.Dataset) -> None:
    lazy = cube.chunk({"time": 1})

    def explode(block: Any) -> Any:
        raise AssertionError("read")

    poison = lazy.vv.isel(time=[0]).data.map_blocks(explode, dtype=np.float32)
    lazy["vv"] = (("time", "y", "x"), da.concatenate([poison, lazy.vv.data[1:]]))
    composite = make_composite(lazy, None, "BAA")
    np.testing.assert_allclose(composite[0].values, np.sqrt(cube.vv.values[1]), rtol=1e-6)


class TestObservation:
    """What is known of a pixel, from all that its bands read."""

    def test_no_data_in_any_band(self, cube: xr.Dataset) -> None:
        cube.vv[2, 3, 4] = np.nan
        cube.observation[2, 3, 4] = NO_DATA
        codes = make_composite(cube, None, "BAA").observation.values
        assert np.argwhere(codes).tolist() == [[3, 4]]
        assert codes[3, 4] == NO_DATA

    def test_a_pass_that_is_not_used_does_not_count(self, cube: xr.Dataset) -> None:
        cube.vv[0, 3, 4] = np.nan
        cube.observation[0, 3, 4] = READ_FAILED
        assert (make_composite(cube, None, "BAA").observation.values == OBSERVED).all()

    def test_a_band_that_is_not_used_does_not_count(self, cube: xr.Dataset) -> None:
        cube.vh[1, 3, 4] = np.nan
        cube.observation[1, 3, 4] = NO_DATA
        assert (make_composite(cube, None, "BAA").observation.values == OBSERVED).all()

    def test_read_failed_outweighs_no_data(self, cube: xr.Dataset) -> None:
        cube.vv[1, 3, 4] = cube.vv[2, 3, 4] = np.nan
        cube.observation[1, 3, 4], cube.observation[2, 3, 4] = NO_DATA, READ_FAILED
        assert make_composite(cube, None, "BAA").observation.values[3, 4] == READ_FAILED

    def test_void_terrain(self, cube: xr.Dataset, terrain: xr.Dataset) -> None:
        terrain.slope[5, 6] = terrain.slope[7, 8] = np.nan
        terrain.observation[5, 6], terrain.observation[7, 8] = NO_DATA, READ_FAILED
        codes = make_composite(cube, terrain, "BAA_S").observation.values
        assert (codes[5, 6], codes[7, 8]) == (NO_DATA, READ_FAILED)
        # Radar alone needs no slope; but who knows what unread hills hide from it?
        codes = make_composite(cube, terrain, "BAA").observation.values
        assert (codes[5, 6], codes[7, 8]) == (OBSERVED, READ_FAILED)
        assert (make_composite(cube, terrain, "RGB").observation.values == OBSERVED).all()

    def test_hidden_ground(self, cube: xr.Dataset, terrain: xr.Dataset) -> None:
        terrain.layover_shadow[5, 6] = terrain.layover_shadow[7, 8] = True
        cube.vv[1, 7, 8] = np.nan
        cube.observation[1, 7, 8] = NO_DATA
        codes = make_composite(cube, terrain, "BAA").observation.values
        assert (codes[5, 6], codes[7, 8]) == (HIDDEN, NO_DATA)
        # The optical camera sees it.
        assert (make_composite(cube, terrain, "RGB").observation.values == OBSERVED).all()

    def test_optical(self, cube: xr.Dataset) -> None:
        cube.red[1, 2] = np.nan
        cube.observation_optical[1, 2] = READ_FAILED
        assert make_composite(cube, None, "RGB").observation.values[1, 2] == READ_FAILED


class TestRefused:
    """One sentence that names what is missing and the argument that brings it."""

    def test_missing_pass(self, cube: xr.Dataset) -> None:
        with pytest.raises(RequestError, match=r"'vv_post_2' needs the pass 'post_2'.*post=2"):
            make_composite(cube.isel(time=[1, 2]), None, "BAA")

    def test_missing_variable(self, cube: xr.Dataset) -> None:
        with pytest.raises(RequestError, match=r"'vh_post_1' needs 'vh'.*bands="):
            make_composite(cube.drop_vars("vh"), None, "BAH")

    def test_missing_terrain(self, cube: xr.Dataset) -> None:
        with pytest.raises(RequestError, match=r"'slope' needs terrain.*open_terrain"):
            make_composite(cube, None, "BAA_S")

    def test_terrain_without_geometry(self, cube: xr.Dataset, terrain: xr.Dataset) -> None:
        with pytest.raises(RequestError, match=r"'incidence'.*passes="):
            make_composite(cube, terrain.drop_vars("incidence"), ["incidence"])

    def test_the_other_orbit(self, cube: xr.Dataset, terrain: xr.Dataset) -> None:
        with pytest.raises(
            RequestError, match=r"descending orbit, but the cube is ascending.*'BA_S'"
        ):
            make_composite(cube, terrain, "D_BA_S")

    def test_another_grid(self, cube: xr.Dataset, terrain: xr.Dataset) -> None:
        with pytest.raises(RequestError, match="different grids"):
            make_composite(cube, terrain.assign_coords(x=terrain.x + 10), "BAS")

    def test_unknown_scaling(self, cube: xr.Dataset) -> None:
        with pytest.raises(RequestError, match="scaling='linear'"):
            make_composite(cube, None, "BAA", scaling="linear")  # type: ignore[arg-type]
