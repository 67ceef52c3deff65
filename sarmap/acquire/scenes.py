"""One STAC item as a scene: which orbit, when, where on the ground; refused where it is unusable.

Fields follow the STAC item specification 1.0/1.1 and its satellite extension. Footprints are
(longitude, latitude) in degrees.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pystac
import shapely
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from sarmap.errors import RequestError
from sarmap.net.signing import without_signature
from sarmap.types import CatalogSettings

MALFORMED = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError),
    *(pystac.STACError, pystac.STACTypeError, shapely.errors.ShapelyError),
)
"""What reading a record raises that is not what it says it is."""

_SAME_SCENE = dt.timedelta(seconds=13)
"""Half of what one slice of a pass comes after another."""
_SAME_GROUND = 0.9
_MUCH_GROUND = 0.5
"""Share of the smaller of two slices under the other one from which they are versions: slices of
one making overlap by a tenth."""
_MODE_IN_ID = re.compile(r"^S1[A-Z]_(IW|EW|WV|S[1-6])_")
_Read = TypeVar("_Read")
_VERSION_PROPERTIES = ("updated", "processing:datetime", "s2:generation_time", "created")


@dataclass(frozen=True)
class Scene:
    """What pairing needs to know of one STAC item."""

    item: pystac.Item
    """The item, its hrefs unsigned."""
    datetime: dt.datetime
    """UTC instant of acquisition."""
    relative_orbit: int
    """Track number."""
    orbit_state: str
    """'ascending' or 'descending'."""
    platform: str
    """Satellite, upper case, such as 'SENTINEL-1A'; 'UNKNOWN' where the item does not say."""
    footprint: BaseGeometry
    """Polygon of the data, degrees, between 180 W and 180 E."""
    version: str
    """Sorts reprocessed versions of one scene: the newest is greatest."""
    mode: str = "IW"
    """Instrument mode: 'IW', 'EW', 'SM' or 'WV'; 'IW' where the item does not say."""

    @property
    def simulated(self) -> bool:
        """True where the item says so."""
        return is_simulated(self.item)


def is_simulated(item: pystac.Item) -> bool:
    """True where an item says that it is simulated."""
    return str(item.properties.get("sarmap:simulated", False)).lower() in ("true", "1", "yes")


def read_item(record: Mapping[str, Any]) -> pystac.Item:
    """A STAC item from its JSON record, its hrefs without signatures, its time checked;
    RequestError names a record that is no usable item.
    """
    name = record.get("id", "without id")
    try:
        item = pystac.Item.from_dict({**record, "assets": _addressed(record.get("assets"))})
        for asset in item.assets.values():
            asset.href = without_signature(asset.href)
        if not isinstance(item.id, str) or not item.id:
            raise TypeError("id")
        item.bbox = _numbers(item.bbox)
    except MALFORMED as error:
        raise RequestError(
            f"item {name} is not a valid STAC item ({type(error).__name__}): mend its record, or "
            "use another catalog."
        ) from None
    return item


def _addressed(assets: Any) -> Any:
    """Assets that have an address; another cannot be read, and may yet be one that nobody needs."""
    if not isinstance(assets, Mapping):
        return assets
    return {
        key: asset
        for key, asset in assets.items()
        if not isinstance(asset, Mapping) or asset.get("href") is not None
    }


def readable(
    records: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], _Read]
) -> tuple[list[_Read], tuple[str, ...]]:
    """Records as `read` gives them, and what is wrong with those that it refuses; where it refuses
    all of them, the first RequestError is raised.
    """
    found: list[_Read] = []
    refused: list[RequestError] = []
    for record in records:
        try:
            found.append(read(record))
        except RequestError as error:
            refused.append(error)
    if refused and not found:
        raise refused[0]
    return found, tuple(map(str, refused))


def left_out(odd: Sequence[str]) -> str:
    """A sentence on records that cannot be used.

    >>> left_out(["item a has no datetime: mend its record, or use another catalog."])
    '1 record was left out (item a has no datetime: mend its record, or use another catalog).'
    """
    many = f"{len(odd)} records were" if len(odd) > 1 else "1 record was"
    first = "the first: " if len(odd) > 1 else ""
    return f"{many} left out ({first}{odd[0].rstrip('.')})."


def _numbers(bbox: Any) -> list[float] | None:
    """A bbox as four or six finite numbers; raises as a malformed record does."""
    if bbox is None:
        return None
    numbers = [float(value) for value in bbox]
    if len(numbers) not in (4, 6) or not np.isfinite(numbers).all():
        raise ValueError("bbox")
    return numbers


def read_scene(record: Mapping[str, Any], settings: CatalogSettings) -> Scene:
    """A radar scene from its JSON record; RequestError, which names the item, where it lacks its
    time, orbit or footprint, or is in source form (footprint in metres).
    """
    item = read_item(record)
    footprint = footprint_of(item)
    when = acquired(item)
    named = _from_id(item, settings)
    return Scene(
        item=item,
        datetime=when,
        relative_orbit=_relative_orbit(item, settings, named),
        orbit_state=_orbit_state(item, settings, footprint, when),
        platform=_platform(item, settings, named),
        footprint=footprint,
        version=_version(item, named),
        mode=_mode(item),
    )


def acquired(item: pystac.Item) -> dt.datetime:
    """UTC instant of an item; RequestError where it has neither `datetime` nor `start_datetime`."""
    when = item.datetime
    if when is None:
        try:
            when = dt.datetime.fromisoformat(str(item.properties.get("start_datetime")))
        except ValueError:
            raise RequestError(
                f"item {item.id} has no datetime: mend its record, or use another catalog."
            ) from None
    try:
        return when.astimezone(dt.UTC) if when.tzinfo else when.replace(tzinfo=dt.UTC)
    except OverflowError:
        raise RequestError(
            f"item {item.id} has a datetime beyond the calendar: mend its record, or use another "
            "catalog."
        ) from None


def footprint_of(item: pystac.Item) -> BaseGeometry:
    """Polygon of an item in degrees, between 180 W and 180 E; RequestError where it has no
    footprint, or one in metres (source form).
    """
    refuse_source_form(item.id, item.bbox, item.geometry)
    try:
        shape = shapely.geometry.shape(item.geometry) if item.geometry else None
    except MALFORMED:
        shape = None
    if shape is None or shape.is_empty:
        if not item.bbox:
            raise RequestError(
                f"item {item.id} has no footprint: mend its geometry, or use another catalog."
            )
        shape = shapely.box(item.bbox[0], item.bbox[1], *_upper(item.bbox))
    try:
        return _within_globe(shapely.make_valid(shapely.force_2d(shape)))
    except MALFORMED:
        raise RequestError(
            f"item {item.id} has a footprint that is no polygon: mend its geometry, or use another "
            "catalog."
        ) from None


def refuse_source_form(
    name: str, bbox: Sequence[float] | None, geometry: Mapping[str, Any] | None
) -> None:
    """Refuse an item whose bbox or geometry is in metres, as a file's own header has it."""
    values: list[float] = []
    try:
        flat = bbox if bbox is None or len(bbox) != 6 else [*bbox[:2], *bbox[3:5]]  # no heights
        values += [abs(float(v)) for v in (flat or ())]
        if geometry:
            values += list(
                np.abs(shapely.get_coordinates(shapely.geometry.shape(geometry))).ravel()
            )
    except MALFORMED:
        pass
    if any(value > 361 for value in values):
        raise RequestError(
            f"item {name} is in source form (its bbox or geometry is in metres, up to "
            f"{max(values):.0f}): give it in degrees, as STAC requires."
        )


