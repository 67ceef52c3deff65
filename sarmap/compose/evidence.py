"""Evidence of change: what all passes together say of a pixel, in decibels and in noise.

Raw levels differ from place to place, from maker to maker and from pass to pass; what a landslide
changes does not lie in them. Here every pass is levelled (`sarmap.compose.levelling`), and the mean
of the logarithms of those after the event is set against that of those before, however many there
are: geometric means of speckle have no bias that depends on their number, so that one pass against
three raises no alarm (Oliver & Quegan 2004, *Understanding SAR Images*, section 4.5).

=======================  ==========================================================================
``vv_levelled_change``   mean after minus mean before, levelled, dB
``vv_change_in_noise``   the same in units of `vv_change_noise`
``vv_change_noise``      standard deviation of a quiet change over 80 m at this place, dB
``vv_mean_before``       mean level before the event, dB
=======================  ==========================================================================

and the same of ``vh``. HH and HV stand in for VV and VH where a cube holds those. A band without
any source takes a neutral value (`NEUTRAL`), which networks are trained to read as "not known".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.compose.displacement import aligned
from sarmap.compose.lattice import at_pixels
from sarmap.compose.levelling import Levelling
from sarmap.compose.names import STANDS_IN, BandName, parse_band
from sarmap.errors import RequestError
from sarmap.types import Observation

Field = NDArray[np.float32]

NEUTRAL: Mapping[str, float] = {
    "levelled_change": 0.0,
    "change_in_noise": 0.0,
    "change_noise": 5.0,
    "mean_before": -14.0,
    "slope": 15.0,
    "incidence": 38.0,
}
"""What stands for a band that nobody knows: no change, much noise, a gentle slope in mid swath."""
LARGEST = 30.0
"""Largest change told, in noise: beyond it more says nothing."""


def polarisation_of(wanted: str, held: Sequence[str]) -> str | None:
    """The polarisation of a cube that is read as `wanted`; None where it holds neither.

    >>> polarisation_of("vv", ["hh", "hv"]), polarisation_of("vh", ["vv"])
    ('hh', None)
    """
    return next((one for one in (wanted, STANDS_IN[wanted]) if one in held), None)


def evidence_of(
    passes: Sequence[Field], pre: Sequence[int], post: Sequence[int], offsets: Sequence[Any]
) -> tuple[Field, Field, NDArray[np.bool_]]:
    """Levelled change and mean before of one polarisation, dB, and where both are known.

    Of each pass the power (y, x), of which what is not above zero is no measurement; `offsets` are
    what each lies above the others, dB: a number or (y, x).
    """
    before, seen_before = _log_mean(passes, pre, offsets)
    after, seen_after = _log_mean(passes, post, offsets)
    known = seen_before & seen_after
    return after - before, before, known


def _log_mean(
    passes: Sequence[Field], chosen: Sequence[int], offsets: Sequence[Any]
) -> tuple[Field, NDArray[np.bool_]]:
    """Mean of the decibels of some passes, and where any of them was measured."""
    total = np.zeros(passes[0].shape, np.float32)
    count = np.zeros(passes[0].shape, np.float32)
    for number in chosen:
        power = passes[number]
        there = (power > 0) & (power < np.inf)
        level = np.log(power, out=np.zeros_like(power), where=there)
        level *= DECIBEL
        np.subtract(level, np.asarray(offsets[number], np.float32), out=level, where=there)
        total += level
        count += there
    seen = count > 0
    return np.divide(total, count, out=total, where=seen), seen


DECIBEL = np.float32(10 / np.log(10))
"""Decibels to a neper of power: of log10 NumPy has no fast one."""


@dataclass(frozen=True)
class _Recipe:
    """How one block of evidence is made; picklable, so that a task is one call."""

    bands: tuple[BandName, ...]
    held: tuple[str, ...]
    """Polarisations handed over, in order."""
    planes: tuple[str, ...]
    """Terrain planes handed over, in order."""
    pre: tuple[int, ...]
    post: tuple[int, ...]


def evidence_layers(
    cube: xr.Dataset, terrain: xr.Dataset | None, bands: Sequence[str], levelling: Levelling
) -> tuple[da.Array, da.Array]:
    """Bands (band, y, x) float32 and observation codes (y, x) uint8 of evidence, lazily;
    RequestError where the cube holds no co-polarised band (VV or HH).
    """
    roles = [str(role) for role in cube["role"].values]
    used = [i for i in range(len(roles)) if i not in levelling.displaced.left_out]
    parsed = tuple(parse_band(band) for band in bands)
    present = [band for band in levelling.offsets if band in cube]
    wanted = dict.fromkeys(b.variable for b in parsed if b.kind == "evidence")
    held = [one for name in wanted if (one := polarisation_of(name, present)) is not None]
    if polarisation_of("vv", present) not in held:
        raise RequestError(
            f"The cube holds {', '.join(present) or 'no band'}: a change is read from VV (or HH), "
            "so give passes with that band."
        )
    planes = (
        {}
        if terrain is None
        else {
            b.variable: terrain[b.variable].data
            for b in parsed
            if b.kind == "terrain" and b.variable in terrain
        }
    )
    recipe = _Recipe(
        parsed,
        tuple(held),
        tuple(planes),
        tuple(i for i in used if roles[i].startswith("pre")),
        tuple(i for i in used if roles[i].startswith("post")),
    )
    moved = levelling.displaced.moved
    cube = cube.transpose("time", "y", "x", ...)
    series = [aligned(cube[name].data, moved) for name in held]
    layers = _stacked(series, [da.asarray(one) for one in planes.values()], recipe, levelling)
    return layers, _observation(layers, cube, terrain, moved)


def _stacked(
    series: Sequence[da.Array], planes: Sequence[da.Array], recipe: _Recipe, levelling: Levelling
) -> da.Array:
    operands: list[Any] = []
    for array in series:
        operands += [array, "tyx"]
    for array in planes:
        operands += [array, "yx"]
    chunks = series[0].chunks
    operands += [da.arange(sum(chunks[1]), chunks=(chunks[1],)), "y"]
    operands += [da.arange(sum(chunks[2]), chunks=(chunks[2],)), "x"]
    stack: da.Array = da.blockwise(
        evidence_block,
        "byx",
        *operands,
        recipe=recipe,
        levelling=levelling,
        new_axes={"b": len(recipe.bands)},
        concatenate=False,  # the passes are read one by one: joining them would copy them all
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
    )
    return stack


def evidence_block(*arrays: Any, recipe: _Recipe, levelling: Levelling) -> Field:
    """The bands (band, y, x) of one block, NaN where VV or the terrain is not known.

    From the passes (time, y, x) of each polarisation, in parts along time, the terrain's planes
    (y, x), and the rows and columns of the scene that the block holds.
    """
    rows, columns = arrays[-2:]
    count = len(recipe.held)
    planes = dict(zip(recipe.planes, arrays[count:-2], strict=True))
    shape = (len(rows), len(columns))
    out = np.empty((len(recipe.bands), *shape), np.float32)
    made: dict[str, dict[str, Field]] = {}
    unknown = np.zeros(shape, np.bool_)
    for name, given in zip(recipe.held, arrays[:count], strict=True):
        passes = [one for part in given for one in part] if isinstance(given, list) else [*given]
        made[name], known = _polarisation(name, passes, rows, columns, recipe, levelling)
        if name in ("vv", "hh"):
            unknown |= ~known
    for index, band in enumerate(recipe.bands):
        if band.kind == "terrain":
            out[index] = planes.get(band.variable, np.float32(NEUTRAL[band.variable]))
        else:
            own = polarisation_of(band.variable, recipe.held)
            out[index] = NEUTRAL[band.role] if own is None else made[own][band.role]
    out[:, unknown] = np.nan
    return out


def _polarisation(
    name: str,
    passes: Sequence[Field],
    rows: NDArray[Any],
    columns: NDArray[Any],
    recipe: _Recipe,
    levelling: Levelling,
) -> tuple[dict[str, Field], NDArray[np.bool_]]:
    """The four bands of one polarisation, neutral where it is not known, and where it is."""
    offsets = levelling.above(name, rows, columns)
    change, before, known = evidence_of(passes, recipe.pre, recipe.post, offsets)
    change -= at_pixels(levelling.expected[name], rows, columns)
    noise = at_pixels(levelling.noise[name], rows, columns)
    layers = {
        "levelled_change": change,
        "change_in_noise": np.clip(change / noise, -LARGEST, LARGEST),
        "change_noise": noise,
        "mean_before": before,
    }
    for role, layer in layers.items():
        layer[~known] = NEUTRAL[role]
    return layers, known


def _observation(
    layers: da.Array, cube: xr.Dataset, terrain: xr.Dataset | None, moved: Mapping[int, Any]
) -> da.Array:
    """Observation codes (y, x): one task per block.

    A pass that could not be read costs the pixel, though others were: with it the answer would be
    another tomorrow.
    """
    told: dict[str, da.Array] = {}
    if "observation" in cube:
        told["radar"] = aligned(cube["observation"].data, moved)
    for name, own in (("terrain", "observation"), ("layover_shadow", "layover_shadow")):
        if terrain is not None and own in terrain:
            told[name] = da.asarray(terrain[own].data)
    return observation_codes(layers, told, needs_all=True)


# --- what was seen --------------------------------------------------------------------------------


def observation_codes(
    stack: da.Array, told: Mapping[str, da.Array], *, needs_all: bool = False
) -> da.Array:
    """Observation codes (y, x) uint8, lazily, one task per block, of bands (band, y, x), NaN where
    one has no value.

    `told` are codes (y, x), or (time, y, x) of passes, of what was read for them: 'radar',
    'optical', 'terrain'; and 'layover_shadow' (y, x), which is true there. With `needs_all` a pixel
    is lost with any reading that failed, though its bands have values.
    """
    operands: list[Any] = [stack, "byx"]
    for array in told.values():
        operands += [array, "tyx"[-array.ndim :]]
    codes: da.Array = da.blockwise(
        observe_block,
        "yx",
        *operands,
        names=tuple(told),
        needs_all=needs_all,
        concatenate=True,
        dtype=np.uint8,
        meta=np.empty((0, 0), np.uint8),
    )
    return codes


def observe_block(
    stack: NDArray[np.float32], *arrays: NDArray[Any], names: Sequence[str], needs_all: bool = False
) -> NDArray[np.uint8]:
    """Codes (y, x) of one block: observed where every band has a value.

    Where one has none, a failed read of any input outweighs plain absence of data. Where elevation
    could not be read, nobody knows whether the radar saw the ground: no such pixel is observed.
    """
    given = dict(zip(names, arrays, strict=True))
    blind = given.pop("layover_shadow", None)
    codes = np.full(stack.shape[1:], Observation.OBSERVED, np.uint8)
    if blind is not None:
        codes[blind.astype(bool)] = Observation.LAYOVER_SHADOW
    missing = np.isnan(stack).any(axis=0)
    codes[missing] = Observation.NO_DATA
    for plane in given.values():
        failed = (plane == Observation.READ_FAILED).reshape(-1, *codes.shape).any(axis=0)
        codes[failed if needs_all else missing & failed] = Observation.READ_FAILED
    if blind is not None and "terrain" in given:
        unknown = given["terrain"] == Observation.READ_FAILED
        codes[unknown & (codes == Observation.OBSERVED)] = Observation.READ_FAILED
    return codes
