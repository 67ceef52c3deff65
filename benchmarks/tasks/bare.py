"""The bare engine on the very tiles that the route gives it: the floor of every map."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.requests import make_request

__all__ = ["engine", "record_tiles"]

Tiles = NDArray[np.float32]


class Recorder:
    """Stands in for a detector: keeps the tiles it is given, and answers nothing of use."""

    def __init__(self, detector: Any, most: int, *, sweep: bool) -> None:
        from sarmap.detect.protocol import describe

        spec = describe(detector)
        if sweep:
            self.dense = spec.dense
        for name in ("bands", "scaling", "normalisation", "kind", "tile", "stride", "halo"):
            setattr(self, name, getattr(spec, name))
        self.network_size = spec.network_size
        self.name = f"recorder of {spec.name}"
        self.kept: list[Tiles] = []
        self.count = 0
        self._most = most
        self._lock = threading.Lock()

    def __call__(self, tiles: Tiles) -> Tiles:
        self._record(tiles)
        shape = tiles.shape[:1] if self.kind == "window" else tiles.shape[:3]
        return np.zeros(shape, np.float32)

    def sweep(self, patches: Tiles) -> Tiles:
        """Stands in for the pass that answers all windows of a patch."""
        self._record(patches)
        return np.zeros((len(patches), self.dense, self.dense), np.float32)

    def _record(self, tiles: Tiles) -> None:
        with self._lock:
            wanted = max(0, self._most - sum(map(len, self.kept)))
            if wanted:
                self.kept.append(tiles[:wanted].copy())
            self.count += len(tiles)


def record_tiles(request: Any, most: int, *, sweep: bool = False) -> tuple[Any, Tiles, int]:
    """The prepared request, at most `most` of its tiles, and how many there are in all.

    With `sweep` they are the patches of a dense window classifier.
    """
    import dataclasses

    import dask

    from sarmap.assembly import assemble, prepare

    prepared = prepare(request)
    recorder: Any = Recorder(prepared.detector, most, sweep=sweep)
    watched = dataclasses.replace(prepared, detector=recorder)
    with dask.config.set(scheduler="threads"):
        assemble(watched).dataset["probability"].data.sum().compute()
    return prepared, np.concatenate(recorder.kept), recorder.count


def engine(
    *, control: str, most: int = 100_000, rounds: int = 2, sweep: bool = False, **request: Any
) -> dict[str, Any]:
    """Seconds of the engine alone on a scene's tiles; of a part of them, scaled to all."""
    from benchmarks.tasks.flops import network_flops

    prepared, tiles, count = record_tiles(make_request(**request), most, sweep=sweep)
    detector: Any = prepared.detector
    run = detector.sweep if sweep else detector.prepare()
    run(tiles[: max(1, len(tiles) // 10)])
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        run(tiles)
        seconds.append(time.perf_counter() - started)
    whole = min(seconds) * count / len(tiles)
    metrics = {"seconds": whole, "tiles": count}
    if not sweep:
        metrics["gflops"] = network_flops(detector) * count / whole / 1e9
    notes = [f"Bare engine of {detector.name}: {detector.provenance['precision']}."]
    if len(tiles) < count:
        notes.append(f"Bare engine: {len(tiles):,} of {count:,} tiles run, scaled to all.")
    return {"metrics": metrics, "notes": notes}
