"""`windows`: the CNN of paper 1 at stride 2 over the whole extent, window by window and dense."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["WINDOWS"]

PAPER = "cnn-baa"


def _configure(context: Context) -> Sequence[Configuration]:
    from sarmap.detect.hardware import native_bf16

    place = context.scene.arguments((256, 192) if context.quick else context.extent)
    most = 4096 if context.quick else 65_536
    precisions = ("f32", "bf16") if native_bf16() and not context.quick else ("f32",)
    made: list[Configuration] = []
    for precision in precisions:
        group = "the paper's CNN, resampled 25 to 32 px"
        made += _windowed(place, PAPER, most, group, {"precision": precision})
    for name in _dense_detectors():
        group = f"{name}: made for one pass over the block"
        how = {"dense": False, "precision": "f32"}
        made += _windowed(place, name, most, group, how)
        for precision in precisions:
            made += _in_one_pass(place, name, group, precision)
    return made


def _in_one_pass(
    place: dict[str, Any], name: str, group: str, precision: str
) -> Iterable[Configuration]:
    arguments = {**place, "detector": name, "dense": True, "precision": precision}
    bare = f"{name} {precision}: bare engine, dense"
    yield Configuration(bare, "bare:engine", {**arguments, "sweep": True}, group)
    yield Configuration(
        f"{name} {precision}: dense",
        "mapping:run",
        arguments,
        group,
        family=name if precision == "f32" else None,
        tolerance=1.0,  # of 250 steps: what is stored, where answers agree to 1e-5
        floor=bare,
    )


def _windowed(
    place: dict[str, Any], name: str, most: int, group: str, how: dict[str, Any]
) -> Iterable[Configuration]:
    arguments, named = {**place, "detector": name, **how}, f"{name} {how['precision']}"
    yield Configuration(
        f"{named}: bare engine", "bare:engine", {**arguments, "most": most}, group, repeats=1
    )
    yield Configuration(
        f"{named}: window by window, stride 2",
        "mapping:run",
        arguments,
        group,
        repeats=1,
        family=name if how["precision"] == "f32" else None,
        floor=f"{named}: bare engine",
    )


def _dense_detectors() -> list[str]:
    """Shipped window classifiers that answer all windows of a block in one pass."""
    import sarmap
    from sarmap.detect.protocol import describe
    from sarmap.detect.weight_files import ALIASES, detector_names

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
    notes=(
        "Dense answers in f32 are compared with windowed ones in f32, in stored steps of 0.004.",
    ),
)
