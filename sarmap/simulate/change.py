"""What landslides do to backscatter, pass by pass: for drawn worlds, and put into real passes.

Forest scatters from its volume, bare debris from its surface: bright where it faces the radar, dark
where it looks away, brighter when wet. The hole that a landslide leaves in tall forest has a far
wall that turns to the radar and a near wall that shades the ground behind it, so that the change
around it is a pair of bright and dark along the look (Sao Sebastiao 2023, OPERA RTC-S1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.simulate.drawing import stream
from sarmap.simulate.noise import fractal_noise
from sarmap.simulate.physics import FAMILIES, Physics
from sarmap.simulate.scars import Scars, draw_scars

__all__ = ["ChangeField", "Implanted", "change_field", "implant", "wall_shares"]

Field = NDArray[np.float32]
Chance = np.random.Generator

LONGEST_WALL = 45.0
"""Metres a far wall is laid over towards the radar, at most: crowns let the beam through."""


class ChangeField(NamedTuple):
    """Landslides' change of every pass after the event."""

    vv: Field
    """dB (pass, y, x), 0 where nothing changed."""
    vh: Field
    """dB (pass, y, x)."""
    truth: NDArray[np.uint8]
    """1 inside an outline as an analyst draws it (y, x)."""
    footprint: NDArray[np.int32]
    """Number of the landslide where the radar changes (y, x), 0 none."""
    family: NDArray[np.int8]
    """Index into `FAMILIES` of each landslide, the first has number 1."""


class Implanted(NamedTuple):
    """Real passes with landslides put into those after the event."""

    vv: Field
    """Power (time, y, x)."""
    vh: Field | None
    """Power (time, y, x); None where there was none."""
    truth: NDArray[np.uint8]
    """1 inside an outline as an analyst draws it (y, x)."""
    footprint: NDArray[np.int32]
    """Number of the landslide where the radar changes (y, x), 0 none."""


def wall_shares(covered: Field, physics: Physics) -> tuple[Field, Field]:
    """Share of each pixel's hole that lies in its near wall's shade, and under its far wall.

    Parameters
    ----------
    covered
        Share of each pixel without trees (y, x).
    physics
        Canopy, incidence, look and spacing count.

    Returns
    -------
    Two float32 (y, x), 0 to 1; they mean something where `covered` is above 0.
    """
    from scipy import ndimage

    turn, angle = np.radians(physics.look), np.radians(physics.incidence)
    away = np.array([-np.cos(turn), np.sin(turn)])  # rows, columns
    shade = physics.canopy * np.tan(angle) / physics.spacing
    lean = min(physics.canopy / np.tan(angle), LONGEST_WALL) / physics.spacing
    near = ndimage.shift(covered, shade * away, order=1, mode="nearest")
    far = ndimage.shift(covered, -lean * away, order=1, mode="nearest")
    return np.asarray(1 - near, np.float32), np.asarray(1 - far, np.float32)


def _means(
    number: NDArray[np.int32], field: Field, count: int, otherwise: float
) -> NDArray[np.float64]:
    """Mean of a field over each landslide (count,)."""
    pixels = np.bincount(number.ravel(), minlength=count + 1)[1 : count + 1]
    sums = np.bincount(number.ravel(), field.ravel(), minlength=count + 1)[1 : count + 1]
    return np.asarray(np.where(pixels > 0, sums / np.maximum(pixels, 1), otherwise))


