"""Roads, buildings and other things that a landslide may have touched.

Every feature is looked at in points: a line every half pixel, a polygon along its outline and at a
point for every pixel inside, a point as it is. It is touched at a threshold where the map reaches
that threshold under one of them; of lines the touched length is added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.report.cells import LEVELS, LOWEST, histogram_of
from sarmap.report.features import drawn, label_of, open_background, read_vectors, to_pixels
from sarmap.report.strips import Rows
from sarmap.store.encoding import FILL

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox

_UNSEEN = 251
_DRAWN = 20_000
"""Features drawn on the page where fewer than this are in the file, else only those touched."""
_LISTED = 5_000
"""Touched features that the page lists, the most probable first."""
_MARKED = 200_000
"""Touched places of lines that the page marks."""


@dataclass(frozen=True)
class _Points:
    """Where features are looked at, sorted by row."""

    row: NDArray[np.int32]
    column: NDArray[np.int32]
    feature: NDArray[np.int32]
    metres: NDArray[np.float32]
    """Length of line that the point stands for; 0 where it is no line."""
    place: NDArray[np.float32]
    """Column and row (point, 2), with fractions."""

    def between(self, top: int, bottom: int) -> slice:
        first, last = np.searchsorted(self.row, [top, bottom])
        return slice(int(first), int(last))


class Exposure:
    """Takes strips from top to bottom, and says of each feature what lies under it."""

    def __init__(self, name: str, frame: GeoDataFrame, grid: GeoBox, lowest: int) -> None:
        self.name, self.frame, self.grid, self.lowest = name, frame, grid, lowest
        self.labels = label_of(frame, None, "--exposure")
        self._points = _points_of(frame, grid)
        count = len(frame)
        self._here = np.zeros(count, bool)
        self._here[self._points.feature] = True
        self.highest = np.full(count, -1, np.int16)
        """Highest packed probability under each; -1 where none was seen."""
        self.lengths = np.zeros(_UNSEEN + 1, np.float64)
        """Metres of line at each step of probability; the last: not seen."""
        self._touched: list[tuple[NDArray[Any], ...]] = []

    def add(self, rows: Rows) -> None:
        """The next strip."""
        here = self._points.between(rows.top, rows.top + len(rows.probability))
        packed = rows.probability[self._points.row[here] - rows.top, self._points.column[here]]
        feature, metres = self._points.feature[here], self._points.metres[here]
        seen = packed != FILL
        np.maximum.at(self.highest, feature[seen], packed[seen].astype(np.int16))
        self.lengths += np.bincount(
            np.where(seen, packed, _UNSEEN), weights=metres, minlength=_UNSEEN + 1
        )
        likely = seen & (packed >= self.lowest) & (metres > 0)
        place = self._points.place[here][likely]
        self._touched.append((feature[likely], packed[likely], metres[likely], place))

    def record(self) -> dict[str, Any]:
        """For the page: counts at every step, and the features that may be touched."""
        kinds = {
            "lines" if "Line" in one else "areas" if "Polygon" in one else "points"
            for one in set(self.frame.geometry.geom_type)
        }
        highest = np.bincount(self.highest[self.highest >= 0], minlength=_UNSEEN)
        touched = np.flatnonzero(self.highest >= self.lowest)
        order = touched[np.argsort(-self.highest[touched], kind="stable")]
        listed = order[:_LISTED]
        drawn = self.highest if len(self.frame) <= _DRAWN else self.highest[:0]
        others = np.flatnonzero(drawn < self.lowest)
        return {
            "name": self.name,
            "kind": kinds.pop() if len(kinds) == 1 else "mixed",
            "features": int(self._here.sum()),
            "unseen": int((self._here & (self.highest < 0)).sum()),
            "highest": highest.tolist(),
            "metres": [round(float(value), 1) for value in self.lengths],
            "touched": list(self._listed(listed)),
            "left_out": len(touched) - len(listed),
            "others": [self._shape(int(one)) for one in others],
        }

    def _listed(self, features: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
        steps, marks = self._steps(set(features.tolist()))
        for one in features.tolist():
            box = self.frame.geometry.iloc[one].bounds
            corners = to_pixels(self.grid, np.array([[box[0], box[3]], [box[2], box[1]]]))
            yield {
                "label": self.labels[one],
                "highest": int(self.highest[one]),
                "steps": steps.get(one, []),
                "marks": marks.get(one, []),
                "box": [round(float(value), 1) for value in corners.ravel()],
                "lines": self._shape(one),
            }

    def _steps(
        self, wanted: set[int]
    ) -> tuple[dict[int, list[list[float]]], dict[int, list[list[int]]]]:
        """Per line: steps of probability and the metres at each; where it is touched, how surely.

        A mark is column and row in tenths of a pixel, and the step of probability there.
        """
        steps: dict[int, list[list[float]]] = {}
        marks: dict[int, list[list[int]]] = {}
        if not any(len(part[0]) for part in self._touched):
            return steps, marks
        columns = (np.concatenate(column) for column in zip(*self._touched, strict=True))
        feature, packed, metres, place = columns
        key = feature.astype(np.int64) * 256 + packed
        pairs, where = np.unique(key, return_inverse=True)
        for pair, length in zip(pairs.tolist(), np.bincount(where, metres).tolist(), strict=True):
            if pair // 256 in wanted:
                steps.setdefault(pair // 256, []).append([pair % 256, round(length, 1)])
        tenths = np.column_stack([np.rint(place * 10).astype(np.int64), packed])
        for one, mark in zip(feature[:_MARKED].tolist(), tenths[:_MARKED].tolist(), strict=True):
            if one in wanted:
                marks.setdefault(one, []).append(mark)
        return steps, marks

    def _shape(self, feature: int) -> list[list[int]]:
        return drawn(self.frame.geometry.iloc[feature], self.grid)


def open_exposure(
    file: str | Path, grid: GeoBox, names: Sequence[str] = (), lowest: int = LOWEST
) -> Exposure:
    """Features of any vector file that GDAL reads, or GeoParquet, under a name that none of `names`
    has; touched from the packed probability `lowest` up. RequestError as in `read_vectors`, or
    where two files have one name.
    """
    path = Path(file)
    name = path.stem
    if name in names:
        raise RequestError(f"--exposure: two files are called {path.stem!r}; rename one.")
    frame = read_vectors(file, grid, "--exposure").explode(index_parts=False)
    known = ("Point", "LineString", "LinearRing", "Polygon")
    frame = frame[frame.geometry.geom_type.isin(known)].reset_index()
    frame = frame.dissolve("index", as_index=False, sort=True) if _split(frame) else frame
    return Exposure(name, frame.drop(columns="index"), grid, lowest)


def _split(frame: GeoDataFrame) -> bool:
    return bool(frame["index"].duplicated().any())


def _points_of(frame: GeoDataFrame, grid: GeoBox) -> _Points:
    """Where all features are looked at, those off the map left out."""
    import shapely

    parts, owner = shapely.get_parts(frame.geometry.to_numpy(), return_index=True)
    dimension = shapely.get_dimensions(parts)
    found = [
        _of_points(parts[dimension == 0], owner[dimension == 0]),
        _of_lines(parts[dimension == 1], owner[dimension == 1], grid, count=True),
        _of_lines(
            shapely.boundary(parts[dimension == 2]), owner[dimension == 2], grid, count=False
        ),
        _of_insides(parts[dimension == 2], owner[dimension == 2], grid),
    ]
    xy, feature, metres = (np.concatenate(column) for column in zip(*found, strict=True))
    place = to_pixels(grid, xy)
    at = np.floor(place).astype(np.int64)
    height, width = (int(n) for n in grid.shape)
    on = (at >= 0).all(axis=1) & (at[:, 0] < width) & (at[:, 1] < height)
    order = np.argsort(at[on, 1], kind="stable")
    return _Points(
        at[on, 1][order].astype(np.int32),
        at[on, 0][order].astype(np.int32),
        feature[on][order].astype(np.int32),
        metres[on][order].astype(np.float32),
        place[on][order].astype(np.float32),
    )


Found = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


def _of_points(points: NDArray[Any], owner: NDArray[np.int64]) -> Found:
    import shapely

    return shapely.get_coordinates(points), owner, np.zeros(len(points))


def _of_lines(lines: NDArray[Any], owner: NDArray[np.int64], grid: GeoBox, *, count: bool) -> Found:
    """The middle of every half pixel of line; its length in metres where it counts."""
    import shapely

    crs = grid.crs
    assert crs is not None
    unit = float(crs.proj.axis_info[0].unit_conversion_factor)
    single, index = shapely.get_parts(lines, return_index=True)
    dense = shapely.segmentize(single, abs(float(grid.transform.a)) / 2)
    xy, line = shapely.get_coordinates(dense, return_index=True)
    same = np.diff(line) == 0
    middle = ((xy[1:] + xy[:-1]) / 2)[same]
    metres = np.hypot(*(xy[1:] - xy[:-1])[same].T) * unit
    return middle, owner[index][line[1:][same]], metres if count else np.zeros(len(metres))


def _of_insides(areas: NDArray[Any], owner: NDArray[np.int64], grid: GeoBox) -> Found:
    """Pixel centres inside polygons."""
    from rasterio.features import rasterize

    height, width = (int(n) for n in grid.shape)
    points: list[NDArray[np.float64]] = [np.empty((0, 2))]
    owners: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    transform = grid.transform
    for area, one in zip(areas, owner, strict=True):
        left, bottom, right, top = area.bounds
        corners = to_pixels(grid, np.array([[left, top], [right, bottom]]))
        (x0, y0), (x1, y1) = np.floor(corners.min(0)), np.ceil(corners.max(0))
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        if x1 - x0 < 1 or y1 - y0 < 1 or (x1 - x0) * (y1 - y0) <= 2:
            continue  # its outline says it all
        shape = (int(y1 - y0), int(x1 - x0))
        here = transform * transform.translation(x0, y0)
        inside = np.argwhere(rasterize([area], out_shape=shape, transform=here, dtype=np.uint8))
        centres = inside[:, ::-1] + (x0 + 0.5, y0 + 0.5)
        scale = np.array([transform.a, transform.e])
        points.append(centres * scale + (transform.c, transform.f))
        owners.append(np.full(len(inside), one))
    feature = np.concatenate(owners)
    return np.concatenate(points), feature, np.zeros(len(feature))


_MOST = 65_534


@dataclass
class Districts:
    """Takes strips from top to bottom; a pixel belongs to the district that holds its centre."""

    frame: GeoDataFrame
    """Polygons in the map's reference system."""
    names: list[str]
    """Name of each."""
    grid: GeoBox
    """The map's grid."""
    histogram: NDArray[np.int64] = field(init=False)
    """Pixels (district from 1, 0 for none; step of probability)."""
    total: NDArray[np.int64] = field(init=False)
    """Pixels of each on the map, seen or not."""

    def __post_init__(self) -> None:
        number = len(self.names) + 1
        self.histogram = np.zeros((number, LEVELS), np.int64)
        self.total = np.zeros(number, np.int64)
        self._index = self.frame.sindex

    def add(self, rows: Rows) -> NDArray[np.uint16]:
        """Count the next strip; returns the district number of each of its pixels."""
        labels = self._labels(rows.top, rows.probability.shape)
        number = len(self.names) + 1
        self.histogram += histogram_of(rows.probability, labels, number)
        self.total += np.bincount(labels.ravel(), minlength=number)
        return labels

    def _labels(self, top: int, shape: tuple[int, ...]) -> NDArray[np.uint16]:
        from rasterio.features import rasterize

        strip = self.grid[top : top + shape[0], :]
        box = strip.extent.boundingbox
        near = np.sort(self._index.intersection((box.left, box.bottom, box.right, box.top)))
        if len(near) == 0:
            return np.zeros(shape, np.uint16)
        shapes = ((self.frame.geometry.iloc[one], int(one) + 1) for one in near)
        labels: NDArray[np.uint16] = rasterize(
            shapes, out_shape=shape, transform=strip.transform, dtype=np.uint16
        )
        return labels

    def record(self) -> dict[str, Any]:
        """For the page: names, pixels, pixels at each step of probability, outlines."""
        return {
            "names": self.names,
            "total": self.total[1:].tolist(),
            "seen": self.histogram[1:].sum(axis=1).tolist(),
            "histogram": [_sparse(row) for row in self.histogram[1:]],
            "lines": [drawn(one, self.grid, 1.0) for one in self.frame.geometry],
        }


