"""Matrix products on the device that Keras runs on."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

__all__ = ["gemm"]


def gemm(*, precision: str, n: int = 8192, rounds: int = 5) -> dict[str, Any]:
    """GFLOP/s of an n x n matrix product by Keras's backend."""
    import keras

    dtype = {"f32": "float32", "bf16": "bfloat16"}[precision]
    a = keras.ops.cast(np.random.default_rng(0).random((n, n), np.float32), dtype)

    def product() -> None:
        # one value is fetched, so that the product is finished and nothing else is moved
        float(keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.matmul(a, a)[0, 0], "float32")))

    product()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - started)
    return {
        "metrics": {"gflops": 2 * n**3 / min(seconds) / 1e9, "seconds": min(seconds)},
        "notes": [f"Keras runs on {keras.backend.backend()}."],
    }
