"""Counts are those of plain NumPy, whatever the strips and blocks; what is unknown never counts."""

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from sarmap.assess.counting import tally_map
from sarmap.assess.labels import read_labels
from sarmap.assess.scores import Confusion
from sarmap.store.encoding import pack_probability
from sarmap.store.reading import open_reader


def make_map(probability, observation=None, chunk=None):
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
    return dataset if chunk is None else dataset.chunk(chunk)


def box(row, column, rows, columns):
    """Polygon around some pixels of the map."""
    west, north = 500000 + 10 * column, 4800000 - 10 * row
    return shapely.box(west, north - 10 * rows, west + 10 * columns, north)


def frame(*boxes):
    return geopandas.GeoDataFrame(geometry=[box(*one) for one in boxes], crs=32654)


def counted(dataset, inventory, **options):
    reader = open_reader(dataset)
    labels = read_labels(
        reader.grid,
        inventory,
        surveyed=options.pop("surveyed", None),
        clouds=options.pop("clouds", None),
    )
    return tally_map(reader, labels, **options)


@settings(max_examples=25)
@given(
    rows=st.integers(1, 70),
    columns=st.integers(3, 70),
    block=st.integers(16, 40),
    chunk=st.integers(5, 40),
    threshold=st.sampled_from([0.004, 0.3, 0.5, 0.7, 1.0]),
    seed=st.integers(0, 99),
)
def test_counts_are_those_of_scikit_learn(rows, columns, block, chunk, threshold, seed):
    rng = np.random.default_rng(seed)
    probability = rng.random((rows, columns)).astype(np.float32)
    probability[rng.random((rows, columns)) < 0.2] = np.nan
    truth = np.zeros((rows, columns), bool)
    truth[:, :3] = True
    found = counted(
        make_map(probability, chunk=chunk), frame((0, 0, rows, 3)), block=block, threshold=threshold
    )
    seen = ~np.isnan(probability)
    called = pack_probability(probability) >= round(threshold * 250)
    tn, fp, fn, tp = metrics.confusion_matrix(
        truth[seen], called[seen], labels=[False, True]
    ).ravel()
    scores = found.scores()
    assert (scores.true_positive, scores.false_positive) == (tp, fp)
    assert (scores.false_negative, scores.true_negative) == (fn, tn)
    assert found.unseen == (~seen).sum()
    assert found.counts.sum() == seen.sum()
    assert found.slide_pixels.tolist() == [3 * rows]
    assert found.slide_seen.tolist() == [seen[:, :3].sum()]
    assert found.slide_called.tolist() == [(called & seen)[:, :3].sum()]


def test_each_block_holds_its_own_pixels():
    probability = np.zeros((40, 40), np.float32)
    probability[:20, 20:] = 0.9
    found = counted(make_map(probability), frame((20, 0, 20, 20)), block=20)
    assert found.block_shape == (2, 2)
    assert found.confusion().tolist() == [
        [0, 0, 0, 400],
        [0, 400, 0, 0],
        [0, 0, 400, 0],
        [0, 0, 0, 400],
    ]


def test_ground_that_nobody_looked_at_counts_nowhere():
    probability = np.full((10, 10), 0.9, np.float32)
    probability[0, 0] = np.nan
    rows = []
    found = counted(
        make_map(probability),
        frame((0, 0, 10, 2)),
        surveyed=frame((0, 0, 10, 6)),
        clouds=frame((5, 0, 5, 10)),
        sink=lambda top, outcome: rows.append(outcome.copy()),
    )
    outcome = np.concatenate(rows)
    assert found.unlabelled == 100 - 30
    assert found.unseen == 1
    assert found.scores().pixels == 29
    assert outcome[0, 0] == Confusion.UNSEEN
    assert (outcome[5:] == Confusion.NOT_LABELLED).all()
    assert (outcome[:5, 6:] == Confusion.NOT_LABELLED).all()
    assert (outcome[:5, 2:6] == Confusion.FALSE_POSITIVE).all()
    assert found.slide_seen.tolist() == [9]


def test_a_pixel_of_two_landslides_belongs_to_the_later():
    found = counted(make_map(np.ones((4, 4))), frame((0, 0, 4, 4), (0, 0, 2, 2)))
    assert found.slide_pixels.tolist() == [12, 4]


def test_a_landslide_off_the_map_has_no_pixel():
    found = counted(make_map(np.ones((4, 4))), frame((0, 0, 1, 1), (50, 50, 2, 2)))
    assert found.slide_pixels.tolist() == [1, 0]


@pytest.mark.parametrize("threshold", [0.0, -1, 1.1])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(Exception, match=r"must lie above 0 and at most 1"):
        counted(make_map(np.ones((4, 4))), frame((0, 0, 1, 1)), threshold=threshold)
