"""Streamed samples are the same samples, however little of them is held at once."""

import numpy as np
import pytest

from sarmap.detect.protocol import FixedStatistics
from sarmap.learn.index import ClipRule, PatchRule
from sarmap.learn.sample_writing import write_samples
from sarmap.learn.sources import Stored, band_means


@pytest.fixture
def store(make_scene, tmp_path):
    return write_samples(
        [make_scene()], tmp_path / "s.zarr", PatchRule(tile=16, stride=16, keep="all")
    )


def test_runs_hold_every_sample_once_and_fit_into_memory(store):
    store.chunk = 30  # as of larger samples
    chosen = np.arange(3, len(store), 2)
    source = Stored(store, chosen, "tile-minmax", memory=0)
    runs = list(source.order(np.random.default_rng(0)))
    assert len(runs) > 1
    assert max(map(len, runs)) <= source.run == store.chunk
    assert sorted(np.concatenate(runs).tolist()) == list(range(len(chosen)))


def test_streamed_and_kept_samples_are_alike(store):
    chosen = np.random.default_rng(0).permutation(len(store))[:50]
    small, large = (Stored(store, chosen, "tile-minmax", memory=m) for m in (0, 2**30))
    numbers = np.array([4, 49, 0, 4])
    for one, other in zip(small.read(numbers), large.read(numbers), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(small.read(numbers)[0][1], store.read(chosen[[49]])[0][0])


def test_fixed_statistics_bring_clips_to_mean_0_and_spread_1(make_scene, tmp_path):
    rule = ClipRule(clip=9, per_polygon=3)
    store = write_samples([make_scene()], tmp_path / "c.zarr", rule, normalisation="fixed")
    chosen = np.flatnonzero(store.valid)
    statistics = band_means(store, chosen)
    fixed = FixedStatistics(*zip(*statistics.values(), strict=True))
    pixels = Stored(store, chosen, fixed).read(np.arange(len(chosen)))[0].reshape(-1, 3)
    np.testing.assert_allclose(pixels.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(pixels.std(axis=0), 1, atol=1e-3)
