"""The pages of `docs/results` that are made from records: never typed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import markdown, render

__all__ = ["PAGES", "write_page"]

RIGHTNESS = """# How right the maps are

How the detectors do on ground and physics that no training has seen. Landslides, land and passes
of *invented scenes* come from code that shares nothing with the simulator (`benchmarks/rightness`):
other laws of change, levels, noise, passes that move as a whole, fields, clear-cuts and water. The
*real passes* are OPERA's over California and a series over Myanmar, parts that training does not
read; what is put into them is said. **None of it is a real landslide with a real inventory.**
"""
LANDSLIDES = """# Which landslides are found

By size on invented scenes, and of families of landslides that a network did not learn from.
**None of it is a real landslide.**
"""
SIMULATOR = """# The simulator beside real Sentinel-1 data

Every figure comes from one function on every source. OPERA: RTC-S1 over California, three bursts
(contains modified Copernicus Sentinel data, processed by NASA OPERA). Myanmar: GRD, the first of 85
dates (dulvrq/ddl8s1ts, MIT). São Sebastião: the rain of 18-19 Feb 2023, Brazil, hundreds of
landslides (OPERA-Cal-Val/OPERA_Applications, Apache-2.0).
"""
CORRECTIONS = """# What corrections give

A map of a **simulated event** that no shipped weights have seen, one strip of it corrected, the
detector fine-tuned on that, and the rest mapped anew.
"""
PAGES = {
    "rightness": RIGHTNESS,
    "landslides": LANDSLIDES,
    "simulator": SIMULATOR,
    "corrections": CORRECTIONS,
}
"""Benchmarks that have a page of their own, and how it begins."""
SCENES = "Invented scenes"


def write_page(record: Mapping[str, Any], path: Path) -> Path:
    """Write the page from a record."""
    body = render(record).replace(f"### {record['title']}\n\n", "", 1)
    parts = [PAGES[record["benchmark"]], body, *_paired(record), *_by_law(record)]
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def _scenes(record: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Detector -> its figures on the invented scenes."""
    rows = [row for row in record["rows"] if row["group"] == SCENES and not row["failed"]]
    return {
        row["settings"]["detector"]: {k: v["median"] for k, v in row["metrics"].items()}
        for row in rows
    }


def _paired(record: Mapping[str, Any]) -> list[str]:
    """Scene by scene: each detector at 0.5 against `change` at the best threshold of each scene."""
    found = _scenes(record)
    if "change" not in found:
        return []
    names = [key.removeprefix("best ") for key in found["change"] if key.startswith("best ")]
    best = np.array([found["change"][f"best {name}"] for name in names])
    lines = []
    for detector, figures in found.items():
        if detector != "change":
            gain = np.array([figures[f"f1 {name}"] for name in names]) - best
            draws = np.random.default_rng(0).choice(gain, (2000, len(gain))).mean(1)
            low, high = np.percentile(draws, (2.5, 97.5))
            lines.append(
                f"`{detector}` at 0.5 against `change` at the best threshold of each scene: better "
                f"in {int((gain > 0).sum())} of {len(gain)} scenes, mean gain in F1 "
                f"{gain.mean():+.3f} (95 % of 2,000 redrawings: {low:+.3f} to {high:+.3f}).\n"
            )
    return lines


def _by_law(record: Mapping[str, Any]) -> list[str]:
    """Mean F1 of the scenes of each law of change."""
    found = _scenes(record)
    laws = sorted({key for figures in found.values() for key in figures if key.startswith("law ")})
    if not laws:
        return []
    rows = [
        [law.removeprefix("law "), *(f"{figures[law]:.3f}" for figures in found.values())]
        for law in laws
    ]
    return [
        "**F1 by the way in which the landslides change the echo**\n",
        markdown(["", *found], rows),
        "",
    ]
