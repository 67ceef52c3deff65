"""Invented ground: relief, what grows on it, and how bright the radar sees it before anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.rightness.noise import Field, Random, patchwork, smooth_noise

__all__ = [
    "COVERS",
    "NAMES",
    "Land",
    "Plan",
    "hidden",
    "land_cover",
    "local_incidence",
    "relief",
    "slope_of",
]

COVERS = {
    "forest": (-8.6, -14.4, 0.35),
    "grass": (-11.0, -17.8, 0.6),
    "field": (-11.5, -18.5, 1.2),
    "bare": (-12.5, -20.5, 0.4),
    "town": (-4.5, -11.5, 0.4),
    "water": (-19.5, -26.5, 1.5),
}
"""Level of VV and VH, and what changes from pass to pass beyond speckle; dB."""
NAMES = list(COVERS)


@dataclass
class Plan:
    """What one scene is made from."""

    number: int
    seed: int
    law: str
    """How landslides change the radar's echo: one of `slides.LAWS`, or 'mixed'."""
    share: float
    """Share of the land that slides."""
    spacing: float = 10.0
    """Metres."""
    size: int = 960
    """Pixels along each edge."""
    n_pre: int = 4
    n_post: int = 2
    looks: float = 4.4
    correlation: float = 0.3
    """Of neighbouring speckle."""
    shift: float = 0.45
    """Standard deviation of whole passes, dB."""
    drift: float = 0.3
    """Standard deviation of slow change over the scene, pass by pass, dB."""
    strength: float = 1.0
    slope_brightness: float = 0.0
    """dB lost for 10 degrees of local incidence."""
    level: float = 0.0
    """Added to all levels, dB."""
    incidence: float = 38.0
    look_east: bool = True
    forest: float = 0.6
    flat: float = 0.25
    steep: float = 27.0
    """Slope that nine tenths of the land stay below, less 8, degrees."""
    median_area: float = 4000.0
    outline_offset: float = 6.0
    """Metres by which an analyst's outline is off."""
    polarisations: tuple[str, ...] = ("vv", "vh")
    terrain: str = "full"
    """What a detector is told of the ground: 'full', 'dem' or 'none'."""
    step_days: int = 12

    @property
    def shape(self) -> tuple[int, int]:
        return self.size, self.size


def relief(rng: Random, plan: Plan) -> Field:
    """Elevation in metres: dissected hills, flat valley floors and a plain."""
    km = 1000 / plan.spacing
    rough = smooth_noise(rng, plan.shape, 2.5 * km, 3.4)
    ridges = -np.abs(smooth_noise(rng, plan.shape, 1.6 * km, 3.0)) * 0.9
    z = rough + ridges + smooth_noise(rng, plan.shape, 0.35 * km, 3.2) * 0.12
    floor = np.quantile(z, plan.flat)
    z = np.where(z < floor, floor + 0.03 * (z - floor), z)
    z = ndimage.gaussian_filter(z, 25 / plan.spacing)
    steep = np.radians(np.quantile(slope_of(z, plan.spacing)[0], 0.9))
    return np.asarray(z * np.tan(np.radians(plan.steep + 8)) / np.tan(steep) + 300, np.float32)


def slope_of(z: NDArray[np.floating], spacing: float) -> tuple[Field, Field, Field]:
    """Slope in degrees, and the gradient down the rows and along the columns."""
    down, along = np.gradient(z.astype(float), spacing)
    return np.degrees(np.arctan(np.hypot(down, along))), down, along


def local_incidence(down: Field, along: Field, incidence: float, look_east: bool) -> Field:
    """Angle between the ground's normal and the way to the radar, degrees."""
    x, y = np.sin(np.radians(incidence)) * _to_radar(look_east)
    cosine = -down * y - along * x + np.cos(np.radians(incidence))
    cosine = cosine / np.sqrt(1 + along**2 + down**2)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1))).astype(np.float32)


def _to_radar(look_east: bool) -> NDArray[np.float64]:
    """The way to the radar along the columns and down the rows, of length 1."""
    side = -1.0 if look_east else 1.0  # a radar that looks east stands in the west
    to = np.array([side * np.cos(np.radians(10)), side * np.sin(np.radians(10)) * 0.5])
    return np.asarray(to / np.hypot(*to))


def hidden(dem: Field, plan: Plan) -> NDArray[np.bool_]:
    """Where slopes lie over towards the radar (layover) or turn away from it (shadow)."""
    _, down, along = slope_of(dem, plan.spacing)
    x, y = _to_radar(plan.look_east)
    facing = -np.degrees(np.arctan(along * x + down * y))
    return np.asarray((facing >= plan.incidence) | (facing <= plan.incidence - 90))


@dataclass
class Land:
    """What covers the ground."""

    cover: NDArray[np.intp]
    """Index into NAMES."""
    fields: NDArray[np.intp]
    """Number of the field."""
    count: int
    """How many fields there are."""
    levels: dict[str, Field]
    """Level by polarisation, dB."""

    def of(self, name: str) -> NDArray[np.bool_]:
        return self.cover == NAMES.index(name)


def land_cover(rng: Random, plan: Plan, dem: Field, slope: Field) -> Land:
    """Forest on slopes, fields on plains, bare summits, towns, water in the lowest places."""
    shape = slope.shape
    cover = np.full(shape, NAMES.index("grass"))
    woods = smooth_noise(rng, shape, 120, 2.6) + np.clip(slope - 12, -8, 8) * 0.12
    cover[woods > np.quantile(woods, 1 - plan.forest)] = NAMES.index("forest")
    alpine = smooth_noise(rng, shape, 150, 2.6) + (dem - dem.mean()) / dem.std() * 0.5
    cover[alpine > np.quantile(alpine, 0.96)] = NAMES.index("bare")
    plain = smooth_noise(rng, shape, 200, 2.6)
    flat = ndimage.uniform_filter(slope, 9) < 6
    cover[flat & (plain > -0.4)] = NAMES.index("field")
    cover[flat & (smooth_noise(rng, shape, 40, 2.2) > 2.0)] = NAMES.index("town")
    low = dem + 6 * smooth_noise(rng, shape, 60, 2.6)
    cover[flat & (low < np.quantile(low, 0.03))] = NAMES.index("water")
    fields, count = patchwork(rng, shape, int(rng.uniform(120, 260) / plan.spacing) + 3)
    return Land(cover, fields, count, _levels(rng, plan, cover, fields, count))


def _levels(
    rng: Random, plan: Plan, cover: NDArray[np.intp], fields: NDArray[np.intp], count: int
) -> dict[str, Field]:
    patch = rng.normal(0, 1.3, (2, count))
    texture = smooth_noise(rng, cover.shape, 30, 1.6)
    levels = {}
    for i, band in enumerate(("vv", "vh")):
        level = np.array([COVERS[name][i] for name in NAMES])[cover] + plan.level
        own = 0.7 * texture + 0.5 * smooth_noise(rng, cover.shape, 12, 1.4)
        own += np.where(cover == NAMES.index("field"), patch[i][fields], 0)
        own += np.where(
            cover == NAMES.index("town"), 2.5 * smooth_noise(rng, cover.shape, 3, 1.0), 0
        )
        levels[band] = (level + own).astype(np.float32)
    return levels
