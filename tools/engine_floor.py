"""What the shipped networks cost, in core-seconds, beside the machine's own matrix product.

    python tools/engine_floor.py

Interleaved rounds of each, the best of them kept, counted in CPU time: so a busy machine shifts all
figures alike, and their ratios hold. Prints one line per network: core-microseconds per tile or
window, share of the float32 GEMM rate, and core-seconds for the Iburi extent (3842 x 2346 px).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sarmap.detect.weights import load_detector

ROUNDS = 5
GEMM = 4096
TILES = 61 * 37
TILES_OVERLAP_16 = 81 * 49
WINDOWS = ((3842 - 25 + 1) // 2 + 1) * ((2346 - 25 + 1) // 2 + 1)
FLOP = {"attention-unet": 0.3930e9, "cnn": 6.379e6, "cnn-dense": 82.6e3}
"""Of one tile or window, by counting multiplications and additions layer by layer."""


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(0)
    unet, cnn, dense = (load_detector(name, engine="openvino", precision="f32") for name in FLOP)  # type: Any, Any, Any
    edge = (dense.dense - 1) * dense.stride + dense.tile
    tiles = rng.random((96, 64, 64, 4), np.float32)
    clips = rng.normal(size=(4096, 25, 25, 3)).astype(np.float32)
    patches = rng.normal(size=(12, edge, edge, 3)).astype(np.float32)
    a, b = rng.random((2, GEMM, GEMM), np.float32)
    runs: dict[str, tuple[Callable[[], Any], int]] = {
        "gemm": (lambda: a @ b, 1),
        "attention-unet": (lambda: unet(tiles), len(tiles)),
        "cnn": (lambda: cnn(clips), len(clips)),
        "cnn-dense": (lambda: dense.sweep(patches), len(patches) * dense.dense**2),
    }
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS + 1):  # the first one warms up, and is never the best
        for name, (run, count) in runs.items():
            started = time.process_time()
            run()
            best[name] = min(best[name], (time.process_time() - started) / count)
    rate = 2 * GEMM**3 / best["gemm"]
    print(f"GEMM {rate / 1e9:.1f} GFLOP per core-second (float32, n = {GEMM})")
    for name, flop in FLOP.items():
        count = TILES if name == "attention-unet" else WINDOWS
        print(
            f"{name:15} {best[name] * 1e6:8.2f} core-us, {flop / best[name] / rate:4.0%} of GEMM, "
            f"{best[name] * count:6.1f} core-s per extent"
        )
    seconds = best["attention-unet"] * TILES_OVERLAP_16
    print(f"attention-unet at overlap 16: {seconds:.1f} core-s per extent")


if __name__ == "__main__":
    main()
