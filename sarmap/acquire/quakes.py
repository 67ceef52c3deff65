"""From an earthquake to what is to be mapped: its instant, its epicentre, and where it shook.

Read are the service's own formats, fetched by an event's id or kept as files: the event as GeoJSON
(https://earthquake.usgs.gov/fdsnws/event/1/), and of its ShakeMap the grid (`grid.xml`), the
contours (`cont_mmi.json`) and the raster (`mmi_mean.flt`, its header beside it;
https://usgs.github.io/shakemap/). Shaking is in degrees of the Modified Mercalli scale; where it is
below VI landslides are rare (Keefer 1984, GSA Bulletin 95, 406-421).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pystac_client.exceptions import APIError
from rasterio.features import shapes
from shapely.geometry.base import BaseGeometry

from sarmap.errors import CatalogError, RequestError
from sarmap.net.reach import reach_of
from sarmap.net.stac_io import StacIO
from sarmap.request_file import as_path
from sarmap.types import CatalogSettings, MapRequest, names_quake

SERVICE = "https://earthquake.usgs.gov/fdsnws/event/1/query"
CONTOURS = "download/cont_mmi.json"
R = TypeVar("R", bound=MapRequest)


@dataclass(frozen=True)
class Quake:
    """What is known of one earthquake."""

    name: str
    """How it was named: 'usgs:us2000h8ty', or a file's name."""
    when: dt.datetime | None = None
    """Instant of its origin, UTC; None: not known."""
    epicentre: tuple[float, float] | None = None
    """Longitude and latitude, degrees; None: not known."""
    greatest: float | None = None
    """The greatest shaking; None: not known."""
    shaken: BaseGeometry | None = None
    """Where it shook enough, degrees; None: not known, or nowhere."""
    levels: Mapping[float, BaseGeometry] = field(default_factory=dict)
    """Shaking that is enough, by half degrees or as contours are -> where it reached that."""


def quake_of(request: MapRequest) -> Quake | None:
    """The earthquake that a request names as event, or as area; None: it names none. Raises
    RequestError where it is not known, CatalogError where the service cannot be reached.
    """
    if isinstance(request.event, str) and names_quake(request.event):
        return read_quake(request.event, request.mmi)
    if isinstance(request.area, str | Path) and _is_shakemap(str(request.area)):
        return read_quake(str(request.area), request.mmi)
    return None


def from_quake(request: R, quake: Quake | None = None) -> R:
    """A request whose event, or area, is an earthquake's: with its instant, and where it shook.

    Others are as they were. A scan that names no order goes by shaking, or, where that is not
    known, begins at the epicentre. The earthquake is read unless it is given: errors as in
    `read_quake`, and RequestError where it lacks what the request needs of it.
    """
    quake = quake or quake_of(request)
    if quake is None:
        return request
    changes: dict[str, Any] = {}
    if isinstance(request.event, str) and names_quake(request.event):
        if quake.when is None:
            raise RequestError(
                f"{quake.name} does not say when the earthquake was: give it as area (--area), and "
                "the instant as event (--event)."
            )
        changes["event"] = quake.when
        if request.area is None and not request.from_files:
            changes["area"] = _area(quake, request.mmi)
    else:
        changes["area"] = _area(quake, request.mmi)
    if getattr(request, "order", "") == "none" and "order" not in request.model_fields_set:
        order = "shaking" if quake.levels else "epicentre" if quake.epicentre else "none"
        changes |= {"epicentre": quake.epicentre, "order": order}
    return request.model_copy(update=changes)


def _area(quake: Quake, least: float) -> BaseGeometry:
    """Where it shook enough; refused where that is nowhere, or not known."""
    if quake.shaken is not None:
        return quake.shaken
    if quake.greatest is None:
        raise RequestError(
            f"{quake.name} has no ShakeMap (yet), so where it shook is not known: give area "
            "(--area)."
        )
    raise RequestError(
        f"Shaking of {quake.name} reaches {quake.greatest:g} and nowhere {least:g}: give a lower "
        "mmi (--mmi), or area (--area)."
    )


def _is_shakemap(area: str) -> bool:
    """True for the grid, the contours or the raster of a ShakeMap, by their names.

    >>> _is_shakemap("a/grid.xml"), _is_shakemap("cont_mmi.json"), _is_shakemap("area.geojson")
    (True, True, False)
    """
    name = Path(area).name.lower()
    return name.endswith((".xml", ".flt")) or (name.startswith("cont_m") and name.endswith("json"))


