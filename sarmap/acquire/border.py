"""Noise along the outer edges of a scene: a dark strip beside no data, with ground behind it.

Where a scene ends its file may hold faint values instead of none, for many lines, as Sentinel-1's
ground range products do (Ali et al. 2018, IEEE JSTARS 11(3), 777-786): beside another pass they
are a change of many decibels. Whether a dark pixel lies in such a strip or in a lake shows only
around it, so a block that holds dark ground is read with a margin. A pixel's fate depends on what
lies within that margin in its file and on nothing else, whatever the blocks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sarmap.acquire.handles import Box, Handle
from sarmap.acquire.reader import read_source
from sarmap.acquire.source import Source
from sarmap.acquire.warp import READ_FAILED
from sarmap.net.signing import Signer

DARK = np.float32(3e-3)
"""Mean power of 3 x 3 pixels under which ground is dark: just under the noise (-22 to -25 dB)."""
HOLE = 9
"""Edge of a square without data that lies outside the scene, pixels; less is a hole in it."""
REACH = 48
"""Widest strip that is noise, pixels; what is dark beyond is sea or desert, and stays."""
RUN, LEAST = 11, 8
"""Dark pixels along the edge, of a run of so many, that are no single shadow or pond."""
MARGIN = 2 * REACH + HOLE + RUN // 2 + 4
"""Pixels beyond a side of a block that decide what is noise in it."""
_AROUND = np.ones((3, 3), bool)
_PERHAPS = DARK * np.float32(9.01)
"""Sum of power of up to 3 x 3 pixels above which their middle is not dark, whatever is not seen."""

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]


def read_scene(
    source: Source, window: Callable[[Handle], Box], signer: Signer, *, positive: bool
) -> tuple[Pixels, Handle] | None:
    """A window of a source as `read_source` gives it; of radar without the noise along its edges.

    Beyond its file a scene holds no data. What would hang on pixels that could not be read is
    marked as not read, too.
    """
    found = read_source(source, window, signer, positive=positive)
    if found is None or not positive or not _may_hang(found[0]):
        return found
    above, below, before, behind = (MARGIN * side for side in _sides(found[0]))

    def wider(handle: Handle) -> Box:
        top, bottom, left, right = window(handle)
        return (top - above, bottom + below, left - before, right + behind)

    wide = read_source(source, wider, signer, positive=True)
    if wide is None:
        return None
    rows, columns = found[0].shape
    quiet = without_noise(wide[0])
    return quiet[above : above + rows, before : before + columns], wide[1]


def without_noise(power: Pixels) -> Pixels:
    """Power (y, x) with NaN for the noise along outer edges; right but for a margin of `MARGIN`.

    >>> power = np.full((400, 300), 0.1, np.float32)
    >>> power[:150], power[150:162], power[250:] = np.nan, 1e-3, 1e-3
    >>> int(np.isnan(without_noise(power)[:, 150]).nonzero()[0].max())
    161
    """
    known = np.isfinite(power)
    if known.all() or not known.any():
        return power
    out = power.copy()
    near = _within(~known, 4 * REACH)  # nothing beyond decides of noise
    out[near] = _without(power[near], known[near])
    return out


def _without(power: Pixels, known: Mask) -> Pixels:
    """The same of pixels that may hang on others that are not `known`."""
    unread, none = power == -np.inf, np.isnan(power)
    total, count = _box(np.where(known, power, np.float32(0))), _box(known)
    may_be, near = (known & (total < DARK * 9)) | unread, _grown(unread)
    dark = may_be & ~near & (total < DARK * count)
    most = dark | (may_be & near)
    faint = known & (power < DARK)
    beside = count < 9  # what has all its neighbours does not touch the outside
    if np.count_nonzero(most & beside) < LEAST:
        return power
    noise = _strip(none, dark, most) & (dark | faint)
    out = np.where(noise, np.float32(np.nan), power)
    if unread.any():
        perhaps = _strip(none | unread, most, dark) & (most | faint)
        out[perhaps & ~noise] = READ_FAILED
    return out


def _strip(none: Mask, dark: Mask, ground: Mask) -> Mask:
    """Where `dark` hangs on the outside and on no dark `ground` beyond the edge, and its rim."""
    strip = np.zeros_like(dark)
    outside = _spread(~_spread(~none, HOLE, beyond=True), HOLE)
    seeds = dark & _grown(outside)
    if not seeds.any():
        return strip
    seeds &= _along(seeds.astype(np.int32)) >= LEAST
    if not seeds.any():
        return strip
    near = _within(seeds, 3 * REACH)  # what is farther decides nothing and would cost a second
    there = dark[near]
    hangs = there & _hanging_on(seeds[near], there | none[near])
    far = ground[near] & ~_spread(outside, 2 * REACH + 1, beyond=True)[near]
    hangs &= ~_hanging_on(far, ground[near])
    strip[near] = _grown(hangs)
    return strip


def _within(some: Mask, margin: int) -> tuple[slice, slice]:
    """The rows and columns of some pixels, and of `margin` around them."""
    row, column = (np.flatnonzero(some.any(axis)) for axis in (1, 0))
    rows = slice(max(row[0] - margin, 0), row[-1] + margin + 1)
    return rows, slice(max(column[0] - margin, 0), column[-1] + margin + 1)


def _grown(mask: Mask) -> Mask:
    """A mask and the pixels around it, corners too."""
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return np.asarray(rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:])


def _spread(mask: Mask, edge: int, *, beyond: bool = False) -> Mask:
    """A mask grown by half the edge of a square; `beyond` the array it is so or not."""
    return np.asarray(ndimage.maximum_filter(mask, edge, mode="constant", cval=beyond))


def _hanging_on(some: Mask, through: Mask) -> Mask:
    """What is reached from some pixels in `REACH` steps through others."""
    return np.asarray(ndimage.binary_dilation(some, _AROUND, iterations=REACH, mask=through))


def _may_hang(power: Pixels) -> bool:
    """Whether a dark pixel of a block may be noise, as none is that lies amid bright ground.

    What hangs on the outside touches it in the block, or comes in over the block's own edge.
    """
    for edge in (power, power[::-1], power.T, power.T[::-1]):
        first = edge[:2]
        there = np.isfinite(first)
        if there.size and (there[0] & (_box(np.where(there, first, 0))[0] < _PERHAPS)).any():
            return True
    known = np.isfinite(power)
    if known.all() or not known.any():
        return False
    row, column = np.nonzero((known & _grown(~known))[1:-1, 1:-1])
    around = (power[row + down, column + right] for down, right in np.ndindex(3, 3))
    total = sum(np.where(np.isfinite(one), one, np.float32(0)) for one in around)
    row, column = (at[total < _PERHAPS] for at in (row, column))
    if not len(row):
        return False
    reached = REACH + RUN
    middle = all(
        at.min() >= reached and at.max() < length - reached
        for at, length in zip((row, column), power.shape, strict=True)
    )
    if not middle or (power == -np.inf).any():
        return True
    seeds = np.zeros((np.ptp(row) + 1, np.ptp(column) + 1), np.int32)
    seeds[row - row.min(), column - column.min()] = 1
    return bool((_along(seeds) >= LEAST).any())


def _sides(power: Pixels) -> tuple[bool, ...]:
    """Above, below, before, behind: where pixels beyond a block decide what is noise in it.

    What lies beyond a side reaches dark pixels near that side alone.
    """
    if (power == -np.inf).any():
        return (True,) * 4
    known = np.isfinite(power)
    dark = known & (_box(np.where(known, power, np.float32(0))) < _PERHAPS)
    near = REACH + RUN
    return tuple(bool(one[:near].any()) for one in (dark, dark[::-1], dark.T, dark.T[::-1]))


def _along(seeds: NDArray[np.int32]) -> NDArray[np.int32]:
    """Seeds in the square of `RUN` pixels around each pixel, none beyond the edges."""
    for axis in (0, 1):
        seeds = ndimage.convolve1d(seeds, np.ones(RUN, np.int32), axis, mode="constant")
    return seeds


def _box(values: NDArray[np.generic]) -> Pixels:
    """Sums of 3 x 3 pixels (y, x), nothing beyond the edges; in one order, whatever the blocks."""
    one = values.astype(np.float32)
    rows = one.copy()
    rows[1:] += one[:-1]
    rows[:-1] += one[1:]
    sums = rows.copy()
    sums[:, 1:] += rows[:, :-1]
    sums[:, :-1] += rows[:, 1:]
    return sums
