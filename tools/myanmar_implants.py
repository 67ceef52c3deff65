"""What the detectors find of changes that are put into real radar: Myanmar, 30 m series.

    python tools/myanmar_implants.py --data ../shared/data [--detector NAME ...]

In the passes after a date, squares of 240 m are made darker or brighter by a known amount; the rest
stays as it was measured. Speckle, forest, seasons and terrain are real, the change is not: this
asks whether a detector that has only seen the simulator knows a change in a real scene, and what
else it calls one there. Writes docs/results/implants.md and .csv.
"""

from __future__ import annotations

import argparse
import csv
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from myanmar_check import ROOT, Stack, cube_around, read_stack, terrain_of
from numpy.typing import NDArray

import sarmap
from sarmap.detect.protocol import describe

PATCH, PITCH = 8, 24
"""Edge of the squares and their distance, pixels of 30 m: a ninth of the scene is changed."""
EVERY = 8
"""One in so many dates is taken for an event."""
STEEP = 15.0
"""Degrees; slopes on which landslides are looked for."""
CHANGES = {
    "nothing": (0.0, 0.0),
    "darker: VV 6 dB, VH 2 dB": (-6.0, -2.0),
    "darker: VV and VH 6 dB": (-6.0, -6.0),
    "brighter: VV 6 dB, VH 2 dB": (6.0, 2.0),
}
"""Name -> dB added to VV and VH. Landslides show less in VH than in VV (paper 1)."""
DETECTORS = (
    "attention-unet",
    "attention-unet-first-pass",
    "nava-2022-attention-unet",
    "cnn",
    "log-ratio",
)
log = logging.getLogger("myanmar_implants")


@dataclass(frozen=True)
class Row:
    """Shares of pixels called a landslide (probability >= 0.5), means over the dates."""

    detector: str
    resolution: int
    change: str
    steep: float
    """Of those changed that are steeper than STEEP."""
    found: float
    """Of all changed."""
    elsewhere: float
    """Of all others."""
    dates: int


def squares(shape: tuple[int, int], resolution: int) -> NDArray[np.bool_]:
    """(y, x) mask of what is changed, on a grid of 30 or 10 m."""
    inside = [np.arange(n) % PITCH // PATCH == 1 for n in shape]
    step = 30 // resolution
    return np.repeat(np.repeat(np.outer(*inside), step, 0), step, 1)


def changed(cube: xr.Dataset, where: NDArray[np.bool_], decibels: tuple[float, float]) -> None:
    """Change the passes after the event in place."""
    after = np.flatnonzero(np.char.startswith(cube["role"].values.astype(str), "post"))
    for band, by in zip(("vv", "vh"), decibels, strict=True):
        for number in after:
            cube[band].values[number, where] *= 10 ** (by / 10)


def dates(stack: Stack) -> list[int]:
    """Days taken for events, spread over the series; enough passes lie on both sides."""
    return [int(day) for day in stack.days[4:-3:EVERY]]


def measure(
    stack: Stack, name: str, resolution: int, days: Sequence[int], changes: Sequence[str]
) -> list[Row]:
    """One row for each change."""
    detector = sarmap.load_detector(name)
    spec = describe(detector)
    terrain = terrain_of(stack, resolution)
    where = squares(stack.elevation.shape, resolution)
    steep = terrain["slope"].values > STEEP
    rows = []
    for change in changes:
        shares = []
        for day in days:
            cube = cube_around(stack, spec.bands, day, resolution)
            changed(cube, where, CHANGES[change])
            composite = sarmap.make_composite(cube, terrain, spec.bands, scaling=spec.scaling)
            probability = sarmap.predict(composite, detector)["probability"].values
            seen, called = np.isfinite(probability), probability >= 0.5
            shares.append([called[seen & of].mean() for of in (where & steep, where, ~where)])
        means = (float(share) for share in np.mean(shares, axis=0))
        rows.append(Row(name, resolution, change, *means, len(days)))
    return rows


def check(data: Path, detectors: Sequence[str], say: Callable[[str], None] = log.info) -> list[Row]:
    """All rows."""
    stack = read_stack(data)
    rows = []
    for name in detectors:
        for resolution in (10, 30):
            rows += measure(stack, name, resolution, dates(stack), list(CHANGES))
            for row in rows[-len(CHANGES) :]:
                say(f"{name}, {resolution} m, {row.change}: {row.steep:.1%}, {row.elsewhere:.2%}")
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--detector", nargs="*", default=list(DETECTORS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    arguments = parser.parse_args()
    logging.basicConfig(level="INFO", format="%(message)s")
    started = time.process_time()
    rows = check(arguments.data, arguments.detector)
    write(rows, arguments.out, arguments.detector, time.process_time() - started)


TEXT = """# Changes put into real radar

In a Sentinel-1 GRD series over Myanmar (one descending orbit, 30 m; dulvrq/ddl8s1ts, MIT) squares
of {edge} m are made darker or brighter in the passes after a date, on {dates} dates from 2014 to
2018. **Speckle, forest, seasons and terrain are real; the change is not**, nor is it a landslide:
its edges are sharp and its size is one. It asks whether detectors that have only seen the simulator
know a change in a real scene, and what else they call one there. Shares of pixels with a
probability of at least 0.5, means over the dates.

{table}

- *Steep* is steeper than {steep:.0f} degrees. *Elsewhere* holds what did change there between the
  passes (forest is cleared in places, [results](myanmar.md)): not all of it is false.
- At 10 m the series is resampled to the grid that the detectors were made for. Its speckle is
  smoother than that of images of 10 m, which makes the task easier.
- The networks find what gets darker and nothing of what gets brighter: on the simulator's slopes
  that face the radar VV hardly changes ([statistics](simulator.md)). `log-ratio` finds both.
- Nothing was fitted to these figures, and no weights were chosen by them.

Made by `python tools/myanmar_implants.py --data ../shared/data --detector {detectors}` in
{seconds:.0f} s of one core.
"""


def write(rows: Sequence[Row], out: Path, detectors: Sequence[str], seconds: float) -> None:
    """The table as Markdown and CSV."""
    out.mkdir(parents=True, exist_ok=True)
    head = "| detector | grid | change | found, steep | found, all | called elsewhere |"
    lines = [head, "| --- | --- | --- | ---: | ---: | ---: |"]
    lines += [
        f"| `{r.detector}` | {r.resolution} m | {r.change} | {r.steep:.1%} | {r.found:.1%} "
        f"| {r.elsewhere:.2%} |"
        for r in rows
    ]
    text = TEXT.format(
        edge=PATCH * 30,
        dates=rows[0].dates,
        table="\n".join(lines),
        steep=STEEP,
        detectors=" ".join(detectors),
        seconds=seconds,
    )
    (out / "implants.md").write_text(text, encoding="utf-8")
    with (out / "implants.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("detector", "resolution", "change", "steep", "found", "elsewhere"))
        for r in rows:
            shares = (f"{value:.5f}" for value in (r.steep, r.found, r.elsewhere))
            table.writerow((r.detector, r.resolution, r.change, *shares))


if __name__ == "__main__":
    main()