def read_quake(event: str, least: float) -> Quake:
    """An earthquake by its id at the service, such as 'usgs:us2000h8ty', or in a file, with where
    it shook by `least` on the Modified Mercalli scale.

    Raises RequestError where the service knows no such event or the file is none of an earthquake,
    CatalogError where the service cannot be reached.
    """
    if event.lower().startswith("usgs:"):
        number = event.partition(":")[2].strip()
        if not number.isalnum():
            raise RequestError(f"event {event!r} names no earthquake: give it as usgs:us2000h8ty.")
        told = _fetched(f"{SERVICE}?eventid={number}&format=geojson", event)
        return _of_event(told, event, least)
    path = as_path(event)
    if path.suffix.lower() == ".flt":
        return _of_raster(path, least)
    try:
        told = (_xml if path.suffix.lower() == ".xml" else json.loads)(path.read_bytes())
    except OSError as error:
        raise RequestError(f"event file {path.name} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError, ElementTree.ParseError):
        raise RequestError(
            f"event file {path.name} is neither JSON nor XML: give an earthquake's GeoJSON, or its "
            "ShakeMap's grid.xml or cont_mmi.json."
        ) from None
    if isinstance(told, ElementTree.Element):
        return _of_grid(told, path.name, least)
    return _of_json(told, path.name, least)


def _xml(content: bytes) -> ElementTree.Element:
    """An XML document that declares nothing: declared entities may grow without end."""
    if b"<!" in content.replace(b"<!--", b""):
        raise ValueError("a declaration")
    return ElementTree.fromstring(content)


def _fetched(url: str, name: str) -> Any:
    """A document of the service; CatalogError where it did not come."""
    try:
        return StacIO(reach_of(CatalogSettings("usgs", SERVICE))).read_json(url)
    except APIError as error:
        words = str(error).partition(" (")[0] or "did not answer"
        raise CatalogError(
            f"The earthquake service {words} for {name}: check the id and the network, or give the "
            "instant and the area."
        ) from None


def _of_json(told: Any, name: str, least: float) -> Quake:
    """An earthquake of a GeoJSON document: an event, or contours of shaking."""
    features = told.get("features") if isinstance(told, Mapping) else None
    if isinstance(features, list) and features and _is_line(features[0]):
        return _of_contours(told, Quake(name), least)
    if isinstance(features, list) and len(features) == 1:
        told = features[0]
    return _of_event(told, name, least)


def _is_line(feature: Any) -> bool:
    try:
        return "value" in feature["properties"] and "LineString" in feature["geometry"]["type"]
    except (KeyError, TypeError):
        return False


def _of_event(told: Any, name: str, least: float) -> Quake:
    """An event's GeoJSON, with the contours of its ShakeMap where it has one."""
    try:
        when = dt.datetime.fromtimestamp(float(told["properties"]["time"]) / 1000, dt.UTC)
        longitude, latitude = (float(one) for one in told["geometry"]["coordinates"][:2])
        maps = (told["properties"].get("products") or {}).get("shakemap") or [{}]
        contours = (maps[0].get("contents") or {}).get(CONTOURS, {}).get("url")
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise RequestError(
            f"{name} is no earthquake as the USGS writes one: give its GeoJSON, or its ShakeMap's "
            "grid.xml or cont_mmi.json."
        ) from None
    quake = Quake(name, when, (longitude, latitude))
    return quake if contours is None else _of_contours(_fetched(str(contours), name), quake, least)


def _of_contours(told: Any, quake: Quake, least: float) -> Quake:
    """An earthquake with the least of the contours that is enough, and the greatest."""
    try:
        lines = {
            float(one["properties"]["value"]): shapely.geometry.shape(one["geometry"])
            for one in told["features"]
        }
        inside = {level: _within(lines[level]) for level in sorted(lines) if level >= least}
        levels = {level: place for level, place in inside.items() if place is not None}
        shaken = next(iter(inside.values()), None)
        return replace(quake, greatest=max(lines), shaken=shaken, levels=levels)
    except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError):
        raise RequestError(
            f"The contours of {quake.name} are none of a ShakeMap (lines with a value): give its "
            "grid.xml, or area (--area)."
        ) from None


def _within(lines: BaseGeometry) -> BaseGeometry | None:
    """What contour lines of one level enclose, without what rings within rings do; None: nothing.

    A line that leaves the ShakeMap is closed straight.
    """
    parts: Sequence[Any] = getattr(lines, "geoms", [lines])
    rings = [shapely.Polygon(one.coords).buffer(0) for one in parts if len(one.coords) > 3]
    empty: BaseGeometry = shapely.Polygon()
    whole = reduce(lambda found, ring: found.symmetric_difference(ring), rings, empty)
    return None if whole.is_empty else whole


