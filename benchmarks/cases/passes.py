"""`passes`: maps whose evidence is read from all passes, beside the papers' recipe in one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["PASSES"]

RECIPE = "the paper's recipe: 3 passes of VV"
ENGINE = f"{RECIPE}: bare engine"
SERIES: dict[str, dict[str, Any]] = {
    "5 passes": {"before_days": 40},
    "5 passes: cold process": {"before_days": 40, "warm": False},
    "7 passes": {},
    "14 passes of both orbits": {"orbit": "both"},
}
"""Of the event's passes: three before it and the two after, one orbit's, and all."""


def _configure(context: Context) -> Sequence[Configuration]:
    place = context.scene.arguments(context.extent)
    recipe = {**place, "detector": "nava-2022-attention-unet"}
    made = [
        Configuration(ENGINE, "bare:engine", {**recipe, "rounds": 1}),
        Configuration(RECIPE, "mapping:run", recipe, floor=ENGINE),
    ]
    series = {"5 passes": SERIES["5 passes"]} if context.quick else SERIES
    return made + [
        Configuration(f"{detector}, {what}", "mapping:run", {**place, "detector": detector, **more})
        for detector in ("attention-unet", "change")
        for what, more in series.items()
    ]


PASSES = Benchmark(
    name="passes",
    title="Maps from all passes, beside the paper's recipe",
    configure=_configure,
    metrics=(
        Metric("seconds", "s"),
        Metric("process_seconds", "whole process, s", 1),
        Metric("peak_memory", "peak, GB", 2, 1e9),
        Metric("requests", "requests", 0),
        Metric("bytes_read", "read, MB", 0, 1e6),
        Metric("bytes_written", "written, MB", 1, 1e6),
    ),
    minutes=7,
    notes=(
        "Evidence is read from VV and VH of every pass, the recipe from three images. Warm: as in "
        "`paper`. Every answer is held to its checksum.",
    ),
)
