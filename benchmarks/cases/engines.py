"""`engines`: every engine and precision, tile and batch, beside the machine's matrix products."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.cases.paper import random_network
from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["ENGINES"]

BATCHES = {64: (1, 4, 16, 64, 256), 128: (1, 4, 16, 64), 256: (1, 4, 16), 512: (1, 4)}


def _configure(context: Context) -> Sequence[Configuration]:
    from sarmap.detect.hardware import native_bf16

    precisions = ("f32", "bf16") if native_bf16() else ("f32",)
    n = 1024 if context.quick else 4096
    made = [
        Configuration(
            f"GEMM {precision}, n = {n}", "floors:gemm", {"n": n, "precision": precision}, "floor"
        )
        for precision in precisions
    ]
    floors = {precision: f"GEMM {precision}, n = {n}" for precision in precisions}
    for precision in precisions:
        made += _engine(context, "openvino", precision, floors[precision])
    made += _engine(context, "tensorflow", "f32", floors["f32"])
    if not context.quick:
        if "bf16" in precisions:
            made += _engine(context, "tensorflow", "bf16", floors["bf16"])
        made += _engine(context, "keras", "f32", floors["f32"])
        made += _paper_size(context, precisions, floors)
    return made


def _engine(context: Context, engine: str, precision: str, floor: str) -> Iterable[Configuration]:
    from sarmap.detect.engines import ENGINES as KNOWN

    if engine not in KNOWN:
        return
    batches = {64: (4,), 128: (1,)} if context.quick else BATCHES
    if engine != "openvino" and not context.quick:
        batches = {64: (4, 16, 64), 128: (4,), 256: (1,)}
    elif engine != "openvino":
        batches = {64: (4,)}
    for tile, sizes in batches.items():
        for batch in sizes:
            yield _one(
                f"{engine} {precision}, tile {tile}, batch {batch}",
                {"engine": engine, "precision": precision, "tile": tile, "batch": batch},
                "16 filters (shipped)",
                floor,
                tile,
            )


def _paper_size(
    context: Context, precisions: Sequence[str], floors: dict[str, str]
) -> Iterable[Configuration]:
    path = random_network(context)
    for precision in precisions:
        for batch in (1, 4, 16):
            yield _one(
                f"32 filters, openvino {precision}, tile 64, batch {batch}",
                {
                    "engine": "openvino", "precision": precision, "tile": 64, "batch": batch,
                    "detector": path,
                },
                "32 filters (random weights)",
                floors[precision],
                None,
            )  # fmt: skip


def _one(
    label: str, arguments: dict[str, Any], group: str, floor: str, tile: int | None
) -> Configuration:
    reduced = arguments["precision"] == "bf16"
    return Configuration(
        label,
        "engines:rate",
        arguments,
        group,
        repeats=1,
        family=None if tile is None else f"tile {tile}",
        tolerance=0.4 if reduced else 1e-4,
        floor=floor,
    )


ENGINES = Benchmark(
    name="engines",
    title="Engines, tiles and batches",
    configure=_configure,
    metrics=(
        Metric("gflops", "GFLOP/s", 0),
        Metric("us_per_tile", "us per 64 px tile", 0),
        Metric("megapixels", "Mpx/s", 2),
        Metric("start_seconds", "start, s", 2),
        Metric("peak_memory", "peak, GB", 2, 1e9),
    ),
    minutes=4,
    repeats=1,
    notes=(
        "`times its floor` is the share of the GEMM rate. Batch 1 of OpenVINO runs two requests at "
        "once, one per core, as the product does. Answers of every engine and batch are compared "
        "on the same tiles, within 1e-4 (bf16: 0.4; the tiles are noise, where the network is "
        "undecided; of a scene at most 0.1 % of the pixels change sides: tests/detect).",
    ),
)