def newest_of_each(scenes: Iterable[Scene]) -> list[Scene]:
    """Scenes by time, each once: of reprocessed versions the newest, whatever the input's order."""
    by_id: dict[str, Scene] = {}
    for scene in scenes:
        known = by_id.get(scene.item.id)
        if known is None or scene.version > known.version:
            by_id[scene.item.id] = scene
    kept: list[Scene] = []
    for scene in sorted(by_id.values(), key=lambda s: (s.version, s.item.id), reverse=True):
        if not any(_same(scene, other) for other in kept):
            kept.append(scene)
    return sorted(kept, key=lambda s: (s.datetime, s.item.id))


def _same(one: Scene, other: Scene) -> bool:
    """True for two versions of one scene on the same ground."""
    if not versions(one, other):
        return False
    shared = one.footprint.intersection(other.footprint).area
    return bool(shared > _SAME_GROUND * one.footprint.union(other.footprint).area)


def versions(one: Scene, other: Scene) -> bool:
    """True where two scenes show the same: one satellite, track and moment, and much ground alike.

    Made again, a scene may begin some seconds earlier or later.
    """
    if abs(one.datetime - other.datetime) > _SAME_SCENE or _geometry(one) != _geometry(other):
        return False
    shared = one.footprint.intersection(other.footprint).area
    return bool(shared > _MUCH_GROUND * min(one.footprint.area, other.footprint.area))


