"""The result store: a Zarr v3 folder or object-store prefix that plain xarray opens.

What it holds
    ``probability`` (y, x) uint8 in steps of 0.004, 255 where there is none; ``observation`` (y, x)
    uint8 flags; ``slope`` (y, x) uint8 in steps of 0.4 degrees where the terrain was read;
    ``window_probability`` (window_y, window_x) of window classifiers; ``disagreement`` and
    ``observed_by`` of fused orbits; ``y`` and ``x`` at pixel centres; ``spatial_ref``; attributes
    that say how it was made. CF conventions 1.11.
Never half a map for a whole one
    The attribute ``sarmap:status`` is ``writing`` until the last pixel is stored, then
    ``complete``; `open_map` refuses anything else. A pixel that was never stored reads as
    *no data*, not as a low probability: fill values mean 'not seen'.
Continued where it was left
    ``.sarmap/`` holds the ledger of blocks that are done (`sarmap.store.ledger`) until the map is
    whole; ``sarmap:identity`` says what decided its pixels, and a run with `resume` continues only
    what it would have made itself. Blocks with unread pixels stay in the ledger of a finished map,
    and are tried again by resuming.
One owner per object
    Blocks are aligned to shards, and one task writes whole shards, so nothing is lost to two
    tasks in one object, and the store is the same to the byte in whatever order tasks run.
Which programs open it
    xarray, and everything else on zarr-python 3. The store is sharded, which GDAL reads from
    version 3.13 on (OSGeo/gdal#13708, 2026), where it was built with zstd. Tried: GDAL 3.10.3
    answers "Unsupported codec: bytes" (it knows only a draft of Zarr v3), GDAL 3.12.4 "Unsupported
    codec: sharding_indexed". QGIS opens the store where it comes with GDAL 3.13 or newer (QGIS
    4.0.3 came with 3.12). For every other GIS there is `sarmap.write_cog`.
"""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from sarmap.errors import RequestError
from sarmap.store.filling import store_map, tidy
from sarmap.store.layout import CHUNK
from sarmap.store.ledger import PIXELS, STATUS, read_attributes
from sarmap.store.location import store_at
from sarmap.store.objects import storage_errors
from sarmap.store.provenance import public_attributes, read_provenance
from sarmap.store.retrying import PATIENCE, patiently
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr


def write_zarr(
    dataset: xr.Dataset,
    out: str | Path,
    *,
    attrs: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    chunk: int = CHUNK,
    shard: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    alongside: xr.DataArray | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    patience: float = PATIENCE,
    spoilt: xr.Dataset | None = None,
) -> str:
    """Compute a map and write it, all layers in one pass, on whatever Dask scheduler is active.

    Parameters
    ----------
    dataset
        ``probability`` (y, x) 0-1, NaN where nothing was seen, and ``observation`` (y, x) uint8;
        optionally ``slope`` (degrees) and other (y, x) layers, and ``window_probability``
        (window_y, window_x). Coordinates are pixel centres; ``spatial_ref`` holds the CRS.
        Where probability and observation disagree, the pixel counts as not seen.
    out
        Local folder, or URL (``s3://``, ``gs://``, ``az://``, ``memory://``).
    attrs
        How the map was made, added to the dataset's own attributes. Nested values are kept as
        JSON. A function is called when all pixels are stored, for what is known only then.
    overwrite
        Replace an existing Zarr store. A local one stays until the new one is whole.
    chunk
        Edge of a compressed chunk, pixels.
    shard
        Edge of a stored object, pixels, a multiple of `chunk`. By default a Dask block.
    progress
        Called with the blocks done and all blocks, as blocks finish.
    alongside
        A lazy DataArray (band, y, x), such as an overview for a picture, to load in place in the
        same pass.
    resume
        Continue a map that an earlier run with the same dataset left here, unfinished or with
        unread pixels: only what is missing, or depends on an unread pixel, is computed.
        Where nothing is, start; where all is done, do nothing. With `overwrite`, too, what cannot
        be continued is replaced.
    identity
        What decides the pixels (scenes, weights, ...), as JSON values; a map with another identity
        is not continued. Grid, layers and blocks belong to it anyway.
    patience
        Seconds for which a store that takes nothing (full, unreachable) is tried again.
    spoilt
        ``spoilt`` (y, x) and for windows ``window_spoilt`` (window_y, window_x), bool: answers that
        depend on what could not be read, as `sarmap.predict` tells them. They are counted with what
        could not be read, so that resuming does their blocks again, and are not stored.

    Returns
    -------
    The place written to, as given.

    Raises
    ------
    RequestError
        `out` exists and may not be replaced or continued, or the dataset is not a map.
    OutputError
        `out` cannot be written: found before anything is computed, unless a disk fills up. What is
        stored by then can be continued.

    Examples
    --------
    >>> import numpy as np, tempfile, xarray as xr
    >>> probability = np.array([[0.1, 0.7, np.nan]], "float32")
    >>> area = xr.Dataset(
    ...     {
    ...         "probability": (("y", "x"), probability),
    ...         "observation": (("y", "x"), np.array([[0, 0, 3]], "uint8")),
    ...     },
    ...     coords={"y": [5.0], "x": [5.0, 15.0, 25.0]},
    ... )
    >>> area.coords["spatial_ref"] = (
    ...     (), 0, {"crs_wkt": "EPSG:32654", "GeoTransform": "0 10 0 10 0 -10"}
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_zarr(area, f"{folder}/map.zarr")
    ...     stored = xr.open_zarr(path).load()
    >>> stored.probability.values.round(3)
    array([[0.1, 0.7, nan]])
    """
    stored = store_map(
        dataset,
        out,
        attrs=attrs,
        overwrite=overwrite,
        chunk=chunk,
        shard=shard,
        progress=progress,
        alongside=alongside,
        resume=resume,
        identity=identity,
        patience=patience,
        spoilt=spoilt,
    )
    tidy(out)
    return stored.path


