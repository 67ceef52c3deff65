"""Patches and clips are cut where, and only where, the papers say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarmap.errors import RequestError
from sarmap.learn.samples import (
    Clips,
    Patches,
    band_statistics,
    cut_patches,
    draw_clips,
    join,
    split,
    standardised,
)


def scene(rows: int = 40, columns: int = 56, bands: int = 2):
    rng = np.random.default_rng(7)
    composite = rng.normal(5, 2, (bands, rows, columns)).astype(np.float32)
    mask = np.zeros((rows, columns), np.uint8)
    mask[10:16, 20:30] = 1
    return composite, mask


def test_patches_are_tiles_with_a_landslide_scaled_to_one_per_band():
    composite, mask = scene()
    patches = cut_patches(composite, mask, tile=8)
    # rows 8-16 (one row of tiles, and 8 more above 10) and columns 16-32
    assert patches.images.shape == (2, 8, 8, 2)
    np.testing.assert_array_equal(patches.labels[0], mask[8:16, 16:24])
    expected = composite[:, 8:16, 16:24]
    low, high = expected.min(axis=(1, 2)), expected.max(axis=(1, 2))
    expected = (expected - low[:, None, None]) / (high - low)[:, None, None]
    np.testing.assert_allclose(patches.images[0], np.moveaxis(expected, 0, -1), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(tile=st.integers(1, 40), stride=st.integers(1, 30))
def test_all_patches_are_as_many_as_fit(tile, stride):
    composite, mask = scene()
    patches = cut_patches(composite, mask, tile=tile, stride=stride, keep="all")
    assert len(patches.labels) == ((40 - tile) // stride + 1) * ((56 - tile) // stride + 1)


def test_patches_without_any_observed_pixel_are_left_out():
    composite, mask = scene()
    composite[0, :, :24] = np.nan
    patches = cut_patches(composite, mask, tile=8, keep="all")
    assert len(patches.labels) == 5 * 4
    assert np.isfinite(patches.images).all()


def test_clips_are_centred_on_landslides_or_well_away_from_them():
    composite, mask = scene()
    composite[0] = mask
    composite[1] = np.arange(40 * 56, dtype=np.float32).reshape(40, 56)
    clips = draw_clips(composite, mask, np.random.default_rng(0), clip=5, guard=2, negatives=2)
    centres = clips.images[:, 2, 2, 1].astype(int)
    assert len(np.unique(centres)) == len(centres) == 3 * 60
    np.testing.assert_array_equal(mask.ravel()[centres], clips.labels)
    others = clips.images[clips.labels == 0, :, :, 0]
    assert not others.any()


def test_clips_hold_no_missing_pixel():
    composite, mask = scene()
    composite[0, 12, 25] = np.nan
    clips = draw_clips(composite, mask, np.random.default_rng(0), clip=5)
    assert np.isfinite(clips.images).all()
    assert clips.labels.sum() == 60 - 5 * 5  # rows 10-14, columns 23-27


def test_other_clips_are_shared_out_over_the_land_covers():
    composite, mask = scene()
    covers = np.zeros(mask.shape, int)
    covers[:, 40:] = 1
    covers[:, 50:] = 2
    composite[1] = covers
    clips = draw_clips(
        composite, mask, np.random.default_rng(0), clip=5, landslides=30, covers=covers
    )
    others = clips.images[clips.labels == 0, 2, 2, 1].astype(int)
    assert np.bincount(others).tolist() == [10, 10, 10]


def test_statistics_bring_the_training_clips_to_mean_0_and_spread_1():
    composite, mask = scene()
    composite[1] += 100
    parts = [draw_clips(composite, mask, np.random.default_rng(s), clip=5) for s in (0, 1)]
    statistics = band_statistics(parts, ("a", "b"))
    normal = standardised(join(parts), statistics).images.reshape(-1, 2)
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(normal.std(axis=0), 1, atol=1e-3)


def test_a_split_keeps_every_sample_once():
    labels = np.arange(20, dtype=np.uint8)
    samples = Clips(labels[:, None, None, None].astype(np.float32), labels)
    first, second = split(samples, 0.2, np.random.default_rng(0))
    assert len(second.labels) == 4
    assert sorted([*first.labels, *second.labels]) == list(range(20))
    np.testing.assert_array_equal(first.images.ravel(), first.labels)


@pytest.mark.parametrize(
    "call", [cut_patches, lambda c, m: draw_clips(c, m, np.random.default_rng())]
)
def test_too_small_an_area_is_refused(call):
    with pytest.raises(RequestError, match="20 x 30 px"):
        call(np.zeros((1, 20, 30), np.float32), np.zeros((20, 30), np.uint8))


def test_an_area_without_landslides_gives_no_clips():
    composite, mask = scene()
    with pytest.raises(RequestError, match="one of the classes"):
        draw_clips(composite, mask * 0, np.random.default_rng(0), clip=5)


def test_an_unknown_choice_of_patches_is_refused():
    composite, mask = scene()
    with pytest.raises(RequestError, match="keep="):
        cut_patches(composite, mask, keep="most")


def test_patches_join():
    one = cut_patches(*scene(), tile=8)
    both = join([one, one])
    assert isinstance(both, Patches)
    assert both.labels.shape == (4, 8, 8)
