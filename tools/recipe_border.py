"""What a network makes of tiles that are partly unseen, as at the border of a swath.

    python tools/recipe_border.py --work FOLDER

Whole tiles of seed 14 (simulated), all but their first columns taken away; F1 of what is left, for
the paper's recipe and the default one, and with the tile's mean in the gap instead of its mirrored
seen part, as it was done once. Writes FOLDER/border.csv.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import network_trials as nets
import numpy as np
from numpy.typing import NDArray
from simulated_events import VALIDATION, Event, read_event

import sarmap
from sarmap.detect.gaps import fill_gaps
from sarmap.detect.protocol import FixedStatistics, describe

SEEN = (8, 16, 32, 64)
"""Columns that are left."""
TILES = 240


def main() -> None:
    """Cut, ask, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    event = read_event(work / "events", VALIDATION)
    rows = []
    for name in ("nava-2022-attention-unet", "attention-unet"):
        detector = sarmap.load_detector(name, precision="f32")
        for fill, what in ((fill_with_mean, "the tile's mean"), (fill_gaps, "mirrored")):
            found = [f1(detector, event, columns, fill) for columns in SEEN]
            cells = {
                f"{n} of 64 columns": f"{100 * one:.1f}" for n, one in zip(SEEN, found, strict=True)
            }
            rows.append({"F1 % where only so much is seen": name, "gap filled with": what, **cells})
            print(*rows[-1].values(), sep=" | ", flush=True)
    with (work / "border.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def fill_with_mean(tiles: NDArray[np.float32]) -> None:
    """NaN becomes the mean of its band over the tile's seen pixels, in place."""
    mean = np.nanmean(tiles, axis=(1, 2), keepdims=True)
    tiles[...] = np.where(np.isnan(tiles), mean, tiles)


def f1(detector: Any, event: Event, columns: int, fill: Any) -> float:
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
    if isinstance(spec.normalisation, FixedStatistics):
        tiles[...] = (tiles - spec.normalisation.offset) / spec.normalisation.scale
    else:
        low, high = (join(tiles, axis=(1, 2), keepdims=True) for join in (np.nanmin, np.nanmax))
        tiles[...] = (tiles - low) / np.where(high > low, high - low, 1)
    fill(tiles)
    answer = detector(tiles)[:, :, :columns]
    counts = nets.outcomes(
        truth[:, :, :columns].reshape(len(truth), -1), answer.reshape(len(truth), -1)
    )
    return nets.f1_of(counts)


if __name__ == "__main__":
    main()
