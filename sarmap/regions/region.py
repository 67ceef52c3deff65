"""The region to be scanned: any area, also across the antimeridian, and the UTM zones it lies in.

A region is a polygon in degrees that is cut at 180 degrees, as RFC 7946 (GeoJSON, section 3.1.9)
asks for. It may be given already cut, as a bounding box whose west is greater than its east, with
longitudes beyond 180, or with an edge that jumps from one side to the other: an edge longer than
180 degrees of longitude is taken to cross the antimeridian.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from sarmap.acquire.area import parse_area
from sarmap.errors import RequestError
from sarmap.request_file import as_path
from sarmap.vectors import read_vector

NORTH_END, SOUTH_END = 84.0, -80.0
"""Latitudes at which UTM ends (Snyder 1987, USGS Professional Paper 1395, section 8)."""


@dataclass(frozen=True)
class Region:
    """A place of any extent, cut at the antimeridian."""

    geometry: BaseGeometry
    """Polygon or MultiPolygon, (longitude, latitude) in degrees, between 180 W and 180 E."""

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in degrees; west > east across the antimeridian."""
        west, south, east, north = self.geometry.bounds
        if west > -180 or east < 180:
            return west, south, east, north
        parts = shapely.get_parts(self.geometry)
        easts = [part.bounds[2] for part in parts if part.bounds[2] < 0]
        wests = [part.bounds[0] for part in parts if part.bounds[0] >= 0]
        if not easts or not wests or len(easts) + len(wests) < len(parts):
            return west, south, east, north
        return min(wests), south, max(easts), north


@dataclass(frozen=True)
class Zone:
    """The part of a region that is mapped in one coordinate reference system."""

    name: str
    """UTM zone and hemisphere, such as '54N'; 'epsg3857' for a system that was asked for."""
    epsg: int
    """EPSG code."""
    geometry: BaseGeometry
    """The region's part in degrees."""


def parse_region(area: Any) -> Region:
    """Any way of naming a place, also across the antimeridian, as one checked region: what
    `sarmap.acquire.area.parse_area` takes, or one of the forms that this module's head names.

    Raises RequestError where it is empty, invalid, without extent, not in degrees, or unreadable.

    >>> parse_region((177.0, -19.0, -179.0, -16.0)).bbox
    (177.0, -19.0, -179.0, -16.0)
    >>> parse_region((141.8, 42.6, 142.1, 42.9)).bbox
    (141.8, 42.6, 142.1, 42.9)
    """
    if isinstance(area, Region):
        return area
    try:
        return Region(parse_area(area).geometry)
    except RequestError:
        crossing = _across(area)
        if crossing is None:
            raise
    return Region(shapely.union_all([parse_area(half).geometry for half in crossing]))


def sides(geometry: BaseGeometry) -> list[BaseGeometry]:
    """A polygon in degrees as one, or as two where it lies on both sides of 180 degrees.

    >>> len(sides(parse_region((177.0, -19.0, -179.0, -16.0)).geometry))
    2
    """
    west, _, east, _ = geometry.bounds
    if east - west <= 180:
        return [geometry]
    boxes = [shapely.box(-180, -90, 0, 90), shapely.box(0, -90, 180, 90)]
    return [half for box in boxes if not (half := polygons(geometry.intersection(box))).is_empty]


def _across(area: Any) -> list[BaseGeometry] | None:
    """The parts west and east of 180 degrees, each a MultiPolygon; None where it is not crossed."""
    whole = _unwrapped(area)
    if whole is None or whole.is_empty or not np.isfinite(whole.bounds).all():
        return None
    west, south, east, north = whole.bounds
    if not (-90 <= south < north <= 90) or east - west > 360 or max(abs(west), abs(east)) > 540:
        return None
    whole = on_globe(whole)
    halves = sides(whole)
    return halves if len(halves) == 2 else None


def on_globe(geometry: BaseGeometry) -> BaseGeometry:
    """Polygons with longitudes from 540 W to 540 E, cut at 180 degrees and turned back to it."""
    pieces = []
    for turn in (-360, 0, 360):
        inside = polygons(geometry.intersection(shapely.box(turn - 180, -90, turn + 180, 90)))
        pieces.append(polygons(affinity.translate(inside, xoff=-turn)))
    return shapely.union_all(pieces)


def outline(grid: GeoBox) -> BaseGeometry:
    """A grid's rectangle in degrees, in one piece: beyond 180 where it lies across it."""
    box = shapely.box(*grid.boundingbox)
    dense = shapely.segmentize(box, max(box.length / 256, 1.0))
    move = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    middle, _ = move.transform(box.centroid.x, box.centroid.y)

    return in_degrees(dense, move, middle)


