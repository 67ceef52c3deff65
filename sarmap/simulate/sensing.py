"""One pass over a drawn world: lasting brightness, what the day adds, and the sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.disturbances import Disturbance
from sarmap.simulate.grain import correlated, white_to_speckle
from sarmap.simulate.noise import fractal_noise
from sarmap.simulate.patches import OPEN, Ground, Patches
from sarmap.simulate.physics import Physics
from sarmap.simulate.quick_relief import Hills
from sarmap.simulate.seasons import Season

__all__ = ["Scene", "sense"]

Field = NDArray[np.float32]
Chance = np.random.Generator

STATES = 4096
"""Distinct parcels."""
WIDE = 20_000.0
"""Metres over which a regional drift comes to its full size."""


@dataclass(frozen=True)
class Scene:
    """What stays the same over the passes."""

    lasting: tuple[Field, Field]
    """Brightness of VV and VH, dB (y, x)."""
    hills: Hills
    """The ground."""
    patches: Patches
    """Its cover."""
    disturbances: list[Disturbance]
    """Steps that are no landslides."""
    open_ground: Field
    """1 where rain brightens the soil, 0.1 under forest (y, x)."""
    step: NDArray[np.int64]
    """The pass from which each parcel is in its second state (STATES,)."""
    amount: NDArray[np.float32]
    """What that step adds to VV, dB (STATES,)."""
    sea_missing: bool
    """Whether water is no data, as makers mask the sea."""
    empty_side: float
    """Direction, radians, from which the swath's edge cuts the scene."""

    @classmethod
    def draw(
        cls,
        rng: Chance,
        physics: Physics,
        hills: Hills,
        patches: Patches,
        disturbances: list[Disturbance],
    ) -> Scene:
        """Draw the lasting brightness of a place, and when its fields are worked."""
        passes = physics.before + physics.after
        cover = patches.cover
        open_ground = np.where(np.isin(cover, OPEN), np.float32(1), np.float32(0))
        open_ground[cover == Ground.FOREST] = rng.uniform(0, 0.2)
        amount = rng.normal(0, physics.harvest, STATES) * (rng.random(STATES) < 0.6)
        return cls(
            lasting=_lasting(rng, physics, hills, patches),
            hills=hills,
            patches=patches,
            disturbances=disturbances,
            open_ground=open_ground,
            step=rng.integers(0, passes + 1, STATES),
            amount=amount.astype(np.float32),
            sea_missing=bool(rng.random() < 0.25),
            empty_side=float(rng.uniform(0, 2 * np.pi)),
        )


def _lasting(rng: Chance, physics: Physics, hills: Hills, patches: Patches) -> tuple[Field, Field]:
    """Levels, stands, texture, slopes and layover, dB: VV and VH."""
    shape = (hills.height.shape[0], hills.height.shape[1])
    levels = np.asarray(physics.levels, np.float32)
    rough = np.where(patches.cover == Ground.TOWN, np.float32(3.0), np.float32(physics.texture))
    rough[patches.cover == Ground.WATER] = 0.2
    same = correlated(rng, shape, 0.3)
    slopes = physics.slope_brightness * (hills.incidence - physics.incidence) / 10
    stand = np.float32(physics.stand) * patches.stand
    stand += 1.5 * (patches.parcel - 0.5) * (patches.cover == Ground.FIELD)
    both = stand + np.clip(slopes, -4.5, 4.5) * (patches.cover != Ground.WATER)
    both += rng.uniform(0, 3) * hills.layover
    found = []
    for which in (0, 1):
        grain = 0.7 * same + 0.7 * correlated(rng, shape, 0.3)
        broad = rng.normal(0, 0.7) * patches.broadleaved
        found.append(np.asarray(levels[patches.cover, which] + both + broad + rough * grain))
    return found[0].astype(np.float32), found[1].astype(np.float32)


def _weather(rng: Chance, physics: Physics, scene: Scene, season: Season) -> tuple[Field, Field]:
    """What the day adds over the scene, dB: VV and VH."""
    cover, incidence = scene.patches.cover, scene.hills.incidence
    shape = (cover.shape[0], cover.shape[1])
    across = min(max(max(shape) * physics.spacing / WIDE, 0.25), 1.0)
    drift = np.float32(season.drift * across) * _low_order(rng, shape)
    both = season.wet * scene.open_ground * (1 + 0.25 * scene.patches.stand)
    both += season.slope * (incidence - physics.incidence) / 10
    both += season.wind * (cover == Ground.WATER)
    if season.frozen:
        both -= rng.uniform(2, 4) * (cover == Ground.FOREST)
    snowy = np.clip((scene.patches.rank - season.snow) / 0.03, 0, 1) * (cover != Ground.WATER)
    both += snowy * (-rng.uniform(2, 6) if season.wet_snow else rng.uniform(-0.5, 1.5))
    leaves = season.leaves * scene.patches.broadleaved
    smooth = fractal_noise(rng, shape, slope=0.9, longest=2000 / physics.spacing)
    quiet = np.where(cover == Ground.WATER, 1.0, 0.6) * smooth
    vv = both + drift + season.shift[0] + 0.5 * leaves + physics.scatter[0] * quiet
    vh = both + drift * rng.uniform(0.5, 1.2) + season.shift[1] + leaves
    vh += physics.scatter[1] * quiet
    return np.asarray(vv, np.float32), np.asarray(vh, np.float32)


