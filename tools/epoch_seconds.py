"""Seconds that one epoch of the Attention U-Net takes on this machine.

    python tools/epoch_seconds.py [--filters 32] [--patches 600] [--bf16]

One epoch is timed after a first one that builds the graph, on random patches of 64 x 64 x 4, by the
loop that `sarmap train` uses. Prints JSON: wall seconds, CPU seconds, and CPU seconds over cores,
which is what an undisturbed machine would take where others are at work on it, too.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import numpy as np

from sarmap.detect.networks import build_network
from sarmap.learn.fitting import Recipe, fit
from sarmap.learn.losses import dice_loss
from sarmap.learn.settle import check_backend
from sarmap.learn.sources import InMemory


def main() -> None:
    """Train two epochs, time the second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, default=32)
    parser.add_argument("--patches", type=int, default=600)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--bf16", action="store_true", help="where the processor has it")
    given = parser.parse_args()
    check_backend()
    rng = np.random.default_rng(0)
    if given.bf16:
        import keras

        keras.config.set_dtype_policy("mixed_bfloat16")
    model = build_network("attention-unet", 4, {"filters": given.filters, "depth": 4, "tile": 64})
    images = rng.random((given.patches, 64, 64, 4), np.float32)
    masks = (rng.random((given.patches, 64, 64)) < 0.07).astype(np.uint8)
    marks: list[tuple[float, float]] = []

    def mark(_: dict[str, float]) -> None:
        marks.append((time.perf_counter(), time.process_time()))

    recipe = Recipe(2, given.batch, 0.001, patience=9)
    one = InMemory(images[:1], masks[:1])
    fit(model, InMemory(images, masks), one, recipe, dice_loss(), report=mark)
    (wall, cpu), (wall_end, cpu_end) = marks
    cores = len(os.sched_getaffinity(0))
    print(
        json.dumps(
            {
                **vars(given),
                "cores": cores,
                "wall_s": round(wall_end - wall, 2),
                "cpu_s": round(cpu_end - cpu, 2),
                "cpu_s_over_cores": round((cpu_end - cpu) / cores, 2),
                "ms_per_patch": round(1e3 * (cpu_end - cpu) / cores / given.patches, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
