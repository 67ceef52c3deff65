"""Catalogues that are files: a static STAC, an ItemCollection, stac-geoparquet, a folder of items.

They lie on this machine, in a bucket or on the web, and are searched here. Addresses in them are
relative to the file that they stand in. On this machine a record may name files of this machine, as
a catalogue on a host may name that host's; whatever else it names is held to the rule of
`sarmap.net.reach`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pystac
from pystac.utils import make_absolute_href

from sarmap.errors import CatalogError, RequestError
from sarmap.net.reach import BUCKETS, WEB, check_href, reach_of
from sarmap.net.signing import redact
from sarmap.net.stac_io import StacIO
from sarmap.types import CatalogSettings

JSON = (".json", ".geojson")
PARQUET = (".parquet", ".geoparquet")
MOST = 20_000
"""Files of a static catalogue that are read."""
READERS = 16
"""Of them read at a time."""

Record = dict[str, Any]
Window = tuple[Any, Any]


def is_file(place: str) -> bool:
    """True where a catalogue's address is a file's or folder's, and not a STAC API's.

    >>> is_file("https://e.org/stac/v1"), is_file("https://e.org/catalog.json"), is_file("a/b")
    (False, True, True)
    """
    parts = urlsplit(place)
    return parts.scheme not in WEB or parts.path.lower().endswith((*JSON, *PARQUET))


@dataclass(frozen=True)
class ItemFiles:
    """The item records of a catalogue of files, and what a search of them gives."""

    records: tuple[Record, ...]
    """Their assets' addresses are whole."""
    settings: CatalogSettings
    """Of the catalogue."""

    @property
    def collections(self) -> list[str]:
        """Names of the records' collections."""
        return sorted({str(one["collection"]) for one in self.records if one.get("collection")})

    def search(
        self, collection: str, bbox: tuple[float, ...] | None, window: Window | None
    ) -> Iterator[Record]:
        """Records of a collection over a bbox (degrees) and time (UTC).

        Radar under another name than the settings' is known by its assets, where all of it is of
        one collection, or of none.
        """
        own = [one for one in self.records if one.get("collection") == collection]
        if not own and collection == self.settings.radar_collection:
            own = self._radar()
        for one in own:
            if _meets(one.get("bbox"), bbox) and _within(one.get("properties"), window):
                yield one

    def _radar(self) -> list[Record]:
        keys = {self.settings.radar_asset(band)[0] for band in self.settings.radar_assets}
        found = [one for one in self.records if keys & set(one.get("assets") or ())]
        return found if len({one.get("collection") for one in found}) == 1 else []


def open_files(settings: CatalogSettings, place: str) -> ItemFiles:
    """All item records of a catalogue's file or folder, by its path or address; RequestError where
    it is not there, holds no STAC or is larger than anyone could want, CatalogError where it cannot
    be reached.
    """
    found = _walk(place, _reader(settings, place), settings)
    records = (at_place({**one, "links": []}, base, settings) for one, base in found)
    return ItemFiles(tuple(records), settings)


