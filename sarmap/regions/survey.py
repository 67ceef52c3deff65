"""A region's work laid out: its units in order, and the detectors that may map them; no network.

The detector that was asked for goes first. Those that it names for places where it lacks data
(`sarmap.choosing`) follow in its order, and are loaded only where a unit comes to need one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from sarmap.acquire.archives import archives_of
from sarmap.acquire.instants import parse_event
from sarmap.acquire.quakes import from_quake, quake_of
from sarmap.assembly import DEFAULT_CHUNK
from sarmap.choosing import each, eligible, passes_asked
from sarmap.compose.control_cube import control_passes
from sarmap.compose.names import needs_terrain, reads_evidence, required_passes
from sarmap.detect.prediction import stride_of
from sarmap.detect.protocol import Detector, DetectorSpec, describe
from sarmap.errors import RequestError
from sarmap.regions.region import (
    Region,
    Zone,
    in_crs,
    on_globe,
    outline,
    parse_region,
    polygons,
    zones_of,
)
from sarmap.regions.request import ScanRequest, check_request, in_order
from sarmap.regions.tracks import Decision
from sarmap.regions.unit_lattice import Unit, lattice_for
from sarmap.types import CatalogSettings, Passes
from sarmap.version import __version__


@dataclass(frozen=True)
class LoadedDetector:
    """One detector, ready to map units."""

    key: str
    """Its name in the scan's records: its own."""
    detector: Detector
    """The loaded detector."""
    spec: DetectorSpec
    """What it reads and how it is tiled."""
    stride: int
    """Step from tile to tile, pixels."""

    @property
    def sha256(self) -> str | None:
        """Hash of its weights; None where it has none."""
        found = getattr(self.detector, "sha256", None)
        return None if found is None else str(found)

    def passes(self, request: ScanRequest, *, control: bool) -> tuple[int, int]:
        """Passes before and after the event that it or the request asks for; RequestError where a
        control is asked for, and it can have none.
        """
        pre, post = passes_asked(request, self.spec.bands)
        return max(pre, control_passes(self.spec.bands)) if control else pre, post

    def least(self, request: ScanRequest, *, control: bool) -> tuple[int, int] | None:
        """Passes that suffice where there are no more; None: all that are asked for."""
        if not reads_evidence(self.spec.bands):
            return None
        pre, post = required_passes(self.spec.bands)
        return max(pre, control_passes(self.spec.bands)) if control else pre, post


class Detectors:
    """The detectors of one scan, in order of preference."""

    def __init__(self, request: ScanRequest) -> None:
        first, names = eligible(request)
        self._overlap = request.overlap
        self._loaded: list[LoadedDetector] = []
        self._others = chain([first], each(names, request))
        self._load()

    @property
    def first(self) -> LoadedDetector:
        """The one that was asked for."""
        return self._loaded[0]

    def __iter__(self) -> Iterator[LoadedDetector]:
        """All of them, the next loaded when it is asked for; SarmapError where one cannot be
        loaded, or is none for this request.
        """
        number = 0
        while number < len(self._loaded) or self._load():
            yield self._loaded[number]
            number += 1

    def named(self, key: str) -> LoadedDetector:
        """The one of that name; RequestError where there is none."""
        for loaded in self:
            if loaded.key == key:
                return loaded
        raise RequestError(
            f"Units of this scan are of detector {key!r}, which {self.first.key!r} no longer names "
            "(`otherwise` of its manifest): name it again, or give another `out`."
        )

    def _load(self) -> bool:
        """The next one, loaded; False where there is none."""
        for detector in self._others:
            spec = describe(detector)
            same = sum(one.spec.name == spec.name for one in self._loaded)
            key = f"{spec.name} ({same + 1})" if same else spec.name
            stride = stride_of(spec, self._overlap)
            self._loaded.append(LoadedDetector(key, detector, spec, stride))
            return True
        return False


