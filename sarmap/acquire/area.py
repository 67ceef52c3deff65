"""The place to be mapped: any usual way of naming it, checked once, as one lon/lat polygon.

Coordinates are (longitude, latitude) in degrees, in that order, as RFC 7946 (GeoJSON) has them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from sarmap.errors import RequestError
from sarmap.request_file import as_path
from sarmap.vectors import read_vector

LONLAT = "EPSG:4326"
_MALFORMED = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError),
    shapely.errors.ShapelyError,
)
"""What reading GeoJSON raises that is none."""
_NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"
_BBOX_TEXT = re.compile(rf"^\s*[\[(]?{_NUMBER}(?:,{_NUMBER})+[\])]?\s*$")
_ORDER = "give longitude before latitude: (west, south, east, north)"


@dataclass(frozen=True)
class Area:
    """A place: its polygon in degrees, and as it was given."""

    geometry: BaseGeometry
    """Polygon or MultiPolygon, (longitude, latitude) in degrees."""
    source: BaseGeometry
    """The same polygon in the coordinate reference system it was given in."""
    crs: str = LONLAT
    """Coordinate reference system of `source`."""

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in degrees."""
        west, south, east, north = self.geometry.bounds
        return west, south, east, north

    @property
    def centre(self) -> tuple[float, float]:
        """(longitude, latitude) of the middle of the bounding box, degrees."""
        west, south, east, north = self.bbox
        return (west + east) / 2, (south + north) / 2

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """The polygon as a GeoJSON geometry."""
        return dict(shapely.geometry.mapping(self.geometry))

    def __str__(self) -> str:
        """The bounding box in words."""
        west, south, east, north = self.bbox
        return f"{_degrees(south, north, 'NS')}, {_degrees(west, east, 'EW')}"


def parse_area(area: Any) -> Area:
    """Any way of naming a place, as one checked polygon in longitude and latitude.

    Parameters
    ----------
    area
        (west, south, east, north) in degrees, also as text "W,S,E,N"; a GeoJSON geometry, Feature
        or FeatureCollection (mapping or text); a shapely geometry in degrees; the path of a vector
        file in any CRS; a GeoDataFrame; an odc-geo GeoBox; or an Area.

    Raises
    ------
    RequestError
        The place is empty, invalid, without extent, not in degrees, swapped, across the
        antimeridian, or its file cannot be read.

    >>> parse_area("141.8, 42.6, 142.1, 42.9").bbox
    (141.8, 42.6, 142.1, 42.9)
    >>> parse_area((42.6, 141.8, 42.9, 142.1))
    Traceback (most recent call last):
    ...
    sarmap.errors.RequestError: area (42.6, 141.8, 42.9, 142.1) has a latitude of 142.1: latitude \
and longitude look swapped; give longitude before latitude: (west, south, east, north).
    """
    if isinstance(area, Area):
        return area
    if isinstance(area, GeoBox):
        if area.crs is None:
            raise RequestError("area is a GeoBox without a CRS: give it one.")
        return _checked(area.extent.geom, str(area.crs), "area (GeoBox)")
    if isinstance(area, str):
        return _from_text(area)
    if isinstance(area, Path):
        return _from_file(area)
    if isinstance(area, BaseGeometry):
        return _checked(area, LONLAT, "area")
    if isinstance(area, Mapping):
        return _from_geojson(area)
    if hasattr(area, "geometry") and hasattr(area, "crs") and hasattr(area, "to_crs"):
        return _from_frame(area, "area")
    if hasattr(area, "__geo_interface__"):
        return _from_geojson(area.__geo_interface__)
    if isinstance(area, Sequence | np.ndarray):
        return _from_bbox(area)
    raise RequestError(
        f"area cannot be a {type(area).__name__}: give a bounding box (west, south, east, north), "
        "a GeoJSON geometry or a vector file."
    )


