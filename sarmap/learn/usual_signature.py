"""What landslides of the worlds that validated weights do to the echo, as the weights see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sarmap.compose.lattice import quiet_lattice, read_lattice
from sarmap.compose.levelling import change_sizes, find_levels
from sarmap.detect.manifest import read_manifest, write_manifest
from sarmap.detect.signature import BANDS, CLASSES, Counts, count_classes, sample_squares
from sarmap.detect.weights import load_detector
from sarmap.learn.worlds import WorldSource, world_cube


def measure_signature(manifest: Path, worlds: Sequence[WorldSource]) -> None:
    """Write the usual signature (`sarmap.detect.signature`) of weights to their manifest: pixels by
    change in the worlds that validated them, a million of each. Where there are none, or the
    network does not read change in noise, a map is not fitted to its event.
    """
    from sarmap.simulate.physics import Physics
    from sarmap.simulate.worlds import draw_world

    known = read_manifest(manifest)
    held_out = [one for one in worlds if one.role == "validation"]
    if not held_out or not set(BANDS) <= set(known.bands):
        return
    detector: Any = load_detector(manifest, engine="openvino", precision="f32")
    counts = np.zeros((2, CLASSES, CLASSES))
    for source in held_out:
        for seed in range(source.first, source.first + source.count):
            law = Physics.draw(seed, **source.physics)
            counts += _of_world(detector, draw_world(seed, (source.size, source.size), law))
    rows = [[tuple(float(f"{one:.4g}") for one in row) for row in plane] for plane in counts]
    signature = tuple(map(tuple, rows))
    write_manifest(known.model_copy(update={"signature": signature}), manifest.parent)


def _of_world(detector: Any, world: Any) -> Counts:
    cube, terrain = world_cube(world)
    lattice = read_lattice(cube, terrain)
    levels, before = find_levels(lattice), quiet_lattice(lattice)
    quiet = change_sizes(before, find_levels(before)) if before else np.empty(0, np.float32)
    fitted = detector.fitted(quiet, change_sizes(lattice, levels), len(levels.offsets))

    def part(rows: slice, columns: slice) -> tuple[Any, Any]:
        return cube.isel(y=rows, x=columns), None if terrain is None else terrain.isel(
            y=rows, x=columns
        )

    found = sample_squares(fitted, levels, part)
    odds, classes = (np.concatenate([one[index] for one in found]) for index in (0, 1))
    return 1e6 * count_classes(odds, classes) / max(len(odds), 1)
