"""Read one band of one file in its own pixels: signed late, retried, never raising for I/O.

Pixels come in three states, told apart by value: finite (observed), NaN (no data) and minus
infinity (could not be read). A read that keeps failing is repeated source block by source block, so
that a truncated file costs exactly its missing blocks, however the reads were cut.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.windows import Window

from sarmap.acquire.handles import Box, Handle, lease, renew
from sarmap.acquire.source import Source
from sarmap.acquire.values import band_of, measured
from sarmap.acquire.warp import READ_FAILED
from sarmap.errors import RequestError, SarmapError
from sarmap.net.patience import Deadline, patience
from sarmap.net.signing import Signer, redact
from sarmap.net.tally import count
from sarmap.net.web import FileChanged, ReadError

DECODES = 3
"""Tries of a read whose bytes came, and made no sense; requests have tries of their own."""

PIXEL_LIMIT = 2**27
"""Source pixels of one read beyond which it is refused: a file's lattice may claim anything."""

PATIENCE = 60.0
"""Seconds for which a file that failed all tries gets but one: a dead server costs little."""

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
    """Read a window of a source in its own pixels, with retries; `window` gives the rows and
    columns wanted of the open file, and may reach beyond it.

    Returns the pixels (y, x), NaN outside the file and where it holds no data, minus infinity in
    source blocks that could not be read, and the handle's description (not to be read from); None
    where the file could not be opened at all. With `positive` values of zero and below are no data
    (radar power). Raises RequestError where the file has no map projection, another band than the
    source names, or values that are no power, or it is another file than the source's pin says.
    """
    limits, final, changed = patience(), False, False
    deadline = Deadline(limits.deadline)
    attempts = 1 if _failures.recent(source.href) else limits.attempts
    reason = ""
    for decode in range(min(DECODES, attempts)):
        if decode:
            time.sleep(max(0.0, min(limits.pause(decode - 1), deadline.left)))
            count("retries")
        try:
            with _leased(source, signer, attempts, deadline) as handle:
                known = _located(source, handle)
                return _read_box(source, known, window(known), positive), known
        except RequestError:
            raise
        except _IO_ERRORS as error:
            reason = redact(error.__cause__ or error)
            renew(source.href, source.reach)
            changed = isinstance(error, FileChanged)
            asked = isinstance(error, ReadError | SarmapError) and not changed
            final = isinstance(error, ReadError) and not error.again
            if asked or deadline.left <= 0:
                break  # its requests had their tries
    if changed and source.pin is not None:
        raise RequestError(
            f"The file of {source.label} is another one than when this map was begun, and a map of "
            "both would be of neither: begin anew with overwrite=True (--overwrite), or at another "
            "`out`."
        )
    level = logging.DEBUG if _failures.recent(source.href) else logging.WARNING
    logger.log(level, "Read of %s failed: %s", source.label, reason)
    _failures.note(source.href, reason)
    count("failures")
    return None if final else _salvage(source, window, signer, positive, deadline)


def _leased(
    source: Source, signer: Signer, attempts: int, deadline: Deadline
) -> AbstractContextManager[Handle]:
    return lease(
        source.href,
        signer=signer,
        reach=source.reach,
        attempts=attempts,
        deadline=deadline,
        pin=source.pin,
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
            described = _located(source, handle)
            box = window(described)
            blocks = list(_blocks(described, band_of(source, described), box))
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


def _located(source: Source, handle: Handle) -> Handle:
    """A file with the projection that it names, or that its record names of a file that is mapped;
    RequestError where there is none.
    """
    if handle.crs is not None:
        return handle
    if handle.control_points:
        raise RequestError(
            f"The file of {source.label} is in radar geometry, as GRD and SLC products are: it has "
            "ground control points and no map projection, and sarmap does not correct terrain. "
            "Choose a collection of gamma-nought RTC scenes (radar_collection), or have RTC made "
            "of it, for example by ASF's HyP3."
        )
    said = source.crs if source.placed else source.said and source.said.crs
    if not said or handle.transform.is_identity:
        raise RequestError(
            f"Neither the record nor the file of {source.label} names a coordinate reference "
            "system and a position in it: its pixels cannot be placed; choose another catalogue "
            "or collection."
        )
    return replace(handle, crs=CRS.from_user_input(said))


def _blocks(handle: Handle, band: int, box: Box) -> Iterator[Box]:
    """The parts of a box that lie in one stored block each."""
    rows, columns = handle.dataset.block_shapes[band - 1]
    top, bottom, left, right = handle.stored(inside(box, handle.shape))
    for row in range(top - top % rows, bottom, rows):
        for column in range(left - left % columns, right, columns):
            yield handle.stored(
                (
                    max(row, top),
                    min(row + rows, bottom),
                    max(column, left),
                    min(column + columns, right),
                )
            )


def inside(box: Box, shape: tuple[int, int]) -> Box:
    """The part of a box inside an array of `shape`; may be empty.

    >>> inside((-2, 3, 1, 9), (5, 5))
    (0, 3, 1, 5)
    """
    return (max(box[0], 0), min(box[1], shape[0]), max(box[2], 0), min(box[3], shape[1]))


def _read_box(source: Source, handle: Handle, box: Box, positive: bool) -> NDArray[np.float32]:
    """One read of a box that may reach beyond the file."""
    band = band_of(source, handle)
    top, bottom, left, right = inside(box, handle.shape)
    shape = (box[1] - box[0], box[3] - box[2])
    if top >= bottom or left >= right:
        return np.full(shape, np.nan, np.float32)
    if (bottom - top) * (right - left) > PIXEL_LIMIT:
        raise ReadError(
            f"{(bottom - top) * (right - left):,} of its pixels lie under one window of the map",
            again=False,
        )
    stored = handle.stored((top, bottom, left, right))
    window = Window(left, stored[0], right - left, bottom - top)
    if handle.remote is not None:
        handle.remote.ahead(handle.ranges(band, stored), handle.inflated(band))
        handle.remote.check()
    stored_pixels = handle.dataset.read(band, window=window, out_dtype="float32")
    pixels = measured(stored_pixels, source, handle, band, window, positive=positive)
    if handle.remote is not None:
        handle.remote.check()
    if handle.flipped:
        pixels = pixels[::-1]
    if pixels.shape == shape:
        return pixels
    out = np.full(shape, np.nan, np.float32)
    out[top - box[0] : bottom - box[0], left - box[2] : right - box[2]] = pixels
    return out
