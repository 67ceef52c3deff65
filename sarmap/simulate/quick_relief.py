"""Relief of a drawn world in a tenth of a second: ridges, carved valleys, plains, coasts.

Sums of fractal noise and of its absolute value (ridged and carved noise: Musgrave, Kolb & Mace
1989, SIGGRAPH, section 4), bent by a smooth displacement, so that valleys join like rivers do.
Nothing flows in it: `sarmap.simulate.terrain` erodes, in a hundred times the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.simulate.geometry import Track, see
from sarmap.simulate.noise import fractal_noise
from sarmap.simulate.physics import Physics
from sarmap.simulate.terrain import slope_aspect

__all__ = ["Hills", "cut_dem", "flooded", "quick_relief", "see_hills"]

Field = NDArray[np.float32]

STEEPEST = 1.3
"""Tangent that slopes of the highest percent end at."""


@dataclass(frozen=True)
class Hills:
    """The ground's shape and what one track sees of it, all (y, x)."""

    height: Field
    """Metres."""
    slope: Field
    """Degrees."""
    aspect: Field
    """Degrees clockwise from north, downhill."""
    gradient: tuple[Field, Field]
    """Tangents towards east and north."""
    incidence: Field
    """Local incidence, degrees."""
    layover: NDArray[np.bool_]
    """Pixels that share their range with others."""
    shadow: NDArray[np.bool_]
    """Pixels the radar does not reach."""


def _valleys(rng: np.random.Generator, shape: tuple[int, int], physics: Physics) -> Field:
    """Valleys or ridges along the zero lines of noise, at five scales, each on the one before."""
    total = np.zeros(shape, np.float32)
    weight = np.ones(shape, np.float32)
    sharp_ridges = rng.random() < 0.5
    for octave in range(5):
        longest = physics.valleys / physics.spacing / 2.1**octave
        if longest < 3:
            break
        noise = np.abs(fractal_noise(rng, shape, slope=2.0, longest=2 * longest, shortest=3))
        carved = np.minimum(noise / 1.5, 1.5)
        if sharp_ridges:
            carved = np.maximum(1 - carved, 0) ** np.float32(1.2)
        total += carved * weight * np.float32(2.1 ** -(octave * (physics.roughness - 1)))
        weight = np.clip(0.3 + carved, 0.2, 1.0)  # valley floors stay smooth
    return total


def _bent(rng: np.random.Generator, field: Field, reach: float) -> Field:
    """A field displaced smoothly by some pixels."""
    from scipy import ndimage

    shape = (field.shape[0], field.shape[1])
    places = np.indices(shape, dtype=np.float32)
    for axis in (0, 1):
        places[axis] += np.float32(reach) * fractal_noise(rng, shape, slope=2.0)
    return np.asarray(ndimage.map_coordinates(field, places, order=1, mode="mirror"))


def _levelled(height: Field, plain: float) -> Field:
    """The lowest part of a relief made nearly flat, as rivers fill their valleys."""
    if plain <= 0:
        return height
    floor = np.quantile(height[::4, ::4], plain)
    return np.asarray(np.where(height < floor, floor + 0.03 * (height - floor), height))


def quick_relief(rng: np.random.Generator, shape: tuple[int, int], physics: Physics) -> Field:
    """Heights of a drawn place.

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        Rows and columns.
    physics
        Its spacing, steepness, roughness, ridges and plain count.

    Returns
    -------
    float32 (y, x), metres above the lowest ground.

    Examples
    --------
    >>> height = quick_relief(np.random.default_rng(1), (64, 64), Physics.draw(1))
    >>> height.shape, float(height.min())
    ((64, 64), 0.0)
    """
    from scipy import ndimage

    wide = 3 * physics.valleys / physics.spacing
    large = fractal_noise(rng, shape, slope=2.2, longest=max(wide, max(shape) / 2))
    rounded = fractal_noise(rng, shape, slope=physics.roughness, longest=wide)
    carved = _bent(rng, _valleys(rng, shape, physics), reach=rng.uniform(3, 12))
    share = np.float32(physics.ridges)
    height = share * carved / max(float(carved.std()), 1e-6) + (1 - share) * rounded
    height = height + np.float32(rng.uniform(0.1, 1.2)) * large
    height = _levelled(height, physics.plain)
    height = ndimage.gaussian_filter(height, 12.0 / physics.spacing)
    down, east = np.gradient(height, np.float32(physics.spacing))
    tangent = np.hypot(down, east)[::2, ::2]
    hilly = tangent[tangent > np.quantile(tangent, min(physics.plain, 0.8))]
    factor = np.tan(np.radians(physics.steepness)) / max(float(np.quantile(hilly, 0.9)), 1e-6)
    factor = min(factor, STEEPEST / max(float(np.quantile(hilly, 0.99)), 1e-6))
    height = (height - height.min()) * np.float32(factor)
    return np.asarray(height, dtype=np.float32)


def cut_dem(
    rng: np.random.Generator, dem: Field, dem_spacing: float, shape: tuple[int, int], spacing: float
) -> Field:
    """A window of a real elevation model at a world's spacing, at a random place, maybe mirrored.

    Parameters
    ----------
    rng
        Source of randomness.
    dem
        Metres (y, x), without gaps.
    dem_spacing, spacing
        Pixel edges of the model and of the world, metres.
    shape
        Rows and columns of the world.

    Returns
    -------
    float32 (y, x), metres.

    Raises
    ------
    RequestError
        The model is smaller than the world, or has gaps.

    Examples
    --------
    >>> ramp = np.broadcast_to(np.arange(200, dtype=np.float32), (150, 200))
    >>> cut_dem(np.random.default_rng(1), ramp, 30.0, (64, 64), 20.0).shape
    (64, 64)
    """
    from scipy import ndimage

    step = spacing / dem_spacing
    need = [int(np.ceil(n * step)) + 2 for n in shape]
    if need[0] > dem.shape[0] or need[1] > dem.shape[1]:
        raise RequestError(
            f"The elevation model of {dem.shape} px is too small: {tuple(need)} px are needed."
        )
    row, column = (
        int(rng.integers(0, have - n + 1)) for have, n in zip(dem.shape, need, strict=True)
    )
    part = dem[row : row + need[0], column : column + need[1]]
    if not np.isfinite(part).all():
        raise RequestError("The elevation model has gaps; fill them first.")
    part = part[:: 1 if rng.random() < 0.5 else -1, :: 1 if rng.random() < 0.5 else -1]
    places = np.indices(shape, dtype=np.float32) * np.float32(step)
    return np.asarray(ndimage.map_coordinates(part, places, order=1, mode="nearest"), np.float32)


def flooded(rng: np.random.Generator, height: Field, physics: Physics) -> Field:
    """A relief whose lowest ground, a share up to the law's `water`, lies under level water."""
    if physics.water <= 0:
        return height
    level = np.quantile(height[::4, ::4], physics.water * rng.uniform(0, 1))
    return np.asarray(np.maximum(height, level), np.float32)


def see_hills(height: Field, physics: Physics) -> Hills:
    """Slope, aspect, and what the world's track sees: local incidence, layover, shadow."""
    slope, aspect, east, north = slope_aspect(height, physics.spacing)
    track = Track("drawn", 1, physics.look - 90.0, physics.incidence, "drawn")
    view = see(track, height, east, north, physics.spacing)
    return Hills(
        height, slope, aspect, (east, north), view.local_incidence, view.layover, view.shadow
    )
