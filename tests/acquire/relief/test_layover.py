"""Layover and shadow of surfaces whose answer is known from the angles alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sarmap.acquire.slope import HALO, cell_hidden, hidden

SPACING = 30.0


def ridge(rise: float, fall: float) -> np.ndarray:
    """A range line: flat, up at `rise` degrees for 10 samples, down at `fall`, flat."""
    steps = [0.0] * 30 + [math.tan(math.radians(rise)) * SPACING] * 10
    down = math.tan(math.radians(fall)) * SPACING
    steps += [-down] * round(steps[30] * 10 / down) + [0.0] * 60
    return np.cumsum(steps, dtype=np.float32)[:, np.newaxis]


@pytest.mark.parametrize("incidence", [30.0, 36.0, 45.0])
@pytest.mark.parametrize("offset", [-3.0, 3.0])
def test_a_face_lays_over_just_when_it_is_steeper_than_the_incidence(
    incidence: float, offset: float
) -> None:
    masked = hidden(ridge(incidence + offset, 10.0), SPACING, incidence, 35)
    assert masked.any() == (offset > 0)
    if offset > 0:
        assert masked[30:40].mean() > 0.9


@pytest.mark.parametrize("incidence", [36.0, 45.0])
@pytest.mark.parametrize("offset", [-3.0, 3.0])
def test_a_back_slope_is_dark_just_when_it_is_steeper_than_the_ray(
    incidence: float, offset: float
) -> None:
    line = ridge(10.0, 90 - incidence + offset)
    masked = hidden(line, SPACING, incidence, 40)
    assert masked.any() == (offset > 0)


def test_passive_layover_reaches_the_flat_ground_beside_the_face() -> None:
    # A mast of 300 m at 36 degrees: its top is as near as flat ground h / tan(36) before it, and
    # its shadow is h * tan(36) long.
    line = np.zeros((100, 1), np.float32)
    line[50] = 300.0
    found = np.flatnonzero(hidden(line, SPACING, 36.0, 50))
    assert 50 - found.min() == math.floor(300 / math.tan(math.radians(36)) / SPACING)
    assert found.max() - 50 == math.floor(300 * math.tan(math.radians(36)) / SPACING)


def test_flat_and_gently_rolling_ground_is_seen() -> None:
    x = np.arange(400, dtype=np.float32)
    line = (80 * np.sin(x / 20))[:, np.newaxis].astype(np.float32)  # at most 7.6 degrees
    assert not hidden(line, SPACING, 36.0, 200).any()


def test_unknown_heights_hide_nothing() -> None:
    line = np.zeros((50, 1), np.float32)
    line[20:30] = np.nan
    assert not hidden(line, SPACING, 36.0, 25).any()


def wall(azimuth: float, size: int = 64) -> np.ndarray:
    """A cone of 250 m in the middle of a cell with its surroundings; steep all round."""
    side = size + 2 * HALO
    y, x = np.mgrid[0:side, 0:side] - (side - 1) / 2
    return np.maximum(0, 250 - np.hypot(x, y) * SPACING * 1.4).astype(np.float32)


@pytest.mark.parametrize("azimuth", [0.0, 12.0, 45.0, 78.0, 90.0, 135.0, 190.0, 282.0, 350.0])
def test_layover_lies_towards_the_radar_whatever_the_look(azimuth: float) -> None:
    masked = cell_hidden(wall(azimuth), SPACING, 36.0, azimuth)
    assert masked.any()
    y, x = np.mgrid[0:64, 0:64] - 31.5
    look = np.array([math.sin(math.radians(azimuth)), -math.cos(math.radians(azimuth))])
    along = x * look[0] + y * look[1]
    across = -x * look[1] + y * look[0]
    # The cone is 54 degrees steep: layover before its top, and none of it to the side.
    assert along[masked].mean() < -2
    assert abs(across[masked].mean()) < 0.6


def test_a_turned_scene_gives_a_turned_answer() -> None:
    random = np.random.default_rng(2)
    side = 64 + 2 * HALO
    rough = random.normal(0, 1, (side // 8 + 1, side // 8 + 1)).repeat(8, 0).repeat(8, 1)
    heights = (rough[:side, :side] * 60).astype(np.float32)
    first = cell_hidden(heights, SPACING, 36.0, 78.0)
    turned = cell_hidden(np.rot90(heights), SPACING, 36.0, 78.0 - 90.0)
    assert 0.02 < first.mean() < 0.9
    np.testing.assert_array_equal(turned, np.rot90(first))
