"""What detectors find of simulated landslides that get brighter.

    python tools/brightening.py --work FOLDER [--also MANIFEST ...] [--detector NAME ...]

Simulated landslides hardly ever brighten; real ones do where a slope comes to face the radar. Whole
events that no weights were made from are mapped as they are, and with every landslide's change
turned round (`simulated_events.turned`). `--also` scores further weights, on trial.
Writes docs/results/brightening.md and .csv.
"""

from __future__ import annotations

import argparse
import csv
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import network_trials as nets
import numpy as np
from myanmar_check import ROOT, read_stack
from myanmar_implants import CHANGES, dates, measure
from simulated_events import SIZES, UNTOUCHED, Event, read_event, turned

import sarmap
from sarmap.detect.manifest import read_manifest
from sarmap.simulate.fingerprint import simulator_hash

DETECTORS = (
    "attention-unet",
    "attention-unet-first-pass",
    "nava-2022-attention-unet",
    "log-ratio",
)
LANDSLIDES = {"as they are": lambda event: event, "turned round": turned}
log = logging.getLogger("brightening")


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the events")
    parser.add_argument("--detector", nargs="*", default=list(DETECTORS))
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="manifests of weights")
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    given = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(message)s")
    started = time.process_time()
    events = [read_event(given.work / "events", seed) for seed in UNTOUCHED]
    names = [*given.detector, *map(str, given.also)]
    rows = list(scored(names, events))
    real = list(implanted(names, given.data))
    write(rows, real, given, time.process_time() - started)


def shown(name: str) -> str:
    """A detector's name, or what weights on trial are."""
    if Path(name).suffix != ".json":
        return f"`{name}`"
    manifest = read_manifest(Path(name))
    return f"`{manifest.name}`, on trial ({manifest.sha256[:12]})"


def implanted(detectors: Sequence[str], data: Path) -> Iterator[dict[str, Any]]:
    """What each finds of changes put into real radar, at 10 m (`myanmar_implants`)."""
    stack = read_stack(data)
    for name in detectors:
        for row in measure(stack, name, 10, dates(stack), list(CHANGES)):
            yield asdict(row) | {"detector": shown(name)}


def scored(detectors: Sequence[str], events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """A row for each detector and kind of landslide, all events together."""
    for name in detectors:
        detector: Any = sarmap.load_detector(name)
        for landslides, change in LANDSLIDES.items():
            counts = [
                nets.outcomes(event.mask, nets.map_of(detector, change(event))) for event in events
            ]
            scores = nets.scores_of(np.concatenate(counts))
            log.info("%s, %s: F1 %.3f", shown(name), landslides, scores["f1"])
            yield {"detector": shown(name), "landslides": landslides, **scores}


TEXT = """# Landslides that get brighter

**SIMULATED events**: seeds {seeds}, {size} px each, ascending, simulator {simulator}; no weights
were made from them. Simulated landslides hardly ever brighten ([statistics](simulator.md)); real
ones do where a slope comes to face the radar. So each event is mapped twice: as it is, and with the
change of every landslide turned round, what fell by so many dB in the passes after rising by as
many (in VH in every other landslide only). Scores of pixels at probability 0.5, percent; in
brackets the 95 % interval of a block bootstrap over squares of 256 px.

{table}

{more}## In real radar

Squares of 240 m of real passes over Myanmar made darker or brighter ([how](implants.md)), at 10 m:
share of their pixels on slopes steeper than 15 degrees that is called a landslide, and of all
other ground.

{real}

Made by `python tools/brightening.py --work FOLDER --data ../shared/data{also}` in {seconds:.0f}
CPU seconds.
"""


TRIED = """Weights *on trial* are not shipped: the same network that learnt once more, with
landslides that get brighter in a share of its patches (`python tools/first_weights.py --turned
SHARE`). Those are turned round by the same arithmetic as here: the table shows that it can be
learnt and what it costs, not that real landslides look so.

"""


def write(
    rows: Sequence[dict[str, Any]],
    real: Sequence[dict[str, Any]],
    given: argparse.Namespace,
    seconds: float,
) -> None:
    """The table as Markdown and CSV."""
    metrics = ("f1", "precision", "recall")
    lines = [
        "| detector | landslides | F1 | precision | recall |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [_interval(row, name) for name in metrics]
        lines.append(f"| {row['detector']} | {row['landslides']} | {' | '.join(cells)} |")
    squares = [
        "| detector | change | found, steep | called elsewhere |",
        "| --- | --- | --- | --- |",
    ]
    squares += [
        f"| {row['detector']} | {row['change']} | {row['steep']:.1%} | {row['elsewhere']:.2%} |"
        for row in real
    ]
    text = TEXT.format(
        real="\n".join(squares),
        seeds=" and ".join(map(str, UNTOUCHED)),
        size=" x ".join(map(str, SIZES[UNTOUCHED[0]])),
        simulator=simulator_hash(),
        table="\n".join(lines),
        more=TRIED if given.also else "",
        also=" --also MANIFEST" if given.also else "",
        seconds=seconds,
    )
    (given.out / "brightening.md").write_text(text, encoding="utf-8")
    with (given.out / "brightening.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        ends = [f"{name}{end}" for name in metrics for end in ("", "_low", "_high")]
        table.writerow(("detector", "landslides", *ends))
        for row in rows:
            numbers = [
                f"{100 * value:.2f}"
                for name in metrics
                for value in (row[name], *row["intervals"][name])
            ]
            table.writerow((row["detector"].replace("`", ""), row["landslides"], *numbers))


def _interval(row: dict[str, Any], name: str) -> str:
    low, high = row["intervals"][name]
    return f"{100 * row[name]:.1f} ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    main()