def _sparse(row: NDArray[np.int64]) -> list[list[int]]:
    """Steps that any pixel has, and how many."""
    held = np.flatnonzero(row)
    return [held.tolist(), row[held].tolist()]


def open_districts(file: str | Path, grid: GeoBox, column: str | None = None) -> Districts:
    """Polygons of any vector file as districts; RequestError as in `read_vectors`, or where it
    holds no polygons, or too many.
    """
    flag = "--districts"
    frame = read_vectors(file, grid, flag)
    frame = frame[frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"])]
    frame = frame.reset_index(drop=True)
    name = Path(file).name
    if frame.empty:
        raise RequestError(f"{flag} {name!r} has no polygons on the map: give areas, not lines.")
    if len(frame) > _MOST:
        raise RequestError(f"{flag} {name!r} has {len(frame):,} polygons, more than {_MOST:,}.")
    return Districts(frame, label_of(frame, column, "--district-name"), grid)


@dataclass(frozen=True)
class Places:
    """What a page shows of other files beside the landslides."""

    districts: Districts | None
    """What landslides are counted by."""
    exposure: tuple[Exposure, ...]
    """What may have been touched."""
    background: list[list[list[int]]]
    """Lines below the landslides."""

    @staticmethod
    def opened(
        grid: GeoBox,
        lowest: int,
        districts: str | Path | None,
        district_name: str | None,
        exposure: Sequence[str | Path],
        background: Sequence[str | Path],
    ) -> Places:
        """Those of some files; RequestError where one is wrong."""
        things: list[Exposure] = []
        areas = open_districts(districts, grid, district_name) if districts is not None else None
        for file in exposure:
            things.append(open_exposure(file, grid, [one.name for one in things], lowest))
        lines = [one for file in background for one in open_background(file, grid)]
        return Places(areas, tuple(things), lines)

    def __bool__(self) -> bool:
        return self.districts is not None or bool(self.exposure or self.background)

    def record(self) -> dict[str, Any]:
        """As plain values, once all rows were added."""
        return {
            "districts": None if self.districts is None else self.districts.record(),
            "exposure": [thing.record() for thing in self.exposure],
            "background": self.background,
        }
