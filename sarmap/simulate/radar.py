"""Backscatter of the simulated ground: classes, slopes, change, speckle.

Gamma-nought after radiometric terrain correction. Forest: VV -7.3 dB, VH -13.2 dB (Sen12Landslides
patches over Hokkaido). Forest scatters from its volume, so gamma-nought hardly depends on the
slope; bare soil scatters from its surface, bright towards the radar and dark away from it. That is
why the change a landslide makes depends on where its slope looks, and why the orbit that sees most
slides on far slopes sees more of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.geometry import View
from sarmap.simulate.landcover import Cover, LandCover
from sarmap.simulate.noise import band_noise, fractal_noise

__all__ = ["LOOKS", "Ground", "backscatter", "make_ground", "speckle"]

Field = NDArray[np.float32]

LOOKS = 4.4
"""Equivalent number of looks of IW GRD at high resolution (sar:looks_equivalent_number)."""
SPECKLE_BIAS = 0.51
"""dB by which the mean of the logarithm of 4.4-look speckle lies below zero."""
SPECKLE_SIDE = 0.28
"""Weight of the neighbours against the pixel itself: correlation 0.48 at one pixel, 0.07 at two."""
NOISE_FLOOR = {"vv": 10**-2.3, "vh": 10**-2.5}
"""Noise-equivalent gamma-nought, power."""
LEVELS: Mapping[Cover, tuple[float, float]] = {
    Cover.SEA: (-17.0, -24.5),
    Cover.RIVER: (-16.0, -23.5),
    Cover.FOREST: (-7.3, -13.2),
    Cover.FIELD: (-10.3, -17.0),
    Cover.TOWN: (-3.0, -11.0),
    Cover.CLEARING: (-9.2, -15.6),
}
"""Mean level of each class in dB: VV, VH."""
CHANGE_SHARE = {"vv": 1.0, "vh": 0.42}
"""How much of the change from forest to bare ground each polarisation shows."""


@dataclass(frozen=True)
class Ground:
    """Everything about the scene that no track and no date changes."""

    land: LandCover
    """Classes, plots and stands."""
    sea: NDArray[np.bool_]
    """Sea pixels too far from the shore to be delivered."""
    slide: NDArray[np.int32]
    """Number of the landslide that covers each pixel, 0 none."""
    strength: Field
    """Share of the forest lost at each pixel of a landslide, 0 elsewhere."""
    roughness: Field
    """Landslide to landslide difference of the bare ground, dB."""
    windthrow: Field
    """Share of the forest that the typhoon before the event laid down; 0 elsewhere."""
    texture: Mapping[str, Field]
    """Lasting texture within the classes, dB, by polarisation."""


def make_ground(
    rng: np.random.Generator,
    land: LandCover,
    offshore: Field,
    slide: NDArray[np.int32],
    changed: NDArray[np.bool_],
) -> Ground:
    """Decide what stays the same between passes, and what the event changed.

    Parameters
    ----------
    rng
        Source of randomness.
    land
        Land cover before the event.
    offshore
        Metres seaward of the shore (y, x).
    slide
        Number of the landslide at each pixel (y, x), 0 none.
    changed
        Whether each landslide changed the backscatter clearly.

    Returns
    -------
    Ground
    """
    shape = (slide.shape[0], slide.shape[1])
    count = len(changed)
    whole = np.where(changed, rng.uniform(0.55, 1.2, count), rng.uniform(0.0, 0.12, count))
    each = np.concatenate(([0.0], whole)).astype(np.float32)
    rough = np.concatenate(([0.0], rng.normal(0, 1.1, count))).astype(np.float32)
    left_over = fractal_noise(rng, shape, slope=0.9, longest=16, shortest=2) > 0.95
    strength = each[slide] * np.where(left_over, np.float32(0.15), np.float32(1.0))
    gusts = band_noise(rng, shape, 9) + 0.9 * band_noise(rng, shape, 160)
    fallen = np.clip((gusts - 3.0) / 0.6, 0, 1) * (land.cover == Cover.FOREST) * (slide == 0)
    shared = 0.3 * land.stand
    return Ground(
        land=land,
        sea=offshore > 250.0,
        slide=slide,
        strength=strength,
        roughness=rough[slide],
        windthrow=fallen.astype(np.float32),
        texture={
            "vv": shared + _grain(rng, land, 0.25),
            "vh": shared + _grain(rng, land, 0.25),
        },
    )


def _grain(rng: np.random.Generator, land: LandCover, forest: float) -> Field:
    """Lasting fine texture, dB: little in forest and fields, point scatterers in towns."""
    grain = rng.standard_normal(land.cover.shape, dtype=np.float32)
    town = land.cover == Cover.TOWN
    grain *= np.where(town, np.float32(3.2), np.float32(forest))
    grain += np.where(land.cover == Cover.FIELD, 2.2 * (land.plot - 0.5), 0).astype(np.float32)
    grain += np.where(town, 5.0 * (land.plot - 0.5), 0).astype(np.float32)
    return grain


def speckle(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Multiplicative speckle of 4.4 looks, correlated over about two pixels.

    A smoothed Gaussian field through the Wilson-Hilferty approximation of the gamma distribution
    (Wilson & Hilferty 1931, PNAS 17, 684-688).

    Examples
    --------
    >>> field = speckle(np.random.default_rng(1), (400, 400))
    >>> round(float(field.mean()), 2), round(float(field.mean() ** 2 / field.var()), 1)
    (1.0, 4.4)
    """
    white = rng.standard_normal((shape[0] + 2, shape[1] + 2), dtype=np.float32)
    side = np.float32(SPECKLE_SIDE)
    rows = side * (white[:-2] + white[2:]) + white[1:-1]
    both = side * (rows[:, :-2] + rows[:, 2:]) + rows[:, 1:-1]
    both *= np.float32(1 / (1 + 2 * SPECKLE_SIDE**2))  # back to unit variance, both axes
    both *= np.float32(1 / (3 * np.sqrt(LOOKS)))
    both += np.float32(1 - 1 / (9 * LOOKS))
    np.maximum(both, np.float32(0.02), out=both)
    return np.asarray(both**3, dtype=np.float32)


