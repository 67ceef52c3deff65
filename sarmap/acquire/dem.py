"""Elevation tiles to one surface on a mother grid: the grid's CRS at the tiles' own resolution.

The mother grid is anchored at whole multiples of its resolution and cut into cells of 256 pixels
that are always made whole, so a pixel's height depends neither on the map's grid nor on its blocks.
Tiles of one spacing are joined on their common lattice before they are warped: the kernel reaches
across the seam, which therefore does not show.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds

from sarmap.acquire.handles import Handle
from sarmap.acquire.header import place_of
from sarmap.acquire.loader import check_grid
from sarmap.acquire.projection import Place, differ
from sarmap.acquire.reader import read_source
from sarmap.acquire.source import Source
from sarmap.acquire.tiles import (
    bbox_of,
    in_groups,
    in_words,
    lattice_of,
    meets,
    mother_resolution,
    own_tile,
    say_gaps,
    search_tiles,
    tile_sources,
)
from sarmap.acquire.values import metres_of
from sarmap.acquire.warp import READ_FAILED, resample
from sarmap.errors import RequestError
from sarmap.net.signing import Signer, make_signer
from sarmap.types import CatalogSettings

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

CELL = 256
"""Edge of a cell, pixels of the mother grid: 7.7 km at 30 m."""

KERNEL = 6
"""Source pixels read around a cell, for the cubic kernel."""

TURN = 360.0
"""Degrees once about the earth."""

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
    notes: tuple[str, ...] = ()
    """What a reader of the map should know of the tiles' records."""
    token: str = field(init=False, default="")
    """Sets this surface's cells apart from those of another in the process's cache."""

    def __post_init__(self) -> None:
        """Surfaces of files held to the same are the same: a map asks for its own twice."""
        pinned = all(source.pin is not None for group in self.groups for source in group)
        told = repr((self.groups, self.epsg, self.resolution))
        token = hashlib.sha256(told.encode()).hexdigest() if pinned else uuid.uuid4().hex
        object.__setattr__(self, "token", token)

    @property
    def tiles(self) -> tuple[str, ...]:
        """Ids of all tiles."""
        return tuple(source.item for group in self.groups for source in group)

    @property
    def files(self) -> dict[str, list[Any]]:
        """Item and asset -> what its file is held to, as of scenes (`acquire.pins`)."""
        sources = [source for group in self.groups for source in group]
        return {f"{one.item} {one.asset}": list(one.pin) for one in sources if one.pin is not None}

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
                top - rows.start : bottom - rows.start, left - columns.start : right - columns.start
            ] = cell(i, j)[top - i * CELL : bottom - i * CELL, left - j * CELL : right - j * CELL]
    return out


def _warp_group(
    group: Sequence[Source], there: Affine, crs: CRS, signer: Signer
) -> NDArray[np.float32]:
    """One cell from the tiles of one spacing, joined before they are warped."""
    theirs = CRS.from_user_input(group[0].crs)
    west, south, east, north = transform_bounds(
        crs, theirs, *array_bounds(CELL, CELL, there), densify_pts=21
    )
    if theirs.is_geographic and west > east:  # across 180 degrees, where tiles are laid on as well
        east += TURN
    bounds = (west, south, east, north)
    empty = np.full((CELL, CELL), np.nan, np.float32)
    if not all(map(math.isfinite, bounds)) or west > east:
        return empty
    # only tiles under the cell: which others a map needs must not move the lattice by a rounding
    turns = (0.0, TURN, -TURN) if theirs.is_geographic else (0.0,)
    tiles = [(source, turn) for source in group for turn in turns if _under(source, bounds, turn)]
    if not tiles:
        return empty
    lattice = Affine.translation(tiles[0][1], 0) * lattice_of(tiles[0][0])
    left, top = ~lattice * (west, north)
    right, bottom = ~lattice * (east, south)
    row, column = math.floor(top) - KERNEL, math.floor(left) - KERNEL
    shape = (math.ceil(bottom) + KERNEL - row, math.ceil(right) + KERNEL - column)
    joined = np.full(shape, np.nan, np.float32)
    for source, turn in tiles:
        _paste(source, turn, lattice, row, column, joined, signer)
    if np.isnan(joined).all():
        return empty
    joined = bridged(joined)
    here = lattice * Affine.translation(column, row)
    # Both lattices are about as fine: the plain kernel, not the one GDAL widens to average.
    plain = {"XSCALE": 1, "YSCALE": 1}
    return resample(joined, here, theirs, there, crs, (CELL, CELL), Resampling.cubic, **plain)


def _under(source: Source, bounds: Sequence[float], turn: float) -> bool:
    """True where a tile, turned about the earth, meets bounds in its CRS, kernel included."""
    size = abs(lattice_of(source).a)
    left, bottom, right, top = source.bounds
    left, right = left + turn, right + turn
    reach = (KERNEL + 1) * size
    across = left < bounds[2] + reach and right > bounds[0] - reach
    return across and bottom < bounds[3] + reach and top > bounds[1] - reach


