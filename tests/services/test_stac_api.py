"""sarmap's search against stac-fastapi-pgstac, and a map made through it."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pystac_client
import pytest
import xarray as xr

import sarmap
from sarmap.acquire import item_search
from sarmap.acquire.catalogs import open_catalog, resolve_catalog
from sarmap.simulate.serve import absolute_hrefs

RADAR = "sentinel-1-rtc"


def _records(event: Any) -> tuple[list[Any], list[Any]]:
    return (
        json.loads(event.collections.read_text(encoding="utf-8")),
        json.loads(event.items.read_text(encoding="utf-8"))["features"],
    )


@pytest.fixture(scope="module")
def filled(event: Any, server: Any, stac_api: Any) -> Any:
    """The API with the small event in it; its files come from the event's own server."""
    collections, items = _records(event)
    hrefs = [absolute_hrefs(item, server.files_url) for item in items]
    stac_api.load(collections, hrefs)
    return stac_api


@pytest.fixture
def catalog(filled: Any, server: Any) -> sarmap.CatalogSettings:
    return dataclasses.replace(server.catalog, url=filled.url)


@pytest.fixture
def found(event: Any, catalog: sarmap.CatalogSettings) -> Any:
    """Search the radar collection over the event."""
    client = open_catalog(catalog)

    def search(**conditions: Any) -> list[dict[str, Any]]:
        records: Iterator[dict[str, Any]] = item_search.search_items(
            client, catalog, RADAR, event.area, **conditions
        )
        return list(records)

    return search


def test_the_server_says_that_it_can_filter_query_and_sort(filled: Any) -> None:
    client = open_catalog(resolve_catalog(filled.url))
    assert client.conforms_to("FILTER")
    assert client.conforms_to("QUERY")
    assert any(uri.endswith("/item-search#sort") for uri in client.get_conforms_to())
    assert item_search.understands(client)


