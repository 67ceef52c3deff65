"""The fresh process of one task: reads its job from standard input, answers on standard output.

Needs the standard library alone, so that tasks of other environments (`peers`) run by it too.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

MARK = "@@benchmark "


def peak_memory() -> int:
    """Largest resident memory of this process so far, bytes.

    From VmHWM: `ru_maxrss` of a process that Linux started by vfork holds its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(largest if sys.platform == "darwin" else largest * 1024)


def end_with_parent() -> None:
    """Linux: have the kernel end this process with its parent (prctl, PR_SET_PDEATHSIG = 1)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    end_with_parent()
    job = json.loads(sys.stdin.read())
    module, _, function = job["task"].partition(":")
    task = getattr(importlib.import_module(f"benchmarks.tasks.{module}"), function)
    answer: dict[str, Any] = dict(task(**job["arguments"]))
    answer.setdefault("peak_memory", peak_memory())
    sys.stdout.write(f"\n{MARK}{json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
