"""From a STAC item to what is read: which file, which band, where it lies; refused before any read.

Where a record's projection fields cannot be believed (`acquire.projection`), or the catalogue's
settings say so, the file is to say it (`acquire.header`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from sarmap.acquire.projection import Bounds, Place, projection_fields, stated_place
from sarmap.acquire.scenes import MALFORMED, footprint_of, refuse_source_form
from sarmap.errors import RequestError
from sarmap.net.reach import Reach, check_href
from sarmap.net.remote import Pin
from sarmap.net.signing import unsigned

if TYPE_CHECKING:
    import pystac


PIN = "sarmap:file"
"""Field of an asset that keeps the pin of its file, while its item is in memory."""


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
    scale: float | None = None
    """Factor from stored to physical values as the item says; the file's own goes first."""
    offset: float | None = None
    """Summand from stored to physical values as the item says; the file's own goes first."""
    told: bool = False
    """True: scale and offset are the user's, and go before the file's."""
    unit: str = ""
    """Unit of the values as the item says."""
    scaling: str | None = None
    """How the user says that radar is stored: 'power', 'amplitude', 'db' or 'dn'; None: as power,
    unless item or file name another unit."""
    name: str = ""
    """Polarisation wanted, to be found among a file's bands; empty: only `band` counts."""
    numbered: bool = True
    """False: nobody gave a band number, and `band` is a guess."""
    transform: Affine | None = None
    """Pixel to CRS as the item says, where it does."""
    placed: bool = True
    """False: the file is still to say where it lies, and `crs` and `bounds` are the item's
    footprint's, in degrees."""
    said: Place | None = None
    """Where the item says that the file lies, while the file is still to say it."""
    doubt: str = ""
    """Why that is not believed, as a clause; empty where it is."""
    reach: Reach = field(default_factory=Reach)
    """Where its href may lead."""
    pin: Pin | None = None
    """What its file must be (`acquire.pins`); None: any."""

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
    band: int | None = 1,
    name: str = "",
    setting: str,
    reach: Reach,
    projection_from_file: bool = False,
) -> Source:
    """What to read for one asset of an unsigned item.

    `band` is one-based in the asset's file; None: the one called `name` (the polarisation of a
    radar band), else the first. `setting` is the catalogue's that names the asset, for messages;
    `projection_from_file` asks the file whatever the item says of its projection. Raises
    RequestError where the asset is missing or its href leads beyond `reach`, the item says nothing
    of its projection, or its bbox is not in degrees.
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
        numbered = band or _band_named(asset.extra_fields, name) or 1
        source = _described(item, asset_key, numbered, reach, projection_from_file)
        return replace(source, name=name, numbered=band is not None)
    except RequestError:
        raise
    except MALFORMED as error:
        raise RequestError(
            f"The record of {what} has raster: fields that cannot be read "
            f"({type(error).__name__}): correct the item, or choose another catalogue."
        ) from None


def _described(
    item: pystac.Item, asset_key: str, band: int, reach: Reach, projection_from_file: bool
) -> Source:
    """What an item's fields say of an asset's file."""
    asset = item.assets[asset_key]
    details = _band_details(asset.extra_fields, band)
    fields = projection_fields(item.properties, asset.extra_fields)
    if not fields and not projection_from_file:
        raise RequestError(
            f"Item {item.id!r} has no proj:code (or proj:epsg) for asset {asset_key!r}: its pixels "
            "cannot be placed; choose a catalogue whose items carry the STAC projection extension, "
            "or set projection_from_file in the catalogue's settings."
        )
    said, doubt = _stated(fields, item) if fields else (None, "")
    place = None if doubt or projection_from_file else said
    return Source(
        item=item.id,
        asset=asset_key,
        href=unsigned(asset.href),
        band=band,
        crs=place.crs if place else "EPSG:4326",
        bounds=place.bounds if place else _footprint(item),
        nodata=_number(details.get("nodata")),
        scale=_number(details.get("scale")) or None,
        offset=_number(details.get("offset")),
        unit=str(details.get("unit") or ""),
        transform=place.transform if place else None,
        said=None if place else said,
        doubt=doubt,
        placed=place is not None,
        reach=reach,
        pin=_pin(asset.extra_fields.get(PIN)),
    )


def _pin(kept: Any) -> Pin | None:
    """What `acquire.pins` has kept with an asset."""
    return kept if isinstance(kept, Pin) else None


def _stated(fields: Mapping[str, Any], item: pystac.Item) -> tuple[Place | None, str]:
    """What projection fields say, if they can be read; and why not to believe them."""
    try:
        return stated_place(fields, item)
    except MALFORMED:
        return None, "has proj: fields that cannot be read"


def _footprint(item: pystac.Item) -> Bounds:
    """Extent in degrees; west lies east of east across the antimeridian."""
    if item.bbox:
        half = len(item.bbox) // 2
        return (item.bbox[0], item.bbox[1], item.bbox[half], item.bbox[half + 1])
    west, south, east, north = footprint_of(item).bounds
    return (west, south, east, north)


def _number(value: Any) -> float | None:
    """A number that may be written as text ('nan' included)."""
    return None if value is None else float(value)


def _band_named(asset: Mapping[str, Any], name: str) -> int | None:
    """Number of the band that an asset's fields call by a name; None where none or several are."""
    for key in ("bands", "eo:bands", "raster:bands"):
        called = [str(one.get("name")).lower() for one in asset.get(key) or ()]
        if name and called.count(name) == 1:
            return called.index(name) + 1
    return None


def _band_details(asset: Mapping[str, Any], band: int) -> Mapping[str, Any]:
    """nodata, scale, offset and unit of one band: `raster:bands`, or STAC 1.1 `bands`, or the
    asset's."""
    whole = {
        "nodata": asset.get("nodata"),
        "scale": asset.get("raster:scale"),
        "offset": asset.get("raster:offset"),
        "unit": asset.get("unit"),
    }
    for name in ("raster:bands", "bands"):
        bands: Sequence[Mapping[str, Any]] = asset.get(name) or ()
        if len(bands) >= band:
            own = bands[band - 1]
            return {key: own.get(key, own.get(f"raster:{key}", whole[key])) for key in whole}
    return whole
