"""Elevation tiles to one surface on a mother grid: the grid's CRS at the tiles' own resolution.

The mother grid is anchored at whole multiples of its resolution and cut into cells of 256 pixels
that are always made whole, so a pixel's height depends neither on the map's grid nor on its blocks.
Tiles of one spacing are joined on their common lattice before they are warped: the kernel reaches
across the seam, which therefore does not show.
"""

from __future__ import annotations

import logging
import math
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds

from sarmap.acquire.header import place_scenes
from sarmap.acquire.loader import check_grid
from sarmap.acquire.reach import reach_of
from sarmap.acquire.reader import read_source, why_unread
from sarmap.acquire.signing import Signer, make_signer
from sarmap.acquire.source import Source, item_source
from sarmap.acquire.warp import READ_FAILED, resample
from sarmap.errors import RequestError
from sarmap.types import CatalogSettings

if TYPE_CHECKING:
    import pystac
    from odc.geo.geobox import GeoBox

__all__ = ["CELL", "Dem", "find_dem", "from_cells"]

CELL = 256
"""Edge of a cell, pixels of the mother grid: 7.7 km at 30 m."""

KERNEL = 6
"""Source pixels read around a cell, for the cubic kernel."""

FINEST, COARSEST = 0.4, 5_000.0
"""Pixel edges, metres, that an elevation item may claim: memory follows from them."""

SLIVER = 20.0
"""Largest ratio of a pixel's edges; Copernicus DEM has 10 beyond 85 degrees north."""

METRES_PER_DEGREE = 111_195.0
"""Of latitude, on a sphere of 6,371 km."""

CELLS_KEPT = 256
"""Cells kept in memory per process (64 MB)."""

logger = logging.getLogger(__name__)


