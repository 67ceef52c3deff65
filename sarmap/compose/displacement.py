"""Passes that do not lie on one another: measured in a few squares, and read where they lie.

Orbits, elevation and makers' versions move a pass by up to some pixels, and every border between
field and forest is then a change. Each pass is set against one before the event, square by square,
by phase correlation (Kuglin & Hines 1975, Proc. IEEE Conf. Cybernetics and Society, 163-165), half
whitened, since the speckle of two passes is independent and only what lasts speaks; the peak is
found to a twentieth of a pixel by an upsampled transform (Guizar-Sicairos et al. 2008, Optics
Letters 33, 156-158). A peak counts where halves of its square show it, too: fields and crops that
change by themselves have broad peaks, pixels off their place, and each half puts them elsewhere.
The median over the squares counts, so that neither landslides nor one odd square do, and the pass
before the event that lies most in the middle of all is the reference.

Less than a fifth of a pixel is left as it is. Up to three pixels the pass is read where it lies:
interpolated in decibels, since the mean of a logarithm is then what it was. A pass that lies
farther off, or whose parts lie apart, is left out where another serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from sarmap.types import Observation

Field = NDArray[np.float32]
Move = tuple[float, float]

WINDOW, WINDOWS = 128, 3
"""Edge of the squares that pixels are measured in, and how many along each side of the scene."""
SMALLEST = 64
"""Edge of a square below which nothing is found, pixels."""
LEAST, MOST = 0.2, 3.0
"""Displacement below which a pass stays as it is, and above which it is not mended, pixels."""
APART = 1.2
"""Distance of parts of a pass from one another above which it is not mended, pixels."""
FARTHEST = 20
"""Displacement up to which a pass is looked for, pixels."""
SURE = 9.0
"""Height of a peak, in standard deviations of all else, that is none by chance."""
FINE, WIDE = np.arange(-1, 1.01, 0.05), np.arange(-2, 2.01, 0.1)
"""Where around a whole pixel a peak is looked for, and around a square's peak that of a half."""
STEADY, HALVES = 0.7, 3
"""Pixels from a square's peak within which so many of its four halves show it."""
TAPS = 2
"""Pixels that interpolation reads on either side of the nearest."""


@dataclass(frozen=True)
class Displaced:
    """Which passes of a cube do not lie on the others."""

    moved: Mapping[int, Move] = field(default_factory=dict)
    """Number along time -> pixels (down, right) by which a pass lies off, where it is mended."""
    left_out: Mapping[int, float] = field(default_factory=dict)
    """Number along time -> pixels by which a pass, or a part, lies off that no mean takes in."""
    remaining: float | None = None
    """Largest displacement that stays in what is compared, pixels; None: too plain to tell."""


def squares_of(power: xr.DataArray) -> list[Any]:
    """Squares of power (time, y, x) spread over the scene, as lazy as it is."""
    return [
        power.isel(y=rows, x=columns).data
        for rows in _spread_over(power.sizes["y"])
        for columns in _spread_over(power.sizes["x"])
    ]


