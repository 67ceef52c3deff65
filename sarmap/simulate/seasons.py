"""When the passes of a drawn world are, and what each of them shares over the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarmap.simulate.physics import Physics

__all__ = ["Season", "draw_seasons", "draw_times"]

Chance = np.random.Generator

LARGEST_SHIFT = 2.0
"""dB."""
STORM = 0.08
"""Chance of a soaked scene per pass; at the first pass after the event it is four times as high."""


@dataclass(frozen=True)
class Season:
    """What one pass has all over the scene."""

    shift: tuple[float, float]
    """Level shift of VV and VH, dB."""
    drift: float
    """Strength of its regional drift, dB (standard deviation)."""
    wet: float
    """Brightness of open ground by moisture, dB."""
    leaves: float
    """Leaf state of broadleaved stands, dB on VH."""
    frozen: bool
    """Whether forest is frozen."""
    snow: float
    """Snow line as a share of the relief."""
    wet_snow: bool
    """Whether the snow melts: then it is dark."""
    wind: float
    """Brightness of water, dB."""
    slope: float
    """Brightness of slopes beyond the lasting one, dB per 10 degrees."""
    field: int
    """Seed of the fields' states."""


def draw_times(rng: Chance, physics: Physics) -> tuple[NDArray[np.datetime64], np.datetime64]:
    """Instants of the passes (time,), UTC, and of the event between two of them.

    Examples
    --------
    >>> times, event = draw_times(np.random.default_rng(1), Physics.draw(1, before=2, after=1))
    >>> bool(times[1] < event < times[2])
    True
    """
    day = np.timedelta64(86_400, "s")
    event = np.datetime64("2015-01-01T00:00:00", "s") + int(rng.integers(0, 4000)) * day
    event = event + np.timedelta64(int(rng.integers(0, 86_400)), "s")

    def steps(count: int) -> NDArray[np.int64]:
        skipped = rng.geometric(1 - physics.gap, count) - 1
        return np.asarray(np.cumsum(1 + np.minimum(skipped, 4)), np.int64)

    first = float(rng.uniform(0.05, 0.95)) * physics.repeat
    late = first + physics.repeat * (steps(physics.after) - 1)
    early = first - physics.repeat * steps(physics.before)
    days = np.concatenate([early[::-1], late])
    return event + (days * 86_400).astype("timedelta64[s]"), event


def draw_seasons(rng: Chance, physics: Physics, times: NDArray[np.datetime64]) -> list[Season]:
    """Draw what each pass shares over the scene."""
    year = (times - times[0]).astype(float) / 86_400 / 365.25 * 2 * np.pi
    phase = rng.uniform(0, 2 * np.pi)
    return [
        _season(rng, physics, first_after=n == physics.before, leaf=float(np.cos(angle + phase)))
        for n, angle in enumerate(year)
    ]


def _season(rng: Chance, physics: Physics, *, first_after: bool, leaf: float) -> Season:
    own = rng.standard_normal(2) * physics.shift
    own *= 1 + (rng.random() < 0.06) * 2  # single passes step further
    r = physics.shift_shared
    shift = np.clip(
        [own[0], r * own[0] + np.sqrt(1 - r * r) * own[1]], -LARGEST_SHIFT, LARGEST_SHIFT
    )
    storm = rng.random() < STORM * (4 if first_after else 1)
    return Season(
        shift=(float(shift[0]), float(shift[1])),
        drift=physics.drift,
        wet=float(rng.normal(0, physics.wet_soil) + storm * rng.uniform(1, 3)),
        leaves=physics.leaves * leaf,
        frozen=bool(rng.random() < physics.frozen),
        snow=float(physics.snow + rng.normal(0, 0.07)) if physics.snow < 1.3 else 2.0,
        wet_snow=bool(rng.random() < 0.5),
        wind=float(rng.normal(0, 2.5)),
        slope=float(rng.normal(0, physics.slope_unsteady)),
        field=int(rng.integers(1 << 30)),
    )