def in_degrees(geometry: Any, move: Transformer, middle: float) -> Any:
    """A geometry, or an array of them, in degrees within half a turn of a meridian."""

    def around(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        longitude, latitude = move.transform(*xy.T)
        near = (np.asarray(longitude) - middle + 180) % 360 - 180 + middle
        return np.column_stack((near, latitude))

    return shapely.transform(geometry, around)


def _unwrapped(area: Any) -> BaseGeometry | None:
    """The place as polygons without a jump at 180 degrees; None for what this cannot read."""
    box = _numbers(area)
    if box is not None:
        west, south, east, north = box
        if south >= north:
            return None
        return shapely.box(west, south, east + 360 if east < west else east, north)
    try:
        found = _geometries(area)
    except (RequestError, ValueError, KeyError, TypeError, AttributeError, shapely.GEOSException):
        return None
    smooth = [_smooth(polygon) for one in found for polygon in _parts(one)]
    return shapely.union_all(smooth) if smooth else None


def _numbers(area: Any) -> tuple[float, float, float, float] | None:
    """The four numbers of a bounding box in any form; None for anything else."""
    if isinstance(area, str):
        area = area.strip("[]() \t\n").split(",")
    if not isinstance(area, Sequence | np.ndarray) or len(area) != 4:
        return None
    try:
        west, south, east, north = (float(value) for value in area)
    except (TypeError, ValueError):
        return None
    return west, south, east, north


def _geometries(area: Any) -> list[BaseGeometry]:
    """The geometries, in degrees, of a shapely object, GeoJSON, GeoBox, GeoDataFrame or file."""
    if isinstance(area, BaseGeometry):
        return [area]
    if isinstance(area, GeoBox):
        return [_degrees(area.extent.geom, str(area.crs))]
    if isinstance(area, str | Path):
        text = str(area)
        if text.lstrip().startswith("{"):
            return _geometries(json.loads(text))
        return _geometries(read_vector(as_path(text), "area file"))
    if isinstance(area, Mapping):
        if area["type"] == "FeatureCollection":
            return [one for feature in area["features"] for one in _geometries(feature)]
        shape = area["geometry"] if area["type"] == "Feature" else area
        return [shapely.geometry.shape(shape)] if shape else []
    crs = "EPSG:4326" if area.crs is None else area.crs.to_string()
    return [_degrees(one, crs) for one in area.geometry if one is not None]


def _degrees(geometry: BaseGeometry, crs: str) -> BaseGeometry:
    """A geometry in degrees, its edges followed closely."""
    if crs == "EPSG:4326":
        return geometry
    west, south, east, north = geometry.bounds
    dense = shapely.segmentize(geometry, max(east - west, north - south) / 64)
    move = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return shapely.transform(dense, lambda xy: np.column_stack(move.transform(*xy.T)))


def _smooth(polygon: BaseGeometry) -> BaseGeometry:
    """A polygon whose rings do not jump at 180 degrees; holes stay inside their shell."""
    shell = _unwrap(shapely.get_coordinates(polygon.exterior))
    middle = shell[:, 0].mean()
    holes = []
    for ring in polygon.interiors:
        hole = _unwrap(shapely.get_coordinates(ring))
        hole[:, 0] += 360 * np.round((middle - hole[:, 0].mean()) / 360)
        holes.append(hole)
    return polygons(shapely.make_valid(shapely.Polygon(shell, holes)))


def _unwrap(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack((np.unwrap(ring[:, 0], period=360), ring[:, 1]))


def _parts(geometry: BaseGeometry) -> Iterable[Any]:
    parts = shapely.get_parts(shapely.get_parts(shapely.force_2d(geometry)))
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]


def polygons(geometry: BaseGeometry) -> BaseGeometry:
    """The polygonal part of a geometry, empty where it has none."""
    parts = [part for part in _parts(geometry) if part.area > 0]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def zones_of(region: Region, crs: str | int | None = None) -> list[Zone]:
    """The zones a region lies in, west to east, north before south; or the one CRS asked for.
    RequestError where the region reaches beyond UTM, or the CRS is none to map in.

    >>> [zone.name for zone in zones_of(parse_region((177.0, -19.0, -179.0, -16.0)))]
    ['1S', '60S']
    >>> [zone.epsg for zone in zones_of(parse_region((35.5, -1.0, 36.5, 1.0)))]
    [32636, 32736, 32637, 32737]
    """
    if crs is not None:
        from sarmap.acquire.grid import make_grid
        from sarmap.acquire.loader import check_grid

        centre = shapely.box(*region.geometry.representative_point().buffer(1e-3).bounds)
        epsg = check_grid(make_grid(centre, crs=crs, resolution=100))
        return [Zone(f"epsg{epsg}", epsg, region.geometry)]
    _, south, _, north = region.geometry.bounds
    if north > NORTH_END or south < SOUTH_END:
        raise RequestError(
            f"the area reaches from {south:.1f} to {north:.1f} degrees of latitude, and UTM from "
            f"{SOUTH_END:.0f} to {NORTH_END:.0f}: give crs= as a projected system that suits it."
        )
    found = []
    for number in range(1, 61):
        west = 6.0 * number - 186
        for letter, low, high in (("N", 0.0, NORTH_END), ("S", SOUTH_END, 0.0)):
            band = shapely.box(west, low, west + 6, high)
            if not band.intersects(region.geometry):
                continue
            inside = polygons(region.geometry.intersection(band))
            if inside.area > 0:
                epsg = (32600 if letter == "N" else 32700) + number
                found.append(Zone(f"{number}{letter}", epsg, inside))
    return found


def in_crs(geometry: BaseGeometry, epsg: int) -> BaseGeometry:
    """A polygon in degrees brought to a projected system, its edges followed to about a kilometre;
    RequestError where it lies outside the system's domain.
    """
    move = Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
    dense = shapely.segmentize(geometry, 0.01)
    moved = shapely.transform(dense, lambda xy: np.column_stack(move.transform(*xy.T)))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise RequestError(
            f"the area lies outside the domain of EPSG:{epsg}: give a crs that suits it."
        )
    return polygons(moved if moved.is_valid else shapely.make_valid(moved))
