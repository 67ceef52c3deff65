"""What a control map says: how much this detector calls landslide here while nothing happens.

The control is the same detector's answer to passes that all lie before the event. What it calls
landslide there is false, and as much of the map itself probably is: the difference is the area
that the event explains. It says nothing of the landslides that were missed, and nothing of false
alarms that come with the event itself (snow, flood, harvest between the dates).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.intervals import FEWEST_BLOCKS, Interval, percentiles, resampled
from sarmap.errors import RequestError
from sarmap.store.encoding import FILL, threshold_level
from sarmap.store.reading import MapReader, open_reader

if TYPE_CHECKING:
    import xarray as xr

BLOCK = 256
"""Edge of the blocks that are redrawn for the interval, pixels."""


@dataclass(frozen=True)
class ControlFigures:
    """A map beside its control."""

    threshold: float
    """Probability from which a pixel is called landslide, in both."""
    seen_km2: float
    """Area that has an answer in the map."""
    mapped_km2: float
    """Of it, called landslide."""
    control_seen_km2: float
    """Area that has an answer in the control."""
    control_mapped_km2: float
    """Of it, called landslide, though nothing had happened."""
    control_polygons: int
    """Connected patches of that, of the smallest area and larger."""
    beyond_km2: float
    """Mapped area less what the control's share of the seen area comes to; NaN: none was seen."""
    interval: Interval
    """95 % interval of that, by redrawn blocks; NaN with too few."""

    @property
    def false_m2_per_km2(self) -> float:
        """False-alarm area: square metres called landslide per square kilometre seen."""
        if self.control_seen_km2 == 0:
            return math.nan
        return 1e6 * self.control_mapped_km2 / self.control_seen_km2

    def record(self) -> dict[str, Any]:
        """All of it for JSON, undefined numbers as None."""
        return {
            "threshold": self.threshold,
            "seen_km2": round(self.seen_km2, 4),
            "mapped_km2": round(self.mapped_km2, 4),
            "control_seen_km2": round(self.control_seen_km2, 4),
            "control_mapped_km2": round(self.control_mapped_km2, 4),
            "control_polygons": self.control_polygons,
            "false_m2_per_km2": _rounded(self.false_m2_per_km2, 1),
            "beyond_control_km2": _rounded(self.beyond_km2, 4),
            "beyond_control_km2_interval": [
                _rounded(end, 4) for end in (self.interval.low, self.interval.high)
            ],
        }


def _rounded(value: float, digits: int) -> float | None:
    return None if math.isnan(value) else round(value, digits)


def read_control(
    source: xr.Dataset | MapReader | str | Path, *, threshold: float = 0.5, min_area: float = 0.0
) -> ControlFigures:
    """Compare a map with its control, in bounded memory.

    Parameters
    ----------
    source
        A map that was made with its control, the path or URL of a stored one, or a reader of one.
    threshold
        Probability (0-1] from which a pixel is called landslide.
    min_area
        Smallest patch of the control that is counted, square metres; areas count every pixel.

    Raises
    ------
    RequestError
        It is no map, it has no control, or the threshold is out of range.
    """
    reader = open_reader(source, "control_probability")
    if "control_probability" not in reader.layers:
        raise RequestError(
            "This map has no control: make it with control=True (--control), beside a new out=."
        )
    level = threshold_level(threshold)
    counts = _count(reader, level)
    unit = abs(reader.grid.transform.a * reader.grid.transform.e) / 1e6
    mapped, seen, false, asked = (float(one) for one in counts.sum(axis=0) * unit)
    beyond, interval = beyond_control(counts * unit)
    patches = _patches(_control_alone(source, reader), level, min_area)
    return ControlFigures(threshold, seen, mapped, asked, false, patches, beyond, interval)


def _count(reader: MapReader, level: int) -> NDArray[np.int64]:
    """Pixels mapped, seen, called by the control and seen by it, of each block (block, 4)."""
    rows, columns = reader.shape
    across = -(-columns // BLOCK)
    counts = np.zeros((-(-rows // BLOCK), across, 4), np.int64)
    for strip in reader.strips(edge=BLOCK):
        assert strip.control_probability is not None
        for top in range(0, strip.probability.shape[0], BLOCK):
            here = counts[(strip.top + top) // BLOCK]
            for place, layer in ((0, strip.probability), (2, strip.control_probability)):
                packed = layer[top : top + BLOCK]
                seen = packed != FILL
                here[:, place] = _by_column((packed >= level) & seen, across)
                here[:, place + 1] = _by_column(seen, across)
    return counts.reshape(-1, 4)


def _by_column(mask: NDArray[np.bool_], blocks: int) -> NDArray[np.int64]:
    """True pixels of each block of one row of blocks."""
    per_column = mask.sum(axis=0, dtype=np.int64)
    padded = np.pad(per_column, (0, blocks * BLOCK - len(per_column)))
    summed: NDArray[np.int64] = padded.reshape(blocks, BLOCK).sum(axis=1)
    return summed


def beyond_control(areas: NDArray[Any]) -> tuple[float, Interval]:
    """Mapped area beyond what the control calls landslide (NaN where the control saw nothing), and
    its 95 % interval, by blocks drawn with replacement (Künsch 1989; NaN with fewer than 10 that
    hold any).

    Of each block (block, 4): area mapped, seen, called by the control and seen by it.

    >>> import numpy as np
    >>> alike = np.tile([8.0, 100.0, 1.0, 50.0], (40, 1))
    >>> beyond_control(alike)
    (240.0, Interval(low=240.0, high=240.0))
    """
    counted = areas[(areas[:, 1] > 0) | (areas[:, 3] > 0)].astype(np.float64)
    value = float(_beyond(counted.sum(axis=0, keepdims=True))[0])
    if len(counted) < FEWEST_BLOCKS or math.isnan(value):
        return value, Interval(math.nan, math.nan)
    return value, percentiles(_beyond(resampled(counted)))


def _beyond(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    mapped, seen, false, asked = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(asked > 0, mapped - false / asked * seen, np.nan))


def _control_alone(source: xr.Dataset | MapReader | str | Path, reader: MapReader) -> MapReader:
    """The control read as if it were the map."""
    if not isinstance(source, str | Path | MapReader):
        names = ("probability", "observation")
        return open_reader(source.assign({name: source[f"control_{name}"] for name in names}))
    layers = {
        "probability": reader.layers["control_probability"],
        "observation": reader.layers["observation"],
    }
    return replace(reader, layers=layers)


def _patches(control: MapReader, level: int, min_area: float) -> int:
    """Connected patches of the control, found as the map's own polygons are."""
    from sarmap.export.components import find_components

    pixel = abs(control.grid.transform.a * control.grid.transform.e)
    smallest = max(math.ceil(min_area / pixel - 1e-9), 1)
    return len(find_components(control, level, smallest=smallest, connectivity=4).pixels)
