"""Search and pairing: a place and an event, to the passes that a map is made from.

One search over both sides of the event, for all orbits where the server cannot filter; pairing is
done here (`pairing`), and what cannot be served is explained (`shortfall`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pystac

from sarmap.acquire.archives import archives_of, from_first
from sarmap.acquire.catalogs import AUTO, open_catalog
from sarmap.acquire.earlier import with_earlier
from sarmap.acquire.instants import utc_now
from sarmap.acquire.item_search import (
    Catalogue,
    awaited,
    first_item,
    require_collection,
    search_items,
    understands,
)
from sarmap.acquire.pairing import Choice, Track, group_passes, tracks_of
from sarmap.acquire.scenes import (
    Scene,
    left_out,
    read_item,
    read_scene,
    readable,
    refuse_source_form,
)
from sarmap.acquire.sentinel_2 import clearest
from sarmap.acquire.shortfall import (
    NoPostPassError,
    NoSceneError,
    OutsideCoverageError,
    PassError,
    shortfall,
)
from sarmap.acquire.sought import Search, Sought
from sarmap.errors import RequestError
from sarmap.types import CatalogSettings, Orbit, Pass, Passes

logger = logging.getLogger(__name__)

Catalog = str | CatalogSettings | Mapping[str, Any]
_STATES = ("ascending", "descending")


def search_passes(
    area: Any,
    event: Any,
    *,
    catalog: Catalog = AUTO,
    orbit: Orbit | None = None,
    relative_orbit: int | None = None,
    pre: int = 1,
    post: int = 2,
    optical: bool = False,
    bands: tuple[str, ...] = ("vv",),
    before_days: float | None = None,
    after_days: float | None = None,
) -> Passes:
    """The passes of one relative orbit before and after an event.

    Parameters
    ----------
    area
        Anything `parse_area` takes.
    event
        An instant, or (start, end); see `parse_event`.
    catalog
        Anything `resolve_catalog` takes, or 'auto': the first archive of the list that has the
        passes (see `archives`); `notes` say which, where it is not the first of all.
    orbit
        'ascending', 'descending', or None for the best covered; see `pairing.choose`.
    relative_orbit
        Number of the one track to look at; None: any.
    pre
        Passes before the event.
    post
        Passes after the event.
    optical
        Also find the clearest Sentinel-2 scenes after the event.
    bands
        Bands that every scene must have an asset for.
    before_days
        Days searched before the event; None: 60, or more for many passes.
    after_days
        Days searched after the event; None: likewise.

    Raises
    ------
    RequestError
        The request is wrong, or the passes do not exist (NoSceneError, OutsideCoverageError,
        NoPostPassError, NoPrePassError, TooFewPassesError say which).
    CatalogError
        The catalogue cannot be reached.
    """
    if orbit == "both":
        raise RequestError(
            "search_passes gives the passes of one orbit: for orbit='both' call search_orbits."
        )
    search = Search.of(
        area,
        event,
        orbit=orbit,
        relative_orbit=relative_orbit,
        pre=pre,
        post=post,
        optical=optical,
        bands=tuple(bands),
        before_days=before_days,
        after_days=after_days,
    )
    (found,), whys = from_first(archives_of(catalog), partial(search_orbits, search))
    return replace(found, notes=(*found.notes, *whys))


def search_orbits(search: Search, settings: CatalogSettings) -> tuple[Passes, ...]:
    """The passes of each orbit to be mapped: one entry, or with orbit='both' one per direction.

    Errors are those of `search_passes`; with orbit='both' each direction must have its passes.
    """
    client = open_catalog(settings)
    choices, seen, sought = _choices(client, _in(settings, search))
    images = _optical(client, sought) if search.optical else ()
    return tuple(with_earlier(_passes(one, sought, images), seen, sought) for one in choices)


def look(search: Search, settings: CatalogSettings) -> tuple[tuple[Passes, ...], Pass]:
    """The passes of every orbit that has one before and one after the event, best orbit first, and
    the newest pass over the place.

    Errors are those of `search_passes`; each orbit has up to `pre` and `post` passes. Notes say
    which passes after the event exist as GRD alone.
    """
    scenes, sought = search_scenes(search, settings)
    if not scenes and not sought.lacking:
        raise _nothing(open_catalog(settings), sought)
    tracks = tracks_of(group_passes(scenes, sought.area.geometry))
    wanted = _of(tracks, search.orbit if search.orbit in _STATES else None, search.relative_orbit)
    sought = replace(sought, least=(1, 1))
    best = sought.choose(wanted)
    error = shortfall(best, tracks, sought, now=utc_now())
    seen = ""
    if settings.grd_collection is not None:
        seen = awaited(open_catalog(settings), sought, tracks)
    if isinstance(error, PassError):
        error.add(seen)
    if error is not None:
        raise error
    each = [sought.choose([track]) for track in wanted]
    found = [one for one in each if one is not None and one.pre and one.post]
    found.sort(key=lambda one: (one != best, -one.coverage))
    newest = max((track.passes[-1] for track in tracks), key=lambda one: one.datetime)
    return tuple(_passes(one, sought, (), (seen,)) for one in found), newest


def search_scenes(search: Search, settings: CatalogSettings) -> tuple[list[Scene], Sought]:
    """All scenes before and after an event that hold all bands, of every track, not paired, and
    what was sought, for messages; none is no error.

    For who decides over a wider place than one map: see `sarmap.regions.tracks`. Raises
    RequestError where the request is wrong, CatalogError where the catalogue cannot be reached.
    """
    return _scenes(open_catalog(settings), _in(settings, search), {})


def search_optical(sought: Sought) -> tuple[pystac.Item, ...]:
    """The clearest Sentinel-2 scenes after the event; RequestError where the catalogue has no
    optical collection or no scene of the place, CatalogError where it cannot be reached.
    """
    return _optical(open_catalog(sought.settings), sought)


def pass_rows(passes: Passes) -> list[dict[str, Any]]:
    """One row per pass, by time: role, datetime, platform, orbit, coverage (%) and scene ids."""
    return [
        {
            "role": one.role,
            "datetime": f"{one.datetime:%Y-%m-%dT%H:%M:%SZ}",
            "platform": one.platform,
            "orbit_state": one.orbit_state,
            "relative_orbit": one.relative_orbit,
            "coverage_percent": round(100 * one.coverage, 1),
            "scenes": [item.id for item in one.items],
        }
        for one in passes
    ]


def _in(settings: CatalogSettings, search: Search) -> Sought:
    return Sought(**vars(search), settings=settings)


def _choices(client: Catalogue, sought: Sought) -> tuple[tuple[Choice, ...], list[Pass], Sought]:
    """One complete choice per orbit asked for, all passes, and what was sought and left out."""
    wanted = sought.orbit if sought.orbit in _STATES else None
    equals = {sought.settings.orbit_state_property: wanted} if wanted else {}
    if equals and understands(client):
        # half the records to carry; where they do not suffice, all are read, to say what there is
        seen, narrowed = _seen(client, sought, equals)
        narrow = sought.choose(_of(_own(seen, sought), wanted, sought.relative_orbit))
        if narrow is not None and sought.served_by(narrow):
            return (narrow,), seen, narrowed
    seen, sought = _seen(client, sought, {})
    tracks = _own(seen, sought)
    choices = []
    for state in _STATES if sought.orbit == "both" else (wanted,):
        choice = sought.choose(_of(tracks, state, sought.relative_orbit))
        asked = replace(sought, orbit=state)
        error = shortfall(choice, tracks, asked, now=utc_now())
        if isinstance(error, NoPostPassError):
            error.add(awaited(client, asked, tracks))
        if error is not None:
            raise error
        if choice is not None:
            choices.append(choice)
    return tuple(choices), seen, sought


def _own(seen: Sequence[Pass], sought: Sought) -> list[Track]:
    """Tracks of the passes that the map itself may be made from."""
    return tracks_of(one for one in seen if one.datetime >= sought.own_since)


def _of(tracks: list[Track], state: str | None, number: int | None) -> list[Track]:
    return [
        track
        for track in tracks
        if state in (None, track.orbit_state) and number in (None, track.relative_orbit)
    ]


def _seen(
    client: Catalogue, sought: Sought, equals: Mapping[str, str]
) -> tuple[list[Pass], Sought]:
    """Passes over the place, and what was sought with the scenes that had to be left out."""
    scenes, found = _scenes(client, sought, equals)
    if not scenes and not found.lacking and not equals:
        raise _nothing(client, sought)
    return group_passes(scenes, sought.area.geometry), found


def _scenes(
    client: Catalogue, sought: Sought, equals: Mapping[str, str]
) -> tuple[list[Scene], Sought]:
    """Scenes with all bands, and what was sought with those that had to be left out."""
    settings = sought.settings
    records = search_items(
        client, settings, settings.radar_collection, sought.area.bbox, sought.window, equals=equals
    )
    scenes, odd = readable(records, lambda record: read_scene(record, settings))
    keys = [_asset_key(settings, band) for band in sought.bands]
    usable = [scene for scene in scenes if all(key in scene.item.assets for key in keys)]
    kept = {scene.item.id for scene in usable}
    lacking = tuple(scene.item.id for scene in scenes if scene.item.id not in kept)
    return usable, replace(sought, lacking=lacking, odd=odd)


def _asset_key(settings: CatalogSettings, band: str) -> str:
    if band not in settings.radar_assets:
        raise RequestError(
            f"catalogue {settings.name} names no asset for band {band!r}: add it to radar_assets "
            f"(it has {', '.join(settings.radar_assets)})."
        )
    return settings.radar_asset(band)[0]


def _passes(
    choice: Choice, sought: Sought, images: tuple[pystac.Item, ...], notes: tuple[str, ...] = ()
) -> Passes:
    said = filter(None, (left_out(sought.odd) if sought.odd else "", *notes))
    return sought.passes(choice.pre, choice.post, images, said)


def _optical(client: Catalogue, sought: Sought) -> tuple[pystac.Item, ...]:
    settings = sought.settings
    if settings.optical_collection is None:
        raise RequestError(
            f"catalogue {settings.name} has no optical collection: set optical_collection, or "
            "choose a composite without red, green and blue."
        )
    window = (sought.event[1], sought.window[1])
    records = search_items(client, settings, settings.optical_collection, sought.area.bbox, window)
    readings, odd = readable(records, read_item)
    if odd:
        logger.warning("Of the optical scenes %s", left_out(odd))
    items = clearest(readings, sought.area.geometry, window[0])
    if not items:
        raise NoSceneError(
            f"no optical scene in collection {settings.optical_collection!r} of {settings.name} "
            f"for {sought.area} between {window[0]:%Y-%m-%d} and {window[1]:%Y-%m-%d}: search "
            "further with after_days, or choose a composite without red, green and blue."
        )
    return items


def _nothing(client: Catalogue, sought: Sought) -> RequestError:
    """Why a search found nothing: the collection, the place or the dates."""
    settings = sought.settings
    name = settings.radar_collection
    require_collection(client, settings, name, "radar_collection")
    if first_item(client, settings, name, sought.area.bbox) is not None:
        return NoSceneError(
            f"no radar scene in {sought}, although there are others of the place: check event, or "
            "search further with before_days and after_days."
        )
    example = first_item(client, settings, name)
    if example is None:
        return OutsideCoverageError(
            f"collection {name!r} of {settings.name} has no items: check catalog and "
            "radar_collection."
        )
    refuse_source_form(str(example.get("id")), example.get("bbox"), example.get("geometry"))
    return OutsideCoverageError(
        f"the place ({sought.area}) is outside the coverage of collection {name!r} of "
        f"{settings.name}: check that longitude comes before latitude, or use another catalog."
    )
