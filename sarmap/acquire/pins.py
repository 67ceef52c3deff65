"""Files held to one state for a whole map: pinned as it begins, checked by every read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sarmap.acquire.handles import renew
from sarmap.acquire.reader import read_source
from sarmap.acquire.source import PIN, Source, item_source
from sarmap.errors import RequestError
from sarmap.net.reach import Reach, reach_of
from sarmap.net.remote import Pin
from sarmap.net.signing import Signer, make_signer
from sarmap.types import CatalogSettings

if TYPE_CHECKING:
    import pystac

OPENERS = 16
"""Files opened at a time: each is one small request."""


def pin_files(
    assets: Iterable[tuple[pystac.Item, str]],
    catalog: CatalogSettings,
    known: Mapping[str, Any] | None = None,
    *,
    replaced: bool = False,
    reach: Reach | None = None,
) -> None:
    """Hold files, by their items and the keys of their assets, to what they are now, or to what an
    earlier run of the map held them to: `known`, as `pins_of` gave it.

    The pins are kept with the items' assets, and every `Source` made of them has its own. Files
    that cannot be opened now stay without. Raises RequestError where a file is another one than
    `known` says, unless `replaced`: then it is held to what it is now. `reach` is how far records
    may lead; None: as those of the catalogue.
    """
    reach, signer = reach or reach_of(catalog), make_signer(catalog)
    waiting = [
        (item, key)
        for item, key in assets
        if item.assets[key].extra_fields.get(PIN, "") != _told(known, item, key)
    ]

    def pin(asset: tuple[pystac.Item, str]) -> Pin | None:
        item, key = asset
        source = item_source(item, key, setting="", reach=reach, projection_from_file=True)
        before = _told(known, item, key)
        try:
            return _opened(replace(source, pin=before), signer)
        except RequestError:
            if before is None or not replaced:
                raise
            return _opened(replace(source, pin=None), signer)

    if waiting:
        with ThreadPoolExecutor(min(OPENERS, len(waiting))) as pool:
            for (item, key), found in zip(waiting, pool.map(pin, waiting), strict=True):
                item.assets[key].extra_fields[PIN] = found


def pins_of(items: Iterable[pystac.Item]) -> dict[str, list[Any]]:
    """Item and asset -> what its file is held to, of all that are."""
    return {
        _label(item, key): list(asset.extra_fields[PIN])
        for item in items
        for key, asset in item.assets.items()
        if isinstance(asset.extra_fields.get(PIN), Pin)
    }


def _label(item: pystac.Item, key: str) -> str:
    return f"{item.id} {key}"


def _told(known: Mapping[str, Any] | None, item: pystac.Item, key: str) -> Pin | None:
    """What a file is to be held to: what an earlier run did, or else what this one does."""
    kept, held = (known or {}).get(_label(item, key)), item.assets[key].extra_fields.get(PIN)
    if isinstance(kept, list) and [type(one) for one in kept] == [int, str, str]:
        return Pin(*kept)
    return held if isinstance(held, Pin) else None


def _opened(source: Source, signer: Signer) -> Pin | None:
    """What a file is known by, opened anew; the handle serves the map's first read."""
    renew(source.href, source.reach)
    found = read_source(source, lambda _handle: (0, 0, 0, 0), signer, positive=False)
    return source.pin or (found[1].pin if found is not None else None)
