"""`rightness`: how right the maps are, on ground and physics that no training has seen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["RIGHTNESS", "real_data"]

LOOKED_AT_ONCE = "final"
"""The set of scenes that the page reports; those before it served to choose."""
DETECTORS = ("attention-unet", "change")
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def real_data() -> Path | None:
    """The folder of real data, where there is one."""
    found = Path(os.environ.get("SARMAP_REAL_DATA", DATA))
    return found if found.is_dir() else None


def _configure(context: Context) -> Sequence[Configuration]:
    from benchmarks.rightness.scenes import plans, write_scenes

    if context.quick:
        small = replace(plans("choose")[4], size=256, share=0.02)
        folder = write_scenes([small], context.folder("rightness"))
        return [
            *_rows("Invented scenes", "scenes", {"folder": str(folder)}, ("change",)),
            *_rows("Unchanged ground", "unchanged", {"every": 53}, ("change",)),
        ]
    final = str(write_scenes(plans(LOOKED_AT_ONCE), context.folder(LOOKED_AT_ONCE)))
    dense = {"first": 29_200, "count": 20, "least": 0.01, "most": 0.1}
    sparse = {"first": 29_300, "count": 8, "least": 0.0005, "most": 0.003}
    made = [
        *_rows("Drawn worlds, 1-10 % landslides", "drawn", dense),
        *_rows("Drawn worlds, sparse", "drawn", sparse),
        *_rows("Invented scenes", "scenes", {"folder": final}),
        *_rows("The same, one pass after the event", "scenes", {"folder": final, "most_after": 1}),
        *_rows("Unchanged ground", "unchanged", {}),
    ]
    data = real_data()
    if data is not None:
        made += _real(str(data))
    return [*made, *_unfit(context)]


def _rows(
    group: str,
    task: str,
    arguments: dict[str, Any],
    detectors: Sequence[str] = DETECTORS,
    label: str = "",
) -> list[Configuration]:
    return [
        Configuration(
            f"{label or group}: {one}",
            f"rightness:{task}",
            {"detector": one, **arguments},
            group,
        )
        for one in detectors
    ]


def _real(data: str) -> list[Configuration]:
    from benchmarks.rightness.bursts import KINDS

    made = _rows("Quiet real passes, California", "bursts_quiet", {"data": data})
    made += _rows("Quiet real passes, Myanmar, nine dates", "series", {"data": data})
    for told, ground in ((True, "on invented relief"), (False, "no terrain told")):
        for kind in KINDS:
            made += _rows(
                "3 dB put into quiet real passes",
                "implanted",
                {"data": data, "kind": kind, "relief_told": told},
                label=f"{kind}, {ground}",
            )
    made += _rows(
        "São Sebastião's change put into quiet real passes", "sao_sebastiao", {"data": data}
    )
    return [*made, *_rows("Cleared forest, Myanmar", "points", {"data": data})]


def _unfit(context: Context) -> list[Configuration]:
    from benchmarks.rightness.scenes import plans, write_scenes
    from benchmarks.rightness.unfit import INPUTS

    chosen = [plan for plan in plans("choose") if plan.number in (3, 8)]
    folder = str(write_scenes(chosen, context.folder("choose")))
    return [
        one
        for name in INPUTS
        for one in _rows(
            "Inputs that do not fit",
            "unfit_input",
            {"folder": folder, "name": name},
            DETECTORS[:1],
            label=name,
        )
    ]


RIGHTNESS = Benchmark(
    name="rightness",
    title="How right the maps are",
    configure=_configure,
    metrics=(
        Metric("f1", "F1", 3),
        Metric("f1_worst", "worst F1", 3),
        Metric("f1_best_cut", "F1 at each scene's best threshold", 3),
        Metric("found", "patches found, %", 1, 0.01),
        Metric("pixels", "their pixels, %", 1, 0.01),
        Metric("found_flat", "found below 8 degrees, %", 1, 0.01),
        Metric("found_steep", "found above 15 degrees, %", 1, 0.01),
        Metric("elsewhere", "called elsewhere, %", 3, 0.01),
        Metric("elsewhere_worst", "worst scene, %", 3, 0.01),
        Metric("false_sparse", "false polygons per 100 km2, worst sparse scene", 1),
        Metric("false_sparse_mean", "mean of the sparse", 1),
        Metric("touched", "landslides over 3,000 m2 touched, %", 1, 0.01),
        Metric("auc", "AUC", 3),
        Metric("calibration", "largest gap of calibration, points", 1, 0.01),
        Metric("cells", "cells", 0),
        Metric("sound", "cells with at most 0.1 % called", 0),
        Metric("called", "called, median %", 3, 0.01),
        Metric("called_worst", "called, worst %", 3, 0.01),
        Metric("called_years", "called, years apart, median %", 3, 0.01),
        Metric("called_held", "called, six passes before and more, median %", 3, 0.01),
        Metric("called_held_worst", "of those, worst %", 3, 0.01),
        Metric("warned", "said not to fit, %", 0, 0.01),
        Metric("found_at_0.002", "of 1.5-3 dB found at 0.2 % of quiet land, %", 1, 0.01),
        Metric("found_at_0.005", "at 0.5 %, %", 1, 0.01),
        Metric("found_at_0.01", "at 1 %, %", 1, 0.01),
        Metric("half_medium", "of 1.5-3 dB called, %", 1, 0.01),
        Metric("half_strong", "of over 3 dB called, %", 1, 0.01),
        Metric("half_darker", "of darker called, %", 1, 0.01),
        Metric("half_brighter", "of brighter called, %", 1, 0.01),
        Metric("half_quiet", "quiet land called, %", 3, 0.01),
        Metric("stable", "stable points called, %", 2, 0.01),
        Metric("disturbed", "disturbed points called, %", 1, 0.01),
        Metric("stable_all", "stable, all years and places, %", 2, 0.01),
        Metric("disturbed_all", "disturbed, all, %", 1, 0.01),
        Metric("raised", "refused or said not to fit, % of two scenes", 0, 0.01),
    ),
    minutes=20,
    repeats=1,
    on_event=False,
    notes=(
        "*Called*: a probability of at least 0.5. F1 allows one pixel. Drawn worlds are of the "
        "simulator that training worlds come from, of other seeds. Scenes, landslides and "
        "unchanged ground are invented by code that shares nothing with the simulator; the real "
        "passes are held out from training.",
        "The relief under the California passes is invented: their elevation is not at hand.",
    ),
)
