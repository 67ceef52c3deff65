"""What a network is shown where a tile was not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sarmap.detect.normalise import fill_gaps

SHAPE = (3, 8, 9, 2)


def tiles() -> np.ndarray:
    return np.random.default_rng(3).random(SHAPE, np.float32)


@pytest.mark.parametrize("seen", [2, 3, 5, 8])
def test_a_swath_that_ends_is_mirrored_at_its_last_seen_pixel_again_and_again(seen: int) -> None:
    whole = tiles()
    gappy = whole.copy()
    gappy[:, :, seen:] = np.nan
    fill_gaps(gappy)
    mirrored = np.pad(
        whole[:, :, :seen], [(0, 0), (0, 0), (0, SHAPE[2] - seen), (0, 0)], mode="reflect"
    )
    np.testing.assert_array_equal(gappy, mirrored)


def test_where_one_date_is_missing_the_other_is_mirrored_with_it() -> None:
    whole = tiles()
    gappy = whole.copy()
    gappy[:, :, 6:, 0] = np.nan
    fill_gaps(gappy)
    np.testing.assert_array_equal(gappy[:, :, 6:], whole[:, :, [4, 3, 2]])


def test_a_single_seen_pixel_fills_its_tile() -> None:
    gappy = np.full(SHAPE, np.nan, np.float32)
    gappy[1, 4, 2] = (0.25, 4)
    fill_gaps(gappy)
    np.testing.assert_array_equal(gappy[1], np.broadcast_to(np.float32([0.25, 4]), SHAPE[1:]))


def test_a_tile_without_a_whole_pixel_becomes_nothing() -> None:
    gappy = tiles()
    gappy[0, :, :4, 0] = gappy[0, :, 4:, 1] = np.nan
    fill_gaps(gappy)
    assert (gappy[0] == 0).all()


@given(hnp.arrays(np.bool_, SHAPE, elements=st.booleans(), fill=st.just(False)))
def test_whatever_is_missing_every_pixel_shows_one_that_was_seen(missing: np.ndarray) -> None:
    whole = tiles()
    gappy = np.where(missing, np.float32(np.nan), whole)
    fill_gaps(gappy)
    seen = ~missing.any(axis=-1)
    np.testing.assert_array_equal(gappy[seen], whole[seen])
    for tile, of, there in zip(gappy, whole, seen, strict=True):
        allowed = {tuple(pixel) for pixel in of[there]} or {(0, 0)}
        assert {tuple(pixel) for pixel in tile.reshape(-1, 2)} <= allowed


@given(hnp.arrays(np.bool_, SHAPE, elements=st.booleans(), fill=st.just(False)))
def test_a_tile_is_filled_alike_in_whatever_company(missing: np.ndarray) -> None:
    gappy = np.where(missing, np.float32(np.nan), tiles())
    together, alone = gappy.copy(), gappy[1:2].copy()
    fill_gaps(together)
    fill_gaps(alone)
    np.testing.assert_array_equal(together[1:2], alone)
