"""What the machine offers a network: cores, bf16, a GPU. Read, never measured.

Nothing here loads an engine: what `sarmap.detect.engines.choose_engine` decides from must cost
little and give the same answer every time.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from threading import Condition


@dataclass(frozen=True)
class Gpu:
    """The first NVIDIA GPU this process may use."""

    name: str
    """As its driver calls it."""
    memory: int
    """Bytes."""
    capability: tuple[int, int]
    """CUDA compute capability; from (8, 0) on it computes bf16 natively."""

    @property
    def bf16(self) -> bool:
        """True where it multiplies bf16 natively."""
        return self.capability >= (8, 0)


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


def allow_cores(count: int | None) -> None:
    """Keep this process's networks to so many cores; call before the first tile is answered.

    None lifts the limit again.

    The one place where threads are set. Engines read it once, when they are made: OpenVINO runs as
    many one-thread streams, TensorFlow and PyTorch as many threads; and so many blocks at most are
    answered at a time (`sarmap.detect.block`). Without a call it is all cores that the process may
    use. A cluster's workers get their share of their machine here (`sarmap.cluster.plugin`), so
    that several workers on one machine never run more threads than it has cores; their Dask
    threads, which wait for reads, may be many more.
    """
    _ALLOWED[:] = [] if count is None else [max(count, 1)]


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


class CoreGate:
    """Lets as many threads in as the process may use cores; the others wait outside."""

    def __init__(self) -> None:
        self._inside = 0
        self._left = Condition()

    def __enter__(self) -> None:
        with self._left:
            self._left.wait_for(lambda: self._inside < usable_cores())
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._left:
            self._inside -= 1
            self._left.notify()


@lru_cache(maxsize=1)
def find_gpu() -> Gpu | None:
    """The GPU its driver names first; None where there is none, or CUDA_VISIBLE_DEVICES hides it.

    Asks `nvidia-smi`, in a process of its own: a process that has once started CUDA can no longer
    fork.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    if hidden or not Path("/dev/nvidiactl").exists():
        return None
    question = "--query-gpu=name,memory.total,compute_cap"
    try:
        said = subprocess.run(
            ["nvidia-smi", question, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
        return _parse_gpu(said)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _parse_gpu(said: str) -> Gpu:
    """The first line of nvidia-smi's table.

    >>> _parse_gpu("NVIDIA H200, 143771, 9.0")
    Gpu(name='NVIDIA H200', memory=150754820096, capability=(9, 0))
    """
    name, memory, capability = (part.strip() for part in said.strip().splitlines()[0].split(","))
    major, minor = capability.split(".")
    return Gpu(name, int(memory) * 2**20, (int(major), int(minor)))


def gpu_backend() -> str | None:
    """The Keras backend that can reach a GPU here, by what is installed; None where none can.

    An imported Keras, or KERAS_BACKEND, has the say; else JAX before TensorFlow before PyTorch.
    """
    reaching = [name for name in ("jax", "tensorflow", "torch") if _reaches_gpu(name)]
    if "keras" in sys.modules:
        import keras

        named = keras.backend.backend()
    else:
        named = os.environ.get("KERAS_BACKEND", "")
    if named:
        return named if named in reaching else None
    return reaching[0] if reaching else None


def _reaches_gpu(backend: str) -> bool:
    """True where a backend is installed with its CUDA parts."""
    if find_spec(backend) is None:
        return False
    if backend == "jax":
        return any(find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))
    with contextlib.suppress(metadata.PackageNotFoundError):
        if backend == "torch" and "+cpu" in metadata.version("torch"):
            return False
    with contextlib.suppress(ModuleNotFoundError):
        return find_spec("nvidia.cudnn") is not None
    return False
