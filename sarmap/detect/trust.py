"""What a map's input is like, set against what its detector learnt from: when not to be trusted.

A network answers anything. What it was trained on is written in its manifest as ranges of measures
(`made_for`), computed from the training scenes by the very function that measures a map's input
here; outside of them its answer is a guess, and a note says so in words that a responder can use.

Measures (`measure`), all of the event's own passes:

===============  ==================================================================================
``level``        median VV (or HH) before the event, dB
``gap``          median VV minus VH, dB; half of it in amplitude taken for power
``looks``        equivalent number of looks, from the ratio of two passes, ground's own change in it
``correlation``  of that ratio between neighbouring pixels: 0 raw, near 1 despeckled
``spacing``      metres from pixel to pixel
``incidence``    median local incidence, degrees
``before``       passes before the event
``after``        passes after it
``season``       days of the year between the middle of those before and of those after
``offset``       largest offset of a pass after the event, dB
``uneven``       spread of the change that kinds of ground show as a whole, dB
``noise``        standard deviation of a quiet change of 80 m, dB; judged by nobody
``jump``         pixels by which a pass, or a part of it, lies off the others and is not mended
``patch``        largest area that changed as one by 2.5 dB and more, km2, water left out
``restless``     share of quiet ground (passes before the event) beyond 5 times its noise, percent
===============  ==================================================================================
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.compose.lattice import CELL, Lattice
from sarmap.compose.levelling import Levelling, change_of

Field = NDArray[np.float32]

MEASURES: Mapping[str, tuple[str, str]] = {
    "level": ("dB", "the ground is {side} than any that the network learnt from"),
    "gap": (
        "dB",
        "VV and VH lie {side} apart than in C-band power: are the values amplitude, or L-band?",
    ),
    "looks": ("looks", "the images are {side} than those that the network learnt from"),
    "correlation": ("", "neighbouring pixels are {side} alike than in images it learnt from"),
    "spacing": ("m", "pixels are {side} than those that the network learnt from"),
    "incidence": ("degrees", "the radar looks {side} than the network learnt"),
    "before": ("passes", "there are {side} passes before the event than the network learnt from"),
    "after": ("passes", "there are {side} passes after the event than the network learnt from"),
    "season": ("days", "before and after are of {side} seasons than the network learnt from"),
    "offset": ("dB", "a whole pass moved {side} than the network learnt: snow, flood or rain"),
    "uneven": ("dB", "kinds of ground changed as a whole, {side} than the network learnt"),
    "jump": ("px", "a pass, or a part of it, lies {side} than a pixel off the others"),
    "patch": ("km2", "a patch {side} than landslides changed as one: snow, flood, fire or fields"),
    "restless": ("%", "ground where nothing happened changes {side} than the network learnt"),
}
"""Measure -> its unit, and what being outside its range means."""
_SIDES: Mapping[str, tuple[str, str]] = {
    "level": ("darker", "brighter"),
    "gap": ("closer", "farther"),
    "looks": ("noisier", "smoother"),
    "correlation": ("less", "more"),
    "spacing": ("finer", "coarser"),
    "incidence": ("steeper", "flatter"),
    "before": ("fewer", "more"),
    "after": ("fewer", "more"),
    "season": ("closer", "other"),
    "offset": ("less", "farther"),
    "uneven": ("less", "more"),
    "jump": ("less", "more"),
    "patch": ("smaller", "larger"),
    "restless": ("less", "more"),
}
USUAL = (-25.0, -6.5)
"""VV of land in power, dB: what lies above may be amplitude."""
BEYOND = 5.0
"""Quiet change, in noise, that counts as restless."""
SLACK = 0.15
"""Share of a range by which a measure may lie outside: it is itself uncertain."""
RATIOS = ("looks",)
"""Measures whose range is one of ratios: from 2 to 40 looks, one look lies far outside."""
NO_LEAST = ("correlation", "offset", "uneven", "jump", "patch", "restless", "season")
"""Measures of which less is never a reason to doubt."""
PATCH = {"patch": (0.0, 3.0)}
"""Area that may change as one, km2, whatever a network learnt from: landslides reach 1 km2."""
AS_ONE, AROUND = 2.5, 5
"""Mean change over a square of so many cells that counts for a patch, dB."""
DARK = -17.0
"""VV of water, dB: what changes there is wind."""
NO_MOST = ("before", "after")
"""Measures of which more is none."""
ANYWHERE = ("gap", "jump", "offset", "patch", "scaling", "uneven")
"""Measures that speak against any comparison of passes, not only against a network's."""


