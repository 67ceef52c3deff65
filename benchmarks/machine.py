"""What a result was measured on, without a name or a path of the machine; and who else was busy."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["describe_machine", "describe_revision", "describe_versions", "foreign_load", "now"]

ROOT = Path(__file__).resolve().parent.parent
_INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve")
_LIBRARIES = (
    "sarmap", "dask", "distributed", "keras", "monai", "numpy", "odc-stac", "openvino", "rasterio",
    "stackstac", "tensorflow", "tensorflow-cpu", "torch", "xarray", "zarr",
)  # fmt: skip
BUSY = 0.15
"""Share of the machine's cores in use by others above which figures are called disturbed."""


def describe_machine() -> dict[str, Any]:
    """Processor, cores, instruction sets, memory and system."""
    import psutil

    cpu = _cpu_fields()
    flags = set(cpu.get("flags", cpu.get("Features", "")).split())
    return {
        "processor": cpu.get("model name", platform.machine()),
        "cores": usable_cores(),
        "instructions": [name for name in _INSTRUCTIONS if name in flags],
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "gpus": _gpus(),
    }


def usable_cores() -> int:
    """Cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _cpu_fields() -> dict[str, str]:
    """The first processor's lines of Linux's /proc/cpuinfo; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    first = path.read_text(encoding="ascii", errors="replace").split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _gpus() -> list[str]:
    """Names of NVIDIA GPUs, as the driver's own tool tells them."""
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in told.stdout.splitlines() if line.strip()]


def describe_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that matter, where they are installed."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe_revision() -> dict[str, Any]:
    """Git revision, and a digest of package and benchmarks as they are on disk."""
    revision = _git("rev-parse", "HEAD").strip() or "unknown"
    changed = _git("diff", "HEAD", "--", "sarmap", "benchmarks")
    tree = _git("rev-parse", "HEAD:sarmap", "HEAD:benchmarks")
    return {
        "revision": revision,
        "changed": bool(changed),
        "tree": hashlib.sha256((tree + changed).encode()).hexdigest()[:12],
    }


def _git(*words: str) -> str:
    try:
        told = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout if told.returncode == 0 else ""


def foreign_load(seconds: float = 1.0) -> float:
    """Cores in use by anyone else, while this process only sleeps."""
    import psutil

    share = psutil.cpu_percent(interval=seconds) / 100
    return round(share * (psutil.cpu_count() or 1), 2)


def now() -> str:
    """This instant in UTC, ISO 8601."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
