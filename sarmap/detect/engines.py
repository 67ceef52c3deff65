"""One seam for what runs a network: `make_engine` gives a callable of tiles, whoever computes.

Two engines: ``openvino`` (float32, and bf16 where the processor has it) and ``tensorflow``, the
reference the networks were trained with. Whichever it is, tiles reach the network in batches of one
fixed size, the last one filled up: so an answer does not depend, to the bit, on how many tiles were
asked at once, on a tile's place among them, or on who else is asking.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarmap.detect.manifest import Manifest
from sarmap.errors import RequestError

__all__ = [
    "Choice",
    "Engine",
    "allow_cores",
    "choose_engine",
    "make_engine",
    "native_bf16",
    "usable_cores",
]

ENGINES = ("auto", "openvino", "tensorflow")
PRECISIONS = ("auto", "f32", "bf16")
log = logging.getLogger(__name__)


class Engine(Protocol):
    """What `make_engine` gives: tiles in, probability out, from any number of threads at once."""

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, y, x, band] to the network's answer for each, float32 [n, ...]."""
        ...


@dataclass(frozen=True)
class Choice:
    """Engine and precision to be used, and why."""

    engine: str
    """'openvino' or 'tensorflow'."""
    precision: str
    """'f32' or 'bf16'."""
    reason: str
    """What decided, for the log."""


def choose_engine(engine: str = "auto", precision: str = "auto") -> Choice:
    """Settle 'auto' from the hardware; nothing is measured, so one machine always chooses alike.

    ``engine="auto"`` is OpenVINO. ``precision="auto"`` is bf16 where the processor computes it
    natively (AMX or AVX-512 BF16) and float32 elsewhere; elsewhere bf16 is refused, because it
    would be emulated: slower, and no better.

    Raises
    ------
    RequestError
        For an unknown engine or precision, or bf16 where the hardware has none.
    """
    if engine not in ENGINES:
        raise RequestError(f"Engine {engine!r} is none of {', '.join(ENGINES)}: set engine=.")
    if precision not in PRECISIONS:
        raise RequestError(
            f"Precision {precision!r} is none of {', '.join(PRECISIONS)}: set precision=."
        )
    has_bf16 = native_bf16()
    if precision == "bf16" and not has_bf16:
        raise RequestError(
            "This processor has no native bf16 (AMX or AVX-512 BF16): "
            "use precision='f32', or 'auto'."
        )
    reason = "as asked"
    if precision == "auto":
        precision = "bf16" if has_bf16 else "f32"
        reason = f"the processor has {'' if has_bf16 else 'no '}native bf16"
    chosen = Choice("openvino" if engine == "auto" else engine, precision, reason)
    log.info("engine %s at %s: %s", chosen.engine, chosen.precision, chosen.reason)
    return chosen


