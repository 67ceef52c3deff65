"""The clearest Sentinel-2 image of a place after an event."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Sequence

import pystac
from shapely.geometry.base import BaseGeometry

from sarmap.acquire.area import share_covered
from sarmap.acquire.pairing import SAME_PASS, TOLERANCE
from sarmap.acquire.scenes import acquired, footprint_of


def clearest(
    items: Sequence[pystac.Item], area: BaseGeometry, after: dt.datetime
) -> tuple[pystac.Item, ...]:
    """Tiles of the clearest overpass after an instant (UTC) that covers the place (degrees),
    clearest tile first; empty where no item touches it.

    Overpasses that cover as much as the best does (less two hundredths) compete by mean cloud cover
    (%), then by time from `after`.
    """
    newest = _newest_tiles([item for item in items if acquired(item) > after])
    overpasses = [
        (share_covered(area, [footprint_of(item) for item in tiles]), tiles)
        for tiles in _overpasses(newest, area)
    ]
    if not overpasses:
        return ()
    best = max(share for share, _ in overpasses)
    covering = [tiles for share, tiles in overpasses if share >= best - TOLERANCE]
    chosen = min(
        covering, key=lambda tiles: (sum(map(cloud_cover, tiles)) / len(tiles), acquired(tiles[0]))
    )
    return tuple(sorted(chosen, key=lambda item: (cloud_cover(item), item.id)))


def cloud_cover(item: pystac.Item) -> float:
    """Cloud cover in percent; 100 where the item does not say."""
    try:
        value = float(item.properties.get("eo:cloud_cover", 100))
    except (TypeError, ValueError):
        return 100.0
    return value if math.isfinite(value) else 100.0


def _newest_tiles(items: Sequence[pystac.Item]) -> list[pystac.Item]:
    """Each tile of each instant once, in the newest processing."""
    tiles: dict[tuple[str, dt.datetime], pystac.Item] = {}
    for item in sorted(items, key=_processing):
        place = str(item.properties.get("s2:mgrs_tile") or item.properties.get("grid:code") or "")
        tiles[place or item.id, acquired(item)] = item
    return sorted(tiles.values(), key=lambda item: (acquired(item), item.id))


def _processing(item: pystac.Item) -> tuple[str, str]:
    keys = ("s2:processing_baseline", "s2:generation_time", "updated", "created")
    return next((str(item.properties[k]) for k in keys if k in item.properties), ""), item.id


def _overpasses(items: Sequence[pystac.Item], area: BaseGeometry) -> list[list[pystac.Item]]:
    """Tiles over the place, of one satellite within minutes."""
    satellites: dict[str, list[pystac.Item]] = defaultdict(list)
    for item in items:
        if footprint_of(item).intersection(area).area > 0:
            satellites[str(item.properties.get("platform", ""))].append(item)
    runs: list[list[pystac.Item]] = []
    for ordered in satellites.values():
        runs.append([ordered[0]])
        for item in ordered[1:]:
            if acquired(item) - acquired(runs[-1][-1]) <= SAME_PASS:
                runs[-1].append(item)
            else:
                runs.append([item])
    return runs
