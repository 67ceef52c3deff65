"""A region's work laid out: its units and their order, all that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry

from sarmap.acquire.catalogs import resolve_catalog
from sarmap.assembly import DEFAULT_CHUNK
from sarmap.compose.composites import needs_terrain
from sarmap.errors import RequestError
from sarmap.regions.lattice import Unit, lattice_for
from sarmap.regions.makers import Makers
from sarmap.regions.order import in_order
from sarmap.regions.place import (
    Region,
    Zone,
    in_crs,
    on_globe,
    outline,
    parse_region,
    polygons,
    zones_of,
)
from sarmap.regions.request import ScanRequest, check_request
from sarmap.types import CatalogSettings

__all__ = ["Survey", "Work", "survey"]


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
    makers: Makers
    """The detector that was asked for, and those that it names for where it lacks data."""
    chunk: int
    """Block edge, pixels."""
    works: Mapping[str, Work]
    """Units by name, in the order they are to be mapped."""

    @property
    def pixels(self) -> int:
        """Pixels of all units."""
        return sum(work.unit.pixels for work in self.works.values())


def survey(request: ScanRequest) -> Survey:
    """Units of a region, in order, and the detectors that may map them.

    Raises:
        RequestError: the request is wrong, or the region no place to be mapped.
    """
    check_request(request)
    region = parse_region(request.area)
    zones = tuple(zones_of(region, request.crs))
    catalog = resolve_catalog(request.catalog, trusted=request.trust_catalog)
    makers = Makers(request)
    spec, stride = makers.first.spec, makers.first.stride
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
    return Survey(request, region, zones, catalog, makers, chunk, works)
