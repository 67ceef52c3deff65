"""`landslides`, `demo`: which are found: by size, of families not learnt from, on the demo."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric
from benchmarks.rightness.score import CLASSES

__all__ = ["DEMO", "LANDSLIDES"]

DETECTORS = ("attention-unet", "change")
PAPERS = "nava-2022-attention-unet"
FAMILIES = (
    ("both up", {"family": "both_up"}, 404, 28_000),
    ("VH only", {"family": "vh_only"}, 188, 28_100),
    ("30 m", {"spacing": 30.0}, 215, 28_200),
)
"""What is left out, the physics that makes it, and how many seeds the network without it learns
from; first of the seeds to be mapped."""


def _configure(context: Context) -> Sequence[Configuration]:
    from benchmarks.rightness.scenes import plans, write_scenes

    name, chosen = (
        ("rightness", plans("choose")[4:5]) if context.quick else ("final", plans("final"))
    )
    folder = str(write_scenes(chosen, context.folder(name)))
    invented = [
        Configuration(
            f"invented scenes: {one}",
            "rightness:scenes",
            {"detector": one, "folder": folder},
            "Invented scenes, by size",
        )
        for one in (DETECTORS[1:] if context.quick else DETECTORS)
    ]
    return invented if context.quick else [*invented, *_left_out()]


def _configure_demo(context: Context) -> Sequence[Configuration]:
    if context.quick:
        return [_demo(context, DETECTORS[1], "ascending")]
    detectors = (*DETECTORS, PAPERS)
    return [_demo(context, one, orbit) for orbit in ("ascending", "both") for one in detectors]


def _demo(context: Context, detector: str, orbit: str) -> Configuration:
    arguments = {
        "detector": detector,
        "orbit": orbit,
        "inventory": str(context.event.inventory),
        **context.scene.arguments(context.extent),
    }
    return Configuration(f"{orbit}: {detector}", "landslides:demo", arguments)


def _left_out() -> list[Configuration]:
    return [
        Configuration(
            f"{family}: {'network alone' if alone else 'joined with change'}",
            "landslides:left_out",
            {
                "family": family,
                "physics": physics,
                "seeds": seeds,
                "first": first,
                "alone": alone,
            },
            "Left out of the training",
        )
        for family, physics, seeds, first in FAMILIES
        for alone in (False, True)
    ]


def _size(at: int) -> str:
    low, high = CLASSES[at]
    if not low:
        return f"under {high:,} m2"
    return f"over {low:,} m2" if at == len(CLASSES) - 1 else f"{low:,} to {high:,} m2"


BY_SIZE = tuple(
    Metric(f"{kind}_{at}", f"{_size(at)}: {told}, %", 1, 0.01)
    for at in range(len(CLASSES))
    for kind, told in (("touched", "touched"), ("of_all", "of all"))
)
TOUCHED = (
    "*Touched*: of the landslides of that area that were seen at all, those with a called pixel "
    "within one pixel. *Of all*: those that lie by half in layover or shadow counted as missed"
)
LANDSLIDES = Benchmark(
    name="landslides",
    title="Which landslides are found",
    configure=_configure,
    metrics=(
        *BY_SIZE,
        *(
            Metric(f"{key}{suffix}", f"{told}{where}", 3)
            for suffix, where in (("", ""), ("_best", ", best threshold"))
            for key, told in (
                ("saw", "F1 of the network that saw it"),
                ("not", "F1 of the one that did not"),
                ("gap", "difference"),
                ("gap_low", "from"),
                ("gap_high", "to"),
            )
        ),
    ),
    minutes=70,
    repeats=1,
    on_event=False,
    notes=(
        f"{TOUCHED}, by the relief: the echo of these scenes has no layover of its own.",
        "Left out: the shipped recipe on about 5,000 patches and two epochs, a thirteenth of its "
        "length, once with all and once without a family (also without mixed worlds that hold "
        "over 5 % of it) or a spacing. Scored on twelve worlds of it with 1-10 % landslides, of "
        "seeds that were not looked at before; F1 allows one pixel; from-to: 95 % of 2,000 "
        "redrawings of worlds.",
    ),
)
DEMO = Benchmark(
    name="demo",
    title="The demo's event, whole",
    configure=_configure_demo,
    metrics=(
        Metric("f1", "F1", 3),
        Metric("f1_low", "from", 3),
        Metric("f1_high", "to", 3),
        Metric("f1_best", "F1 at the best threshold", 3),
        Metric("precision", "precision", 3),
        Metric("recall", "recall", 3),
        *BY_SIZE,
    ),
    minutes=10,
    repeats=1,
    notes=(
        "F1 is strict, pixel by pixel; from-to: 95 % of 1,000 redrawings of blocks of 2.56 km.",
        f"{TOUCHED}, as the map marks them.",
    ),
)
