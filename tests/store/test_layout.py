"""Shards are whole chunks, and a block is never written by two tasks."""

import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from sarmap.errors import RequestError
from sarmap.store.layout import axis_layout, plan_layout

blocks = st.lists(st.integers(1, 3000), min_size=1, max_size=8)


@given(blocks, st.integers(1, 700))
def test_a_shard_is_a_whole_number_of_chunks(sizes, chunk):
    inner, outer = axis_layout(sizes, chunk)
    assert inner >= 1
    assert outer % inner == 0
    assert inner <= chunk


@given(st.integers(512, 4096), st.integers(1, 6), st.integers(0, 4095))
def test_even_blocks_that_divide_well_stay_as_they_are(block, count, rest):
    sizes = [block] * (count + 1) + ([min(rest, block)] if rest else [])
    inner, outer = axis_layout(sizes, 512)
    if any(block % part == 0 for part in range(129, 513)):
        assert outer == block
        assert block % inner == 0
    else:
        assert (inner, outer) == (512, 1024)


def test_variables_of_one_shape_share_one_layout():
    ones = xr.DataArray([[1.0] * 6] * 4, dims=("y", "x"))
    layouts = plan_layout(xr.Dataset({"a": ones.chunk(2), "probability": ones.chunk(3)}))
    assert layouts["a"] == layouts["probability"]


@pytest.mark.parametrize(("chunk", "shard"), [(0, None), (512, 700), (512, 0), (512, -512)])
def test_sizes_that_do_not_fit_are_refused(chunk, shard):
    empty = xr.Dataset({"probability": (("y", "x"), [[1.0]])})
    with pytest.raises(RequestError, match="multiple"):
        plan_layout(empty, chunk=chunk, shard=shard)
