"""What a map will read, compute and write, known before it starts; and refused if it cannot fit."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sarmap.assembly import Assembly, assemble, levels_record, prepare
from sarmap.errors import RequestError
from sarmap.prepared import Prepared, machine_memory, memory_limit, most_kept, pixel_bytes
from sarmap.types import MapRequest, Plan

if TYPE_CHECKING:
    import xarray as xr

READ_THREADS = max(16, 2 * (os.cpu_count() or 1))
"""Dask threads: reads wait for the network, so there are many more of them than cores.

On 2 cores, 80 ms added to each request: 16 threads kept 18 requests under way, 8 kept 9, for the
same CPU time and 0.19 GB more memory. The network is kept to the cores by `sarmap.detect.block`."""

_LIBRARIES = 460 * 10**6
"""Bytes of libraries, file handles and caches."""
_WORKER = 200 * 10**6
"""Bytes that a worker of a cluster takes beside them."""
_ENGINE = 150 * 10**6
"""Bytes of a network's engine and weights."""
_BESIDE = 4
"""Bands' worth of scenes, terrain and answers held beside the bands of a composite."""
_PER_THREAD = 0.8
"""Blocks that a worker of a cluster holds for each of its threads."""
_BORROWED = 0.8
"""Share of a wave's blocks that are held where they borrow strips of each other."""
_BORROWED_REMOTE = 0.15
"""The same on a cluster, beside those of the threads."""
_PIXELWISE = 36
"""Bytes for each pixel that a detector without a network works on."""
_KEPT = 1.4
"""Bytes for each byte of pixels that stays in memory: their codes, and what reading them takes."""
_CONTROL = 0.5
"""Share of a composite that its control adds: both are made of the same scenes."""


@dataclass(frozen=True)
class Machine:
    """One process that maps blocks: this one, or the smallest worker of a cluster."""

    threads: int
    """Blocks it holds at a time."""
    cores: int
    """Blocks it computes at a time."""
    memory: int
    """Bytes it may take."""
    name: str = ""
    """The worker's address; empty: this process."""


def plan(request: MapRequest) -> Plan:
    """What `request` would read, compute and write; refuses what does not fit into memory.

    Searches the catalogue and builds the task graph. Of the pixels it reads the coarse lattice, for
    detectors that compare levelled passes.

    Raises
    ------
    RequestError
        The request cannot be served as given, or does not fit into memory.
    CatalogError
        The catalogue cannot be reached.
    """
    prepared = prepare(request)
    made = make_plan(prepared, assemble(prepared))
    refuse_too_large(made)
    return made


