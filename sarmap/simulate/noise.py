"""Seeded random fields: fractal noise with a power-law spectrum, and hashes of integer cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["band_noise", "cell_noise", "fractal_noise"]

Field = NDArray[np.float32]


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    slope: float = 1.0,
    longest: float = np.inf,
    shortest: float = 2.0,
) -> Field:
    """Gaussian noise whose amplitude spectrum falls as 1 / frequency ** `slope`.

    Spectral synthesis (Peitgen & Saupe 1988, The Science of Fractal Images, section 2.4.3).

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        Rows and columns.
    slope
        Exponent of the amplitude spectrum: 0 white, 1 pink, 2 smooth relief.
    longest, shortest
        Wavelengths kept, in pixels.

    Returns
    -------
    float32 (y, x), mean about 0, standard deviation 1.

    Examples
    --------
    >>> field = fractal_noise(np.random.default_rng(1), (64, 48), slope=2)
    >>> field.shape, round(float(field.std()), 3)
    ((64, 48), 1.0)
    """
    from scipy import fft

    padded = (fft.next_fast_len(shape[0]), fft.next_fast_len(shape[1], real=True))
    rows = np.fft.fftfreq(padded[0])[:, None].astype(np.float32)
    columns = np.fft.rfftfreq(padded[1])[None, :].astype(np.float32)
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1.0
    gain = frequency ** np.float32(-slope)
    gain[(frequency < 1.0 / longest) | (frequency > 1.0 / shortest)] = 0.0
    gain[0, 0] = 0.0
    spectrum = fft.rfft2(rng.standard_normal(padded, dtype=np.float32), overwrite_x=True)
    spectrum *= gain
    field: Field = fft.irfft2(spectrum, s=padded, overwrite_x=True)[: shape[0], : shape[1]]
    spread = float(field.std())
    return field * np.float32(1 / spread) if spread > 0 else field


def band_noise(
    rng: np.random.Generator, shape: tuple[int, int], wavelength: float, octaves: float = 1.0
) -> Field:
    """Noise of standard deviation 1 around one wavelength (pixels), made cheaply on a coarse grid.

    Examples
    --------
    >>> band_noise(np.random.default_rng(1), (50, 60), 20).shape
    (50, 60)
    """
    from scipy import ndimage

    step = max(1, int(wavelength // 4))
    coarse = (max(8, -(-shape[0] // step) + 6), max(8, -(-shape[1] // step) + 6))
    rough = fractal_noise(
        rng, coarse, slope=0.5, longest=wavelength * 2**octaves / step, shortest=wavelength / step
    )
    if step == 1:
        return rough[: shape[0], : shape[1]]
    fine: Field = ndimage.zoom(rough, step, order=3, mode="mirror", grid_mode=True)
    return np.ascontiguousarray(fine[step : step + shape[0], step : step + shape[1]])


def cell_noise(seed: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> Field:
    """Uniform number in [0, 1) of each integer cell: equal cells give equal numbers.

    The finaliser of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA, figure 14) over both indices.

    Examples
    --------
    >>> one, same, other = cell_noise(7, np.array([3, 3, 4]), np.array([5, 5, 5]))
    >>> bool(one == same), bool(one == other)
    (True, False)
    """
    with np.errstate(over="ignore"):
        state = (
            first.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            + second.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
            + np.uint64(seed) * np.uint64(0xD6E8FEB86659FD93)
        )
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return ((state >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)).astype(np.float32)
