"""Several orbits' maps of one place into one, with where they disagree.

Ascending and descending passes see different slopes well, and some not at all; one map per orbit is
made from that orbit alone (the geometry differs: Nava et al. 2022, section 3.1), and only the
answers meet. That paper does not say how it combined the two. Here their odds are multiplied, as of
two witnesses of one thing: a slope that one of them cannot see has a low probability there, not
none, and must not outvote the orbit that sees it, as a mean would let it. An orbit that says
`NEUTRAL` leaves the others' answer as it is. Beside it stands the span between them, which shows
where one of them must be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.types import Observation

NEUTRAL = 1 / 3
"""Probability of one orbit that says nothing of the others' answer."""
_NEUTRAL_ODDS = np.float32(np.log(NEUTRAL / (1 - NEUTRAL)))
_SEVERITY = np.zeros(len(Observation), np.uint8)
_SEVERITY[Observation.LAYOVER_SHADOW] = 1
_SEVERITY[Observation.NO_DATA] = 2
_SEVERITY[Observation.READ_FAILED] = 3
_BY_SEVERITY = np.argsort(_SEVERITY).astype(np.uint8)


def fuse(predictions: Sequence[xr.Dataset]) -> xr.Dataset:
    """One map from the maps of several orbits on the same grid, lazily.

    Parameters
    ----------
    predictions
        Results of `sarmap.predict`, one per orbit, on the same grid.

    Returns
    -------
    ``probability``: of the orbits that observed the pixel, their odds multiplied, each but the
    first divided by those of `NEUTRAL`; NaN where none did;
    ``observation``: observed where any orbit did, else the most severe of the reasons (read_failed,
    no_data, layover_shadow); ``disagreement``: greatest minus least probability where at least two
    observed it, else NaN; ``observed_by`` (uint8): number of orbits that observed it;
    ``read_failed_in`` (uint8): number of orbits whose data could not be read there, since the
    observation no longer says so where another orbit has seen the pixel; and ``window_probability``
    likewise where every map has it. Attributes that agree are kept, ``scenes`` are joined, others
    become JSON lists.

    Raises
    ------
    RequestError
        No map at all, or maps on different grids.

    >>> def orbit(p, o):
    ...     layers = {"probability": ("x", np.float32(p)), "observation": ("x", np.uint8(o))}
    ...     return xr.Dataset(layers)
    >>> up, down = orbit([0.2, 0.4, np.nan], [0, 0, 3]), orbit([0.6, np.nan, np.nan], [0, 3, 1])
    >>> both = fuse([up, down])
    >>> both.probability.values.round(3), both.observation.values
    (array([0.429, 0.4  ,   nan], dtype=float32), array([0, 0, 1], dtype=uint8))
    >>> both.observed_by.values
    array([2, 1, 0], dtype=uint8)
    """
    maps = list(predictions)
    if not maps:
        raise RequestError("there is no map to fuse; give at least one")
    check_grids(maps)
    # one orbit may have been cut into other blocks than another
    maps = cast(list[xr.Dataset], list(xr.unify_chunks(*maps)))
    probabilities = [one["probability"] for one in maps]
    observations = [one["observation"] for one in maps]
    fused = xr.Dataset(
        {
            "probability": joined(_together, probabilities, np.float32),
            "observation": joined(observation_of, observations, np.uint8),
            "disagreement": joined(_span, probabilities, np.float32),
            "observed_by": joined(_observed, observations, np.uint8),
            "read_failed_in": joined(unread_in, observations, np.uint8),
        },
        attrs=merged_attributes([one.attrs for one in maps]),
    )
    if all("window_probability" in one for one in maps):
        windows = [one["window_probability"] for one in maps]
        fused["window_probability"] = joined(_together, windows, np.float32)
    _describe(fused, maps[0])
    return fused


def check_grids(maps: Sequence[xr.Dataset]) -> None:
    """Refuse maps that do not lie pixel on pixel."""
    first = maps[0]
    for number, other in enumerate(maps[1:], start=2):
        if dict(first["probability"].sizes) != dict(other["probability"].sizes):
            raise RequestError(
                f"map {number} has {dict(other['probability'].sizes)} pixels and map 1 "
                f"{dict(first['probability'].sizes)}; make both on the same grid"
            )
        for name in set(first.coords) | set(other.coords):
            if name not in first.coords or name not in other.coords:
                raise RequestError(f"only one of map 1 and map {number} has coordinate {name}")
            if not _same_place(first[name], other[name]):
                raise RequestError(
                    f"maps 1 and {number} differ in coordinate {name}; make both on the same grid"
                )


