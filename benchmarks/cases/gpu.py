"""`gpu`: inference alone, where there is a GPU."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cases.paper import random_network
from benchmarks.context import Context
from benchmarks.machine import describe_machine
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["GPU"]


def _absent(context: Context) -> str | None:
    from sarmap.detect.engines import ENGINES

    if not describe_machine()["gpus"]:
        return "this machine has no NVIDIA GPU (nvidia-smi tells of none)."
    return None if "keras" in ENGINES else "this sarmap has no engine 'keras' to run on a GPU."


def _configure(context: Context) -> Sequence[Configuration]:
    batches = (64,) if context.quick else (64, 256, 1024)
    floors = {name: f"GEMM {name}, n = 8192" for name in ("f32", "bf16")}
    made = [
        Configuration(label, "gpu:gemm", {"precision": name, "n": 8192}, "floor")
        for name, label in floors.items()
    ]
    networks = {
        "16 filters (shipped)": "nava-2022-attention-unet",
        "32 filters (random weights)": random_network(context),
    }
    for title, detector in networks.items():
        for precision, floor in floors.items():
            made += [
                Configuration(
                    f"{title}, {precision}, batch {batch}",
                    "engines:rate",
                    {
                        "engine": "keras", "precision": precision, "tile": 64, "batch": batch,
                        "detector": detector, "megapixels": 50.0,
                    },
                    title,
                    floor=floor,
                    family=f"{title} {precision}",
                    tolerance=0.1 if precision == "bf16" else 1e-3,
                )
                for batch in batches
            ]  # fmt: skip
    return made


GPU = Benchmark(
    name="gpu",
    title="Inference alone on a GPU",
    configure=_configure,
    metrics=(
        Metric("gflops", "GFLOP/s", 0),
        Metric("megapixels", "Mpx/s", 1),
        Metric("start_seconds", "start, s", 1),
    ),
    minutes=3,
    absent=_absent,
)
