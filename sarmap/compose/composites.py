"""Cube and terrain to the band stack a detector reads, with what was observed of each pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.compose.evidence import evidence_layers, observation_codes
from sarmap.compose.lattice import read_lattice
from sarmap.compose.levelling import Levelling, find_levels
from sarmap.compose.names import (
    BandName,
    CompositeSpec,
    composite_bands,
    composite_named,
    parse_band,
    reads_evidence,
    required_passes,
)
from sarmap.errors import RequestError
from sarmap.types import Scaling

_PROVENANCE = ("simulated", "scenes", "orbit_state", "relative_orbit")


@dataclass(frozen=True)
class _Recipe:
    """How one block is composed; picklable, so that a task is one call."""

    bands: tuple[BandName, ...]
    """Bands in order."""
    roles: tuple[str, ...]
    """Roles of the passes handed over, in their order."""
    scaling: Scaling
    """Scaling of the radar bands."""


def make_composite(
    cube: xr.Dataset,
    terrain: xr.Dataset | None,
    name_or_bands: str | Sequence[str],
    *,
    scaling: Scaling = "amplitude",
    levelling: Levelling | None = None,
) -> xr.DataArray:
    """Stack the bands of a composite, lazily.

    Parameters
    ----------
    cube
        From `sarmap.open_cube`: power (time, y, x) with coordinate `role`.
    terrain
        From `sarmap.open_terrain`; None where no band needs it. Where it knows layover and shadow,
        the composite's observation does too.
    name_or_bands
        A composite of the papers ('BAA_S') or band names ('vv_pre', 'slope', ...).
    scaling
        'amplitude' (the papers'), 'power' or 'db'; of the radar bands only. `vv_change` is
        post_1 minus pre in this scaling. Evidence is in dB whatever it says.
    levelling
        What evidence takes off each pass; None: found now, which reads the cube's coarse lattice.

    Returns
    -------
    float32 (band, y, x), NaN where a band has no value, in blocks of all bands. Coordinates:
    `band`, those of the cube's grid, and `observation` (y, x) uint8 (`sarmap.types.Observation`):
    a pixel is observed where every band has a value. Attributes: `scaling`, `composite` where
    named, and the cube's provenance.

    Raises
    ------
    RequestError
        Unknown composite, band or scaling; a pass, band or terrain that is missing; a composite of
        one orbit and a cube of the other.

    Examples
    --------
    >>> power = np.float32([[[0.09, 0.25]], [[0.04, np.nan]]])
    >>> cube = xr.Dataset(
    ...     {
    ...         "vv": (("time", "y", "x"), power),
    ...         "observation": (("time", "y", "x"), np.uint8([[[0, 0]], [[0, 1]]])),
    ...     },
    ...     coords={"time": [0, 1], "role": ("time", ["pre", "post_1"])},
    ... )
    >>> composite = make_composite(cube, None, ["vv_pre", "vv_post_1"])
    >>> composite.values
    array([[[0.3, 0.5]],
    <BLANKLINE>
           [[0.2, nan]]], dtype=float32)
    >>> composite.observation.values  # 1: no data
    array([[0, 1]], dtype=uint8)
    """
    bands = composite_bands(name_or_bands)
    parsed = tuple(parse_band(band) for band in bands)
    scaling = check_scaling(scaling)
    if isinstance(name_or_bands, str):
        _check_orbit(composite_named(name_or_bands), cube)
    if reads_evidence(bands):
        if levelling is None:
            levelling = find_levels(read_lattice(cube, terrain))
        _check_evidence(bands, parsed)
        _check_grids(cube, terrain)
        layers, codes = evidence_layers(cube, terrain, bands, levelling)
        return _composite(layers, codes, bands, name_or_bands, scaling, cube, terrain)
    roles = _roles(bands, parsed, cube)
    _check_variables(bands, parsed, cube, terrain)
    recipe = _Recipe(parsed, tuple(role for role in _cube_roles(cube) if role in roles), scaling)
    stack = _stack(recipe, cube, _planes(parsed, cube, terrain))
    observation = _observation(stack, recipe, cube, terrain)
    return _composite(stack, observation, bands, name_or_bands, scaling, cube, terrain)


def _composite(
    stack: da.Array,
    observation: da.Array,
    bands: Sequence[str],
    name_or_bands: str | Sequence[str],
    scaling: Scaling,
    cube: xr.Dataset,
    terrain: xr.Dataset | None,
) -> xr.DataArray:
    """The stack with its coordinates and what is known of its sources."""
    named = {"composite": name_or_bands} if isinstance(name_or_bands, str) else {}
    shared = [name for name in ("y", "x", "spatial_ref") if name in cube.coords]
    return xr.DataArray(
        stack,
        dims=("band", "y", "x"),
        coords={
            "band": list(bands),
            **{name: cube.coords[name] for name in shared},
            "observation": (("y", "x"), observation),
        },
        name="composite",
        attrs={
            "scaling": scaling,
            **named,
            **{key: cube.attrs[key] for key in _PROVENANCE if key in cube.attrs},
            **_attribution(cube, terrain),
        },
    )


def _attribution(*sources: xr.Dataset | None) -> dict[str, str]:
    """The notices of all that a composite is made from, each once."""
    known = [source.attrs.get("attribution") for source in sources if source is not None]
    notices = dict.fromkeys(notice for notice in known if notice)
    return {"attribution": " ".join(notices)} if any(one is not None for one in known) else {}


def _check_orbit(spec: CompositeSpec, cube: xr.Dataset) -> None:
    """A composite that names its orbit takes only a cube of that orbit."""
    orbit = cube.attrs.get("orbit_state")
    if spec.orbit is not None and orbit is not None and orbit != spec.orbit:
        plain = spec.name.partition("_")[2]
        raise RequestError(
            f"Composite {spec.name!r} is of the {spec.orbit} orbit, but the cube is {orbit}: "
            f"search passes with orbit={spec.orbit!r}, or ask for {plain!r}."
        )


def _cube_roles(cube: xr.Dataset | xr.DataArray) -> list[str]:
    """Roles of the cube's passes, in order of time."""
    return [str(role) for role in cube["role"].values] if "role" in cube.coords else []


def _series(recipe: _Recipe, variable: xr.DataArray) -> da.Array:
    """A cube's variable (time, y, x) at the passes that the recipe reads."""
    used = [i for i, role in enumerate(_cube_roles(variable)) if role in recipe.roles]
    return _lazy(variable.isel(time=used).data)


def _roles(bands: Sequence[str], parsed: Sequence[BandName], cube: xr.Dataset) -> set[str]:
    """Roles of the passes that the bands read, all of them in the cube."""
    present = _cube_roles(cube)
    needed: set[str] = set()
    for name, band in zip(bands, parsed, strict=True):
        own = {"radar": {band.role}, "change": {"pre", "post_1"}}.get(band.kind, set())
        for role in sorted(own - set(present)):
            pre, post = required_passes(bands)
            raise RequestError(
                f"Band {name!r} needs the pass {role!r}, and the cube has "
                f"{', '.join(present) or 'no passes'}: search passes with pre={pre}, post={post}."
            )
        needed |= own
    return needed


def _check_variables(
    bands: Sequence[str],
    parsed: Sequence[BandName],
    cube: xr.Dataset,
    terrain: xr.Dataset | None,
) -> None:
    """Every band's variable is there, on one grid."""
    for name, band in zip(bands, parsed, strict=True):
        if band.kind != "terrain":
            if band.variable not in cube:
                raise RequestError(
                    f"Band {name!r} needs {band.variable!r}, which the cube lacks: open it with "
                    f"bands=(..., {band.variable!r})."
                )
        elif terrain is None:
            raise RequestError(f"Band {name!r} needs terrain: give it, from sarmap.open_terrain.")
        elif band.variable not in terrain:
            raise RequestError(
                f"Band {name!r} is not in the terrain: open it with passes=, which give the "
                "radar's geometry."
            )
    _check_grids(cube, terrain)


def _check_evidence(bands: Sequence[str], parsed: Sequence[BandName]) -> None:
    """Evidence stands beside terrain, not beside single passes."""
    other = [n for n, b in zip(bands, parsed, strict=True) if b.kind not in ("evidence", "terrain")]
    if other:
        raise RequestError(
            f"Band {other[0]!r} is of one pass, and evidence is of all: leave it out, or leave out "
            "the bands of evidence."
        )


def _check_grids(cube: xr.Dataset, terrain: xr.Dataset | None) -> None:
    """Terrain lies pixel on pixel with the cube."""
    if terrain is not None and any(
        not np.array_equal(terrain[axis].values, cube[axis].values) for axis in ("y", "x")
    ):
        raise RequestError("Cube and terrain lie on different grids: open both with the same grid.")


def _lazy(data: Any) -> da.Array:
    """Data of a variable as a Dask array, whether it was loaded or not."""
    array: da.Array = da.asarray(data)
    return array


def _planes(
    parsed: Sequence[BandName], cube: xr.Dataset, terrain: xr.Dataset | None
) -> dict[str, da.Array]:
    """Terrain and optical bands (y, x) by variable."""
    planes = {b.variable: cube[b.variable].data for b in parsed if b.kind == "optical"}
    if terrain is not None:
        planes |= {b.variable: terrain[b.variable].data for b in parsed if b.kind == "terrain"}
    return {name: _lazy(plane) for name, plane in planes.items()}


def _stack(recipe: _Recipe, cube: xr.Dataset, planes: Mapping[str, da.Array]) -> da.Array:
    """One task per block: all passes of the block in, all bands out."""
    used = dict.fromkeys(b.variable for b in recipe.bands if b.kind in ("radar", "change"))
    series = {name: _series(recipe, cube[name]) for name in used}
    operands: list[Any] = []
    for array in series.values():
        operands += [array, "tyx"]
    for array in planes.values():
        operands += [array, "yx"]
    stack: da.Array = da.blockwise(
        compose_block,
        "byx",
        *operands,
        recipe=recipe,
        names=(*series, *planes),
        new_axes={"b": len(recipe.bands)},
        concatenate=False,  # the passes are read one by one: joining them would copy them all
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
    )
    return stack


def compose_block(
    *arrays: NDArray[np.float32] | list[NDArray[np.float32]],
    recipe: _Recipe,
    names: Sequence[str],
) -> NDArray[np.float32]:
    """The bands (band, y, x) of one block.

    From its planes (y, x) and its series: (time, y, x), or a list of such along time.
    """
    given = {name: _by_time(array) for name, array in zip(names, arrays, strict=True)}
    edge = arrays[0][0] if isinstance(arrays[0], list) else arrays[0]
    out = np.empty((len(recipe.bands), *edge.shape[-2:]), np.float32)
    for index, band in enumerate(recipe.bands):
        values = given[band.variable]
        if band.kind == "radar":
            out[index] = from_power(values[recipe.roles.index(band.role)], recipe.scaling)
        elif band.kind == "change":
            before, after = (values[recipe.roles.index(role)] for role in ("pre", "post_1"))
            out[index] = from_power(after, recipe.scaling) - from_power(before, recipe.scaling)
        else:
            out[index] = values
    return out


def _by_time(array: NDArray[Any] | list[NDArray[Any]]) -> Any:
    """A plane as it is; a series, whole or in parts, so that its instants can be picked."""
    if isinstance(array, list):
        return [instant for part in array for instant in part]
    return array


def _observation(
    stack: da.Array, recipe: _Recipe, cube: xr.Dataset, terrain: xr.Dataset | None
) -> da.Array:
    """Observation codes (y, x): one task per block."""
    kinds = {band.kind for band in recipe.bands}
    told: dict[str, da.Array] = {}
    if kinds & {"radar", "change"}:
        told["radar"] = _series(recipe, cube["observation"])
    if "optical" in kinds:
        told["optical"] = _lazy(cube["observation_optical"].data)
    looks = terrain is not None and "layover_shadow" in terrain and "radar" in told
    if terrain is not None and ("terrain" in kinds or looks):
        told["terrain"] = _lazy(terrain["observation"].data)
    if terrain is not None and looks:
        told["layover_shadow"] = _lazy(terrain["layover_shadow"].data)
    return observation_codes(stack, told)


# --- scalings -------------------------------------------------------------------------------------


SCALINGS: tuple[str, ...] = get_args(Scaling)
"""Names of all scalings."""


def check_scaling(scaling: str) -> Scaling:
    """The scaling, if it is one, or RequestError."""
    if scaling not in SCALINGS:
        raise RequestError(f"scaling={scaling!r} is unknown: choose from {', '.join(SCALINGS)}.")
    return scaling  # type: ignore[return-value]


def from_power(power: NDArray[np.float32], scaling: Scaling) -> NDArray[np.float32]:
    """Linear power, any shape, in another scaling; zero and below become NaN.

    >>> from_power(np.array([4.0, 0.0, -1.0], np.float32), "amplitude").tolist()
    [2.0, nan, nan]
    >>> from_power(np.array([100.0], np.float32), "db").round(3).tolist()
    [20.0]
    """
    positive = np.where(power > 0, power, np.float32(np.nan))
    if scaling == "amplitude":
        return np.sqrt(positive)
    if scaling == "db":
        decibels: NDArray[np.float32] = np.float32(10) * np.log10(positive)
        return decibels
    return positive