def _paste(
    source: Source,
    turn: float,
    lattice: Affine,
    row: int,
    column: int,
    joined: NDArray[np.float32],
    signer: Signer,
) -> None:
    """Fill the gaps of `joined`, whose corner is (row, column) of the lattice, from one tile."""
    left, top = ~lattice * (source.bounds[0] + turn, source.bounds[3])
    right, bottom = ~lattice * (source.bounds[2] + turn, source.bounds[1])
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
    heights = (
        READ_FAILED if found is None or _moved(source, found[1]) else _in_metres(source, *found)
    )
    part = joined[rows[0] - row : rows[1] - row, columns[0] - column : columns[1] - column]
    part[...] = np.where(np.isnan(part), heights, part)


def _in_metres(source: Source, heights: NDArray[np.float32], handle: Handle) -> NDArray[np.float32]:
    """Heights in metres, whatever unit file or record give them, NaN where there are none."""
    metres = metres_of(source, handle)
    return on_earth(heights if metres == 1.0 else heights * np.float32(metres))


def _moved(source: Source, handle: Handle) -> bool:
    """True where a tile's file, unread when the tile was placed, lies elsewhere than its record."""
    if handle.transform == source.transform and handle.crs == CRS.from_user_input(source.crs):
        return False
    moved = differ(
        Place(source.crs, source.bounds, source.transform),
        replace(place_of(handle), northwards=False),
    )
    if moved:
        logger.warning("The file of elevation %s lies elsewhere than its record", source.label)
    return moved


def find_dem(
    grid: GeoBox,
    settings: CatalogSettings,
    *,
    margin: float,
    known: Mapping[str, Any] | None = None,
) -> Dem:
    """The elevation tiles under a grid and `margin` metres around it, of the catalogue's
    `dem_collection` at its `dem_url`; `known` is what an earlier run held their files to.

    Raises RequestError where the catalogue has no elevation, no tile lies under the grid, neither a
    tile's file nor its record says where its pixels lie, or a file is another one than `known`
    says; CatalogError where the catalogue cannot be reached.
    """
    if settings.dem_collection is None:
        raise RequestError(
            f"Catalogue {settings.name!r} has no elevation: give your own with dem= (--dem FILE), "
            "set dem_collection (and dem_url) in its settings, or choose a composite without "
            "terrain."
        )
    place = bbox_of(grid, margin)
    own = settings.dem_file
    items = search_tiles(settings, place) if own is None else [own_tile(settings, own)]
    signer = make_signer(settings)
    sources, notes = tile_sources(items, settings, signer, known)
    inside = bbox_of(grid, 0.0)
    if not any(meets(item.bbox, inside) for item in items):
        raise RequestError(
            f"No elevation tile covers {in_words(inside)} in collection "
            f"{settings.dem_collection!r} of catalogue {settings.name!r}: give your own with dem= "
            "(--dem FILE), choose another dem_collection (and dem_url), or a composite without "
            "terrain."
        )
    say_gaps(inside, [item.bbox for item in items])
    groups = in_groups(sources)
    return Dem(groups, check_grid(grid), mother_resolution(groups[0][0]), signer, notes)


# --- voids ----------------------------------------------------------------------------------------


LOWEST, HIGHEST = -500.0, 9_000.0
"""Metres beyond which no ground lies: the Dead Sea's shore at -430, Everest at 8,849. Files hold
-9999, -32768 or -3.4e38 for none, and do not always say so."""

WIDEST = 2
"""Pixels of a void that is bridged: tiles of high latitudes lack the column where they meet."""

Heights = NDArray[np.float32]


def on_earth(heights: Heights) -> Heights:
    """Heights in metres, NaN where no ground is so low or high; what is unread (-inf) stays that.

    >>> on_earth(np.array([-9999.0, -430.0, 8849.0, 1e20, -np.inf], np.float32)).tolist()
    [nan, -430.0, 8849.0, nan, -inf]
    """
    none = np.isfinite(heights) & ((heights < LOWEST) | (heights > HIGHEST))
    return np.where(none, np.float32(np.nan), heights) if none.any() else heights


def bridged(heights: Heights) -> Heights:
    """Heights (y, x) with voids of up to two pixels between two heights made straight across.

    A bridge that would stand on what is unread (minus infinity) is unread itself.

    >>> bridged(np.array([[3.0, np.nan, np.nan, 9.0, np.nan]], np.float32)).tolist()
    [[3.0, 5.0, 7.0, 9.0, nan]]
    """
    void = np.isnan(heights)
    if not void.any():
        return heights
    ways = np.stack([_across(heights), _across(heights.T).T])
    known = ~np.isnan(ways)
    count = known.sum(axis=0)
    mean = np.where(known, ways, 0).sum(axis=0) / np.maximum(count, 1)
    return np.where(void & (count > 0), mean, heights).astype(np.float32)


def _across(heights: Heights) -> Heights:
    """Each pixel between its nearest heights above and below, NaN where they are too far apart."""
    out = np.full(heights.shape, np.nan, np.float32)
    for width in range(1, WIDEST + 1):
        for above in range(1, width + 1):
            below = width + 1 - above
            upper, lower = _shifted(heights, above), _shifted(heights, -below)
            line = (upper * below + lower * above) / np.float32(width + 1)
            out = np.where(np.isnan(out), line, out)
    return out


def _shifted(heights: Heights, rows: int) -> Heights:
    """Heights moved down by some rows (up where negative), NaN where none come in."""
    out = np.full(heights.shape, np.nan, np.float32)
    if rows > 0:
        out[rows:] = heights[:-rows]
    else:
        out[:rows] = heights[-rows:]
    return out
