"""How right one detector is, on one kind of ground; see `benchmarks.rightness`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rightness import bursts, myanmar, quiet, unfit
from benchmarks.rightness.ground import hidden
from benchmarks.rightness.mapping import cube_of, detect_with, supposed_by, terrain_of
from benchmarks.rightness.scenes import read_scene
from benchmarks.rightness.score import Score, calibration_gap, score

__all__ = [
    "bursts_quiet",
    "by_size",
    "draw",
    "drawn",
    "implanted",
    "points",
    "sao_sebastiao",
    "scenes",
    "series",
    "unchanged",
]

SPARSE = 0.0035
"""Share of landslides up to which a scene counts as sparse."""


def scenes(detector: str, folder: str, most_after: int | None = None) -> dict[str, Any]:
    """All scenes of a folder; with `most_after`, with so many passes after the event at most."""
    detect = detect_with(detector)
    made: dict[str, Judged] = {}
    started = time.perf_counter()
    for path in sorted(Path(folder).glob("*.npz")):
        scene = read_scene(path)
        count = scene.plan.n_pre + min(scene.plan.n_post, most_after or scene.plan.n_post)
        power = {band: values[:count] for band, values in scene.power.items()}
        cube = cube_of(power, scene.plan.n_pre, scene.times[:count], scene.plan.spacing)
        answer = detect(cube, terrain_of(scene.told, scene.plan.spacing))
        lost = hidden(scene.ground["dem"], scene.plan) & answer.seen
        found = score(answer, scene.truth, scene.plan.spacing, lost)
        made[path.stem] = Judged(scene.plan.law, scene.share, found)
    seconds = time.perf_counter() - started
    return {"metrics": {**_summary(made, detector), **_each(made), "seconds": seconds}}


def drawn(
    detector: str, first: int, count: int, least: float, most: float, edge: int = 512
) -> dict[str, Any]:
    """Drawn worlds of seeds that no training has seen, truth as an analyst draws it."""
    from sarmap.learn.worlds import world_cube

    detect = detect_with(detector)
    made: dict[str, Judged] = {}
    started = time.perf_counter()
    for seed in range(first, first + count):
        world, number = draw(seed, least, most, edge)
        found = score(detect(*world_cube(world)), number, world.spacing)
        law = world.physics.family
        made[f"{seed}"] = Judged(law, float((world.truth > 0).mean()), found)
    seconds = time.perf_counter() - started
    return {"metrics": {**_summary(made, detector), **_each(made), "seconds": seconds}}


def draw(seed: int, least: float, most: float, edge: int, **physics: Any) -> tuple[Any, np.ndarray]:
    """A world with a share of landslides between two, and what an analyst draws, by number."""
    from scipy import ndimage

    from sarmap.simulate.physics import Physics
    from sarmap.simulate.worlds import draw_world

    rng = np.random.default_rng(seed)
    share = float(np.exp(rng.uniform(np.log(least), np.log(most))))
    world = draw_world(seed, (edge, edge), Physics.draw(seed, land_share=share, **physics))
    return world, ndimage.label(world.truth, np.ones((3, 3)))[0].astype(np.int32)


@dataclass(frozen=True)
class Judged:
    """One scene and how it was mapped."""

    law: str
    """Of its landslides."""
    share: float
    """Of its land that is landslides."""
    score: Score


def _summary(made: dict[str, Judged], detector: str) -> dict[str, float | None]:
    scores = [one.score for one in made.values()]
    sparse = [one.score.false_polygons for one in made.values() if one.share <= SPARSE]
    sizes = np.sum([one.touched for one in scores], 0)
    hit, there = sizes.T
    bins = np.sum([one.calibration for one in scores], 0)
    gap = calibration_gap(bins, supposed_by(detector))
    return {
        "f1": float(np.mean([one.f1 for one in scores])),
        "f1_worst": min(one.f1 for one in scores),
        "f1_best_cut": float(np.mean([one.best_f1 for one in scores])),
        "elsewhere": float(np.mean([one.elsewhere for one in scores])),
        "elsewhere_worst": max(one.elsewhere for one in scores),
        "false_sparse": max(sparse) if sparse else None,
        "false_sparse_mean": float(np.mean(sparse)) if sparse else None,
        "touched": float(hit[2:].sum() / max(there[2:].sum(), 1)),
        "auc": float(np.mean([one.auc for one in scores])),
        "calibration": None if np.isnan(gap) else gap,
        **by_size(sizes, _of_all(scores)),
    }


def _of_all(scores: list[Score]) -> np.ndarray | None:
    counts = [one.touched_of_all for one in scores if one.touched_of_all is not None]
    return np.sum(counts, 0) if counts else None


def by_size(seen: np.ndarray, of_all: np.ndarray | None) -> dict[str, float]:
    """Share of the landslides of each class touched: of those seen, and of all with the hidden."""
    kinds = {"touched": seen} | ({} if of_all is None else {"of_all": of_all})
    return {
        f"{kind}_{at}": float(hit / there)
        for kind, counts in kinds.items()
        for at, (hit, there) in enumerate(counts)
        if there
    }


def _each(made: dict[str, Judged]) -> dict[str, float]:
    """F1 of each scene and, for tables by law, the mean of each law."""
    figures: dict[str, float] = {}
    laws: dict[str, list[float]] = {}
    for name, one in made.items():
        figures[f"f1 {name}"], figures[f"best {name}"] = one.score.f1, one.score.best_f1
        laws.setdefault(one.law, []).append(one.score.f1)
    return figures | {f"law {name}": float(np.mean(values)) for name, values in laws.items()}


def unchanged(detector: str, every: int = 1) -> dict[str, Any]:
    """Cells of unchanged ground, every so many of them."""
    shares = np.array(quiet.called_on_unchanged(detect_with(detector), quiet.CELLS[::every]))
    sound = float((shares <= 0.001).sum())
    return {"metrics": {"cells": len(shares), "sound": sound, **_called(shares)}}


def bursts_quiet(detector: str, data: str) -> dict[str, Any]:
    """Held-out real passes in which nothing happened."""
    kinds = bursts.quiet_pairs(detect_with(detector), Path(data))
    shares = {name: [one.called() for one in answers] for name, answers in kinds.items()}
    season = kinds["same season"]
    warned = float(np.mean([not one.fits for one in season]))
    others = {
        "called_years": float(np.median(shares["years apart"])),
        "called_held": float(np.median(shares["held"])),
        "called_held_worst": max(shares["held"]),
    }
    return {"metrics": {**_called(np.array(shares["same season"])), **others, "warned": warned}}


def _called(shares: np.ndarray) -> dict[str, float]:
    return {"called": float(np.median(shares)), "called_worst": float(shares.max())}


def implanted(detector: str, data: str, kind: str, relief_told: bool) -> dict[str, Any]:
    """Patches of 3 dB in held-out real passes."""
    made, elsewhere = bursts.implants(
        detect_with(detector), Path(data), kind, relief_told=relief_told
    )
    metrics = {
        "found": float(np.mean([one.found for one in made])),
        "pixels": float(np.mean([one.pixels for one in made])),
        "elsewhere": elsewhere,
    }
    if relief_told:  # to a detector that was told of no relief, all ground is alike
        metrics["found_flat"] = float(np.mean([one.found for one in made if one.slope < 8]))
        metrics["found_steep"] = float(np.mean([one.found for one in made if one.slope > 15]))
    return {"metrics": metrics}


def sao_sebastiao(detector: str, data: str) -> dict[str, Any]:
    """The real change of São Sebastião in held-out real passes."""
    maps = bursts.sao_sebastiao(detect_with(detector), Path(data))
    weights = [len(one.medium) for one in maps]
    at = {
        f"found_at_{share:g}": float(np.average([m.found_at(share) for m in maps], weights=weights))
        for share in (0.002, 0.005, 0.01)
    }
    joined = {
        name: np.concatenate([getattr(one, name) for one in maps])
        for name in ("medium", "strong", "darker", "brighter", "quiet")
    }
    half = {f"half_{name}": float((values >= 0.5).mean()) for name, values in joined.items()}
    return {"metrics": at | half}


def points(detector: str, data: str) -> dict[str, Any]:
    """Myanmar's points: stable ones should not be called."""
    made = myanmar.points_called(detect_with(detector), Path(data))
    held = [one for one in made if one.held_out]
    return {
        "metrics": {
            "stable": float(np.mean([one.called for one in held if one.stable])),
            "disturbed": float(np.mean([one.called for one in held if not one.stable])),
            "stable_all": float(np.mean([one.called for one in made if one.stable])),
            "disturbed_all": float(np.mean([one.called for one in made if not one.stable])),
        }
    }


def series(detector: str, data: str) -> dict[str, Any]:
    """Nine passes in which no dated point was cleared."""
    return {"metrics": _called(np.array(myanmar.quiet_series(detect_with(detector), Path(data))))}


def unfit_input(detector: str, folder: str, name: str) -> dict[str, Any]:
    """Whether a map says, or is refused, where its input is not to be trusted."""
    told = [unfit.raised(detect_with(detector), Path(folder) / one, name) for one in unfit.SCENES]
    notes = [f"{name}: {text}" for _, text in told]
    return {"metrics": {"raised": float(np.mean([raised for raised, _ in told]))}, "notes": notes}
