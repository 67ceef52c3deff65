"""A picture made in the map's own pass, kept piece by piece in the store until it is shown.

A run that is interrupted has read scenes for its picture, too: each piece is stored as a block of
its own, so that resuming reads nothing twice.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.store.blocks import Family, marks
from sarmap.store.ledger import NOTHING, ROOM, Block, Ledger
from sarmap.store.objects import get, put
from sarmap.store.retrying import patiently

if TYPE_CHECKING:
    import xarray as xr

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
