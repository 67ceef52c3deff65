"""Landslides by district: any polygons, each with what was seen of it and what was mapped in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.report.features import drawn, label_of, read_vectors
from sarmap.report.strips import Rows
from sarmap.report.tallies import LEVELS, histogram_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox

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
    """Polygons of any vector file as districts.

    Raises
    ------
    RequestError
        As `read_vectors`; or the file holds no polygons, or too many.
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
