"""Item records out of a STAC API: pages, limits, and filters only where they are understood.

A server without the Filter or Query extension may answer *no items* to a filter, instead of an
error (`rustac serve` does), so none is sent unless the server's conformance classes name one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pystac_client

from sarmap.acquire.catalogs import catalog_errors
from sarmap.errors import CatalogError, RequestError
from sarmap.types import CatalogSettings

__all__ = ["first_item", "require_collection", "search_items", "understands"]

MAX_ITEMS = 20_000
"""More items than this are refused: the request is too wide."""
PAGE = 200


def search_items(
    client: pystac_client.Client,
    settings: CatalogSettings,
    collection: str,
    bbox: tuple[float, float, float, float],
    window: tuple[dt.datetime, dt.datetime] | None = None,
    *,
    equals: Mapping[str, str] | None = None,
    limit: int = MAX_ITEMS,
) -> Iterator[dict[str, Any]]:
    """Item records of a collection over a bbox (degrees) and time (UTC), page after page.

    `equals` (property -> value) is sent along only where the server understands it: filter the
    answer again.

    Raises:
        CatalogError: the server cannot be reached or does not answer as a STAC API.
        RequestError: more items than anyone could want.
    """
    conditions = _conditions(client, equals or {})
    seen: set[str] = set()
    with catalog_errors(settings, client.self_href):
        found = client.search(
            method=_method(client),
            collections=[collection],
            bbox=bbox,
            datetime=list(window) if window else None,
            limit=min(PAGE, limit),
            max_items=None,
            **conditions,
        )
        for page in found.pages_as_dicts():
            fresh = [one for one in page["features"] if str(one.get("id")) not in seen]
            if not fresh:  # a server whose pages never end
                return
            for record in fresh:
                if str(record.get("id")) in seen:
                    continue
                seen.add(str(record.get("id")))
                if len(seen) > limit:
                    raise RequestError(
                        f"more than {limit:,} items of {collection!r} over the area: give a "
                        "smaller area or fewer days."
                    )
                yield record


def first_item(
    client: pystac_client.Client,
    settings: CatalogSettings,
    collection: str,
    bbox: tuple[float, float, float, float] | None = None,
) -> dict[str, Any] | None:
    """Some item record of a collection, over a bbox (degrees) or anywhere; None where it has none.

    Raises:
        CatalogError: the server cannot be reached or does not answer as a STAC API.
    """
    with catalog_errors(settings, client.self_href):
        found = client.search(
            method=_method(client), collections=[collection], bbox=bbox, limit=1, max_items=1
        )
        return next(found.items_as_dicts(), None)


def require_collection(
    client: pystac_client.Client, settings: CatalogSettings, name: str, setting: str
) -> None:
    """Refuse a collection that the catalogue does not list; `setting` is what named it.

    Raises:
        RequestError: the catalogue lists others.
    """
    try:
        with catalog_errors(settings, client.self_href):
            known = sorted(collection.id for collection in client.get_collections())
    except CatalogError:
        return  # a server may search without listing its collections
    if known and name not in known:
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise RequestError(
            f"catalogue {settings.name} has no collection {name!r} (it has {shown}): set {setting}."
        )


def understands(client: pystac_client.Client) -> bool:
    """True where a server says that it can filter by property (Filter or Query extension)."""
    return bool(client.conforms_to("FILTER") or client.conforms_to("QUERY"))


def _conditions(client: pystac_client.Client, equals: Mapping[str, str]) -> dict[str, Any]:
    """Search arguments for property = value, in an extension the server says it has; else none."""
    if not equals or not understands(client):
        return {}
    if client.conforms_to("FILTER"):
        clauses = [
            {"op": "=", "args": [{"property": name}, value]} for name, value in equals.items()
        ]
        whole = clauses[0] if len(clauses) == 1 else {"op": "and", "args": clauses}
        return {"filter": whole, "filter_lang": "cql2-json"}
    return {"query": {name: {"eq": value} for name, value in equals.items()}}


def _method(client: pystac_client.Client) -> str:
    """POST where the server offers it: a GET address may grow too long for a proxy."""
    offered = {
        str(link.extra_fields.get("method") or "GET").upper() for link in client.get_links("search")
    }
    return "POST" if "POST" in offered or not offered else "GET"
