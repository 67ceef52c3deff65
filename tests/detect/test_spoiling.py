"""Which answers hang on an unread pixel: those, and only those, that its value would change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from sarmap.detect.prediction import predict
from sarmap.types import Observation
from tests.detect.test_prediction import Hash, composite


class Box:
    """Answers with the mean of the square around each pixel, its halo wide."""

    kind = "pixel"
    halo = 3
    bands = ("vv_pre", "vv_post_1")

    def __call__(self, tiles: Any) -> Any:
        means = [uniform_filter(tile[..., 0], 7, mode="constant") for tile in tiles]
        return np.clip(np.stack(means), 0, 1)


def of_kind(kind: str, tile: int, halo: int, stride: int) -> Any:
    return Box() if kind == "pixel" else Hash(kind, tile, stride, halo)


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["segment", "segment", "window", "pixel"]),
    size=st.tuples(st.integers(9, 40), st.integers(9, 40)),
    chunks=st.tuples(st.integers(5, 20), st.integers(5, 20)),
    tile=st.integers(3, 9),
    halo=st.integers(0, 3),
    stride=st.integers(1, 9),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_an_answer_is_spoilt_where_the_value_of_an_unread_pixel_would_change_it(
    kind: str,
    size: tuple[int, int],
    chunks: tuple[int, int],
    tile: int,
    halo: int,
    stride: int,
    place: tuple[float, float],
) -> None:
    detector = of_kind(kind, tile, 0 if kind == "window" else halo, min(stride, tile))
    values = np.random.default_rng(7).uniform(0.1, 0.9, (2, *size)).astype(np.float32)
    row, column = (
        min(int(at * length), length - 1) for at, length in zip(place, size, strict=True)
    )
    other = values.copy()
    other[0, row, column] = 100.0
    codes = np.zeros(size, np.uint8)
    codes[row, column] = Observation.READ_FAILED
    spoilt = predict(composite(values, chunks, codes), detector, spoilt=True)
    here, there = (predict(composite(each), detector).load() for each in (values, other))
    looked_at = here["probability"].values != there["probability"].values
    np.testing.assert_array_equal(spoilt["spoilt"].values, looked_at)
    if kind == "window":
        changed = here["window_probability"].values != there["window_probability"].values
        np.testing.assert_array_equal(spoilt["window_spoilt"].values, changed)


@pytest.mark.parametrize("kind", ["segment", "window", "pixel"])
def test_what_was_not_there_to_be_read_spoils_nothing(kind: str) -> None:
    codes = np.full((20, 20), Observation.NO_DATA, np.uint8)
    codes[:5] = Observation.LAYOVER_SHADOW
    values = np.full((2, 20, 20), 0.5, np.float32)
    told = predict(composite(values, (7, 7), codes), of_kind(kind, 8, 0, 4), spoilt=True)
    assert not told["spoilt"].any()


def test_nothing_is_told_unasked() -> None:
    told = predict(composite(np.full((2, 20, 20), 0.5, np.float32)), Hash("window"))
    assert set(told.data_vars) == {"probability", "observation", "window_probability"}
