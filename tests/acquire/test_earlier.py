"""Further passes before the event, of the same track, for a control."""

from __future__ import annotations

from typing import Any

import pytest

from sarmap.acquire.earlier import with_earlier
from sarmap.acquire.search import search_passes
from sarmap.acquire.shortfall import TooFewPassesError


@pytest.fixture
def passes(event: Any, server: Any) -> Any:
    return search_passes(event.grid, event.event, catalog=server.catalog, orbit="descending")


def test_the_passes_of_the_map_stay_and_earlier_ones_of_their_track_are_added(
    event: Any, passes: Any
) -> None:
    more = with_earlier(passes, event.grid, 2)
    assert more.pre[:1] == passes.pre
    assert more.post == passes.post
    assert [one.role for one in more.pre] == ["pre", "pre_2"]
    assert {one.relative_orbit for one in more.pre} == {passes.relative_orbit}
    assert (more.pre[0].datetime - more.pre[1].datetime).days == 12


def test_nothing_is_searched_where_enough_passes_are_there(event: Any, passes: Any) -> None:
    assert with_earlier(passes, event.grid, 1) is passes


def test_a_track_without_them_says_what_it_has_and_what_to_do(event: Any, passes: Any) -> None:
    with pytest.raises(TooFewPassesError) as caught:
        with_earlier(passes, event.grid, 3)
    text = str(caught.value)
    assert "needs 3 passes before the event" in text
    assert f"descending orbit {passes.relative_orbit} has 2 since" in text
    assert "before_days=" in text
    assert "\n" not in text
