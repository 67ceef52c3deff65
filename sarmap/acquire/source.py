"""From a STAC item to what is read: which file, which band, where it lies; refused before any read.

Projection fields follow https://github.com/stac-extensions/projection: on the asset, else on the
item, `proj:code` or the older `proj:epsg`. pystac 1.15 rewrites the one to the other on reading.
Items without them are refused, unless the catalogue's files are to say it (`acquire.header`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds

from sarmap.acquire.reach import Reach, check_href
from sarmap.acquire.scenes import MALFORMED, footprint_of, refuse_source_form
from sarmap.acquire.signing import unsigned
from sarmap.errors import RequestError

if TYPE_CHECKING:
    import pystac

__all__ = ["Bounds", "Source", "item_source"]

Bounds = tuple[float, float, float, float]
"""left, bottom, right, top."""

_CRS_FIELDS = ("proj:code", "proj:epsg", "proj:wkt2")


@dataclass(frozen=True)
class Source:
    """One band of one file. Holds the unsigned href: signing happens when it is read."""

    item: str
    """Id of the STAC item."""
    asset: str
    """Asset key."""
    href: str
    """Unsigned address."""
    band: int
    """One-based band of the file."""
    crs: str
    """Coordinate reference system as the item says, e.g. 'EPSG:32654'."""
    bounds: Bounds
    """Extent in that CRS."""
    nodata: float | None = None
    """No-data value as the item says; the file's own goes first."""
    scale: float = 1.0
    """Factor from stored to physical values."""
    offset: float = 0.0
    """Summand from stored to physical values."""
    transform: Affine | None = None
    """Pixel to CRS as the item says, where it does."""
    placed: bool = True
    """False: the item says nothing of its projection, and `crs` and `bounds` are its footprint's,
    in degrees."""
    reach: Reach = field(default_factory=Reach)
    """Where its href may lead."""

    @property
    def label(self) -> str:
        """How messages name it: never by address."""
        return f"item {self.item!r}, asset {self.asset!r}"

    def bounds_in(self, crs: CRS) -> Bounds | None:
        """Extent in another CRS; None where it has none there."""
        if CRS.from_user_input(self.crs) == crs:
            return self.bounds
        there = transform_bounds(self.crs, crs, *self.bounds, densify_pts=21)
        return there if all(map(math.isfinite, there)) else None


def item_source(
    item: pystac.Item,
    asset_key: str,
    *,
    band: int = 1,
    setting: str,
    reach: Reach,
    projection_from_file: bool = False,
) -> Source:
    """What to read for one asset of an item.

    Parameters
    ----------
    item
        The scene or tile, unsigned.
    asset_key
        Key of the asset.
    band
        One-based band in the asset's file.
    setting
        Catalogue setting that names the asset, for the message.
    reach
        How far the catalogue's records reach.
    projection_from_file
        True: an item that lacks `proj:*` is not refused, but left unplaced on its footprint.

    Raises
    ------
    RequestError
        The asset is missing or its href leads where it may not, the item lacks `proj:*`, or its
        bbox is not in degrees.
    """
    refuse_source_form(item.id, item.bbox, item.geometry)
    asset = item.assets.get(asset_key)
    if asset is None:
        raise RequestError(
            f"Item {item.id!r} has no asset {asset_key!r} (it has {', '.join(sorted(item.assets))})"
            f": name the right one in the catalogue settings ({setting}), or choose other bands."
        )
    what = f"item {item.id!r}, asset {asset_key!r}"
    check_href(asset.href, reach, what)
    try:
        return _described(item, asset_key, band, reach, projection_from_file)
    except RequestError:
        raise
    except MALFORMED as error:
        raise RequestError(
            f"The record of {what} has proj: or raster: fields that cannot be read "
            f"({type(error).__name__}): correct the item, or choose another catalogue."
        ) from None


