"""Where an item's record says that its pixels lie, and whether that can be believed.

Projection fields follow https://github.com/stac-extensions/projection: on the asset, else on the
item, `proj:code` or the older `proj:epsg`. pystac 1.15 rewrites the one to the other on reading.

A record can lie: of ten weeks of 2024 the Planetary Computer's have pixels that run northwards over
ordinary files, others hold a bbox in degrees, another zone or another pixel size. So a record is
believed where it is plain and agrees with the item's footprint; else the file's header decides
(`acquire.header`). A file holds all of its data, and data fills most of a file: of the Planetary
Computer's scenes the footprint ends up to a tenth of the file's edge inside it, never outside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import array_bounds
from rasterio.warp import transform

from sarmap.acquire.scenes import footprint_of
from sarmap.errors import RequestError

if TYPE_CHECKING:
    import pystac

Bounds = tuple[float, float, float, float]
"""left, bottom, right, top."""

OUTSIDE, INSIDE = 0.02, 0.25
"""Shares of a footprint's edge by which it may end outside of its file, and inside of it."""

_CRS_FIELDS = ("proj:code", "proj:epsg", "proj:wkt2")


@dataclass(frozen=True)
class Place:
    """Where the pixels of a file lie."""

    crs: str
    """Coordinate reference system, e.g. 'EPSG:32654', or WKT."""
    bounds: Bounds
    """Extent in that CRS."""
    transform: Affine | None = None
    """Pixel to CRS, where it is known."""
    northwards: bool = False
    """True where its first row is the southernmost."""


def projection_fields(item: Mapping[str, Any], asset: Mapping[str, Any]) -> dict[str, Any]:
    """The asset's `proj:` fields over the item's; a CRS on the asset hides all of the item's."""
    hidden = _CRS_FIELDS if any(asset.get(name) for name in _CRS_FIELDS) else ()
    both = {**{key: value for key, value in item.items() if key not in hidden}, **asset}
    return {key: value for key, value in both.items() if key.startswith("proj:")}


def stated_place(fields: Mapping[str, Any], item: pystac.Item) -> tuple[Place | None, str]:
    """What projection fields say of an item's file: the place, or None where they give none, and
    what is odd about it as a clause; empty where nothing is.
    """
    crs, doubt = _crs(fields)
    boxes = _boxes(fields)
    if crs is None or not boxes:
        return None, doubt or "does not say where its pixels lie"
    northwards = boxes[0][3] < boxes[0][1]
    place = Place(crs, in_order(boxes[0]), _transform(fields), northwards)
    return place, _odd(place, boxes) or _beside(place, item)


def in_order(bounds: Bounds) -> Bounds:
    """Bounds as left, bottom, right, top, however they were written.

    >>> in_order((0.0, 9.0, 5.0, 1.0))
    (0.0, 1.0, 5.0, 9.0)
    """
    left, bottom, right, top = bounds
    return (min(left, right), min(bottom, top), max(left, right), max(bottom, top))


def lattice_bounds(lattice: Affine, shape: tuple[int, int]) -> Bounds:
    """Extent of a lattice of rows and columns, in order."""
    left, bottom, right, top = array_bounds(*shape, lattice)
    return in_order((left, bottom, right, top))


def differ(said: Place, found: Place) -> bool:
    """True where a place as it was said is not the one that was found, to a pixel."""
    if CRS.from_user_input(said.crs) != CRS.from_user_input(found.crs):
        return True
    pixel = max(abs(found.transform.a), abs(found.transform.e)) if found.transform else 0.0
    if said.transform and found.transform:
        a, e = abs(said.transform.a), abs(said.transform.e)
        if max(abs(a - found.transform.a), abs(e + found.transform.e)) > 1e-3 * pixel:
            return True
    ends = zip(said.bounds, found.bounds, strict=True)
    return said.northwards != found.northwards or any(abs(a - b) > pixel for a, b in ends)


def _crs(fields: Mapping[str, Any]) -> tuple[str | None, str]:
    """The CRS as the fields name it; None with a clause where it is unknown."""
    code, epsg = fields.get("proj:code"), fields.get("proj:epsg")
    name = str(code) if code else f"EPSG:{int(epsg)}" if epsg else fields.get("proj:wkt2")
    if not name:
        return None, ""
    try:
        CRS.from_user_input(name)
    except CRSError:
        return None, f"names an unknown projection {name[:60]!r}"
    return name, ""


def _transform(fields: Mapping[str, Any]) -> Affine | None:
    values = fields.get("proj:transform")
    return Affine(*[float(v) for v in values][:6]) if values else None


def _boxes(fields: Mapping[str, Any]) -> list[Bounds]:
    """All extents that the fields give, as they are written; that of the lattice first."""
    lattice, shape = _transform(fields), fields.get("proj:shape")
    boxes: list[Bounds] = []
    if lattice is not None and shape:
        rows, columns = (int(v) for v in shape)
        left, bottom, right, top = array_bounds(rows, columns, lattice)
        boxes.append((left, bottom, right, top))
    if fields.get("proj:bbox"):
        left, bottom, right, top = (float(v) for v in fields["proj:bbox"])
        boxes.append((left, bottom, right, top))
    return boxes


def _odd(place: Place, boxes: list[Bounds]) -> str:
    """What is odd about a place by itself, as a clause."""
    lattice = place.transform
    if lattice is not None and not (lattice.a > 0 > lattice.e and lattice.b == lattice.d == 0):
        return "has pixels that do not run east and south"
    if any(not all(map(math.isfinite, box)) or box != in_order(box) for box in boxes):
        return "has an extent whose edges are not in order"
    left, bottom, right, top = place.bounds
    size = max(right - left, top - bottom)
    pairs = (pair for box in boxes for pair in zip(box, place.bounds, strict=True))
    if size == 0 or any(abs(a - b) > OUTSIDE * size for a, b in pairs):
        return "gives two extents"
    return ""


def _beside(place: Place, item: pystac.Item) -> str:
    """A clause where an item's footprint contradicts a place; empty where it has none or agrees."""
    try:
        footprint = footprint_of(item)
    except RequestError:
        return ""
    seen = _bounds_in(footprint, place.crs)
    if seen is None:
        return "lies elsewhere than its footprint"
    edges = (seen[2] - seen[0], seen[3] - seen[1]) * 2
    ends = [seen[0] - place.bounds[0], seen[1] - place.bounds[1]]
    ends += [place.bounds[2] - seen[2], place.bounds[3] - seen[3]]
    slack = 3 * abs(place.transform.a) if place.transform else 0.0
    agree = (
        -OUTSIDE * edge - slack <= end <= INSIDE * edge + slack
        for end, edge in zip(ends, edges, strict=True)
    )
    return "" if all(agree) else "lies elsewhere than its footprint"


def _bounds_in(shape: Any, crs: str) -> Bounds | None:
    """Extent of a shape in degrees in a CRS, following its edges; None where it has none there."""
    points = shapely.get_coordinates(shapely.segmentize(shape, max_segment_length=0.1))
    try:
        x, y = transform("EPSG:4326", crs, points[:, 0], points[:, 1])
    except RasterioError:
        return None
    if not all(map(math.isfinite, (*x, *y))):
        return None
    return (min(x), min(y), max(x), max(y))