@dataclass(frozen=True)
class Work:
    """One unit and its part of the region."""

    unit: Unit
    """Where it lies."""
    piece: BaseGeometry
    """What of the region lies in it, degrees."""
    rank: float
    """What decided its place in the order: shaking, kilometres, priority or number."""


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
    detectors: Detectors
    """The detector that was asked for, and those that it names for where it lacks data."""
    chunk: int
    """Block edge, pixels."""
    works: Mapping[str, Work]
    """Units by name, in the order they are to be mapped."""
    archives: tuple[CatalogSettings, ...] = ()
    """Where the data may be, in the order in which they are asked; empty: only in `catalog`."""

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
    """Unit's name -> what it is read from, and by which detector."""
    searches: int
    """Searches of the catalogue for radar scenes that it took."""
    notes: tuple[str, ...] = ()
    """Why other archives than this one were not taken."""


def make_survey(request: ScanRequest) -> Survey:
    """Units of a region, in order, and the detectors that may map them; RequestError where the
    request is wrong, or the region no place to be mapped.
    """
    check_request(request)
    quake = quake_of(request)
    request = from_quake(request, quake)
    region = parse_region(request.area)
    zones = tuple(zones_of(region, request.crs))
    archives = archives_of(request.catalog, trusted=request.trust_catalog, verify=request.verify)
    catalog = archives[0]
    detectors = Detectors(request)
    spec, stride = detectors.first.spec, detectors.first.stride
    if needs_terrain(spec.bands) and catalog.dem_collection is None:
        raise RequestError(
            f"Catalogue {catalog.name!r} has no elevation, which detector {spec.name!r} reads: set "
            "dem_collection (and dem_url) in its settings, or choose a detector without terrain."
        )
    units: dict[str, tuple[Unit, BaseGeometry]] = {}
    for zone in zones:
        lattice = lattice_for(zone.name, zone.epsg, request.resolution, request.unit, spec, stride)
        for unit in lattice.units(in_crs(zone.geometry, zone.epsg)):
            piece = polygons(zone.geometry.intersection(on_globe(outline(unit.grid))))
            if piece.area > 0:
                units[unit.name] = (unit, piece)
    pieces = {name: piece for name, (_, piece) in units.items()}
    ranks = in_order(pieces, request, quake.levels if quake else None)
    works = {name: Work(*units[name], rank) for name, rank in ranks.items()}
    chunk = request.chunk or DEFAULT_CHUNK
    return Survey(request, region, zones, catalog, detectors, chunk, works, archives)


def as_begun(survey: Survey, record: Mapping[str, Any] | None) -> Survey:
    """The survey with the one archive that the scan to be continued was begun with."""
    named = None if record is None else record["identity"]["catalog"]
    own = next((one for one in survey.archives if one.name == named), None)
    return survey if own is None else replace(survey, catalog=own, archives=())


def identity_of_scan(survey: Survey) -> dict[str, Any]:
    """What decides a scan's pixels, as a record that may be published; a resumed scan has the same.

    Places are coordinates and hashes, never paths; the catalogue is its name.
    """
    request, loaded = survey.request, survey.detectors.first
    kept = request.model_dump(
        mode="json",
        include={
            *("orbit", "pre", "post", "before_days", "after_days", "overlap", "resolution"),
            *("engine", "precision", "control"),
        },
    )
    start, end = parse_event(request.event)
    outline_hash = hashlib.sha256(shapely.to_wkb(shapely.normalize(survey.region.geometry)))
    composite = request.composite
    return {
        "version": __version__,
        "event": [start.isoformat(), end.isoformat()],
        "bbox": [round(value, 6) for value in survey.region.bbox],
        "area_sha256": outline_hash.hexdigest(),
        "crs": [zone.epsg for zone in survey.zones],
        "unit": next(iter(survey.works.values())).unit.lattice.edge
        if survey.works
        else request.unit,
        "chunk": survey.chunk,
        "catalog": survey.catalog.name,
        "detector": loaded.key,
        "weights_sha256": loaded.sha256,
        "composite": composite if composite is None or isinstance(composite, str) else [*composite],
        **kept,
    }
