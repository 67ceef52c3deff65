"""Which landslides are found: of the demo's event, and of families not learnt from."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rightness.mapping import detect_with
from benchmarks.rightness.score import score, touched
from benchmarks.tasks.requests import answer_layers, make_request, temporary_store
from benchmarks.tasks.rightness import by_size, draw

__all__ = ["demo", "left_out"]

RECIPE = Path(__file__).resolve().parents[2] / "examples" / "attention-unet.yaml"
EPOCHS = 2
_NOT_JOINED = {"change_share": 0.0, "odds_added": 0.0, "signature": ()}
SEEDS = 132
"""Worlds of the network that saw every family: about 5,000 patches, as many as the others have."""


def demo(detector: str, inventory: str, control: str, **place: Any) -> dict[str, Any]:
    """Map the simulated event and score it, strictly pixel by pixel; objects within one pixel."""
    import sarmap
    from sarmap.assess.assessment import assess_map
    from sarmap.types import Observation

    with temporary_store() as out:
        sarmap.map_landslides(make_request(out=out, detector=detector, **place))
        found = assess_map(out, inventory)
        layers = answer_layers(out)
    codes = layers["observation"]
    seen = codes == Observation.OBSERVED
    called = seen & (layers["probability"] >= found.tally.level)
    rows, columns = seen.shape
    number = found.labels.numbers(slice(0, rows), slice(0, columns))
    spacing = found.tally.pixel_area**0.5
    lost = codes == Observation.LAYOVER_SHADOW
    kinds = [np.array(touched(called, number, seen, spacing, one)) for one in (None, lost)]
    interval = found.intervals["f1"]
    return {
        "metrics": {
            "f1": found.scores.f1,
            "f1_low": interval.low,
            "f1_high": interval.high,
            "f1_best": float(np.nanmax(found.curve.f1)),
            "precision": found.scores.precision,
            "recall": found.scores.recall,
            **by_size(*kinds),
        }
    }


def left_out(
    family: str,
    physics: Mapping[str, Any],
    seeds: int,
    first: int,
    alone: bool = False,
    worlds: int = 12,
    edge: int = 384,
) -> dict[str, Any]:
    """The network that saw a family or spacing beside one that did not, on worlds of it.

    Parameters
    ----------
    family
        Its name.
    physics
        Fields of `sarmap.simulate.physics.Physics` that make a world of it.
    seeds
        From so many worlds the network without it learns, for as many patches as the other has.
    first, worlds, edge
        Seed of the first world to be mapped, how many, and their edge in pixels.
    alone
        The networks as they are; else joined with `change`, as the product does.
    """
    from sarmap.detect.weights import load_detector

    without = {field: [value] for field, value in physics.items()}
    manifests = {
        "saw": network("all", {}, SEEDS),
        "not": network(f"without-{family.replace(' ', '-')}", without, seeds),
    }
    with tempfile.TemporaryDirectory(prefix="sarmap-bench-") as folder:
        if alone:
            manifests = {key: _alone(one, Path(folder) / key) for key, one in manifests.items()}
        detectors = {key: load_detector(one) for key, one in manifests.items()}
        scores = np.array(
            [_scores(detectors, seed, physics, edge) for seed in range(first, first + worlds)]
        )  # world, network, at 0.5 or best
    return {"metrics": _compared(scores[..., 0], "") | _compared(scores[..., 1], "_best")}


def network(name: str, without: Mapping[str, Any], seeds: int) -> Path:
    """The shipped recipe on fewer worlds, trained once and kept in the cache; its manifest."""
    from sarmap.cache import cache_folder
    from sarmap.learn.train import train
    from sarmap.request_file import read_request_file

    recipe = dict(read_request_file(RECIPE))
    training, *others = recipe["worlds"]
    worlds = [training | {"count": seeds, "without": without}, *(o | {"count": 3} for o in others)]
    out = str(cache_folder("left-out") / name)
    return train(recipe | {"name": name, "out": out, "epochs": EPOCHS, "worlds": worlds}).manifest


def _alone(manifest: Path, folder: Path) -> Path:
    """The same weights, not joined with `change` and not fitted to the event."""
    from sarmap.detect.manifest import read_arrays, read_manifest, save_weights

    known = read_manifest(manifest)
    fields = known.model_dump(exclude={"weights", "sha256"})
    arrays = read_arrays(manifest.with_name(known.weights))
    return save_weights(arrays, folder, **fields | _NOT_JOINED)


def _scores(
    detectors: Mapping[str, Any], seed: int, physics: Mapping[str, Any], edge: int
) -> list[tuple[float, float]]:
    """F1 of each network on one world with 1-10 % landslides, at 0.5 and at its best threshold."""
    from sarmap.learn.worlds import world_cube

    world, number = draw(seed, 0.01, 0.1, edge, **physics)
    cube, terrain = world_cube(world)
    answers = [detect_with(one)(cube, terrain) for one in detectors.values()]
    found = [score(one, number, world.spacing) for one in answers]
    return [(one.f1, one.best_f1) for one in found]


def _compared(f1: np.ndarray, suffix: str) -> dict[str, float]:
    """Means of both networks over worlds, and their difference with its interval."""
    gap = f1[:, 1] - f1[:, 0]
    draws = np.random.default_rng(0).choice(gap, (2000, len(gap))).mean(1)
    low, high = np.percentile(draws, (2.5, 97.5))
    saw, not_seen = f1.mean(0)
    figures = {"saw": saw, "not": not_seen, "gap": gap.mean(), "gap_low": low, "gap_high": high}
    return {f"{key}{suffix}": float(value) for key, value in figures.items()}
