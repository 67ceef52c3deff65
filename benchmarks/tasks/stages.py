"""The route cut into its steps, each with its input in memory: where the time goes.

On the real route the steps overlap: reads wait while networks compute. So the sum of the steps is
what the route would take one step after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dask

from benchmarks.tasks.requests import make_request, temporary_store

__all__ = ["split"]


def split(*, control: str, chunk: int = 1024, **request: Any) -> dict[str, Any]:
    """Seconds of search, read, terrain, composite, predict and write; the second of two rounds."""
    from sarmap.planning import READ_THREADS

    with dask.config.set(scheduler="threads", num_workers=READ_THREADS):
        _steps(chunk, request)
        metrics = _steps(chunk, request)
    return {"metrics": {**metrics, "seconds": sum(metrics.values())}}


def _steps(chunk: int, request: dict[str, Any]) -> dict[str, float]:
    from sarmap.acquire.cube import open_cube
    from sarmap.acquire.terrain import open_terrain
    from sarmap.assembly import prepare
    from sarmap.compose.composites import make_composite
    from sarmap.compose.names import required_radar_bands
    from sarmap.detect.prediction import predict
    from sarmap.store.result import write_zarr

    seconds: dict[str, float] = {}
    with temporary_store() as out:
        asked = make_request(out=out, chunk=chunk, **request)
        prepared = _timed(seconds, "search", lambda: prepare(asked))
        passes, grid, spec = prepared.passes[0], prepared.grid, prepared.spec
        bands = required_radar_bands(spec.bands)
        cube = _timed(
            seconds, "read", lambda: open_cube(passes, grid, bands=bands, chunk=chunk).persist()
        )
        terrain = _timed(
            seconds,
            "terrain",
            lambda: open_terrain(grid, catalog=prepared.catalog, passes=passes, chunk=chunk)[
                ["slope", "layover_shadow", "observation"]
            ].persist(),
        )
        composite = _timed(
            seconds,
            "composite",
            lambda: make_composite(cube, terrain, spec.bands, scaling=spec.scaling).persist(),
        )
        _prepare_engine(prepared.detector)
        found = _timed(
            seconds,
            "predict",
            lambda: predict(composite, prepared.detector, overlap=asked.overlap).persist(),
        )
        _timed(seconds, "write", lambda: write_zarr(found, out))
    return seconds


def _prepare_engine(detector: Any) -> None:
    prepare = getattr(detector, "prepare", None)
    if prepare is not None:
        prepare()


def _timed(seconds: dict[str, float], name: str, step: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    made = step()
    seconds[name] = time.perf_counter() - started
    return made
