"""Change that is no landslide: felling, fire, flood, rivers that move; steps from some pass on.

Amounts follow labelled OPERA RTC-S1 sites (OPERA-Cal-Val/dist-s1-validation-harness @ 63139fd),
VV/VH in dB: fires and clear cuts -3.8/-5.2, -0.6/-1.8, +0.9/-3.1, -3.6/-5.9, +2.6/-1.6, -4.2/-3.1,
-0.9/-2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.debris import far_wall_db, near_wall_db, wall_shares
from sarmap.simulate.noise import fractal_noise
from sarmap.simulate.patches import Ground, Patches, parcels
from sarmap.simulate.physics import Physics
from sarmap.simulate.quick_relief import Hills

__all__ = ["Disturbance", "draw_disturbances"]

Field = NDArray[np.float32]
Chance = np.random.Generator

_LOST_FOREST = (
    (-3.8, -5.2),
    (-0.6, -1.8),
    (0.9, -3.1),
    (-3.6, -5.9),
    (2.6, -1.6),
    (-4.2, -3.1),
    (-0.9, -2.2),
)


@dataclass(frozen=True)
class Disturbance:
    """A change of the ground over some passes."""

    vv: Field
    """dB (y, x)."""
    vh: Field
    """dB (y, x)."""
    first: int
    """First pass that shows it."""
    last: int
    """Last pass that shows it."""


def _amount(rng: Chance) -> tuple[float, float]:
    vv, vh = _LOST_FOREST[int(rng.integers(len(_LOST_FOREST)))]
    return vv + float(rng.normal(0, 0.7)), vh + float(rng.normal(0, 0.7))


def _felling(rng: Chance, physics: Physics, patches: Patches, passes: int) -> list[Disturbance]:
    """Rectangles cut from the forest, each from a pass of its own on, with walls like any hole."""
    shape = (patches.cover.shape[0], patches.cover.shape[1])
    forest = patches.cover == Ground.FOREST
    found = []
    for first in np.unique(rng.integers(1, passes, 3)):
        plots = parcels(rng, shape, rng.uniform(60, 220) / physics.spacing)
        cut = (forest & (plots < physics.felling / 3)).astype(np.float32)
        if not cut.any():
            continue
        shade, laid_out = wall_shares(cut, physics)
        walls = far_wall_db(physics) * laid_out - near_wall_db(physics) * shade
        vv, vh = _amount(rng)
        found.append(
            Disturbance(
                np.asarray(cut * vv + walls, np.float32),
                np.asarray(cut * vh + walls, np.float32),
                int(first),
                passes,
            )
        )
    return found


def _patch(rng: Chance, within: NDArray[np.bool_], share: float, slope: float = 1.8) -> Field:
    """Soft-edged patches on some share of where they may be (y, x), 0 to 1."""
    noise = fractal_noise(rng, (within.shape[0], within.shape[1]), slope=slope)
    inside = noise[within]
    if inside.size < 16:
        return np.zeros(within.shape, np.float32)
    limit = np.quantile(inside, 1 - min(share, 0.9))
    return np.asarray(np.clip((noise - limit) / 0.15, 0, 1) * within, np.float32)


def _fire(rng: Chance, physics: Physics, patches: Patches, passes: int) -> Disturbance:
    burnable = np.isin(patches.cover, (Ground.FOREST, Ground.GRASS, Ground.DRY))
    vv, vh = _amount(rng)
    burnt = _patch(rng, burnable, physics.fire)
    return Disturbance(burnt * vv, burnt * vh, int(rng.integers(1, passes)), passes)


def _flood(
    rng: Chance, physics: Physics, hills: Hills, patches: Patches, event: int
) -> Disturbance:
    """Water on the flats at the event, for one or two passes; under trees it brightens."""
    flats = (hills.slope < 2) & (patches.cover != Ground.WATER)
    wet = _patch(rng, flats, physics.flood)
    trees = patches.cover == Ground.FOREST
    vv = wet * np.where(trees, rng.uniform(0.5, 4), -rng.uniform(3, 9))
    vh = wet * np.where(trees, rng.uniform(0, 2), -rng.uniform(2, 7))
    last = event + int(rng.integers(0, 2))
    return Disturbance(vv.astype(np.float32), vh.astype(np.float32), event, last)


def _banks(rng: Chance, patches: Patches, event: int, passes: int) -> Disturbance:
    """Shores that a flood moved: new water on land, or new gravel where water was."""
    from scipy import ndimage

    water = patches.cover == Ground.WATER
    reach = int(rng.integers(1, 4))
    new_water = ndimage.binary_dilation(water, iterations=reach) & ~water
    new_gravel = water & ~ndimage.binary_erosion(water, iterations=reach)
    some = fractal_noise(rng, (water.shape[0], water.shape[1]), slope=1.2)
    vv = -rng.uniform(3, 8) * (new_water & (some > 0.8)) + rng.uniform(3, 8) * (
        new_gravel & (some < -0.8)
    )
    return Disturbance(vv.astype(np.float32), (0.8 * vv).astype(np.float32), event, passes)


def draw_disturbances(
    rng: Chance, physics: Physics, hills: Hills, patches: Patches, event: int, passes: int
) -> list[Disturbance]:
    """Draw what changes without a landslide.

    Parameters
    ----------
    rng
        Source of randomness.
    physics
        The world's law.
    hills, patches
        The ground and what covers it.
    event
        Number of passes before the event.
    passes
        Number of all passes.

    Returns
    -------
    list of Disturbance
    """
    found: list[Disturbance] = []
    if physics.felling > 0:
        found += _felling(rng, physics, patches, passes)
    if physics.fire > 0:
        found.append(_fire(rng, physics, patches, passes))
    if physics.flood > 0:
        found.append(_flood(rng, physics, hills, patches, event))
    if rng.random() < 0.3 and (patches.cover == Ground.WATER).any():
        found.append(_banks(rng, patches, event, passes))
    return found
