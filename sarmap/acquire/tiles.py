"""Elevation tiles: found in a catalogue, placed by their own files, and sorted by their lattices.

A tile's pixels are joined with its neighbours' by position, so a record that is wrong about pixel
size or corner would bend every slope: each tile's header is read, and goes before its record.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from sarmap.acquire.header import place_scenes
from sarmap.acquire.loader import check_grid
from sarmap.acquire.pins import pin_files
from sarmap.acquire.reader import why_unread
from sarmap.acquire.source import PIN, Source, item_source
from sarmap.errors import RequestError
from sarmap.net.reach import Reach, reach_of
from sarmap.net.signing import Signer
from sarmap.types import CatalogSettings

if TYPE_CHECKING:
    import pystac
    from odc.geo.geobox import GeoBox

FINEST, COARSEST = 0.4, 5_000.0
"""Pixel edges, metres, that an elevation item may claim: memory follows from them."""

SLIVER = 20.0
"""Largest ratio of a pixel's edges; Copernicus DEM has 10 beyond 85 degrees north."""

METRES_PER_DEGREE = 111_195.0
"""Of latitude, on a sphere of 6,371 km."""

logger = logging.getLogger(__name__)


def tile_sources(
    items: Sequence[pystac.Item],
    settings: CatalogSettings,
    signer: Signer,
    known: Mapping[str, Any] | None = None,
) -> tuple[list[Source], tuple[str, ...]]:
    """What to read of each tile, held to what its file is now or was `known` as, and refused where
    its lattice is not known; and what is to be said of their records."""
    own = settings.dem_file is not None  # the user's, wherever the catalogue's records may lead
    reach = Reach(trusted=True) if own else reach_of(settings, settings.dem_url)
    there = [(item, settings.dem_asset) for item in items if settings.dem_asset in item.assets]
    for item, key in there:  # a record that was found before may hold an earlier map's
        item.assets[key].extra_fields.pop(PIN, None)
    pin_files(there, settings, known, reach=reach)
    stated = [
        item_source(
            item, settings.dem_asset, setting="dem_asset", reach=reach, projection_from_file=True
        )
        for item in items
    ]
    (tiles,), notes = place_scenes([[{"dem": source} for source in stated]], settings, signer)
    sources = [tile["dem"] for tile in tiles]
    for source in sources:
        _check_lattice(source)
    return sources, notes


def _check_lattice(source: Source) -> None:
    """Refuse a tile whose pixels have no place, or none that heights can be made of."""
    if not source.placed or source.transform is None:
        odd = source.doubt or "does not say where its pixels lie"
        raise RequestError(
            f"Elevation {source.label}, {odd}, and its file could not be opened "
            f"({why_unread(source)}): check the network, or choose another dem_collection."
        )
    if not FINEST <= _metres(source) <= COARSEST or not _upright(source.transform):
        raise RequestError(
            f"Elevation {source.label}, claims pixels of {_metres(source):g} m, turned ones or "
            f"slivers, and {FINEST:g} to {COARSEST:g} m, north up, can be read: choose another "
            "elevation collection."
        )


def _upright(lattice: Affine) -> bool:
    """True where rows run east and columns south, pixels are no slivers, and it lies on earth."""
    straight = lattice.a > 0 > lattice.e and lattice.b == 0 and lattice.d == 0
    return bool(
        straight
        and 1 / SLIVER <= -lattice.e / lattice.a <= SLIVER
        and abs(lattice.c) < 1e9
        and abs(lattice.f) < 1e9
    )


def bbox_of(grid: GeoBox, margin: float) -> tuple[float, float, float, float]:
    """West, south, east, north of the grid and its margin; west > east across the antimeridian."""
    box = grid.boundingbox
    wide = (box.left - margin, box.bottom - margin, box.right + margin, box.top + margin)
    west, south, east, north = transform_bounds(
        CRS.from_epsg(check_grid(grid)), "EPSG:4326", *wide, densify_pts=21
    )
    return (west, south, east, north)


def search_tiles(
    settings: CatalogSettings, place: tuple[float, float, float, float]
) -> list[pystac.Item]:
    """All elevation tiles that meet the place."""
    from sarmap.acquire.catalogs import open_catalog
    from sarmap.acquire.item_search import search_items
    from sarmap.acquire.scenes import left_out, read_item, readable

    west, south, east, north = place
    split = [(west, south, 180.0, north), (-180.0, south, east, north)]
    boxes = [place] if west <= east else split
    url = settings.dem_url
    client = open_catalog(settings, url=url)
    name = str(settings.dem_collection)
    records = [one for box in boxes for one in search_items(client, settings, name, box)]
    items, odd = readable(records, read_item)
    if odd:
        logger.warning("Of the elevation %s", left_out(odd))
    found = {item.id: item for item in items}
    return [found[key] for key in sorted(found)]


