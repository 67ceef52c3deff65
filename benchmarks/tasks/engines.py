"""One engine at one precision, tile and batch: its rate on tiles like a scene's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.answers import save
from benchmarks.tasks.flops import count_flops

__all__ = ["rate"]

KEPT = 2
"""Tiles whose answers are compared."""


def rate(
    *,
    engine: str,
    precision: str,
    tile: int,
    batch: int,
    detector: str = "nava-2022-attention-unet",
    megapixels: float = 1.0,
    rounds: int = 2,
    keep: str | None = None,
) -> dict[str, Any]:
    """Rate of an engine on at least `megapixels`, in whole batches, best of `rounds`.

    The network is the detector's own with another input size; the batch is put in place of the
    engine's own choice.
    """
    manifest, folder = _manifest(detector, tile)
    count = -(-int(megapixels * 1e6 / tile**2) // (2 * batch)) * 2 * batch
    tiles = _tiles(max(count, KEPT), tile, len(manifest.bands))
    started = time.perf_counter()
    with _batch(batch):
        from sarmap.detect.engines import make_engine

        run = make_engine(manifest, folder, engine, precision)
        answers = run(tiles[:KEPT])
    begun = time.perf_counter() - started
    with _batch(batch):
        run(tiles[: 2 * batch])
        seconds = min(_seconds(run, tiles) for _ in range(rounds))
    if keep is not None:
        save(keep, answers=answers)
    pixels = len(tiles) * tile**2
    return {
        "metrics": {
            "gflops": _flops(manifest, folder) * len(tiles) / seconds / 1e9,
            "us_per_tile": 1e6 * seconds / (pixels / 64**2),
            "megapixels": pixels / seconds / 1e6,
            "start_seconds": begun,
            "seconds": seconds,
        }
    }


def _manifest(detector: str, tile: int) -> tuple[Any, Path]:
    """The manifest of a detector for another tile, and the folder of its weights."""
    from sarmap.detect.weights import load_detector

    loaded: Any = load_detector(detector, precision="f32")
    manifest = loaded.manifest
    changed = {
        "tile": tile,
        "stride": tile,
        "arguments": {**manifest.arguments, "tile": tile},
    }
    return manifest.model_copy(update=changed), loaded._folder


def _tiles(count: int, tile: int, bands: int) -> NDArray[np.float32]:
    """Normalised noise: what a network is given, without a scene."""
    chance = np.random.default_rng(2018)
    return chance.random((count, tile, tile, bands), np.float32)


@contextmanager
def _batch(size: int) -> Iterator[None]:
    """Engines made meanwhile compute in batches of `size`."""
    with mock.patch("sarmap.detect.engines.batch_size", return_value=size):
        yield


def _seconds(run: Any, tiles: NDArray[np.float32]) -> float:
    started = time.perf_counter()
    run(tiles)
    return time.perf_counter() - started


def _flops(manifest: Any, folder: Path) -> float:
    import openvino

    from sarmap.detect.conversion import openvino_ir

    xml, binary = openvino_ir(manifest, folder)
    model = openvino.Core().read_model(xml, binary)
    model.reshape([1, *manifest.input_shape])
    return count_flops(model)
