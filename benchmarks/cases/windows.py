"""`windows`: the CNN of paper 1 at stride 2 over the whole extent, window by window and dense."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["WINDOWS"]

PAPER = "cnn-baa"


def _configure(context: Context) -> Sequence[Configuration]:
    place = context.scene.arguments((256, 192) if context.quick else context.extent)
    most = 4096 if context.quick else 65_536
    made = list(_windowed(place, PAPER, most, "the paper's CNN, resampled 25 to 32 px", {}))
    for name in _dense_detectors():
        group = f"{name}: made for one pass over the block"
        made += _windowed(place, name, most, group, {"dense": False})
        dense = {**place, "detector": name, "dense": True}
        made += [
            Configuration(
                f"{name}: bare engine, dense", "bare:engine", {**dense, "sweep": True}, group
            ),
            Configuration(
                f"{name}: dense",
                "mapping:run",
                dense,
                group,
                family=name,
                tolerance=1.0,  # of 250 steps: what is stored, where answers agree to 1e-5
                floor=f"{name}: bare engine, dense",
            ),
        ]
    return made


def _windowed(
    place: dict[str, Any], name: str, most: int, group: str, how: dict[str, Any]
) -> Iterable[Configuration]:
    arguments = {**place, "detector": name, **how}
    yield Configuration(
        f"{name}: bare engine", "bare:engine", {**arguments, "most": most}, group, repeats=1
    )
    yield Configuration(
        f"{name}: window by window, stride 2",
        "mapping:run",
        arguments,
        group,
        repeats=1,
        family=name,
        floor=f"{name}: bare engine",
    )


def _dense_detectors() -> list[str]:
    """Shipped window classifiers that answer all windows of a block in one pass."""
    import sarmap
    from sarmap.detect.protocol import describe
    from sarmap.detect.weights import ALIASES, detector_names

    found = []
    for name in detector_names():
        spec = describe(sarmap.load_detector(name, precision="f32"))
        if name not in ALIASES and spec.kind == "window" and getattr(spec, "dense", 0):
            found.append(name)
    return found


WINDOWS = Benchmark(
    name="windows",
    title="The sliding window of 25 px at stride 2 over the whole extent",
    configure=_configure,
    metrics=(
        Metric("seconds", "s", 1),
        Metric("process_seconds", "whole process, s", 1),
        Metric("peak_memory", "peak, GB", 2, 1e9),
        Metric("tiles", "windows or patches", 0),
        Metric("gflops", "GFLOP/s", 0),
    ),
    minutes=5,
    repeats=2,
    notes=("Dense answers are compared with windowed ones in stored steps of 0.004.",),
)
