"""Packing keeps what a threshold decides, and never lets 'not seen' become a low probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sarmap.errors import RequestError
from sarmap.store import encoding

probabilities = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(0, 1, width=32) | st.just(np.nan),
)


@given(probabilities, st.integers(1, 9))
def test_thresholds_in_tenths_select_the_same_pixels(probability, tenth):
    packed = encoding.pack_probability(probability)
    level = encoding.threshold_level(tenth / 10)
    np.testing.assert_array_equal((packed >= level) & (packed != 255), probability >= tenth / 10)


@pytest.mark.parametrize("tenth", range(1, 10))
def test_the_last_float_below_a_tenth_stays_below(tenth):
    threshold = np.float32(tenth / 10)
    below = np.nextafter(threshold, np.float32(0))
    packed = encoding.pack_probability(np.array([below, threshold]))
    assert packed.tolist() == [25 * tenth - 1, 25 * tenth]


@given(probabilities)
def test_packing_moves_a_probability_by_less_than_a_step(probability):
    back = encoding.unpack_probability(encoding.pack_probability(probability))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(probability))
    error = np.abs(back - probability)[~np.isnan(back)]
    assert (error <= 0.004).all()
    ordinary = np.abs(probability[~np.isnan(back)] * 10 % 1 - 1) > 0.021
    assert (error[ordinary] <= 0.0020001).all()


def test_every_stored_level_survives_unpacking_in_either_precision():
    levels = np.arange(251, dtype=np.uint8)
    as_xarray_decodes = levels * 0.004
    for values in (as_xarray_decodes, encoding.unpack_probability(levels)):
        np.testing.assert_array_equal(encoding.pack_probability(values), levels)


def test_certainty_and_impossibility_are_exact():
    np.testing.assert_array_equal(
        encoding.unpack_probability(encoding.pack_probability(np.array([0.0, 1.0]))), [0, 1]
    )


@pytest.mark.parametrize("wrong", [-0.2, 1.5, np.inf])
def test_what_is_not_a_probability_is_refused(wrong):
    with pytest.raises(RequestError, match="outside 0-1"):
        encoding.pack_probability(np.array([0.5, wrong, np.nan]))


def test_a_hair_beyond_one_is_reduced_precision_not_an_error():
    assert encoding.pack_probability(np.array([1.0005, -0.0005])).tolist() == [250, 0]


@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(0, 90, width=32) | st.just(np.nan)))
def test_slope_keeps_a_fifth_of_a_degree(slope):
    back = encoding.pack_slope(slope) * 0.4
    seen = ~np.isnan(slope)
    assert (encoding.pack_slope(slope)[~seen] == 255).all()
    assert (np.abs(back - slope)[seen] <= 0.2001).all()


@given(
    hnp.arrays(np.uint8, 30, elements=st.integers(0, 250) | st.just(255)),
    hnp.arrays(np.uint8, 30, elements=st.integers(0, 3)),
)
def test_a_pixel_has_a_probability_exactly_where_it_was_observed(packed, codes):
    probability, observation = encoding.seen_only(packed, codes)
    np.testing.assert_array_equal(probability != 255, observation == 0)
    np.testing.assert_array_equal(observation[codes != 0], codes[codes != 0])
    np.testing.assert_array_equal(observation == 0, (codes == 0) & (packed != 255))


@pytest.mark.parametrize("threshold", [0, -0.1, 1.2])
def test_impossible_thresholds_are_refused(threshold):
    with pytest.raises(RequestError, match="threshold="):
        encoding.threshold_level(threshold)