def _slope_brightness(view: View) -> Field:
    """What terrain correction leaves of the slopes' brightness, dB."""
    left = 1.6 * (np.cos(np.radians(view.local_incidence)) - np.float32(0.75))
    return np.asarray(np.clip(left, -1.0, 0.5) + 1.5 * view.layover, dtype=np.float32)


def _bare_minus_forest(view: View, roughness: Field) -> Field:
    """Change of VV from forest to bare ground, dB: up to the radar, down away from it.

    A slope that faces the radar is foreshortened: its cells hold more of their surroundings.
    """
    away = view.local_incidence - np.float32(36.0)
    change = np.clip(-3.1 - 0.11 * away + roughness, -7.0, 4.5)
    own = np.sin(np.radians(view.local_incidence)) / np.float32(np.sin(np.radians(36.0)))
    return np.asarray(change * np.clip(own, 0.15, 1.0), dtype=np.float32)


def _fields(
    rng: np.random.Generator, land: LandCover, when: dt.datetime, event: dt.datetime
) -> Field:
    """State of each field at a date, dB on VV: crops ripen, are cut, soil is worked and wetted."""
    step = 4096
    plots = (land.plot * np.float32(step)).astype(np.int16)
    days = (when - event).total_seconds() / 86_400
    # the plot's own number decides on its harvest, so it is the same for every pass and track
    own = np.random.default_rng(11).permutation(step + 1) / step
    cut = days > 45 * own - 12
    state = rng.normal(0, 1.1, step + 1) - 2.2 * cut
    return state.astype(np.float32)[plots]


def backscatter(
    rng: np.random.Generator,
    ground: Ground,
    view: View,
    polarisation: str,
    when: dt.datetime,
    event: dt.datetime,
) -> Field:
    """Gamma-nought of one pass.

    Parameters
    ----------
    rng
        Source of randomness of this pass and polarisation.
    ground
        The scene.
    view
        What the track sees of it.
    polarisation
        'vv' or 'vh'.
    when, event
        Instants of the pass and of the landslides, UTC.

    Returns
    -------
    float32 (y, x), linear power, NaN over the open sea.
    """
    land, shape = ground.land, ground.slide.shape
    second = polarisation == "vh"
    levels = np.zeros(len(Cover), np.float32)
    for cover, both in LEVELS.items():
        levels[cover] = both[second]
    vegetated = np.isin(land.cover, (Cover.FOREST, Cover.CLEARING))
    db = levels[land.cover] + ground.texture[polarisation] + np.float32(SPECKLE_BIAS)
    db += _slope_brightness(view) * (land.cover >= Cover.FOREST)
    db += np.float32(rng.normal(0, 0.1))
    weather = fractal_noise(rng, (shape[0], shape[1]), slope=0.8, longest=60, shortest=3)
    db += np.where(vegetated, np.float32(0.45), np.float32(0.3)) * weather
    fields = _fields(rng, land, when, event)
    db += np.where(land.cover == Cover.FIELD, fields * (1.2 if second else 1.0), 0)
    db += np.where(land.cover == Cover.RIVER, rng.normal(0, 1.2), 0)
    if when > event - dt.timedelta(days=1.2):
        db -= ground.windthrow * np.float32(1.6 if second else 1.9)
    if when > event:
        change = _bare_minus_forest(view, ground.roughness) * ground.strength
        share = np.float32(CHANGE_SHARE[polarisation])
        db += change * share - (np.float32(0.5) * ground.strength if second else 0)
    power = np.power(np.float32(10), db * np.float32(0.1))
    power[view.shadow] = 0
    power += np.float32(NOISE_FLOOR[polarisation])
    power *= speckle(rng, (shape[0], shape[1]))
    power[ground.sea] = np.nan
    return np.asarray(power, dtype=np.float32)
