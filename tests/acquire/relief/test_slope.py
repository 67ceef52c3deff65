"""Horn's gradients and Keys' cubic against other libraries and planes worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarmap.acquire.slope import Lattice, horn, slope_degrees


@pytest.mark.parametrize(
    ("east", "north", "degrees"),
    [
        (0.0, 0.0, 0.0),
        (1.0, 0.0, 45.0),
        (0.0, -1.0, 45.0),
        (0.3, 0.4, math.degrees(math.atan(0.5))),
    ],
)
def test_a_plane_has_its_own_slope(east: float, north: float, degrees: float) -> None:
    y, x = np.mgrid[0:6, 0:7] * 30.0
    dz_east, dz_north = horn((100 + east * x - north * y).astype(np.float32), 30.0)
    np.testing.assert_allclose(dz_east, east, atol=1e-5)
    np.testing.assert_allclose(dz_north, north, atol=1e-5)
    np.testing.assert_allclose(slope_degrees(dz_east, dz_north), degrees, atol=1e-3)


@pytest.mark.real
def test_horn_on_real_relief_is_scipys_convolution(real_data: Path) -> None:
    import rasterio
    from scipy import ndimage

    with rasterio.open(real_data / "dem" / "bigtujunga.tif") as made:
        heights = made.read(1).astype(np.float32)
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / (8 * 30.0)
    wide = heights.astype(np.float64)
    p, q = ndimage.correlate(wide, kernel), ndimage.correlate(wide, -kernel.T)
    expected = np.degrees(np.arctan(np.hypot(p, q)))[1:-1, 1:-1]
    slope = slope_degrees(*horn(heights, 30.0))
    np.testing.assert_allclose(slope, expected, atol=0.01)
    assert 20 < slope.mean() < 35  # the San Gabriel mountains are steep


@given(
    phase=st.floats(0, 1, exclude_max=True),
    ratio=st.floats(0.05, 3.0),
    power=st.integers(0, 2),
)
def test_cubic_reproduces_quadratics(phase: float, ratio: float, power: int) -> None:
    # Keys 1981: with a = -1/2 the error is of third order, so a parabola comes back exactly.
    positions = 2 + phase + ratio * np.arange(5)
    coarse = np.arange(40, dtype=np.float32)[:, np.newaxis] ** power + np.zeros(40, np.float32)
    lattice = Lattice(rows=positions, columns=np.array([5.3]))
    expected = positions**power
    np.testing.assert_allclose(lattice.cubic(coarse, 0, 0)[:, 0], expected, rtol=2e-5, atol=2e-4)


@given(
    start=st.integers(0, 40), length=st.integers(1, 30), ratio=st.sampled_from([1 / 3, 0.4, 1, 2])
)
def test_a_part_is_interpolated_as_the_whole(start: int, length: int, ratio: float) -> None:
    coarse = np.random.default_rng(1).normal(0, 100, (150, 150)).astype(np.float32)
    positions = 3.1 + ratio * np.arange(70)
    whole = Lattice(positions, positions).cubic(coarse, 0, 0)
    part = Lattice(positions[start : start + length], positions[start : start + length])
    rows, columns = part.reach(0)
    cut = part.cubic(coarse[rows, columns], rows.start, columns.start)
    here = slice(start, start + length)
    np.testing.assert_array_equal(cut, whole[here, here])


def test_nan_spreads_no_further_than_the_kernel() -> None:
    coarse = np.zeros((30, 30), np.float32)
    coarse[15, 15] = np.nan
    positions = np.arange(5, 25, 1 / 3)
    fine = Lattice(positions, positions).cubic(coarse, 0, 0)
    reached = positions[np.isnan(fine).any(axis=0)]
    assert reached.min() > 12.9
    assert reached.max() < 17.1


def test_nan_does_not_spread_where_it_weighs_nothing() -> None:
    coarse = np.arange(64, dtype=np.float32).reshape(8, 8)
    coarse[3, 4] = np.nan
    positions = np.arange(1.0, 6.0)
    same = Lattice(positions, positions).cubic(coarse, 0, 0)
    np.testing.assert_array_equal(same, coarse[1:6, 1:6])
    between = Lattice(positions, positions + 0.5).cubic(coarse, 0, 0)
    # A row of its own, and in it the four columns whose kernel reaches column 4.
    assert np.argwhere(np.isnan(between)).tolist() == [[2, 1], [2, 2], [2, 3], [2, 4]]


def test_there_is_no_slope_where_there_is_no_ground() -> None:
    heights = np.zeros((7, 7), np.float32)
    heights[3, 3] = np.nan
    hole = np.zeros((5, 5), bool)
    hole[1:4, 1:4] = True
    slope = slope_degrees(*horn(heights, 30.0))
    np.testing.assert_array_equal(np.isnan(slope), hole)


@given(
    ratio=st.sampled_from([1 / 3, 0.4, 1.0, 1.5]),
    phase=st.sampled_from([0.0, 1 / 3, 0.5]),
    seed=st.integers(0, 99),
)
def test_what_is_said_of_a_pixel_is_what_becomes_of_its_slope(
    ratio: float, phase: float, seed: int
) -> None:
    heights = np.random.default_rng(seed).normal(0, 100, (30, 30)).astype(np.float32)
    heights[np.random.default_rng(seed + 100).random((30, 30)) < 0.01] = np.nan
    positions = 5 + phase + ratio * np.arange(12)
    lattice = Lattice(positions, positions)
    slope = lattice.cubic(slope_degrees(*horn(heights, 30.0)), 1, 1)
    np.testing.assert_array_equal(lattice.any_near(np.isnan(heights), 0, 0), np.isnan(slope))


def test_nearest_takes_the_pixel_a_centre_lies_in() -> None:
    mask = np.zeros((6, 6), bool)
    mask[2, 3] = True
    # Three fine pixels per coarse one: centres at -1/3, 0, +1/3 of it.
    positions = np.arange(18) / 3 - 1 / 3
    fine = Lattice(positions, positions).nearest(mask, 0, 0)
    assert np.argwhere(fine).min(axis=0).tolist() == [6, 9]
    assert fine.sum() == 9