def _low_order(rng: Chance, shape: tuple[int, int]) -> Field:
    """A plane and a bend over the scene, standard deviation about 1, mean 0."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    a = rng.standard_normal(5).astype(np.float32)
    field = a[0] * x + a[1] * y + 0.7 * (a[2] * x * y + a[3] * (x * x - 1 / 3))
    return np.asarray(field + 0.7 * a[4] * (y * y - 1 / 3), np.float32)


def _fields(scene: Scene, season: Season, number: int) -> Field:
    """State of each field in a pass, dB (y, x): growth, and the step when it is worked."""
    state = np.random.default_rng(season.field).normal(0, 0.9, STATES).astype(np.float32)
    state += scene.amount * (number >= scene.step)
    which = (scene.patches.parcel * np.float32(STATES)).astype(np.int16)
    return np.asarray(state[which] * (scene.patches.cover == Ground.FIELD), np.float32)


def sense(
    rng: Chance,
    physics: Physics,
    scene: Scene,
    season: Season,
    number: int,
    added: tuple[Field, Field] | None,
) -> tuple[Field, Field]:
    """Power of one pass.

    Parameters
    ----------
    rng
        Source of randomness of this pass.
    physics, scene, season
        The law, the place and the day.
    number
        Which pass it is, from 0.
    added
        Change by landslides, dB: VV and VH (y, x); None before the event.

    Returns
    -------
    Two float32 (y, x): VV and VH, power, NaN where there is no data.
    """
    day = _weather(rng, physics, scene, season)
    fields = _fields(scene, season, number)
    normal = _normals(rng, physics, (fields.shape[0], fields.shape[1]))
    move = rng.normal(0, physics.jitter, 2) if physics.jitter > 0 else None
    missing = _missing(rng, physics, scene)
    found = []
    for which in (0, 1):
        db = scene.lasting[which] + day[which] + np.float32((1.0, 1.2)[which]) * fields
        for disturbance in scene.disturbances:
            if disturbance.first <= number <= disturbance.last:
                db += (disturbance.vv, disturbance.vh)[which]
        if added is not None:
            db += added[which]
        db += np.float32(0.8 * physics.scatter[which]) * rng.standard_normal(
            db.shape, dtype=np.float32
        )
        power = _power(db, scene, physics, which, move) * white_to_speckle(
            normal[which], physics.looks
        )
        found.append(_flawed(rng, physics, power, missing))
    return found[0], found[1]


def _normals(rng: Chance, physics: Physics, shape: tuple[int, int]) -> tuple[Field, Field]:
    """The noise that becomes speckle of VV and VH."""
    first = correlated(rng, shape, physics.speckle_correlation)
    second = correlated(rng, shape, physics.speckle_correlation)
    r = np.float32(physics.cross_speckle)
    return first, np.asarray(r * first + np.sqrt(1 - r * r) * second, np.float32)


def _power(
    db: Field, scene: Scene, physics: Physics, which: int, move: NDArray[np.float64] | None
) -> Field:
    """Power before speckle: shadow is dark, passes are a little misregistered, noise is added."""
    from scipy import ndimage

    power = np.power(np.float32(10), db * np.float32(0.1))
    power[scene.hills.shadow] = 0
    if move is not None:
        power = ndimage.shift(power, move, order=1, mode="nearest")
    power += np.float32(10 ** (physics.noise_floor[which] / 10))
    return np.asarray(power, np.float32)


def _missing(rng: Chance, physics: Physics, scene: Scene) -> tuple[Field, float] | None:
    """Distance in pixels from the swath's edge, negative outside; None where the pass is whole."""
    if rng.random() >= physics.border:
        return None
    rows, columns = scene.patches.cover.shape
    y, x = np.indices((rows, columns), dtype=np.float32)
    along = np.sin(scene.empty_side) * (y - rows / 2) + np.cos(scene.empty_side) * (x - columns / 2)
    reach = float(np.abs(along).max()) * rng.uniform(0.5, 0.95)
    return np.asarray(reach - along, np.float32), float(rng.uniform(0, 4))


def _flawed(
    rng: Chance, physics: Physics, power: Field, missing: tuple[Field, float] | None
) -> Field:
    """Smoothed by makers who despeckle, with isolated points, and cut at the swath's edge."""
    from scipy import ndimage

    if physics.despeckled > 0:
        power = ndimage.gaussian_filter(power, physics.despeckled, truncate=3.0)
    if physics.outliers > 0:
        count = int(rng.poisson(physics.outliers * power.size))
        where = rng.integers(0, power.size, count)
        power.ravel()[where] *= 10 ** (rng.uniform(-8, 15, count) / 10).astype(np.float32)
    if missing is not None:
        distance, width = missing
        faint = (distance < width) & (rng.random(power.shape) < 0.5)
        power[faint] *= np.float32(0.02)
        power[distance < 0] = np.nan
    return power