def at_place(record: Record, base: str, settings: CatalogSettings) -> Record:
    """A record whose assets have whole addresses, relative ones by the place that it lies at.

    Paths on the disk of a catalogue that is trusted stay what they are.
    """
    try:
        assets = {
            key: {**asset, "href": _read_from(asset["href"], base, settings)}
            if isinstance(asset["href"], str)
            else asset
            for key, asset in record["assets"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return record  # what is odd about it is said where it is read
    return {**record, "assets": assets}


def _read_from(href: str, base: str, settings: CatalogSettings) -> str:
    """The whole address of one that may be relative, or what the settings have it read from."""
    if settings.trusted and href[:1] == "/":
        return href
    whole = joined(base, href)
    for start, instead in settings.addresses.items():
        if whole.startswith(start):
            return instead + whole.removeprefix(start)
    return whole


def joined(base: str, href: str) -> str:
    """An address that may be relative to another.

    >>> joined("s3://bucket/a/items.json", "../b/vv.tif"), joined("/data/i.json", "file:///c.tif")
    ('s3://bucket/b/vv.tif', '/c.tif')
    """
    if not urlsplit(base).scheme and href.startswith("file://"):
        return urlsplit(href).path
    if urlsplit(href).scheme:
        return href
    if urlsplit(base).scheme in WEB:
        return urljoin(base, href)
    return str(make_absolute_href(href, base, start_is_dir=False))  # s3://, which urljoin ignores


def _walk(
    place: str, read: Callable[[str], Any], settings: CatalogSettings
) -> list[tuple[Record, str]]:
    """Item records and the file that each stands in, level by level."""
    items: list[tuple[Record, str]] = []
    seen: set[str] = set()
    waiting = _files_in(Path(place)) if _is_folder(place) else [place]
    while waiting:
        seen.update(waiting)
        if len(seen) > MOST:
            raise RequestError(
                f"Catalogue {settings.name} has more than {MOST:,} files: name one of its "
                "collections, or a stac-geoparquet of them."
            )
        with ThreadPoolExecutor(min(READERS, len(waiting))) as pool:
            read_now = list(zip(waiting, pool.map(read, waiting), strict=True))
        further: dict[str, None] = {}
        for href, document in read_now:
            own, links = _content(document, href)
            items += [(one, href) for one in own]
            further |= dict.fromkeys(links)
        waiting = [href for href in further if href not in seen]
    if not items:
        raise RequestError(f"Catalogue {settings.name} holds no STAC item: check its path.")
    return items


def _is_folder(place: str) -> bool:
    return not urlsplit(place).scheme and Path(place).is_dir()


def _files_in(folder: Path) -> list[str]:
    """A static catalogue's root, where a folder has one; else all JSON files in it."""
    for name in ("catalog.json", "collection.json"):
        if (folder / name).is_file():
            return [str(folder / name)]
    return sorted(str(one) for one in folder.rglob("*") if one.suffix.lower() in JSON)


def _content(document: Any, href: str) -> tuple[list[Record], list[str]]:
    """The items of a file, and the addresses of the files that it leads to."""
    if not isinstance(document, Mapping):
        return [], []
    kind = document.get("type")
    if kind == "Feature" and "assets" in document:
        return [dict(document)], []
    if kind == "FeatureCollection":
        return [one for one in document.get("features") or () if isinstance(one, dict)], []
    if kind not in ("Catalog", "Collection"):
        return [], []
    links: Iterable[Any] = document.get("links") or ()
    leads = [one for one in links if isinstance(one, dict) and one.get("rel") in ("child", "item")]
    return [], [joined(href, str(one.get("href"))) for one in leads if one.get("href")]


def _reader(settings: CatalogSettings, place: str) -> Callable[[str], Any]:
    """Reads one file of a catalogue, no farther than its records may lead."""
    reach = reach_of(settings, place)
    web = StacIO(reach)

    def read(href: str) -> Any:
        if href != place:
            check_href(href, reach, f"catalogue {settings.name}")
        if urlsplit(href).scheme in WEB and not href.lower().endswith(PARQUET):
            return web.read_json(href)
        try:
            return _parsed(_bytes(href), href)
        except OSError as error:
            said = f"{_shown(settings, href)} cannot be read ({error.strerror or error}): check it."
            raise (CatalogError if "://" in href else RequestError)(said) from None
        except (ValueError, RecursionError):
            raise RequestError(
                f"{_shown(settings, href)} is no JSON of STAC: check the path."
            ) from None

    return read


def _shown(settings: CatalogSettings, href: str) -> str:
    name = Path(urlsplit(href).path).name
    return f"Catalogue {settings.name}" + ("" if name == settings.name else f", file {name}")


def _bytes(href: str) -> bytes:
    """A file on this machine or in a bucket, with keys and endpoint of the environment."""
    if not urlsplit(href).scheme:
        return Path(href).read_bytes()
    if urlsplit(href).scheme not in BUCKETS:
        raise OSError("stac-geoparquet is read from this machine or from a bucket")
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    folder, _, name = href.rpartition("/")
    try:
        return bytes(from_url(folder).get(name).bytes())
    except BaseError as error:
        raise OSError(redact(str(error).splitlines()[0])) from None


def _parsed(content: bytes, href: str) -> Any:
    """The records of a file: JSON, or stac-geoparquet."""
    if not href.lower().endswith(PARQUET):
        return json.loads(content)
    import rustac

    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(content)
        file.flush()
        try:
            return rustac.read_sync(file.name)
        except rustac.RustacError:
            raise ValueError("no stac-geoparquet") from None


def _meets(bbox: Any, place: tuple[float, ...] | None) -> bool:
    """True where a record's bbox overlaps a place; a record without one may."""
    if place is None or not isinstance(bbox, list | tuple) or len(bbox) not in (4, 6):
        return True
    half = len(bbox) // 2
    try:
        west, south, east, north = (float(bbox[n]) for n in (0, 1, half, half + 1))
    except (TypeError, ValueError):
        return True  # what is odd about it is said where it is read
    beside = east < place[0] or west > place[2]
    if west > east:  # across the antimeridian
        beside = east < place[0] and west > place[2]
    return not (beside or north < place[1] or south > place[3])


def _within(properties: Any, window: Window | None) -> bool:
    """True where a record's time is within a window; a record without one may be."""
    if window is None or not isinstance(properties, Mapping):
        return True
    said = properties.get("datetime") or properties.get("start_datetime")
    try:
        when = pystac.utils.str_to_datetime(str(said))
        return bool(window[0] <= when <= window[1])
    except (ValueError, TypeError, OverflowError):
        return True
