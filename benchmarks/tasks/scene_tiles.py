"""The composite of a scene on disk, and sarmap's own map of it: what `peers` start from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.answers import save
from benchmarks.tasks.requests import make_request

__all__ = ["ours", "predict_loop", "write_composite"]


def write_composite(*, control: str, folder: str, detector: str, **request: Any) -> dict[str, Any]:
    """Write what both sides are given: composite, network and blending weights, as NumPy files.

    Values that were not measured are set to 0 in the composite, so that no side has to fill them.
    """
    import dask

    from sarmap.assembly import assemble, prepare
    from sarmap.detect.manifest import read_arrays

    prepared = prepare(make_request(out=None, detector=detector, **request))
    with dask.config.set(scheduler="threads"):
        composite = np.asarray(assemble(prepared).composite.transpose("y", "x", "band").values)
    loaded: Any = prepared.detector
    target = Path(folder)
    np.save(target / "composite.npy", np.nan_to_num(composite.astype(np.float32), nan=0.0))
    manifest = loaded.manifest
    np.savez(target / "arrays.npz", **read_arrays(loaded._folder / manifest.weights))
    return {"metrics": {}, "arguments": manifest.arguments, "bands": len(manifest.bands)}


def ours(
    *, folder: str, detector: str, overlap: int, precision: str = "auto", keep: str | None = None
) -> dict[str, Any]:
    """sarmap from composite in memory to probability in memory, network ready; warm."""
    import dask
    import xarray as xr

    import sarmap
    from sarmap.planning import READ_THREADS

    loaded: Any = sarmap.load_detector(detector, precision=precision)
    loaded.prepare()
    values = np.load(Path(folder) / "composite.npy")
    image = xr.DataArray(
        values.transpose(2, 0, 1),
        dims=("band", "y", "x"),
        coords={"band": list(loaded.bands)},
        attrs={"scaling": loaded.scaling},
    )
    with dask.config.set(scheduler="threads", num_workers=READ_THREADS):
        sarmap.predict(image[:, :128, :128], loaded, overlap=overlap).probability.values  # noqa: B018
        started = time.perf_counter()
        answer = sarmap.predict(image, loaded, overlap=overlap).probability.values
        seconds = time.perf_counter() - started
    if keep is not None:
        save(keep, probability=answer)
    return {"metrics": {"seconds": seconds, "megapixels": answer.size / seconds / 1e6}}


def predict_loop(
    *, folder: str, detector: str, batch: int, most: int, keep: str | None = None
) -> dict[str, Any]:
    """`model.predict` as people write it: `batch` tiles of 64 px at a time, on `most` tiles.

    Seconds are those of the whole scene, scaled from the tiles that were run.
    """
    import sarmap
    from sarmap.detect.conversion import build_model

    loaded: Any = sarmap.load_detector(detector)
    model = build_model(loaded.manifest, loaded._folder)
    tiles, count = _tiles(np.load(Path(folder) / "composite.npy"), loaded.tile, most)
    model.predict(tiles[:batch], verbose=0)
    started = time.perf_counter()
    for start in range(0, len(tiles), batch):
        model.predict(tiles[start : start + batch], verbose=0)
    seconds = (time.perf_counter() - started) * count / len(tiles)
    return {
        "metrics": {"seconds": seconds, "megapixels": count * loaded.tile**2 / seconds / 1e6},
        "notes": [f"`model.predict`: {len(tiles)} of {count} tiles run, scaled to all."],
    }


def _tiles(values: NDArray[np.float32], edge: int, most: int) -> tuple[NDArray[np.float32], int]:
    """The first tiles of a composite (y, x, band), stretched to 0-1, and how many there are."""
    from sarmap.detect.normalise import normalise_tiles

    rows, columns = -(-values.shape[0] // edge), -(-values.shape[1] // edge)
    padding = ((0, rows * edge - values.shape[0]), (0, columns * edge - values.shape[1]), (0, 0))
    padded = np.pad(values[: edge * rows], padding, mode="reflect")
    cut = padded.reshape(rows, edge, columns, edge, -1).swapaxes(1, 2)
    tiles = np.ascontiguousarray(cut.reshape(rows * columns, edge, edge, -1)[:most])
    normalise_tiles(tiles, "tile-minmax")
    return tiles, rows * columns
