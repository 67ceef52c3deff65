"""A map that shows nothing says why, and never passes under --strict."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import sarmap
from sarmap.acquire.catalogs import resolve_catalog
from sarmap.errors import UnreadDataError
from sarmap.unseen import unseen


@pytest.fixture
def request_of(
    request_of: Callable[..., sarmap.MapRequest], server: Any
) -> Callable[..., sarmap.MapRequest]:
    """A request for the small event whose radar is read 1,000 too low."""
    catalog = {"url": resolve_catalog(server.catalog).url, "offset": -1000.0}
    return partial(request_of, catalog=catalog)


def test_the_closing_lines_name_pass_and_cause(request_of: Any) -> None:
    result = sarmap.map_landslides(request_of())
    assert result.observation["observed"] == 0
    last = result.warnings[-1]
    assert last.startswith("Nothing was observed: ")
    assert "VV of pre (" in last
    assert "VV of post_1 (" in last
    assert "its values are -1000 to -99" in last
    assert "set scaling: db" in last


def test_it_fails_under_strict(request_of: Any) -> None:
    with pytest.raises(UnreadDataError, match=r"Nothing was observed: VV of .*strict"):
        sarmap.map_landslides(request_of(strict=True))


def test_a_map_that_shows_something_has_no_such_line(request_of: Any, server: Any) -> None:
    result = sarmap.map_landslides(request_of(catalog=server.catalog, strict=True))
    assert not any("Nothing was observed" in line for line in result.warnings)


def test_what_is_not_seen_is_told_in_shares() -> None:
    assert unseen({"observed": 3, "no_data": 1}) == ("Not seen by the radar: 25.0 % hold no data.",)
    assert unseen({"observed": 3}) == ()