def _from_text(text: str) -> Area:
    if _BBOX_TEXT.match(text):
        return _from_bbox([float(part) for part in text.strip("[]() \t\n").split(",")])
    if text.lstrip().startswith("{"):
        try:
            geometry = json.loads(text)
        except json.JSONDecodeError as error:
            raise RequestError(
                f"area is not valid GeoJSON ({error.msg} at character {error.pos}): check the text."
            ) from None
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits, endless brackets
            raise RequestError(
                f"area is not valid GeoJSON ({type(error).__name__}): check the text."
            ) from None
        return _from_geojson(geometry)
    if not text.strip():
        raise RequestError(
            "area is empty: give a bounding box (west, south, east, north), a GeoJSON geometry "
            "or a vector file."
        )
    return _from_file(as_path(text))


def _from_bbox(values: Iterable[Any]) -> Area:
    given = list(values)
    try:
        numbers = [float(value) for value in given]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    shown = f"area ({', '.join(f'{n:g}' for n in numbers) if numbers else given})"
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise RequestError(
            f"{shown} is not a bounding box: give four finite numbers (west, south, east, north)."
        )
    west, south, east, north = numbers
    _refuse_wild((west, east), (south, north), shown)
    if south > north:
        raise RequestError(f"{shown} has its south above its north: {_ORDER}.")
    if west > east:
        raise RequestError(
            f"{shown} has its west beyond its east: {_ORDER}; a place across the antimeridian is "
            "not supported, map each side by itself."
        )
    return _checked(shapely.box(west, south, east, north), LONLAT, shown)


def _from_geojson(mapping: Mapping[str, Any]) -> Area:
    crs = LONLAT
    named = mapping.get("crs")
    if isinstance(named, Mapping):  # GeoJSON of 2008; RFC 7946 dropped the member
        crs = str(named.get("properties", {}).get("name", LONLAT))
    try:
        geometries = [shapely.geometry.shape(one) for one in _geometries(mapping)]
        whole = _dissolved(geometries) if geometries else None
    except _MALFORMED:
        raise RequestError(
            f"area is not a valid GeoJSON {mapping.get('type', 'object')}: give a Polygon or "
            "MultiPolygon with closed rings of (longitude, latitude)."
        ) from None
    if whole is None:
        raise RequestError("area has no features: give at least one polygon.")
    return _checked(whole, crs, "area")