def _spread_over(size: int) -> list[slice]:
    """Up to three runs of pixels along an axis, at its quarters.

    >>> _spread_over(1000)[1], _spread_over(100)
    (slice(436, 564, None), [slice(0, 100, None)])
    """
    if size <= 2 * WINDOW:
        return [slice(0, min(size, 2 * WINDOW))]
    middles = [size * (2 * n + 1) // (2 * WINDOWS) for n in range(WINDOWS)]
    starts = [min(max(m - WINDOW // 2, 0), size - WINDOW) for m in middles]
    return [slice(start, start + WINDOW) for start in starts]


# --- measured ------------------------------------------------------------------------------------


def find_displaced(
    squares: Sequence[Field], pre: Sequence[int], post: Sequence[int], *, mend: bool = True
) -> Displaced:
    """Which passes lie off the others, from squares of their decibels (time, y, x), NaN where
    nothing was measured, and the numbers along time of those before and after the event. Without
    `mend` all stay as they are.

    >>> ground = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 9, (160, 160)), 1)
    >>> one, other = ground[9:137, 9:137], ground[9:137, 7:135]  # what lay here lies 2 px on
    >>> find_displaced([np.float32([one, one, other])], (0, 1), (2,)).moved
    {2: (0.0, 2.0)}
    """
    usable = [square for square in squares if min(square.shape[1:]) >= SMALLEST]
    if not usable:
        return Displaced()
    found = np.stack([_offsets(square, pre[-1]) for square in usable], axis=1)
    sizes = [np.hypot(*np.moveaxis(found - found[one], -1, 0)) for one in pre]
    middle = pre[int(np.argmin([np.nansum(np.minimum(size, FARTHEST)) for size in sizes]))]
    moved, off = {}, {}
    for number, each in enumerate(found - found[middle]):
        known = each[np.isfinite(each[:, 0])]
        if 3 * len(known) < len(usable):
            continue
        offset, apart, error = _settled(known)
        size = float(np.hypot(offset[0], offset[1]))
        if size > MOST or apart > APART:
            off[number] = round(max(size, apart), 2)
        elif mend and size >= max(LEAST, 4 * error):
            moved[number] = (round(offset[0], 2), round(offset[1], 2))
        else:
            off[number] = round(size, 2)
    if len(moved) + len(off) < 2:
        return Displaced()
    left_out = _nothing_mends(off, pre, post) if mend else {}
    stay = [size for number, size in off.items() if number not in left_out]
    return Displaced(moved, left_out, max(stay, default=0.0))


def _nothing_mends(
    off: Mapping[int, float], pre: Sequence[int], post: Sequence[int]
) -> dict[int, float]:
    """Passes too far off, of sides that have others."""
    bad = {number for number, size in off.items() if size > APART}
    return {
        number: off[number] for side in (pre, post) if set(side) - bad for number in bad & {*side}
    }


def _settled(known: NDArray[np.float64]) -> tuple[list[float], float, float]:
    """Median of the squares' offsets (square, 2), how far parts lie from it, and its error.

    The farthest square alone is no part: it may lie on a lake, or on the landslide.
    """
    offset = np.median(known, axis=0)
    away = np.sort(np.hypot(*(known - offset).T))
    apart = float(away[-2]) if len(away) > 2 else 0.0
    return offset.tolist(), apart, 1.25 * float(np.median(away)) / np.sqrt(len(away))


def _offsets(square: Field, anchor: int) -> NDArray[np.float64]:
    """Pixels (time, down and right) by which each pass lies off one of them; NaN: not known."""
    spectra = [
        np.fft.fft2(_windowed(one)) if np.isfinite(one).mean() > 0.5 else None for one in square
    ]
    offsets = np.full((len(square), 2), np.nan)
    first = spectra[anchor]
    for number, other in enumerate(spectra):
        if first is not None and other is not None:
            offsets[number] = (0, 0) if number == anchor else _peak(other * np.conj(first))
        if number != anchor and not _steady(square[anchor], square[number], offsets[number]):
            offsets[number] = np.nan
    return offsets


def _steady(one: Field, other: Field, peak: NDArray[np.float64]) -> bool:
    """Whether halves of a square, upper, lower, left and right, show the peak of the whole."""
    if not np.isfinite(peak).all():
        return False
    rows, columns = (length // 2 for length in one.shape)
    shown = 0
    for half in (np.s_[:rows], np.s_[rows:], np.s_[:, :columns], np.s_[:, columns:]):
        here, there = one[half], other[half]
        if min(np.isfinite(here).mean(), np.isfinite(there).mean()) > 0.5:
            product = np.fft.fft2(_windowed(there)) * np.conj(np.fft.fft2(_windowed(here)))
            down, right = _highest(_whitened(product), peak, WIDE)
            shown += bool(np.hypot(down - peak[0], right - peak[1]) <= STEADY)
    return shown >= HALVES


def _windowed(level: Field) -> Field:
    filled = np.where(np.isfinite(level), level, np.nanmedian(level))
    taper = np.outer(np.hanning(level.shape[0]), np.hanning(level.shape[1]))
    return np.asarray((filled - filled.mean()) * taper, np.float32)


def _peak(product: NDArray[Any]) -> Move:
    """Pixels (down, right) at which the correlation of a cross spectrum is highest."""
    spectrum = _whitened(product)
    height = np.fft.ifft2(spectrum).real
    near = [np.r_[0 : FARTHEST + 1, -FARTHEST:0] for _ in height.shape]
    inner = height[np.ix_(*near)]
    if inner.max() < SURE * height.std():
        return (np.nan, np.nan)
    at = np.unravel_index(inner.argmax(), inner.shape)
    return _highest(spectrum, [place[index] for place, index in zip(near, at, strict=True)], FINE)


def _whitened(product: NDArray[Any]) -> NDArray[Any]:
    """A cross spectrum half whitened."""
    whitened: NDArray[Any] = product / np.sqrt(np.abs(product) + 1e-9)
    return whitened


def _highest(spectrum: NDArray[Any], around: Any, apart: NDArray[np.float64]) -> Move:
    """Where a correlation is highest at steps around a place, pixels (down, right)."""
    steps = [place + apart for place in around]
    turns = [
        np.exp(2j * np.pi * np.outer(step, np.fft.fftfreq(size)))
        for step, size in zip(steps, spectrum.shape, strict=True)
    ]
    # not by products of matrices: so small, they wait for threads of busy cores
    fine = np.einsum("ac,bc->ab", np.einsum("ar,rc->ac", turns[0], spectrum), turns[1]).real
    down, right = np.unravel_index(fine.argmax(), fine.shape)
    return float(steps[0][down]), float(steps[1][right])


# --- mended --------------------------------------------------------------------------------------


def aligned_cube(cube: xr.Dataset, moved: Mapping[int, Move]) -> xr.Dataset:
    """A cube (time, y, x) whose displaced passes are read where they lie, to the whole pixel."""
    whole = {n: (float(round(d)), float(round(r))) for n, (d, r) in moved.items()}
    series = [name for name, one in cube.data_vars.items() if "time" in one.dims]
    return cube.assign(
        {
            name: (("time", "y", "x"), aligned(cube[name].transpose("time", "y", "x").data, whole))
            for name in series
        }
    )


def aligned(stack: Any, moved: Mapping[int, Move]) -> da.Array:
    """A stack (time, y, x), power or observation codes, with displaced passes read where they lie.

    Each pixel depends on its neighbours alone, so that the blocks do not show. What an interpolated
    pixel reads must all be there, else the nearest stands for it; none stands in for an unread one.
    """
    lazy: da.Array = da.asarray(stack)
    if not moved:
        return lazy
    passes = [
        _read_elsewhere(lazy[n : n + 1], moved[n]) if n in moved else lazy[n : n + 1]
        for n in range(len(lazy))
    ]
    joined: da.Array = da.concatenate(passes)
    return joined


def _read_elsewhere(one: da.Array, move: Move) -> da.Array:
    reach = TAPS + int(np.ceil(max(map(abs, move))))
    codes = one.dtype == np.uint8
    beyond = int(Observation.NO_DATA) if codes else np.nan
    wide = da.overlap.overlap(one, (0, reach, reach), {0: "none", 1: beyond, 2: beyond})
    trimmed = [tuple(length - 2 * reach for length in lengths) for lengths in wide.chunks[1:]]
    act = codes_at if codes else power_at
    placed: da.Array = wide.map_blocks(
        act, move=move, reach=reach, dtype=one.dtype, chunks=(wide.chunks[0], *trimmed)
    ).rechunk(one.chunks)
    return placed


def power_at(power: Field, *, move: Move, reach: int) -> Field:
    """Power (1, y, x) a displaced pass shows, cubic in decibels (Keys 1981), without its margin."""
    whole = [round(part) for part in move]
    nearest: Field = _cut(power, whole, reach)
    rest = [part - near for part, near in zip(move, whole, strict=True)]
    if not any(rest):
        return nearest
    known = (power > 0) & (power < np.inf)
    level = np.log10(power, out=np.zeros_like(power), where=known)
    for axis, part in zip((1, 2), rest, strict=True):
        level = ndimage.correlate1d(level, _keys(part), axis=axis, mode="nearest")
    size = 2 * TAPS + 1
    whole_there = ndimage.minimum_filter(known, (1, size, size), mode="nearest")
    fine = np.float32(10) ** _cut(level, whole, reach)
    return np.asarray(np.where(_cut(whole_there, whole, reach), fine, nearest), np.float32)


def codes_at(codes: NDArray[np.uint8], *, move: Move, reach: int) -> NDArray[np.uint8]:
    """Observation codes (1, y, x) of what `power_at` gives: an unread neighbour counts, too."""
    whole = [round(part) for part in move]
    nearest = _cut(codes, whole, reach)
    unread = codes == Observation.READ_FAILED
    if any(part != near for part, near in zip(move, whole, strict=True)):
        size = 2 * TAPS + 1
        unread = ndimage.maximum_filter(unread, (1, size, size), mode="nearest")
    failed = _cut(unread, whole, reach)
    return np.where(failed, np.uint8(Observation.READ_FAILED), nearest)


def _cut(values: NDArray[Any], whole: Sequence[int], reach: int) -> Any:
    """What lies a whole move on, without the margin."""
    rows, columns = (
        slice(reach + move, size - reach + move)
        for move, size in zip(whole, values.shape[1:], strict=True)
    )
    return values[:, rows, columns]


def _keys(part: float) -> NDArray[np.float64]:
    """Weights of five pixels for a place part of a pixel beyond the middle one.

    >>> _keys(0.5).tolist()
    [0.0, -0.0625, 0.5625, 0.5625, -0.0625]
    """
    away = np.abs(np.arange(-TAPS, TAPS + 1) - part)
    near = 1.5 * away**3 - 2.5 * away**2 + 1
    far = -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
    return np.where(away <= 1, near, np.where(away < 2, far, 0.0))
