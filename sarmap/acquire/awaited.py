"""Passes that the radar has made and nobody has corrected yet: known by the GRD beside the RTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sarmap.acquire.item_search import Catalogue, search_items
from sarmap.acquire.pairing import SAME_PASS, Track, group_passes
from sarmap.acquire.scenes import read_scene, readable
from sarmap.errors import SarmapError
from sarmap.types import Pass

if TYPE_CHECKING:
    from sarmap.acquire.sought import Sought


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