def _geometries(mapping: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The geometries inside a GeoJSON object; features without one are passed over."""
    if mapping["type"] == "FeatureCollection":
        return [one for feature in mapping["features"] for one in _geometries(feature)]
    if mapping["type"] == "Feature":
        return [mapping["geometry"]] if mapping["geometry"] else []
    return [mapping]


def _from_file(path: Path) -> Area:
    name = f"area file {path.name!r}"
    if not _exists(path):
        raise RequestError(f"{name} does not exist: check the path given as area.")
    return _from_frame(read_vector(path, "area file"), name)


def _exists(path: Path) -> bool:
    """True for a path that is there; text that can be no path is not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _from_frame(frame: Any, name: str) -> Area:
    geometries = [one for one in frame.geometry if one is not None and not one.is_empty]
    if not geometries:
        raise RequestError(f"{name} has no features: give at least one polygon.")
    whole = _dissolved(geometries)
    if frame.crs is None:
        _refuse_unknown_crs(whole, name)
        return _checked(whole, LONLAT, name)
    return _checked(whole, frame.crs.to_string(), name)


def _refuse_unknown_crs(geometry: BaseGeometry, name: str) -> None:
    west, south, east, north = geometry.bounds
    if max(abs(west), abs(east)) > 180 or max(abs(south), abs(north)) > 180:
        raise RequestError(
            f"{name} names no coordinate reference system and its coordinates are not degrees: "
            "save it with its CRS."
        )


def _dissolved(geometries: list[BaseGeometry]) -> BaseGeometry:
    """One geometry of many; each is mended before the union, which needs valid input."""
    if len(geometries) == 1:
        return geometries[0]
    return shapely.union_all([shapely.make_valid(one) for one in geometries])


def _checked(geometry: BaseGeometry, crs: str, name: str) -> Area:
    """An Area of the polygons in `geometry`, mended where rings cross themselves."""
    if geometry.is_empty:
        raise RequestError(f"{name} is an empty geometry: give a polygon or a bounding box.")
    if not np.isfinite(shapely.get_coordinates(geometry)).all():
        raise RequestError(f"{name} has coordinates that are not finite numbers: mend the polygon.")
    if _is_lonlat(crs):
        left, bottom, right, top = geometry.bounds
        _refuse_wild((left, right), (bottom, top), name)
    source = _polygons(shapely.force_2d(geometry))
    lonlat = _to_lonlat(source, crs, name)
    if lonlat.is_empty or lonlat.area == 0:
        raise RequestError(
            f"{name} has no extent (a {geometry.geom_type} without area): give a polygon or a "
            "bounding box around it."
        )
    west, _, east, _ = lonlat.bounds
    if east - west > 180:
        raise RequestError(
            f"{name} spans {east - west:.0f} degrees of longitude: a place across the antimeridian "
            "is not supported, map each side by itself."
        )
    return Area(lonlat, source, LONLAT if _is_lonlat(crs) else crs)


def _polygons(geometry: BaseGeometry) -> BaseGeometry:
    """The polygonal part, valid; empty where there is none."""
    valid = geometry if geometry.is_valid else shapely.make_valid(geometry)
    parts = [
        one for one in shapely.get_parts(shapely.get_parts(valid)) if one.geom_type == "Polygon"
    ]
    return shapely.union_all(parts) if len(parts) != 1 else parts[0]


def _is_lonlat(crs: str) -> bool:
    """True for WGS 84 in degrees, under any of its names."""
    return crs == LONLAT or crs.upper().endswith(("CRS84", "EPSG::4326"))


def _to_lonlat(geometry: BaseGeometry, crs: str, name: str) -> BaseGeometry:
    if _is_lonlat(crs) or geometry.is_empty:
        return geometry
    try:
        transformer = Transformer.from_crs(CRS.from_user_input(crs), LONLAT, always_xy=True)
    except (CRSError, UnicodeError):
        raise RequestError(
            f"{name} has a coordinate reference system that PROJ does not know: reproject it to "
            "EPSG:4326."
        ) from None
    west, south, east, north = geometry.bounds
    # a straight edge in the source bends in degrees: follow it closely
    dense = shapely.segmentize(geometry, max(east - west, north - south) / 32)
    moved = shapely.transform(dense, lambda xy: np.column_stack(transformer.transform(*xy.T)))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise RequestError(f"{name} lies outside the domain of its CRS: check the coordinates.")
    return _polygons(moved)


def _refuse_wild(
    longitudes: tuple[float, float], latitudes: tuple[float, float], name: str
) -> None:
    """Refuse what cannot be (longitude, latitude), saying which mistake it looks like."""
    worst_lon, worst_lat = max(longitudes, key=abs), max(latitudes, key=abs)
    if abs(worst_lat) > 90 and abs(worst_lat) <= 180 and abs(worst_lon) <= 90:
        raise RequestError(
            f"{name} has a latitude of {worst_lat:g}: latitude and longitude look swapped; "
            f"{_ORDER}."
        )
    if abs(worst_lat) > 90 or abs(worst_lon) > 180:
        worst = worst_lat if abs(worst_lat) > 90 else worst_lon
        raise RequestError(
            f"{name} has a coordinate of {worst:g}, which is no degree: {_ORDER}, or name the "
            "coordinate reference system in a vector file."
        )


def _degrees(low: float, high: float, letters: str) -> str:
    def one(value: float) -> str:
        return f"{abs(value):.3f} {letters[0] if value >= 0 else letters[1]}"

    return f"{one(low)} to {one(high)}"


def share_covered(area: BaseGeometry, footprints: Iterable[BaseGeometry]) -> float:
    """Share (0-1) of an area that lies under the union of footprints.

    Areas are compared in Lambert's cylindrical equal-area projection (longitude, sin latitude).

    >>> share_covered(shapely.box(0, 0, 2, 1), [shapely.box(0, 0, 1, 1), shapely.box(0, 0, 1, 9)])
    0.5
    """
    under = shapely.intersection(area, shapely.union_all(list(footprints)))
    return min(1.0, _equal_area(under) / _equal_area(area))


def _equal_area(geometry: BaseGeometry) -> float:
    def project(xy: Any) -> Any:
        return np.column_stack((np.radians(xy[:, 0]), np.sin(np.radians(xy[:, 1]))))

    return float(shapely.transform(geometry, project).area)
