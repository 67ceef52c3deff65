"""Intervals: blocks are drawn, not pixels; they hold the truth about as often as they say."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from sarmap.assess.intervals import FEWEST_BLOCKS, score_intervals, wilson_interval


def blocks(rng, number, spread):
    """Confusions of blocks whose share of false alarms varies from block to block."""
    share = np.clip(rng.normal(0.3, spread, number), 0.01, 0.99)
    tp = rng.binomial(1000, 1 - share)
    return np.stack([tp, 1000 - tp, rng.binomial(500, 0.4, number), np.full(number, 9000)], axis=1)


def test_the_interval_is_scipys_percentile_bootstrap():
    counts = blocks(np.random.default_rng(1), 60, 0.2)
    found = score_intervals(counts, replicates=4000)["precision"]
    expected = bootstrap(
        (counts[:, 0], counts[:, 1]),
        lambda tp, fp, axis: tp.sum(axis=axis) / (tp + fp).sum(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert found.low == pytest.approx(expected.low, abs=0.004)
    assert found.high == pytest.approx(expected.high, abs=0.004)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    inside = 0
    for seed in range(200):
        found = score_intervals(blocks(rng, 80, 0.1), replicates=300, seed=seed)["precision"]
        inside += found.low <= 0.7 <= found.high
    assert 178 <= inside <= 199  # 95 % of 200, within what chance allows


def test_blocks_that_differ_widen_the_interval_and_pixels_alone_do_not():
    even = score_intervals(np.tile([6, 2, 4, 88], (50, 1)))["f1"]
    many = score_intervals(np.tile([6, 2, 4, 88], (50, 1)) * 1000)["f1"]
    uneven = score_intervals(blocks(np.random.default_rng(0), 50, 0.3))["f1"]
    assert even.low == many.low == even.high
    assert uneven.high - uneven.low > 0.01


def test_empty_blocks_are_left_out_and_few_blocks_give_no_interval():
    counts = blocks(np.random.default_rng(0), 30, 0.2)
    padded = np.concatenate([counts, np.zeros((500, 4), int)])
    assert score_intervals(padded) == score_intervals(counts)
    few = score_intervals(counts[: FEWEST_BLOCKS - 1])
    assert all(math.isnan(one.low) for one in few.values())
    assert few["f1"].record() == [None, None]


def test_a_seed_gives_the_same_interval():
    counts = blocks(np.random.default_rng(0), 30, 0.2)
    assert score_intervals(counts, seed=3) == score_intervals(counts, seed=3)
    assert score_intervals(counts, seed=3) != score_intervals(counts, seed=4)


@pytest.mark.parametrize(("hits", "number"), [(0, 5), (5, 5), (3, 17), (400, 1000)])
def test_wilson_is_scipys(hits, number):
    expected = binomtest(hits, number).proportion_ci(0.95, method="wilson")
    found = wilson_interval(hits, number)
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)
    assert math.isnan(wilson_interval(0, 0).low)
