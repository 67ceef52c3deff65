"""Sizes of a store's objects: what a mark stands for, checked in one listing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zarr.storage import WrapperStore

from sarmap.errors import RequestError
from sarmap.store.ledger import BYTES, read_attributes
from sarmap.store.location import store_at
from sarmap.store.objects import waited


def check_whole(path: str | Path) -> None:
    """Refuse (RequestError) a finished map of which objects are lacking or cut: one read and one
    listing.
    """
    store = store_at(path, read_only=True)
    wanted = json.loads((read_attributes(store) or {}).get(BYTES, "{}"))
    held = layer_bytes(sizes_of(store), wanted) if wanted else {}
    different = sorted(name for name, size in wanted.items() if held[name] != size)
    if different:
        raise RequestError(
            f"{Path(str(path)).name} is not whole any more: stored objects of {different[0]} are "
            "lacking, cut or others than were written. Make it again with overwrite=True "
            "(--overwrite), or copy it again from where it is whole."
        )


def layer_bytes(sizes: Mapping[str, int], layers: Iterable[str]) -> dict[str, int]:
    """Layer -> bytes of its objects.

    >>> layer_bytes({"slope/c/0/0": 5, "slope/c/0/1": 4, "slope/zarr.json": 900}, ["slope"])
    {'slope': 9}
    """
    held = dict.fromkeys(layers, 0)
    for key, size in sizes.items():
        layer, inside, _ = key.partition("/c/")
        if inside and layer in held:
            held[layer] += size
    return held


class MeasuredStore(WrapperStore[Any]):
    """A Zarr store that notes how many bytes each object has that is put into it."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.sizes: dict[str, int] = {}
        """Key -> bytes; objects that were deleted, as all-empty chunks are, are not in it."""

    async def set(self, key: str, value: Any) -> None:
        """Put an object."""
        await super().set(key, value)
        self.sizes[key] = len(value)

    async def delete(self, key: str) -> None:
        """Remove an object."""
        await super().delete(key)
        self.sizes.pop(key, None)


def sizes_of(store: Any) -> dict[str, int]:
    """Key -> bytes of all objects of a store, by one listing where the store can."""
    from zarr.storage import LocalStore, ObjectStore

    if isinstance(store, LocalStore):
        return dict(_local(store.root))
    if isinstance(store, ObjectStore):
        import obstore

        return {one["path"]: one["size"] for page in obstore.list(store.store) for one in page}
    return _one_by_one(store)


def _local(root: Path) -> Iterable[tuple[str, int]]:
    for folder, _, names in os.walk(root):
        place = Path(folder).relative_to(root)
        for name in names:
            yield (place / name).as_posix(), (Path(folder) / name).stat().st_size


def _one_by_one(store: Any) -> dict[str, int]:
    async def found() -> dict[str, int]:
        return {key: await store.getsize(key) async for key in store.list()}

    return waited(found())
