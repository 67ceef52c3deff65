"""How many tiles are computed at a time: one fixed number, whoever asks for however many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sarmap.detect.hardware import Gpu
from sarmap.detect.manifest import Manifest

_GPU_SHARE = 16
"""Part of a GPU's memory that the activations of one batch may take."""
_GPU_BYTES = {"segment": 4096, "pixel": 4096, "window": 512}
"""Bytes of activations per pixel of input, from above: a U-Net of 32 filters, a CNN of 64."""
_GPU_MOST = {"segment": 128, "pixel": 128, "window": 2048}
"""Half the tiles of a block of 1024 px; the windows of one call (`sarmap.detect.block`)."""


def batch_size(manifest: Manifest, precision: str, gpu: Gpu | None = None) -> int:
    """Tiles per inference.

    On the processor from trials: the largest batch whose activations stay in cache. 2 cores,
    float32, 64 px tiles of the 16-filter U-Net: 2.5 ms a tile at 1 or 4, 4.2 ms at 16. Where bf16
    is native, batches of 16 were best. Clips are small: 88 us of a core at 64, 93 at 256. On a GPU
    by its memory, a power of two.
    """
    pixels = manifest.input_shape[0] * manifest.input_shape[1]
    if gpu is not None:
        room = gpu.memory // _GPU_SHARE // (_GPU_BYTES[manifest.kind] * pixels)
        return int(min(_GPU_MOST[manifest.kind], 1 << max(room, 1).bit_length() - 1))
    if manifest.kind == "window":
        return 64
    return max(1, (16 if precision == "bf16" else 4) * 64 * 64 // pixels)


def batches(tiles: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    """Tiles in C-contiguous batches of exactly `size`, the last one filled up with zeros.

    >>> [batch.ravel().tolist() for batch in batches(np.ones((3, 1, 1, 1), np.float32), 2)]
    [[1.0, 1.0], [1.0, 0.0]]
    """
    for start in range(0, len(tiles), size):
        part = tiles[start : start + size]
        if len(part) < size:
            part = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), part.dtype)])
        yield np.ascontiguousarray(part, np.float32)
