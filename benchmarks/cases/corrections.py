"""`corrections`: what correcting one part of a map gives in the rest of it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["CORRECTIONS"]

DETECTOR = "nava-2022-attention-unet"
ORBIT = "descending"
"""The network has learnt from ascending passes alone."""
SHARES = (0.1, 0.25, 0.5)


def _configure(context: Context) -> Sequence[Configuration]:
    inventory = str(context.event.inventory)
    return [
        Configuration(
            f"{100 * share:g} % of the area corrected",
            "corrections:corrected",
            {"detector": DETECTOR, "share": share, "orbit": ORBIT, "inventory": inventory}
            | _place(context),
        )
        for share in SHARES
    ]


def _place(context: Context) -> dict[str, object]:
    place = context.scene.arguments()
    return {key: value for key, value in place.items() if key != "control"}


CORRECTIONS = Benchmark(
    name="corrections",
    title="What corrections give",
    configure=_configure,
    metrics=(
        Metric("gain", "gain in F1, points", 1, 0.01),
        Metric("gain_low", "from", 1, 0.01),
        Metric("gain_high", "to", 1, 0.01),
        Metric("f1_before", "F1 before, %", 1, 0.01),
        Metric("f1_after", "after", 1, 0.01),
        Metric("precision_after", "precision after, %", 1, 0.01),
        Metric("recall_after", "recall after, %", 1, 0.01),
        Metric("held_out", "gain held out, points", 1, 0.01),
        Metric("polygons", "polygons", 0),
        Metric("minutes", "minutes of training", 1),
    ),
    minutes=12,
    repeats=1,
    # fine-tuning takes minutes and says nothing at small sizes
    absent=lambda context: "small sizes say nothing of it." if context.quick else None,
    notes=(
        f"`{DETECTOR}`, {ORBIT} orbit, fine-tuned on a corrected strip along the western edge as "
        "`sarmap train --corrections` does it (ten epochs); the inventory's polygons are what an "
        "analyst would draw. Scored in the eastern half at a probability of 0.5; from-to: 95 % of "
        "1,000 redrawings of blocks of 2.56 km, paired.",
        "Gain held out: what the command itself says, of blocks in the strip that it did not "
        "train on.",
    ),
)