@lru_cache(maxsize=1)
def native_bf16() -> bool:
    """True where the processor multiplies bf16 natively, as Linux reports it; False elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.split(":", 1)[-1].split() for line in lines if line[:5] == "flags"), [])
    return not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags)


_ALLOWED: list[int] = []
"""The last number given to `allow_cores`, if any."""


def allow_cores(count: int) -> None:
    """Keep engines that are made from now on in this process to so many threads.

    Called on a cluster's workers, which share a machine (`sarmap.cluster.plugin`).
    """
    _ALLOWED[:] = [max(count, 1)]


def usable_cores() -> int:
    """Cores the network may use in this process: its share, on a Dask worker its threads."""
    from dask.system import CPU_COUNT

    cores = int(CPU_COUNT)  # affinity and cgroup limits are in it
    affinity = getattr(os, "sched_getaffinity", None)
    cores = min([cores, *_ALLOWED, *([len(affinity(0))] if affinity else [])])
    if "distributed" in sys.modules:
        from distributed import get_worker

        with contextlib.suppress(ValueError):  # not on a worker
            cores = min(cores, int(get_worker().state.nthreads))
    return max(cores, 1)


def make_engine(manifest: Manifest, folder: Path, engine: str, precision: str) -> Engine:
    """Build the callable that runs some weights.

    Parameters
    ----------
    manifest
        What the weights are.
    folder
        Where the manifest and its weights lie.
    engine, precision
        As settled by `choose_engine`.

    Returns
    -------
    Engine
        float32 [n, y, x, band] to float32 [n, y, x] (segment, pixel) or [n] (window).
    """
    if engine == "openvino":
        return OpenVinoEngine(manifest, folder, precision)
    return TensorFlowEngine(manifest, folder, precision)


def batch_size(manifest: Manifest, precision: str) -> int:
    """Tiles per inference, from trials: the largest batch whose activations stay in cache.

    2 cores, float32, 64 px tiles of the 16-filter U-Net: 2.5 ms a tile at 1 or 4, 4.2 ms at 16.
    Where bf16 is native, batches of 16 were best. Clips are small: 53 us at 256, 60 us at 16.
    """
    if manifest.kind == "window":
        return 256
    pixels = manifest.input_shape[0] * manifest.input_shape[1]
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


class OpenVinoEngine:
    """OpenVINO on the processor: one compiled model, one stream per core, requests shared.

    Every calling thread hands its batches to the same streams, so that one caller fills all cores
    and several never run more threads than there are cores.
    """

    def __init__(self, manifest: Manifest, folder: Path, precision: str) -> None:
        import openvino

        from sarmap.detect.conversion import openvino_ir

        xml, binary = openvino_ir(manifest, folder)
        self._size = batch_size(manifest, precision)
        self._streams = usable_cores()
        core = openvino.Core()
        model = core.read_model(xml, binary)
        model.reshape([self._size, *manifest.input_shape])
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": str(self._streams),
            "INFERENCE_NUM_THREADS": self._streams,
            "ENABLE_CPU_PINNING": False,  # two processes would be pinned to the same cores
        }
        self._compiled = core.compile_model(model, "CPU", settings)
        self._tensor = openvino.Tensor
        self._answer_shape = tuple(self._compiled.output(0).shape)[1:]
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self._streams):
            self._idle.put(self._compiled.create_infer_request())

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer tiles, float32 [n, y, x, band] to [n, ...]; safe from several threads."""
        answers = np.empty((len(tiles), *self._answer_shape), np.float32)
        running: deque[tuple[Any, int, NDArray[np.float32]]] = deque()
        try:
            for index, batch in enumerate(batches(tiles, self._size)):
                request = self._take(running, answers)
                running.append((request, index * self._size, batch))
                request.set_input_tensor(self._tensor(batch, shared_memory=True))
                request.start_async()
            while running:
                self._collect(running, answers)
        finally:
            for request, _, _ in running:
                request.wait()
                self._idle.put(request)
        return answers

    def _take(self, running: deque[Any], answers: NDArray[np.float32]) -> Any:
        """An idle request; where none is, finish one's own first, and wait only empty-handed.

        A caller that waits holds nothing that another caller waits for: no deadlock.
        """
        while running:
            try:
                return self._idle.get_nowait()
            except queue.Empty:
                self._collect(running, answers)
        return self._idle.get()

    def _collect(self, running: deque[Any], answers: NDArray[np.float32]) -> None:
        """Wait for the oldest running request, keep its answer, and make it idle again."""
        request, start, _ = running[0]
        request.wait()
        part = answers[start : start + self._size]
        part[...] = request.get_output_tensor().data[: len(part)]
        running.popleft()
        self._idle.put(request)


_TENSORFLOW_BUILD = threading.Lock()


class TensorFlowEngine:
    """TensorFlow as the reference: one graph for one batch size; bf16 is Keras's mixed policy."""

    def __init__(self, manifest: Manifest, folder: Path, precision: str) -> None:
        keras = _keras_on_tensorflow()
        import tensorflow

        from sarmap.detect.conversion import build_model
        from sarmap.detect.networks import landslide_answer

        self._size = batch_size(manifest, precision)
        with _TENSORFLOW_BUILD:  # the policy belongs to the whole process
            policy = keras.config.dtype_policy()
            keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bf16" else "float32")
            try:
                model = landslide_answer(build_model(manifest, folder))
            finally:
                keras.config.set_dtype_policy(policy)
        signature = tensorflow.TensorSpec((self._size, *manifest.input_shape), tensorflow.float32)

        def answer(batch: Any) -> Any:
            return tensorflow.cast(model(batch, training=False), tensorflow.float32)

        graph = tensorflow.function(answer, input_signature=[signature], autograph=False)
        self._answer = graph.get_concrete_function()
        self._answer_shape = tuple(self._answer.output_shapes)[1:]

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer tiles, float32 [n, y, x, band] to [n, ...]; safe from several threads."""
        answers = np.empty((len(tiles), *self._answer_shape), np.float32)
        for index, batch in enumerate(batches(tiles, self._size)):
            part = answers[index * self._size : (index + 1) * self._size]
            part[...] = self._answer(batch).numpy()[: len(part)]
        return answers


def _keras_on_tensorflow() -> Any:
    """Keras with its TensorFlow backend.

    Raises
    ------
    RequestError
        Where this process already imported Keras with another backend: it cannot be changed.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    if keras.backend.backend() != "tensorflow":
        raise RequestError(
            f"Keras already runs on {keras.backend.backend()} in this process: use "
            "engine='openvino', or set KERAS_BACKEND=tensorflow before Python starts."
        )
    return keras
