"""A clear Sentinel-2 view of the simulated ground some weeks after the event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.landcover import Cover
from sarmap.simulate.noise import fractal_noise
from sarmap.simulate.radar import Ground

__all__ = ["OPTICAL_BANDS", "reflectance"]

Field = NDArray[np.float32]

OPTICAL_BANDS = ("B04", "B03", "B02")
"""Red, green and blue."""

_COLOURS = {
    Cover.SEA: (0.022, 0.034, 0.048),
    Cover.RIVER: (0.045, 0.058, 0.055),
    Cover.FOREST: (0.034, 0.050, 0.027),
    Cover.FIELD: (0.088, 0.088, 0.056),
    Cover.TOWN: (0.125, 0.120, 0.112),
    Cover.CLEARING: (0.066, 0.074, 0.040),
}
_BARE = (0.165, 0.130, 0.092)
_FALLEN = (0.060, 0.060, 0.038)


def reflectance(
    rng: np.random.Generator, ground: Ground, slope: Field, aspect: Field, band: int
) -> NDArray[np.uint16]:
    """Surface reflectance x 10,000 of one band: 0 red, 1 green, 2 blue.

    The sun stands where it does over Iburi on an October morning: 35 degrees high in the
    south-south-east. Returns uint16 (y, x); 0 would be no data and does not occur.
    """
    land = ground.land
    table = np.zeros(len(Cover), np.float32)
    for cover, colour in _COLOURS.items():
        table[cover] = colour[band]
    value = table[land.cover]
    green_field = (land.cover == Cover.FIELD) & (land.plot > 0.6)
    value = np.where(green_field, np.float32((0.05, 0.085, 0.035)[band]), value)
    plots = (land.cover == Cover.FIELD) | (land.cover == Cover.TOWN)
    value *= np.where(plots, 0.72 + 0.6 * ((land.plot * 7.3) % 1.0), 1.0).astype(np.float32)
    autumn = np.clip(0.5 * land.stand, -0.6, 1.0) * np.float32((0.40, 0.18, 0.05)[band])
    value *= np.where(land.cover == Cover.FOREST, 1 + autumn, 1).astype(np.float32)
    value += ground.windthrow * (np.float32(_FALLEN[band]) - value)
    bare = np.clip(ground.strength * 1.1, 0, 1) + 0.75 * (
        (ground.slide > 0) & (ground.strength < 0.2)
    )
    value += np.clip(bare, 0, 1) * (np.float32(_BARE[band]) - value)
    shape = (value.shape[0], value.shape[1])
    value *= 1 + np.float32(0.07) * fractal_noise(rng, shape, slope=0.5)
    value *= _sunlight(slope, aspect)
    return np.clip(value * 10_000, 1, 10_000).astype(np.uint16)


def _sunlight(slope: Field, aspect: Field, height: float = 35.0, azimuth: float = 160.0) -> Field:
    """Brightness of a slope against flat ground, with some light from the sky."""
    tilt, turn = np.radians(slope), np.radians(aspect - np.float32(azimuth))
    zenith = np.radians(90.0 - height)
    direct = np.cos(zenith) * np.cos(tilt) + np.sin(zenith) * np.sin(tilt) * np.cos(turn)
    lit = 0.35 + 0.65 * np.clip(direct, 0, None) / np.cos(zenith)
    return np.asarray(lit, dtype=np.float32)
