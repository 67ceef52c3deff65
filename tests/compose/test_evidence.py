"""Evidence of change: all passes, levelled, in decibels and in the place's noise."""

import numpy as np
import pytest
import xarray as xr

from sarmap.acquire.arrays import make_cube, make_terrain
from sarmap.compose.composites import make_composite
from sarmap.compose.evidence import NEUTRAL
from sarmap.compose.names import EVIDENCE
from sarmap.errors import RequestError
from sarmap.types import Observation

SIZE = 96


def passes(count, *, factor=1.0, seed=0, bands=("vv", "vh"), looks=4.4):
    """Passes of forest with a square in the middle that changes by a factor."""
    made = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        layers = {}
        for band, level in zip(("vv", "vh"), (0.19, 0.05), strict=True):
            power = level * rng.gamma(looks, 1 / looks, (SIZE, SIZE))
            power[40:56, 40:56] *= factor
            layers[band] = (("y", "x"), np.float32(power))
        made.append(xr.Dataset({band: layers[band] for band in bands}))
    return made


def evidence(pre, post, terrain=None, bands=(*EVIDENCE, "slope", "incidence"), **kwargs):
    return make_composite(make_cube(pre, post, **kwargs), terrain, bands, scaling="db")


def test_a_change_is_told_in_decibels_and_in_noise():
    made = evidence(passes(3), passes(2, factor=0.25, seed=9))
    inside = made.isel(y=slice(42, 54), x=slice(42, 54)).mean(("y", "x"))
    assert float(inside.sel(band="vv_levelled_change")) == pytest.approx(-6.02, abs=0.3)
    assert float(inside.sel(band="vv_change_in_noise")) < -8
    assert float(inside.sel(band="vv_mean_before")) == pytest.approx(-7.2 - 0.51, abs=0.2)


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 3), (6, 1), (2, 4)])
def test_unequal_numbers_of_passes_make_no_change(before, after):
    made = evidence(passes(before), passes(after, seed=5))
    change = made.sel(band="vv_levelled_change").values
    assert abs(np.mean(change)) < 0.12


def test_the_whole_pass_moving_is_no_change():
    lower = [one * np.float32(10**-0.1) for one in passes(2, seed=5)]
    made = evidence(passes(2), lower)
    assert abs(float(made.sel(band="vh_levelled_change").mean())) < 0.1


def test_without_vh_and_terrain_their_bands_are_neutral():
    made = evidence(passes(2, bands=("vv",)), passes(1, seed=5, bands=("vv",)))
    for band, key in (("vh_change_noise", "change_noise"), ("slope", "slope")):
        assert np.unique(made.sel(band=band).values).tolist() == [NEUTRAL[key]]
    assert (made.observation == Observation.OBSERVED).all()


def test_hh_stands_in_for_vv():
    one, other = (
        [p.rename(vv="hh").drop_vars("vh") for p in passes(2, seed=seed)] for seed in (0, 4)
    )
    made = evidence(one, other)
    assert float(made.sel(band="vv_mean_before").mean()) == pytest.approx(-7.7, abs=0.2)


def test_a_pixel_that_one_pass_lacks_is_told_by_the_others():
    before, after = passes(2), passes(1, seed=5)
    before[0]["vv"][3, 4] = np.nan
    after[0]["vv"][7, 8] = 0.0
    made = evidence(before, after)
    assert made.observation.values[3, 4] == Observation.OBSERVED
    assert made.observation.values[7, 8] == Observation.NO_DATA
    assert np.isnan(made.values[:, 7, 8]).all()


def test_a_pass_that_could_not_be_read_costs_the_pixel():
    cube = make_cube(passes(2), passes(1, seed=5)).load()
    cube["observation"][0, 3, 4] = Observation.READ_FAILED
    made = make_composite(cube, None, EVIDENCE, scaling="db")
    assert made.observation.values[3, 4] == Observation.READ_FAILED


def test_the_blocks_do_not_show():
    slope = xr.DataArray(np.full((SIZE, SIZE), 20, np.float32), dims=("y", "x"))
    one = evidence(passes(2), passes(1, seed=5), make_terrain(slope=slope), chunk=96)
    cut = evidence(passes(2), passes(1, seed=5), make_terrain(slope=slope), chunk=29)
    assert np.array_equal(one.values, cut.values)


def test_evidence_does_not_stand_beside_single_passes():
    with pytest.raises(RequestError, match="'vv_pre' is of one pass"):
        evidence(passes(1), passes(1, seed=5), bands=("vv_levelled_change", "vv_pre"))


def test_a_cube_without_a_co_polarised_band_is_refused():
    cross = [p.drop_vars("vv") for p in passes(1)]
    with pytest.raises(RequestError, match=r"read from VV \(or HH\)"):
        evidence(cross, cross)
