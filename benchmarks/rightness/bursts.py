"""Real passes over California in which nothing happened, and changes that are put into them.

OPERA RTC-S1, 30 m, eight dates; contains modified Copernicus Sentinel data, processed by NASA.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.rightness.ground import Plan, local_incidence, relief, slope_of
from benchmarks.rightness.mapping import Answer, Detect, cube_of, terrain_of
from benchmarks.rightness.noise import Field

__all__ = [
    "HELD_OUT",
    "KINDS",
    "TRAINING",
    "Burst",
    "Implant",
    "implants",
    "quiet_pairs",
    "read_sao_sebastiao",
    "sao_sebastiao",
]

TRAINING, HELD_OUT = "292319", ("292320", "292321")
"""A burst that trainings may read, and those that none does."""
CRS, SPACING = "EPSG:32611", 30.0
EIGHT = np.ones((3, 3), bool)
Split = tuple[tuple[int, ...], tuple[int, ...]]
SAME_SEASON: tuple[Split, ...] = (
    ((0,), (1,)), ((1,), (2,)), ((2,), (3,)), ((4,), (5,)), ((6,), (7,)),
    ((0, 1), (2,)), ((1, 2), (3,)), ((0, 1), (2, 3)), ((0, 1, 2), (3,)),
    ((0, 1, 2, 3, 4), (5,)), ((0, 1, 2, 3, 4, 5, 6), (7,)),
)  # fmt: skip
"""Numbers of the passes before and after; the last before lies 6-12 days before the first after."""
YEARS_APART: tuple[Split, ...] = (
    ((0, 1, 2, 3), (4, 5)), ((2, 3), (4,)), ((4, 5), (6, 7)), ((0, 1, 2, 3, 4, 5), (6, 7)),
)  # fmt: skip
HELD: tuple[Split, ...] = (
    ((0, 1, 2, 3, 4, 5), (6,)), ((0, 1, 2, 3, 4, 5), (6, 7)),
    ((1, 2, 3, 4, 5, 6), (7,)), ((0, 1, 2, 3, 4, 5, 6), (7,)),
)  # fmt: skip
"""With passes enough before the event for a threshold of the place (`sarmap.detect.quiet`)."""
IMPLANTED: tuple[Split, ...] = (
    ((0, 1), (2, 3)), ((0, 1, 2), (3,)), ((0, 1, 2, 3, 4), (5,)), ((0, 1, 2, 3, 4, 5, 6), (7,)),
)  # fmt: skip
KINDS = {"darker": (-3.0, -3.0), "brighter": (3.0, 3.0), "VH only": (0.0, -3.0)}
"""Change of VV and VH, dB."""


@dataclass(frozen=True)
class Burst:
    """The passes of one burst."""

    power: Mapping[str, Field]
    times: NDArray[np.datetime64]

    @classmethod
    def read(cls, data: Path, name: str) -> Burst:
        """All dates of a burst of the shared data."""
        import rasterio

        power = {}
        for band in ("VV", "VH"):
            files = sorted(data.glob(f"opera_rtc/*-{name}-*_{band}.tif"))
            power[band.lower()] = np.stack([rasterio.open(one).read(1) for one in files])
        stamps = [re.findall(r"_(\d{8}T\d{6})Z_", one.name)[0] for one in files]
        dates = [dt.datetime.strptime(one, "%Y%m%dT%H%M%S") for one in stamps]
        return cls(power, np.array(dates, "datetime64[ns]"))

    def detected(
        self,
        detect: Detect,
        split: Split,
        change: tuple[Field | float, Field | float] = (0.0, 0.0),
        ground: Mapping[str, Field] | None = None,
    ) -> Answer:
        """The answer for one split, with a change in dB of VV and VH in the passes after."""
        before, after = split
        index = [*before, *after]
        power = {band: values[index].copy() for band, values in self.power.items()}
        for band, db in zip(("vv", "vh"), change, strict=True):
            power[band][len(before) :] *= 10 ** (np.asarray(db, np.float32) / 10)
        cube = cube_of(power, len(before), self.times[index], SPACING, CRS)
        return detect(cube, terrain_of(ground or {}, SPACING, CRS))


def quiet_pairs(detect: Detect, data: Path) -> dict[str, list[Answer]]:
    """Answers on the held-out bursts as they are, by which passes stand before and after."""
    bursts = [Burst.read(data, name) for name in HELD_OUT]
    kinds = {"same season": SAME_SEASON, "years apart": YEARS_APART, "held": HELD}
    return {
        name: [burst.detected(detect, split) for burst in bursts for split in splits]
        for name, splits in kinds.items()
    }


# --- implants ---


@dataclass(frozen=True)
class Implant:
    """One patch that was made darker or brighter, and what was called of it."""

    slope: float
    """Mean slope under it, degrees, of the relief that the detector was told of."""
    found: bool
    """Whether any pixel of it was called."""
    pixels: float
    """Share of its pixels that were called."""


def implants(
    detect: Detect, data: Path, kind: str, *, relief_told: bool
) -> tuple[list[Implant], float]:
    """Patches of 3 dB with soft edges in burst 292321, and the share called elsewhere.

    The burst comes without elevation. An invented relief, half of it flat, is laid under it
    (`relief_told`), so that the same real passes are flat here and steep there; without, the
    detector is told nothing of the ground.
    """
    burst = Burst.read(data, "292321")
    made: list[Implant] = []
    elsewhere = []
    for number, split in enumerate(IMPLANTED):
        soft, index = _patches(np.random.default_rng([5, number]), burst.power["vv"].shape[1:])
        ground = _invented_relief(80 + number, soft.shape)
        vv, vh = (db * soft for db in KINDS[kind])
        answer = burst.detected(detect, split, (vv, vh), ground if relief_told else None)
        called = answer.seen & (np.nan_to_num(answer.probability) >= 0.5)
        for one in range(1, index.max() + 1):
            here = index == one
            slope = float(ground["slope"][here].mean())
            made.append(Implant(slope, bool(called[here].any()), float(called[here].mean())))
        far = ~ndimage.binary_dilation(soft > 0.05, EIGHT, iterations=2)
        elsewhere.append(answer.called(far))
    return made, float(np.mean(elsewhere))


def _patches(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Field, NDArray[np.intp]]:
    """Ellipses of 7-50 px on an uneven grid: a soft mask (0-1), and each one's number."""
    soft, number = np.zeros(shape), np.zeros(shape, int)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    places = [(y, x) for y in range(9, shape[0] - 6, 14) for x in range(9, shape[1] - 6, 14)]
    for count, (y, x) in enumerate(places, 1):
        dy, dx = rows - y - rng.uniform(-3, 3), columns - x - rng.uniform(-3, 3)
        long, short, turn = rng.uniform(2.0, 4.5), rng.uniform(1.2, 2.2), rng.uniform(0, np.pi)
        u, v = dy * np.cos(turn) + dx * np.sin(turn), dx * np.cos(turn) - dy * np.sin(turn)
        inside = (u / long) ** 2 + (v / short) ** 2 < 1
        number[inside] = count
        soft += inside
    return np.clip(ndimage.gaussian_filter(soft, 0.7), 0, 1), number


