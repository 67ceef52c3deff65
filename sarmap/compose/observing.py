"""What was seen of each pixel of a composite, from its bands and from what was read for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from sarmap.types import Observation


def observation_codes(
    stack: da.Array, told: Mapping[str, da.Array], *, needs_all: bool = False
) -> da.Array:
    """Observation codes (y, x) uint8, lazily: one task per block.

    Parameters
    ----------
    stack
        Bands (band, y, x), NaN where one has no value.
    told
        Codes (y, x), or (time, y, x) of passes, of what was read for them: 'radar', 'optical',
        'terrain'; and 'layover_shadow' (y, x), which is true there.
    needs_all
        Whether a pixel is lost with any reading that failed, though its bands have values.
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
