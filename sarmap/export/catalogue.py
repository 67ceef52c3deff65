"""A folder of maps as a static STAC catalogue: ``collection.json`` names the items beside it.

Addresses are relative, so that the folder may be moved or served from anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sarmap.store.replacing import replacing

COLLECTION = "collection.json"
"""Its file, in the folder of the items."""
_ID = "sarmap-maps"


def join_catalogue(item: dict[str, Any], file: Path) -> None:
    """Give an item its place in the collection of its folder, which is begun where there is none.

    A ``collection.json`` of somebody else is left alone, and the item belongs to none.

    Parameters
    ----------
    item
        The item's record, which gets its links.
    file
        Where it will be written.

    Raises
    ------
    OutputError
        The collection cannot be written.
    """
    place = file.parent / COLLECTION
    known = {} if file.name == COLLECTION else _read(place)
    if known.get("id") != _ID:
        return
    item["collection"] = _ID
    item["links"] += [
        {"rel": relation, "href": f"./{COLLECTION}", "type": "application/json"}
        for relation in ("root", "parent", "collection")
    ]
    with replacing(place, overwrite=True) as fresh:
        text = json.dumps(_with(known, item, f"./{file.name}"), indent=2, ensure_ascii=False)
        fresh.write_text(text + "\n", encoding="utf-8")


def _read(place: Path) -> dict[str, Any]:
    """The collection that stands there, a new one, or nothing where it is no collection."""
    if not place.exists():
        link = {"rel": "root", "href": f"./{COLLECTION}", "type": "application/json"}
        return {"type": "Collection", "stac_version": "1.1.0", "id": _ID, "links": [link]}
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _with(known: Mapping[str, Any], item: Mapping[str, Any], href: str) -> dict[str, Any]:
    """A collection that names one item more, or again."""
    told = item["properties"]
    times = [told["start_datetime"], told["end_datetime"]]
    boxes, intervals = [item["bbox"]], [times]
    if "extent" in known:
        boxes += known["extent"]["spatial"]["bbox"]
        intervals += known["extent"]["temporal"]["interval"]
    west, south, east, north = zip(*boxes, strict=True)
    starts, ends = zip(*intervals, strict=True)
    simulated = bool(told["sarmap:simulated"] or known.get("sarmap:simulated"))
    others = [one for one in known["links"] if one.get("href") != href]
    link = {"rel": "item", "href": href, "type": "application/geo+json", "title": item["id"]}
    return {
        **known,
        "title": f"Landslide maps{', SIMULATED ones among them' if simulated else ''}",
        "description": "Landslide probability from Sentinel-1 radar, an item for each map.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[min(west), min(south), max(east), max(north)]]},
            "temporal": {"interval": [[min(starts), max(ends)]]},
        },
        "sarmap:simulated": simulated,
        "links": [*others, link],
    }
