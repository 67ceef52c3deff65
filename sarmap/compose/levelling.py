"""Passes brought to one level, and the noise of a quiet change, before anything is compared.

A pass moves as a whole: rain, leaves, snow and calibration lift or lower a whole scene by half a
decibel between passes, and by more over part of it. What one pass differs by from the mean of those
before the event is found on the coarse lattice (`sarmap.compose.lattice`):

1. *by strata* of the level before and of slope, since open ground is wetted where forest is not;
   in each the centre of the bulk, found by throwing out what lies far from it again and again, so
   that landslides, fields and water do not pull it;
2. *one number for the scene*: the weighted median over the strata, each by its cells and by how
   quiet it is, so that neither much open ground nor many landslides move forest;
3. *a drift*: where the scene is wider than 10 km, what is left, smoothed over some 7 km.

What a stratum as a whole still differs by between before and after (wet fields, bare trees) is
taken off the change too, since no landslide is a whole kind of ground.

The noise of a change is how much the same ground scatters between passes before the event, cell by
cell and pooled with the ground around it; never less than what the stratum's own change scatters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from sarmap.compose.displacement import Displaced
from sarmap.compose.lattice import CELL, Lattice, at_pixels

Field = NDArray[np.float32]

LEVEL_STRATA = 6
"""Classes of the level before, each of as many cells."""
SLOPE_EDGES = (5.0, 15.0)
"""Borders between the classes of slope, degrees."""
FEWEST = 30
"""Cells below which a stratum says nothing."""
WIDE = 10_000.0
"""Metres along the longer side below which a scene has no drift of its own."""
DRIFT_REACH = 7_000.0
"""Standard deviation of the smoothing of the drift, metres."""
CLIP = 2.5
"""Standard deviations beyond which a cell is no part of the bulk."""
AROUND = 9
"""Edge of the square over which the noise of neighbouring cells is pooled, cells."""
LEAST_NOISE = 0.08
"""Smallest noise of a change, dB: despeckled products have about so much."""


@dataclass(frozen=True)
class Levelling:
    """What to take off each pass, and how noisy a change of this place is."""

    offsets: Mapping[str, NDArray[np.float64]]
    """Polarisation -> dB (time,): how far each pass lies above the mean of those before."""
    drifts: Mapping[str, Field]
    """Polarisation -> dB (time, y, x) on the lattice: what it lies above besides, place by place;
    of size 1 where the scene is too small for any."""
    expected: Mapping[str, Field]
    """Polarisation -> change, dB (y, x) on the lattice, of such ground as a whole."""
    noise: Mapping[str, Field]
    """Polarisation -> standard deviation, dB, of a quiet change of 80 m (y, x) on the lattice."""
    shape: tuple[int, int]
    """Pixels of the scene."""
    displaced: Displaced = field(default_factory=Displaced)
    """Passes to be read elsewhere, and those that no mean takes in."""

    def within(self, rows: slice, columns: slice) -> Levelling:
        """That of a part of the scene; the slices of pixels begin at the border of a cell."""
        cells = tuple(slice(s.start // CELL, -(-s.stop // CELL)) for s in (rows, columns))

        def cut(fields: Mapping[str, Field]) -> dict[str, Field]:
            return {
                band: one if one.shape[-2:] == (1, 1) else one[..., cells[0], cells[1]]
                for band, one in fields.items()
            }

        return Levelling(
            self.offsets,
            cut(self.drifts),
            cut(self.expected),
            cut(self.noise),
            (rows.stop - rows.start, columns.stop - columns.start),
            self.displaced,
        )

    def above(self, band: str, rows: NDArray[Any], columns: NDArray[Any]) -> list[Any]:
        """How far each pass lies above the others at rows and columns of pixels, dB: (y, x), or a
        number where there is no drift."""
        offsets, drifts = self.offsets[band], self.drifts[band]
        if drifts.shape[1:] == (1, 1):
            return [*offsets]
        planes = [at_pixels(one, rows, columns) for one in drifts]
        for plane, offset in zip(planes, offsets, strict=True):
            plane += np.float32(offset)
        return planes


def find_levels(lattice: Lattice) -> Levelling:
    """Offsets, drift, expected change and noise of a scene, from its coarse lattice.

    >>> rng = np.random.default_rng(1)
    >>> levels = -8 + rng.normal(0, 0.3, (3, 60, 60)) + np.float32([0, 0, -0.7])[:, None, None]
    >>> lattice = Lattice({"vv": levels.astype("f4")}, (0, 1), (2,), None, None, (480, 480), 10.0)
    >>> found = find_levels(lattice)
    >>> (found.offsets["vv"].round(1) + 0.0).tolist()
    [0.0, 0.0, -0.7]
    """
    offsets, drifts, expected, noise = {}, {}, {}, {}
    for band, levels in lattice.levels.items():
        ground = _strata_of(levels[list(lattice.pre)], lattice.slope)
        offsets[band], drifts[band] = _levels(levels, lattice, ground)
        flat = _flat(levels, offsets[band], drifts[band])
        change = _change(flat, lattice)
        expected[band] = _expected(change, ground)
        noise[band] = _noise(change - expected[band], flat, lattice, ground)
    return Levelling(offsets, drifts, expected, noise, lattice.shape, lattice.displaced)


def not_levelled(lattice: Lattice) -> Levelling:
    """The same with nothing to take off: for who has levelled the passes already."""
    found = find_levels(lattice)
    return Levelling(
        {band: np.zeros_like(one) for band, one in found.offsets.items()},
        {band: np.zeros((len(one), 1, 1), np.float32) for band, one in found.drifts.items()},
        {band: np.zeros_like(one) for band, one in found.expected.items()},
        found.noise,
        found.shape,
        found.displaced,
    )


# --- strata --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Strata:
    """Which kind of ground each cell is."""

    number: NDArray[np.intp]
    """Stratum of each cell (y, x), -1 where nothing is known."""
    level: Field
    """Mean level before, dB (y, x)."""
    count: int
    """Strata there may be."""
    by_level: NDArray[np.intp]
    """Class of the level before of each cell (y, x), -1 where nothing is known."""


def _strata_of(before: Field, slope: Field | None) -> _Strata:
    level = _around(_mean(before))
    known = np.isfinite(level)
    by_level = np.full(level.shape, -1, np.intp)
    if known.any():
        edges = np.quantile(level[known], np.linspace(0, 1, LEVEL_STRATA + 1)[1:-1])
        by_level[known] = np.searchsorted(edges, level[known])
    steep = np.zeros(level.shape, np.intp)
    if slope is not None:
        steep = np.searchsorted(SLOPE_EDGES, np.nan_to_num(slope, nan=0.0))
    classes = len(SLOPE_EDGES) + 1
    number = np.where(by_level >= 0, by_level * classes + steep, -1)
    return _Strata(number, level, LEVEL_STRATA * classes, by_level)


def _mean(stack: Field) -> Field:
    """Mean over time of what is there, NaN where nothing is."""
    there = np.isfinite(stack)
    total = np.where(there, stack, 0).sum(axis=0)
    count = there.sum(axis=0)
    return np.asarray(
        np.divide(total, count, out=np.full(total.shape, np.nan, np.float32), where=count > 0),
        np.float32,
    )


def _around(field: Field) -> Field:
    """Mean of each cell and its eight neighbours, of those that are known.

    The noise of one pass would else sort cells into strata, and come back as a change of them.
    """
    there = np.isfinite(field)
    weight = uniform_filter(there.astype(np.float32), 3, mode="nearest")
    total = uniform_filter(np.where(there, field, np.float32(0)), 3, mode="nearest")
    return np.where(there, total / np.maximum(weight, 1e-6), np.float32(np.nan))


def _bulk(values: NDArray[Any]) -> tuple[float, float]:
    """Centre and standard deviation of the bulk of some values, far ones thrown out.

    The narrowest half is where the bulk is, also where two fifths of all lie to one side.
    """
    ordered = np.sort(values)
    half = len(ordered) // 2
    start = int(np.argmin(ordered[half:] - ordered[: len(ordered) - half]))
    centre = _middle(ordered[start : start + half + 1])
    spread = float(ordered[start + half] - ordered[start]) / 1.35
    for _ in range(4):
        near = ordered[np.abs(ordered - centre) <= CLIP * max(spread, 0.05)]
        centre = _middle(near)
        spread = 1.4826 * float(np.median(np.abs(near - centre))) * 1.04
    return centre, max(spread, 1e-3)


def _middle(ordered: NDArray[Any]) -> float:
    """Median of sorted values, which need no sorting."""
    return float(ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1].mean())


def _weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    order = np.argsort(values)
    total = np.cumsum(np.asarray(weights)[order])
    return float(np.asarray(values)[order][np.searchsorted(total, total[-1] / 2)])


def _scene_offset(difference: Field, ground: _Strata) -> float:
    """How far one pass lies above, for the scene: the weighted median over its strata."""
    there = np.isfinite(difference) & (ground.number >= 0)
    centres, weights = [], []
    for number in range(ground.count):
        values = difference[there & (ground.number == number)]
        if len(values) >= FEWEST:
            centre, spread = _bulk(values)
            centres.append(centre)
            weights.append(len(values) / max(spread, 0.2) ** 2)
    if centres:
        return _weighted_median(centres, weights)
    return _bulk(difference[there])[0] if there.sum() > 1 else 0.0


def _levels(levels: Field, lattice: Lattice, ground: _Strata) -> tuple[NDArray[np.float64], Field]:
    """Offset of every pass (time,) and its drift (time, y, x); those before have a mean of 0."""
    reference = _mean(levels[list(lattice.pre)])
    offsets = np.array([_scene_offset(one - reference, ground) for one in levels])
    offsets -= offsets[list(lattice.pre)].mean()
    if max(lattice.shape) * lattice.spacing < WIDE:
        return offsets, np.zeros((len(levels), 1, 1), np.float32)
    drifts = np.stack(
        [
            _drift(one - reference - np.float32(offset), lattice)
            for one, offset in zip(levels, offsets, strict=True)
        ]
    )
    return offsets, drifts - drifts[list(lattice.pre)].mean(axis=0)


def _drift(residual: Field, lattice: Lattice) -> Field:
    """What is left of a pass, place by place, outliers left out and smoothed."""
    sigma = DRIFT_REACH / (lattice.spacing * CELL)
    smooth = np.zeros(residual.shape, np.float32)
    there = np.isfinite(residual)
    if not there.any():
        return smooth
    spread = _bulk(residual[there])[1]
    for _ in range(2):
        near = there & (np.abs(residual - smooth) < max(2 * spread, 0.6))
        weight = _smoothed(near.astype(np.float32), sigma)
        total = _smoothed(np.where(near, residual, np.float32(0)), sigma)
        smooth = total / (weight + np.float32(0.02))
    return smooth


def _smoothed(values: Field, sigma: float) -> Field:
    """Values (y, x) under a Gaussian cut at three sigma, zero beyond the border.

    By Fourier transforms: a drift reaches hundreds of cells, and neither `ndimage` nor products of
    matrices, whose threads wait for busy cores, are as fast.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    far = int(3 * sigma + 0.5)
    weights = np.exp(-0.5 * np.square(np.arange(far + 1) / sigma))
    weights /= 2 * weights.sum() - weights[0]
    for axis, length in enumerate(values.shape):
        reach = min(far, length - 1)
        size = next_fast_len(length + reach, real=True)
        kernel = np.zeros(size, np.float32)
        kernel[: reach + 1] = weights[: reach + 1]
        kernel[size - reach :] = weights[reach:0:-1]
        known = np.expand_dims(rfft(kernel).real, 1 - axis)  # of a symmetric kernel: no other part
        values = irfft(rfft(values, size, axis) * known, size, axis).take(range(length), axis)
    return values


