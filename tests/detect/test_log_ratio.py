"""The log-ratio detector: known decibels, speckle averaged in power, gaps kept to themselves."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from sarmap.detect.change import LogRatio
from sarmap.detect.prediction import predict
from sarmap.detect.protocol import Detector, describe

Pixels = NDArray[np.float32]


def score(before: Pixels, after: Pixels, slope: Pixels, detector: LogRatio) -> Pixels:
    image = xr.DataArray(
        da.from_array(np.float32([before, after, slope]), chunks=(1, 32, 32)),
        dims=("band", "y", "x"),
        coords={"band": list(detector.bands)},
        attrs={"scaling": "power"},
    )
    answer: Pixels = predict(image, detector).probability.values
    return answer


def flat(value: float, edge: int = 60) -> Pixels:
    return np.full((edge, edge), value, np.float32)


def speckled(mean: Pixels, seed: int, looks: float = 4.4) -> Pixels:
    draws = np.random.default_rng(seed).gamma(looks, 1 / looks, mean.shape)
    return (mean * draws).astype(np.float32)


def test_it_is_a_detector_without_weights() -> None:
    assert isinstance(LogRatio(), Detector)
    spec = describe(LogRatio())
    assert (spec.name, spec.kind, spec.scaling, spec.halo) == ("log-ratio", "pixel", "power", 8)


@pytest.mark.parametrize("sign", [1, -1])
def test_brighter_and_darker_count_alike_and_the_threshold_scores_one_half(sign: int) -> None:
    after = flat(0.1 * 10 ** (sign * 2.5 / 10))  # 2.5 dB up or down
    found = score(flat(0.1), after, flat(90), LogRatio(threshold_db=2.5))
    np.testing.assert_allclose(found, 0.5, atol=1e-5)


def test_the_steps_are_logistic_in_decibels_and_degrees() -> None:
    detector = LogRatio(threshold_db=3, softness_db=1, slope_threshold=10, slope_softness=2)
    found = score(flat(0.1), flat(0.1 * 10**0.4), flat(14), detector)  # 4 dB at 14 degrees
    expected = 1 / (1 + np.exp(-1)) / (1 + np.exp(-2))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_flat_land_does_not_slide() -> None:
    assert score(flat(0.1), flat(1.0), flat(0), LogRatio()).max() < 0.01


def test_a_slide_stands_out_of_speckle_and_unchanged_land_does_not() -> None:
    after = flat(0.1, 128)
    after[50:70, 50:70] *= 10**0.5  # 5 dB brighter, 200 m across
    found = score(speckled(flat(0.1, 128), 1), speckled(after, 2), flat(25, 128), LogRatio())
    slide = np.zeros((128, 128), bool)
    slide[50:70, 50:70] = True
    assert (found[slide] > 0.5).mean() > 0.9
    rim = np.zeros_like(slide)
    rim[46:74, 46:74] = True
    assert (found[~rim] > 0.5).mean() < 0.01


def test_smoothing_averages_power_not_decibels() -> None:
    """Bright and dark pixels in turn: their mean power is 5.05 dB below the bright ones'."""
    chequered = np.where(np.indices((60, 60)).sum(axis=0) % 2, 1.0, 0.25).astype(np.float32)
    detector = LogRatio(smoothing=4, threshold_db=0, softness_db=1, slope_threshold=-99)
    found = score(chequered, flat(1), flat(25), detector)[20:40, 20:40]
    decibels = np.log(found / (1 - found))
    np.testing.assert_allclose(decibels, 10 * np.log10(1 / 0.625), atol=0.01)


def test_a_gap_costs_its_own_pixel_and_bends_no_other() -> None:
    before, after = flat(0.1), flat(0.1 * 10**0.3)
    with_gap = after.copy()
    with_gap[30, 30] = np.nan
    whole, gap = (score(before, a, flat(25), LogRatio()) for a in (after, with_gap))
    assert np.isnan(gap[30, 30])
    gap[30, 30] = whole[30, 30]
    np.testing.assert_allclose(gap, whole, atol=1e-5)


def test_power_of_zero_is_no_measurement() -> None:
    before = flat(0.1)
    before[5, 5] = 0
    found = score(before, flat(0.1), flat(25), LogRatio())
    assert np.isnan(found[5, 5])
    assert np.isfinite(found).sum() == 60 * 60 - 1
