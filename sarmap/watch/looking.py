"""What the archives have of a watched place: its tracks, each from the archive that has most of it.

A pass is known by its track and its time, so that two archives' scenes of it are one pass. A map is
one archive's alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sarmap.acquire.archives import archives_of
from sarmap.acquire.catalogs import AUTO
from sarmap.acquire.pairing import USABLE, Track, choose, group_passes, tracks_of
from sarmap.acquire.search import search_passes, search_scenes
from sarmap.acquire.sought import Search
from sarmap.errors import SarmapError
from sarmap.net.signing import check_login
from sarmap.types import CatalogSettings, Pass
from sarmap.watch.request import WatchRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A track, as one archive has it."""

    archive: CatalogSettings
    """Where it was found."""
    track: Track
    """It, with all its passes."""
    passes: tuple[Pass, ...]
    """Those after the event that cover a fair part of the place; empty where none was before it."""


def require_radar(request: WatchRequest) -> None:
    """Refuse (RequestError) a place, or days, of which no archive has radar at all; CatalogError
    where none can be reached.
    """
    if not looked_at(request):
        archives = archives_of(request.catalog, trusted=request.trust_catalog)
        search_passes(
            request.area,
            request.event,
            catalog=AUTO if archives[1:] else archives[0],
            orbit=None if request.orbit == "both" else request.orbit,
            relative_orbit=request.relative_orbit,
            post=1,
        )


def looked_at(request: WatchRequest) -> list[Found]:
    """The tracks that are watched: those that cover a fair part of the place, each as the archive
    has it that has most passes after the event. Where no archive answers, the first one's own
    error.
    """
    found: dict[tuple[int, str, str], Found] = {}
    archives = archives_of(request.catalog, trusted=request.trust_catalog)
    failed: list[SarmapError] = []
    search = Search.of(
        request.area,
        request.event,
        bands=(),
        before_days=request.before_days,
        after_days=request.days,
    )
    for settings in archives:
        try:
            check_login(settings)
            tracks = _tracks(request, search, settings)
        except SarmapError as error:
            logger.info("%s is not looked at: %s", settings.name, error)
            failed.append(error)
            continue
        for one in tracks:
            key = one.track.relative_orbit, one.track.orbit_state, one.track.mode
            known = found.get(key)
            if known is None or len(one.passes) > len(known.passes):
                found[key] = one
    if len(failed) == len(archives):
        raise failed[0]
    widest = max((one.track.coverage for one in found.values()), default=0.0)
    return [one for one in found.values() if one.track.coverage >= USABLE * widest]


def _tracks(request: WatchRequest, search: Search, archive: CatalogSettings) -> list[Found]:
    """All tracks of one archive that are asked for."""
    scenes, sought = search_scenes(search, archive)
    found = []
    for track in tracks_of(group_passes(scenes, sought.area.geometry)):
        choice = choose([track], sought.event, pre=1, post=len(track.passes))
        after = choice.post if choice is not None and choice.pre else ()
        wanted = request.orbit in (None, "both", track.orbit_state)
        if wanted and request.relative_orbit in (None, track.relative_orbit):
            found.append(Found(archive, track, after))
    return found
