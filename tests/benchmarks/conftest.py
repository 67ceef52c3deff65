"""What the tests of the benchmarks share: a benchmark whose processes are played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.answers import save
from benchmarks.journal import Journal
from benchmarks.model import Benchmark, Configuration, Metric
from benchmarks.runner import run_benchmark

REVISION = {"revision": "0123456789abcdef", "changed": False, "tree": "tree-1"}


class Play:
    """Stands in for fresh processes: seconds and answers by the argument `chunk`."""

    def __init__(self, answers: Mapping[int, Any]) -> None:
        self.answers = answers
        self.launched: list[int] = []

    def __call__(self, task: str, arguments: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        chunk = arguments["chunk"]
        self.launched.append(chunk)
        if "keep" in arguments:
            save(arguments["keep"], probability=np.asarray(self.answers[chunk]))
        seconds = {"seconds": chunk / 100, "tasks": chunk}
        return {"metrics": seconds, "process_seconds": 1.0, "peak_memory": 10**9}


@pytest.fixture
def benchmark_of() -> Callable[..., Benchmark]:
    """Makes a benchmark with one configuration per block edge; the first is the floor of all."""

    def make(edges: tuple[int, ...] = (100, 200), tolerance: float = 0.0) -> Benchmark:
        configurations = [
            Configuration(
                f"{edge} px",
                "mapping:run",
                {"chunk": edge, "catalog": "http://127.0.0.1:1/", "folder": "/home/me/x"},
                family="map",
                tolerance=tolerance,
                floor=None if edge == edges[0] else f"{edges[0]} px",
            )
            for edge in edges
        ]
        metrics = (Metric("seconds", "s"), Metric("tasks", "tasks", 0))
        return Benchmark("played", "Played", lambda _: configurations, metrics, 1, repeats=2)

    return make


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs a benchmark with played processes, journal in `tmp_path`; gives its record."""

    def run_it(benchmark: Benchmark, play: Play, tree: str = "tree-1") -> dict[str, Any]:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        context: Any = SimpleNamespace(
            quick=False, scratch=scratch, stack=ExitStack(), extent=(3842, 2346)
        )
        journal = Journal.open(tmp_path / "journal" / "played.jsonl", tree)
        return run_benchmark(benchmark, context, journal, REVISION, launch=play)

    return run_it


@pytest.fixture
def play() -> Callable[[Mapping[int, Any]], Play]:
    """Makes played processes from answers by block edge."""
    return Play
