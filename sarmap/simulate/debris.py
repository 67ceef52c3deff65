"""What landslides do to the ground that the radar sees: debris in place of trees, and the hole.

Forest scatters from its volume, bare debris from its surface: bright where it faces the radar, dark
where it looks away. The hole in tall forest has a near wall that shades the ground behind it, and a
far wall that turns to the radar: its foot is laid out beyond the hole, its top stays where the
canopy was. So the change around it is a pair of dark and bright along the look, and half of it lies
outside the outline (Sao Sebastiao 2023, OPERA RTC-S1: autocorrelation of the change along the look
0.30, -0.10, -0.11 at one, two and three pixels of 30 m).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.drawing import FAMILIES
from sarmap.simulate.noise import fractal_noise
from sarmap.simulate.physics import Physics
from sarmap.simulate.scars import Scars

__all__ = ["Debris", "draw_debris", "far_wall_db", "near_wall_db", "wall_shares"]

Field = NDArray[np.float32]
Chance = np.random.Generator

LONGEST_WALL = 40.0
"""Metres over which a far wall is laid out, at most: crowns let the beam through."""
BRIGHT_SHARE = 0.3
"""Brightening of the far wall against the darkening of the near one, dB per dB: so that two thirds
of Sao Sebastiao's strong pixels darken."""


@dataclass(frozen=True)
class Debris:
    """Change of the ground under full cover, dry, just after the event; all (y, x)."""

    vv: Field
    """dB of VV within a landslide, the near wall's shade included."""
    vh: Field
    """dB of VH."""
    covered: Field
    """Share of the pixel that a landslide covers."""
    laid_out: Field
    """Share of the pixel over which far walls are laid out, times how fully they stand."""
    wall: tuple[float, float]
    """dB of a far wall, VV and VH."""
    number: NDArray[np.int32]
    """Number of the landslide where the radar changes, walls included; 0 none."""
    family: NDArray[np.int8]
    """Index into `FAMILIES` of each landslide (count,)."""


def near_wall_db(physics: Physics) -> float:
    """What a near wall takes off, dB of VV."""
    return float(physics.walls * min(physics.canopy / 20, 1.2))


def far_wall_db(physics: Physics) -> float:
    """What a far wall adds, dB of VV."""
    return BRIGHT_SHARE * near_wall_db(physics)


def _shifts(physics: Physics) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reach of the near wall's shade and of the laid-out far wall, pixels: rows, columns."""
    turn, angle = np.radians(physics.look), np.radians(physics.incidence)
    away = np.array([-np.cos(turn), np.sin(turn)])
    shade = physics.canopy * np.tan(angle)
    lean = min(0.75 * physics.canopy / np.tan(angle), LONGEST_WALL)
    return shade / physics.spacing * away, lean / physics.spacing * away


def wall_shares(hole: Field, physics: Physics) -> tuple[Field, Field]:
    """Share of each pixel that lies in a near wall's shade, and over which a far wall is laid out.

    Parameters
    ----------
    hole
        Share of each pixel without trees (y, x).
    physics
        Canopy, incidence, look and spacing count.

    Returns
    -------
    Two float32 (y, x), 0 to 1: the first within the hole, the second beyond it.

    Examples
    --------
    Trees of 20 m seen at 45 degrees from the west, at 10 m: 20 m of shade, 15 m of wall.

    >>> law = Physics.draw(1, canopy=20.0, incidence=45.0, look=90.0, spacing=10.0)
    >>> hole = np.zeros((1, 12), np.float32); hole[0, 3:8] = 1
    >>> shade, wall = wall_shares(hole, law)
    >>> shade[0, 2:7].round(1).tolist(), wall[0, 7:11].round(1).tolist()
    ([0.0, 1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.5, 0.0])
    """
    from scipy import ndimage

    shade, lean = _shifts(physics)
    near = ndimage.shift(hole, shade, order=1, mode="nearest")
    far = ndimage.shift(hole, lean, order=1, mode="nearest")
    return (
        np.asarray(hole * np.clip(1 - near, 0, 1), np.float32),
        np.asarray((1 - hole) * np.clip(far, 0, 1), np.float32),
    )


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
    own = np.maximum(share, 0.8)  # where only VH falls it falls by as much as VV elsewhere
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


