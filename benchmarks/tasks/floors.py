"""What the machine can do at best: matrix products of the best library, and plain reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

__all__ = ["gemm", "read"]


def gemm(*, n: int = 4096, precision: str = "f32", rounds: int = 3) -> dict[str, Any]:
    """GFLOP/s of an n x n matrix product by the fastest library there is."""
    makers = (
        {"OpenVINO": _openvino, "NumPy": _numpy} if precision == "f32" else {"OpenVINO": _openvino}
    )
    rates = {}
    for name, make in makers.items():
        product = make(n, precision)
        product()
        rates[name] = 2 * n**3 / min(_seconds(product) for _ in range(rounds)) / 1e9
    best = max(rates, key=lambda name: rates[name])
    told = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
    return {
        "metrics": {"gflops": rates[best], "seconds": 2 * n**3 / rates[best] / 1e9},
        "notes": [f"GEMM n = {n}, {precision}: best library {best} ({told} GFLOP/s)."],
    }


def _seconds(step: Callable[[], Any]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _numpy(n: int, precision: str) -> Callable[[], Any]:
    a = np.random.default_rng(0).random((n, n), np.float32)
    out = np.empty_like(a)
    return lambda: np.matmul(a, a, out=out)


def _openvino(n: int, precision: str) -> Callable[[], Any]:
    import openvino
    import openvino.opset13 as ops

    a = np.random.default_rng(0).random((n, n), np.float32)
    given = ops.parameter([n, n], np.float32)
    product = ops.matmul(given, ops.constant(a), False, False)
    model = openvino.Model([product], [given])
    compiled = openvino.Core().compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    )
    request = compiled.create_infer_request()
    tensor = openvino.Tensor(a, shared_memory=True)
    return lambda: request.infer([tensor])


def read(
    *, control: str, names: Sequence[str], threads: int = 16, server: Any = None
) -> dict[str, Any]:
    """Seconds to fetch whole files over HTTP, decoding nothing."""
    import urllib.request

    from benchmarks.files import control as ask

    told = server or {}
    ask(control, f"reset?delay={told.get('delay', 0)}&fail={told.get('fail', 0)}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetch(name: str) -> int:
        with opener.open(control + name, timeout=60) as answer:
            return len(answer.read())

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        total = sum(pool.map(fetch, names))
    seconds = time.perf_counter() - started
    return {"metrics": {"seconds": seconds, "bytes_read": total, "requests": len(names)}}
