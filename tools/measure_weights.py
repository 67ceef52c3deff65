"""Measure what a map needs to know of weights, and write it to their manifest.

    python tools/measure_weights.py sarmap/detect/data/attention-unet.json --work FOLDER

The ranges that precision int8 holds the layers to, on the first of the drawn worlds that the
weights were trained with, kept in the folder; and the usual signature of landslides, on the worlds
that validated them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

os.environ["KERAS_BACKEND"] = "openvino"

from sarmap.detect.conversion import build_model, forbid_telemetry
from sarmap.detect.int8 import measure_ranges
from sarmap.detect.manifest import Manifest, read_manifest, write_manifest
from sarmap.detect.normalise import normalise_tiles
from sarmap.detect.protocol import FixedStatistics
from sarmap.detect.signature import CLASSES, count_classes, sample_squares
from sarmap.detect.weights import load_detector
from sarmap.learn.worlds import WorldSource, open_worlds, world_cube
from sarmap.mapping import judge
from sarmap.simulate.physics import Physics
from sarmap.simulate.worlds import draw_world


def main() -> None:
    """Draw, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--worlds", type=int, default=16)
    given = parser.parse_args()
    forbid_telemetry()
    import keras

    keras.config.set_image_data_format("channels_first")
    manifest = read_manifest(given.manifest)
    model = build_model(manifest, given.manifest.parent)
    ranges = measure_ranges(model, _tiles(manifest, given.worlds, given.work))
    told = {name: (_rounded(low), _rounded(high)) for name, (low, high) in ranges.items()}
    known = {"int8": told, "signature": _signature(manifest, given.manifest)}
    write_manifest(manifest.model_copy(update=known), given.manifest.parent)


def _signature(manifest: Manifest, path: Path) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Pixels of landslides and of other ground by class of change, of a million of a world."""
    detector: Any = load_detector(path, engine="openvino", precision="f32")
    usual = np.zeros((2, CLASSES, CLASSES))
    for told in manifest.training["worlds"]:
        source = WorldSource(**told)
        for seed in range(source.first, source.first + source.count):
            if source.role == "validation":
                law = Physics.draw(seed, **source.physics)
                world = draw_world(seed, (source.size, source.size), law)
                usual += 1e6 * _shares(detector, *world_cube(world))
    rounded = ((tuple(map(_rounded, row)) for row in plane) for plane in usual.tolist())
    return tuple(map(tuple, rounded))


def _shares(detector: Any, cube: Any, terrain: Any) -> np.ndarray:
    known = judge(cube, terrain)
    fitted = detector.fitted(known.quiet, known.event, len(known.levelling.offsets))

    def part(rows: slice, columns: slice) -> tuple[Any, Any]:
        return cube.isel(y=rows, x=columns), terrain.isel(y=rows, x=columns)

    found = sample_squares(fitted, known.levelling, part)
    odds, classes = (np.concatenate([one[index] for one in found]) for index in (0, 1))
    return count_classes(odds, classes) / len(odds)


def _tiles(manifest: Manifest, worlds: int, work: Path) -> list[np.ndarray]:
    """Normalised tiles from the corners of the worlds."""
    source = WorldSource(**{**manifest.training["worlds"][0], "count": worlds})
    edge, tiles = manifest.input_shape[0], []
    pairs = [manifest.normalisation[band] for band in manifest.bands]
    normalised = FixedStatistics(*zip(*pairs, strict=True))
    for scene in open_worlds([source], manifest.bands, work):
        world = np.moveaxis(scene.composite.values, 0, -1)
        corners = [world[y, x] for y in _ends(edge) for x in _ends(edge)]
        batch = np.ascontiguousarray(corners, np.float32)
        normalise_tiles(batch, normalised, manifest.kind)
        tiles += [batch[n : n + 1] for n in range(len(batch))]
    return tiles


def _ends(edge: int) -> tuple[slice, slice]:
    return slice(edge), slice(-edge, None)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


if __name__ == "__main__":
    main()
