"""Train the weights that sarmap ships, from simulated events, and score them on others.

    python tools/first_weights.py --work /somewhere/large

makes everything anew: events, composites through the package's own route (STAC API, cube, terrain,
composite), six trainings, float16 weights, manifests and cards in `sarmap/detect/data`, scores
included. About an hour on two cores. `--keep` reuses events that the same simulator left in the
work folder; `--only NAME` trains some of the six; `--quick` is a trial.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import network_trials as nets
import numpy as np
from shipping import store, training_record
from simulated_events import (
    HELD_OUT,
    ORBITS,
    TRAINING,
    UNTOUCHED,
    VALIDATION,
    Event,
    read_event,
)

from sarmap.detect.networks import build_network, get_arrays
from sarmap.learn.fitting import Recipe, fit
from sarmap.learn.losses import cross_entropy
from sarmap.learn.samples import Clips, band_statistics, draw_clips, join, standardised
from sarmap.learn.sources import InMemory

ROOT = Path(__file__).resolve().parent.parent
CLASSIFIERS = {
    "cnn-baa": ("BAA", ("vv_pre", "vv_post_1", "vv_post_2")),
    "cnn-bah": ("BAH", ("vv_pre", "vv_post_1", "vh_post_1")),
    "cnn-bas": ("BAS", ("vv_pre", "vv_post_1", "slope")),
    "cnn-dense": ("BAA", ("vv_pre", "vv_post_1", "vv_post_2")),
}
NETWORK = dict.fromkeys(CLASSIFIERS, "cnn") | {"cnn-dense": "cnn-dense"}
CARD = {
    "cnn": "Paper 1's three-block CNN on composite {composite}.",
    "cnn-dense": (
        "A three-block CNN without resampling or padding on composite {composite}: one pass over a "
        "block answers all its windows. Not the papers' network; its scores stand beside theirs."
    ),
}
PAPER = "nava-2022-attention-unet"
PAPER_BANDS = ("vv_pre", "vv_post_1", "vv_post_2", "slope")
RECIPE, FIRST_PASS = "attention-unet", "attention-unet-first-pass"
RECIPE_BANDS = (
    *("vv_pre", "vv_pre_2", "vv_pre_3", "vv_post_1", "vv_post_2", "slope"),
    *("vh_pre", "vh_pre_2", "vh_pre_3", "vh_post_1", "vh_post_2", "incidence"),
)
RECIPES = {
    RECIPE: RECIPE_BANDS,
    FIRST_PASS: tuple(band for band in RECIPE_BANDS if not band.endswith("post_2")),
}
OTHERWISE = {RECIPE: (PAPER, FIRST_PASS), FIRST_PASS: ()}
SAYS = {
    RECIPE: (
        "Three passes before the event and two after, VV and VH, in dB with fixed statistics, "
        "slope and local incidence: speckle averages out, and VH says where forest is gone. For "
        f"either orbit, best with orbit=both. Where a pass or VH is not there, {PAPER} or "
        f"{FIRST_PASS} maps instead."
    ),
    FIRST_PASS: (
        f"As {RECIPE}, for the days until the second pass: three passes before the event and one "
        "after."
    ),
}
RECIPE_LOSS = "bce-dice"
RECIPE_EMPTY = 0.5
"""Share of the patches without a landslide that the recipe learns from, too."""
UNET = {"filters": 16, "depth": 4, "tile": 64}
NEGATIVES = 4.0
log = logging.getLogger("first_weights")


@dataclass(frozen=True)
class Effort:
    """How much is trained."""

    command: str
    """What reproduces it."""
    unet: Recipe
    """Recipe of paper 2's U-Net."""
    recipe: Recipe
    """Recipe of the one for both orbits, which goes on from that."""
    turned: Recipe
    """Recipe of its second training, in which landslides get brighter, too."""
    cnn: Recipe
    """Recipe of the CNNs."""
    patches: int
    """Most training patches."""
    clips: int
    """Most landslide clips drawn per event."""


FULL = Effort(
    "python tools/first_weights.py --work FOLDER",
    Recipe(epochs=12, batch=16, patience=4, seed=1, schedule="constant"),
    Recipe(epochs=10, batch=16, patience=10, seed=1),
    Recipe(epochs=6, batch=16, learning_rate=0.0005, patience=6, seed=1),
    Recipe(epochs=8, batch=64, patience=3, seed=1, schedule="constant"),
    patches=100_000,
    clips=2500,
)
QUICK = Effort(
    "python tools/first_weights.py --work FOLDER --quick",
    Recipe(epochs=6, batch=16, patience=5, seed=1, schedule="constant"),
    Recipe(epochs=3, batch=16, learning_rate=0.0007, patience=5, seed=1),
    Recipe(epochs=2, batch=16, learning_rate=0.0005, patience=5, seed=1),
    Recipe(epochs=5, batch=64, patience=5, seed=1, schedule="constant"),
    patches=640,
    clips=1500,
)


