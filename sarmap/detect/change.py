"""`change`: landslides as change that the place's own noise does not explain. No weights.

The levelled change of VV and VH (`sarmap.compose.evidence`) is averaged over a landslide's width
and set against the noise of a quiet change of this very place. Both signs count, since bare debris
is brighter than forest where it faces the radar and darker where it looks away, and both
polarisations count together. At two widths, so that a small landslide is not averaged away and a
weak one not lost in speckle.

Slope is a weak prior: on ground below some five degrees a change has to be a little larger, never
more, so that a runout on flat ground stays. The probability is fitted to the place (`fitted`): one
half where so much more ground changes than between passes before the event that seven tenths of it
cannot be quiet (the false discovery rate of Efron 2004, JASA 99, 96-104), and a logistic of the
distance from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sarmap.types import Kind, Scaling

Pixels = NDArray[np.float32]

WIDTHS = (1.0, 2.2)
"""Standard deviations of the two averages, pixels."""
GAIN = (0.5, 1.0)
"""Noise over 80 m divided by that over each width: 2.2 px average as many pixels as a cell of 8."""
RANGE = (3.2, 5.0)
"""Least and most threshold that is fitted, in noise."""
FALSE = 0.3
"""Share of the changes beyond the threshold that may be quiet ground."""
FEWEST, SOME = 1000, 5
"""Cells below which nothing is fitted, and changed ones below which there are none."""
FLAT, FLATTER = 5.0, 1.5
"""Slope at which half of the prior acts, and the scale of its step, degrees."""


@dataclass(frozen=True)
class Change:
    """The `change` detector: evidence ``[1, y, x, band]`` to a probability 0 to 1.

    >>> ground = np.zeros((1, 30, 30, 5), np.float32)
    >>> ground[..., 2:4], ground[..., 4] = 0.3, 25  # noise of VV and VH, slope
    >>> ground[0, 10:20, 10:20, 0] = -3  # a landslide that darkens VV
    >>> Change()(ground)[0, [15, 15], [15, 28]].round(2)
    array([1., 0.], dtype=float32)
    """

    threshold: float = 4.5
    """Change, in noise, that is a landslide as likely as not."""
    softness: float = 0.6
    """Scale of the logistic around it, in noise."""
    flat: float = 1.0
    """How much larger a change on flat ground has to be, in noise."""

    name: ClassVar[str] = "change"
    bands: ClassVar[tuple[str, ...]] = (
        "vv_levelled_change",
        "vh_levelled_change",
        "vv_change_noise",
        "vh_change_noise",
        "slope",
    )
    scaling: ClassVar[Scaling] = "db"
    normalisation: ClassVar[str] = "none"
    kind: ClassVar[Kind] = "pixel"
    engine: ClassVar[str] = "numpy"
    precision: ClassVar[str] = "f32"

    @property
    def halo(self) -> int:
        """Radius at which the wider average is cut, pixels."""
        return int(np.ceil(3 * max(WIDTHS)))

    @property
    def provenance(self) -> dict[str, str | int | float]:
        """Its parameters, for a result's attributes."""
        return {
            "change_threshold": round(self.threshold, 3),
            "change_softness": self.softness,
            "change_flat": self.flat,
        }

    def fitted(self, quiet: NDArray[np.float32], event: NDArray[np.float32], bands: int) -> Change:
        """The same with the threshold beyond which three tenths of the changes may be quiet.

        `quiet` and `event` are sizes of changes of so many bands on the coarse lattice, in noise:
        between passes before the event, and across it. Without enough quiet ones the noise is taken
        for Gaussian.

        >>> quiet = np.abs(np.random.default_rng(1).normal(size=20_000)).astype("f4")
        >>> Change().fitted(quiet, quiet, 1).threshold  # nothing happened
        5.0
        """
        from scipy.special import gammaincc

        if event.size < FEWEST:
            return self
        for threshold in np.arange(*RANGE, 0.05):
            beyond = float((event > threshold).mean())
            if quiet.size >= FEWEST:
                expected = float((quiet > threshold).mean())
            else:
                expected = float(gammaincc(bands / 2, threshold**2 / 2))  # chi
            if beyond * event.size >= SOME and expected <= FALSE * beyond:
                return replace(self, threshold=float(round(threshold, 2)))
        return replace(self, threshold=RANGE[1])

    def __call__(self, tiles: Pixels) -> Pixels:
        """Probability of every pixel, float32 ``[n, y, x]``; NaN where any band is missing."""
        return np.stack([self._answer(tile) for tile in tiles])

    def _answer(self, tile: Pixels) -> Pixels:
        vv, vh, vv_noise, vh_noise, slope = np.moveaxis(tile, -1, 0)
        there = np.isfinite(vv)
        weights: list[Any] = [np.float32(1)] * len(WIDTHS)  # as a filter of ones gives, too
        if not there.all():
            weights = [_smooth(there.astype(np.float32), width) for width in WIDTHS]
        size = np.zeros(vv.shape, np.float32)
        for width, gain, weight in zip(WIDTHS, GAIN, weights, strict=True):
            one = [
                _smooth(np.where(there, change, np.float32(0)), width) / (weight + 1e-6) / noise
                for change, noise in ((vv, vv_noise), (vh, vh_noise))
            ]
            size = np.fmax(size, np.float32(gain) * np.hypot(*one))
        needed = self.threshold + self.flat / (1 + np.exp((slope - FLAT) / FLATTER))
        answer = 1 / (1 + np.exp(np.clip((needed - size) / self.softness, -50, 50)))
        return np.where(there, answer, np.nan).astype(np.float32)