@dataclass(frozen=True)
class Note:
    """One measure outside what a detector learnt from."""

    code: str
    """Name of the measure."""
    measured: float
    """What it is here."""
    low: float
    """Least that the detector learnt from."""
    high: float
    """Most that it learnt from."""
    text: str
    """The same for a person."""


@dataclass(frozen=True)
class Trust:
    """Whether a detector was made for an input, and what speaks against it."""

    fits: bool
    """True where nothing does."""
    notes: tuple[Note, ...]
    """What does."""
    measures: Mapping[str, float]
    """All that was measured."""

    def record(self) -> dict[str, Any]:
        """As plain values: fits, notes (code, measured, low, high, text) and measures."""
        return {
            "fits": self.fits,
            "notes": [
                {
                    "code": note.code,
                    "measured": _round(note.measured),
                    "low": _round(note.low),
                    "high": _round(note.high),
                    "text": note.text,
                }
                for note in self.notes
            ],
            "measures": {name: _round(value) for name, value in self.measures.items()},
        }


def trust_in(measures: Mapping[str, float], made_for: Mapping[str, tuple[float, float]]) -> Trust:
    """Measures against the ranges that a detector was made for.

    >>> found = trust_in({"offset": 3.2, "spacing": 10.0}, {"offset": (0.0, 2.0)})
    >>> found.fits, found.notes[0].text
    (False, 'a whole pass moved farther than the network learnt: snow, flood or rain (3.2 dB; \
it learnt 0.0 to 2.0)')
    """
    notes = []
    made_for = {**made_for, **PATCH}
    for code, (low, high) in made_for.items():
        value = measures.get(code)
        if code in RATIOS:
            slack = (high / max(low, 0.5)) ** SLACK
            low, high = low / slack, high * slack
        else:
            slack = SLACK * (high - low)
            low, high = low - slack, high + slack
        low = -np.inf if code in NO_LEAST else low
        high = np.inf if code in NO_MOST else high
        if value is None or low <= value <= high:
            continue
        unit, said = MEASURES[code]
        text = said.format(side=_SIDES[code][value > high])
        low, high = made_for[code]
        figures = f"{_round(value)} {unit}".strip()
        text = f"{text} ({figures}; it learnt {_round(low)} to {_round(high)})"
        notes.append(Note(code, value, low, high, text))
    return Trust(not notes, tuple(notes), dict(measures))


def doubted(trust: Trust, doubt: str, code: str = "scaling") -> Trust:
    """The same with a doubt about what the values are; as it is where there is none.

    >>> doubted(Trust(True, (), {"level": -9.0}), "recorded in L-band", "wavelength").fits
    False
    """
    if not doubt:
        return trust
    level = trust.measures.get("level", float("nan"))
    note = Note(code, level, *USUAL, doubt)
    return Trust(False, (*trust.notes, note), trust.measures)


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def measure(
    cube: xr.Dataset, lattice: Lattice, levelling: Levelling, quiet: Field
) -> dict[str, float]:
    """Measures of an input that it allows, from the lattice, and from pixels of a few squares (see
    the module). `quiet` are sizes of changes between its passes before the event, in noise; empty:
    too few passes.
    """
    co = next((band for band in ("vv", "hh") if band in lattice.levels), None)
    if co is None:
        return {}
    found = {
        "spacing": lattice.spacing,
        "before": float(len(lattice.pre)),
        "after": float(len(lattice.post)),
        **_levels(lattice, co),
        **_offsets(lattice, levelling),
        "noise": _median(levelling.noise[co]),
        "patch": _patch(lattice, levelling, co),
        **_pixels(lattice),
    }
    if lattice.displaced.remaining is not None:
        found["jump"] = lattice.displaced.remaining
    if quiet.size >= 1000:
        found["restless"] = 100 * float((quiet > BEYOND).mean())
    season = _season(cube, lattice)
    if season is not None:
        found["season"] = season
    if lattice.incidence is not None:
        found["incidence"] = _median(lattice.incidence)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _levels(lattice: Lattice, co: str) -> dict[str, float]:
    before = {band: _median(levels[list(lattice.pre)]) for band, levels in lattice.levels.items()}
    cross = next((band for band in ("vh", "hv") if band in before), None)
    gap = {} if cross is None else {"gap": before[co] - before[cross]}
    return {"level": before[co], **gap}


