"""`chunking`: how the scene is best cut, for reading, computing and storing.

The scene is one slice per pass whose corner lies on the map's (`benchmarks.scenes.served_mosaic`),
so that blocks can lie on the COG's internal tiles of 512 px, or 192 px off them: that is still on
the grid of 64 px tiles, so that both maps hold the same tiles and must agree where they overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["CHUNKING"]

OFF = 192
"""Pixels by which blocks lie off the COG's tiles: a multiple of 64, not of 512."""
NETWORK = "nava-2022-attention-unet"
CHEAP = "mean:0"


def _configure(context: Context) -> Sequence[Configuration]:
    scene = context.mosaic(context.extent)
    on = scene.arguments(context.extent)
    off = scene.arguments(context.extent, (OFF, OFF))
    quick = context.quick
    return [
        *_blocks(on, off, context.extent, (256, 512) if quick else (256, 512, 1024, 2048, 4096)),
        *_halos(on, (256, 512) if quick else (512, 1024, 2048), quick=quick),
        *_loaders(on, (512,) if quick else (512, 1024, 2048)),
        *_schedulers(on, 256 if quick else 1024, quick=quick),
        *_stores(on, 512 if quick else 1024, quick=quick),
    ]


def _blocks(
    on: dict[str, Any], off: dict[str, Any], extent: tuple[int, int], edges: Sequence[int]
) -> Iterable[Configuration]:
    """Block edges, on and off the COG's tiles, and off the grid of tiles."""
    inner = (extent[0] - OFF) // 64 * 64, (extent[1] - OFF) // 64 * 64
    common_on = [OFF, OFF + inner[0], OFF, OFF + inner[1]]
    common_off = [0, inner[0], 0, inner[1]]
    for place, crop, title, family in (
        (on, common_on, "blocks on the COG's tiles of 512 px", "network"),
        (off, common_off, f"blocks {OFF} px off the COG's tiles", "network"),
    ):
        for edge in edges if place is on or len(edges) > 2 else edges[1:]:
            yield Configuration(
                f"{edge} px{'' if place is on else ', off'}",
                "mapping:run",
                {**place, "detector": NETWORK, "chunk": edge, "crop": crop},
                title,
                repeats=2 if place is on else 1,
                family=family,
            )
    for edge in (edges[1] - 12, edges[2] - 24) if len(edges) > 2 else (edges[1] - 12,):
        yield Configuration(
            f"{edge} px, recut",
            "mapping:run",
            {**on, "detector": NETWORK, "chunk": edge, "crop": common_on},
            "blocks off the grid of 64 px tiles: read as asked, then recut (rechunk)",
            family="network",
        )


def _halos(on: dict[str, Any], edges: Sequence[int], *, quick: bool) -> Iterable[Configuration]:
    """What a block borrows from its neighbours; a cheap detector, so that it shows."""
    for halo in (64,) if quick else (0, 16, 64, 256):
        for edge in edges:
            yield Configuration(
                f"halo {halo} px, block {edge} px",
                "mapping:run",
                {**on, "detector": f"mean:{halo}", "chunk": edge},
                "halo (cheap detector)",
                repeats=1,
                family=f"halo {halo}",
            )
    for edge in () if quick else edges:
        yield Configuration(
            f"network, overlap 16, block {edge} px",
            "mapping:run",
            {**on, "detector": NETWORK, "overlap": 16, "chunk": edge},
            "halo of overlapping tiles (network)",
            repeats=1,
            family="overlap 16",
        )


def _loaders(on: dict[str, Any], edges: Sequence[int]) -> Iterable[Configuration]:
    for loader in ("sarmap", "stackstac", "odc-stac"):
        for edge in edges:
            yield Configuration(
                f"{loader}, block {edge} px",
                "loading:load",
                {**on, "loader": loader, "chunk": edge},
                "loader: three passes of VV into memory, 16 threads",
                repeats=1,
                family="loader",
                floor="plain read of the same files",
            )
    names = [f"vv-{day}-0.tif" for day in ("2018-09-01", "2018-09-13", "2018-09-25")]
    yield Configuration(
        "plain read of the same files",
        "floors:read",
        {"control": on["control"], "names": names},
        "loader: three passes of VV into memory, 16 threads",
        repeats=1,
    )


def _schedulers(on: dict[str, Any], edge: int, *, quick: bool) -> Iterable[Configuration]:
    tried: list[tuple[str, dict[str, Any]]] = [
        ("threads of one process", {}),
        ("processes (Dask's own), 2", {"scheduler": "processes", "workers": 2}),
        ("distributed, 2 workers of 1 thread", {"scheduler": "distributed", "workers": 2}),
        (
            "distributed, 1 worker of 8 threads",
            {"scheduler": "distributed", "workers": 1, "threads": 8},
        ),
    ]
    for label, arguments in tried[:3:2] if quick else tried:
        yield Configuration(
            label,
            "mapping:run",
            {**on, "detector": NETWORK, "chunk": edge, "tree": True, **arguments},
            f"scheduler (network, blocks of {edge} px; memory of all processes)",
            repeats=1,
            family="scheduler",
        )


def _stores(on: dict[str, Any], edge: int, *, quick: bool) -> Iterable[Configuration]:
    shapes = [(128, edge), (256, edge), (512, edge), (edge, edge), (256, 256), (512, 2 * edge)]
    for chunk, shard in shapes[1:3] if quick else shapes:
        yield Configuration(
            f"chunk {chunk} px, shard {shard} px",
            "mapping:run",
            {
                **on, "detector": CHEAP, "chunk": edge,
                "store": {"chunk": chunk, "shard": shard}, "read_back": True,
            },
            f"Zarr chunk and shard (cheap detector, blocks of {edge} px)",
            repeats=1,
            family="store",
        )  # fmt: skip


CHUNKING = Benchmark(
    name="chunking",
    title="How the scene is cut",
    configure=_configure,
    metrics=(
        Metric("seconds", "s"),
        Metric("peak_memory", "peak, GB", 2, 1e9),
        Metric("tasks", "tasks", 0),
        Metric("requests", "requests", 0),
        Metric("bytes_read", "read, MB", 1, 1e6),
        Metric("bytes_written", "written, MB", 2, 1e6),
        Metric("objects", "objects", 0),
        Metric("window_ms", "read back 256 px, ms", 1),
        Metric("whole_seconds", "read back all, s", 2),
    ),
    minutes=8,
    repeats=2,
    notes=(
        "One slice per pass, stored tiles of 512 px, served over HTTP on the same machine; warm.",
        f"Extents {OFF} px off the COG's tiles are compared with the others where they overlap.",
    ),
)