class _Once:
    """A bounded cache that makes each value once, however many threads ask at a time."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.guard = threading.Lock()
        self.values: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self.locks: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        with self.guard:
            if key in self.values:
                self.values.move_to_end(key)
                return self.values[key]
            lock = self.locks.setdefault(key, threading.Lock())
        with lock:
            with self.guard:
                if key in self.values:
                    return self.values[key]
            value = make()
            with self.guard:
                self.locks.pop(key, None)
                if np.isneginf(value).any():  # a failed read may succeed the next time
                    return value
                self.values[key] = value
                while len(self.values) > self.size:
                    self.values.popitem(last=False)
            return value


_cells = _Once(CELLS_KEPT)


@dataclass(frozen=True)
class Dem:
    """The elevation tiles under a grid, and the mother grid they are brought to."""

    groups: tuple[tuple[Source, ...], ...]
    """Tiles of one spacing each, finest first."""
    epsg: int
    """CRS of the mother grid."""
    resolution: float
    """Pixel edge of the mother grid, metres."""
    signer: Signer
    """Applied to each href when it is read."""
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Sets this surface's cells apart from those of another in the process's cache."""

    @property
    def tiles(self) -> tuple[str, ...]:
        """Ids of all tiles."""
        return tuple(source.item for group in self.groups for source in group)

    def heights(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Heights (y, x) in metres over a range of the mother grid.

        Pixel (0, 0) of the mother grid has its top left corner at the origin of the CRS; rows grow
        southwards. NaN where no tile holds data, minus infinity where a tile could not be read.
        """
        return from_cells(self.cell, rows, columns, np.float32)

    def cell(self, i: int, j: int) -> NDArray[np.float32]:
        """Heights of one whole cell (256, 256), from the process's cache where it has them."""
        cell: NDArray[np.float32] = self.once("heights", i, j, lambda: self._make_cell(i, j))
        return cell

    def once(self, kind: str, i: int, j: int, make: Callable[[], NDArray[Any]]) -> Any:
        """What `make` makes of a cell, from the process's cache where it has been made before."""
        return _cells.get((self.token, kind, i, j), make)

    def _make_cell(self, i: int, j: int) -> NDArray[np.float32]:
        size = CELL * self.resolution
        there = Affine(self.resolution, 0, j * size, 0, -self.resolution, -i * size)
        out = np.full((CELL, CELL), np.nan, np.float32)
        for group in self.groups:
            if not np.isnan(out).any():
                break
            heights = _warp_group(group, there, CRS.from_epsg(self.epsg), self.signer)
            out = np.where(np.isnan(out), heights, out)  # none stands in for what is unread
        out.flags.writeable = False
        return out


def from_cells(
    cell: Callable[[int, int], NDArray[Any]], rows: slice, columns: slice, dtype: Any
) -> NDArray[Any]:
    """A range of the mother grid, assembled from whole cells (i, j)."""
    out = np.empty((rows.stop - rows.start, columns.stop - columns.start), dtype)
    for i in range(rows.start // CELL, -(-rows.stop // CELL)):
        for j in range(columns.start // CELL, -(-columns.stop // CELL)):
            top, bottom = max(i * CELL, rows.start), min((i + 1) * CELL, rows.stop)
            left, right = max(j * CELL, columns.start), min((j + 1) * CELL, columns.stop)
            out[
                top - rows.start : bottom - rows.start,
                left - columns.start : right - columns.start,
            ] = cell(i, j)[top - i * CELL : bottom - i * CELL, left - j * CELL : right - j * CELL]
    return out


def _warp_group(
    group: Sequence[Source], there: Affine, crs: CRS, signer: Signer
) -> NDArray[np.float32]:
    """One cell from the tiles of one spacing, joined before they are warped."""
    theirs = CRS.from_user_input(group[0].crs)
    bounds = transform_bounds(crs, theirs, *array_bounds(CELL, CELL, there), densify_pts=21)
    empty = np.full((CELL, CELL), np.nan, np.float32)
    if not all(map(math.isfinite, bounds)) or bounds[0] > bounds[2]:
        return empty
    # only tiles under the cell: which others a map needs must not move the lattice by a rounding
    group = [source for source in group if _under(source, bounds)]
    if not group:
        return empty
    lattice = group[0].transform
    assert lattice is not None
    left, top = ~lattice * (bounds[0], bounds[3])
    right, bottom = ~lattice * (bounds[2], bounds[1])
    row, column = math.floor(top) - KERNEL, math.floor(left) - KERNEL
    shape = (math.ceil(bottom) + KERNEL - row, math.ceil(right) + KERNEL - column)
    joined = np.full(shape, np.nan, np.float32)
    for source in group:
        _paste(source, lattice, row, column, joined, signer)
    if np.isnan(joined).all():
        return empty
    here = lattice * Affine.translation(column, row)
    # Both lattices are about as fine: the plain kernel, not the one GDAL widens to average.
    plain = {"XSCALE": 1, "YSCALE": 1}
    return resample(joined, here, theirs, there, crs, (CELL, CELL), Resampling.cubic, **plain)


def _under(source: Source, bounds: Sequence[float]) -> bool:
    """True where a tile meets bounds (left, bottom, right, top) in its CRS, kernel included."""
    size = abs(_affine(source).a)
    left, bottom, right, top = source.bounds
    reach = (KERNEL + 1) * size
    across = left < bounds[2] + reach and right > bounds[0] - reach
    return across and bottom < bounds[3] + reach and top > bounds[1] - reach


def _paste(
    source: Source,
    lattice: Affine,
    row: int,
    column: int,
    joined: NDArray[np.float32],
    signer: Signer,
) -> None:
    """Fill the gaps of `joined`, whose corner is (row, column) of the lattice, from one tile."""
    left, top = ~lattice * (source.bounds[0], source.bounds[3])
    right, bottom = ~lattice * (source.bounds[2], source.bounds[1])
    rows = (max(row, round(top)), min(row + joined.shape[0], round(bottom)))
    columns = (max(column, round(left)), min(column + joined.shape[1], round(right)))
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        return
    box = (
        rows[0] - round(top),
        rows[1] - round(top),
        columns[0] - round(left),
        columns[1] - round(left),
    )
    found = read_source(source, lambda _handle: box, signer, positive=False)
    heights = READ_FAILED if found is None else found[0]
    part = joined[rows[0] - row : rows[1] - row, columns[0] - column : columns[1] - column]
    part[...] = np.where(np.isnan(part), heights, part)


def find_dem(grid: GeoBox, settings: CatalogSettings, *, margin: float) -> Dem:
    """The elevation tiles under a grid.

    Parameters
    ----------
    grid
        Grid of the map.
    settings
        Catalogue with `dem_collection`, at `dem_url` where that differs.
    margin
        Metres around the grid that are wanted too.

    Raises
    ------
    RequestError
        The catalogue has no elevation, no tile lies under the grid, or a tile's record does not say
        where its pixels lie.
    CatalogError
        The catalogue cannot be reached.
    """
    if settings.dem_collection is None:
        raise RequestError(
            f"Catalogue {settings.name!r} has no elevation: set dem_collection (and dem_url) in "
            "its settings, or choose a composite without terrain."
        )
    place = _bbox(grid, margin)
    items = _search(settings, place)
    signer = make_signer(settings)
    sources = _sources(items, settings, signer)
    inside = _bbox(grid, 0.0)
    if not any(_meets(item.bbox, inside) for item in items):
        raise RequestError(
            f"No elevation tile covers {_words(inside)} in collection {settings.dem_collection!r} "
            f"of catalogue {settings.name!r}: choose another dem_collection, or a composite "
            "without terrain."
        )
    _say_gaps(inside, [item.bbox for item in items])
    groups = _groups(sources)
    return Dem(groups, check_grid(grid), _resolution(groups[0][0]), signer)


def _sources(
    items: Sequence[pystac.Item], settings: CatalogSettings, signer: Signer
) -> list[Source]:
    """What to read of each tile, refused where its lattice is not known."""
    reach = reach_of(settings, settings.dem_url)
    stated = [
        item_source(
            item,
            settings.dem_asset,
            setting="dem_asset",
            reach=reach,
            projection_from_file=settings.projection_from_file,
        )
        for item in items
    ]
    (tiles,) = place_scenes([[{"dem": source} for source in stated]], settings, signer)
    sources = [tile["dem"] for tile in tiles]
    for source in sources:
        if not source.placed:
            raise RequestError(
                f"Elevation {source.label}, does not say where it lies, and its file could not be "
                f"opened ({why_unread(source)}): check the network, or choose another "
                "dem_collection."
            )
        if source.transform is None:
            raise RequestError(
                f"Elevation {source.label}, has no proj:transform or proj:shape: its pixels cannot "
                "be placed; choose an elevation collection whose items carry them."
            )
        if not FINEST <= _metres(source) <= COARSEST or not _upright(source.transform):
            raise RequestError(
                f"Elevation {source.label}, claims pixels of {_metres(source):g} m, turned ones or "
                f"slivers (proj:transform), and {FINEST:g} to {COARSEST:g} m, north up, can be "
                "read: choose another elevation collection."
            )
    return sources


def _upright(lattice: Affine) -> bool:
    """True where rows run east and columns south, pixels are no slivers, and it lies on earth."""
    straight = lattice.a > 0 > lattice.e and lattice.b == 0 and lattice.d == 0
    return bool(
        straight
        and 1 / SLIVER <= -lattice.e / lattice.a <= SLIVER
        and abs(lattice.c) < 1e9
        and abs(lattice.f) < 1e9
    )


def _bbox(grid: GeoBox, margin: float) -> tuple[float, float, float, float]:
    """West, south, east, north of the grid and its margin; west > east across the antimeridian."""
    box = grid.boundingbox
    wide = (box.left - margin, box.bottom - margin, box.right + margin, box.top + margin)
    west, south, east, north = transform_bounds(
        CRS.from_epsg(check_grid(grid)), "EPSG:4326", *wide, densify_pts=21
    )
    return (west, south, east, north)


def _search(
    settings: CatalogSettings, place: tuple[float, float, float, float]
) -> list[pystac.Item]:
    """All elevation tiles that meet the place."""
    from sarmap.acquire.catalogs import open_catalog
    from sarmap.acquire.items import search_items
    from sarmap.acquire.scenes import read_item

    west, south, east, north = place
    split = [(west, south, 180.0, north), (-180.0, south, east, north)]
    boxes = [place] if west <= east else split
    url = settings.dem_url
    client = open_catalog(settings, url=url)
    found: dict[str, pystac.Item] = {}
    for box in boxes:
        for record in search_items(client, settings, str(settings.dem_collection), box):
            item = read_item(record)
            found[item.id] = item
    return [found[key] for key in sorted(found)]


def _meets(bbox: Sequence[float] | None, place: tuple[float, ...]) -> bool:
    """True where a tile's bbox overlaps the place."""
    if bbox is None:
        return True
    half = len(bbox) // 2
    west, south, east, north = place
    over = bbox[1] < north and bbox[half + 1] > south
    if west <= east:
        return over and bbox[0] < east and bbox[half] > west
    return over and (bbox[half] > west or bbox[0] < east)


def _say_gaps(place: tuple[float, ...], boxes: Sequence[Sequence[float] | None]) -> None:
    """Copernicus DEM has no tiles over open sea: say which squares stay without elevation."""
    west, south, east, north = place
    if west > east or any(box is None for box in boxes):
        return
    bare = [
        f"{_letter(lat, 'NS')}{_letter(lon, 'EW')}"
        for lat in range(math.floor(south), math.ceil(north))
        for lon in range(math.floor(west), math.ceil(east))
        if not any(_meets(box, (lon + 0.01, lat + 0.01, lon + 0.99, lat + 0.99)) for box in boxes)
    ]
    if bare:
        logger.warning(
            "No elevation tile for %s: open sea, or missing; slope is no_data there",
            ", ".join(bare[:8]) + (f" and {len(bare) - 8} more" if len(bare) > 8 else ""),
        )


def _letter(value: int, letters: str) -> str:
    return f"{letters[value < 0]}{abs(value)}"


def _words(place: Iterable[float]) -> str:
    west, south, east, north = place
    return f"{west:.3f} to {east:.3f} E, {south:.3f} to {north:.3f} N"


def _groups(sources: Sequence[Source]) -> tuple[tuple[Source, ...], ...]:
    """Tiles that share CRS, spacing and lattice, the finest first."""
    groups: list[list[Source]] = []
    for source in sources:
        for group in groups:
            if _same_lattice(group[0], source):
                group.append(source)
                break
        else:
            groups.append([source])
    return tuple(map(tuple, sorted(groups, key=lambda g: (_metres(g[0]), abs(_affine(g[0]).a)))))


def _affine(source: Source) -> Affine:
    assert source.transform is not None
    return source.transform


def _same_lattice(one: Source, other: Source) -> bool:
    a, b = _affine(one), _affine(other)
    if one.crs != other.crs or not math.isclose(a.a, b.a, rel_tol=1e-6):
        return False
    column, row = ~a * (b.c, b.f)
    fits = max(abs(column - round(column)), abs(row - round(row))) < 0.01
    return fits and math.isclose(a.e, b.e, rel_tol=1e-6)


def _metres(source: Source) -> float:
    """Pixel edge of a tile, metres."""
    degrees = CRS.from_user_input(source.crs).is_geographic
    lattice = _affine(source)
    return min(abs(lattice.a), abs(lattice.e)) * (METRES_PER_DEGREE if degrees else 1.0)


def _resolution(source: Source) -> float:
    """Pixel edge of the mother grid: the tiles' own, to a round number of metres.

    One arc-second is 30.9 m, so 30 m.
    """
    degrees = CRS.from_user_input(source.crs).is_geographic
    size = abs(_affine(source).e) * (METRES_PER_DEGREE if degrees else 1.0)
    return 10.0 * round(size / 10) if size >= 10 else max(1.0, float(round(size)))
