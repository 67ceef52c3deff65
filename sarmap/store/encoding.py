"""How each layer of a map is packed into integers: levels, fill values and their CF attributes.

Probability is kept in steps of 0.004, rounded to the nearest step, except that nothing is rounded
up to a tenth: a pixel reaches 0.1, 0.2, ... 0.9 in the store only where it does in the float map.
So every threshold in tenths, 0.5 among them, selects exactly the same pixels before and after
packing; any other threshold may move pixels that lie within 0.002 of it.
Packing follows CF conventions 1.11, section 8.1 (scale_factor, _FillValue) and 3.5 (flags).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.types import Observation

FILL = 255
"""Packed value of a pixel without a value."""
PROBABILITY_STEP = 0.004
"""Probability per packed unit: 250 is certainty."""
SLOPE_STEP = 0.4
"""Degrees per packed unit: 225 is vertical."""
RADAR_STEP = 0.2
"""Decibels per packed unit of a kept radar image."""
RADAR_FLOOR = -35.0
"""Decibels of packed 0; 250 is 15 dB."""
_TENTHS = np.where(np.arange(256) % 25 == 0, np.arange(256) / 250, -1).astype(np.float32)
"""For a packed value that is a tenth, the probability it must reach; below any for the rest."""
_TOLERANCE = 1e-3
"""How far reduced precision may carry a probability past 0 or 1 before it is an error."""


def pack_probability(probability: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Probability 0-1 (NaN: none) to steps of 0.004 (255: none), same shape; RequestError where a
    value lies outside 0-1.

    >>> import numpy as np
    >>> pack_probability(np.array([0.0, 0.4999, 0.5, 0.503, 1.0, np.nan], "float32"))
    array([  0, 124, 125, 126, 250, 255], dtype=uint8)
    """
    values = np.asarray(probability, np.float32)
    missing = np.isnan(values)
    scaled = np.where(missing, np.float32(0), values)
    _check_range(scaled)
    np.clip(scaled, 0, 1, out=scaled)
    packed: NDArray[np.uint8] = np.rint(scaled * np.float32(1 / PROBABILITY_STEP)).astype(np.uint8)
    packed -= (scaled < _TENTHS.take(packed, mode="clip")).view(np.uint8)
    packed[missing] = FILL
    return packed


def _check_range(values: NDArray[np.float32]) -> None:
    if values.size == 0:
        return
    low, high = float(values.min()), float(values.max())
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        raise RequestError(
            f"Probabilities run from {low:g} to {high:g}, outside 0-1: the detector's answer "
            "must be a probability (is its last layer a sigmoid or softmax?)."
        )