def _median(values: Field) -> float:
    seen = values[np.isfinite(values)]
    return float(np.median(seen)) if seen.size else float("nan")


def _offsets(lattice: Lattice, levelling: Levelling) -> dict[str, float]:
    post = list(lattice.post)
    largest = max(float(np.abs(one[post]).max()) for one in levelling.offsets.values())
    uneven = max(float(np.ptp(change)) for change in levelling.expected.values())
    return {"offset": largest, "uneven": uneven}


def _patch(lattice: Lattice, levelling: Levelling, co: str) -> float:
    """Largest area that changed as one, km2, among ground that is no water."""
    from scipy.ndimage import label, uniform_filter

    before = lattice.levels[co][list(lattice.pre)]
    change = change_of(lattice, levelling, co)
    ground = np.isfinite(change) & (np.nan_to_num(before, nan=-99).max(axis=0) > DARK)
    mean = uniform_filter(np.where(ground, change, np.float32(0)), AROUND, mode="constant")
    cell = (CELL * lattice.spacing) ** 2 / 1e6
    sizes = [
        np.bincount(label(side & ground)[0].ravel())[1:] for side in (mean > AS_ONE, mean < -AS_ONE)
    ]
    return float(max((one.max() for one in sizes if one.size), default=0) * cell)


def _season(cube: xr.Dataset, lattice: Lattice) -> float | None:
    """Days of the year between the middles of the passes before and after; None: no times."""
    if cube.attrs.get("times", "as given") != "as given" or cube["time"].dtype.kind != "M":
        return None
    days = cube["time"].values.astype("datetime64[D]").astype(np.int64)
    turns = np.exp(2j * np.pi * days / 365.25)  # passes of several years have one season too
    middle = [turns[list(side)].mean() for side in (lattice.pre, lattice.post)]
    return float(abs(np.angle(middle[1] / middle[0])) / (2 * np.pi) * 365.25)


# --- pixels --------------------------------------------------------------------------------------


def _pixels(lattice: Lattice) -> dict[str, float]:
    """Looks and correlation, from squares of pixels of the last pass before and those after.

    The ratio of two passes of one ground is speckle and what the ground changed between them; what
    lasts cancels. Its bulk counts, so that landslides do not.
    """
    squares = [square[[lattice.pre[-1], *lattice.post]] for square in lattice.squares]
    squares = [one for one in squares if np.isfinite(one).all(axis=0).mean() > 0.5]
    ratios = [square[1] - square[0] for square in squares]
    values = np.concatenate([one[np.isfinite(one)] for one in ratios]) if ratios else np.empty(0)
    spread = _spread(values) if values.size >= 500 else 0.0
    if not spread:  # too few, or one file given as both
        return {}
    beside = np.concatenate([np.diff(one, axis=1).ravel() for one in ratios])
    beside = beside[np.isfinite(beside)]
    return {"looks": _looks(spread), "correlation": 1 - _spread(beside) ** 2 / (2 * spread**2)}


def _spread(values: NDArray[Any]) -> float:
    middle = np.median(values)
    return 1.4826 * float(np.median(np.abs(values - middle)))


def _looks(spread: float) -> float:
    """Looks whose ratio of two independent passes, in dB, spreads so much.

    The logarithm of speckle of L looks has the variance trigamma(L).

    >>> round(_looks(10 / np.log(10) * np.sqrt(2 * 0.2554)), 1)
    4.4
    """
    from scipy.special import polygamma

    variance = (spread * np.log(10) / 10) ** 2 / 2
    if variance >= polygamma(1, 0.5):
        return 0.5
    if variance <= polygamma(1, 500.0):
        return 500.0
    # in steps of 1e-4: scipy.optimize, for one root, is the slowest import of a map
    steps = range(5_000, 5_000_000)
    return steps[bisect(steps, -variance, key=lambda step: -polygamma(1, step / 1e4)) - 1] / 1e4