def _geometry(scene: Scene) -> tuple[str, int, str, str]:
    """What two scenes must share to see the ground alike."""
    return scene.platform, scene.relative_orbit, scene.orbit_state, scene.mode


def _upper(bbox: Sequence[float]) -> tuple[float, float]:
    """(east, north) of a bbox of four numbers, or of six with heights."""
    return (bbox[2], bbox[3]) if len(bbox) == 4 else (bbox[3], bbox[4])


def _within_globe(shape: BaseGeometry) -> BaseGeometry:
    """A footprint cut at the antimeridian, where it crosses it."""
    west, _, east, _ = shape.bounds
    if east - west > 180:  # vertices on both sides of 180 degrees, joined the long way round
        shape = shapely.make_valid(
            shapely.transform(shape, lambda xy: np.column_stack((xy[:, 0] % 360, xy[:, 1])))
        )
        west, _, east, _ = shape.bounds
    if west >= -180 and east <= 180:
        return shape
    globe = shapely.box(-180, -90, 180, 90)
    turns = [affinity.translate(shape, xoff=turn) for turn in (-360, 0, 360)]
    return shapely.union_all([turn.intersection(globe) for turn in turns])


def _from_id(item: pystac.Item, settings: CatalogSettings) -> dict[str, str]:
    """What the catalogue's pattern reads in an item's id."""
    found = re.search(settings.id_pattern, item.id) if settings.id_pattern else None
    return {key: value for key, value in found.groupdict().items() if value} if found else {}


def _relative_orbit(item: pystac.Item, settings: CatalogSettings, named: dict[str, str]) -> int:
    prop = settings.relative_orbit_property
    value = item.properties.get(prop, named.get("relative_orbit"))
    try:
        number = float(value)  # type: ignore[arg-type]  # None is refused below
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not (1 <= number < 1e6 and number == int(number)):
        raise _lacks(item, prop, value, "relative_orbit_property")
    return int(number)


def _orbit_state(
    item: pystac.Item, settings: CatalogSettings, footprint: BaseGeometry, when: dt.datetime
) -> str:
    prop = settings.orbit_state_property
    value = item.properties.get(prop)
    if value is None and settings.orbit_state_from_time:
        return state_at(footprint.centroid.x, when)
    state = str(value).lower()
    if state not in ("ascending", "descending"):
        raise _lacks(item, prop, value, "orbit_state_property")
    return state


def state_at(longitude: float, when: dt.datetime) -> str:
    """Orbit state by local mean solar time: Sentinel-1 ascends near 18 h, descends near 6 h.

    (Sentinel-1 flies a dawn-dusk orbit whose ascending node is at 18:00 local time.)

    >>> [state_at(142.0, dt.datetime(2018, 9, day, hour)) for day, hour in ((1, 8), (4, 20))]
    ['ascending', 'descending']
    """
    hour = (when.hour + when.minute / 60 + longitude / 15) % 24
    return "ascending" if hour >= 12 else "descending"


def _platform(item: pystac.Item, settings: CatalogSettings, named: dict[str, str]) -> str:
    value = item.properties.get(settings.platform_property) or named.get("platform") or "unknown"
    name = str(value).upper()
    short = re.fullmatch(r"S1([A-Z])", name)
    return f"SENTINEL-1{short[1]}" if short else name


def _mode(item: pystac.Item) -> str:
    """Instrument mode, of the property or the scene's name; Sentinel-1's own over land else."""
    said = item.properties.get("sar:instrument_mode")
    named = _MODE_IN_ID.match(item.id)
    mode = str(said or (named[1] if named else "IW")).upper()
    return "SM" if re.fullmatch(r"S[1-6]", mode) else mode


def _version(item: pystac.Item, named: dict[str, str]) -> str:
    """When a scene was made, in UTC; what does not say so is older than what does."""
    dated = (str(item.properties[key]) for key in _VERSION_PROPERTIES if item.properties.get(key))
    text = named.get("processed") or next(dated, "")
    try:
        made = dt.datetime.fromisoformat(text)
        utc = made.astimezone(dt.UTC) if made.tzinfo else made
        return f"{utc:%Y-%m-%dT%H:%M:%S.%f}"
    except (ValueError, OverflowError):
        return text


def _lacks(item: pystac.Item, prop: str, value: Any, setting: str) -> RequestError:
    what = f"lacks the property {prop}" if value is None else f"has {prop} = {value!r}"
    return RequestError(
        f"item {item.id} {what}: name the right property as {setting} in the catalogue's settings."
    )
