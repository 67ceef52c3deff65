"""Passes that do not lie on one another: found by what lasts, and read where they lie."""

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from sarmap.compose.displacement import aligned, find_displaced
from sarmap.types import Observation

SIZE = 128


def squares(*moves, texture=12.0, count=5):
    """Decibels of passes in some squares, each displaced by pixels (down, right), with speckle."""
    rng = np.random.default_rng(2)
    made = []
    for number in range(count):
        ground = ndimage.gaussian_filter(rng.normal(0, texture, (SIZE + 20, SIZE + 20)), 0.8)
        passes = []
        for move in moves:
            own = move[number] if isinstance(move, list) else move
            there = ndimage.shift(ground, own, order=3, mode="nearest")[10:-10, 10:-10]
            passes.append(there + 10 * np.log10(rng.gamma(4.4, 1 / 4.4, (SIZE, SIZE))))
        made.append(np.float32(passes))
    return made


def test_a_pass_that_lies_off_is_found_to_a_tenth_of_a_pixel():
    found = find_displaced(squares((0, 0), (0, 0), (-0.6, 1.45)), (0, 1), (2,))
    assert list(found.moved) == [2]
    assert found.moved[2] == pytest.approx((-0.6, 1.45), abs=0.1)
    assert found.remaining < 0.2


def test_the_odd_one_before_the_event_is_moved_and_not_all_others():
    found = find_displaced(squares((0, 0), (0, 0), (2, 0), (0, 0)), (0, 1, 2), (3,))
    assert list(found.moved) == [2]


@pytest.mark.parametrize("move", [(0.1, 0.0), (0.0, 0.0)])
def test_less_than_a_fifth_of_a_pixel_is_left(move):
    assert find_displaced(squares((0, 0), move), (0,), (1,)).moved == {}


@pytest.mark.parametrize("move", [(0, 5), [(0, 0)] * 3 + [(0, 3)] * 2])
def test_what_lies_farther_or_in_parts_is_left_out_where_another_serves(move):
    found = find_displaced(squares((0, 0), (0, 0), move), (0,), (1, 2))
    assert list(found.left_out) == [2]
    alone = find_displaced(squares((0, 0), move), (0,), (1,))
    assert not alone.moved
    assert not alone.left_out
    assert alone.remaining > 2


@pytest.mark.parametrize(("width", "seed"), [(2, 8), (3, 4), (3, 7), (4, 0), (4, 8)])
def test_fields_that_change_by_themselves_displace_no_pass(width, seed):
    rng = np.random.default_rng(seed)

    def fields():
        made = ndimage.gaussian_filter(rng.normal(0, 1, (SIZE, SIZE)), width)
        return made * 3 / made.std()

    made = []
    for _ in range(9):
        ground = fields()
        looks = ((fields(), rng.gamma(4.4, 1 / 4.4, (SIZE, SIZE))) for _ in range(3))
        made.append(np.float32([ground + own + 10 * np.log10(speckle) for own, speckle in looks]))
    found = find_displaced(made, (0, 1), (2,))
    assert (found.moved, found.left_out) == ({}, {})


def test_a_lake_in_a_square_does_not_hide_that_a_pass_lies_off():
    passes = squares((0, 0), (0, 0), (0, 1.5))
    for square in passes:
        square[:, :, :50] = -25 + np.random.default_rng(1).normal(0, 2, square[:, :, :50].shape)
    assert find_displaced(passes, (0, 1), (2,)).moved[2] == pytest.approx((0, 1.5), abs=0.15)


def test_ground_without_texture_says_nothing():
    found = find_displaced(squares((0, 0), (0, 1.5), texture=0.0), (0,), (1,))
    assert not found.moved
    assert found.remaining is None


@pytest.mark.parametrize("move", [(1.0, -2.0), (-0.5, 1.5)])
def test_a_displaced_pass_is_read_where_it_lies_whatever_the_blocks(move):
    ground = ndimage.gaussian_filter(np.random.default_rng(3).normal(-10, 6, (90, 90)), 2)
    there = ndimage.shift(ground, move, order=3, mode="nearest")
    power = np.float32(10 ** (np.stack([ground, there]) / 10))
    power[1, 40, 40] = np.nan
    whole, cut = (aligned(da.from_array(power, blocks), {1: move}) for blocks in (90, (1, 31, 7)))
    placed = whole.compute()
    assert np.array_equal(placed, cut.compute(), equal_nan=True)
    assert np.array_equal(placed[0], power[0])
    inner = 10 * np.log10(placed[1, 5:-5, 5:-5]) - ground[5:-5, 5:-5]
    assert np.isnan(inner).sum() == 1
    assert np.nanmax(np.abs(inner)) < 1.0
    assert np.nanstd(inner) < 0.05


def test_a_pixel_that_hangs_on_an_unread_one_is_unread():
    codes = np.zeros((1, 70, 70), np.uint8)
    codes[0, 30, 30] = Observation.READ_FAILED
    placed = aligned(codes, {0: (0.5, 1.5)}).compute()[0]
    assert (placed[28:33, 26:31] == Observation.READ_FAILED).all()
    assert set(placed[5:-5, 5:-5][placed[5:-5, 5:-5] > 0]) == {Observation.READ_FAILED}
