"""Keras: the reference engine, on whatever backend it runs on, and the way to a GPU.

One graph is compiled for one batch size. Answers are asked for before they are needed: while the
device computes a batch, the next ones are copied to it, and the last one back. On a GPU, TensorFlow
compiles with XLA, as JAX always does; on a processor XLA was slower (DESIGN: 7.7 against 6.1 ms).
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.detect.batches import batches
from sarmap.detect.hardware import Gpu, gpu_backend
from sarmap.detect.manifest import Manifest
from sarmap.errors import RequestError

Run = Callable[[NDArray[np.float32]], Any]
"""A batch to its answer on the device, perhaps not computed yet."""

_AHEAD = 3
"""Batches handed to the device before the first answer is fetched."""
_CPU_BACKENDS = ("tensorflow", "jax", "torch", "openvino")
_BUILD = threading.Lock()


class KerasEngine:
    """A network as Keras runs it; bf16 is Keras's mixed policy."""

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        precision: str,
        *,
        size: int,
        cores: int,
        backend: str | None = None,
        gpu: Gpu | None = None,
    ) -> None:
        from sarmap.detect.conversion import build_model
        from sarmap.detect.networks import landslide_answer

        keras = keras_on(backend)
        self.backend: str = keras.backend.backend()
        self._size = size
        with _BUILD:  # the policy belongs to the whole process
            _set_threads(self.backend, cores)
            policy = keras.config.dtype_policy()
            keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bf16" else "float32")
            try:
                model = landslide_answer(build_model(manifest, folder))
            finally:
                keras.config.set_dtype_policy(policy)
            shape = (size, *manifest.input_shape)
            compiled = _COMPILE.get(self.backend, _plain)
            self._run = compiled(model, shape, gpu is not None, precision)
        self._answer_shape = tuple(model.output.shape)[1:]

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer tiles, float32 [n, y, x, band] to [n, ...]; safe from several threads."""
        answers = np.empty((len(tiles), *self._answer_shape), np.float32)
        running: deque[tuple[int, Any]] = deque()
        for index, batch in enumerate(batches(tiles, self._size)):
            running.append((index * self._size, self._run(batch)))
            if len(running) > _AHEAD:
                _collect(running, answers, self._size)
        while running:
            _collect(running, answers, self._size)
        return answers


def _collect(running: deque[tuple[int, Any]], answers: NDArray[np.float32], size: int) -> None:
    """Fetch the oldest answer from the device."""
    start, given = running.popleft()
    part = answers[start : start + size]
    given = given.cpu() if hasattr(given, "is_cuda") else given  # of PyTorch
    part[...] = np.asarray(given)[: len(part)]


# --- one compiled function per backend -----------------------------------------------------------


def _tensorflow(model: Any, shape: tuple[int, ...], gpu: bool, _precision: str) -> Run:
    import tensorflow

    def answer(batch: Any) -> Any:
        return tensorflow.cast(model(batch, training=False), tensorflow.float32)

    signature = tensorflow.TensorSpec(shape, tensorflow.float32)
    graph = tensorflow.function(
        answer, input_signature=[signature], autograph=False, jit_compile=gpu
    )
    run: Run = graph.get_concrete_function()
    return run


def _jax(model: Any, _shape: tuple[int, ...], _gpu: bool, _precision: str) -> Run:
    import jax

    trained = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]

    def answer(trained: Any, fixed: Any, batch: Any) -> Any:
        return model.stateless_call(trained, fixed, batch, training=False)[0].astype("float32")

    compiled = jax.jit(answer)
    return lambda batch: compiled(trained, fixed, batch)


def _torch(model: Any, _shape: tuple[int, ...], _gpu: bool, _precision: str) -> Run:
    import torch

    model.eval()

    def answer(batch: NDArray[np.float32]) -> Any:
        with torch.inference_mode():
            return model(batch, training=False).float()

    return answer


def _openvino(model: Any, shape: tuple[int, ...], _gpu: bool, precision: str) -> Run:
    """Compiled with the precision said: left to itself, OpenVINO takes bf16 where there is any."""
    import openvino

    with TemporaryDirectory() as folder:
        target = Path(folder, "model.xml")
        model.export(str(target), format="openvino", verbose=False)
        network = openvino.Core().read_model(
            target.read_bytes(), target.with_suffix(".bin").read_bytes()
        )
    network.reshape(list(shape))
    compiled = openvino.Core().compile_model(
        network, "CPU", {"INFERENCE_PRECISION_HINT": precision}
    )
    lock = threading.Lock()

    def answer(batch: NDArray[np.float32]) -> Any:
        with lock:
            return np.array(compiled(batch)[0], np.float32)

    return answer


def _plain(model: Any, _shape: tuple[int, ...], _gpu: bool, _precision: str) -> Run:
    """Any other backend, by Keras's own compiled step, which one thread at a time may use."""
    lock = threading.Lock()

    def answer(batch: NDArray[np.float32]) -> Any:
        with lock:
            return np.array(model.predict_on_batch(batch), np.float32)

    return answer


_COMPILE: dict[str, Callable[[Any, tuple[int, ...], bool, str], Run]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
    "openvino": _openvino,
}


# --- Keras itself --------------------------------------------------------------------------------


def keras_on(backend: str | None = None) -> Any:
    """Keras with a backend; None: the one it has, or KERAS_BACKEND's, or the best installed one.
    RequestError where this process already imported Keras with another: it cannot be changed.
    """
    if "keras" not in sys.modules:
        chosen = backend or os.environ.get("KERAS_BACKEND") or gpu_backend() or _installed()
        os.environ["KERAS_BACKEND"] = chosen
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    if backend not in (None, keras.backend.backend()):
        raise RequestError(
            f"Keras already runs on {keras.backend.backend()} in this process: use "
            f"engine='openvino' or 'keras', or set KERAS_BACKEND={backend} before Python starts."
        )
    return keras


def _installed() -> str:
    """The first installed backend; RequestError where none is."""
    for name in _CPU_BACKENDS:
        if find_spec(name) is not None:
            return name
    raise RequestError(
        "Keras has no backend here: install tensorflow, jax or torch, or use engine='openvino'."
    )


def _set_threads(backend: str, cores: int) -> None:
    """The backend's threads, where it lets them be set; only before TensorFlow's first use."""
    if backend == "torch":
        import torch

        torch.set_num_threads(cores)
    elif backend == "tensorflow":
        import tensorflow

        try:
            tensorflow.config.threading.set_intra_op_parallelism_threads(cores)
        except RuntimeError:  # it has computed before: its threads are what they are
            return
