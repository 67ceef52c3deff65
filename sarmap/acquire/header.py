"""Where a scene lies, out of its file's header: for catalogues whose items do not say.

NASA's CMR-STAC gives items a footprint in degrees and nothing of the STAC projection extension. A
scene's lattice then stands in its files alone, and one of them speaks for all of the item's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from affine import Affine
from rasterio.transform import array_bounds

from sarmap.acquire.handles import Handle
from sarmap.acquire.loader import Slice
from sarmap.acquire.reader import read_source, why_unread
from sarmap.acquire.signing import Signer
from sarmap.acquire.source import Bounds, Source
from sarmap.errors import CatalogError, RequestError
from sarmap.types import CatalogSettings

__all__ = ["HEADER_THREADS", "place_scenes"]

HEADER_THREADS = 8
"""Headers read at a time: each is one small request."""

PLACES_KEPT = 10_000
"""Headers remembered by the process."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Place:
    """What a header says of where the pixels lie."""

    crs: str
    """EPSG code, or WKT where there is none."""
    bounds: Bounds
    """Extent in that CRS."""
    transform: Affine
    """Pixel to CRS."""


_places: dict[str, _Place] = {}


def place_scenes(
    passes: Sequence[Sequence[Slice]], settings: CatalogSettings, signer: Signer
) -> list[list[Slice]]:
    """Scenes with the place that their files' headers give, where their items gave none.

    Parameters
    ----------
    passes
        For each pass its scenes. One header per scene is read: that of its first unplaced source,
        with the reader's own handles, signing and retries, several at a time, and once per process.
    settings
        The catalogue, for messages.
    signer
        Applied to each href when it is read.

    Returns
    -------
    The same scenes, placed. One whose file could not be opened stays on its footprint, and so is
    read_failed there, unless it opens when its pixels are read; the log says so.

    Raises
    ------
    CatalogError
        Not one file could be opened.
    RequestError
        A file has no coordinate reference system.
    """
    scenes = [scene for one in passes for scene in one]
    speaking = {source.href: source for source in map(_unplaced, scenes) if source}
    if not speaking:
        return [list(one) for one in passes]
    with ThreadPoolExecutor(min(HEADER_THREADS, len(speaking))) as pool:
        found = pool.map(lambda source: _read_place(source, signer), speaking.values())
        places = dict(zip(speaking, found, strict=True))
    silent = [speaking[href] for href, place in places.items() if place is None]
    if silent:
        _say_silent(silent, len(scenes), settings)
    return [[_placed(scene, places) for scene in one] for one in passes]


def _unplaced(scene: Slice) -> Source | None:
    """The first source of a scene that its item does not place."""
    return next((source for source in scene.values() if not source.placed), None)


def _placed(scene: Slice, places: dict[str, _Place | None]) -> Slice:
    """A scene with what its speaking file says."""
    speaker = _unplaced(scene)
    place = places[speaker.href] if speaker else None
    if place is None:
        return scene
    return {
        name: source
        if source.placed
        else replace(
            source, crs=place.crs, bounds=place.bounds, transform=place.transform, placed=True
        )
        for name, source in scene.items()
    }


def _read_place(source: Source, signer: Signer) -> _Place | None:
    """What the header of a source's file says; None where it cannot be opened."""
    if source.href in _places:
        return _places[source.href]
    found = read_source(source, lambda _handle: (0, 0, 0, 0), signer, positive=False)
    if found is None:
        return None
    place = _place_of(source, found[1])
    if source.href.startswith(("http://", "https://")):  # a local file may be written anew
        if len(_places) >= PLACES_KEPT:
            _places.clear()
        _places[source.href] = place
    return place


def _place_of(source: Source, handle: Handle) -> _Place:
    if not handle.crs:
        raise RequestError(
            f"Neither the record nor the file of {source.label} names a coordinate reference "
            "system: its pixels cannot be placed; choose another catalogue or collection."
        )
    epsg = handle.crs.to_epsg()
    left, bottom, right, top = array_bounds(*handle.shape, handle.transform)
    crs = f"EPSG:{epsg}" if epsg else handle.crs.to_wkt()
    return _Place(crs, (left, bottom, right, top), handle.transform)


def _say_silent(silent: Sequence[Source], scenes: int, settings: CatalogSettings) -> None:
    """Refuse to go on where no scene at all could be opened; else tell which could not."""
    first = silent[0]
    if len(silent) == scenes:
        raise CatalogError(
            f"Not one of {scenes} files of catalogue {settings.name!r} could be opened to learn "
            f"where it lies (first {first.label}: {why_unread(first)}): check the network, and the "
            "login that this catalogue's data needs."
        )
    logger.warning(
        "%d of %d scenes could not be opened to learn where they lie (first %s): their footprints "
        "are read_failed where no other scene is seen",
        len(silent),
        scenes,
        first.label,
    )
