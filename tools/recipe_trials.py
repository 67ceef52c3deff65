"""Section by section of a better recipe: what each idea gives over the paper's, on whole events.

    python tools/recipe_trials.py --work FOLDER [--only NAME ...]

Every trial goes on from the weights of the paper's recipe (`nava-2022-attention-unet`, trained on
seeds 11 to 13) for few epochs on few patches, all else equal, the paper's own recipe among them:
trained on seed 11, stopped by 14, scored on the whole map of seed 15 (all simulated). Each
trial is kept in the work folder and never run twice; the table goes to FOLDER/trials.csv. What won
was then trained at full size (`tools/first_weights.py`) and scored once on the untouched seeds
(`tools/recipe_gain.py`).
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import network_trials as nets
import numpy as np
from simulated_events import HELD_OUT, VALIDATION, Event, read_event

from sarmap.detect.weights import DATA
from sarmap.learn.fitting import Recipe
from sarmap.learn.gain import paired_gain
from sarmap.learn.samples import join

PAPER = ("vv_pre", "vv_post_1", "vv_post_2", "slope")
PRE = ("vv_pre", "vv_pre_2", "vv_pre_3", "vv_post_1", "vv_post_2", "slope")
VH = (*PAPER, "vh_pre", "vh_post_1", "vh_post_2")
BOTH = (*PRE, "vh_pre", "vh_pre_2", "vh_pre_3", "vh_post_1", "vh_post_2")
ANGLE = (*BOTH, "incidence")
SEEDS = (11,)
START = DATA / "nava-2022-attention-unet.json"
log = logging.getLogger("recipe_trials")


@dataclass(frozen=True)
class Trial:
    """One recipe; what it leaves out is the paper's."""

    what: str
    bands: tuple[str, ...] = PAPER
    scaling: Any = "amplitude"
    normalisation: str = "tile-minmax"
    loss: str = "dice"
    loss_settings: dict[str, float] = field(default_factory=dict)
    tile: int = 64
    empty: float = 0.0
    against: str = "paper"


FIXED = Trial("dB with fixed statistics", scaling="db", normalisation="fixed")
FULL = replace(FIXED, bands=ANGLE)
TRIALS = {
    "paper": Trial("the paper's: VV, one pass before, two after, slope; per-patch min-max; Dice"),
    "fixed": FIXED,
    "pre": replace(FIXED, what="+ three passes before the event", bands=PRE, against="fixed"),
    "vh": replace(FIXED, what="+ VH (in dB, VV - VH is the ratio)", bands=VH, against="fixed"),
    "both": replace(FIXED, what="+ both of these", bands=BOTH, against="fixed"),
    "angle": replace(FULL, what="+ local incidence angle", against="both"),
    "empty": replace(
        FULL,
        what="+ half of the patches without a landslide (farmland, towns, water)",
        empty=0.5,
        against="angle",
    ),
    "tversky": replace(
        FULL, what="focal Tversky instead of Dice", loss="focal-tversky", against="angle"
    ),
    "bce": replace(
        FULL, what="cross-entropy + Dice instead of Dice", loss="bce-dice", against="angle"
    ),
    "tile": replace(FULL, what="tiles of 128 px instead of 64", tile=128, against="angle"),
}


def main() -> None:
    """Train what was not trained yet; write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=tuple(TRIALS), default=tuple(TRIALS))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--patches", type=int, default=800, help="of 64 px; fewer where larger")
    arguments = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    nets.use_threads(1)
    events = {
        seed: read_event(arguments.work / "events", seed) for seed in (*SEEDS, VALIDATION, HELD_OUT)
    }
    for name in arguments.only:
        kept = arguments.work / "trials" / f"{name}.json"
        if not kept.is_file():
            record = run(name, TRIALS[name], events, arguments)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(record), encoding="utf-8")
            log.info("%s: F1 %.4f", name, record["f1"])
    write_table(arguments.work)


def run(name: str, trial: Trial, events: dict[int, Event], how: argparse.Namespace) -> Any:
    """Train one network and score it on the whole held-out event."""
    cpu = time.process_time()
    training = [events[seed] for seed in SEEDS]
    statistics: Any = trial.normalisation
    if statistics == "fixed":
        statistics = nets.band_statistics(training, trial.bands, trial.scaling)

    def patches(of: list[Event], most: int) -> Any:
        cuts = [
            nets.cut(e, trial.bands, trial.scaling, statistics, tile=trial.tile, empty=trial.empty)
            for e in of
        ]
        return nets.thin(join(cuts), most * 64**2 // trial.tile**2)

    recipe = Recipe(how.epochs, 16 if trial.tile == 64 else 4, 0.001, patience=how.epochs, seed=1)
    fitted = nets.train(
        patches(training, how.patches),
        patches([events[VALIDATION]], 160),
        recipe,
        arguments={"filters": 16, "depth": 4, "tile": trial.tile},
        bands=trial.bands,
        start=START,
        loss=trial.loss,
        loss_settings=trial.loss_settings,
        keep_in=how.work / "trials" / name,
    )
    detector = nets.detector(
        fitted.arrays,
        how.work / "trials" / name,
        bands=trial.bands,
        scaling=trial.scaling,
        normalisation=statistics,
        arguments=fitted.arguments,
    )
    threshold = nets.best_threshold(
        events[VALIDATION].mask, nets.map_of(detector, events[VALIDATION])
    )
    held_out = events[HELD_OUT]
    probability = nets.map_of(detector, held_out)
    counts = nets.outcomes(held_out.mask, probability, threshold)
    return {
        **nets.scores_of(counts),
        "f1 at one half": nets.scores_of(nets.outcomes(held_out.mask, probability))["f1"],
        "threshold": threshold,
        "counts": counts.tolist(),
        "cpu_seconds": round(time.process_time() - cpu),
        "samples": fitted.samples,
        "epochs": how.epochs,
    }


def write_table(work: Path) -> None:
    """One row per trial that was run, each against the one it was built on, and the paper's."""
    kept = {p.stem: json.loads(p.read_text("utf-8")) for p in (work / "trials").glob("*.json")}
    rows = []
    for name in (name for name in TRIALS if name in kept):
        one = kept[name]
        row = {"trial": name, "what": TRIALS[name].what, "F1 %": f"{100 * one['f1']:.1f}"}
        row["precision %"] = f"{100 * one['precision']:.1f}"
        row["recall %"] = f"{100 * one['recall']:.1f}"
        for title, other in (("step", TRIALS[name].against), ("over the paper's", "paper")):
            row[title] = gain(kept.get(other), one) if name != "paper" else "-"
        row |= {"built on": TRIALS[name].against, "CPU s": one["cpu_seconds"]}
        rows.append(row)
    with (work / "trials.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def gain(before: Any, after: Any) -> str:
    """Points of F1 and their 95 % interval, paired by squares of the map."""
    if before is None:
        return "not available"
    pair = [np.array(one["counts"], np.int64) for one in (before, after)]
    found = paired_gain(*pair, np.arange(len(pair[0])))
    points = 100 * (found.after - found.before)
    return f"{points:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


if __name__ == "__main__":
    main()
