"""`peers`: the same network and scene through MONAI in PyTorch, and through `model.predict`.

Both sides start from the same composite in memory and end with the probability in memory.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases.paper import random_network
from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric
from benchmarks.processes import run_task

__all__ = ["PEERS"]

SHIPPED, RANDOM = "16 filters (shipped)", "32 filters (random weights)"


def _absent(context: Context) -> str | None:
    if context.peers is None:
        return (
            "no environment with PyTorch and MONAI was named: make one with "
            "`benchmarks/peers.sh FOLDER` and give --peers-python FOLDER/bin/python."
        )
    probe = [str(context.peers), "-c", "import monai.inferers, torch, numpy"]
    told = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"{(told.stderr.strip().splitlines() or [''])[-1]}." if told.returncode else None


def _configure(context: Context) -> Sequence[Configuration]:
    made = list(
        _network(context, SHIPPED, "nava-2022-attention-unet", (16,) if context.quick else (0, 16))
    )
    if not context.quick:
        made += _network(context, RANDOM, random_network(context), (0,))
    return made


def _network(
    context: Context, title: str, detector: str, overlaps: Sequence[int]
) -> Iterable[Configuration]:
    from sarmap.detect.hardware import native_bf16

    folder = str(context.folder(f"composite-{Path(detector).stem}"))
    place = {**context.scene.arguments(context.extent), "folder": folder, "detector": detector}
    run_task("scene_tiles:write_composite", place)
    precisions = ("f32", "bf16") if native_bf16() and not context.quick else ("f32",)
    for overlap in overlaps:
        family = f"{title}, overlap {overlap}"
        given: dict[str, Any] = {"folder": folder, "overlap": overlap}
        for precision in precisions:
            yield Configuration(
                f"{family}: sarmap {precision}",
                "scene_tiles:ours",
                {**given, "detector": detector, "precision": precision},
                title,
                family=family if precision == "f32" else None,
            )
        yield Configuration(
            f"{family}: MONAI, PyTorch f32",
            "peer_torch:monai_map",
            {**given, "precision": "f32"},
            title,
            family=family,
            repeats=2 if overlap == 0 and title == SHIPPED else 1,
            tolerance=1e-4,
            floor=f"{family}: sarmap f32",
            python=str(context.peers),
        )
        if context.quick or (detector != "nava-2022-attention-unet" and not native_bf16()):
            continue  # emulated, it takes a second per tile
        yield Configuration(
            f"{family}: MONAI, PyTorch bf16 autocast",
            "peer_torch:monai_map",
            {**given, "precision": "bf16", "rows": None if native_bf16() else 1},
            title,
            repeats=None if native_bf16() else 1,
            floor=f"{family}: sarmap {precisions[-1]}",
            python=str(context.peers),
        )
    yield from _loops(title, folder, detector, overlaps[0], quick=context.quick)


def _loops(
    title: str, folder: str, detector: str, overlap: int, *, quick: bool
) -> Iterable[Configuration]:
    """`model.predict` for tiles side by side, as many at a time."""
    for batch, most in ((1, 16),) if quick else ((1, 128), (32, 512)):
        yield Configuration(
            f"{title}: `model.predict`, {batch} tile{'s' * (batch > 1)} at a time",
            "scene_tiles:predict_loop",
            {"folder": folder, "detector": detector, "batch": batch, "most": most},
            title,
            repeats=1,
            floor=f"{title}, overlap {overlap}: sarmap f32",
        )


PEERS = Benchmark(
    name="peers",
    title="The same network and scene by other means",
    configure=_configure,
    metrics=(
        Metric("seconds", "s"),
        Metric("megapixels", "Mpx/s", 2),
        Metric("peak_memory", "peak, GB", 2, 1e9),
    ),
    minutes=5,
    repeats=2,
    absent=_absent,
    notes=(
        "From the composite in memory to the probability in memory, libraries loaded, network "
        "ready; each tile is stretched to 0-1 on both sides. `times its floor`: how many times "
        "sarmap's time.",
        "Answers of MONAI (f32) are compared with those of sarmap f32 within 1e-4, gaps filled "
        "alike. f32 stands beside f32, bf16 beside bf16 (where the processor has it), "
        "`model.predict` beside f32.",
    ),
)