def unpack_probability(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Steps of 0.004 to probability, NaN where there is none.

    >>> import numpy as np
    >>> unpack_probability(np.array([0, 125, 255], "uint8"))
    array([0. , 0.5, nan], dtype=float32)
    """
    table = np.arange(256) * PROBABILITY_STEP
    table[251:] = np.nan
    return table.astype(np.float32)[packed]


def threshold_level(threshold: float) -> int:
    """Smallest packed value that reaches a probability; RequestError where that is not above 0 and
    at most 1.

    >>> [threshold_level(t) for t in (0.3, 0.5, 0.501, 1.0)]
    [75, 125, 126, 250]
    """
    if not 0 < threshold <= 1:
        raise RequestError(f"threshold={threshold:g} must lie above 0 and at most 1.")
    return math.ceil(threshold / PROBABILITY_STEP - 1e-6)


def pack_slope(slope: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Slope in degrees (NaN: none) to steps of 0.4 (255: none).

    >>> import numpy as np
    >>> pack_slope(np.array([0, 30, 90, np.nan]))
    array([  0,  75, 225, 255], dtype=uint8)
    """
    values = np.asarray(slope, np.float32)
    missing = np.isnan(values)
    packed = np.rint(np.where(missing, np.float32(0), values) * np.float32(1 / SLOPE_STEP))
    result = np.clip(packed, 0, 225).astype(np.uint8)
    result[missing] = FILL
    return result


def pack_decibels(decibels: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Backscatter in dB (NaN: none) to steps of 0.2 from -35 dB (255: none).

    >>> import numpy as np
    >>> pack_decibels(np.array([-90, -35, 0, 15, 99, np.nan]))
    array([  0,   0, 175, 250, 250, 255], dtype=uint8)
    """
    values = np.asarray(decibels, np.float32)
    missing = np.isnan(values)
    steps = (np.where(missing, np.float32(0), values) - RADAR_FLOOR) * np.float32(1 / RADAR_STEP)
    result = np.rint(np.clip(steps, 0, 250)).astype(np.uint8)
    result[missing] = FILL
    return result


def seen_only(
    packed: NDArray[np.uint8], observation: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Packed probability and observation that agree: a value where, and only where, it was seen.

    >>> import numpy as np
    >>> seen_only(np.array([9, 9, 255], "uint8"), np.array([0, 3, 0], "uint8"))
    (array([  9, 255, 255], dtype=uint8), array([0, 3, 1], dtype=uint8))
    """
    codes = np.asarray(observation, np.uint8)
    unseen = codes != Observation.OBSERVED
    empty = packed == FILL
    return (
        np.where(unseen, np.uint8(FILL), packed),
        np.where(empty & ~unseen, np.uint8(Observation.NO_DATA), codes),
    )


@dataclass(frozen=True)
class Layer:
    """How one variable is stored."""

    dtype: str
    """Type of the stored numbers."""
    fill: Any
    """Stored value of what was never written; it always means 'not seen'."""
    packing: str = "none"
    """'probability', 'slope', 'decibels' or 'none'."""
    attrs: dict[str, Any] = field(default_factory=dict)
    """CF attributes."""


def layer_of(name: str, dtype: np.dtype[Any]) -> Layer:
    """The storage of a variable by its name; variables sarmap does not know stay as they are.

    >>> import numpy as np
    >>> layer_of("observation", np.dtype("uint8")).attrs["flag_meanings"]
    'observed no_data read_failed layover_shadow'
    """
    if name in _KNOWN:
        return _KNOWN[name]
    if name.startswith(("vv_", "vh_")) and name.endswith("_db"):
        words = f"{name[:2].upper()} backscatter, {name[3:-3].replace('_', ' ')}, for display"
        return _packed("decibels", RADAR_STEP, words, "dB", add_offset=RADAR_FLOOR)
    return Layer(str(dtype), np.nan if dtype.kind == "f" else 0)


def _packed(kind: str, step: float, long_name: str, units: str, **attrs: Any) -> Layer:
    described = {"long_name": long_name, "units": units, **attrs}
    scaling = {"scale_factor": step, "_FillValue": FILL}
    return Layer("uint8", FILL, kind, {**described, **scaling})


def _flags(long_name: str) -> Layer:
    described = {
        "long_name": long_name,
        "standard_name": "status_flag",
        "flag_values": [int(code) for code in Observation],
        "flag_meanings": " ".join(code.meaning for code in Observation),
    }
    return Layer("uint8", int(Observation.NO_DATA), attrs=described)


_KNOWN = {
    "probability": _packed(
        "probability",
        PROBABILITY_STEP,
        "landslide probability",
        "1",
        ancillary_variables="observation",
    ),
    "window_probability": _packed(
        "probability", PROBABILITY_STEP, "landslide probability of each window", "1"
    ),
    "control_probability": _packed(
        "probability",
        PROBABILITY_STEP,
        "landslide probability of passes before the event",
        "1",
        ancillary_variables="control_observation",
    ),
    "disagreement": _packed(
        "probability", PROBABILITY_STEP, "largest difference between orbits", "1"
    ),
    "slope": _packed("slope", SLOPE_STEP, "slope angle of the terrain", "degree"),
    "observation": _flags("what the radar saw of each pixel"),
    "control_observation": _flags("what the radar saw of each pixel before the event"),
}
