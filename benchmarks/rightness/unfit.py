"""Inputs that no detector should be trusted on: what a map says of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.rightness.ground import NAMES
from benchmarks.rightness.mapping import Detect, cube_of, terrain_of
from benchmarks.rightness.noise import Field, smooth_noise
from benchmarks.rightness.scenes import Scene, read_scene
from sarmap.errors import SarmapError

__all__ = ["INPUTS", "SCENES", "raised"]

Power = dict[str, Field]
SCENES = ("03.npz", "08.npz")
"""Of the set `choose`: with what each input is tried."""
HALF_A_YEAR = np.timedelta64(190, "D")


def _each(power: Power, act: Callable[[Field], Field]) -> Power:
    return {band: act(values).astype(np.float32) for band, values in power.items()}


def _after(scene: Scene, power: Power, where: NDArray[np.bool_], vv: float, vh: float) -> Power:
    """A change in dB of part of the land in the passes after."""
    for band, db in (("vv", vv), ("vh", vh)):
        if band in power:
            power[band][scene.plan.n_pre :, where] *= 10 ** (db / 10)
    return power


def _despeckled(scene: Scene, power: Power) -> Power:
    return _each(power, lambda values: ndimage.gaussian_filter(values, (0, 2, 2)))


def _jump(scene: Scene, power: Power) -> Power:
    """The passes after lie 1.5 px to the side."""
    for values in power.values():
        for one in values[scene.plan.n_pre :]:
            one[:] = ndimage.shift(one, (0.0, 1.5), order=1, mode="nearest")
    return power


def _wet_snow(scene: Scene, power: Power) -> Power:
    line = 20 * smooth_noise(np.random.default_rng(3), scene.plan.shape, 40, 2.5)
    high = scene.ground["dem"] + line
    return _after(scene, power, high > np.quantile(high, 0.65), -5.0, -4.0)


def _leaf_fall(scene: Scene, power: Power) -> Power:
    scene.times[scene.plan.n_pre :] += HALF_A_YEAR
    return _after(scene, power, scene.cover == NAMES.index("forest"), -0.8, -2.2)


def _l_band(scene: Scene, power: Power) -> Power:
    """Twice the contrast of the ground, lower, and the noise of a single look."""
    rng = np.random.default_rng(4)

    def act(values: Field) -> Field:
        db = 10 * np.log10(np.maximum(ndimage.uniform_filter(values.mean(0), 3), 1e-6))
        wide = np.nanmean(db) + 2 * (db - np.nanmean(db)) - 4
        moved = ndimage.uniform_filter(values / values.mean(0), (0, 3, 3))
        return 10 ** (wide / 10) * moved * rng.gamma(1.3, 1 / 1.3, values.shape)

    return _each(power, act)


INPUTS: dict[str, Callable[[Scene, Power], Power]] = {
    "as it is": lambda scene, power: power,
    "amplitude": lambda scene, power: _each(power, np.sqrt),
    "digital numbers": lambda scene, power: _each(power, lambda v: np.round(1500 * np.sqrt(v))),
    "dB": lambda scene, power: _each(power, lambda v: 10 * np.log10(v)),
    "despeckled": _despeckled,
    "jump of 1.5 px": _jump,
    "wet snow": _wet_snow,
    "leaf-on against leaf-off": _leaf_fall,
    "L-band": _l_band,
}


def raised(detect: Detect, path: Path, name: str) -> tuple[bool, str]:
    """Whether a map of one scene, made unfit, is refused or said not to fit; and how."""
    scene = read_scene(path)
    power = INPUTS[name](scene, {band: values.copy() for band, values in scene.power.items()})
    try:
        cube = cube_of(power, scene.plan.n_pre, scene.times, scene.plan.spacing)
        answer = detect(cube, terrain_of(scene.ground, scene.plan.spacing))
    except SarmapError as error:
        return True, f"refused: {error}"
    return not answer.fits, ", ".join(answer.codes) or "no note"