def _flat(levels: Field, offsets: NDArray[np.float64], drift: Field) -> Field:
    """Levels with offset and drift of each pass taken off."""
    return np.asarray(levels - offsets[:, None, None] - drift, np.float32)


# --- change --------------------------------------------------------------------------------------


def _change(flat: Field, lattice: Lattice) -> Field:
    """Mean after minus mean before, dB (y, x), of levelled passes."""
    return np.asarray(_mean(flat[list(lattice.post)]) - _mean(flat[list(lattice.pre)]))


def _expected(change: Field, ground: _Strata) -> Field:
    """Change of the bulk of ground of the same level before, dB (y, x); 0 where nothing is known.

    Linear between the strata's own levels, so that no border shows.
    """
    there = np.isfinite(change)
    knots, centres = [], []
    for number in range(LEVEL_STRATA):
        chosen = there & (ground.by_level == number)
        if chosen.sum() >= FEWEST:
            knots.append(float(np.median(ground.level[chosen])))
            centres.append(_bulk(change[chosen])[0])
    if not knots:
        return np.zeros(change.shape, np.float32)
    level = np.where(np.isfinite(ground.level), ground.level, np.float32(knots[0]))
    return np.asarray(np.interp(level, knots, centres), np.float32)


def _noise(change: Field, flat: Field, lattice: Lattice, ground: _Strata) -> Field:
    """Standard deviation of a quiet change, dB (y, x)."""
    own = np.full(change.shape, np.nan, np.float32)
    for number in range(ground.count):
        chosen = np.isfinite(change) & (ground.number == number)
        if chosen.sum() >= FEWEST:
            own[chosen] = _bulk(change[chosen])[1]
    everywhere = change[np.isfinite(change)]
    usual = _bulk(everywhere)[1] if len(everywhere) > 1 else LEAST_NOISE
    own = np.where(np.isfinite(own), own, np.float32(usual))
    before = _scatter_before(flat, lattice)
    if before is not None:
        passes = 1 / len(lattice.pre) + 1 / len(lattice.post)
        own = np.sqrt(np.maximum(np.float32(passes) * before, np.square(own)))
    smooth = uniform_filter(own, 3, mode="nearest")
    return np.asarray(np.maximum(smooth, LEAST_NOISE), np.float32)


