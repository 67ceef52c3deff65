"""One band of one scene in windows of a grid, as stackstac asks for them.

Scenes on the grid's own lattice are copied; all others are resampled in cells of one lattice
anchored at the CRS's origin, so that neither way depends on the window asked for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from sarmap.acquire.border import read_scene
from sarmap.acquire.handles import Box, Handle
from sarmap.acquire.reader import inside
from sarmap.acquire.source import Source
from sarmap.acquire.warp import READ_FAILED, resample
from sarmap.net.signing import Signer

CELL = 512
"""Edge of a resampling cell, pixels of the grid."""

ALIGNED = 1e-3
"""Largest misfit, in pixels, at which two lattices count as one."""


class SceneReader:
    """What stackstac calls for each file and window; see `stackstac.reader_protocol.Reader`.

    `url` is a `Source`: stackstac hands on whatever stands in an asset's href.
    """

    def __init__(
        self,
        *,
        url: Source,
        spec: Any,
        signer: Signer,
        positive: bool,
        resampling: Resampling,
        **_unused: Any,
    ) -> None:
        self.source = url
        self.signer = signer
        self.positive = positive
        self.resampling = resampling
        self.transform: Affine = spec.transform
        self.shape: tuple[int, int] = spec.shape
        self.crs = CRS.from_epsg(spec.epsg)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "crs": self.crs.to_wkt()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.crs = CRS.from_wkt(state["crs"])

    def close(self) -> None:
        """Nothing to close: handles belong to the pool of `sarmap.acquire.handles`."""

    def read(self, window: Window, **_unused: Any) -> NDArray[np.float32]:
        """Pixels (y, x) float32 of a window of the grid: value, NaN or minus infinity."""
        row, column = int(window.row_off), int(window.col_off)
        box = (row, row + int(window.height), column, column + int(window.width))
        found = read_scene(
            self.source,
            lambda h: self._direct_box(h, box) or (0, 0, 0, 0),
            self.signer,
            positive=self.positive,
        )
        if found is None:
            return self._failed(box)
        pixels, handle = found
        if self._direct_box(handle, box):
            return pixels
        return self._read_cells(box)

    def _direct_box(self, handle: Handle, box: Box) -> Box | None:
        """The same pixels in the file's own lattice; None where the lattices differ."""
        mine, theirs = self.transform, handle.transform
        if handle.crs != self.crs or not _same_scale(mine, theirs, self.shape):
            return None
        column, row = ~theirs * (mine.c, mine.f)
        if abs(column - round(column)) > ALIGNED or abs(row - round(row)) > ALIGNED:
            return None
        down, right = round(row), round(column)
        return (box[0] + down, box[1] + down, box[2] + right, box[3] + right)

    def _read_cells(self, box: Box) -> NDArray[np.float32]:
        """Resampled pixels, assembled from whole cells of the CRS's own lattice.

        Cells begin at multiples of their edge from the CRS's origin, not from the grid's corner, so
        that two grids that share pixels share their values.
        """
        out = np.full((box[1] - box[0], box[3] - box[2]), np.nan, np.float32)
        down = round(self.transform.f / self.transform.e)
        along = round(self.transform.c / self.transform.a)
        for row in range(box[0] - (box[0] + down) % CELL, box[1], CELL):
            for column in range(box[2] - (box[2] + along) % CELL, box[3], CELL):
                top, bottom = max(row, box[0]), min(row + CELL, box[1])
                left, right = max(column, box[2]), min(column + CELL, box[3])
                cell = self._read_cell(row, column)
                out[top - box[0] : bottom - box[0], left - box[2] : right - box[2]] = cell[
                    top - row : bottom - row, left - column : right - column
                ]
        return out

    def _read_cell(self, row: int, column: int) -> NDArray[np.float32]:
        """One whole cell, resampled from the source pixels under it and a margin."""
        there = self.transform * Affine.translation(column, row)
        bounds = array_bounds(CELL, CELL, there)
        found = read_scene(
            self.source,
            lambda handle: _source_box(handle, bounds, self.crs, self.transform),
            self.signer,
            positive=self.positive,
        )
        if found is None:
            return self._failed((row, row + CELL, column, column + CELL))
        pixels, handle = found
        if not np.isfinite(pixels).any() and not np.isneginf(pixels).any():
            return np.full((CELL, CELL), np.nan, np.float32)
        box = _source_box(handle, bounds, self.crs, self.transform)
        return resample(
            pixels,
            handle.transform * Affine.translation(box[2], box[0]),
            handle.crs,
            there,
            self.crs,
            (CELL, CELL),
            self.resampling,
        )

    def _failed(self, box: Box) -> NDArray[np.float32]:
        """A window of which the part under the scene's extent is marked as not read."""
        out = np.full((box[1] - box[0], box[3] - box[2]), np.nan, np.float32)
        bounds = self.source.bounds_in(self.crs)
        if bounds is None:
            return out
        left, top = ~self.transform * (bounds[0], bounds[3])
        right, bottom = ~self.transform * (bounds[2], bounds[1])
        rows = _span(top, bottom, box[0], box[1])
        columns = _span(left, right, box[2], box[3])
        out[rows, columns] = READ_FAILED
        return out


def _span(start: float, stop: float, low: int, high: int) -> slice:
    """Pixels of low..high, as a slice from low, whose centres lie in start..stop.

    >>> _span(2.4, 5.6, 3, 10)
    slice(0, 3, None)
    """
    first = min(max(math.ceil(start - 0.5), low), high)
    last = min(max(math.ceil(stop - 0.5), first), high)
    return slice(first - low, last - low)


def _same_scale(one: Affine, other: Affine, shape: tuple[int, int]) -> bool:
    """True where pixels drift apart by less than `ALIGNED` over the whole grid."""
    drift = max(
        abs(one.a - other.a) * shape[1], abs(one.e - other.e) * shape[0], abs(other.b), abs(other.d)
    )
    return drift <= ALIGNED * abs(one.a)


def _source_box(handle: Handle, bounds: Any, crs: CRS, grid: Affine) -> Box:
    """Source rows and columns under a cell, with room for the resampling kernel; may be empty."""
    there = transform_bounds(crs, handle.crs, *bounds, densify_pts=21)
    if not all(map(math.isfinite, there)):
        return (0, 0, 0, 0)
    inverse = ~handle.transform
    corners = [inverse * (x, y) for x in (there[0], there[2]) for y in (there[1], there[3])]
    columns, rows = [c[0] for c in corners], [c[1] for c in corners]
    # The kernel widens with the ratio of cell to source pixels when it averages.
    margin = 3 + math.ceil(3 * max(np.ptp(columns), np.ptp(rows)) / CELL)
    box = (
        math.floor(min(rows)) - margin,
        math.ceil(max(rows)) + margin,
        math.floor(min(columns)) - margin,
        math.ceil(max(columns)) + margin,
    )
    top, bottom, left, right = inside(box, handle.shape)
    return (top, bottom, left, right) if top < bottom and left < right else (0, 0, 0, 0)