def _described(
    item: pystac.Item, asset_key: str, band: int, reach: Reach, projection_from_file: bool
) -> Source:
    """What an item's fields say of an asset's file."""
    asset = item.assets[asset_key]
    fields = _projection_fields(item.properties, asset.extra_fields)
    details = _band_details(asset.extra_fields, band)
    placed = _says_place(fields) or not projection_from_file
    return Source(
        item=item.id,
        asset=asset_key,
        href=unsigned(asset.href),
        band=band,
        crs=_crs(fields, item.id, asset_key) if placed else "EPSG:4326",
        bounds=_bounds(fields, item.id, asset_key) if placed else _footprint(item),
        nodata=_number(details.get("nodata")),
        scale=_number(details.get("scale")) or 1.0,
        offset=_number(details.get("offset")) or 0.0,
        transform=_transform(fields) if placed else None,
        placed=placed,
        reach=reach,
    )


def _says_place(fields: Mapping[str, Any]) -> bool:
    """True where projection fields give both a CRS and an extent in it."""
    crs = any(fields.get(name) for name in _CRS_FIELDS)
    lattice = fields.get("proj:transform") and fields.get("proj:shape")
    return bool(crs and (lattice or fields.get("proj:bbox")))


def _footprint(item: pystac.Item) -> Bounds:
    """Extent in degrees; west lies east of east across the antimeridian."""
    if item.bbox:
        half = len(item.bbox) // 2
        return (item.bbox[0], item.bbox[1], item.bbox[half], item.bbox[half + 1])
    west, south, east, north = footprint_of(item).bounds
    return (west, south, east, north)


def _projection_fields(item: Mapping[str, Any], asset: Mapping[str, Any]) -> dict[str, Any]:
    """The asset's projection fields over the item's; a CRS on the asset hides all of the item's."""
    hidden = _CRS_FIELDS if any(asset.get(name) for name in _CRS_FIELDS) else ()
    return {**{key: value for key, value in item.items() if key not in hidden}, **asset}


def _number(value: Any) -> float | None:
    """A number that may be written as text ('nan' included)."""
    return None if value is None else float(value)


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in value)


def _band_details(asset: Mapping[str, Any], band: int) -> Mapping[str, Any]:
    """nodata, scale and offset of one band: `raster:bands`, or STAC 1.1 `bands`, or the asset's."""
    whole = {
        "nodata": asset.get("nodata"),
        "scale": asset.get("raster:scale"),
        "offset": asset.get("raster:offset"),
    }
    for name in ("raster:bands", "bands"):
        bands: Sequence[Mapping[str, Any]] = asset.get(name) or ()
        if len(bands) >= band:
            own = bands[band - 1]
            return {key: own.get(key, own.get(f"raster:{key}", whole[key])) for key in whole}
    return whole


def _crs(fields: Mapping[str, Any], item: str, asset: str) -> str:
    code = fields.get("proj:code")
    epsg = fields.get("proj:epsg")
    name = str(code) if code else f"EPSG:{int(epsg)}" if epsg else fields.get("proj:wkt2")
    if not name:
        raise RequestError(
            f"Item {item!r} has no proj:code (or proj:epsg) for asset {asset!r}: its pixels cannot "
            "be placed; choose a catalogue whose items carry the STAC projection extension, or set "
            "projection_from_file in the catalogue's settings."
        )
    try:
        CRS.from_user_input(name)
    except CRSError as error:
        raise RequestError(
            f"Item {item!r}, asset {asset!r} names an unknown projection {name[:60]!r} in proj:code"
            ": correct the item, or choose a catalogue whose items carry a known one."
        ) from error
    return name


def _transform(fields: Mapping[str, Any]) -> Affine | None:
    values = fields.get("proj:transform")
    return Affine(*_numbers(values)[:6]) if values else None


def _bounds(fields: Mapping[str, Any], item: str, asset: str) -> Bounds:
    transform, shape = _transform(fields), fields.get("proj:shape")
    if transform is not None and shape:
        rows, columns = (int(v) for v in shape)
        corners = array_bounds(rows, columns, transform)
        return (corners[0], corners[1], corners[2], corners[3])
    if fields.get("proj:bbox"):
        left, bottom, right, top = _numbers(fields["proj:bbox"])
        return (left, bottom, right, top)
    raise RequestError(
        f"Item {item!r} has neither proj:transform with proj:shape nor proj:bbox for asset "
        f"{asset!r}: its pixels cannot be placed; choose a catalogue whose items carry the STAC "
        "projection extension, or set projection_from_file in the catalogue's settings."
    )
