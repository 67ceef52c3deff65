"""One seam for what runs a network: `make_engine` gives a callable of tiles, whoever computes.

Three engines: ``openvino`` (processors: float32, and bf16 where the processor has it), ``keras``
(whatever backend Keras runs on; a GPU with JAX, TensorFlow or PyTorch), and ``tensorflow``, which
is Keras on TensorFlow, the reference the networks were trained with. Whichever it is, tiles reach
the network in batches of one fixed size, the last one filled up: so an answer does not depend, to
the bit, on how many tiles were asked at once, on a tile's place among them, or on who else is
asking.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sarmap.detect.batches import batch_size
from sarmap.detect.hardware import (
    Gpu,
    find_gpu,
    gpu_backend,
    native_bf16,
    usable_cores,
)
from sarmap.detect.manifest import Manifest
from sarmap.errors import RequestError

ENGINES = ("auto", "openvino", "tensorflow", "keras")
PRECISIONS = ("auto", "f32", "bf16", "int8")
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
    """'openvino', 'tensorflow' or 'keras'."""
    precision: str
    """'f32', 'bf16' or 'int8'."""
    reason: str
    """What decided: for the log, the map's attributes and the closing lines of a run."""


def choose_engine(engine: str = "auto", precision: str = "auto") -> Choice:
    """Settle 'auto' from the hardware; nothing is measured, so one machine always chooses alike.

    ``engine="auto"`` is Keras where there is a GPU and a backend that reaches it, else OpenVINO,
    else TensorFlow, else Keras. ``precision="auto"`` is bf16 where the device computes it natively
    (AMX or AVX-512 BF16; CUDA compute capability 8) and float32 elsewhere; elsewhere bf16 is
    refused, because it would be emulated: slower, and no better. Raises RequestError for an unknown
    engine or precision, TensorFlow where it is not installed, or bf16 where the hardware has none.
    """
    if engine not in ENGINES:
        raise RequestError(f"Engine {engine!r} is none of {', '.join(ENGINES)}: set engine=.")
    if precision not in PRECISIONS:
        raise RequestError(
            f"Precision {precision!r} is none of {', '.join(PRECISIONS)}: set precision=."
        )
    if engine == "tensorflow" and find_spec("tensorflow") is None:
        raise RequestError(
            'TensorFlow is not installed here: pip install "sarmap[train]", or use engine="auto".'
        )
    if precision == "int8":
        if engine not in ("auto", "openvino"):
            raise RequestError(
                f"int8 runs on OpenVINO alone: set engine='openvino', not {engine!r}."
            )
        engine = "openvino"
    chosen, why = (engine, "engine as asked") if engine != "auto" else _best_engine()
    has_bf16, device = _device_bf16(chosen)
    if precision == "bf16" and not has_bf16:
        raise RequestError(
            f"{device[0].upper()}{device[1:]} has no native bf16 (AMX or AVX-512 BF16; on GPUs "
            "compute capability 8): use precision='f32', or 'auto'."
        )
    if precision == "auto":
        precision = "bf16" if has_bf16 else "f32"
        why += f"; {device} has {'' if has_bf16 else 'no '}native bf16"
    choice = Choice(chosen, precision, why)
    log.info("engine %s at %s: %s", choice.engine, choice.precision, choice.reason)
    return choice


def check_int8(precision: str, name: str, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse, as RequestError, precision int8 of a detector that has no ranges for it."""
    if precision == "int8" and not ranges:
        raise RequestError(
            f"Detector {name} was not measured for int8: use precision='auto', or the detector "
            "'attention-unet'."
        )


def _best_engine() -> tuple[str, str]:
    """The engine that 'auto' means on this machine, and why."""
    gpu = find_gpu()
    backend = gpu_backend() if gpu is not None else None
    if gpu is not None and backend is not None:
        return "keras", f"{gpu.name} with Keras on {backend}"
    without = "no GPU" if gpu is None else f"{gpu.name}, but no Keras backend that reaches it"
    for name in ("openvino", "tensorflow"):
        if find_spec(name) is not None:
            return name, without
    return "keras", f"{without}, nor OpenVINO nor TensorFlow"


def _device_bf16(engine: str) -> tuple[bool, str]:
    """Whether the device an engine computes on has native bf16, and what it is called."""
    gpu = _gpu_of(engine)
    if gpu is not None:
        return gpu.bf16, gpu.name
    return native_bf16(), "this processor"


def _gpu_of(engine: str) -> Gpu | None:
    """The GPU that an engine computes on; None: the processor."""
    gpu = None if engine == "openvino" else find_gpu()
    if gpu is None:
        return None
    backend = gpu_backend()
    return gpu if backend is not None and engine in ("keras", backend) else None


def make_engine(manifest: Manifest, folder: Path, engine: str, precision: str) -> Engine:
    """Build the callable that runs the weights of a manifest and its folder, as settled by
    `choose_engine`: float32 [n, y, x, band] to float32 [n, y, x] (segment, pixel) or [n] (window).
    """
    gpu, cores = _gpu_of(engine), usable_cores()
    size = batch_size(manifest, precision, gpu)
    if engine == "openvino":
        from sarmap.detect.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(manifest, folder, precision, size=size, cores=cores)
    from sarmap.detect.keras_engine import KerasEngine

    backend = "tensorflow" if engine == "tensorflow" else None
    return KerasEngine(
        manifest, folder, precision, size=size, cores=cores, backend=backend, gpu=gpu
    )
