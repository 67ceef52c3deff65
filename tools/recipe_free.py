"""What can be had without any training: the paper's own network, asked better.

    python tools/recipe_free.py --work FOLDER

On both orbits of seed 14 (simulated; no network was trained on it), whole map, F1 at the best
threshold of each, so that no idea gains by its calibration alone. Writes FOLDER/free.csv.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import network_trials as nets
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from simulated_events import BANDS, VALIDATION, Event, read_event

import sarmap
from sarmap.learn.gain import paired_gain

Map = NDArray[np.float32]


class Flipped:
    """A detector asked four times, flipped and not; the answers' mean."""

    def __init__(self, detector: Any) -> None:
        self.inner = detector
        for name in ("bands", "scaling", "normalisation", "kind", "tile", "stride", "halo"):
            setattr(self, name, getattr(detector, name))

    def __call__(self, tiles: Map) -> Map:
        """float32 [n, y, x, band] to [n, y, x]."""
        total = np.zeros(tiles.shape[:3], np.float32)
        for axes in ((), (1,), (2,), (1, 2)):
            turned = np.ascontiguousarray(np.flip(tiles, axes))
            total += np.flip(self.inner(turned), axes)
        return total / np.float32(4)


def mean_before(event: Event) -> Event:
    """The event with the mean of its three passes before instead of the last one."""
    power = event.power.copy()
    for band in ("vv", "vh"):
        at = [BANDS.index(f"{band}_{role}") for role in ("pre", "pre_2", "pre_3")]
        power[at[0]] = power[at].mean(axis=0)
    return replace(event, power=power)


def log_ratio(event: Event, band: str, posts: int) -> Map:
    """Absolute change of smoothed power, dB, on slopes above 10 degrees; NaN where unseen."""

    def smooth(power: Map) -> Map:
        return np.asarray(ndimage.gaussian_filter(np.nan_to_num(power, nan=0.2), 2.5))

    def of(role: str) -> Map:
        return event.power[BANDS.index(f"{band}_{role}")]

    after = np.mean([of(f"post_{number}") for number in range(1, posts + 1)], axis=0)
    change = np.abs(10 * np.log10(smooth(after) / smooth(of("pre"))))
    change *= event.power[BANDS.index("slope")] > 10
    return np.where(event.observation == 0, np.clip(change / 5, 0, 0.99), np.nan)


def filtered(probability: Map, threshold: float, slope: Map, steep: float, area: int) -> Map:
    """A map of 0 and 1 without gentle ground and small objects."""
    called = (probability > threshold) & (slope > steep)
    label, _ = ndimage.label(called, np.ones((3, 3)))
    size = np.bincount(label.ravel())
    size[0] = 0
    return np.where(np.isnan(probability), np.nan, (size[label] >= max(area, 1)).astype(np.float32))


def main() -> None:
    """Ask, count, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    up, down = (read_event(work / "events", VALIDATION, o) for o in ("ascending", "descending"))
    paper = sarmap.load_detector("nava-2022-attention-unet", precision="f32")
    maps = {"the paper's recipe": nets.map_of(paper, up)}
    maps["descending instead of ascending"] = nets.map_of(paper, down)
    maps["mean of three passes before"] = nets.map_of(paper, mean_before(up))
    maps["tiles overlapping by half, blended"] = nets.map_of(paper, up, overlap=32)
    maps["flips at test time"] = nets.map_of(Flipped(paper), up)
    threshold = nets.best_threshold(up.mask, maps["the paper's recipe"])
    slope = up.power[BANDS.index("slope")]
    for steep, area in ((8.0, 0), (0.0, 8), (0.0, 20)):
        what = f"only slopes above {steep:g} degrees" if steep else f"only objects of {area} px up"
        maps[what] = filtered(maps["the paper's recipe"], threshold, slope, steep, area)
    maps["both orbits, mean of their answers"] = np.nanmean(
        [maps["the paper's recipe"], maps["descending instead of ascending"]], axis=0
    )
    maps["both orbits, three passes before, blended tiles"] = np.nanmean(
        [nets.map_of(paper, mean_before(e), overlap=32) for e in (up, down)], axis=0
    )
    for name, event, band, posts in (
        ("log-ratio, VV", up, "vv", 1),
        ("log-ratio, VH", up, "vh", 1),
        ("log-ratio, VV, descending", down, "vv", 1),
        ("log-ratio, VV, three passes before and two after", mean_before(up), "vv", 2),
        ("log-ratio, VH, three passes before and two after", mean_before(up), "vh", 2),
    ):
        maps[name] = log_ratio(event, band, posts)
    write(work / "free.csv", maps, up.mask)


def write(path: Path, maps: dict[str, Map], truth: NDArray[np.uint8]) -> None:
    """One row per idea, with the gain over the first."""
    counts = [nets.outcomes(truth, one, nets.best_threshold(truth, one)) for one in maps.values()]
    rows = []
    for name, one in zip(maps, counts, strict=True):
        scores = nets.scores_of(one)
        found = paired_gain(counts[0], one, np.arange(len(one)))
        gain = f"{100 * (found.after - found.before):+.1f}"
        ends = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
        rows.append(
            {
                "idea": name,
                **{k: f"{100 * scores[k]:.1f}" for k in ("f1", "precision", "recall")},
                "gain": "-" if one is counts[0] else f"{gain} ({ends})",
            }
        )
        print(*rows[-1].values(), sep=" | ", flush=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
