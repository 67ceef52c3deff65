"""`paper`: the papers' extent from STAC to Zarr, where they took about 420 s on six cores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric
from benchmarks.processes import run_task

__all__ = ["PAPER", "SECONDS_OF_PAPER", "random_network"]

SECONDS_OF_PAPER = 420.0
SHIPPED, RANDOM = "16 filters (shipped)", "32 filters (random weights)"


def random_network(context: Context, filters: int = 32) -> str:
    """The manifest of a network of the paper's size, made once per run."""
    folder = context.folder("networks")
    path = folder / f"attention-unet-{filters}-random.json"
    if not path.is_file():
        run_task("weights:make", {"folder": str(folder), "filters": filters})
    return str(path)


def _configure(context: Context) -> Sequence[Configuration]:
    place = context.scene.arguments(context.extent)
    if context.quick:
        return _network(place, SHIPPED, "nava-2022-attention-unet", overlaps=(16,), repeats=1)
    large = random_network(context)
    return [
        *_network(place, SHIPPED, "nava-2022-attention-unet", overlaps=(0, 16), repeats=3),
        *_network(place, RANDOM, large, overlaps=(0, 16), repeats=1),
    ]


def _network(
    place: dict[str, Any], title: str, detector: str, *, overlaps: Sequence[int], repeats: int
) -> list[Configuration]:
    """One network: bare engine, warm and cold for each overlap; its steps one by one."""
    made = []
    name = Path(detector).stem
    for overlap in overlaps:
        what = f"{title}, overlap {overlap}"
        arguments = {**place, "detector": detector, "overlap": overlap}
        made += [
            Configuration(
                f"{what}: bare engine", "bare:engine",
                {**arguments, "rounds": min(repeats, 2)}, title, repeats=min(repeats, 2),
            ),
            Configuration(
                f"{what}: warm", "mapping:run", arguments, title,
                repeats=min(repeats, 2) if overlap else repeats,
                family=f"{name}-{overlap}", floor=f"{what}: bare engine",
            ),
            Configuration(
                f"{what}: cold process", "mapping:run", {**arguments, "warm": False}, title,
                repeats=1 if overlap else repeats,
                family=f"{name}-{overlap}", floor=f"{what}: bare engine",
            ),
        ]  # fmt: skip
    if repeats == 1 and len(overlaps) > 1:
        return made
    first = {**place, "detector": detector, "overlap": overlaps[0]}
    return [
        *made,
        Configuration(
            f"{title}, overlap {overlaps[0]}: steps one by one", "stages:split", first, title,
            repeats=min(repeats, 2),
        ),
    ]  # fmt: skip


PAPER = Benchmark(
    name="paper",
    title="The papers' extent, STAC to Zarr",
    configure=_configure,
    metrics=(
        Metric("seconds", "s"),
        Metric("process_seconds", "whole process, s", 1),
        Metric("peak_memory", "peak, GB", 2, 1e9),
        Metric("search", "search, s"),
        Metric("read", "read, s"),
        Metric("terrain", "terrain, s"),
        Metric("composite", "composite, s"),
        Metric("predict", "predict, s"),
        Metric("write", "write, s"),
        Metric("gflops", "GFLOP/s", 0),
        Metric("requests", "requests", 0),
        Metric("bytes_read", "read, MB", 0, 1e6),
        Metric("bytes_written", "written, MB", 1, 1e6),
    ),
    minutes=6,
    notes=(
        f"Nava et al. 2022 report about {SECONDS_OF_PAPER:.0f} s for this extent on six cores.",
        "Warm: libraries loaded and the network converted by mapping one tile before; hardly a "
        "pixel read. Cold: the first map of a process; `s` begins after `import sarmap`. Steps one "
        "by one: each step alone with its input in memory, where the real route overlaps them.",
        "The network of 32 filters, the paper's size, has seeded random weights: pace only.",
    ),
)
