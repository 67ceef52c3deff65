"""Read one band of one scene in windows of a grid: signed late, retried, never raising for I/O.

Pixels come in three states, told apart by value: finite (observed), NaN (no data) and minus
infinity (could not be read). A read that keeps failing is repeated source block by source block, so
that a truncated file costs exactly its missing blocks, however the reads were cut. Scenes on the
grid's own lattice are copied; all others are resampled in cells of one lattice anchored at the
grid's corner, so that neither way depends on the window asked for.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from sarmap.acquire.handles import Box, Handle, lease, renew
from sarmap.acquire.patience import Deadline, patience
from sarmap.acquire.signing import Signer, redact
from sarmap.acquire.source import Source
from sarmap.acquire.tally import count
from sarmap.acquire.warp import READ_FAILED, resample
from sarmap.acquire.web import FileChanged, ReadError
from sarmap.errors import RequestError, SarmapError

__all__ = ["SceneReader", "read_source", "why_unread"]

DECODES = 3
"""Tries of a read whose bytes came, and made no sense; requests have tries of their own."""

PIXEL_LIMIT = 2**27
"""Source pixels of one read beyond which it is refused: a file's lattice may claim anything."""

PATIENCE = 60.0
"""Seconds for which a file that failed all tries gets but one: a dead server costs little."""

CELL = 512
"""Edge of a resampling cell, pixels of the grid."""

ALIGNED = 1e-3
"""Largest misfit, in pixels, at which two lattices count as one."""

_IO_ERRORS = (RasterioError, OSError, SarmapError)

logger = logging.getLogger(__name__)


class _Failures:
    """Which files failed all tries a moment ago: those are tried once and logged quietly."""

    def __init__(self) -> None:
        self._noted: dict[str, tuple[float, str]] = {}

    def note(self, href: str, reason: str) -> None:
        self._noted[href] = (time.monotonic(), reason)

    def recent(self, href: str) -> bool:
        return time.monotonic() - self._noted.get(href, (-math.inf,))[0] < PATIENCE

    def reason(self, href: str) -> str:
        return self._noted[href][1] if href in self._noted else ""


_failures = _Failures()


def why_unread(source: Source) -> str:
    """Why the last read of a source in this process failed; empty where none did."""
    return _failures.reason(source.href)


def read_source(
    source: Source, window: Callable[[Handle], Box], signer: Signer, *, positive: bool
) -> tuple[NDArray[np.float32], Handle] | None:
    """Read a window of a source in its own pixels, with retries.

    Parameters
    ----------
    source
        What to read.
    window
        From the open file to the rows and columns wanted; may reach beyond the file.
    signer
        Applied to the unsigned href at every try.
    positive
        True: values of zero and below are no data (radar power).

    Returns
    -------
    Pixels (y, x) of the window, NaN outside the file and where it holds no data, minus infinity in
    source blocks that could not be read, and the handle's description (not to be read from); None
    where the file could not be opened at all.

    Raises
    ------
    RequestError
        The file has fewer bands than the source names.
    """
    limits, final = patience(), False
    deadline = Deadline(limits.deadline)
    attempts = 1 if _failures.recent(source.href) else limits.attempts
    reason = ""
    for decode in range(min(DECODES, attempts)):
        if decode:
            time.sleep(max(0.0, min(limits.pause(decode - 1), deadline.left)))
            count("retries")
        try:
            with _leased(source, signer, attempts, deadline) as handle:
                return _read_box(source, handle, window(handle), positive), handle
        except RequestError:
            raise
        except _IO_ERRORS as error:
            reason = redact(error.__cause__ or error)
            renew(source.href, source.reach)
            asked = isinstance(error, ReadError | SarmapError) and not isinstance(
                error, FileChanged
            )
            final = isinstance(error, ReadError) and not error.again
            if asked or deadline.left <= 0:
                break  # its requests had their tries
    level = logging.DEBUG if _failures.recent(source.href) else logging.WARNING
    logger.log(level, "Read of %s failed: %s", source.label, reason)
    _failures.note(source.href, reason)
    count("failures")
    return None if final else _salvage(source, window, signer, positive, deadline)


def _leased(
    source: Source, signer: Signer, attempts: int, deadline: Deadline
) -> AbstractContextManager[Handle]:
    return lease(
        source.href, signer=signer, reach=source.reach, attempts=attempts, deadline=deadline
    )