def main() -> None:
    """Simulate, train, store, score."""
    arguments = _arguments()
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx").setLevel("WARNING")
    effort = QUICK if arguments.quick else FULL
    events = lru_cache(
        lambda seed, orbit="ascending": read_event(
            arguments.work / "events", seed, orbit, keep=arguments.keep
        )
    )
    for name in arguments.only or (PAPER, *RECIPES, *CLASSIFIERS):
        if name == PAPER:
            _make_paper(effort, events, arguments)
        elif name in RECIPES:
            _make_recipe(name, effort, events, arguments)
        else:
            _make_classifier(name, effort, events, arguments.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the events")
    parser.add_argument("--out", type=Path, default=ROOT / "sarmap" / "detect" / "data")
    parser.add_argument("--keep", action="store_true", help="reuse the events in --work")
    parser.add_argument("--only", nargs="*", choices=(PAPER, *RECIPES, *CLASSIFIERS))
    parser.add_argument(
        "--turned",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="train recipes a second time, with landslides that get brighter in so many patches",
    )
    parser.add_argument(
        "--from", dest="first", type=Path, help="manifest of a first training, to go on from"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the training, as a trial")
    given = parser.parse_args()
    if given.first and not (given.turned and len(given.only or ()) == 1):
        parser.error("--from goes with --turned and one --only")
    return given


def _make_paper(effort: Effort, events: Any, how: argparse.Namespace) -> None:
    """Paper 2's recipe on A_BAA_S."""

    def patches(seed: int) -> Any:
        return nets.cut(events(seed), PAPER_BANDS, "amplitude", "tile-minmax", empty=1.0)

    training = nets.thin(join([patches(seed) for seed in TRAINING]), effort.patches)
    fitted = nets.train(
        training,
        patches(VALIDATION),
        effort.unet,
        arguments=UNET,
        bands=PAPER_BANDS,
        keep_in=how.work / "training" / PAPER,
    )
    fields = _segmenter(PAPER, PAPER_BANDS, "BAA_S") | {
        "training": _record(
            effort,
            effort.unet,
            fitted,
            {"training": [events(s) for s in TRAINING], "validation": [events(VALIDATION)]},
        ),
        "card": (
            "Paper 2's recipe (Nava et al. 2022, composite A_BAA_S: per-patch min-max, Dice over "
            "both classes, Adam at 0.001, flips), trained on SIMULATED events only: it has seen no "
            "real landslide. Two things differ from the paper: 16 first-layer filters instead of "
            f"32, and all patches instead of those with a landslide. Read {PAPER}.md."
        ),
    }
    store(fitted.arrays, how.out, fields, _held_out(events))


def _make_recipe(name: str, effort: Effort, events: Any, how: argparse.Namespace) -> None:
    """More passes, VH and dB, for either orbit, going on from paper 2's recipe.

    Simulated landslides hardly ever brighten, real ones do: with `--turned` a second training
    follows, in which some do.
    """
    bands = RECIPES[name]
    learnt = [
        events(seed, orbit) for seed in (TRAINING if effort is FULL else (11,)) for orbit in ORBITS
    ]
    judging = [events(VALIDATION, orbit) for orbit in ORBITS]
    statistics = nets.band_statistics(learnt, bands, "db")

    def train(recipe: Recipe, turned: float, start: Path, work: Path) -> Any:
        training, validation = (
            [nets.cut_turned(e, turned, bands, "db", statistics, empty=RECIPE_EMPTY) for e in of]
            for of in (learnt, judging)
        )
        fitted = nets.train(
            nets.thin(join(training), effort.patches),
            nets.thin(join(validation), 320),
            recipe,
            arguments=UNET,
            bands=bands,
            start=start,
            loss=RECIPE_LOSS,
            keep_in=work,
        )
        network = nets.detector(
            fitted.arrays,
            work,
            bands=bands,
            scaling="db",
            normalisation=statistics,
            arguments=UNET,
        )
        return fitted, network

    work = how.work / "training" / name
    start, recipe, from_name = how.out / f"{PAPER}.json", effort.recipe, PAPER
    if how.turned:
        if how.first is None:
            train(recipe, 0.0, start, work)
        start = how.first or work / "weights" / "trial.json"
        recipe, work, from_name = effort.turned, work / "turned", f"{name}, first training"
    began = nets.read_manifest(start)
    fitted, network = train(recipe, how.turned, start, work)
    arrays, shift = _shifted(fitted, network, events)
    fields = _segmenter(name, bands, None) | {
        "scaling": "db",
        "normalisation": statistics,
        "otherwise": OTHERWISE[name],
        "training": _record(
            effort,
            recipe,
            fitted,
            {"training": learnt, "validation": judging},
            loss=RECIPE_LOSS,
            empty=RECIPE_EMPTY,
            turned=how.turned,
        )
        | {
            "fine_tuned_from": {"name": from_name, "sha256": began.sha256, "simulated": True},
            "shift_of_the_answer": {
                "logits": shift,
                "fitted_on": f"seed {VALIDATION}, either orbit and both",
            },
        },
        "card": f"{SAYS[name]} {_steps(how.turned)}; trained on SIMULATED events only: it has seen "
        f"no real landslide. Read {name}.md.",
    }
    seen = [events(seed, orbit) for seed in (HELD_OUT, *UNTOUCHED) for orbit in ORBITS]
    store(arrays, how.out, fields, seen)


def _steps(turned: float) -> str:
    if not turned:
        return f"Goes on from {PAPER}"
    return (
        f"Goes on from {PAPER} in two trainings, in the second of which the landslides of "
        f"{100 * turned:.0f} % of the patches got brighter"
    )


def _shifted(fitted: Any, network: Any, events: Any) -> tuple[dict[str, Any], float]:
    """The arrays with what is added to the landslide's logit so that 0.5 is the best threshold.

    What a loss made of a network's answers is not what makes F1 best, and the mean of two answers
    calls less than either: the validation event says what suits both orbits, alone and together.
    """
    seen = [events(VALIDATION, orbit) for orbit in ORBITS]
    logits = [nets.logit(nets.map_of(network, event)) for event in seen]

    def f1(shift: float) -> float:
        shifted = [one + np.float32(shift) for one in logits]
        maps = [nets.fused(*some) for some in (shifted, shifted[:1], shifted[1:])]
        counts = [nets.outcomes(seen[0].mask, one) for one in maps]
        return float(np.mean([nets.f1_of(one) for one in counts]))

    shift = max((step / 4 for step in range(-12, 21)), key=f1)
    arrays = {name: np.array(one, np.float32) for name, one in fitted.arrays.items()}
    arrays["logits/bias"] += np.float32([0.0, shift])
    return arrays, shift


def _held_out(events: Any) -> list[Event]:
    """Events that no weights were made from; the last two chose nothing either."""
    return [events(seed) for seed in (HELD_OUT, *UNTOUCHED)]


def _segmenter(name: str, bands: tuple[str, ...], composite: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "network": "attention-unet",
        "arguments": UNET,
        "bands": bands,
        "composite": composite,
        "scaling": "amplitude",
        "normalisation": "tile-minmax",
        "kind": "segment",
        "tile": 64,
        "stride": 64,
    }


def _record(
    effort: Effort,
    recipe: Recipe,
    fitted: Any,
    roles: Any,
    *,
    loss: str = "dice",
    empty: float = 1.0,
    turned: float = 0.0,
) -> dict[str, Any]:
    settings = {"share of patches without a landslide": empty}
    if turned:
        settings["share of patches with landslides that get brighter"] = turned
    return training_record(
        roles,
        recipe,
        fitted.history,
        fitted.samples,
        loss=loss,
        sample_settings=settings,
        command=effort.command,
    )


def _make_classifier(name: str, effort: Effort, events: Any, out: Path) -> None:
    composite, bands = CLASSIFIERS[name]

    def clips(seed: int, most: int, negatives: float) -> Clips:
        rng = np.random.default_rng([seed, 25])
        event = events(seed)
        pixels = event.composite(bands, "amplitude")
        return draw_clips(pixels, event.mask, rng, landslides=most, negatives=negatives)

    drawn = [clips(seed, effort.clips, NEGATIVES) for seed in TRAINING]
    statistics = band_statistics(drawn, bands)
    training = standardised(join(drawn), statistics)
    validation = standardised(clips(VALIDATION, 2000, NEGATIVES), statistics)
    network = NETWORK[name]
    model = _seeded(network, bands, effort.cnn)
    history = fit(model, InMemory(training), InMemory(validation), effort.cnn, cross_entropy())
    balanced = standardised(clips(HELD_OUT, 4000, 1.0), statistics)
    fields = {
        "name": name,
        "network": network,
        "arguments": {},
        "bands": bands,
        "composite": composite,
        "scaling": "amplitude",
        "normalisation": statistics,
        "kind": "window",
        "tile": 25,
        "stride": 2,
        "network_size": 32 if network == "cnn" else None,
        "training": training_record(
            {"training": [events(s) for s in TRAINING], "validation": [events(VALIDATION)]},
            effort.cnn,
            history,
            len(training.labels),
            loss="cross-entropy",
            sample_settings={"negatives": NEGATIVES, "guard": 3},
            command=effort.command,
        ),
        "card": (
            "Trained on SIMULATED events only: it has seen no real landslide. "
            f"{CARD[network].format(composite=composite)} Read {name}.md."
        ),
    }
    answers = np.asarray(model.predict(balanced.images, batch_size=256, verbose=0))[:, 1]
    clip_scores = {"balanced clips": _scores(balanced.labels == 1, answers > 0.5)}
    store(get_arrays(model), out, fields, [events(HELD_OUT)], clip_scores=clip_scores)


def _seeded(name: str, bands: tuple[str, ...], recipe: Recipe) -> Any:
    import keras

    keras.utils.set_random_seed(recipe.seed)
    return build_network(name, len(bands), {})


def _scores(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    tp = int((truth & found).sum())
    fp, fn = int((~truth & found).sum()), int((truth & ~found).sum())
    values = {
        "accuracy": 1 - (fp + fn) / truth.size,
        "precision": tp / max(tp + fp, 1),
        "recall": tp / max(tp + fn, 1),
        "f1": 2 * tp / max(2 * tp + fp + fn, 1),
        "iou": tp / max(tp + fp + fn, 1),
    }
    return {"count": truth.size} | {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
