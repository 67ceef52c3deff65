"""A region's work laid out: its units, their order, and what each is read from; nothing read yet.

`survey` needs no network: region, detector, lattices, units. `design` asks the catalogue, once for
each zone, and decides the passes; what an earlier run of the same scan decided is kept, so that a
unit mapped tomorrow agrees with its neighbour of today.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

import sarmap
from sarmap.acquire.area import Area
from sarmap.acquire.catalogs import resolve_catalog
from sarmap.acquire.instants import parse_event
from sarmap.acquire.scenes import Scene
from sarmap.acquire.search import search_optical, search_scenes
from sarmap.acquire.shortfall import Sought
from sarmap.assembly import DEFAULT_CHUNK
from sarmap.choosing import load, orbit_of
from sarmap.compose.composites import (
    needs_optical,
    needs_terrain,
    required_passes,
    required_radar_bands,
)
from sarmap.compose.control import control_passes
from sarmap.detect.prediction import stride_of
from sarmap.detect.protocol import DetectorSpec, describe
from sarmap.errors import RequestError, SarmapError
from sarmap.regions.lattice import Unit, lattice_for
from sarmap.regions.order import in_order
from sarmap.regions.place import (
    Region,
    Zone,
    in_crs,
    on_globe,
    outline,
    parse_region,
    polygons,
    sides,
    zones_of,
)
from sarmap.regions.request import ScanRequest, check_request
from sarmap.regions.stored import restored_takes
from sarmap.regions.tracks import Decision, decide
from sarmap.types import CatalogSettings, Detector, Passes

__all__ = ["Design", "Survey", "Work", "design", "identity", "survey"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """One unit and its part of the region."""

    unit: Unit
    """Where it lies."""
    piece: BaseGeometry
    """What of the region lies in it, degrees."""
    rank: float
    """What decided its place in the order: kilometres, priority or number."""


@dataclass(frozen=True)
class Survey:
    """A scan's request with everything answered that needs no catalogue."""

    request: ScanRequest
    """What was asked."""
    region: Region
    """The place."""
    zones: tuple[Zone, ...]
    """The zones it lies in."""
    catalog: CatalogSettings
    """Where the data is."""
    detector: Detector
    """The loaded detector."""
    spec: DetectorSpec
    """What it reads and how it is tiled."""
    stride: int
    """Step from tile to tile, pixels."""
    chunk: int
    """Block edge, pixels."""
    works: Mapping[str, Work]
    """Units by name, in the order they are to be mapped."""

    @property
    def pixels(self) -> int:
        """Pixels of all units."""
        return sum(work.unit.pixels for work in self.works.values())


@dataclass(frozen=True)
class Design:
    """All units with what they are read from."""

    survey: Survey
    """Where they lie and what is asked."""
    takes: Mapping[str, Passes]
    """Key -> passes of one track over the region."""
    decisions: Mapping[str, Decision]
    """Unit's name -> what it is read from."""
    searches: int
    """Searches of the catalogue for radar scenes that it took."""


def survey(request: ScanRequest) -> Survey:
    """Units of a region, in order, and the detector that will map them.

    Raises:
        RequestError: the request is wrong, or the region no place to be mapped.
    """
    check_request(request)
    region = parse_region(request.area)
    zones = tuple(zones_of(region, request.crs))
    catalog = resolve_catalog(request.catalog, trusted=request.trust_catalog)
    detector = load(request)
    spec = describe(detector)
    stride = stride_of(spec, request.overlap)
    if needs_terrain(spec.bands) and catalog.dem_collection is None:
        raise RequestError(
            f"Catalogue {catalog.name!r} has no elevation, which detector {spec.name!r} reads: set "
            "dem_collection (and dem_url) in its settings, or choose a detector without terrain."
        )
    found: dict[str, tuple[Unit, BaseGeometry]] = {}
    for zone in zones:
        lattice = lattice_for(zone.name, zone.epsg, request.resolution, request.unit, spec, stride)
        for unit in lattice.units(in_crs(zone.geometry, zone.epsg)):
            piece = polygons(zone.geometry.intersection(on_globe(outline(unit.grid))))
            if piece.area > 0:
                found[unit.name] = (unit, piece)
    ranks = in_order({name: piece for name, (_, piece) in found.items()}, request)
    works = {name: Work(*found[name], rank) for name, rank in ranks.items()}
    chunk = request.chunk or DEFAULT_CHUNK
    return Survey(request, region, zones, catalog, detector, spec, stride, chunk, works)