def test_the_next_page_is_a_post_with_a_token(filled: Any) -> None:
    """What this server does, so that the tests of paging are tests of it."""
    page = filled.ask({"collections": [RADAR], "limit": 2})
    (link,) = (link for link in page["links"] if link["rel"] == "next")
    assert link["method"] == "POST"
    assert "token" in link["body"]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_every_page_is_read_whatever_its_size(
    event: Any, found: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, items = _records(event)
    radar = {item["id"] for item in items if item["collection"] == RADAR}
    monkeypatch.setattr(item_search, "PAGE", size)
    records = found()
    assert len(records) == len(radar) > 2 * size
    assert {record["id"] for record in records} == radar


@pytest.mark.parametrize("extension", ["filter", "query"])
def test_a_condition_is_answered_by_the_server(
    event: Any, found: Any, extension: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filter where it is offered; Query where only that is."""
    if extension == "query":
        only = "https://api.stacspec.org/v1.0.0/item-search#query"
        monkeypatch.setattr(
            "pystac_client.Client.get_conforms_to",
            lambda self: ["https://api.stacspec.org/v1.0.0/item-search", only],
        )
    _, items = _records(event)
    states = {
        item["id"]: item["properties"]["sat:orbit_state"]
        for item in items
        if item["collection"] == RADAR
    }
    for state in ("ascending", "descending"):
        wanted = {name for name, has in states.items() if has == state}
        answered = {record["id"] for record in found(equals={"sat:orbit_state": state})}
        assert wanted
        assert answered == wanted < set(states)


@pytest.mark.filterwarnings("ignore:Server does not conform to SORT")  # it claims 1.1 of it
def test_the_order_of_the_answer_changes_no_pass(
    event: Any, filled: Any, catalog: sarmap.CatalogSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorted either way by the server, in pages: the same passes, scenes in the same order."""
    monkeypatch.setattr(item_search, "PAGE", 3)
    plain = pystac_client.Client.search
    orders, found = [], []
    for direction in ("asc", "desc"):
        sorting = [{"field": "properties.datetime", "direction": direction}]
        page = filled.ask({"collections": [RADAR], "sortby": sorting, "limit": 100})
        orders.append([feature["properties"]["datetime"] for feature in page["features"]])
        monkeypatch.setattr(
            pystac_client.Client, "search", functools.partialmethod(plain, sortby=sorting)
        )
        passes = sarmap.search_passes(
            event.area, event.event, catalog=catalog, orbit="ascending", pre=2
        )
        found.append([(one.role, [item.id for item in one.items]) for one in passes])
    assert orders[0] == sorted(orders[0]) == orders[1][::-1]
    assert orders[0] != orders[1]
    assert found[0] == found[1]


def test_items_come_back_as_they_were_loaded(event: Any, found: Any, server: Any) -> None:
    """pgstac takes items apart and joins them again; nothing a map reads may change."""
    _, items = _records(event)
    loaded = {
        item["id"]: absolute_hrefs(item, server.files_url)
        for item in items
        if item["collection"] == RADAR
    }
    for record in found():
        given = loaded[record["id"]]
        assert record["properties"] == given["properties"]
        assert record["assets"] == given["assets"]
        assert record["bbox"] == given["bbox"]


def _numeric_strings(item: dict[str, Any]) -> None:
    properties = item["properties"]
    for key in ("sat:relative_orbit", "sat:absolute_orbit", "proj:epsg"):
        if key in properties:
            properties[key] = str(properties[key])


def test_numbers_as_strings_make_the_same_passes(
    event: Any, server: Any, filled: Any, catalog: sarmap.CatalogSettings
) -> None:
    """Some catalogues write numbers as strings; the pairing is that of the numbers."""
    collections, items = _records(event)
    (collection,) = (one for one in collections if one["id"] == RADAR)
    strings = []
    for item in items:
        if item["collection"] == RADAR:
            changed = copy.deepcopy(absolute_hrefs(item, server.files_url))
            changed["collection"] = "strings"
            _numeric_strings(changed)
            strings.append(changed)
    filled.load([{**collection, "id": "strings"}], strings)
    as_strings = dataclasses.replace(catalog, radar_collection="strings")

    def passes(settings: sarmap.CatalogSettings) -> list[Any]:
        return [
            (one.role, one.datetime, one.relative_orbit, one.platform, [i.id for i in one.items])
            for one in sarmap.search_passes(
                event.area, event.event, catalog=settings, orbit="descending"
            )
        ]

    assert passes(as_strings) == passes(catalog)
    assert all(isinstance(track, int) for _, _, track, _, _ in passes(as_strings))


def test_an_asset_that_an_item_lacks_is_not_taken_from_its_collection(
    event: Any, server: Any, filled: Any, catalog: sarmap.CatalogSettings
) -> None:
    """pgstac fills items in from the collection's `item_assets`, and may mark what is missing."""
    collections, items = _records(event)
    (collection,) = (one for one in collections if one["id"] == RADAR)
    lacking = []
    for item in items:
        if item["collection"] == RADAR:
            changed = copy.deepcopy(absolute_hrefs(item, server.files_url))
            changed["collection"] = "no-vh"
            del changed["assets"]["vh"]
            lacking.append(changed)
    assets = {key: {"type": "image/tiff", "roles": ["data"]} for key in ("vv", "vh")}
    filled.load([{**collection, "id": "no-vh", "item_assets": assets}], lacking)
    settings = dataclasses.replace(catalog, radar_collection="no-vh")
    passes = sarmap.search_passes(
        event.area, event.event, catalog=settings, orbit="ascending", bands=("vv",)
    )
    assert all("vh" not in item.assets for one in passes for item in one.items)
    with pytest.raises(sarmap.errors.SarmapError, match="vh"):
        sarmap.search_passes(
            event.area, event.event, catalog=settings, orbit="ascending", bands=("vv", "vh")
        )


def test_a_map_through_it_is_the_map_through_any_other_api(
    event: Any, server: Any, catalog: sarmap.CatalogSettings, tmp_path: Path
) -> None:
    """The whole route, to the bit, whoever answers the search."""
    maps = []
    for name, settings in (("pgstac", catalog), ("rustac", server.catalog)):
        request = sarmap.MapRequest(
            area=event.grid,
            event=event.event,
            catalog=settings,
            orbit="ascending",
            out=str(tmp_path / f"{name}.zarr"),
        )
        maps.append(xr.open_zarr(sarmap.map_landslides(request).path).load())
    through_pgstac, through_rustac = maps
    assert (through_pgstac.observation == 0).any()
    assert float(through_pgstac.probability.max()) > 0.5
    for name in ("probability", "observation", "slope"):
        np.testing.assert_array_equal(through_pgstac[name].values, through_rustac[name].values)
    assert json.loads(through_pgstac.attrs["scenes"]) == json.loads(through_rustac.attrs["scenes"])
