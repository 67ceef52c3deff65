"""How the fields of `Physics` are drawn; their ranges and sources stand in `Physics`."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from sarmap.errors import RequestError
from sarmap.simulate.landcover import Cover
from sarmap.simulate.radar import CHANGE_SHARE, LEVELS, LOOKS

__all__ = ["FAMILIES", "draw_fields", "iburi_fields", "stream"]

Chance = np.random.Generator

FAMILIES = ("both_down", "both_up", "vv_up_vh_down", "vh_only")
"""What a landslide does to VV and VH, in the order of `Physics.mix`."""


def stream(seed: int, *purpose: str) -> Chance:
    """A source of randomness of its own for each purpose, so that order changes nothing.

    Examples
    --------
    >>> bool(stream(3, "a").random() == stream(3, "a").random())
    True
    """
    return np.random.default_rng([seed, *(zlib.crc32(word.encode()) for word in purpose)])


def _log(low: float, high: float) -> Callable[[Chance], float]:
    return lambda rng: float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _even(low: float, high: float) -> Callable[[Chance], float]:
    return lambda rng: float(rng.uniform(low, high))


def _seldom(share: float, low: float, high: float) -> Callable[[Chance], float]:
    """Nought, and in some share of the worlds between two numbers."""
    return lambda rng: float(rng.uniform(low, high)) if rng.random() < share else 0.0


def _one_of(values: tuple[Any, ...], weights: tuple[float, ...]) -> Callable[[Chance], Any]:
    return lambda rng: values[int(rng.choice(len(values), p=weights))]


def _looks(rng: Chance) -> float:
    return float(np.exp(rng.uniform(np.log(2.5), np.log(12.0))))


def _incidence(rng: Chance) -> float:
    return float(rng.uniform(30, 46) if rng.random() < 0.67 else rng.uniform(20, 46))


def _look(rng: Chance) -> float:
    tilt = float(rng.uniform(-9, 7))  # latitude turns the track
    return (78.0 + tilt) if rng.random() < 0.5 else (282.0 - tilt)


def _steepness(rng: Chance) -> float:
    return float(rng.uniform(8, 16) if rng.random() < 0.15 else rng.uniform(16, 45))


def _scatter(rng: Chance) -> tuple[float, float]:
    vv = float(rng.uniform(0.1, 1.1))
    return vv, vv * float(rng.uniform(1.0, 1.8))


def _forest_weight(rng: Chance) -> float:
    return float(rng.uniform(0.7, 1.0) if rng.random() < 0.6 else rng.uniform(0.0, 0.7))


def _levels(rng: Chance) -> tuple[tuple[float, float], ...]:
    """Levels in the order of `Ground`: water, forest, grass, bare, dry, field, town, snow."""
    place = rng.normal(0, 1.3)  # one calibration and climate for all covers of a place
    middles = (-17.0, -7.3, -10.0, -10.5, -13.0, -10.5, -4.5, -12.0)
    spreads = (1.5, 1.9, 1.8, 2.0, 2.2, 1.5, 1.5, 2.5)
    lower = ((5, 8), (5, 8), (6, 8.5), (6.5, 9.5), (7, 10), (6, 8.5), (6, 9), (5, 9))
    found = []
    for middle, spread, (low, high) in zip(middles, spreads, lower, strict=True):
        vv = float(np.clip(middle + place + rng.normal(0, spread), -20.0, -1.0))
        found.append((vv, vv - float(rng.uniform(low, high))))
    forest = float(np.clip(found[1][0], -16.0, -4.0))
    found[1] = (forest, forest - float(rng.uniform(5, 8)))
    return tuple(found)


def _mix(rng: Chance) -> tuple[float, float, float, float]:
    shares = rng.gamma(12 * np.array([0.60, 0.29, 0.06, 0.05]) + 0.05)
    both_down, both_up, apart, vh_only = (float(share) for share in shares / shares.sum())
    return both_down, both_up, apart, vh_only


def _vh_share(rng: Chance) -> float:
    return float(rng.uniform(0.65, 1.2) if rng.random() < 0.6 else rng.uniform(0.2, 0.65))


def _land_share(rng: Chance) -> float:
    return 0.0 if rng.random() < 1 / 7 else _log(0.0002, 0.2)(rng)


def _noise_floor(rng: Chance) -> tuple[float, float]:
    vv = float(rng.uniform(-26, -21))
    return vv, vv - float(rng.uniform(0, 2))


_LAWS: dict[str, Callable[[Chance], Any]] = {
    "spacing": _one_of((10.0, 20.0, 30.0), (0.4, 0.25, 0.35)),
    "looks": _looks,
    "speckle_correlation": _even(0.0, 0.7),
    "despeckled": _seldom(1 / 14, 0.8, 1.8),
    "cross_speckle": _even(0.0, 0.2),
    "blur": _even(4, 12),
    "noise_floor": _noise_floor,
    "incidence": _incidence,
    "look": _look,
    "jitter": _seldom(0.6, 0.0, 0.3),
    "outliers": _seldom(0.6, 0.0, 3e-4),
    "border": _seldom(0.4, 0.0, 0.25),
    "before": _one_of((1, 2, 3, 4, 5, 6, 7, 8), (0.16, 0.16, 0.13, 0.13, 0.13, 0.11, 0.09, 0.09)),
    "after": _one_of((1, 2, 3, 4), (0.3, 0.35, 0.2, 0.15)),
    "repeat": _one_of((6, 12), (0.35, 0.65)),
    "gap": _seldom(0.6, 0.0, 0.4),
    "shift": _even(0.1, 0.6),
    "shift_shared": _even(0.2, 0.98),
    "drift": _seldom(0.75, 0.0, 0.5),
    "forest": _forest_weight,
    "grass": _even(0, 1),
    "dry": _seldom(0.35, 0, 1),
    "fields": _even(0, 1),
    "towns": _even(0, 0.15),
    "water": _seldom(0.67, 0, 0.25),
    "tree_line": _even(0.5, 1.5),
    "levels": _levels,
    "stand": _even(0.2, 1.2),
    "texture": _even(0.2, 2.0),
    "scatter": _scatter,
    "slope_brightness": _even(-1.2, 0.6),
    "slope_unsteady": _even(0, 0.15),
    "steepness": _steepness,
    "valleys": _log(500, 4000),
    "roughness": _even(1.8, 2.5),
    "ridges": _even(0, 1),
    "plain": _seldom(0.6, 0, 0.7),
    "wet_soil": _even(0.2, 1.6),
    "leaves": _even(-1.5, 1.5),
    "frozen": _seldom(1 / 12, 0.05, 0.3),
    "snow": lambda rng: float(rng.uniform(0.4, 1.0)) if rng.random() < 0.15 else 1.4,
    "felling": _seldom(0.5, 0, 0.012),
    "fire": _seldom(1 / 12, 0.005, 0.08),
    "flood": _seldom(0.2, 0.02, 0.4),
    "harvest": _even(0.8, 3),
    "facing": _even(0, 1),
    "strength": lambda rng: float(np.clip(4.0 * np.exp(0.35 * rng.standard_normal()), 1.8, 8)),
    "strength_spread": _even(0.25, 0.6),
    "vh_share": _vh_share,
    "facing_law": _even(0, 1.6),
    "canopy": _seldom(0.7, 3, 35),
    "walls": _even(2, 9),
    "wetness": _even(0, 1.5),
    "weak": _even(0.05, 0.25),
    "remnants": _even(0, 0.2),
    "mottle": _even(0.3, 1.6),
    "delay": _seldom(0.25, 0.2, 0.9),
    "healing": _even(0, 0.1),
    "open_share": _even(0.35, 0.9),
    "land_share": _land_share,
    "area": _log(1_200, 15_000),
    "area_spread": _even(0.6, 1.3),
    "elongation": _even(1.6, 7),
    "steepest_first": _even(18, 38),
    "gentle": _seldom(0.75, 0, 0.5),
    "clustering": _even(0, 2),
    "outline_error": _even(2, 15),
    "geometry_error": _even(-18, 12),
}
"""Each field's law; the family and its shares are drawn together."""

