"""The benchmarks by name: what each one tries, beside what floor."""

from __future__ import annotations

from benchmarks.cases.chunking import CHUNKING
from benchmarks.cases.corrections import CORRECTIONS
from benchmarks.cases.engines import ENGINES
from benchmarks.cases.gpu import GPU
from benchmarks.cases.landslides import DEMO, LANDSLIDES
from benchmarks.cases.latency import LATENCY
from benchmarks.cases.paper import PAPER
from benchmarks.cases.passes import PASSES
from benchmarks.cases.peers import PEERS
from benchmarks.cases.rightness import RIGHTNESS
from benchmarks.cases.scaling import HOKKAIDO, SCALING
from benchmarks.cases.simulator import SIMULATOR
from benchmarks.cases.windows import WINDOWS

__all__ = ["BENCHMARKS"]

BENCHMARKS = {
    one.name: one
    for one in (
        PAPER,
        PASSES,
        WINDOWS,
        CHUNKING,
        ENGINES,
        PEERS,
        LATENCY,
        SCALING,
        HOKKAIDO,
        GPU,
        RIGHTNESS,
        LANDSLIDES,
        DEMO,
        SIMULATOR,
        CORRECTIONS,
    )
}
"""In the order in which they run."""
