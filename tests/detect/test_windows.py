"""Where tiles, windows and blocks lie: integers, against brute force and against the papers."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarmap.detect.windows import TileAxis, blend_weights, plan_blocks, reflect


@st.composite
def axes(draw: st.DrawFn, kind: str | None = None) -> TileAxis:
    kind = kind or draw(st.sampled_from(["segment", "window", "pixel"]))
    tile = draw(st.integers(1, 12))
    return TileAxis(
        kind,
        size=draw(st.integers(1, 60)),
        tile=tile,
        stride=draw(st.integers(1, tile)),
        halo=draw(st.integers(0, 5)),
    )


@st.composite
def chunked(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    cuts = draw(st.sets(st.integers(1, max(1, size - 1)), max_size=8)) - {size}
    edges = [0, *sorted(cuts), size]
    return tuple(np.diff(edges).tolist())


# --- the papers' scene ---------------------------------------------------------------------------


def test_the_papers_scene_has_2257_tiles() -> None:
    rows, columns = (TileAxis("segment", size, 64, 64) for size in (3842, 2346))
    assert (rows.count, columns.count) == (61, 37)
    assert rows.count * columns.count == 2257


def test_the_papers_scene_has_two_point_two_million_windows() -> None:
    rows, columns = (TileAxis("window", size, 25, 2) for size in (3842, 2346))
    # the last window begins at the first even pixel from which it reaches the border
    assert rows.origin(rows.count - 1) == 3818
    assert columns.origin(columns.count - 1) == 2322
    assert rows.count * columns.count == 1910 * 1162


def test_a_window_scene_smaller_than_the_window_has_one_window_around_its_middle() -> None:
    axis = TileAxis("window", 5, 25, 2)
    assert (axis.count, axis.first, axis.centres().tolist()) == (1, -10, [2.0])


# --- reflection ----------------------------------------------------------------------------------


@given(size=st.integers(1, 20), before=st.integers(0, 70), after=st.integers(0, 70))
def test_reflect_is_what_numpy_pads(size: int, before: int, after: int) -> None:
    padded = np.pad(np.arange(size), (before, after), mode="reflect")
    np.testing.assert_array_equal(reflect(np.arange(-before, size + after), size), padded)


# --- tiles ---------------------------------------------------------------------------------------


@given(axis=axes("segment"))
def test_every_pixel_lies_in_a_tile_and_every_tile_holds_a_pixel(axis: TileAxis) -> None:
    visits = np.zeros(axis.size + axis.tile, int)
    for k in range(axis.count):
        visits[axis.origin(k) : axis.origin(k) + axis.tile] += 1
        assert axis.origin(k) < axis.size
    assert (visits[: axis.size] >= 1).all()


@given(axis=axes("segment"), data=st.data())
def test_tiles_of_a_block_are_all_that_touch_it(axis: TileAxis, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, axis.size - 1))
    stop = data.draw(st.integers(start + 1, axis.size))
    touching = [
        k for k in range(axis.count) if axis.origin(k) < stop and axis.origin(k) + axis.tile > start
    ]
    assert list(range(*axis.tiles(start, stop))) == touching


@given(axis=axes("window"))
def test_each_pixel_takes_the_nearest_window_and_of_two_the_lower(axis: TileAxis) -> None:
    distance = np.abs(np.arange(axis.size)[:, None] - axis.centres()[None])
    np.testing.assert_array_equal(axis.nearest(np.arange(axis.size)), distance.argmin(axis=1))


@given(axis=axes("window"))
def test_each_pixel_lies_in_the_window_it_takes(axis: TileAxis) -> None:
    pixels = np.arange(axis.size)
    origins = axis.first + axis.nearest(pixels) * axis.stride
    assert ((origins <= pixels) & (pixels < origins + axis.tile)).all()


@given(axis=axes("window"))
def test_every_window_has_one_pixel_that_takes_it(axis: TileAxis) -> None:
    pixels = np.arange(axis.size)[axis.representatives()]
    np.testing.assert_array_equal(axis.nearest(pixels), np.arange(axis.count))


# --- weights -------------------------------------------------------------------------------------


@given(axis=axes("segment"))
def test_blend_weights_sum_to_one_at_every_pixel_of_the_scene(axis: TileAxis) -> None:
    weights = blend_weights(axis, 0, axis.count)
    total = np.zeros(axis.origin(axis.count - 1) + axis.tile)
    for k in range(axis.count):
        total[axis.origin(k) : axis.origin(k) + axis.tile] += weights[k]
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    assert (weights > 0).all()


@given(axis=axes("segment"), data=st.data())
def test_blend_weights_are_the_same_in_any_company(axis: TileAxis, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, axis.count - 1))
    high = data.draw(st.integers(low + 1, axis.count))
    np.testing.assert_array_equal(
        blend_weights(axis, low, high), blend_weights(axis, 0, axis.count)[low:high]
    )


def test_tiles_side_by_side_are_not_weighted() -> None:
    assert (blend_weights(TileAxis("segment", 130, 64, 64), 0, 3) == 1).all()


def test_weights_fade_where_a_tile_ends_inside_the_scene() -> None:
    ramp = blend_weights(TileAxis("segment", 96, 64, 32), 0, 2)[0]
    np.testing.assert_array_equal(ramp[:32], 1)
    assert (np.diff(ramp[32:]) < 0).all()
    assert ramp[-1] < 0.001
    # squared sines a half tile apart sum to one by themselves: sin^2 + cos^2
    np.testing.assert_allclose(ramp[32:], np.sin(np.pi * (np.arange(32, 64) + 0.5) / 64) ** 2)


# --- blocks --------------------------------------------------------------------------------------


@given(axis=axes(), data=st.data())
def test_every_block_is_given_all_that_its_tiles_see(axis: TileAxis, data: st.DataObject) -> None:
    blocked = plan_blocks(axis, data.draw(chunked(axis.size)))
    assert sum(blocked.chunks) == axis.size
    # Dask's own condition: nobody borrows more than a neighbour has
    assert min(blocked.chunks) >= max(blocked.depth)
    for index in range(len(blocked.chunks)):
        block = blocked.block(index)
        seen = reflect(np.arange(*axis.span(block.start, block.stop)), axis.size)
        assert block.offset <= seen.min()
        assert seen.max() < min(axis.size, block.stop + blocked.depth[1])


@given(axis=axes("segment"), data=st.data())
def test_tiles_side_by_side_are_never_cut(axis: TileAxis, data: st.DataObject) -> None:
    whole = TileAxis("segment", axis.size, axis.tile, axis.tile, halo=0)
    blocked = plan_blocks(whole, data.draw(chunked(axis.size)))
    assert all(edge % axis.tile == 0 for edge in accumulate(blocked.chunks[:-1]))


@pytest.mark.parametrize(
    ("size", "chunks", "planned"),
    [
        (3842, (1024, 1024, 1024, 770), (1024, 1024, 1024, 770)),  # kept as they are
        (2050, (1024, 1024, 2), (1024, 1026)),  # 2 px mirror 62 px that the last block lacks
        (300, (300,), (300,)),
        (300, (100, 100, 100), (128, 128, 44)),
    ],
)
def test_chunks_on_the_tile_grid_are_kept(
    size: int, chunks: tuple[int, ...], planned: tuple[int, ...]
) -> None:
    assert plan_blocks(TileAxis("segment", size, 64, 64), chunks).chunks == planned


def test_blocks_on_the_tile_grid_borrow_nothing() -> None:
    assert plan_blocks(TileAxis("segment", 3842, 64, 64), (1024,) * 3 + (770,)).depth == (0, 0)