_FAMILY_SHARES = {
    "mixed": 0.55,
    "both_down": 0.15,
    "both_up": 0.1,
    "vv_up_vh_down": 0.1,
    "vh_only": 0.1,
}


def draw_fields(seed: int, family: str | None = None) -> dict[str, Any]:
    """Every field of a drawn `Physics`; the family may be given.

    Raises RequestError where the family is unknown.
    """
    drawn = {name: law(stream(seed, "physics", name)) for name, law in _LAWS.items()}
    rng = stream(seed, "physics", "family")
    chosen = str(rng.choice(list(_FAMILY_SHARES), p=list(_FAMILY_SHARES.values())))
    chosen = chosen if family is None else family
    if chosen not in _FAMILY_SHARES:
        raise RequestError(f"family={chosen!r} must be one of {', '.join(_FAMILY_SHARES)}.")
    alone = tuple(float(name == chosen) for name in FAMILIES)
    return drawn | {"family": chosen, "mix": _mix(rng) if chosen == "mixed" else alone}


def iburi_fields() -> dict[str, Any]:
    """The fields of `Physics.iburi`: those of the simulator's own radar, and its ground."""
    of = {cover: LEVELS[cover] for cover in Cover}
    middle = draw_fields(0, "both_down")
    return middle | {
        "spacing": 10.0,
        "looks": LOOKS,
        "speckle_correlation": 0.48,
        "despeckled": 0.0,
        "cross_speckle": 0.0,
        "blur": 0.0,
        "noise_floor": (-23.0, -25.0),
        "incidence": 35.9,
        "look": 78.4,
        "jitter": 0.0,
        "outliers": 0.0,
        "border": 0.0,
        "before": 5,
        "after": 2,
        "repeat": 12,
        "gap": 0.0,
        "shift": 0.1,
        "shift_shared": 0.0,
        "drift": 0.0,
        "forest": 1.0,
        "grass": 0.08,
        "dry": 0.0,
        "fields": 0.8,
        "towns": 0.04,
        "water": 0.03,
        "tree_line": 1.5,
        "levels": (
            of[Cover.SEA],
            of[Cover.FOREST],
            of[Cover.CLEARING],
            of[Cover.CLEARING],
            of[Cover.CLEARING],
            of[Cover.FIELD],
            of[Cover.TOWN],
            of[Cover.CLEARING],
        ),
        "stand": 0.3,
        "texture": 0.25,
        "scatter": (0.45, 0.45),
        "slope_brightness": -0.2,
        "slope_unsteady": 0.0,
        "steepness": 28.0,
        "valleys": 900.0,
        "roughness": 2.0,
        "ridges": 1.0,
        "plain": 0.2,
        "wet_soil": 0.2,
        "leaves": 0.0,
        "frozen": 0.0,
        "snow": 1.4,
        "felling": 0.0,
        "fire": 0.0,
        "flood": 0.0,
        "harvest": 1.1,
        "facing": 0.0,
        "strength": 3.1,
        "strength_spread": 0.35,
        "vh_share": CHANGE_SHARE["vh"],
        "facing_law": 1.1,
        "canopy": 0.0,
        "walls": 0.0,
        "wetness": 0.0,
        "weak": 1 / 6,
        "remnants": 0.05,
        "mottle": 0.5,
        "delay": 0.0,
        "healing": 0.0,
        "open_share": 0.8,
        "land_share": 0.06,
        "area": 3_900.0,
        "area_spread": 1.2,
        "elongation": 3.2,
        "steepest_first": 27.5,
        "gentle": 0.0,
        "clustering": 0.8,
        "outline_error": 8.0,
        "geometry_error": 0.0,
    }
