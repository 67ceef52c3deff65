"""Where work units lie: integers only, on one lattice per zone that depends on the zone alone.

The strategy, once. A zone has one lattice of pixels, whose corner lies 1,000 km west of the zone's
own origin of eastings and 10,000 km north of the equator, rounded out to whole pixels. Squares of
`edge` pixels are cut from that corner; a *unit* is the part of a square that the area reaches,
rounded out to whole *steps*. The detector's tiles are counted from the same corner, and the step is
a multiple of their stride where they lie side by side: so tile, block and stored chunk of a unit
are those of its neighbours, whichever units are made, and in whatever order.

What a pixel's answer is computed from may lie beyond its unit (tiles that overlap, windows, halos):
`context` says how far. A unit is read with that much around it and cropped, so that nothing is
mirrored at its border.

Why not the 100 km squares of MGRS: 100 km are 10,000 px of 10 m, which no tile of 64 px and no
block of 1,024 px divides, so that every border would cut tiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from sarmap.detect.protocol import DetectorSpec
from sarmap.detect.windows import TileAxis
from sarmap.errors import RequestError

EDGE = 10_240
"""Edge of a unit, pixels: ten blocks of 1,024, 160 tiles of 64, 102.4 km at 10 m."""
STEP = 64
"""Pixels to which units are rounded out where tiles do not ask for another step."""
WEST, NORTH = 1_000_000.0, 10_000_000.0
"""Metres from the zone's origin to the lattice's corner."""
SIZE = 2**40
"""Pixels along an axis of a lattice: more than any zone has."""

Span = tuple[int, int]
"""First pixel and the one after the last, along one axis of a lattice."""


@dataclass(frozen=True)
class Lattice:
    """The pixels of one zone, and how units are cut from them."""

    zone: str
    """Name of the zone, the beginning of its units' names."""
    epsg: int
    """EPSG code of the zone."""
    resolution: float
    """Pixel edge, metres."""
    edge: int
    """Edge of a whole unit, pixels; a multiple of `step`."""
    step: int
    """Units begin and end at multiples of this, pixels."""

    @property
    def left(self) -> float:
        """Easting of the corner, metres."""
        return -self.resolution * math.ceil(WEST / self.resolution)

    @property
    def top(self) -> float:
        """Northing of the corner, metres."""
        return self.resolution * math.ceil(NORTH / self.resolution)

    def grid(self, rows: Span, columns: Span) -> GeoBox:
        """GeoBox of a rectangle of the lattice."""
        size = self.resolution
        corner = Affine(size, 0, self.left + columns[0] * size, 0, -size, self.top - rows[0] * size)
        return GeoBox((rows[1] - rows[0], columns[1] - columns[0]), corner, f"EPSG:{self.epsg}")

    def units(self, geometry: BaseGeometry) -> list[Unit]:
        """The units that a polygon in the zone's CRS reaches, from north to south, west to east.

        >>> lattice = Lattice("54N", 32654, 10.0, 1024, 64)
        >>> place = shapely.box(500_000, 4_700_000, 512_000, 4_705_000)
        >>> [unit.name for unit in lattice.units(place)]
        ['54N-0517-0146', '54N-0517-0147']
        """
        reached: dict[tuple[int, int], tuple[float, float, float, float]] = {}
        for part in shapely.get_parts(geometry):
            for cell, bounds in self._pieces(part):
                before = reached.get(cell, bounds)
                low = (min(a, b) for a, b in zip(before[:2], bounds[:2], strict=True))
                high = (max(a, b) for a, b in zip(before[2:], bounds[2:], strict=True))
                reached[cell] = (*low, *high)  # type: ignore[assignment]
        return [self._unit(cell, reached[cell]) for cell in sorted(reached)]

    def _pieces(
        self, part: BaseGeometry
    ) -> Iterator[tuple[tuple[int, int], tuple[float, float, float, float]]]:
        """Square (row, column) and bounds in pixels of what a polygon has in each square."""
        pixels = shapely.transform(
            part, lambda xy: (xy * (1, -1) + (-self.left, self.top)) / self.resolution
        )
        left, top, right, bottom = pixels.bounds
        for row in range(math.floor(top / self.edge), math.ceil(bottom / self.edge)):
            for column in range(math.floor(left / self.edge), math.ceil(right / self.edge)):
                square = [n * self.edge for n in (column, row, column + 1, row + 1)]
                piece = shapely.clip_by_rect(pixels, *square)
                if piece.area > 0:
                    yield (row, column), piece.bounds

    def _unit(self, cell: tuple[int, int], bounds: tuple[float, float, float, float]) -> Unit:
        left, top, right, bottom = bounds
        name = f"{self.zone}-{cell[0]:04d}-{cell[1]:04d}"
        return Unit(name, self, self._out(top, bottom), self._out(left, right))

    def _out(self, low: float, high: float) -> Span:
        """Rounded out to whole steps; a thousandth of a pixel beyond one counts for nothing."""
        first = math.floor((low + 1e-3) / self.step)
        last = max(math.ceil((high - 1e-3) / self.step), first + 1)
        return first * self.step, last * self.step