def _same_place(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Equal values, and for the CRS equal definitions."""
    if one.ndim == 0:
        return bool(one.attrs.get("crs_wkt") == other.attrs.get("crs_wkt"))
    return bool(np.array_equal(one.values, other.values))


# --- pixel by pixel ------------------------------------------------------------------------------


def joined(
    function: Any, layers: Sequence[xr.DataArray], dtype: type, **arguments: Any
) -> xr.DataArray:
    """A function of layers, block by block."""
    made: xr.DataArray = xr.apply_ufunc(
        function,
        *layers,
        kwargs=arguments,
        join="override",
        dask="parallelized",
        output_dtypes=[dtype],
    )
    return made


def _together(*layers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability by the product of the odds that are known; one alone as it is."""
    known = [~np.isnan(layer) for layer in layers]
    odds = sum(
        np.where(there, log_odds(layer) - _NEUTRAL_ODDS, np.float32(0))
        for layer, there in zip(layers, known, strict=True)
    )
    made = np.asarray(1 / (1 + np.exp(-odds - _NEUTRAL_ODDS)), np.float32)
    alone = reduce(np.fmax, layers)
    return np.where(np.sum(known, axis=0) < 2, alone, made)


def _span(*layers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Greatest minus least, NaN where fewer than two have a value."""
    least, greatest = layers[0], layers[0]
    count = np.zeros(layers[0].shape, np.uint8)
    for layer in layers:
        least, greatest = np.fmin(least, layer), np.fmax(greatest, layer)
        count += ~np.isnan(layer)
    return np.where(count >= 2, greatest - least, np.float32(np.nan)).astype(np.float32)


def observation_of(*layers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Observed where any is, else the most severe reason."""
    severity = _SEVERITY[layers[0]]
    seen = layers[0] == Observation.OBSERVED
    for layer in layers[1:]:
        severity = np.maximum(severity, _SEVERITY[layer])
        seen = seen | (layer == Observation.OBSERVED)
    return np.where(seen, np.uint8(Observation.OBSERVED), _BY_SEVERITY[severity])


def _observed(*layers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _count(layers, Observation.OBSERVED)


def unread_in(*layers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How many layers could not be read."""
    return _count(layers, Observation.READ_FAILED)


def _count(layers: Iterable[NDArray[np.uint8]], code: Observation) -> NDArray[np.uint8]:
    counted: NDArray[np.uint8] = np.sum([layer == code for layer in layers], axis=0, dtype=np.uint8)
    return counted


# --- attributes ----------------------------------------------------------------------------------


def merged_attributes(many: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    """Attributes of all maps: `scenes` joined, equal ones kept, others as a JSON list."""
    merged: dict[str, Any] = {}
    for key in dict.fromkeys(key for attrs in many for key in attrs):
        values = [attrs[key] for attrs in many if key in attrs]
        if key == "scenes":
            merged[key] = json.dumps(_united(values))
        elif key == "simulated":
            merged[key] = max(values)  # one simulated orbit makes a simulated map
        elif all(value == values[0] for value in values):
            merged[key] = values[0]
        elif key == "attribution":
            merged[key] = " ".join(dict.fromkeys(values))
        else:
            merged[key] = json.dumps(values)
    return merged


def _united(lists: Iterable[str]) -> list[Any]:
    """Records of several JSON lists, each once, in order."""
    united: list[Any] = []
    for text in lists:
        united += [record for record in json.loads(text) if record not in united]
    return united


def _describe(fused: xr.Dataset, first: xr.Dataset) -> None:
    """Attributes and the CRS's name on every variable, as the first map has them."""
    for name in ("probability", "observation", "window_probability"):
        if name in fused:
            fused[name].attrs = dict(first[name].attrs)
    fused["disagreement"].attrs = {
        "long_name": "greatest minus least landslide probability of the orbits",
        "units": "1",
    }
    fused["observed_by"].attrs = {"long_name": "orbits that observed the pixel", "units": "1"}
    fused["read_failed_in"].attrs = {"long_name": "orbits that could not be read", "units": "1"}
    mapping = first["probability"].encoding.get("grid_mapping")
    if mapping:
        for variable in fused.data_vars.values():
            variable.encoding["grid_mapping"] = mapping


# --- a network and what changed -------------------------------------------------------------------


Odds = NDArray[np.float32]

MOST = np.float32(3.0)
"""Log-odds that `change` counts for at most."""


def join(network: Odds, change: Odds, share: float) -> Odds:
    """Log-odds of both, of which those of `change` weigh `share`, 0 to below 1.

    >>> join(np.float32([2.0]), np.float32([-9.0]), 0.3).round(1).tolist()
    [0.5]
    """
    said = np.clip(change, -MOST, MOST)
    return np.asarray(np.float32(1 - share) * network + np.float32(share) * said, np.float32)


def log_odds(probability: NDArray[np.float32]) -> Odds:
    """Logarithm of p / (1 - p), kept within what float32 tells apart.

    >>> log_odds(np.float32([0.5, 1.0])).round().tolist()
    [0.0, 9.0]
    """
    inside = np.clip(probability, np.float32(1e-4), np.float32(1 - 1e-4))
    return np.asarray(np.log(inside / (1 - inside)), np.float32)
