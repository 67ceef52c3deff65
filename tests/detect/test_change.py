"""The detector without weights: change beyond the place's own noise."""

import numpy as np
import pytest

from sarmap.detect.change import Change
from sarmap.detect.weight_files import detector_names
from sarmap.detect.weights import load_detector

SIZE = 80


def ground(vv=0.0, vh=0.0, *, noise=0.3, slope=25.0, seed=1, spread=1.0):
    """Evidence of quiet ground with a square of 12 px that changes."""
    rng = np.random.default_rng(seed)
    tile = np.empty((1, SIZE, SIZE, 5), np.float32)
    tile[..., :2] = rng.normal(0, spread, (1, SIZE, SIZE, 2))
    tile[..., 2:4], tile[..., 4] = noise, slope
    tile[0, 34:46, 34:46, 0] += vv
    tile[0, 34:46, 34:46, 1] += vh
    return tile


@pytest.mark.parametrize(("vv", "vh"), [(-3, -2), (3, 2), (2.5, -2), (0, -3)])
def test_darker_brighter_and_vh_alone_are_found(vv, vh):
    answer = Change()(ground(vv, vh))[0]
    assert (answer[37:43, 37:43] > 0.5).mean() > 0.9
    assert (answer[:25] > 0.5).mean() < 0.002


def test_the_same_change_is_less_where_the_place_is_noisy():
    quiet, noisy = (Change()(ground(-2.0, -1.0, noise=n))[0, 40, 40] for n in (0.3, 1.0))
    assert quiet > 0.5 > noisy


def test_flat_ground_asks_for_a_little_more_and_is_never_erased():
    steep, flat = (Change()(ground(-3, -2, slope=s))[0] for s in (25.0, 1.0))
    assert flat[40, 40] > 0.5
    assert (flat <= steep).all()


def test_its_threshold_rises_with_what_quiet_ground_does_here():
    rng = np.random.default_rng(1)
    landslides = rng.uniform(3, 12, 3000)
    quiet, restless = (np.abs(rng.normal(0, s, 100_000)) for s in (1.0, 1.6))
    thresholds = [
        Change().fitted(noise, np.append(noise, landslides), 1).threshold
        for noise in (quiet, restless)
    ]
    assert thresholds == [pytest.approx(3.2), pytest.approx(4.0, abs=0.6)]
    assert thresholds[1] > thresholds[0]


def test_where_nothing_happened_it_is_the_highest_and_few_cells_fit_nothing():
    quiet = np.abs(np.random.default_rng(1).normal(0, 1.6, 100_000))
    assert Change().fitted(quiet, quiet, 1).threshold == 5.0
    assert Change().fitted(quiet, quiet[:10], 1) == Change()


def test_a_missing_pixel_costs_itself():
    tile = ground(-3, -2)
    tile[0, 40, 40, 0] = np.nan
    answer = Change()(tile)[0]
    assert np.isnan(answer[40, 40])
    assert np.isnan(answer).sum() == 1


def test_it_is_loaded_by_its_name():
    assert "change" in detector_names()
    assert load_detector("change") == Change()
