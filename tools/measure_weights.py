"""Measure what a map needs to know of weights, and write it to their manifest.

    python tools/measure_weights.py sarmap/detect/data/attention-unet.json --work FOLDER

The ranges that precision int8 holds the layers to, on the first of the drawn worlds that the
weights were trained with, kept in the folder; and the usual signature of landslides, as a training
does.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

os.environ["KERAS_BACKEND"] = "openvino"

from sarmap.detect.conversion import build_model, forbid_telemetry
from sarmap.detect.int8 import measure_ranges
from sarmap.detect.manifest import Manifest, read_manifest, write_manifest
from sarmap.detect.normalise import normalise_tiles
from sarmap.detect.protocol import FixedStatistics
from sarmap.learn.usual_signature import measure_signature
from sarmap.learn.worlds import WorldSource, open_worlds


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
    write_manifest(manifest.model_copy(update={"int8": told}), given.manifest.parent)
    measure_signature(given.manifest, [WorldSource(**one) for one in manifest.training["worlds"]])


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