def _scatter_before(flat: Field, lattice: Lattice) -> Field | None:
    """Variance of one pass about the mean of those before (y, x), pooled; None: too few passes.

    With three passes or fewer the noise of the stratum's own change says as much.
    """
    before = flat[list(lattice.pre)]
    if len(before) < 3:
        return None
    there = np.isfinite(before)
    squares = np.where(there, np.square(before - _mean(before)), 0).sum(axis=0)
    freedom = np.maximum(there.sum(axis=0) - 1, 0).astype(np.float32)
    pooled = uniform_filter(squares.astype(np.float32), AROUND, mode="nearest")
    count = uniform_filter(freedom, AROUND, mode="nearest")
    return np.asarray(
        np.divide(pooled, count, out=np.zeros_like(pooled), where=count > 0), np.float32
    )


# --- quiet pairs ---------------------------------------------------------------------------------


def change_sizes(lattice: Lattice, levelling: Levelling) -> Field:
    """Sizes of the changes of all cells that were seen (cell,), in noise, all polarisations
    together.
    """
    total = np.zeros(next(iter(lattice.levels.values())).shape[1:], np.float32)
    for band in lattice.levels:
        total += np.square(change_of(lattice, levelling, band) / levelling.noise[band])
    return np.asarray(np.sqrt(total[np.isfinite(total)]), np.float32)


def change_of(lattice: Lattice, levelling: Levelling, band: str) -> Field:
    """Levelled change of one polarisation, dB (y, x) on the lattice, NaN where not seen."""
    flat = _flat(lattice.levels[band], levelling.offsets[band], levelling.drifts[band])
    return np.asarray(_change(flat, lattice) - levelling.expected[band], np.float32)