def _of_grid(root: ElementTree.Element, name: str, least: float) -> Quake:
    """A ShakeMap's grid: points, whose rows run from the northernmost on."""
    try:
        event, grid = _element(root, "event"), _element(root, "grid_specification")
        fields = [one.get("name") for one in root if one.tag.rpartition("}")[2] == "grid_field"]
        west, south, east, north = (
            float(grid.attrib[key]) for key in ("lon_min", "lat_min", "lon_max", "lat_max")
        )
        rows, columns = int(grid.attrib["nlat"]), int(grid.attrib["nlon"])
        values = np.array((_element(root, "grid_data").text or "").split(), np.float64)
        shaking = values.reshape(rows, columns, len(fields))[:, :, fields.index("MMI")]
        across, down = (east - west) / (columns - 1), (north - south) / (rows - 1)
        place = float(event.attrib["lon"]), float(event.attrib["lat"])
        when = _instant(event.attrib["event_timestamp"])
        lattice = Affine(across, 0, west - across / 2, 0, -down, north + down / 2)
        greatest, levels = _levels(shaking, lattice, least)
    except (KeyError, ValueError, ZeroDivisionError, StopIteration):
        raise RequestError(
            f"{name} is no grid of a ShakeMap, with an event and the field MMI: give another."
        ) from None
    return Quake(name, when, place, greatest, levels.get(least), levels)


def _of_raster(path: Path, least: float) -> Quake:
    """A ShakeMap's raster: float32 from the northernmost row on, and a header beside it."""
    try:
        lines = path.with_suffix(".hdr").read_text(encoding="ascii").lower().splitlines()
        header = {name: value for name, value, *_ in (line.split() for line in lines if line)}
        rows, columns = int(header["nrows"]), int(header["ncols"])
        big = header.get("byteorder", "i") in ("m", "msbfirst")
        values = np.frombuffer(path.read_bytes(), ">f4" if big else "<f4").reshape(rows, columns)
        if "ulxmap" in header:  # the first pixel's centre
            across, down = float(header["xdim"]), float(header["ydim"])
            west = float(header["ulxmap"]) - across / 2
            north = float(header["ulymap"]) + down / 2
        else:
            across = down = float(header["cellsize"])
            west, north = float(header["xllcorner"]), float(header["yllcorner"]) + rows * down
        shaking = np.where((values > 0) & (values <= 12), values, np.nan).astype(np.float64)
        greatest, levels = _levels(shaking, Affine(across, 0, west, 0, -down, north), least)
    except OSError as error:
        raise RequestError(
            f"{path.name} cannot be read ({error.strerror}): a ShakeMap's raster is that file and "
            f"{path.stem}.hdr beside it."
        ) from None
    except (KeyError, ValueError):
        raise RequestError(
            f"{path.name} and its .hdr are no raster of a ShakeMap: give its grid.xml."
        ) from None
    return Quake(path.name, greatest=greatest, shaken=levels.get(least), levels=levels)


def _levels(
    shaking: NDArray[np.float64], lattice: Affine, least: float
) -> tuple[float, dict[float, BaseGeometry]]:
    """The greatest shaking of a grid (y, x), and where it is enough, by half degrees."""
    greatest = float(np.nanmax(shaking))
    steps = np.arange(least, greatest + 0.01, 0.5)
    return greatest, {float(step): _at_least(shaking, step, lattice) for step in steps}


def _at_least(shaking: NDArray[np.float64], level: float, lattice: Affine) -> BaseGeometry:
    """Where a grid (y, x) reaches a level."""
    found = shapes(np.asarray(shaking >= level, np.uint8), transform=lattice)
    whole: BaseGeometry = shapely.union_all([shapely.geometry.shape(one) for one, n in found if n])
    return whole


def _element(root: ElementTree.Element, tag: str) -> ElementTree.Element:
    """The first element of a name, whatever its namespace; raises StopIteration."""
    return next(one for one in root if one.tag.rpartition("}")[2] == tag)


def _instant(text: str) -> dt.datetime:
    """A time stamp of a grid, which must be UTC.

    >>> str(_instant("2015-04-25T06:11:25UTC"))
    '2015-04-25 06:11:25+00:00'
    """
    return dt.datetime.fromisoformat(text.removesuffix("UTC").removesuffix("Z")).replace(
        tzinfo=dt.UTC
    )
