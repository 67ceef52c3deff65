"""Scores are scikit-learn's where defined, NaN where not, and unseen pixels never count."""

import json
import math

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from sarmap.assess.scores import Scores, confusion_map, score_map, score_pixels
from sarmap.errors import RequestError
from sarmap.store import reading
from sarmap.store.result import write_zarr


def make_map(probability, observation=None):
    probability = np.asarray(probability, np.float32)
    rows, columns = probability.shape
    codes = np.isnan(probability).astype(np.uint8) if observation is None else observation
    dataset = xr.Dataset(
        {"probability": (("y", "x"), probability), "observation": (("y", "x"), codes)},
        coords={"y": 4800000 - 10 * (np.arange(rows) + 0.5), "x": 500005 + 10 * np.arange(columns)},
    )
    dataset.coords["spatial_ref"] = (
        (),
        0,
        {"crs_wkt": "EPSG:32654", "GeoTransform": "500000 10 0 4800000 0 -10"},
    )
    return dataset


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, (7, 9), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.uint8, (7, 9), elements=st.integers(0, 1)),
)
def test_scores_are_those_of_scikit_learn(probability, truth):
    found = score_pixels(probability, truth)
    called = (probability >= np.float32(0.5 - 1e-6)).ravel()
    real = truth.ravel().astype(bool)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(real, called))
    expected = {
        "precision": metrics.precision_score(real, called, zero_division=np.nan),
        "recall": metrics.recall_score(real, called, zero_division=np.nan),
    }
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, nan_ok=True)
    if real.any() or called.any():
        assert found.f1 == pytest.approx(metrics.f1_score(real, called))
        assert found.iou == pytest.approx(metrics.jaccard_score(real, called))
    counts = metrics.confusion_matrix(real, called, labels=[False, True]).ravel()
    assert counts.tolist() == [
        found.true_negative,
        found.false_positive,
        found.false_negative,
        found.true_positive,
    ]


def test_undefined_scores_are_nan_and_print_as_such():
    nothing = score_pixels(np.zeros((2, 2)), np.zeros((2, 2), int))
    assert math.isnan(nothing.precision)
    assert math.isnan(nothing.recall)
    assert math.isnan(nothing.f1)
    assert math.isnan(nothing.iou)
    assert nothing.accuracy == 1
    assert "F1 undefined" in str(nothing)
    assert json.loads(json.dumps(nothing.record(), allow_nan=False))["f1"] is None
    assert math.isnan(score_pixels(np.full((1, 1), np.nan), np.ones((1, 1), int)).accuracy)


def test_the_papers_best_row_is_consistent_with_the_formulae():
    # Nava et al. 2022: recall 71.60 % and F1 61.15 % imply precision 53.4 % and IoU 44.04 %.
    recall, f1 = 0.7160, 0.6115
    tp = 71_600
    fn = 28_400
    fp = round(2 * tp / f1 - 2 * tp - fn)
    found = Scores(tp, fp, fn, 1)
    assert found.recall == pytest.approx(recall)
    assert found.precision == pytest.approx(0.534, abs=5e-4)
    assert found.iou == pytest.approx(f1 / (2 - f1), abs=1e-4)


def test_unseen_pixels_never_count():
    probability = np.array([[0.9, 0.9, np.nan, 0.1]])
    truth = np.array([[1, 0, 1, 0]])
    codes = np.array([[0, 3, 1, 0]], np.uint8)
    outcomes = confusion_map(probability, truth, observation=codes)
    assert outcomes.tolist() == [[1, 255, 255, 0]]
    found = score_pixels(probability, truth, observation=codes)
    assert (found.pixels, found.unseen) == (2, 2)
    assert found.precision == 1


def test_a_map_is_scored_by_pixel_centres_whatever_the_strips(monkeypatch):
    rng = np.random.default_rng(2)
    dataset = make_map(rng.random((40, 30), dtype=np.float32))
    dataset["observation"][:5] = 2
    polygons = [shapely.Point(*rng.uniform((500000, 4799600), (500300, 4800000))).buffer(40)
                for _ in range(6)]  # fmt: skip
    inventory = geopandas.GeoDataFrame(geometry=polygons, crs=32654)
    x, y = np.meshgrid(dataset["x"], dataset["y"])
    truth = shapely.contains_xy(shapely.union_all(polygons), x, y)
    expected = score_pixels(
        dataset["probability"].values, truth, observation=dataset["observation"].values
    )
    assert score_map(dataset, inventory) == expected
    assert expected.unseen == 150
    monkeypatch.setattr(reading, "_STRIP_PIXELS", 100)
    assert score_map(dataset.chunk(7), inventory.to_crs(4326)) == expected


def test_a_stored_map_and_an_inventory_file_are_opened(tmp_path):
    write_zarr(make_map([[0.9, 0.1]]), tmp_path / "map.zarr")
    inventory = geopandas.GeoDataFrame(
        geometry=[shapely.box(500000, 4799990, 500010, 4800000)], crs=32654
    )
    inventory.to_file(tmp_path / "true.gpkg")
    found = score_map(tmp_path / "map.zarr", tmp_path / "true.gpkg")
    assert (found.true_positive, found.true_negative, found.pixels) == (1, 1, 2)


def test_unfinished_absent_and_misplaced_inputs_are_refused(tmp_path):
    dataset = make_map([[0.9, 0.1]])
    far = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=32654)
    with pytest.raises(RequestError, match="does not overlap"):
        score_map(dataset, far)
    with pytest.raises(RequestError, match="is not a map"):
        score_map(tmp_path / "absent.zarr", far)
    dataset.assign_attrs({"sarmap:status": "writing"}).to_zarr(tmp_path / "half.zarr")
    with pytest.raises(RequestError, match="unfinished map"):
        score_map(tmp_path / "half.zarr", far)
    with pytest.raises(RequestError, match="shape"):
        score_pixels(np.zeros((2, 2)), np.zeros((2, 3), int))
    with pytest.raises(RequestError, match="threshold="):
        score_pixels(np.zeros((2, 2)), np.zeros((2, 2), int), threshold=0)
