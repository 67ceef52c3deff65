"""When a map is not to be trusted: its input set against what its detector learnt from."""

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter, shift

from sarmap.acquire.arrays import make_cube
from sarmap.compose.lattice import read_lattice
from sarmap.compose.levelling import find_levels
from sarmap.detect.trust import measure, trust_in

SIZE = 256


def passes(count, *, seed=0, looks=4.4, smooth=0.0, jump=0.0, level=0.0, amplitude=False):
    texture = gaussian_filter(np.random.default_rng(7).normal(0, 6, (SIZE, SIZE)), 1.5)
    made = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        layers = {}
        for band, mean in (("vv", -7.3), ("vh", -13.2)):
            db = shift(texture, jump, order=1, mode="nearest") + mean + level
            power = 10 ** (db / 10) * rng.gamma(looks, 1 / looks, (SIZE, SIZE))
            power = gaussian_filter(power, smooth) if smooth else power
            layers[band] = (("y", "x"), np.float32(np.sqrt(power) if amplitude else power))
        made.append(xr.Dataset(layers))
    return made


def measured(pre, post, **kwargs):
    cube = make_cube(pre, post, **kwargs)
    lattice = read_lattice(cube)
    return measure(cube, lattice, find_levels(lattice), np.empty(0, "f4"))


@pytest.mark.parametrize("looks", [3.0, 7.0])
def test_looks_are_those_of_the_speckle(looks):
    assert measured(passes(1, looks=looks), passes(1, seed=3, looks=looks))[
        "looks"
    ] == pytest.approx(looks, rel=0.1)


def test_raw_speckle_is_uncorrelated_and_a_despeckled_product_is_not():
    raw = measured(passes(1), passes(1, seed=3))
    smooth = measured(passes(1, smooth=1.5), passes(1, seed=3, smooth=1.5))
    assert raw["correlation"] == pytest.approx(0, abs=0.05)
    assert smooth["correlation"] > 0.7
    assert smooth["looks"] > 40


def test_a_pass_that_lies_too_far_off_to_be_mended_is_seen():
    assert measured(passes(1), passes(1, seed=3))["jump"] < 0.2
    assert measured(passes(1), passes(2, seed=3, jump=2.0))["jump"] < 0.2
    assert measured(passes(1), passes(2, seed=3, jump=3.0))["jump"] == pytest.approx(4.24, abs=0.1)


def test_amplitude_halves_what_lies_between_vv_and_vh():
    power = measured(passes(1), passes(1, seed=3))["gap"]
    amplitude = measured(passes(1, amplitude=True), passes(1, seed=3, amplitude=True))["gap"]
    assert amplitude == pytest.approx(power / 2, abs=0.2)


def test_offset_and_season_are_measured():
    found = measured(
        passes(2),
        passes(1, seed=3, level=-3.0),
        times=["2023-07-01", "2023-07-13", "2024-01-10"],
    )
    assert found["offset"] == pytest.approx(3.0, abs=0.15)
    assert found["season"] == pytest.approx(178, abs=10)
    assert "season" not in measured(passes(1), passes(1, seed=3))


def test_inside_all_ranges_nothing_speaks_against_it():
    trust = trust_in({"looks": 4.4, "jump": 0.0}, {"looks": (2.5, 12.0), "jump": (0.0, 0.5)})
    assert trust.fits
    assert trust.record()["notes"] == []


def test_a_note_says_what_was_measured_and_what_was_learnt():
    (note,) = trust_in({"looks": 40.0}, {"looks": (2.5, 12.0)}).record()["notes"]
    assert (note["code"], note["measured"], note["low"], note["high"]) == ("looks", 40, 2.5, 12)
    assert note["text"].startswith("the images are smoother than those")


def test_the_noise_of_a_single_look_is_noisier_than_that_of_two_to_forty():
    learnt = {"looks": (2.3, 38.6)}
    assert trust_in({"looks": 2.0}, learnt).fits
    (note,) = trust_in({"looks": 1.4}, learnt).notes
    assert note.text.startswith("the images are noisier than those")


def snowed(edge):
    """Passes of 3.2 x 3.2 km in whose middle a square became 5 dB darker."""
    along = np.arange(0.0, 3200, 10)
    made = [
        xr.Dataset(
            {"vv": (("y", "x"), np.random.default_rng(n).gamma(40, 0.2 / 40, (320, 320)))},
            {"y": along[::-1], "x": along},
        )
        for n in range(3)
    ]
    made[2]["vv"][20 : 20 + edge, 20 : 20 + edge] *= np.float32(10**-0.5)
    return made[:2], made[2:]


@pytest.mark.parametrize(("edge", "fits"), [(60, True), (200, False)])
def test_what_changes_as_one_over_more_than_a_landslide_is_doubted(edge, fits):
    pre, post = snowed(edge)
    found = trust_in(measured(pre, post), {})
    assert found.fits is fits
    assert found.measures["patch"] == pytest.approx((edge * 10 / 1000) ** 2, rel=0.3)
