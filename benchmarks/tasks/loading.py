"""Three passes of one band into memory, by each of the loaders: the reading alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.answers import save
from benchmarks.files import control as ask
from benchmarks.tasks.requests import make_request

__all__ = ["load"]


def load(
    *,
    control: str,
    loader: str,
    chunk: int,
    threads: int = 16,
    server: Mapping[str, float] | None = None,
    keep: str | None = None,
    **request: Any,
) -> dict[str, Any]:
    """Read VV of all passes of a request with 'sarmap', 'stackstac' or 'odc-stac', lazily chunked.

    'sarmap' is its reader behind stackstac; the other two are used as their guides say.
    """
    import dask

    from sarmap.assembly import prepare

    prepared = prepare(make_request(out=None, detector="log-ratio", **request))
    passes = prepared.passes[0]
    make = {"sarmap": _sarmap, "stackstac": _stackstac, "odc-stac": _odc}[loader]
    told = {"delay": 0, "fail": 0} | dict(server or {})
    ask(control, f"reset?delay={told['delay']}&fail={told['fail']}")
    started = time.perf_counter()
    lazy = make(passes, prepared.grid, chunk)
    tasks = len(dict(lazy.__dask_graph__()))
    with dask.config.set(scheduler="threads", num_workers=threads):
        values: NDArray[np.float32] = np.asarray(lazy.compute(), np.float32)
    seconds = time.perf_counter() - started
    counts = ask(control, "counts")
    values[~(values > 0)] = np.nan  # the radar's no data: zero and below
    if keep is not None:
        save(keep, vv=values)
    return {
        "metrics": {
            "seconds": seconds,
            "tasks": tasks,
            "requests": counts["requests"],
            "bytes_read": counts["bytes"],
            "ns_per_pixel": 1e9 * seconds / values.size,
        }
    }


def _items(passes: Any) -> list[Any]:
    return [item for one in passes for item in one.items]


def _sarmap(passes: Any, grid: Any, chunk: int) -> Any:
    from sarmap.acquire.cube import open_cube

    return open_cube(passes, grid, bands=("vv",), chunk=chunk)["vv"].data


def _stackstac(passes: Any, grid: Any, chunk: int) -> Any:
    import stackstac
    from rasterio.enums import Resampling

    stacked = stackstac.stack(
        _items(passes),
        assets=["vv"],
        epsg=grid.crs.epsg,
        resolution=grid.resolution.x,
        bounds=tuple(grid.boundingbox),
        snap_bounds=False,
        dtype=np.dtype("float32"),
        fill_value=np.float32("nan"),
        rescale=False,
        chunksize=(1, 1, chunk, chunk),
        resampling=Resampling.bilinear,
    )
    return _by_pass(stacked.data[:, 0], passes)


def _by_pass(slices: Any, passes: Any) -> Any:
    """Mosaics of the slices of each pass: the first valid value wins."""
    import dask.array as da

    mosaics, start = [], 0
    for one in passes:
        part = slices[start : start + len(one.items)]
        start += len(one.items)
        mosaic = part[0]
        for other in part[1:]:
            mosaic = da.where(mosaic > 0, mosaic, other)
        mosaics.append(mosaic)
    return da.stack(mosaics)


def _odc(passes: Any, grid: Any, chunk: int) -> Any:
    import odc.stac

    loaded = odc.stac.load(
        _items(passes),
        bands=["vv"],
        geobox=grid,
        chunks={"x": chunk, "y": chunk},
        dtype="float32",
        nodata=float("nan"),
        resampling="bilinear",
        groupby="id",
    )
    return _by_pass(loaded["vv"].data, passes)
