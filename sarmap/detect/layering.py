"""Several orbits' maps of one place laid over one another: each pixel from the first that saw it.

A region is wider than a swath. Where the best orbit ends, the next one goes on; no answer is mixed,
and the layer `orbit` says whose each pixel is. (Two directions that see the same slope differently
are another matter: `sarmap.detect.fusion`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.detect.fusion import (
    check_grids,
    fuse,
    joined,
    merged_attributes,
    observation_of,
    unread_in,
)
from sarmap.errors import RequestError
from sarmap.types import Observation

_SPOILT = ("spoilt", "window_spoilt")


def join_orbits(
    parts: Sequence[xr.Dataset], orbits: Sequence[int] = (), kinds: Sequence[str] = ()
) -> tuple[xr.Dataset, list[xr.Dataset]]:
    """All orbits' maps as one, and of each where what its answers look at could not be read.

    Fused; given relative orbits, those of one kind (a direction) are laid over one another first.
    """
    spoilt = [part[names] for part in parts if (names := [n for n in _SPOILT if n in part])]
    maps = [part.drop_vars(_SPOILT, errors="ignore") for part in parts]
    for kind in dict.fromkeys(kinds):
        own = [number for number, one in enumerate(kinds) if one == kind]
        maps.append(lay_over([maps[n] for n in own], [orbits[n] for n in own]))
    maps = maps[len(kinds) :]
    dataset = maps[0] if len(maps) == 1 else fuse(maps)
    if len(maps) > 1:
        if "slope" in maps[0]:
            dataset["slope"] = maps[0]["slope"]
        for one in maps if orbits else ():
            dataset[f"orbit_{one.attrs['orbit_state']}"] = one["orbit"]
    return dataset, spoilt


def any_of(unread: list[xr.Dataset]) -> xr.Dataset | None:
    """Where any of these layers is set, each under its name; None where there are none."""
    layers: dict[Any, list[xr.DataArray]] = {}
    for one in unread:
        for name, layer in one.data_vars.items():
            layers.setdefault(name, []).append(layer.reset_coords(drop=True) > 0)
    if not layers:
        return None
    return xr.Dataset({name: reduce(or_, several) for name, several in layers.items()})


def lay_over(maps: Sequence[xr.Dataset], orbits: Sequence[int]) -> xr.Dataset:
    """One map from the maps of several relative orbits on the same grid, the preferred first,
    lazily.

    ``probability`` and ``observation`` are of the first orbit that observed the pixel; where none
    did, NaN and the most severe of the reasons (read_failed, no_data, layover_shadow). ``orbit``
    (uint8) is the relative orbit that was read, 0 where none saw the pixel; with several maps
    ``read_failed_in`` (uint8) counts those that could not be read there; ``window_probability`` is
    of the first that has one, where every map does. Raises RequestError for no map at all, another
    number of orbits, or maps on different grids.

    >>> def orbit(p, o):
    ...     layers = {"probability": ("x", np.float32(p)), "observation": ("x", np.uint8(o))}
    ...     return xr.Dataset(layers)
    >>> one, two = orbit([0.2, np.nan, np.nan], [0, 1, 3]), orbit([0.9, 0.4, np.nan], [0, 0, 1])
    >>> both = lay_over([one, two], [68, 141])
    >>> both.probability.values, both.orbit.values, both.observation.values
    (array([0.2, 0.4, nan], dtype=float32), array([ 68, 141,   0], dtype=uint8), \
array([0, 0, 1], dtype=uint8))
    """
    if not maps or len(maps) != len(orbits):
        raise RequestError(f"{len(maps)} maps cannot be laid over one another as {orbits}")
    check_grids(maps)
    maps = cast(list[xr.Dataset], list(xr.unify_chunks(*maps)))
    seen = [one["observation"] for one in maps]
    laid = maps[0].drop_vars("window_probability", errors="ignore")
    if len(maps) > 1:
        laid = laid.assign(
            probability=joined(_first, [one["probability"] for one in maps], np.float32),
            observation=joined(observation_of, seen, np.uint8),
            read_failed_in=joined(unread_in, seen, np.uint8),
        )
        for name in ("probability", "observation"):
            laid[name].attrs = dict(maps[0][name].attrs)
        laid["read_failed_in"].attrs = {"long_name": "orbits that could not be read", "units": "1"}
        laid.attrs = merged_attributes([one.attrs for one in maps])
    laid["orbit"] = joined(_whose, seen, np.uint8, orbits=tuple(orbits))
    laid["orbit"].attrs = {"long_name": "relative orbit the pixel was read from; 0: none"}
    if all("window_probability" in one for one in maps):
        windows = [one["window_probability"] for one in maps]
        laid["window_probability"] = joined(_first, windows, np.float32)
        laid["window_probability"].attrs = dict(windows[0].attrs)
    return _named(laid, maps[0])


def _named(laid: xr.Dataset, first: xr.Dataset) -> xr.Dataset:
    """The CRS's name on every variable, as the first map has it."""
    mapping = first["probability"].encoding.get("grid_mapping")
    for variable in laid.data_vars.values():
        if mapping:
            variable.encoding["grid_mapping"] = mapping
    return laid


def _first(*layers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first value that is not NaN."""
    out = layers[0]
    for layer in layers[1:]:
        out = np.where(np.isnan(out), layer, out)
    return out


def _whose(*layers: NDArray[np.uint8], orbits: tuple[int, ...]) -> NDArray[np.uint8]:
    """Relative orbit of the first layer that observed the pixel, 0 for none."""
    out = np.zeros(layers[0].shape, np.uint8)
    for layer, orbit in zip(reversed(layers), reversed(orbits), strict=True):
        out[layer == Observation.OBSERVED] = orbit
    return out


def add_control(dataset: xr.Dataset, control: xr.Dataset) -> None:
    """The control's answers and what was seen for them, as layers of the map."""
    for name in ("probability", "observation"):
        layer = control[name]
        own = f"control_{name}"
        dataset[own] = layer
        dataset[own].attrs = {
            **layer.attrs,
            "long_name": f"{layer.attrs['long_name']}, of passes before the event",
        }
        dataset[own].encoding = dict(dataset[name].encoding)


def unread_of(control: xr.Dataset) -> xr.DataArray:
    """How many of the readings behind a control failed, pixel by pixel."""
    if "read_failed_in" in control:
        return control["read_failed_in"]
    return (control["observation"] == Observation.READ_FAILED).astype("uint8")