def open_map(path: str | Path) -> xr.Dataset:
    """Open a finished map lazily, one Dask block per stored object, probability as float32.

    Raises
    ------
    RequestError
        Nothing is there, it is not a sarmap map, or it was never finished.
    """
    import xarray as xr

    shown = Path(str(path)).name
    unreadable: tuple[type[Exception], ...] = (
        *storage_errors(),
        *(ValueError, KeyError, TypeError, AttributeError),
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="(?s).*[Cc]onsolidated metadata")
            dataset = xr.open_zarr(store_at(path, read_only=True), chunks=None)
    except unreadable as error:
        raise RequestError(f"{shown} is not a map: no Zarr store can be opened there.") from error
    if "probability" not in dataset or "observation" not in dataset:
        raise RequestError(f"{shown} is a Zarr store, but not a map that sarmap wrote.")
    _finished(dataset.attrs, shown)
    return _lazy(dataset)


def _finished(attributes: Mapping[str, Any] | None, shown: str) -> Mapping[str, Any]:
    """A map's attributes, which say that it is whole; RequestError where they do not."""
    status = None if attributes is None else attributes.get(STATUS)
    if attributes is None or status is None:
        raise RequestError(f"{shown} is a Zarr store, but not a map that sarmap wrote.")
    if status != "complete":
        raise RequestError(
            f"{shown} is an unfinished map (its writing was interrupted): continue it with "
            "resume=True (--resume), or make it again with overwrite=True (--overwrite)."
        )
    return attributes


def annotate(path: str | Path, attributes: Mapping[str, Any]) -> None:
    """Add attributes to a finished map, in one stroke; what is there already is not written again.
    RequestError where no finished map is there, OutputError where it cannot be written.
    """
    wanted = public_attributes(attributes)
    known = _finished(read_attributes(store_at(path, read_only=True)), Path(str(path)).name)
    if all(known.get(key) == value for key, value in wanted.items()):
        return

    def write() -> None:
        zarr.open_group(store_at(path), mode="r+").update_attributes(wanted)

    patiently(write, "The map's record", PATIENCE)


def count_observations(dataset: xr.Dataset) -> dict[str, int]:
    """Pixels of each observation meaning, from the attributes of a store or counted.

    >>> import numpy as np, xarray as xr
    >>> codes = xr.DataArray(np.array([[0, 0], [1, 3]], "uint8"), dims=("y", "x"))
    >>> count_observations(xr.Dataset({"observation": codes}))
    {'observed': 2, 'no_data': 1, 'read_failed': 0, 'layover_shadow': 1}
    """
    codes = dataset["observation"]
    if PIXELS in dataset.attrs:
        kept = json.loads(dataset.attrs[PIXELS])
        if sum(kept.values()) == codes.size:
            return {code.meaning: int(kept[code.meaning]) for code in Observation}
    counts = [int(count) for count in _count_codes(codes)]
    return {code.meaning: counts[code] for code in Observation}


def is_simulated(dataset: xr.Dataset) -> bool:
    """True where a map's scenes are simulated."""
    return read_provenance(dataset.attrs).simulated


def _count_codes(codes: xr.DataArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    from dask.base import is_dask_collection

    if not is_dask_collection(codes.data):
        return np.bincount(codes.values.ravel(), minlength=4)[:4]
    per_block = codes.data.map_blocks(
        _count_block, dtype=np.int64, chunks=(1, 4), meta=np.empty((0, 0), np.int64)
    )
    counts: np.ndarray[Any, np.dtype[np.int64]] = per_block.compute().reshape(-1, 4).sum(axis=0)
    return counts


def _count_block(block: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.bincount(block.ravel(), minlength=4)[None, :4]


def _lazy(dataset: xr.Dataset) -> xr.Dataset:
    """One block per shard; probabilities as float32, which decoding made float64."""
    blocks: dict[Any, int] = {}
    for variable in dataset.data_vars.values():
        stored = variable.encoding.get("shards") or variable.encoding.get("chunks")
        if stored:
            blocks.update(zip(variable.dims, stored, strict=True))
    lazy = dataset.chunk(blocks, token=uuid.uuid4().hex)  # to hash the arrays takes 0.2 s
    decoded = [name for name, one in lazy.data_vars.items() if one.dtype == np.float64]
    return lazy.assign({name: lazy[name].astype(np.float32) for name in decoded})
