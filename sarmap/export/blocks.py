"""Dask wiring of the result store: each task packs one block and writes whole shards of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import OutputError
from sarmap.export.encoding import layer_of, pack_probability, pack_slope, seen_only
from sarmap.export.layout import Layout
from sarmap.export.location import storage_errors
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["compute_blocks", "store_layers"]


@dataclass(frozen=True)
class Sink:
    """The arrays that one family of blocks goes to; travels to workers with its metadata."""

    names: tuple[str, ...]
    """Variables in the order their blocks arrive."""
    arrays: tuple[Any, ...]
    """Their Zarr arrays."""
    packings: tuple[str, ...]
    """How each is packed."""
    shards: tuple[int, int]
    """Rows and columns of one block."""

    def write(self, blocks: Sequence[NDArray[Any]], block_id: tuple[int, ...]) -> NDArray[np.int64]:
        """Pack and store one block of each variable; returns pixels per observation code."""
        packed = dict(zip(self.names, map(_pack, blocks, self.packings), strict=True))
        if "observation" in packed:
            packed["probability"], packed["observation"] = seen_only(
                packed["probability"], packed["observation"]
            )
        top, left = (int(i) * n for i, n in zip(block_id, self.shards, strict=False))
        for name, array in zip(self.names, self.arrays, strict=True):
            rows, columns = packed[name].shape
            try:
                array[top : top + rows, left : left + columns] = packed[name]
            except storage_errors() as error:
                reason = getattr(error, "strerror", None) or type(error).__name__
                raise OutputError(
                    f"Layer {name!r} could not be written at row {top}, column {left} ({reason})."
                ) from None
        codes = packed.get("observation", np.empty(0, np.uint8))
        counts = np.bincount(codes.ravel(), minlength=len(Observation))
        return counts[: len(Observation)].astype(np.int64)


def _pack(block: NDArray[Any], packing: str) -> NDArray[Any]:
    if packing == "probability":
        return pack_probability(block)
    return pack_slope(block) if packing == "slope" else np.asarray(block)


def store_layers(dataset: xr.Dataset, group: Any, layouts: Mapping[str, Layout]) -> list[Any]:
    """Dask arrays (block rows, block columns, code) whose computation writes the map."""
    families: dict[tuple[Any, ...], list[str]] = {}
    for name in layouts:
        families.setdefault(dataset[name].dims, []).append(name)
    return [_store_family(dataset, group, names, layouts) for names in families.values()]


def _store_family(
    dataset: xr.Dataset, group: Any, names: Sequence[str], layouts: Mapping[str, Layout]
) -> Any:
    import dask.array as da

    shards = layouts[names[0]].shards
    blocks = [_aligned(dataset[name].data, shards) for name in names]
    sink = Sink(
        tuple(names),
        tuple(group[name] for name in names),
        tuple(layer_of(name, dataset[name].dtype).packing for name in names),
        shards,
    )
    grid = blocks[0].numblocks
    return da.map_blocks(
        _write_block,
        *blocks,
        sink=sink,
        dtype=np.int64,
        new_axis=2,
        chunks=((1,) * grid[0], (1,) * grid[1], (len(Observation),)),
        # Without it dask would call the writer once with empty arrays, to learn the type.
        meta=np.empty((0, 0, 0), np.int64),
        name=f"store-{names[0]}-{_fresh()}",
    )


def _fresh() -> str:
    import uuid

    return uuid.uuid4().hex


def _write_block(*blocks: NDArray[Any], sink: Sink, block_id: tuple[int, ...]) -> NDArray[np.int64]:
    return sink.write(blocks, block_id)[None, None]


def _aligned(data: Any, shards: tuple[int, int]) -> Any:
    """The variable in blocks of exactly one shard each."""
    import dask.array as da

    if not isinstance(data, da.Array):
        return da.from_array(np.asarray(data), chunks=shards)
    return data.rechunk(shards)


def compute_blocks(
    tasks: Sequence[Any], extra: Any, progress: Callable[[int, int], None] | None
) -> tuple[NDArray[np.int64], Any]:
    """Run all writers, and `extra` with them; returns pixels per observation code, and `extra`."""
    wanted = [*tasks, *([] if extra is None else [extra])]
    done = _compute(wanted, tasks, progress)
    counts = sum(part.sum(axis=(0, 1)) for part in done[: len(tasks)])
    return counts, None if extra is None else done[-1]


def _compute(
    wanted: Sequence[Any], tasks: Sequence[Any], progress: Callable[[int, int], None] | None
) -> Any:
    from dask.base import compute
    from dask.core import flatten

    if progress is None:
        return compute(*wanted)
    keys = {key for task in tasks for key in flatten(task.__dask_keys__())}
    client = _active_client()
    if client is not None:
        return _follow_cluster(client, wanted, keys, progress)
    with _counting(keys, progress):
        return compute(*wanted)


def _active_client() -> Any:
    """The distributed client that dask would compute on, or None."""
    from dask.base import get_scheduler

    return getattr(get_scheduler(), "__self__", None)


def _counting(keys: set[Any], progress: Callable[[int, int], None]) -> Any:
    """Dask callback that tells of finished writers of a local scheduler."""
    from dask.callbacks import Callback

    lock, done = threading.Lock(), 0

    def posttask(key: Any, *_: Any) -> None:
        nonlocal done
        if key in keys:
            with lock:
                done += 1
                progress(done, len(keys))

    return Callback(posttask=posttask)


def _follow_cluster(
    client: Any, wanted: Sequence[Any], keys: set[Any], progress: Callable[[int, int], None]
) -> Any:
    """Compute on a cluster, telling of every block as its future finishes."""
    from dask.base import compute, persist
    from distributed import as_completed, futures_of

    held = persist(*wanted)
    blocks = [future for future in futures_of(held) if future.key in keys]
    for done, future in enumerate(as_completed(blocks), start=1):
        future.result()
        progress(done, len(keys))
    return compute(*held)
