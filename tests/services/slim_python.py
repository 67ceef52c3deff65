"""A second Python environment: what `pip install sarmap` gives, without TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

REMEDY = (
    "python3 -m venv .venv-worker && .venv-worker/bin/pip install -c constraints.txt -e ., or name "
    "another environment's programs in SARMAP_WORKER_PROGRAMS"
)


def find_slim_python(processes: ModuleType) -> str:
    """Its interpreter."""
    named = os.environ.get("SARMAP_WORKER_PROGRAMS", processes.ROOT / ".venv-worker" / "bin")
    python = Path(named) / "python"
    return str(python) if python.exists() else processes.absent("a worker's environment", REMEDY)