def _families(rng: Chance, physics: Physics, facing: NDArray[np.float64]) -> NDArray[np.int8]:
    """A family for each landslide: shares as in `mix`; the more `facing` counts, the likelier those
    that look at the radar brighten."""
    count = len(facing)
    score = physics.facing * _rank(facing) + (1 - physics.facing) * rng.random(count)
    rank = _rank(score + 1e-9 * rng.random(count))
    brightest_first = np.array([FAMILIES.index("both_up"), 2, 3, FAMILIES.index("both_down")])
    limits = np.cumsum(np.array(physics.mix)[brightest_first])[:3]
    return np.asarray(brightest_first[np.digitize(1 - rank, limits)], np.int8)


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place in the order, 0 to 1."""
    return np.asarray((np.argsort(np.argsort(values)) + 0.5) / max(len(values), 1))


def _strengths(
    rng: Chance, physics: Physics, family: NDArray[np.int8], facing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Change of each landslide, dB: VV and VH."""
    count = len(family)
    size = physics.strength * np.exp(physics.strength_spread * rng.standard_normal(count))
    weak = rng.random(count) < physics.weak
    size = np.where(weak, rng.uniform(0, 1, count), np.minimum(size, 9.0))
    lean = np.clip(physics.facing_law * facing / 10, -0.6 * size, 0.6 * size)
    share = np.clip(physics.vh_share + rng.normal(0, 0.1, count), 0.1, 1.3)
    own = np.maximum(share, 0.7)  # where only VH falls it falls by as much as VV elsewhere
    little = rng.normal(0, 0.2, count)
    vv = np.choose(family, [-size + lean, size + lean, 0.7 * size + lean, little])
    vh = np.choose(
        family, [share * (-size + lean), share * (size + lean), -own * size, -own * size]
    )
    return vv, vh


def _within(rng: Chance, physics: Physics, shape: tuple[int, int]) -> tuple[Field, Field]:
    """Lasting differences inside landslides, dB, and the share that changed (y, x)."""
    patch = 40.0 / physics.spacing
    lumps = fractal_noise(rng, shape, slope=0.8, longest=max(4 * patch, 4.0))
    left = np.ones(shape, np.float32)
    if physics.remnants > 0:
        clumps = fractal_noise(rng, shape, slope=0.9, longest=max(3 * patch, 4.0))
        limit = np.quantile(clumps[::4, ::4], 1 - physics.remnants)
        left = np.where(clumps > limit, np.float32(0.12), np.float32(1.0))
    return np.asarray(np.float32(physics.mottle) * lumps, np.float32), left


def _bodies(
    rng: Chance,
    physics: Physics,
    scars: Scars,
    incidence: Field,
    trees: NDArray[np.bool_],
) -> tuple[Field, Field, NDArray[np.int8]]:
    """Change under full cover and dry, dB: VV and VH (y, x), and each landslide's family."""
    mean = _means(scars.footprint, incidence, scars.count, physics.incidence)
    facing = physics.incidence - mean
    family = _families(rng, physics, facing)
    vv, vh = _strengths(rng, physics, family, facing)
    number = np.where(scars.footprint > 0, scars.footprint, _nearest(scars))
    tilt = np.concatenate(([0.0], mean))[number] - incidence
    shape = (incidence.shape[0], incidence.shape[1])
    lumps, left = _within(rng, physics, shape)
    slanted = np.clip(physics.facing_law * tilt / 10, -3, 3) + lumps
    scale = np.where(trees, 1.0, physics.open_share) * left
    of = [np.concatenate(([0.0], each)).astype(np.float32)[number] for each in (vv, vh)]
    # what lies within a landslide fades with its change: a weak one stays weak
    size = np.maximum(abs(of[0]), abs(of[1]))
    of_size = np.asarray(np.clip(size / (0.7 * physics.strength), 0, 1), np.float32)
    body_vv = (of[0] + np.clip(abs(of[0]) / 2, 0, 1) * of_size * slanted) * scale
    body_vh = (of[1] + np.clip(physics.vh_share, 0.4, 1) * of_size * slanted) * scale
    rough = _walls(scars, physics, trees, of_size * left)
    return (
        np.asarray(body_vv + rough, np.float32),
        np.asarray(body_vh + np.float32(min(physics.vh_share + 0.1, 1.1)) * rough, np.float32),
        family,
    )


def _nearest(scars: Scars) -> NDArray[np.int32]:
    """Numbers of landslides on the pixels they barely cover."""
    from scipy import ndimage

    return np.asarray(ndimage.grey_dilation(scars.footprint, size=3) * (scars.covered > 0))


