"""Whether levels can be those of linear power, or are likely amplitude or digital numbers.

A file seldom says what its numbers are, and amplitude read as power halves every change. Three
things give it away together, and none alone (figures of Sentinel-1 over land; real power of OPERA
RTC-S1 at 115 sites has a gap of 4.8 dB or more, and its 5 % brightest begin at -7.5 dB):

- *level*: amplitude of forest or town lies at -3 to -5 dB, as if all of it were a dense city;
- *gap*: VV lies 5 to 10 dB above VH in power, half of that in amplitude;
- *speckle*: the logarithm of amplitude scatters half as much, which is four times the looks.

Dark ground alone, one polarisation, or filtered images leave it open: that is said, and mapped as
it was told. Decibel are known by their signs before anything else (`sarmap.acquire.values`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sarmap.compose.lattice import Lattice
from sarmap.errors import RequestError

DIGITAL = 10.0
"""Median level, dB, that no power reaches: numbers above it were never scaled."""
BRIGHT = -6.5
"""Median VV level, dB, above which land is hardly seen in power."""
CLOSE, OPEN = 4.5, 5.2
"""VV above VH, dB: below the first power is not seen, below the second seldom."""
LOOKS_AT_10_M = 4.4
"""Looks of power at 10 m (ground range detected, IW)."""
SMOOTH = 1.5
"""Times those looks that unfiltered power does not show; amplitude shows four times its own."""


def check_power(lattice: Lattice, looks: float | None) -> str:
    """Refuse (RequestError, which names what they likely are, and the setting that reads it) levels
    that cannot be power, in dB as if they were; a clause on why they may be amplitude where it
    stays open, empty where nothing speaks for it.

    `looks` are those that speckle shows at single pixels; None: not known.

    >>> levels = {"vv": np.full((2, 4, 4), -4.0), "vh": np.full((2, 4, 4), -7.3)}
    >>> check_power(Lattice(levels, (0,), (1,), None, None, (32, 32), 10.0), 18.0)
    Traceback (most recent call last):
    ...
    sarmap.errors.RequestError: The values of pass 1 cannot be power: VV lies at -4.0 dB and 3.3 \
dB above VH, and speckle is 4 times too smooth. They are likely amplitude: give \
scaling='amplitude' (--scaling amplitude; a catalogue's setting scaling).
    """
    doubts = []
    for number in range(len(next(iter(lattice.levels.values())))):
        level = {band: _median(levels[number]) for band, levels in lattice.levels.items()}
        _refuse_digital(level, number)
        if "vv" in level:
            gap = level["vv"] - level.get("vh", math.nan)
            doubts.append(_amplitude(level["vv"], gap, _smoother(looks, lattice.spacing), number))
    return next(filter(None, doubts), "")


def _refuse_digital(level: dict[str, float], number: int) -> None:
    for band, value in level.items():
        if value > DIGITAL:
            raise RequestError(
                f"The values of pass {number + 1} cannot be power: half of {band.upper()} lies "
                f"above {10 ** (value / 10):,.0f}. They are likely digital numbers: give "
                "scaling='dn' (--scaling dn) for files that say their factor, or scale them first."
            )


def _amplitude(level: float, gap: float, smoother: float, number: int) -> str:
    """Why one pass may be amplitude, as a clause; refused where all three speak for it."""
    bright, smooth = level > BRIGHT, smoother > SMOOTH
    if bright and smooth and gap < CLOSE:
        raise RequestError(
            f"The values of pass {number + 1} cannot be power: VV lies at {level:.1f} dB and "
            f"{gap:.1f} dB above VH, and speckle is {smoother:.0f} times too smooth. They are "
            "likely amplitude: give scaling='amplitude' (--scaling amplitude; a catalogue's "
            "setting scaling)."
        )
    open_gap = gap < (OPEN if smooth else CLOSE)
    if open_gap or (math.isnan(gap) and bright and smooth):
        beside = "" if math.isnan(gap) else f" and {gap:.1f} dB above VH"
        where = f"VV lies at {level:.1f} dB{beside}"
        return f"the values may be amplitude and were read as power ({where})"
    return ""


def _smoother(looks: float | None, spacing: float) -> float:
    """How many times the looks that power of that spacing shows; NaN where looks are not known.

    Coarser pixels are means of finer ones, and ground that changes between passes takes from it.

    >>> round(_smoother(18.0, 10.0), 1), round(_smoother(18.0, 30.0), 1)
    (4.1, 1.1)
    """
    expected = LOOKS_AT_10_M * max(spacing / 10, 1.0) ** 1.2
    return math.nan if looks is None else looks / expected


def _median(values: NDArray[np.float32]) -> float:
    seen = values[np.isfinite(values)]
    return float(np.median(seen)) if seen.size else math.nan
