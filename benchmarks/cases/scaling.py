"""`scaling`: many times the extent, and more workers; `hokkaido`: 834 megapixels at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["HOKKAIDO", "SCALING", "shape_of"]

_ALONG = {1: (1.0, 1.0), 4: (2.0, 2.0), 16: (4.0, 4.0), 92: (8.0, 11.567)}
"""Extents along y and x; 92 is 834 megapixels, the area of Hokkaido."""
GRAPHS = (1, 4, 16, 92)
NETWORK = {"detector": "nava-2022-attention-unet"}


def shape_of(extent: tuple[int, int], times: int) -> tuple[int, int]:
    """Rows and columns of about `times` extents.

    >>> shape_of((3842, 2346), 4), shape_of((3842, 2346), 92)
    ((7684, 4692), (30736, 27136))
    """
    square = math.sqrt(times)
    down, along = _ALONG.get(times, (square, square))
    return math.floor(down * extent[0]), math.floor(along * extent[1])


def _configure(context: Context) -> Sequence[Configuration]:
    sizes = context.sizes or ((1, 2) if context.quick else (1, 4, 16))
    return [
        *_maps(context, sizes),
        *_graphs(context, (4,) if context.quick else GRAPHS),
        *_workers(context, *((1, (2,)) if context.quick else (4, (1, 2))), max(sizes)),
    ]


def _place(context: Context, times: int, largest: int) -> dict[str, Any]:
    """An extent of the largest scene asked for, so that all share one server and one corner."""
    scene = context.mosaic(shape_of(context.extent, largest))
    return scene.arguments(shape_of(context.extent, times))


def _common(extent: tuple[int, int]) -> list[int]:
    """The part of the smallest extent whose tiles and terrain all sizes share."""
    return [0, extent[0] // 64 * 64 - 64, 0, extent[1] // 64 * 64 - 64]


def _maps(context: Context, sizes: Sequence[int]) -> Iterable[Configuration]:
    repeats = {1: 2}
    for times in sizes:
        yield Configuration(
            f"{times} x the extent",
            "mapping:run",
            {**_place(context, times, max(sizes)), **NETWORK, "crop": _common(context.extent)},
            "area, on threads of one process",
            repeats=repeats.get(times, 1),
            family="area",
        )


def _graphs(context: Context, sizes: Sequence[int]) -> Iterable[Configuration]:
    for times in sizes:
        yield Configuration(
            f"graph of {times} x the extent",
            "mapping:graph",
            {**_place(context, times, max(sizes)), **NETWORK},
            "building the graph: from a prepared request to its first task; nothing is run",
            repeats=1,
        )


def _workers(
    context: Context, times: int, counts: Sequence[int], largest: int
) -> Iterable[Configuration]:
    # in the same scene as the others: what lies beyond an extent may hide a part of it
    place = {**_place(context, times, max(times, largest)), "crop": _common(context.extent)}
    for workers in counts:
        yield Configuration(
            f"{workers} worker{'s' * (workers > 1)} of 1 thread, {times} x the extent",
            "mapping:run",
            {**place, **NETWORK, "scheduler": "distributed", "workers": workers, "tree": True},
            "workers of a local cluster (memory of all processes)",
            repeats=1,
            family="area",
        )


_METRICS = (
    Metric("seconds", "s"),
    Metric("ns_per_pixel", "ns per px", 0),
    Metric("peak_memory", "peak, GB", 2, 1e9),
    Metric("graph_seconds", "between waves, s"),
    Metric("tasks", "tasks", 0),
    Metric("requests", "requests", 0),
    Metric("bytes_read", "read, MB", 0, 1e6),
    Metric("bytes_written", "written, MB", 1, 1e6),
)
_NOTES = (
    "A map runs in waves of blocks; `between waves` is the time spent outside Dask's scheduler "
    "from the first wave on: making the other graphs, closing the store.",
    "Scenes above the extent repeat the event's stored tiles, each at an address of its own.",
    "Answers are compared where all extents see the same tiles and terrain: the first extent but "
    "its last tiles.",
)

SCALING = Benchmark(
    name="scaling",
    title="More area, more workers",
    configure=_configure,
    metrics=_METRICS,
    minutes=6,
    repeats=1,
    notes=_NOTES,
)

HOKKAIDO = Benchmark(
    name="hokkaido",
    title="834 megapixels, the area of Hokkaido",
    configure=lambda context: [
        *_maps(context, context.sizes or ((1, 4) if context.quick else (1, 92)))
    ],
    metrics=_METRICS,
    minutes=17,
    repeats=1,
    notes=_NOTES,
)
