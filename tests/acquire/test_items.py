"""Item records out of a STAC API: pages, limits, filters."""

from __future__ import annotations

from typing import Any

import pytest

from sarmap.acquire.catalogs import open_catalog, resolve_catalog
from sarmap.acquire.items import first_item, search_items
from sarmap.errors import RequestError


def ids(server: Any, stac: Any, **arguments: Any) -> list[str]:
    settings = resolve_catalog(server.url)
    client = open_catalog(settings)
    found = search_items(client, settings, "sentinel-1-rtc", stac.area, **arguments)
    return [record["id"] for record in found]


@pytest.mark.parametrize("extension", ["filter", "query"])
def test_two_conditions_travel_together(api: Any, stac: Any, extension: str) -> None:
    equals = {"sat:orbit_state": "ascending", "platform": "SENTINEL-1B"}
    with api(stac.iburi(), (getattr(stac, extension),)) as server:
        found = ids(server, stac, equals=equals)
        (body,) = server.searches
    assert len(found) == 13
    if extension == "filter":
        assert body["filter"]["op"] == "and"
        assert body["filter-lang"] == "cql2-json"
    else:
        assert body["query"] == {name: {"eq": value} for name, value in equals.items()}


def test_conditions_stay_at_home_where_the_server_knows_none(api: Any, stac: Any) -> None:
    with api(stac.iburi()) as server:
        assert len(ids(server, stac, equals={"sat:orbit_state": "ascending"})) == 23


def test_overlapping_pages_give_each_item_once(api: Any, stac: Any) -> None:
    with api(stac.iburi() + stac.iburi(), page=5) as server:
        assert len(ids(server, stac)) == 23


def test_pages_that_never_end_are_left(api: Any, stac: Any) -> None:
    with api(stac.iburi()[:3]) as server:
        original = server.search

        def endless(body: dict[str, Any]) -> dict[str, Any]:
            answer = original(body | {"skip": 0})
            again = {"rel": "next", "href": f"{server.url}/search", "method": "POST", "body": body}
            return answer | {"links": [again]}

        server.search = endless
        assert len(ids(server, stac, limit=50)) == 3


def test_too_many_items_are_refused(api: Any, stac: Any) -> None:
    with api(stac.iburi()) as server:
        assert len(ids(server, stac, limit=23)) == 23
        with pytest.raises(RequestError, match="more than 22 items"):
            ids(server, stac, limit=22)


def test_first_item_of_a_place_or_anywhere(api: Any, stac: Any) -> None:
    with api(stac.iburi()) as server:
        settings = resolve_catalog(server.url)
        client = open_catalog(settings)
        assert first_item(client, settings, "sentinel-1-rtc") is not None
        assert first_item(client, settings, "sentinel-1-rtc", stac.area) is not None
        assert first_item(client, settings, "sentinel-1-rtc", (0, 0, 1, 1)) is None
        assert first_item(client, settings, "other") is None
