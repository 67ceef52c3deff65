"""The declared grid of a map: a GeoBox of square pixels, snapped to multiples of their size.

UTM zones follow the plain 6-degree rule (Snyder 1987, USGS Professional Paper 1395, section 8),
without the widened zones of Norway and Svalbard.
"""

from __future__ import annotations

import math
from typing import Any

from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from sarmap.acquire.area import Area, parse_area
from sarmap.errors import RequestError

MAX_EDGE = 200_000
"""Most pixels along one edge of a grid: 2,000 km at 10 m."""
UTM_REACH = 9.0
"""Degrees of longitude from its central meridian over which a UTM zone is used."""
_SLACK = 1e-3
"""Part of a pixel by which an edge may miss a grid line through rounding alone."""


def make_grid(area: Any, *, crs: str | int | None = None, resolution: float = 10) -> GeoBox:
    """The grid that covers a place: edges at whole multiples of the resolution.

    Parameters
    ----------
    area
        Anything `parse_area` takes. A GeoBox is a grid already and is returned as it is.
    crs
        Projected CRS with an EPSG code, in metres; None: the UTM zone of the area's centre.
    resolution
        Pixel edge in metres.

    Returns
    -------
    GeoBox of at least 1 x 1 px, north up, that covers the bounds of the area.

    Raises
    ------
    RequestError
        The area is refused, the CRS is not projected, in metres and in the EPSG register, or the
        grid would be too large.

    >>> grid = make_grid((142.0, 42.70, 142.01, 42.71))
    >>> grid.crs.epsg, grid.shape.yx, grid.resolution.xy, grid.boundingbox.left % 10
    (32654, (113, 84), (10.0, -10.0), 0.0)
    """
    if isinstance(area, GeoBox):
        return _own_grid(area, crs)
    size = _resolution(resolution)
    place = parse_area(area)
    epsg = _utm_of(place) if crs is None else _projected(crs)
    left, bottom, right, top = bounds_in(place, epsg)
    columns = _snap(left, right, size)
    rows = _snap(bottom, top, size)
    width, height = columns[1] - columns[0], rows[1] - rows[0]
    if max(width, height) > MAX_EDGE:
        raise RequestError(
            f"the grid would have {height:,} x {width:,} pixels, more than {MAX_EDGE:,} along an "
            "edge: give a smaller area or a coarser resolution."
        )
    bounds = (columns[0] * size, rows[0] * size, columns[1] * size, rows[1] * size)
    return GeoBox.from_bbox(bounds, crs=f"EPSG:{epsg}", shape=(height, width), tight=True)


def utm_epsg(longitude: float, latitude: float) -> int:
    """EPSG code of the UTM zone (WGS 84) of a point in degrees.

    >>> utm_epsg(142.0, 42.7), utm_epsg(-70.0, -33.0), utm_epsg(180.0, 1.0)
    (32654, 32719, 32660)
    """
    zone = min(int((longitude + 180) // 6) + 1, 60)
    return (32600 if latitude >= 0 else 32700) + zone


def _own_grid(geobox: GeoBox, crs: str | int | None) -> GeoBox:
    own = _projected(str(geobox.crs))
    if crs is not None and own != _projected(crs):
        raise RequestError(
            f"area is a GeoBox in {geobox.crs} while crs is {crs}: leave crs out, or give the "
            "place in another form."
        )
    return geobox


def _resolution(resolution: float) -> float:
    try:
        size = float(resolution)
    except (TypeError, ValueError, OverflowError):
        size = math.nan
    if not (math.isfinite(size) and size > 0):
        raise RequestError(f"resolution is {resolution!r}: give a pixel size in metres above 0.")
    return size


def _utm_of(place: Area) -> int:
    longitude, latitude = place.centre
    west, _, east, _ = place.bbox
    epsg = utm_epsg(longitude, latitude)
    meridian = (epsg % 100) * 6 - 183
    if abs(latitude) > 84 or max(abs(west - meridian), abs(east - meridian)) > UTM_REACH:
        raise RequestError(
            f"the area ({place}) does not fit into one UTM zone: give a smaller area, or a "
            "projected crs that suits it."
        )
    return epsg


def _projected(crs: str | int) -> int:
    """EPSG code of a projected CRS in metres."""
    named = f"EPSG:{crs}" if str(crs).isdigit() else crs
    try:
        known = CRS.from_user_input(named)
    except (CRSError, UnicodeError):
        raise RequestError(
            f"crs {crs!r} is not a known coordinate reference system: give an EPSG code such as "
            "32654."
        ) from None
    epsg = known.to_epsg()
    if epsg is None:
        raise RequestError(
            f"crs {known.name!r} has no EPSG code: give a registered projected CRS such as 32654."
        )
    if not known.is_projected or any(axis.unit_name != "metre" for axis in known.axis_info):
        raise RequestError(
            f"crs EPSG:{epsg} ({known.name}) is not projected in metres: give a projected CRS such "
            "as the UTM zone of the area."
        )
    return int(epsg)


def bounds_in(place: Area, epsg: int) -> tuple[float, float, float, float]:
    """Bounds of the place in the grid's CRS, metres, following its edges."""
    source = CRS.from_user_input(place.crs)
    if source.to_epsg() == epsg:  # as given: no rounding through degrees
        left, bottom, right, top = place.source.bounds
        return left, bottom, right, top
    try:
        found = transform_bounds("EPSG:4326", f"EPSG:{epsg}", *place.bbox, densify_pts=51)
    except RasterioError:
        found = (math.inf,) * 4
    if not all(map(math.isfinite, found)):
        raise RequestError(
            f"the area ({place}) lies outside the domain of EPSG:{epsg}: give a crs that suits it."
        )
    left, bottom, right, top = found
    return left, bottom, right, top


def _snap(low: float, high: float, size: float) -> tuple[int, int]:
    """First and last grid line around [low, high], in pixels; at least one pixel apart."""
    first = math.floor(low / size + _SLACK)
    last = math.ceil(high / size - _SLACK)
    return first, max(last, first + 1)