def make_plan(prepared: Prepared, assembly: Assembly, machine: Machine | None = None) -> Plan:
    """The plan of a prepared request and its lazy map, for one process; nothing is refused here.

    `machine` is the worker that is to hold its share of the blocks; None: this process.
    """
    machine = machine or _this_machine()
    spec, request, chunk = prepared.spec, prepared.request, prepared.chunk
    height, width = prepared.grid.shape
    made = Plan(
        request=request,
        passes=prepared.passes,
        grid=prepared.grid,
        detector={
            "name": spec.name,
            "bands": list(spec.bands),
            "scaling": spec.scaling,
            "kind": spec.kind,
            "tile": spec.tile,
            "stride": spec.stride,
            "halo": spec.halo,
            "engine": getattr(prepared.detector, "engine", "own"),
            "precision": getattr(prepared.detector, "precision", "own"),
            "sha256": getattr(prepared.detector, "sha256", None),
        },
        composite=tuple(spec.bands),
        chunk=chunk,
        blocks=-(-height // chunk) * -(-width // chunk),
        tasks=count_tasks(assembly.dataset),
        read_bytes=read_bytes_of(prepared),
        write_bytes=height * width * _layer_bytes(assembly.dataset),
        peak_memory=0,
        memory_limit=memory_limit(request, machine.memory),
        levels=tuple(levels_record(prepared)),
        warnings=prepared.warnings,
    )
    return replace(made, peak_memory=_peak_memory(made, machine, chunk))


def _layer_bytes(dataset: xr.Dataset) -> int:
    """Bytes that a pixel of the result takes, which is one for each layer and two for the slope."""
    control = [name for name in dataset.data_vars if str(name).startswith("control_")]
    return (4 if "slope" in dataset else 2) + len(control)


def count_tasks(dataset: xr.Dataset) -> int:
    """Dask tasks behind all variables of `dataset`, shared ones counted once.

    Counted by layer, none of which is written out: 260,000 tasks (100,000 x 100,000 px) take 1 ms.
    """
    graph = dataset.__dask_graph__()
    return sum(map(len, graph.layers.values())) if graph is not None else 0


def read_bytes_of(prepared: Prepared) -> int:
    """Uncompressed float32 bytes of the scenes' pixels on the grid, and of the elevation."""
    from sarmap.compose.names import wanted_radar_bands

    height, width = prepared.grid.shape
    bands = len(wanted_radar_bands(prepared.spec.bands))
    scenes = sum(one.coverage for passes in prepared.passes for one in passes)
    elevation = height * width * 4 * (prepared.request.resolution / 30) ** 2
    return int(scenes * bands * height * width * 4 + elevation)


def _peak_memory(made: Plan, machine: Machine, chunk: int) -> int:
    """Projected peak of the process with blocks of `chunk`, bytes: libraries and blocks in work.

    The constants are fitted to what `tools/memory.py` measured on two cores (docs/reliability.md).
    """
    from sarmap.compose.names import reads_evidence

    detector = made.detector
    height, width = made.grid.shape
    margin = 2 * max(detector["tile"] if detector["kind"] != "pixel" else 0, detector["halo"])
    area = (min(chunk, height) + margin) * (min(chunk, width) + margin)
    blocks = -(-height // chunk) * -(-width // chunk)
    composites = blocks * len(made.passes) * (1 + _CONTROL * made.request.control)
    held = _held(made, machine, composites)
    fixed = _LIBRARIES + _WORKER * bool(machine.name) + _ENGINE * bool(detector["sha256"])
    planes = 0
    if reads_evidence(made.composite):
        whole = pixel_bytes(made.composite, made.grid, made.passes)
        if not machine.name and whole <= most_kept(made.memory_limit):
            fixed += int(_KEPT * whole)  # blocks share them
        else:
            planes = _series(made)
    if detector["kind"] == "pixel":
        fixed += _PIXELWISE * area * min(machine.cores, blocks)
    return int(fixed + held * area * 4 * (len(detector["bands"]) + planes + _BESIDE))


def _series(made: Plan) -> int:
    """Planes of passes held beside the bands of evidence, which is made from all of them."""
    from sarmap.compose.names import wanted_radar_bands

    most = max(len(one.pre) + len(one.post) for one in made.passes)
    return most * len(wanted_radar_bands(made.composite)) - len(made.composite)


def _held(made: Plan, machine: Machine, composites: float) -> float:
    """Composites that the process holds at a time, of so many in all.

    A cluster's scheduler keeps reads back, threads read ahead as far as there are threads. Blocks
    that borrow strips of each other keep each other alive: some of a wave's, on threads most.
    """
    from sarmap.store.waves import WAVE

    detector, remote = made.detector, bool(machine.name)
    overlaps = made.request.overlap or detector["stride"] != detector["tile"] or detector["halo"]
    alone = detector["kind"] == "segment" and not overlaps
    read = min(composites, machine.threads * (_PER_THREAD if remote else 1.0))
    if alone:
        return read
    borrowed = min(composites, WAVE * len(made.passes))
    return read + _BORROWED_REMOTE * borrowed if remote else _BORROWED * borrowed


def _this_machine() -> Machine:
    from dask.system import CPU_COUNT

    return Machine(READ_THREADS, int(CPU_COUNT), machine_memory())


def refuse_too_large(made: Plan, machine: Machine | None = None) -> None:
    """Refuse (RequestError) a plan whose projected peak exceeds its limit, with the argument that
    would fit. `machine` is the worker that was planned for; None: this process.
    """
    if made.peak_memory <= made.memory_limit:
        return
    need, have = made.peak_memory / 1e9, made.memory_limit / 1e9
    holder = machine or _this_machine()
    smaller = [
        chunk
        for chunk in range(made.chunk // 64 * 64, 127, -64)
        if _peak_memory(made, holder, chunk) <= made.memory_limit
    ]
    advice = f"chunk={smaller[0]} would fit" if smaller else "raise memory="
    where = f" on worker {machine.name}" if machine is not None else ""
    raise RequestError(
        f"The map would take about {need:.1f} GB{where} with blocks of {made.chunk} px, but only "
        f"{have:.1f} GB are allowed: {advice}."
    )
