"""Unchanged ground: what is called where nothing happened, over noise, shifts and drift."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from benchmarks.rightness.ground import Plan, local_incidence, relief, slope_of
from benchmarks.rightness.mapping import Detect, cube_of, terrain_of
from benchmarks.rightness.noise import Field, regional, smooth_noise, speckle

__all__ = ["CELLS", "Cell", "called_on_unchanged"]

Cell = tuple[float, float, float, float]
"""Correlation of neighbouring speckle, looks, dB that the passes after lie off, dB of drift."""
CELLS: Sequence[Cell] = tuple(
    itertools.product(
        (0.0, 0.2, 0.4, 0.7), (3.0, 4.4, 7.0, 12.0), (-1.5, -0.75, 0.0, 0.75, 1.5), (0.0, 0.7)
    )
)
PLAN = Plan(0, 411, "darken", 0.0, size=384)
N_PRE, N_POST, SEED = 3, 2, 77


def called_on_unchanged(detect: Detect, cells: Sequence[Cell] = CELLS) -> list[float]:
    """Share called at 0.5 in each cell: five passes of one mean."""
    rng = np.random.default_rng(PLAN.seed)
    dem = relief(rng, PLAN)
    slope, down, along = slope_of(dem, PLAN.spacing)
    incidence = local_incidence(down, along, PLAN.incidence, PLAN.look_east)
    ground = {"dem": dem, "slope": slope.astype(np.float32), "incidence": incidence}
    texture = smooth_noise(rng, PLAN.shape, 30, 1.8)
    levels = {"vv": -9.0 + texture, "vh": -15.0 + texture}
    terrain = terrain_of(ground, PLAN.spacing)
    days = np.arange(N_PRE + N_POST) * np.timedelta64(12, "D")
    times = np.datetime64("2020-06-01T08:00", "ns") + days
    shares = []
    for number, cell in enumerate(CELLS):
        if cell in cells:
            power = _passes(np.random.default_rng([SEED, number]), cell, levels)
            shares.append(detect(cube_of(power, N_PRE, times, PLAN.spacing), terrain).called())
    return shares


def _passes(rng: np.random.Generator, cell: Cell, levels: dict[str, Field]) -> dict[str, Field]:
    correlation, looks, shift, drift = cell
    count = N_PRE + N_POST
    moved = [drift and drift * regional(rng, PLAN.size, PLAN.spacing) for _ in range(count)]
    return {
        band: np.stack(
            [
                10 ** ((level + moved[t] + shift * (t >= N_PRE)) / 10)
                * speckle(rng, PLAN.shape, looks, correlation)
                for t in range(count)
            ]
        ).astype(np.float32)
        for band, level in levels.items()
    }