def _walls(scars: Scars, physics: Physics, trees: NDArray[np.bool_], strength: Field) -> Field:
    """What the hole's walls add, dB (y, x): bright at the far one, dark at the near one."""
    shade, lean = wall_shares(scars.covered, physics)
    height = np.float32(physics.walls * min(physics.canopy / 20, 1.2))
    inner = trees & (scars.covered > 0)
    return np.asarray(height * (lean - shade) * strength * inner, np.float32)


def _ratio_db(body: Field, covered: Field, sigma: float) -> Field:
    """Change of a pixel of which a share is covered, dB, at the sensor's resolution."""
    from scipy import ndimage

    ratio = 1 + covered * (np.power(np.float32(10), body * np.float32(0.1)) - 1)
    if sigma > 0.2:
        ratio = ndimage.gaussian_filter(ratio, sigma, truncate=3.0)
    return np.asarray(10 * np.log10(np.maximum(ratio, 1e-3)), np.float32)


def change_field(
    seed: int,
    physics: Physics,
    slope: Field | None = None,
    aspect: Field | None = None,
    incidence: Field | None = None,
    shape: tuple[int, int] | None = None,
    *,
    days: Sequence[float] | None = None,
    land: NDArray[np.bool_] | None = None,
    trees: NDArray[np.bool_] | None = None,
    shown: Field | None = None,
) -> ChangeField:
    """Draw landslides and what they do to VV and VH in each pass after the event.

    Parameters
    ----------
    seed
        Whole number that everything grows from.
    physics
        The world's law.
    slope, aspect
        Degrees, aspect clockwise from north and downhill (y, x). None: hillsides are invented.
    incidence
        Local incidence, degrees (y, x). None: the law's own everywhere.
    shape
        Rows and columns; needed where `slope` is None.
    days
        Days from the event to each pass after it; None: `physics.after` passes, one a repeat.
    land
        Where landslides may start (y, x); None everywhere.
    trees
        Where the ground is forest (y, x); None everywhere.
    shown
        Share of the change that the radar sees, 0 in shadow (y, x); None: all.

    Returns
    -------
    ChangeField

    Raises
    ------
    RequestError
        Neither `slope` nor `shape` is given.

    Examples
    --------
    >>> law = Physics.draw(3, family="both_up", land_share=0.1, after=2)
    >>> field = change_field(5, law, shape=(64, 64))
    >>> field.vv.shape, float(field.vv[0][field.footprint > 0].mean()) > 0
    ((2, 64, 64), True)
    """
    slope, gradient = _hillsides(seed, physics, slope, aspect, shape)
    size = (slope.shape[0], slope.shape[1])
    land = np.ones(size, bool) if land is None else land
    trees = np.ones(size, bool) if trees is None else trees
    local = np.full(size, physics.incidence, np.float32) if incidence is None else incidence
    if days is None:
        days = [physics.repeat * (n + 0.5) for n in range(physics.after)]
    scars = draw_scars(stream(seed, "scars"), physics, slope, gradient, land)
    if scars.count == 0:
        none = np.zeros((len(days), *size), np.float32)
        return ChangeField(none, none.copy(), scars.truth, scars.footprint, np.zeros(0, np.int8))
    vv, vh, family = _bodies(stream(seed, "change"), physics, scars, local, trees)
    covered = scars.covered if shown is None else scars.covered * shown
    made = [
        _at(stream(seed, "moisture", str(n)), physics, day, vv, vh, covered)
        for n, day in enumerate(days)
    ]
    return ChangeField(
        np.stack([one for one, _ in made]),
        np.stack([one for _, one in made]),
        scars.truth,
        scars.footprint,
        family,
    )


def _at(
    rng: Chance, physics: Physics, day: float, vv: Field, vh: Field, covered: Field
) -> tuple[Field, Field]:
    """Change of one pass so many days after the event, dB: VV and VH (y, x)."""
    left = max(1 - physics.healing * day / 30, 0.3)
    wet = physics.wetness * np.exp(-day / 20) * rng.uniform(0.3, 1)
    developed = 1 - physics.delay * (1 - min(day / 35, 1.0))
    sigma = physics.blur / physics.spacing

    # moisture brightens what has changed, and no more than by the change's own size
    def damp(body: Field) -> Field:
        return np.asarray(wet * np.clip(np.abs(body) / 4, 0, 1), np.float32)

    one = _ratio_db(np.float32(left) * vv + damp(vv), covered, sigma)
    other = _ratio_db(
        np.float32(left * developed) * vh + np.float32(0.7) * damp(vh), covered, sigma
    )
    return one, other


