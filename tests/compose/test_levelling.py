"""Passes brought to one level: what moves as a whole is taken off, what landslides do is left."""

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from sarmap.compose.lattice import Lattice, at_pixels, quiet_lattice, read_lattice
from sarmap.compose.levelling import (
    _smoothed,
    change_sizes,
    find_levels,
    not_levelled,
)
from sarmap.errors import RequestError


def ground(
    *, open_share=0.0, landslides=0.0, pre=3, post=2, size=120, shift=0.0, wet=0.0, tilt=0.0
):
    """A lattice of hilly forest with open ground, and what happened to it after the event."""
    rng = np.random.default_rng(3)
    rough = np.abs(gaussian_filter(rng.standard_normal((size, size)), 5))
    slope = np.float32(10 + 35 * rough / rough.max())
    smooth = gaussian_filter(rng.standard_normal((size, size)), 6)
    fields = smooth > np.quantile(smooth, 1 - open_share) if open_share else smooth > np.inf
    slope[fields] = 3
    moved = gaussian_filter(rng.standard_normal((size, size)), 2) + 0.002 * slope
    slides = (moved > np.quantile(moved[~fields], 1 - landslides)) & ~fields
    levels = -7.3 - 3.0 * fields + rng.normal(0, 0.3, (pre + post, size, size))
    after = slice(pre, None)
    levels[after] += shift + wet * fields - 4.0 * slides + tilt * np.linspace(-0.5, 0.5, size)
    lattice = Lattice(
        {"vv": np.float32(levels)},
        tuple(range(pre)),
        tuple(range(pre, pre + post)),
        slope,
        None,
        (8 * size, 8 * size),
        10.0,
    )
    return lattice, ~fields & ~slides, slides


def change_of(lattice, found):
    flat = lattice.levels["vv"] - found.offsets["vv"][:, None, None] - found.drifts["vv"]
    before = flat[list(lattice.pre)].mean(axis=0)
    return flat[list(lattice.post)].mean(axis=0) - before - found.expected["vv"]


@pytest.mark.parametrize("shift", [-1.5, 0.0, 0.75])
def test_a_pass_that_lies_lower_as_a_whole_is_brought_to_the_others(shift):
    lattice, _, _ = ground(shift=shift)
    offsets = find_levels(lattice).offsets["vv"]
    assert offsets == pytest.approx([0, 0, 0, shift, shift], abs=0.05)


@pytest.mark.parametrize(
    "how",
    [
        {"landslides": 0.2},
        {"open_share": 0.4, "wet": 2.0},
        {"landslides": 0.2, "pre": 1, "post": 1},
        {"open_share": 0.4, "wet": 2.0, "landslides": 0.15, "shift": 0.75},
    ],
)
def test_neither_many_landslides_nor_wet_open_ground_move_forest(how):
    lattice, forest, _ = ground(**how)
    found = find_levels(lattice)
    wanted = how.get("shift", 0.0)
    assert found.offsets["vv"][len(lattice.pre) :] == pytest.approx(wanted, abs=0.2)
    assert abs(np.median(change_of(lattice, found)[forest])) < 0.15


def test_landslides_keep_their_change():
    lattice, _, slides = ground(landslides=0.2, shift=0.75)
    found = find_levels(lattice)
    assert np.median(change_of(lattice, found)[slides]) == pytest.approx(-4, abs=0.3)


def test_open_ground_that_is_wet_as_a_whole_is_no_change():
    lattice, forest, slides = ground(open_share=0.4, wet=2.0)
    change = change_of(lattice, find_levels(lattice))
    assert abs(np.median(change[~forest & ~slides])) < 0.2


def test_a_drift_over_a_wide_scene_is_taken_off():
    lattice, forest, _ = ground(size=400, tilt=1.0, landslides=0.05)
    change = change_of(lattice, find_levels(lattice))
    west, east = (
        np.median(change[:, part][forest[:, part]]) for part in (slice(60), slice(-60, None))
    )
    assert abs(west - east) < 0.3


def test_a_small_scene_has_one_number():
    lattice, _, _ = ground(tilt=1.0)
    assert find_levels(lattice).drifts["vv"].shape == (5, 1, 1)


def test_noise_of_a_quiet_change_falls_with_the_passes():
    few, many = ground(pre=1, post=1)[0], ground(pre=6, post=4)[0]
    noise = [float(np.median(find_levels(one).noise["vv"])) for one in (few, many)]
    assert noise == pytest.approx([0.3 * 2**0.5, 0.3 * (1 / 6 + 1 / 4) ** 0.5], rel=0.15)


def test_quiet_changes_are_about_the_noise_and_need_three_passes():
    assert quiet_lattice(ground(pre=2)[0]) is None
    quiet = quiet_lattice(ground(pre=6, landslides=0.2)[0])
    sizes = change_sizes(quiet, find_levels(quiet))
    assert np.sqrt(np.mean(np.square(sizes))) == pytest.approx(1.0, abs=0.2)


def test_not_levelled_takes_nothing_off():
    lattice, _, _ = ground(shift=0.75)
    found = not_levelled(lattice)
    assert not found.offsets["vv"].any()
    assert not found.expected["vv"].any()


def test_the_lattice_does_not_depend_on_the_blocks():
    rng = np.random.default_rng(1)
    power = rng.gamma(4.4, 0.1, (2, 70, 100)).astype(np.float32)
    power[0, 3:20, 5:30] = np.nan
    cube = xr.Dataset(
        {"vv": (("time", "y", "x"), power)}, coords={"role": ("time", ["pre", "post_1"])}
    )
    whole = read_lattice(cube).levels["vv"]
    cut = read_lattice(cube.chunk(time=1, y=33, x=17)).levels["vv"]
    assert whole.shape == (2, 9, 13)
    assert np.array_equal(whole, cut, equal_nan=True)
    assert whole[1, 0, 0] == pytest.approx(10 * np.log10(power[1, :8, :8].mean()), abs=1e-4)


def test_a_cube_without_a_pass_after_is_refused():
    cube = xr.Dataset(
        {"vv": (("time", "y", "x"), np.ones((1, 8, 8), np.float32))},
        coords={"role": ("time", ["pre"])},
    )
    with pytest.raises(RequestError, match="1 passes before and 0 after"):
        read_lattice(cube)


def test_a_field_of_the_lattice_is_the_same_in_any_part():
    field = np.random.default_rng(1).normal(size=(9, 7)).astype(np.float32)
    whole = at_pixels(field, np.arange(72), np.arange(56))
    part = at_pixels(field, np.arange(20, 50), np.arange(11, 30))
    assert np.array_equal(whole[20:50, 11:30], part)


@pytest.mark.parametrize("shape", [(300, 40), (9, 600)])
def test_a_drift_is_smoothed_as_by_a_gaussian_filter(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    known = gaussian_filter(values, 30.5, mode="constant", truncate=3)
    np.testing.assert_allclose(_smoothed(values, 30.5), known, rtol=0, atol=1e-6)