def own_tile(settings: CatalogSettings, path: str) -> pystac.Item:
    """A file of elevation of one's own, as an item of a catalogue."""
    import datetime as dt

    import pystac

    from sarmap.acquire.files import source_of

    source = source_of(Path(path), 1, settings.dem_asset)
    bounds = source.bounds_in(CRS.from_epsg(4326))
    if bounds is None:
        raise RequestError(f"Elevation file {Path(path).name} lies nowhere in degrees: check it.")
    shape = shapely.geometry.mapping(shapely.box(*bounds))
    item = pystac.Item(Path(path).stem, dict(shape), list(bounds), dt.datetime(2000, 1, 1), {})
    item.add_asset(settings.dem_asset, pystac.Asset(path))
    return item


def meets(bbox: Sequence[float] | None, place: tuple[float, ...]) -> bool:
    """True where a tile's bbox overlaps the place."""
    if bbox is None:
        return True
    half = len(bbox) // 2
    west, south, east, north = place
    over = bbox[1] < north and bbox[half + 1] > south
    if west <= east:
        return over and bbox[0] < east and bbox[half] > west
    return over and (bbox[half] > west or bbox[0] < east)


def say_gaps(place: tuple[float, ...], boxes: Sequence[Sequence[float] | None]) -> None:
    """Copernicus DEM has no tiles over open sea: say which squares stay without elevation."""
    west, south, east, north = place
    if any(box is None for box in boxes):
        return
    parts = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    bare = [
        f"{_letter(lat, 'NS')}{_letter(lon, 'EW')}"
        for lat in range(math.floor(south), math.ceil(north))
        for first, last in parts
        for lon in range(math.floor(first), math.ceil(last))
        if not any(meets(box, (lon + 0.01, lat + 0.01, lon + 0.99, lat + 0.99)) for box in boxes)
    ]
    if bare:
        logger.warning(
            "No elevation tile for %s: open sea, or missing; slope is no_data there",
            ", ".join(bare[:8]) + (f" and {len(bare) - 8} more" if len(bare) > 8 else ""),
        )


def _letter(value: int, letters: str) -> str:
    return f"{letters[value < 0]}{abs(value)}"


def in_words(place: Iterable[float]) -> str:
    """West, south, east, north in degrees, for messages."""
    west, south, east, north = place
    return f"{west:.3f} to {east:.3f} E, {south:.3f} to {north:.3f} N"


def in_groups(sources: Sequence[Source]) -> tuple[tuple[Source, ...], ...]:
    """Tiles that share CRS, spacing and lattice, the finest first."""
    groups: list[list[Source]] = []
    for source in sources:
        for group in groups:
            if _same_lattice(group[0], source):
                group.append(source)
                break
        else:
            groups.append([source])
    return tuple(map(tuple, sorted(groups, key=lambda g: (_metres(g[0]), abs(lattice_of(g[0]).a)))))


def lattice_of(source: Source) -> Affine:
    """Pixel to CRS of a tile that is placed."""
    assert source.transform is not None
    return source.transform


def _same_lattice(one: Source, other: Source) -> bool:
    a, b = lattice_of(one), lattice_of(other)
    if one.crs != other.crs or not math.isclose(a.a, b.a, rel_tol=1e-6):
        return False
    column, row = ~a * (b.c, b.f)
    fits = max(abs(column - round(column)), abs(row - round(row))) < 0.01
    return fits and math.isclose(a.e, b.e, rel_tol=1e-6)


def _metres(source: Source) -> float:
    """Pixel edge of a tile, metres."""
    degrees = CRS.from_user_input(source.crs).is_geographic
    lattice = lattice_of(source)
    return min(abs(lattice.a), abs(lattice.e)) * (METRES_PER_DEGREE if degrees else 1.0)


def mother_resolution(source: Source) -> float:
    """Pixel edge of the mother grid: the tiles' own, to a round number of metres.

    One arc-second is 30.9 m, so 30 m.
    """
    degrees = CRS.from_user_input(source.crs).is_geographic
    size = abs(lattice_of(source).e) * (METRES_PER_DEGREE if degrees else 1.0)
    return 10.0 * round(size / 10) if size >= 10 else max(1.0, float(round(size)))