def _hillsides(
    seed: int,
    physics: Physics,
    slope: Field | None,
    aspect: Field | None,
    shape: tuple[int, int] | None,
) -> tuple[Field, tuple[Field, Field]]:
    """Slope, and tangents towards east and north; invented where they are not given."""
    from sarmap.simulate.quick_relief import quick_relief
    from sarmap.simulate.terrain import slope_aspect

    if slope is not None and aspect is not None:
        fall, turn = np.tan(np.radians(slope)), np.radians(aspect)
        return slope, (
            np.asarray(-fall * np.sin(turn), np.float32),
            np.asarray(-fall * np.cos(turn), np.float32),
        )
    if slope is not None:
        shape = (slope.shape[0], slope.shape[1])
    if shape is None:
        raise RequestError("change_field needs slope or shape=(rows, columns).")
    height = quick_relief(stream(seed, "invented hills"), shape, physics)
    steep, _, east, north = slope_aspect(height, physics.spacing)
    return (steep if slope is None else slope), (east, north)


def implant(
    vv: Field,
    vh: Field | None,
    *,
    before: int,
    physics: Physics,
    seed: int,
    slope: Field | None = None,
    aspect: Field | None = None,
    incidence: Field | None = None,
    days: Sequence[float] | None = None,
    land: NDArray[np.bool_] | None = None,
    trees: NDArray[np.bool_] | None = None,
) -> Implanted:
    """Put landslides into real passes: speckle, seasons, fields and artefacts stay the place's own.

    Parameters
    ----------
    vv, vh
        Power of real passes (time, y, x), NaN where there is none; `vh` may be None.
    before
        How many of the passes, along time, count as before the event; the rest change.
    physics
        The landslides' law; give it the passes' own spacing, incidence and look where known.
    seed
        Whole number that everything grows from.
    slope, aspect, incidence, days, land, trees
        As for `change_field`.

    Returns
    -------
    Implanted

    Raises
    ------
    RequestError
        No pass is left after the event, or VV and VH differ in shape.

    Examples
    --------
    >>> quiet = np.full((4, 64, 64), 0.2, np.float32)
    >>> law = Physics.draw(3, family="both_down", land_share=0.1)
    >>> put = implant(quiet, None, before=2, physics=law, seed=1)
    >>> bool((put.vv[:2] == quiet[:2]).all()), bool(put.vv[3][put.footprint > 0].mean() < 0.2)
    (True, True)
    """
    after = vv.shape[0] - before
    if not 0 <= before < vv.shape[0]:
        raise RequestError(f"before={before} leaves none of {vv.shape[0]} passes after the event.")
    if vh is not None and vh.shape != vv.shape:
        raise RequestError(f"VV {vv.shape} and VH {vh.shape} differ in shape.")
    if days is None:
        days = [physics.repeat * (n + 0.5) for n in range(after)]
    size = (vv.shape[1], vv.shape[2])
    change = change_field(
        seed, physics, slope, aspect, incidence, size, days=days, land=land, trees=trees
    )
    floors = [np.float32(10 ** (level / 10)) for level in physics.noise_floor]
    return Implanted(
        _multiplied(vv, change.vv, before, floors[0]),
        None if vh is None else _multiplied(vh, change.vh, before, floors[1]),
        change.truth,
        change.footprint,
    )


def _multiplied(power: Field, change_db: Field, before: int, floor: np.float32) -> Field:
    """Passes after the event changed by some dB above the sensor's noise."""
    changed = power.astype(np.float32, copy=True)
    late = changed[before:]
    signal = np.maximum(late - floor, 0)
    late += signal * (np.power(np.float32(10), change_db * np.float32(0.1)) - 1)
    return changed
