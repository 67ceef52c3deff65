"""What a network makes of tiles that are partly unseen, as at the border of a swath.

    python tools/recipe_border.py --work FOLDER

Whole tiles of seed 14 (simulated), all but their first columns taken away; F1 of what is left, for
the paper's recipe, the one for both orbits, and trials with fixed statistics, where they were run.
Writes FOLDER/border.csv.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import network_trials as nets
import numpy as np
from simulated_events import VALIDATION, Event, read_event

import sarmap
from sarmap.detect.normalise import normalise_tiles
from sarmap.detect.protocol import describe

SEEN = (8, 16, 32, 64)
"""Columns that are left."""
TILES = 240


def main() -> None:
    """Cut, ask, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    event = read_event(work / "events", VALIDATION)
    sources = {name: name for name in ("nava-2022-attention-unet", "attention-unet-dual")}
    for trial in ("fixed", "pre"):
        if (work / "trials" / f"{trial}.json").is_file():
            sources[f"trial {trial}: dB, fixed statistics"] = str(
                work / "trials" / trial / "weights"
            )
    rows = []
    for label, source in sources.items():
        detector = sarmap.load_detector(source, precision="f32")
        found = [f1(detector, event, columns) for columns in SEEN]
        cells = {
            f"{n} of 64 columns": f"{100 * one:.1f}" for n, one in zip(SEEN, found, strict=True)
        }
        rows.append({"F1 % where only so much is seen": label, **cells})
        print(*rows[-1].values(), sep=" | ", flush=True)
    with (work / "border.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def f1(detector: Any, event: Event, columns: int) -> float:
    """F1 of the seen columns of whole tiles."""
    spec = describe(detector)
    composite = event.composite(spec.bands, spec.scaling)
    rows, width = (n // 64 for n in event.mask.shape)
    tiles = composite[:, : rows * 64, : width * 64].reshape(-1, rows, 64, width, 64)
    tiles = np.ascontiguousarray(
        tiles.transpose(1, 3, 2, 4, 0).reshape(-1, 64, 64, len(spec.bands))
    )
    truth = event.mask[: rows * 64, : width * 64].reshape(rows, 64, width, 64)
    truth = truth.swapaxes(1, 2).reshape(-1, 64, 64)
    whole = np.isfinite(tiles).all(axis=(1, 2, 3))
    tiles, truth = tiles[whole][:TILES], truth[whole][:TILES]
    tiles[:, :, columns:] = np.nan
    normalise_tiles(tiles, spec.normalisation)
    answer = detector(tiles)[:, :, :columns]
    counts = nets.outcomes(
        truth[:, :, :columns].reshape(len(truth), -1), answer.reshape(len(truth), -1)
    )
    tp, fp, fn, _ = counts.sum(axis=0)
    return float(2 * tp / (2 * tp + fp + fn))


if __name__ == "__main__":
    main()