def draw_debris(
    rng: Chance,
    physics: Physics,
    scars: Scars,
    incidence: Field,
    trees: NDArray[np.bool_],
) -> Debris:
    """Draw each landslide's family and strength, and what it does to its ground.

    Parameters
    ----------
    rng
        Source of randomness.
    physics
        The world's law.
    scars
        The landslides.
    incidence
        Local incidence, degrees (y, x).
    trees
        Where the ground is forest (y, x).

    Returns
    -------
    Debris
    """
    mean = _means(scars.footprint, incidence, scars.count, physics.incidence)
    facing = physics.incidence - mean
    family = _families(rng, physics, facing)
    each = _strengths(rng, physics, family, facing)
    number = np.where(scars.footprint > 0, scars.footprint, _nearest(scars))
    tilt = np.concatenate(([0.0], mean))[number] - incidence
    lumps, left = _within(rng, physics, (incidence.shape[0], incidence.shape[1]))
    slanted = np.clip(physics.facing_law * tilt / 10, -3, 3) + lumps
    flat_vv, flat_vh = (np.concatenate(([0.0], one)).astype(np.float32)[number] for one in each)
    # what lies within a landslide fades with its change: a weak one stays weak
    clear = np.maximum(abs(flat_vv), abs(flat_vh)) / np.float32(0.7 * physics.strength)
    clear = np.clip(clear, 0, 1)
    standing = np.asarray(clear * left * trees, np.float32)
    shaded, laid_out = _walls(scars.covered, physics, standing)
    scale = np.where(trees, 1.0, physics.open_share) * left
    cross = 0.5 + 0.5 * physics.vh_share
    within_vh = np.clip(physics.vh_share, 0.4, 1) * clear * slanted
    within_vv = np.clip(abs(flat_vv) / 2, 0, 1) * clear * slanted
    vv = (flat_vv + within_vv) * scale - shaded
    vh = (flat_vh + within_vh) * scale - cross * shaded
    wall = far_wall_db(physics)
    return Debris(
        np.asarray(vv, np.float32),
        np.asarray(vh, np.float32),
        scars.covered,
        laid_out,
        (wall, cross * wall),
        _reach(scars.footprint, laid_out, physics),
        family,
    )


def _nearest(scars: Scars) -> NDArray[np.int32]:
    """Numbers of landslides on the pixels they barely cover."""
    from scipy import ndimage

    return np.asarray(ndimage.grey_dilation(scars.footprint, size=3) * (scars.covered > 0))


def _walls(covered: Field, physics: Physics, standing: Field) -> tuple[Field, Field]:
    """What near walls take off within the landslides, dB, and over what far walls are laid out."""
    from scipy import ndimage

    shade, out = wall_shares(covered, physics)
    part = shade / np.maximum(covered, np.float32(1e-3))
    beyond = ndimage.shift(standing, _shifts(physics)[1], order=1, mode="nearest")
    off = np.float32(near_wall_db(physics)) * part * standing
    # the strip beyond is as strong as the trees' loss that bares it, and partial pixels have less
    strength = np.clip(np.maximum(beyond, standing), 0, 1)
    return np.asarray(off, np.float32), np.asarray(out * strength, np.float32)


def _reach(number: NDArray[np.int32], laid_out: Field, physics: Physics) -> NDArray[np.int32]:
    """Numbers of the landslides where the radar changes: laid-out walls belong to their hole."""
    from scipy import ndimage

    moved = ndimage.shift(number, _shifts(physics)[1], order=0, mode="nearest")
    return np.asarray(np.where((number == 0) & (laid_out > 0.4), moved, number), np.int32)
