"""Dask wiring of the result store: each task packs one block and writes whole shards of it.

Blocks come in families (see `sarmap.store.ledger`): all layers that share dims are cut alike and
stored by one task per block, which then leaves the block's mark.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, product
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray

from sarmap.store.encoding import layer_of, pack_decibels, pack_probability, pack_slope, seen_only
from sarmap.store.layout import Layout
from sarmap.store.ledger import NOTHING, ROOM, Block, Counts, Ledger
from sarmap.store.objects import get, put
from sarmap.store.owner import check_ours
from sarmap.store.retrying import PATIENCE, patiently
from sarmap.store.sizes import MeasuredStore
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Family:
    """Blocks of one kind, and the lazy array whose computation stores them."""

    name: str
    """As the ledger calls it."""
    writers: Any
    """Dask array (block row, block column, count); computing a block stores it and marks it."""
    edges: tuple[tuple[int, ...], tuple[int, ...]]
    """Where blocks begin along both axes, and the length of the axis at the end."""
    stored: tuple[str, ...]
    """Keys of a block's objects, with places for its row and column."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return len(self.edges[0]) - 1, len(self.edges[1]) - 1

    def keys(self, block: Block) -> list[str]:
        """Keys of the objects that a block is stored in."""
        return [key.format(*block) for key in self.stored]


@dataclass(frozen=True)
class Sink:
    """The arrays that one family of blocks goes to; travels to workers with its metadata."""

    names: tuple[str, ...]
    """Variables in the order their blocks arrive."""
    arrays: tuple[Any, ...]
    """Their Zarr arrays, each in a `MeasuredStore`."""
    packings: tuple[str, ...]
    """How each is packed."""
    shards: tuple[int, int]
    """Rows and columns of one block."""
    ledger: Ledger | None = None
    """Where the block's mark is left; None: nowhere."""
    patience: float = PATIENCE
    """Seconds for which a store that takes nothing is tried again."""
    spoilt: bool = False
    """Whether one more block arrives: which answers depend on what could not be read elsewhere."""

    def write(self, blocks: Sequence[NDArray[Any]], block_id: tuple[int, ...]) -> Counts:
        """Pack and store one block of each variable; returns what was counted in it."""
        spoilt = blocks[-1] if self.spoilt else None
        blocks = blocks[: len(self.names)]
        packed = dict(zip(self.names, map(_pack, blocks, self.packings), strict=True))
        for prefix in ("", "control_"):
            pair = f"{prefix}probability", f"{prefix}observation"
            if set(pair) <= set(packed):
                packed[pair[0]], packed[pair[1]] = seen_only(packed[pair[0]], packed[pair[1]])
        block = (int(block_id[0]), int(block_id[1]))
        self._check_ours()
        top, left = (index * edge for index, edge in zip(block, self.shards, strict=True))
        for name, array in zip(self.names, self.arrays, strict=True):
            rows, columns = packed[name].shape
            here = (slice(top, top + rows), slice(left, left + columns))
            patiently(
                partial(array.__setitem__, here, packed[name]),
                f"Layer {name!r}, row {top}, column {left},",
                self.patience,
            )
        counts = _count(packed, spoilt)
        if self.ledger is not None:
            self._check_ours()
            patiently(
                partial(self._mark, self.ledger, block, counts),
                f"The mark of block {block[0]}, {block[1]}",
                self.patience,
            )
        return counts

    def _check_ours(self) -> None:
        """Stop where another run has taken the store over."""
        if self.ledger is not None and self.ledger.run:
            ours = partial(check_ours, self.ledger.store, self.ledger.run, "The map")
            patiently(ours, "The map's owner", self.patience)

    def _mark(self, ledger: Ledger, block: Block, counts: Counts) -> None:
        keys = [key.format(*block) for key in stored_keys(self.names)]
        held = zip(self.arrays, keys, strict=True)
        size = sum(array.store.sizes.get(key, 0) for array, key in held)
        ledger.mark(self.names[0], block, counts, size)


def stored_keys(names: Sequence[str]) -> tuple[str, ...]:
    """Keys of the objects of a block of some layers, with places for its row and column."""
    return tuple(f"{name}/c/{{}}/{{}}" for name in names)


def _count(packed: Mapping[str, NDArray[Any]], spoilt: NDArray[Any] | None) -> Counts:
    """Pixels per observation code, and of those seen the ones that depend on unread data too.

    Of windows, which have no codes, those that depend on unread data.
    """
    codes = packed.get("observation")
    if codes is None:
        return NOTHING if spoilt is None else (0, 0, 0, 0, int(np.count_nonzero(spoilt)))
    a, b, c, d = np.bincount(codes.ravel(), minlength=len(Observation))[: len(Observation)]
    unread = packed["read_failed_in"] > 0 if "read_failed_in" in packed else False
    partly = (unread | (False if spoilt is None else spoilt)) & (codes == Observation.OBSERVED)
    return int(a), int(b), int(c), int(d), int(np.count_nonzero(partly))


def _pack(block: NDArray[Any], packing: str) -> NDArray[Any]:
    packers = {"probability": pack_probability, "slope": pack_slope, "decibels": pack_decibels}
    return packers[packing](block) if packing in packers else np.asarray(block)