def identity(known: Survey) -> dict[str, Any]:
    """What decides a scan's pixels, as a record that may be published; a resumed scan has the same.

    Places are coordinates and hashes, never paths; the catalogue is its name.
    """
    request, detector = known.request, known.detector
    kept = request.model_dump(
        mode="json",
        include={
            *("orbit", "pre", "post", "before_days", "after_days", "overlap", "resolution"),
            *("engine", "precision", "control"),
        },
    )
    start, end = parse_event(request.event)
    outline_hash = hashlib.sha256(shapely.to_wkb(shapely.normalize(known.region.geometry)))
    composite = request.composite
    return {
        "version": sarmap.__version__,
        "event": [start.isoformat(), end.isoformat()],
        "bbox": [round(value, 6) for value in known.region.bbox],
        "area_sha256": outline_hash.hexdigest(),
        "crs": [zone.epsg for zone in known.zones],
        "unit": next(iter(known.works.values())).unit.lattice.edge if known.works else request.unit,
        "chunk": known.chunk,
        "catalog": known.catalog.name,
        "detector": known.spec.name,
        "weights_sha256": getattr(detector, "sha256", None),
        "composite": composite if composite is None or isinstance(composite, str) else [*composite],
        **kept,
    }


def design(known: Survey, record: Mapping[str, Any] | None = None) -> Design:
    """What every unit is read from, with one search for each zone.

    A zone whose search fails fails its units, and no others.

    Args:
        known: the survey.
        record: `scan.json` of the run that is continued; its decisions are kept.
    """
    scenes: dict[str, Scene] = {}
    sought: Sought | None = None
    decisions: dict[str, Decision] = {}
    searches = 0
    for zone in known.zones:
        names = [name for name, work in known.works.items() if work.unit.lattice.zone == zone.name]
        if not names:
            continue
        try:
            answers = [_search(known, side) for side in sides(zone.geometry)]
        except SarmapError as error:
            decisions |= {name: Decision(sentence=str(error)) for name in names}
            continue
        scenes |= {scene.item.id: scene for found, _ in answers for scene in found}
        searches += len(answers)
        asked = answers[0][1]
        lacking = (sought.lacking if sought else ()) + sum((a.lacking for _, a in answers), ())
        sought = replace(asked, area=Area(known.region.geometry, known.region.geometry))
        sought = replace(sought, lacking=lacking)
    takes: dict[str, Passes] = {}
    if sought is not None:
        open_names = {name: work for name, work in known.works.items() if name not in decisions}
        takes, made = _decide(known, open_names, scenes, sought, record)
        decisions |= made
    return Design(known, takes, decisions, searches)


def _search(known: Survey, place: BaseGeometry) -> tuple[list[Scene], Sought]:
    request = known.request
    pre, post = _counts(known)
    return search_scenes(
        place,
        request.event,
        catalog=known.catalog,
        orbit=orbit_of(request, known.spec),
        pre=pre,
        post=post,
        bands=required_radar_bands(known.spec.bands),
        before_days=request.before_days,
        after_days=request.after_days,
    )


def _counts(known: Survey) -> tuple[int, int]:
    """Passes before and after the event that the detector or the request asks for."""
    pre, post = required_passes(known.spec.bands)
    if known.request.control:
        pre = control_passes(known.spec.bands)
    return max(pre, known.request.pre), max(post, known.request.post or 1)


def _decide(
    known: Survey,
    works: Mapping[str, Work],
    scenes: Mapping[str, Scene],
    sought: Sought,
    record: Mapping[str, Any] | None,
) -> tuple[dict[str, Passes], dict[str, Decision]]:
    """Decisions of an earlier run where it took any, new ones for all others."""
    optical = search_optical(sought) if needs_optical(known.spec.bands) else ()
    kept_takes, kept = restored_takes(record, scenes, sought, optical)
    left = {name: work.piece for name, work in works.items() if name not in kept}
    pre, post = _counts(known)
    made = decide(left, list(scenes.values()), sought, pre=pre, post=post, optical=optical)
    renamed = _beside(made.takes, kept_takes)
    fresh = {
        name: replace(one, takes=tuple(renamed[key] for key in one.takes))
        for name, one in made.units.items()
    }
    takes = {**kept_takes, **{renamed[key]: passes for key, passes in made.takes.items()}}
    return takes, {**{name: kept[name] for name in works if name in kept}, **fresh}


def _beside(new: Mapping[str, Passes], old: Mapping[str, Passes]) -> dict[str, str]:
    """New keys -> keys that clash with no old one; the old one where the passes are the same."""
    names: dict[str, str] = {}
    for key, passes in new.items():
        same = [name for name, other in old.items() if _ids(other) == _ids(passes)]
        free = key
        number = 1
        while not same and free in (*old, *names.values()):
            number += 1
            free = f"{key.partition('-')[0]}-{number}"
        names[key] = same[0] if same else free
    return names


def _ids(passes: Passes) -> list[tuple[str, str]]:
    return [(one.role, item.id) for one in passes for item in one.items]


def check_same(record: Mapping[str, Any], wanted: Mapping[str, Any], shown: str) -> None:
    """Refuse to continue a scan with another request than its own.

    Raises:
        RequestError: they differ; names what.
    """
    kept = record.get("identity", {})
    differing = [key for key in wanted if kept.get(key) != wanted[key]]
    if differing:
        words = "; ".join(
            f"{key} was {kept.get(key)!r} and is now {wanted[key]!r}" for key in differing[:3]
        )
        raise RequestError(
            f"{shown} holds another scan ({words}): give the request it was begun with, or "
            "another `out`."
        )
