"""Run a task in a fresh process: its answer, the whole process's seconds, and its peak memory.

Peak memory of one process is what Linux says (VmHWM); where a task starts others (`tree`), it is
the largest sum of their resident memory seen in samples 20 ms apart, shared pages counted in each.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["TaskFailed", "run_task"]

ROOT = Path(__file__).resolve().parent.parent
MARK = "@@benchmark "
"""Begins the line of standard output that holds the answer."""
_SAMPLE_SECONDS = 0.02


class TaskFailed(Exception):
    """A task's process ended without an answer; the message holds its last words."""


def run_task(
    task: str,
    arguments: Mapping[str, Any],
    *,
    python: str | None = None,
    tree: bool = False,
    limit: float = 3600.0,
) -> dict[str, Any]:
    """Run `benchmarks.tasks.<module>:<function>` with keyword arguments in a fresh process.

    Returns
    -------
    What the task returned, with `process_seconds` (from start to end of the process) and
    `peak_memory` (bytes).

    Raises
    ------
    TaskFailed
        The process ended without an answer, or took longer than `limit` seconds.
    """
    started = time.perf_counter()
    with subprocess.Popen(
        [python or sys.executable, "-m", "benchmarks.child"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    ) as child:
        watch = _Watch(child.pid) if tree else None
        job = json.dumps({"task": task, "arguments": dict(arguments)})
        try:
            said, complained = child.communicate(job, timeout=limit)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise TaskFailed(f"{task} took more than {limit:.0f} s") from None
        finally:
            sampled = watch.stop() if watch else 0
    seconds = time.perf_counter() - started
    lines = [line for line in said.splitlines() if line.startswith(MARK)]
    if child.returncode or not lines:
        raise TaskFailed(f"{task} failed: {_without_paths(_cause(complained))}")
    answer: dict[str, Any] = json.loads(lines[-1][len(MARK) :])
    answer["process_seconds"] = seconds
    answer["peak_memory"] = max(answer.get("peak_memory", 0), sampled)
    return answer


def _environment() -> dict[str, str]:
    """The environment of a task: this one, with servers on loopback asked directly."""
    hosts = [host for host in os.environ.get("NO_PROXY", "").split(",") if host]
    direct = ",".join([*hosts, "127.0.0.1", "localhost"])
    return {**os.environ, "NO_PROXY": direct, "no_proxy": direct, "PYTHONHASHSEED": "0"}


def _cause(complained: str) -> str:
    """The error of a traceback, or the last line said."""
    lines = complained.strip().splitlines() or ["it said nothing"]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return (errors or lines)[-1]


def _without_paths(text: str) -> str:
    """A message in which absolute paths are their last names.

    >>> _without_paths("no module in /home/me/a/b.py, see http://127.0.0.1:9/x")
    'no module in b.py, see http://127.0.0.1:9/x'
    """
    return re.sub(r"(?<![\w:/])(?:/[\w.@+-]+)+/([\w.@+-]+)", r"\1", text)


class _Watch:
    """Samples the resident memory of a process and its descendants on a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End sampling; the largest sum seen, bytes."""
        self._done.set()
        self._thread.join()
        return self._peak

    def _sample(self) -> None:
        import psutil

        root = psutil.Process(self._pid)
        while not self._done.wait(_SAMPLE_SECONDS):
            try:
                family = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self._peak = max(self._peak, sum(_resident(one) for one in family))


def _resident(process: Any) -> int:
    import psutil

    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it ended between two samples
        return 0