def layer_families(
    dataset: xr.Dataset,
    layouts: Mapping[str, Layout],
    group: Any,
    ledger: Ledger,
    patience: float,
    spoilt: xr.Dataset | None = None,
) -> list[Family]:
    """One family of blocks for all layers that share dims; the map's own comes first.

    `spoilt`, where given, has a layer for a family's dims that is counted with it and not stored.
    """
    counted = {} if spoilt is None else {one.dims: one for one in spoilt.data_vars.values()}
    by_dims: dict[tuple[Any, ...], list[str]] = {}
    for name in layouts:
        by_dims.setdefault(dataset[name].dims, []).append(name)
    return [
        _layer_family(
            dataset, names, layouts[names[0]].shards, group, ledger, patience, counted.get(dims)
        )
        for dims, names in by_dims.items()
    ]


def _layer_family(
    dataset: xr.Dataset,
    names: Sequence[str],
    shards: tuple[int, int],
    group: Any,
    ledger: Ledger,
    patience: float,
    spoilt: xr.DataArray | None,
) -> Family:
    layers = [dataset[name] for name in names] + ([] if spoilt is None else [spoilt])
    blocks = [_aligned(layer.data, shards) for layer in layers]
    measured = zarr.open_group(MeasuredStore(group.store), mode="r+", use_consolidated=False)
    sink = Sink(
        tuple(names),
        tuple(measured[name] for name in names),
        tuple(layer_of(name, dataset[name].dtype).packing for name in names),
        shards,
        ledger,
        patience,
        spoilt is not None,
    )
    rows, columns = (tuple(accumulate(sizes, initial=0)) for sizes in blocks[0].chunks)
    writers = marks(_write_block, blocks, names[0], sink=sink)
    return Family(names[0], writers, (rows, columns), stored_keys(names))


def marks(function: Any, blocks: Sequence[Any], name: str, **how: Any) -> Any:
    """Lazy array (block row, block column, count) of what `function` counts in each block."""
    import dask.array as da

    rows, columns = blocks[0].numblocks[-2:]
    return da.map_blocks(
        function,
        *blocks,
        dtype=np.int64,
        drop_axis=list(range(blocks[0].ndim - 2)),
        new_axis=2,
        chunks=((1,) * rows, (1,) * columns, (len(NOTHING),)),
        # Without it dask would call the writer once with empty arrays, to learn the type.
        meta=np.empty((0, 0, 0), np.int64),
        name=f"store-{name}-{uuid.uuid4().hex}",
        **how,
    )


def _write_block(*blocks: NDArray[Any], sink: Sink, block_id: tuple[int, ...]) -> NDArray[np.int64]:
    return np.array([[sink.write(blocks, block_id)]], np.int64)


def _aligned(data: Any, shards: tuple[int, int]) -> Any:
    """The variable in blocks of exactly one shard each."""
    import dask.array as da

    if not isinstance(data, da.Array):
        return da.from_array(np.asarray(data), chunks=shards)
    return data.rechunk(shards)


# --- pieces of a picture --------------------------------------------------------------------------


_FAMILY = "overview"
_KEY = f"{ROOM}/overview/{{}},{{}}.npy"


@dataclass(frozen=True)
class _Keeper:
    """Stores pieces; travels to workers."""

    ledger: Ledger
    patience: float

    def keep(self, piece: NDArray[Any], block: Block) -> None:
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(piece), allow_pickle=False)
        key, store = _key(block), self.ledger.store
        what = f"Piece {block[0]}, {block[1]} of the picture"
        patiently(partial(put, store, key, buffer.getvalue()), what, self.patience)
        mark = partial(self.ledger.mark, _FAMILY, block, NOTHING, len(buffer.getvalue()))
        patiently(mark, f"The mark of {what[0].lower()}{what[1:]}", self.patience)


def piece_family(picture: xr.DataArray, ledger: Ledger, patience: float) -> Family:
    """Family of a lazy picture's pieces (..., y, x)."""
    data = _whole_bands(picture)
    keeper = _Keeper(ledger, patience)
    rows, columns = (tuple(accumulate(sizes, initial=0)) for sizes in data.chunks[-2:])
    writers = marks(_keep, [data], _FAMILY, keeper=keeper)
    return Family(_FAMILY, writers, (rows, columns), (_KEY,))


def load_pieces(picture: xr.DataArray, store: Any) -> bool:
    """Put the stored pieces in place of a lazy picture's data; False where one is missing."""
    data = _whole_bands(picture)
    values = np.full(data.shape, np.nan, data.dtype)
    rows, columns = (tuple(accumulate(sizes, initial=0)) for sizes in data.chunks[-2:])
    for i, j in product(range(len(rows) - 1), range(len(columns) - 1)):
        stored = get(store, _key((i, j)))
        if stored is None:
            return False
        piece = np.load(io.BytesIO(stored), allow_pickle=False)
        values[..., rows[i] : rows[i + 1], columns[j] : columns[j + 1]] = piece
    picture.data = values
    return True


def _keep(piece: NDArray[Any], *, keeper: _Keeper, block_id: tuple[int, ...]) -> NDArray[np.int64]:
    keeper.keep(piece, (int(block_id[0]), int(block_id[1])))
    return np.array([[NOTHING]], np.int64)


def _key(block: Block) -> str:
    return _KEY.format(*block)


def _whole_bands(picture: xr.DataArray) -> Any:
    """The picture's data with all bands in one chunk."""
    import dask.array as da

    data = da.asarray(picture.data)
    return data.rechunk(dict.fromkeys(range(data.ndim - 2), -1))
