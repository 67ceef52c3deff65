"""Statistics of real passes, and of drawn worlds, by the same functions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.real_change import change_statistics, drawn_statistics
from benchmarks.rightness.bursts import HELD_OUT, TRAINING, Burst, read_sao_sebastiao
from benchmarks.rightness.myanmar import read_series
from sarmap.simulate.physics import Physics
from sarmap.simulate.worlds import draw_world

__all__ = ["change", "passes"]

Field = NDArray[np.float32]
SEEDS = (501, 502, 503, 504, 505, 506)
MOST = 12
"""Passes that are looked at, of long series."""


def change(data: str, seed: int | None = None) -> dict[str, Any]:
    """How backscatter changed where landslides crowd: a drawn world's, or São Sebastião's."""
    if seed is not None:
        return {"metrics": _plain(drawn_statistics(seed))}
    vv, vh, label = read_sao_sebastiao(Path(data))
    return {"metrics": _plain(change_statistics(vv, vh, label > 0.5))}


def _plain(found: Any) -> dict[str, float]:
    told = asdict(found)
    for way in ("along", "across"):
        told |= {f"{way}_{lag}": value for lag, value in enumerate(told.pop(way), 1)}
    return told


def passes(data: str, source: str) -> dict[str, Any]:
    """Noise and whole-pass shifts of passes between which nothing happened."""
    stacks = {"opera": _opera, "myanmar": _myanmar, "drawn": _drawn}[source](Path(data))
    found = [_noise(band, power) for stack in stacks for band, power in stack.items()]
    names = dict.fromkeys(name for one in found for name in one)
    return {
        "metrics": {
            name: float(np.mean([one[name] for one in found if name in one])) for name in names
        }
    }


def _opera(data: Path) -> list[dict[str, Field]]:
    return [dict(Burst.read(data, name).power) for name in (TRAINING, *HELD_OUT)]


def _myanmar(data: Path) -> list[dict[str, Field]]:
    return [{band: values[:MOST] for band, values in read_series(data).power.items()}]


def _drawn(_data: Path) -> list[dict[str, Field]]:
    worlds = [draw_world(s, (256, 256), Physics.draw(s, before=5, after=1)) for s in SEEDS]
    return [{"vv": world.vv[: world.pre], "vh": world.vh[: world.pre]} for world in worlds]


def _noise(band: str, power: Field) -> dict[str, float]:
    """Level, change from pass to pass, shift of whole passes, looks, correlation of neighbours."""
    with np.errstate(divide="ignore", invalid="ignore"):
        db = 10 * np.log10(np.where(power > 0, power, np.nan))
    steps = np.diff(db, axis=0)
    shifts = np.nanmedian(steps, axis=(1, 2))
    rest = np.abs(steps - shifts[:, None, None])
    ratio = power / np.nanmean(power, axis=0)
    ratio = ratio / np.nanmean(ratio, axis=(1, 2), keepdims=True) - 1
    lag = np.nanmean(ratio[:, :, 1:] * ratio[:, :, :-1]) / np.nanvar(ratio)
    return {
        f"{band}_level": float(np.nanmedian(db)),
        f"{band}_step": float(1.4826 * np.nanmedian(rest)),
        f"{band}_shift": float(np.std(shifts)),
        f"{band}_looks": _looks(power),
        f"{band}_correlation": float(lag),
    }


def _looks(power: Field) -> float:
    """Mean squared over variance in the most even tenth of windows of 7 x 7 px."""
    best = []
    for one in power:
        known = np.nan_to_num(one)
        mean = ndimage.uniform_filter(known, 7)
        variance = ndimage.uniform_filter(known**2, 7) - mean**2
        whole = ndimage.uniform_filter(np.isfinite(one).astype(np.float32), 7) > 0.999
        best.append(np.percentile((mean**2 / np.maximum(variance, 1e-12))[whole], 90))
    return float(np.mean(best))
