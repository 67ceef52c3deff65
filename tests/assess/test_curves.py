"""Curves, reliability and calibration are scikit-learn's on the same pixels."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, brier_score_loss, precision_recall_curve

from sarmap.assess.calibration import (
    apply_calibration,
    fit_calibration,
    precision_recall,
    read_calibration,
    reliability,
)
from sarmap.errors import RequestError


def pixels(seed, number=3000):
    """Steps and truth of pixels that are landslide about as often as their step says."""
    rng = np.random.default_rng(seed)
    step = np.clip(rng.normal(90, 60, number).round(), 0, 250).astype(int)
    truth = rng.random(number) < (step / 250) ** 1.7
    counts = np.stack([np.bincount(step[truth == one], minlength=251) for one in (False, True)])
    return step, truth, counts


@given(st.integers(0, 10_000))
def test_precision_and_recall_are_scikit_learns(seed):
    step, truth, counts = pixels(seed)
    curve = precision_recall(counts)
    precision, recall, thresholds = precision_recall_curve(truth, step)
    for value, threshold in zip(thresholds, range(len(thresholds)), strict=True):
        if value == 0:
            continue
        assert curve.precision[value - 1] == pytest.approx(precision[threshold])
        assert curve.recall[value - 1] == pytest.approx(recall[threshold])
    assert curve.average_precision == pytest.approx(average_precision_score(truth, step))


@given(st.integers(0, 10_000))
def test_reliability_is_scikit_learns(seed):
    step, truth, counts = pixels(seed)
    found = reliability(counts)
    probability = step / 250
    held = found.pixels > 0
    # scikit-learn's bins hold their upper edge, these their lower one: move the values off edges
    true, said = calibration_curve(truth, np.clip(probability + 1e-6, 0, 1), n_bins=10)
    np.testing.assert_allclose(found.true[held], true)
    np.testing.assert_allclose(found.said[held], said, atol=2e-6)
    assert found.brier == pytest.approx(brier_score_loss(truth, probability))


@given(st.integers(0, 10_000))
def test_calibration_is_scikit_learns_isotonic_regression(seed):
    step, truth, counts = pixels(seed)
    fitted = fit_calibration(counts, fitted_on="test")
    expected = IsotonicRegression(out_of_bounds="clip").fit(step, truth).predict(np.arange(251))
    np.testing.assert_allclose(fitted.probability, expected, atol=1e-9)


def test_the_threshold_of_the_best_f1_is_chosen():
    counts = np.zeros((2, 251), int)
    counts[0, 100], counts[1, 100], counts[1, 200], counts[0, 0] = 50, 1, 10, 100
    assert precision_recall(counts).best == pytest.approx(
        0.404
    )  # the lowest that leaves the 51 out


def test_without_a_landslide_nothing_is_defined():
    counts = np.zeros((2, 251), int)
    counts[0, 0] = 5
    curve = precision_recall(counts)
    assert np.isnan(curve.best)
    assert np.isnan(curve.average_precision)
    assert np.isnan(curve.recall).all()
    with pytest.raises(RequestError, match="with and without landslide"):
        fit_calibration(counts, fitted_on="test")


def test_a_calibration_is_kept_and_applied_lazily(tmp_path):
    counts = pixels(1)[2]
    fitted = fit_calibration(counts, fitted_on="half a map", detector="net", simulated=True)
    fitted.write(tmp_path / "c.json")
    again = read_calibration(tmp_path / "c.json")
    np.testing.assert_allclose(again.probability, fitted.probability, atol=1e-6)
    assert (again.simulated, again.detector) == (True, "net")
    values = np.array([[0.0, 0.4, np.nan]], np.float32)
    area = xr.Dataset({"probability": (("y", "x"), values)}, attrs={"detector": "net"}).chunk(x=1)
    made = apply_calibration(area, tmp_path / "c.json")
    assert made.probability.chunks is not None
    assert made.probability.dtype == np.float32
    expected = [fitted.probability[0], fitted.probability[100], np.nan]
    np.testing.assert_allclose(made.probability.values[0], expected, atol=1e-6)
    with pytest.raises(RequestError, match="of detector 'net', but the map was made by 'other'"):
        apply_calibration(area.assign_attrs(detector="other"), again)


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "sarmap-calibration"}', '{"kind": "x"}'])
def test_what_is_no_calibration_is_refused(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(RequestError, match="no calibration"):
        read_calibration(tmp_path / "c.json")
    with pytest.raises(RequestError, match="cannot be read"):
        read_calibration(tmp_path / "absent.json")
