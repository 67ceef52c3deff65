"""Item records out of a STAC API: pages, limits, and filters only where they are understood.

A server without the Filter or Query extension may answer *no items* to a filter, instead of an
error (`rustac serve` does), so none is sent unless the server's conformance classes name one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pystac_client

from sarmap.acquire.catalogs import catalog_errors
from sarmap.acquire.item_files import ItemFiles, at_place, joined
from sarmap.acquire.pairing import SAME_PASS, Track, group_passes
from sarmap.acquire.scenes import read_scene, readable
from sarmap.errors import CatalogError, RequestError, SarmapError
from sarmap.net.stac_io import FRUITLESS
from sarmap.types import CatalogSettings, Pass

if TYPE_CHECKING:
    from sarmap.acquire.sought import Sought

Catalogue = pystac_client.Client | ItemFiles
"""What `sarmap.acquire.catalogs.open_catalog` opens."""
MAX_ITEMS = 20_000
"""More items than this are refused: the request is too wide."""
PAGE = 200


def search_items(
    client: Catalogue,
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
    answer again. Raises CatalogError where the server cannot be reached or does not answer as a
    STAC API, RequestError where there are more items than anyone could want.
    """
    if isinstance(client, ItemFiles):
        yield from client.search(collection, bbox, window)
        return
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
        fruitless = 0
        for page in found.pages_as_dicts():
            fresh = {str(one.get("id")): one for one in _own(page["features"], collection)}
            fresh = {name: one for name, one in fresh.items() if name not in seen}
            fruitless = 0 if fresh else fruitless + 1
            if fruitless == FRUITLESS:  # a server whose pages never end
                return
            seen.update(fresh)
            if len(seen) > limit:
                raise RequestError(
                    f"more than {limit:,} items of {collection!r} over the area: give a smaller "
                    "area or fewer days."
                )
            for record in fresh.values():
                yield with_addresses(record, found.url, settings)


def _own(records: list[dict[str, Any]], collection: str) -> list[dict[str, Any]]:
    """Records without those of other collections, which some servers give too."""
    own = [one for one in records if one.get("collection") == collection]
    return own or records


def with_addresses(
    record: dict[str, Any], came_from: str, settings: CatalogSettings
) -> dict[str, Any]:
    """A record whose assets' relative addresses are whole, and read from where the settings say.

    They are relative to the record's own address, or where it names none, to the one it came from.

    >>> record, settings = {"assets": {"vv": {"href": "./a.tif"}}}, CatalogSettings("a", "")
    >>> with_addresses(record, "https://a.org/stac/search", settings)["assets"]["vv"]["href"]
    'https://a.org/stac/a.tif'
    """
    try:
        own = next((str(one["href"]) for one in record["links"] if one["rel"] == "self"), "")
    except (KeyError, TypeError):
        own = ""
    return at_place(record, joined(came_from, own), settings)


def first_item(
    client: Catalogue,
    settings: CatalogSettings,
    collection: str,
    bbox: tuple[float, float, float, float] | None = None,
) -> dict[str, Any] | None:
    """Some item record of a collection, over a bbox (degrees) or anywhere; None where it has none.
    Raises CatalogError as `search_items` does.
    """
    if isinstance(client, ItemFiles):
        return next(client.search(collection, bbox, None), None)
    with catalog_errors(settings, client.self_href):
        found = client.search(
            method=_method(client), collections=[collection], bbox=bbox, limit=1, max_items=1
        )
        return next(found.items_as_dicts(), None)


def require_collection(
    client: Catalogue, settings: CatalogSettings, name: str, setting: str
) -> None:
    """Refuse (RequestError) a collection that the catalogue does not list; `setting` is what named
    it.
    """
    try:
        known = _collections(client, settings)
    except CatalogError:
        return  # a server may search without listing its collections
    if known and name not in known:
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise RequestError(
            f"catalogue {settings.name} has no collection {name!r} (it has {shown}): set {setting}."
        )


def _collections(client: Catalogue, settings: CatalogSettings) -> list[str]:
    if isinstance(client, ItemFiles):
        return client.collections
    with catalog_errors(settings, client.self_href):
        return sorted(collection.id for collection in client.get_collections())


def understands(client: Catalogue) -> bool:
    """True where a server says that it can filter by property (Filter or Query extension)."""
    if isinstance(client, ItemFiles):
        return False
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


def awaited(client: Catalogue, sought: Sought, tracks: Sequence[Track]) -> str:
    """A sentence on passes after the event that exist as GRD alone; empty where there are none.

    One query, of catalogues that name a `grd_collection`; what goes wrong with it is said.
    """
    settings = sought.settings
    if settings.grd_collection is None:
        return ""
    window = (sought.event[1], sought.window[1])
    try:
        records = search_items(client, settings, settings.grd_collection, sought.area.bbox, window)
        scenes, _ = readable(records, lambda record: read_scene(record, settings))
    except SarmapError as error:
        return f"Whether GRD of later passes exists could not be found out: {error}"
    wanted = [one for one in scenes if sought.orbit in (None, "both", one.orbit_state)]
    corrected = [one for track in tracks for one in track.passes]
    missing = [
        one
        for one in group_passes(wanted, sought.area.geometry)
        if not any(_same(one, other) for other in corrected)
    ]
    if not missing:
        return ""
    named = ", ".join(
        f"{one.datetime.astimezone(dt.UTC):%Y-%m-%d} ({one.orbit_state} orbit {one.relative_orbit})"
        for one in missing
    )
    return f"GRD of {named} exists, its RTC does not yet."


def _same(one: Pass, other: Pass) -> bool:
    """Whether two collections hold the same pass."""
    near = abs(one.datetime - other.datetime) < SAME_PASS
    return near and one.relative_orbit == other.relative_orbit
