"""Land cover of a drawn world: forest, open land, parcels of fields, water, towns, snow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.noise import cell_noise, fractal_noise
from sarmap.simulate.physics import Physics
from sarmap.simulate.quick_relief import Hills

__all__ = ["OPEN", "Ground", "Patches", "draw_patches", "parcels"]

Field = NDArray[np.float32]


class Ground(IntEnum):
    """Land cover codes of a drawn world, in the order of `Physics.levels`."""

    WATER = 0
    FOREST = 1
    GRASS = 2
    BARE = 3
    DRY = 4
    FIELD = 5
    TOWN = 6
    SNOW = 7


OPEN = (Ground.GRASS, Ground.BARE, Ground.DRY, Ground.FIELD)
"""Covers whose soil the radar sees, so that rain brightens them."""


@dataclass(frozen=True)
class Patches:
    """What covers the ground, all (y, x)."""

    cover: NDArray[np.uint8]
    """Codes of `Ground`."""
    parcel: Field
    """A number in [0, 1) for each parcel of land, everywhere."""
    stand: Field
    """Differences between stands, standard deviation 1, smooth over hundreds of metres."""
    broadleaved: NDArray[np.bool_]
    """Forest that sheds its leaves."""
    rank: Field
    """Height as its share of the relief, 0 to 1, rough at its contour lines."""


def parcels(rng: np.random.Generator, shape: tuple[int, int], edge: float) -> Field:
    """A number in [0, 1) per rectangular parcel of a turned grid; rows of parcels are staggered.

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        Rows and columns.
    edge
        Edge of a parcel, pixels; it is up to three times as long as wide.

    Returns
    -------
    float32 (y, x).
    """
    turn = rng.uniform(0, np.pi)
    rows, columns = np.indices(shape, dtype=np.float32)
    along = (rows * np.cos(turn) + columns * np.sin(turn)) / (edge * rng.uniform(1, 3))
    across = (columns * np.cos(turn) - rows * np.sin(turn)) / edge
    row = np.floor(across).astype(np.int64)
    seed = int(rng.integers(1 << 30))
    stagger = cell_noise(seed, row, np.zeros_like(row))
    return cell_noise(seed + 1, row, np.floor(along + stagger).astype(np.int64))


def _wild(
    rng: np.random.Generator, hills: Hills, physics: Physics, rank: Field
) -> NDArray[np.uint8]:
    """Forest, grass, dry and bare ground by the weights of the place."""
    shape = (rank.shape[0], rank.shape[1])
    weights = {
        Ground.FOREST: physics.forest,
        Ground.GRASS: 0.35 * physics.grass,
        Ground.DRY: 0.8 * physics.dry,
    }
    mosaic = fractal_noise(rng, shape, slope=rng.uniform(1.3, 2.1), longest=max(shape) / 2)
    order = np.argsort(np.argsort(mosaic[::4, ::4], axis=None)) / mosaic[::4, ::4].size
    limits = np.cumsum([w + 1e-3 for w in weights.values()])
    cuts = np.interp(limits[:-1] / limits[-1], np.sort(order), np.sort(mosaic[::4, ::4].ravel()))
    chosen = np.array(list(weights), np.uint8)[np.digitize(mosaic, cuts)]
    above = rank > physics.tree_line
    high = np.where(rank > physics.tree_line + 0.15, Ground.BARE, Ground.GRASS)
    cliffs = hills.slope > 48
    return np.asarray(np.where(cliffs, Ground.BARE, np.where(above, high, chosen)), np.uint8)


def _water(rng: np.random.Generator, hills: Hills, physics: Physics) -> NDArray[np.bool_]:
    """The level lowest ground, and a river along the flats."""
    if physics.water <= 0:
        return np.zeros(hills.height.shape, bool)
    shape = (hills.height.shape[0], hills.height.shape[1])
    meander = np.abs(fractal_noise(rng, shape, slope=2.0))
    width = rng.uniform(10, 90) / physics.spacing
    steep = np.hypot(*np.gradient(meander)) + 1e-3
    river = (meander / steep < width / 2) & (hills.slope < 2.5) & (rng.random() < 0.6)
    return np.asarray((hills.height <= hills.height.min()) | river)


def draw_patches(rng: np.random.Generator, hills: Hills, physics: Physics) -> Patches:
    """Draw the land cover of a place.

    Parameters
    ----------
    rng
        Source of randomness.
    hills
        The ground.
    physics
        The world's law.

    Returns
    -------
    Patches
    """
    shape = (hills.height.shape[0], hills.height.shape[1])
    stand = fractal_noise(rng, shape, slope=1.2, longest=1500 / physics.spacing)
    relief = hills.height - hills.height.min()
    rank = relief / np.float32(max(float(relief.max()), 1.0)) + np.float32(0.04) * stand
    cover = _wild(rng, hills, physics, rank)
    parcel = parcels(rng, shape, rng.uniform(60, 300) / physics.spacing)
    gentle = (hills.slope < rng.uniform(3, 9)) & (rank < 0.8)
    farmed = fractal_noise(rng, shape, slope=1.5)
    share = gentle & (farmed > np.quantile(farmed[::4, ::4], 1 - physics.fields))
    cover[share & (parcel > 0.08)] = Ground.FIELD  # copses stay between the fields
    built = fractal_noise(rng, shape, slope=1.1)
    cover[gentle & (built > np.quantile(built[::4, ::4], 1 - physics.towns))] = Ground.TOWN
    cover[_water(rng, hills, physics)] = Ground.WATER
    cover[rank > physics.snow + 0.1] = Ground.SNOW
    broad = fractal_noise(rng, shape, slope=1.3, longest=3000 / physics.spacing) > rng.normal(0, 1)
    return Patches(cover, parcel, stand, broad & (cover == Ground.FOREST), rank)
