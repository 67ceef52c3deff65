"""`windows`: the CNN of paper 1 at stride 2 over the whole extent, window by window and dense."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["WINDOWS"]


def _configure(context: Context) -> Sequence[Configuration]:
    place = context.scene.arguments(context.extent)
    most = 4096 if context.quick else 65_536
    arguments = {**place, "detector": "cnn-baa"}
    return [
        Configuration("bare engine, windowed", "bare:engine", {**arguments, "most": most}),
        Configuration(
            "windowed, stride 2", "mapping:run", arguments,
            repeats=1, family="cnn-baa", floor="bare engine, windowed",
        ),
    ]  # fmt: skip


WINDOWS = Benchmark(
    name="windows",
    title="The sliding window of 25 px at stride 2 over the whole extent",
    configure=_configure,
    metrics=(
        Metric("seconds", "s", 1),
        Metric("process_seconds", "whole process, s", 1),
        Metric("peak_memory", "peak, GB", 2, 1e9),
        Metric("tiles", "windows", 0),
        Metric("gflops", "GFLOP/s", 0),
    ),
    minutes=4,
    repeats=1,
)
