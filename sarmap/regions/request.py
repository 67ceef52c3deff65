"""What a scan is asked for: a map request over a region, and which of its units goes first.

A scan of a country takes hours; whoever asked needs the worst first: where an earthquake shook
hardest, as its ShakeMap says, or what lies nearest, or what a file says. Distances are geodesic
(Karney 2013, Journal of Geodesy 87, 43-55, by PROJ), from the epicentre to the nearest point of a
unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely
from pydantic import Field
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from sarmap.errors import RequestError
from sarmap.regions.unit_lattice import EDGE
from sarmap.types import MapRequest
from sarmap.vectors import read_vector

PRODUCTS = ("geopackage", "geoparquet", "quicklook")
"""What a scan writes beside its units when it ends."""

_GEOD = Geod(ellps="WGS84")
_ROWS = 1024
VECTORS = (".gpkg", ".geojson", ".json", ".shp", ".parquet", ".fgb", ".kml", ".gml")
"""Endings of a priority file that is read as polygons; all others are read as a raster."""

Order = Literal["shaking", "epicentre", "raster", "none"]


class ScanRequest(MapRequest):
    """Everything one scan is made from: a `MapRequest` over a region, and how it is worked off.

    >>> request = ScanRequest(area=(141.0, 42.0, 143.0, 44.0), event="2018-09-05T18:08:00Z",
    ...                       epicentre=(142.0, 42.7))
    >>> request.order, request.unit
    ('epicentre', 10240)
    """

    out: str | None = Field(default="scan", description="folder or URL for all that is made")
    unit: int = Field(default=EDGE, ge=1, description="edge of a unit of work, pixels")
    epicentre: tuple[float, float] | None = Field(
        default=None, description="longitude and latitude of what happened, degrees"
    )
    priority: str | None = Field(
        default=None, description="raster or vector file: units where it is greatest go first"
    )
    order: Order = Field(
        default_factory=lambda given: (
            "raster" if given.get("priority") else "epicentre" if given.get("epicentre") else "none"
        ),
        description="which units go first: shaken hardest, nearest the epicentre, by priority, or "
        "north to south",
    )
    products: tuple[str, ...] = Field(
        default=PRODUCTS, description="made of all units: geopackage, geoparquet, quicklook"
    )


def check_request(request: ScanRequest) -> None:
    """Refuse (RequestError) what no scan can be made from: the order lacks what it goes by, a
    product is unknown, or there is no `out`.
    """
    for name in ("pre_files", "post_files", "times", "dem", "scaling"):
        if getattr(request, name):
            raise RequestError(
                f"A scan reads what its catalogue's settings say: leave out {name} (or set scaling "
                "or dem_collection in the catalogue's settings)."
            )
    if not request.out:
        raise RequestError("A scan needs a place to be written: give out=, for example scan.")
    if request.order == "epicentre" and request.epicentre is None:
        raise RequestError(
            "order='epicentre' needs the epicentre: give epicentre=(longitude, latitude) "
            "(--epicentre LON,LAT)."
        )
    if request.order == "raster" and request.priority is None:
        raise RequestError(
            "order='raster' needs a raster or vector file: give priority= (--priority FILE)."
        )
    if request.epicentre is not None:
        longitude, latitude = request.epicentre
        if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
            raise RequestError(
                f"epicentre={request.epicentre} is no place: give longitude and latitude, degrees."
            )
    if request.relative_orbit is not None:
        raise RequestError(
            "A scan chooses the track of each unit: leave out relative_orbit (--relative-orbit)."
        )
    if request.cog_dtype != "uint8":
        raise RequestError("A scan makes no COG of its own: leave out cog_dtype (--cog-dtype).")
    unknown = sorted(set(request.products) - set(PRODUCTS))
    if unknown:
        raise RequestError(
            f"A scan does not make {', '.join(unknown)}: choose from {', '.join(PRODUCTS)}."
        )


def in_order(
    pieces: Mapping[str, BaseGeometry],
    request: ScanRequest,
    shaking: Mapping[float, BaseGeometry] | None = None,
) -> dict[str, float]:
    """Units (name -> its part of the region, degrees) in the order they are to be mapped, each with
    what decided its place: its greatest shaking (alike: the nearest to the epicentre first),
    kilometres from the epicentre, its priority, or its number.

    `shaking` is Modified Mercalli -> where an earthquake reached it, degrees. Raises RequestError
    where the priority file cannot be read, or shaking is asked for and not known.
    """
    if request.order == "shaking":
        return _by_shaking(pieces, request.epicentre, shaking or {})
    if request.order == "epicentre" and request.epicentre is not None:
        place = request.epicentre
        far = {name: distance(piece, place) / 1000 for name, piece in pieces.items()}
        return {name: far[name] for name in sorted(far, key=lambda name: (far[name], name))}
    if request.order == "raster" and request.priority is not None:
        value = _priorities(pieces, Path(request.priority).expanduser())
        return {name: value[name] for name in sorted(value, key=lambda name: (-value[name], name))}
    return {name: float(number) for number, name in enumerate(sorted(pieces))}


def _by_shaking(
    pieces: Mapping[str, BaseGeometry],
    epicentre: tuple[float, float] | None,
    shaking: Mapping[float, BaseGeometry],
) -> dict[str, float]:
    if not shaking:
        raise RequestError(
            "order='shaking' needs an earthquake with a ShakeMap: give one (--event usgs:ID or a "
            "file), or another order."
        )
    felt = {
        name: max((level for level, there in shaking.items() if piece.intersects(there)), default=0)
        for name, piece in pieces.items()
    }
    far = {name: distance(piece, epicentre) if epicentre else 0 for name, piece in pieces.items()}
    return {
        name: float(felt[name])
        for name in sorted(pieces, key=lambda name: (-felt[name], far[name], name))
    }


def distance(piece: BaseGeometry, place: tuple[float, float]) -> float:
    """Metres from a place (longitude, latitude) to the nearest point of a polygon; 0 inside.

    >>> round(distance(shapely.box(-180, -18, -179, -17), (179.0, -17.5)) / 1000)
    106
    """
    if piece.covers(shapely.Point(place)):
        return 0.0
    corners = shapely.get_coordinates(shapely.segmentize(piece, 0.05))
    count = len(corners)
    _, _, metres = _GEOD.inv(
        np.full(count, place[0]), np.full(count, place[1]), corners[:, 0], corners[:, 1]
    )
    return float(np.min(metres))


def _priorities(pieces: Mapping[str, BaseGeometry], file: Path) -> dict[str, float]:
    if not file.exists():
        raise RequestError(f"priority file {file.name!r} does not exist: check the path.")
    try:
        if file.suffix.lower() in VECTORS:
            return _of_polygons(pieces, file)
        return _of_raster(pieces, file)
    except RequestError:
        raise
    except Exception as error:  # GDAL raises many kinds; each means the same here
        raise RequestError(
            f"priority file {file.name!r} cannot be read ({type(error).__name__}): give a raster "
            "with a CRS, or polygons with a number called priority."
        ) from None


def _of_polygons(pieces: Mapping[str, BaseGeometry], file: Path) -> dict[str, float]:
    """The greatest `priority` of the polygons that meet a unit; 1 without such a column."""
    frame = read_vector(file, "priority file").to_crs("EPSG:4326")
    values = frame["priority"] if "priority" in frame else np.ones(len(frame))
    tree = shapely.STRtree(frame.geometry.to_numpy())
    weights = np.asarray(values, np.float64)
    met = {name: tree.query(piece, predicate="intersects") for name, piece in pieces.items()}
    return {name: float(np.nanmax(weights[found], initial=0.0)) for name, found in met.items()}


def _of_raster(pieces: Mapping[str, BaseGeometry], file: Path) -> dict[str, float]:
    """The greatest value of a raster over each unit's bounds, 0 where it has none."""
    import rasterio
    from rasterio.warp import transform_bounds

    found = {}
    with rasterio.open(file) as source:
        if source.crs is None:
            raise RequestError(f"priority file {file.name!r} names no CRS: save it with one.")
        for name, piece in pieces.items():
            bounds = transform_bounds("EPSG:4326", source.crs, *piece.bounds, densify_pts=21)
            found[name] = _greatest(source, bounds)
    return found


def _greatest(source: Any, bounds: tuple[float, float, float, float]) -> float:
    """The greatest value within bounds of the raster's CRS, read some rows at a time."""
    inverse = ~source.transform
    corners = [inverse * (x, y) for x in bounds[::2] for y in bounds[1::2]]
    left, right = (round(pick(c[0] for c in corners)) for pick in (min, max))
    top, bottom = (round(pick(c[1] for c in corners)) for pick in (min, max))
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, source.width), min(bottom, source.height)
    greatest = 0.0
    if left >= right:
        return greatest
    for row in range(top, bottom, _ROWS):
        window = ((row, min(row + _ROWS, bottom)), (left, right))
        values = np.asarray(source.read(1, window=window, masked=True).compressed(), np.float64)
        greatest = float(np.max(values[np.isfinite(values)], initial=greatest))
    return greatest
