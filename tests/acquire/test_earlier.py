"""Further passes before the event, of the same track, for a control: found in the same search."""

from __future__ import annotations

from typing import Any

import pytest

from sarmap.acquire.catalogs import resolve_catalog
from sarmap.acquire.search import pass_rows, search_orbits
from sarmap.acquire.shortfall import TooFewPassesError
from sarmap.acquire.sought import Search
from sarmap.types import Passes


@pytest.fixture
def with_earlier(event: Any, server: Any) -> Any:
    def search(earlier: int) -> Passes:
        wanted = Search.of(event.grid, event.event, orbit="descending", earlier=earlier)
        (found,) = search_orbits(wanted, resolve_catalog(server.catalog))
        return found

    return search


def test_the_passes_of_the_map_stay_and_earlier_ones_of_their_track_are_added(
    with_earlier: Any,
) -> None:
    passes, more = with_earlier(0), with_earlier(2)
    assert [row for row in pass_rows(more) if row["role"] != "pre_2"] == pass_rows(passes)
    assert [one.role for one in more.pre] == ["pre", "pre_2"]
    assert {one.relative_orbit for one in more.pre} == {passes.relative_orbit}
    assert (more.pre[0].datetime - more.pre[1].datetime).days == 12


def test_none_are_added_where_enough_passes_are_there(with_earlier: Any) -> None:
    assert pass_rows(with_earlier(1)) == pass_rows(with_earlier(0))


def test_a_track_without_them_says_what_it_has_and_what_to_do(with_earlier: Any) -> None:
    with pytest.raises(TooFewPassesError) as caught:
        with_earlier(3)
    text = str(caught.value)
    assert "needs 3 passes before the event" in text
    assert "descending orbit 46 has 2 since" in text
    assert "before_days=" in text
    assert "\n" not in text
