"""The lattice of work units: it covers any area exactly, without overlap, in whole tiles."""

from __future__ import annotations

from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from sarmap.detect.protocol import describe
from sarmap.detect.windows import TileAxis
from sarmap.errors import RequestError
from sarmap.regions.unit_lattice import SIZE, Lattice, context, lattice_for


class Own:
    """A detector with what the test gives it."""

    bands = ("vv_post_1",)

    def __init__(self, **given: Any) -> None:
        vars(self).update(given)

    def __call__(self, tiles: Any) -> Any:
        raise NotImplementedError


boxes = st.tuples(
    st.floats(-300_000, 1_200_000),
    st.floats(100_000, 9_000_000),
    st.floats(1, 60_000),
    st.floats(1, 60_000),
).map(lambda b: shapely.box(b[0], b[1], b[0] + b[2], b[1] + b[3]))
places = st.lists(boxes, min_size=1, max_size=3).map(shapely.union_all)
lattices = st.tuples(
    st.sampled_from([10.0, 20.0, 30.0, 12.5]), st.integers(5, 40), st.sampled_from([16, 48, 64])
).map(lambda v: Lattice("54N", 32654, v[0], v[1] * v[2], v[2]))


@given(lattices, places)
def test_units_cover_the_area_and_touch_it(lattice: Lattice, place: Any) -> None:
    units = lattice.units(place)
    rectangles = [shapely.box(*unit.grid.boundingbox) for unit in units]
    outside = place.difference(shapely.union_all(rectangles)).area
    # a thousandth of a pixel along the outline is rounding
    assert outside <= 1e-3 * lattice.resolution * place.length
    for rectangle in rectangles:
        assert rectangle.intersection(place).area > 0


@given(lattices, places)
def test_no_two_units_overlap_and_each_lies_on_whole_steps(lattice: Lattice, place: Any) -> None:
    units = lattice.units(place)
    assert len({unit.name for unit in units}) == len({unit.square for unit in units}) == len(units)
    for unit in units:
        for span, number in zip((unit.rows, unit.columns), unit.square, strict=True):
            assert span[0] % lattice.step == span[1] % lattice.step == 0
            assert number * lattice.edge <= span[0] < span[1] <= (number + 1) * lattice.edge


@given(lattices, places, places)
def test_a_unit_lies_on_the_same_pixels_whatever_else_is_asked_for(
    lattice: Lattice, place: Any, other: Any
) -> None:
    alone = {unit.name: unit for unit in lattice.units(place)}
    together = {unit.name: unit for unit in lattice.units(place.union(other))}
    for name, unit in alone.items():
        wider = together[name]
        assert wider.rows[0] <= unit.rows[0] < unit.rows[1] <= wider.rows[1]
        left, top = unit.grid.boundingbox.left, unit.grid.boundingbox.top
        assert left == lattice.left + unit.columns[0] * lattice.resolution
        assert top == lattice.top - unit.rows[0] * lattice.resolution
        assert left % lattice.resolution == top % lattice.resolution == 0


kinds = st.one_of(
    st.tuples(st.just("segment"), st.integers(4, 70), st.integers(1, 70), st.integers(0, 20)),
    st.tuples(st.just("window"), st.integers(2, 40), st.integers(1, 30), st.just(0)),
    st.tuples(st.just("pixel"), st.just(64), st.just(64), st.integers(0, 30)),
).map(lambda v: (v[0], v[1], min(v[2], v[1]), v[3]))


@given(kinds, st.integers(200, 4000), st.integers(1, 40))
def test_context_holds_all_that_an_answer_is_computed_from(
    kind: tuple[str, int, int, int], first: int, tiles: int
) -> None:
    name, tile, stride, halo = kind
    spec = describe(Own(kind=name, tile=tile, stride=stride, halo=halo))
    step = stride if name == "segment" and stride == tile else 64
    span = (first * step, (first + tiles) * step)
    before, after = context(spec, stride, span)
    zone = TileAxis(spec.kind, SIZE, tile, 1 if name == "pixel" else stride, halo)
    low, high = zone.span(*span)
    assert span[0] - before <= low
    assert span[1] + after >= high
    if name == "pixel":
        return
    # tiles counted from the context's first pixel are tiles of the zone
    assert (span[0] - before) % stride == 0
    own = TileAxis(spec.kind, before + span[1] - span[0] + after, tile, stride, halo)
    shift = (span[0] - before) // stride
    mine = own.tiles(before, before + span[1] - span[0])
    assert (mine[0] + shift, mine[1] + shift) == zone.tiles(*span)


def test_the_papers_cut_needs_no_context() -> None:
    spec = describe(Own(tile=64))
    assert context(spec, 64, (6400, 12_800)) == (0, 0)
    assert context(spec, 48, (6400, 12_800)) != (0, 0)


def test_units_are_whole_tiles_of_any_detector() -> None:
    lattice = lattice_for("54N", 32654, 10.0, 10_240, describe(Own(tile=100)), 100)
    assert lattice.edge % 100 == lattice.step % 100 == 0
    assert lattice.edge >= 10_240


def test_a_unit_smaller_than_a_tile_is_refused() -> None:
    with pytest.raises(RequestError, match="unit=32 is smaller than the 64 px"):
        lattice_for("54N", 32654, 10.0, 32, describe(Own(tile=64)), 64)


def test_islands_far_apart_make_no_units_between_them() -> None:
    lattice = Lattice("1S", 32701, 10.0, 1024, 64)
    islands = shapely.union_all(
        [
            shapely.box(x, 8_000_000, x + 500, 8_000_400)
            for x in (302_000, 402_000, 502_000, 602_000, 702_000)
        ]
    )
    assert len(lattice.units(islands)) == 5
    assert all(unit.pixels <= 3 * 64 * 3 * 64 for unit in lattice.units(islands))
