"""Where a scene lies, out of its file's header: where its record does not say, or cannot be true.

NASA's CMR-STAC gives items a footprint in degrees and nothing of the STAC projection extension; the
records of others contradict their own footprints (`acquire.projection`). A scene's lattice then
stands in its files alone, and one of them speaks for all of the item's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sarmap.acquire.handles import Handle
from sarmap.acquire.loader import Slice
from sarmap.acquire.projection import Place, differ, lattice_bounds
from sarmap.acquire.reader import read_source, why_unread
from sarmap.acquire.source import Source
from sarmap.errors import CatalogError
from sarmap.net.signing import Signer
from sarmap.types import CatalogSettings

HEADER_THREADS = 8
"""Headers read at a time: each is one small request."""

PLACES_KEPT = 10_000
"""Headers remembered by the process."""

logger = logging.getLogger(__name__)

_places: dict[str, Place] = {}


def place_scenes(
    passes: Sequence[Sequence[Slice]], settings: CatalogSettings, signer: Signer
) -> tuple[list[list[Slice]], tuple[str, ...]]:
    """Each pass's scenes with the place that their files' headers give, where their items are not
    believed, and what a reader of the map should know: which records contradict their files.

    One header per scene is read, that of its first unplaced source, with the reader's own handles,
    signing and retries, several at a time, and once per process. A scene whose file could not be
    opened lies where its item says, if there is nothing odd about that; else it stays on its
    footprint, and so is read_failed there, unless it opens when its pixels are read; the log says
    so.

    Raises CatalogError where not one file could be opened, RequestError where one has no map
    projection.
    """
    scenes = [scene for one in passes for scene in one]
    speaking = {source.href: source for source in map(_unplaced, scenes) if source}
    if not speaking:
        return [list(one) for one in passes], ()
    with ThreadPoolExecutor(min(HEADER_THREADS, len(speaking))) as pool:
        found = pool.map(lambda source: _read_place(source, signer), speaking.values())
        places = dict(zip(speaking, found, strict=True))
    silent = [one for href, one in speaking.items() if not places[href] and not _believed(one)]
    if silent:
        files = {next(iter(scene.values())).href for scene in scenes}
        _say_silent(silent, len(files), settings)
    placed = [[_placed(scene, places) for scene in one] for one in passes]
    return placed, _notes(speaking, places)


def _unplaced(scene: Slice) -> Source | None:
    """The first source of a scene that its item does not place."""
    return next((source for source in scene.values() if not source.placed), None)


def _believed(source: Source) -> Place | None:
    """Where an item says that a file lies, where there is nothing odd about it."""
    return None if source.doubt else source.said


def _placed(scene: Slice, places: dict[str, Place | None]) -> Slice:
    """A scene with what its speaking file says."""
    speaker = _unplaced(scene)
    if speaker is None:
        return scene
    return {
        name: source if source.placed else _at(source, places[speaker.href] or _believed(source))
        for name, source in scene.items()
    }


def _at(source: Source, place: Place | None) -> Source:
    if place is None:
        return source
    return replace(
        source,
        crs=place.crs,
        bounds=place.bounds,
        transform=place.transform,
        placed=True,
        said=None,
        doubt="",
    )


def _read_place(source: Source, signer: Signer) -> Place | None:
    """What the header of a source's file says; None where it cannot be opened."""
    if source.href in _places:
        return _places[source.href]
    found = read_source(source, lambda _handle: (0, 0, 0, 0), signer, positive=False)
    if found is None:
        return None
    place = place_of(found[1])
    if source.href.startswith(("http://", "https://")):  # a local file may be written anew
        if len(_places) >= PLACES_KEPT:
            _places.clear()
        _places[source.href] = place
    return place


def place_of(handle: Handle) -> Place:
    """Where an open file's pixels lie."""
    assert handle.crs is not None  # or it would not have been read
    epsg = handle.crs.to_epsg()
    crs = f"EPSG:{epsg}" if epsg else handle.crs.to_wkt()
    bounds = lattice_bounds(handle.transform, handle.shape)
    return Place(crs, bounds, handle.transform, handle.flipped)


def _notes(speaking: dict[str, Source], places: dict[str, Place | None]) -> tuple[str, ...]:
    """Which records contradict their files, and which say nothing, in a sentence each."""
    lied, mute = [], []
    for href, place in places.items():
        said = speaking[href].said
        if place is not None and said is not None and differ(said, place):
            lied.append(speaking[href])
        elif place is not None and said is None and speaking[href].doubt:
            mute.append(speaking[href])
    return tuple(
        f"The record of item {some[0].item!r}{_others(some)} {words}: the file was believed."
        for some, words in (
            (lied, "contradicts its file on where the pixels lie"),
            (mute, "does not say where the pixels lie"),
        )
        if some
    )


def _others(sources: Sequence[Source]) -> str:
    more = len(sources) - 1
    return f" (and of {more} more)" if more else ""


def _say_silent(silent: Sequence[Source], scenes: int, settings: CatalogSettings) -> None:
    """Refuse to go on where no scene at all could be opened; else tell which could not."""
    first = silent[0]
    odd = f", whose record {first.doubt}" if first.doubt else ""
    if len(silent) == scenes:
        raise CatalogError(
            f"Not one of {scenes} files of catalogue {settings.name!r} could be opened to learn "
            f"where it lies (first {first.label}{odd}: {why_unread(first)}): check the network, "
            "and the login that this catalogue's data needs."
        )
    logger.warning(
        "%d of %d scenes could not be opened to learn where they lie (first %s%s): their "
        "footprints are read_failed where no other scene is seen",
        len(silent),
        scenes,
        first.label,
        odd,
    )