def _smooth(image: Pixels, width: float) -> Pixels:
    from scipy.ndimage import gaussian_filter

    # each value is summed in the same order wherever it lies: no trace of the block is left
    smooth: Pixels = gaussian_filter(image, width, radius=int(np.ceil(3 * width)), mode="nearest")
    return smooth


@dataclass(frozen=True)
class LogRatio:
    """The `log-ratio` detector: ``[1, y, x, (vv_pre, vv_post_1, slope)]`` to a score 0 to 1.

    >>> before_after_slope = np.float32([[[[0.1, 0.1, 30.0], [0.1, 0.5, 30.0], [0.1, 0.5, 0.0]]]])
    >>> LogRatio(smoothing=0)(before_after_slope).round(2)
    array([[[0.05, 1.  , 0.01]]], dtype=float32)
    """

    threshold_db: float = 1.5
    """Absolute change of smoothed VV that scores one half, dB; with `smoothing`, the best of a
    grid on a simulated event (seed 14: F1 0.39, precision 0.43, recall 0.35)."""
    softness_db: float = 0.5
    """Width of that step, dB: the scale of a logistic."""
    slope_threshold: float = 10.0
    """Slope that scores one half, degrees."""
    slope_softness: float = 2.0
    """Width of that step, degrees: the scale of a logistic."""
    smoothing: float = 2.5
    """Standard deviation of the Gaussian that averages power, pixels; 0: none."""

    name: ClassVar[str] = "log-ratio"
    bands: ClassVar[tuple[str, ...]] = ("vv_pre", "vv_post_1", "slope")
    scaling: ClassVar[Scaling] = "power"
    normalisation: ClassVar[str] = "none"
    kind: ClassVar[Kind] = "pixel"
    engine: ClassVar[str] = "numpy"
    precision: ClassVar[str] = "f32"

    @property
    def halo(self) -> int:
        """Radius at which the Gaussian is cut: three standard deviations, pixels."""
        return int(np.ceil(3 * self.smoothing))

    @property
    def provenance(self) -> dict[str, str | int | float]:
        """Its parameters, for a result's attributes."""
        return {
            "log_ratio_threshold_db": self.threshold_db,
            "log_ratio_softness_db": self.softness_db,
            "log_ratio_slope_threshold": self.slope_threshold,
            "log_ratio_slope_softness": self.slope_softness,
            "log_ratio_smoothing": self.smoothing,
        }

    def __call__(self, tiles: Pixels) -> Pixels:
        """Score of every pixel, float32 ``[n, y, x]``; NaN where any band is missing."""
        return np.stack([self._score(tile) for tile in tiles])

    def _score(self, tile: Pixels) -> Pixels:
        """Score of one tile ``[y, x, band]``."""
        before, after, slope = np.moveaxis(tile, -1, 0)
        ratio = self._smooth(after) / self._smooth(before)
        change = np.abs(np.float32(10) * np.log10(ratio))
        score: Pixels = _step(change, self.threshold_db, self.softness_db)
        score *= _step(slope, self.slope_threshold, self.slope_softness)
        return score

    def _smooth(self, power: Pixels) -> Pixels:
        """Gaussian mean of the positive values around each pixel; NaN where it has none itself."""
        there = power > 0  # False for NaN; power of 0 or less is no measurement
        known = np.where(there, power, np.float32(0))
        weight = self._gaussian(there.astype(np.float32))
        none = np.full_like(power, np.nan)
        return np.divide(self._gaussian(known), weight, out=none, where=there)

    def _gaussian(self, image: Pixels) -> Pixels:
        if not self.smoothing:
            return image
        from scipy.ndimage import gaussian_filter

        # each value is summed in the same order wherever it lies: no trace of the block is left
        smooth: Pixels = gaussian_filter(image, self.smoothing, radius=self.halo, mode="nearest")
        return smooth


def _step(values: Pixels, threshold: float, softness: float) -> Pixels:
    """Logistic step from 0 to 1 that is one half at the threshold."""
    with np.errstate(over="ignore"):  # far below the threshold exp overflows, and 1 / inf is 0
        step = 1 / (1 + np.exp((np.float32(threshold) - values) / np.float32(softness)))
    return np.asarray(step, np.float32)