def _invented_relief(seed: int, shape: tuple[int, ...]) -> dict[str, Field]:
    plan = Plan(0, seed, "darken", 0.0, spacing=SPACING, size=max(shape), flat=0.45)
    dem = relief(np.random.default_rng(seed), plan)
    slope, down, along = slope_of(dem, SPACING)
    incidence = local_incidence(down, along, plan.incidence, plan.look_east)
    return {"dem": dem, "slope": slope.astype(np.float32), "incidence": incidence}


# --- São Sebastião ---


@dataclass(frozen=True)
class Cluster:
    """Probabilities where landslides lie and where none do, of one map."""

    medium: NDArray[np.float32]
    """Where the real change was 1.5-3 dB."""
    strong: NDArray[np.float32]
    """Where it was more."""
    darker: NDArray[np.float32]
    brighter: NDArray[np.float32]
    quiet: NDArray[np.float32]
    """On land away from the cluster."""

    def found_at(self, share: float) -> float:
        """Share of `medium` found where `share` of the quiet land is called."""
        return float((self.medium > np.quantile(self.quiet, 1 - share)).mean())


def sao_sebastiao(detect: Detect, data: Path) -> list[Cluster]:
    """The real change of the landslides of Feb 2023, put into the held-out bursts' passes."""
    bands = read_sao_sebastiao(data)
    rows = np.arange(0, bands.shape[1], 30 / 32.0).astype(int)  # nearest: keeps its grain
    columns = np.arange(0, bands.shape[2], 30 / 29.2).astype(int)
    bands = bands[:, rows][:, :, columns]
    windows = [
        bands[:, y : y + 100, x : x + 100]
        for y in range(0, bands.shape[1] - 99, 48)
        for x in range(0, bands.shape[2] - 99, 48)
    ]
    kept = [
        one for one in windows if np.isfinite(one[0]).mean() > 0.7 and (one[2] > 0.5).mean() > 0.03
    ]
    return [
        _cluster(Burst.read(data, name), detect, one, IMPLANTED[number % 3])
        for name in HELD_OUT
        for number, one in enumerate(kept)
    ]


def read_sao_sebastiao(data: Path) -> Field:
    """Change of VV and VH in dB and a weak label of where landslides crowd (3, y, x)."""
    import rasterio

    with rasterio.open(next(data.glob("sao_sebastiao/*.tif"))) as source:
        return np.asarray(source.read())


def _cluster(burst: Burst, detect: Detect, bands: Field, split: Split) -> Cluster:
    vv, vh, label = bands
    answer = burst.detected(detect, split, (np.nan_to_num(vv), np.nan_to_num(vh)))
    there = answer.seen & np.isfinite(vv) & np.isfinite(vh)
    inside = (label > 0.5) & there
    away = there & ~ndimage.binary_dilation(label > 0.5, EIGHT, iterations=3)
    change = np.nan_to_num(vv + vh) / 2
    p = answer.probability
    return Cluster(
        p[inside & (np.abs(change) >= 1.5) & (np.abs(change) < 3)],
        p[inside & (np.abs(change) >= 3)],
        p[inside & (change <= -1.5)],
        p[inside & (change >= 1.5)],
        p[away],
    )
