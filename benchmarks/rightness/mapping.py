"""From arrays to a detector's answer, by the package's own calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from benchmarks.rightness.noise import Field

__all__ = ["Answer", "Detect", "cube_of", "detect_with", "supposed_by", "terrain_of"]

CORNER = (500_000.0, 4_700_000.0)


@dataclass(frozen=True)
class Answer:
    """A map: probability, NaN where not seen, and what it says of its own input."""

    probability: Field
    fits: bool
    codes: tuple[str, ...]
    """Notes of trust, by their codes."""

    @property
    def seen(self) -> NDArray[np.bool_]:
        return np.isfinite(self.probability)

    def called(self, where: NDArray[np.bool_] | None = None) -> float:
        """Share of what was seen with a probability of at least 0.5."""
        mask = self.seen if where is None else self.seen & where
        return float((self.probability[mask] >= 0.5).mean()) if mask.any() else float("nan")


Detect = Callable[[xr.Dataset, xr.Dataset | None], Answer]


def detect_with(detector: Any) -> Detect:
    """A detector, or one by name, as `sarmap.map_cube` runs it."""
    import sarmap

    def detect(cube: xr.Dataset, terrain: xr.Dataset | None) -> Answer:
        result = sarmap.map_cube(cube, terrain, detector=detector)
        trust: Any = result.attrs["sarmap:trust"]
        trust = json.loads(trust) if isinstance(trust, str) else trust
        codes = tuple(note["code"] for note in trust["notes"])
        values = np.asarray(result["probability"].values, np.float32)
        return Answer(values, bool(trust["fits"]), codes)

    return detect


def supposed_by(detector: str) -> float | None:
    """Share of the land under landslides that a detector's probabilities suppose; None: unsaid."""
    from sarmap.detect.weights import load_detector

    manifest = getattr(load_detector(detector), "manifest", None)
    return manifest.prevalence if manifest else None


def cube_of(
    power: Mapping[str, Field],
    n_pre: int,
    times: NDArray[np.datetime64],
    spacing: float,
    crs: str = "EPSG:32654",
) -> xr.Dataset:
    """Passes (time, y, x), the first `n_pre` of them before the event, as a cube."""
    import sarmap

    where = coordinates(next(iter(power.values())).shape[1:], spacing)
    passes = [
        xr.Dataset({band: (("y", "x"), values[t]) for band, values in power.items()}, where)
        for t in range(len(times))
    ]
    return sarmap.make_cube(passes[:n_pre], passes[n_pre:], times=list(times), crs=crs)


def terrain_of(
    ground: Mapping[str, Field], spacing: float, crs: str = "EPSG:32654"
) -> xr.Dataset | None:
    """`dem`, `slope`, `incidence` as terrain, those that are there; None where none is."""
    import sarmap

    if not ground:
        return None
    where = coordinates(next(iter(ground.values())).shape, spacing)
    arrays = {name: xr.DataArray(v, where, ("y", "x")) for name, v in ground.items()}
    return sarmap.make_terrain(arrays.pop("dem", None), **arrays, crs=crs)


def coordinates(shape: tuple[int, ...], spacing: float) -> dict[str, NDArray[np.float64]]:
    """Pixel centres."""
    return {
        "y": CORNER[1] - spacing * (np.arange(shape[0]) + 0.5),
        "x": CORNER[0] + spacing * (np.arange(shape[1]) + 0.5),
    }