def _salvage(
    source: Source,
    window: Callable[[Handle], Box],
    signer: Signer,
    positive: bool,
    deadline: Deadline,
) -> tuple[NDArray[np.float32], Handle] | None:
    """Read block by block, one try each while time is left; blocks that fail are marked."""
    with suppress(*_IO_ERRORS):
        with _leased(source, signer, 1, deadline) as handle:
            described = handle
            box = window(handle)
            blocks = list(_blocks(handle, source.band, box))
        out = np.full((box[1] - box[0], box[3] - box[2]), np.nan, np.float32)
        for part in blocks:
            here = (
                slice(part[0] - box[0], part[1] - box[0]),
                slice(part[2] - box[2], part[3] - box[2]),
            )
            try:
                with _leased(source, signer, 1, deadline) as handle:
                    out[here] = _read_box(source, handle, part, positive)
            except _IO_ERRORS:
                renew(source.href, source.reach)
                out[here] = READ_FAILED
        return out, described
    return None


def _blocks(handle: Handle, band: int, box: Box) -> Iterator[Box]:
    """The parts of a box that lie in one stored block each."""
    rows, columns = handle.dataset.block_shapes[band - 1]
    top, bottom, left, right = _inside(box, handle.shape)
    for row in range(top - top % rows, bottom, rows):
        for column in range(left - left % columns, right, columns):
            yield (
                max(row, top),
                min(row + rows, bottom),
                max(column, left),
                min(column + columns, right),
            )


def _inside(box: Box, shape: tuple[int, int]) -> Box:
    """The part of a box inside an array of `shape`; may be empty.

    >>> _inside((-2, 3, 1, 9), (5, 5))
    (0, 3, 1, 5)
    """
    return (max(box[0], 0), min(box[1], shape[0]), max(box[2], 0), min(box[3], shape[1]))


def _read_box(source: Source, handle: Handle, box: Box, positive: bool) -> NDArray[np.float32]:
    """One read of a box that may reach beyond the file."""
    if source.band > handle.dataset.count:
        raise RequestError(
            f"The file of {source.label} has {handle.dataset.count} bands, not {source.band}: "
            "correct the band number in the catalogue settings (optical_assets)."
        )
    top, bottom, left, right = _inside(box, handle.shape)
    shape = (box[1] - box[0], box[3] - box[2])
    if top >= bottom or left >= right:
        return np.full(shape, np.nan, np.float32)
    if (bottom - top) * (right - left) > PIXEL_LIMIT:
        raise ReadError(
            f"{(bottom - top) * (right - left):,} of its pixels lie under one window of the map",
            again=False,
        )
    window = Window(left, top, right - left, bottom - top)
    if handle.remote is not None:
        handle.remote.ahead(handle.ranges(source.band, (top, bottom, left, right)))
        handle.remote.check()
    pixels: NDArray[np.float32] = handle.dataset.read(
        source.band, window=window, out_dtype="float32"
    )
    _blank(pixels, source, handle, window, positive)
    if handle.remote is not None:
        handle.remote.check()
    if source.scale != 1.0 or source.offset != 0.0:
        pixels = pixels * np.float32(source.scale) + np.float32(source.offset)
    if pixels.shape == shape:
        return pixels
    out = np.full(shape, np.nan, np.float32)
    out[top - box[0] : bottom - box[0], left - box[2] : right - box[2]] = pixels
    return out


def _blank(
    pixels: NDArray[np.float32], source: Source, handle: Handle, window: Window, positive: bool
) -> None:
    """Set to NaN, in place, all that is no measurement."""
    if positive:
        valid = pixels > 0
        valid &= pixels < np.inf
    else:
        valid = np.isfinite(pixels)
    nodata = source.nodata if handle.nodata is None else handle.nodata
    if nodata is not None and math.isfinite(nodata) and (nodata > 0 or not positive):
        valid &= pixels != np.float32(nodata)
    if handle.masked:
        valid &= handle.dataset.read_masks(source.band, window=window) != 0
    pixels[~valid] = np.nan


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
        found = read_source(
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
        found = read_source(
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
    top, bottom, left, right = _inside(box, handle.shape)
    return (top, bottom, left, right) if top < bottom and left < right else (0, 0, 0, 0)
