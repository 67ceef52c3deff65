"""Random fields: smooth noise, speckle, a patchwork of fields, weather over tens of kilometres."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats
from scipy.spatial import cKDTree

__all__ = ["Field", "patchwork", "regional", "smooth_noise", "speckle"]

Field = NDArray[np.float32]
Random = np.random.Generator


def smooth_noise(rng: Random, shape: tuple[int, int], scale: float, power: float = 3.0) -> Field:
    """Noise of mean 0 and variance 1 whose spectrum falls off below wavelengths of `scale` px."""
    down, along = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    weight = (np.hypot(down, along) ** 2 + (1 / scale) ** 2) ** (-power / 2)
    weight[0, 0] = 0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * weight, s=shape)
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def speckle(rng: Random, shape: tuple[int, int], looks: float, correlation: float) -> Field:
    """Gamma noise of mean 1; neighbours correlated (0-0.7) in the normal field it is made from."""
    field = rng.standard_normal(shape, dtype=np.float32)
    if correlation > 0:
        side = (1 - np.sqrt(max(1 - 2 * correlation**2, 0.0))) / (2 * correlation)
        kernel = np.array([side, 1, side], np.float64) / np.sqrt(1 + 2 * side**2)
        for axis in (0, 1):
            field = ndimage.convolve1d(field, kernel.astype(np.float32), axis=axis, mode="wrap")
    return np.interp(field, *_gamma(looks)).astype(np.float32)


@cache
def _gamma(looks: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normal values, and the gamma values of the same probabilities."""
    grid = np.linspace(-5, 5, 2001)
    return grid, stats.gamma.ppf(stats.norm.cdf(grid), looks) / looks


def patchwork(rng: Random, shape: tuple[int, int], size: int) -> tuple[NDArray[np.intp], int]:
    """Number of the field that each pixel lies in, and how many there are: long, tilted, uneven."""
    count = int(shape[0] * shape[1] / size**2)
    points = rng.uniform(0, 1, (count, 2)) * shape
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = turn * np.array([[1.0], [1.8]])
    pixels = np.stack([rows.ravel(), columns.ravel()], 1)
    _, which = cKDTree(points @ stretch.T).query(pixels @ stretch.T, p=1)
    return which.reshape(shape), count


def regional(rng: Random, size: int, spacing: float) -> NDArray[np.float64]:
    """Unit variance over waves of 25-90 km, as seen in a square of `size` px of `spacing` m."""
    wave, angle, phase = rng.uniform(25, 90, 24), *rng.uniform(0, 2 * np.pi, (2, 24))
    at = 2j * np.pi * np.arange(size)[:, None] * (spacing / 1000) / wave
    total = np.exp(at * np.sin(angle) + 1j * phase) @ np.exp(at * np.cos(angle)).T
    return np.asarray(total.real / np.sqrt(12))
