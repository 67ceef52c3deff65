"""Item records out of a STAC API: pages, limits, filters."""

from __future__ import annotations

from typing import Any

import pytest

from sarmap.acquire.catalogs import open_catalog, resolve_catalog
from sarmap.acquire.item_search import first_item, search_items, with_addresses
from sarmap.errors import RequestError
from sarmap.types import CatalogSettings


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


def paged(server: Any, pages: list[list[int]], *, href: str = "/search") -> list[Any]:
    """Have a server give these of its records, page by page; returns what it is asked."""
    asked: list[Any] = []

    def search(body: dict[str, Any]) -> dict[str, Any]:
        asked.append(body)
        number = int(body.get("token", 0))
        link = {"rel": "next", "href": href, "method": "POST", "body": {"token": number + 1}}
        found = [server.records[n] for n in pages[number % len(pages)]]
        more = number + 1 < len(pages) or number >= 1000
        return {
            "type": "FeatureCollection",
            "features": found,
            "links": [link | {"merge": True}] if more else [],
        }

    server.search = search
    return asked


@pytest.mark.parametrize(
    ("pages", "href"),
    [
        ([[], [0, 1, 2]], "/search"),
        ([[0], [], [], [1], [2]], "search"),
        ([[0, 1], [0, 1], [1], [2]], "/search"),
        ([[], [], [], [], [], [], [], [0, 1, 2]], "?more=1"),
    ],
)
def test_empty_and_repeated_pages_are_no_end(
    api: Any, stac: Any, pages: list[list[int]], href: str
) -> None:
    with api(stac.iburi()[:3]) as server:
        asked = paged(server, pages, href=href)
        assert len(ids(server, stac)) == 3
        assert len(asked) == len(pages)


@pytest.mark.parametrize("page", [[], [0, 1, 2]])
def test_pages_that_never_end_are_left(api: Any, stac: Any, page: list[int]) -> None:
    with api(stac.iburi()[:3]) as server:
        asked = paged(server, [page] * 1000)
        assert len(ids(server, stac, limit=50)) == len(page)
        assert len(asked) <= 10


def test_records_of_other_collections_are_left(api: Any, stac: Any) -> None:
    foreign = {**stac.radar("2018-09-01T08:34:00"), "collection": "cop-dem-glo-30", "id": "dem"}
    with api([*stac.iburi()[:2], foreign]) as server:
        paged(server, [[0, 1, 2]])
        assert len(ids(server, stac)) == 2


@pytest.mark.parametrize(
    ("own", "href", "whole"),
    [
        (None, "./a.tif", "http://h.org/stac/a.tif"),
        (None, "/files/a.tif", "http://h.org/files/a.tif"),
        ("http://f.org/s/i.json", "./a.tif", "http://f.org/s/a.tif"),
        ("http://f.org/s/i.json", "../a b.tif?v=2", "http://f.org/a b.tif?v=2"),
        ("../items/i.json", "a.tif", "http://h.org/items/a.tif"),
        ("s3://bucket/s/i.json", "./a.tif", "s3://bucket/s/a.tif"),
        ("http://f.org/s/i.json", "s3://b/a.tif", "s3://b/a.tif"),
        ("http://f.org/s/i.json", "https://g.org/a.tif", "https://g.org/a.tif"),
    ],
)
def test_relative_addresses_are_the_items_own(own: Any, href: str, whole: str) -> None:
    links = [] if own is None else [{"rel": "self", "href": own}]
    record = {"id": "a", "links": links, "assets": {"vv": {"href": href, "title": "VV"}}}
    made = with_addresses(record, "http://h.org/stac/search", CatalogSettings("a", ""))
    assert made["assets"] == {"vv": {"href": whole, "title": "VV"}}
    assert record["assets"]["vv"]["href"] == href


def test_paths_of_a_trusted_catalogue_stay_paths() -> None:
    record = {"assets": {"vv": {"href": "/data/a.tif"}, "vh": {"href": "./a.tif"}}}
    settings = CatalogSettings("a", "", trusted=True)
    made = with_addresses(record, "http://h.org/search", settings)["assets"]
    assert made == {"vv": {"href": "/data/a.tif"}, "vh": {"href": "http://h.org/a.tif"}}


def test_a_bucket_is_read_at_its_public_address() -> None:
    record = {"assets": {"vv": {"href": "s3://deafrica-sentinel-1/s1_rtc/N05E016/vv.tif"}}}
    settings = resolve_catalog("digital-earth-africa")
    made = with_addresses(record, "https://h.org/search", settings)["assets"]
    root = "https://deafrica-sentinel-1.s3.af-south-1.amazonaws.com"
    assert made == {"vv": {"href": f"{root}/s1_rtc/N05E016/vv.tif"}}


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