@dataclass(frozen=True)
class Unit:
    """One piece of work: a rectangle of a zone's lattice."""

    name: str
    """Zone, row and column of its square, such as '54N-0517-0146'."""
    lattice: Lattice
    """The lattice it lies on."""
    rows: Span
    """Rows of the lattice."""
    columns: Span
    """Columns of the lattice."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, pixels."""
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]

    @property
    def pixels(self) -> int:
        """Pixels in all."""
        return self.shape[0] * self.shape[1]

    @property
    def grid(self) -> GeoBox:
        """GeoBox of the unit."""
        return self.lattice.grid(self.rows, self.columns)

    @property
    def square(self) -> tuple[int, int]:
        """Row and column of its square among the squares of the zone."""
        return self.rows[0] // self.lattice.edge, self.columns[0] // self.lattice.edge


def lattice_for(
    zone: str, epsg: int, resolution: float, edge: int, spec: DetectorSpec, stride: int
) -> Lattice:
    """The lattice of a zone for a detector whose tiles step by `stride`; RequestError where the
    edge is no size for a unit.

    >>> from sarmap.detect.protocol import describe
    >>> class Odd:
    ...     bands, tile = ("vv_post_1",), 48
    ...     def __call__(self, tiles): ...
    >>> lattice = lattice_for("54N", 32654, 10.0, 10_240, describe(Odd()), 48)
    >>> lattice.edge, lattice.step
    (10272, 48)
    """
    side_by_side = spec.kind == "segment" and stride == spec.tile
    step = spec.tile if side_by_side else STEP
    if edge < step:
        raise RequestError(
            f"unit={edge} is smaller than the {step} px that units of this detector are made of: "
            f"give at least {step}, or leave it at {EDGE}."
        )
    return Lattice(zone, epsg, resolution, -(-edge // step) * step, step)


def context(spec: DetectorSpec, stride: int, span: Span) -> tuple[int, int]:
    """Pixels before and after a span of a lattice that its answer is computed from.

    The first of them begins a tile of the lattice, so that tiles counted from there are its tiles.

    >>> from sarmap.detect.protocol import describe
    >>> class Segments:
    ...     bands = ("vv_post_1",)
    ...     def __call__(self, tiles): ...
    >>> spec = describe(Segments())
    >>> context(spec, 64, (640, 1280)), context(spec, 48, (640, 1280))
    ((0, 0), (16, 32))
    """
    step = 1 if spec.kind == "pixel" else stride
    axis = TileAxis(spec.kind, SIZE, spec.tile, step, spec.halo)
    low, high = axis.span(*span)
    first = min(low, span[0]) // step * step
    return span[0] - first, max(high, span[1]) - span[1]
