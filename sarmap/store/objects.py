"""Small objects of a store, by key: got, put, listed and deleted; all that is asked of Zarr's own
stores, which speak asynchronously, and of the internals of Zarr that this takes."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_AT_ONCE = 100
"""Objects that are deleted side by side."""


def waited(answer: Coroutine[Any, Any, T]) -> T:
    """What a store answers, waited for in Zarr's own thread."""
    from zarr.core.sync import sync

    return sync(answer)


def storage_errors() -> tuple[type[Exception], ...]:
    """What a store raises where it cannot be read or written."""
    from obstore.exceptions import BaseError

    return (OSError, BaseError)


def get(store: Any, key: str) -> bytes | None:
    """An object; None where there is none."""
    return waited(_get(store, key))


def get_many(store: Any, keys: Iterable[str]) -> dict[str, bytes]:
    """Those of several objects that exist, asked for side by side."""
    keys = list(keys)

    async def all_of_them() -> list[bytes | None]:
        return await asyncio.gather(*(_get(store, key) for key in keys))

    found = zip(keys, waited(all_of_them()), strict=True)
    return {key: value for key, value in found if value is not None}


def exists(store: Any, key: str) -> bool:
    """True where an object is."""
    return bool(waited(store.exists(key)))


def put(store: Any, key: str, value: bytes) -> None:
    """Put an object, whole or not at all."""
    waited(store.set(key, _buffer(value)))


def put_new(store: Any, key: str, value: bytes) -> None:
    """Put an object where none is."""
    waited(store.set_if_not_exists(key, _buffer(value)))


def put_file(store: Any, key: str, file: Path) -> None:
    """Put a file, whole or not at all, without holding all of it: in parts where it is long.

    >>> from sarmap.store.location import store_at
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_text("long")
    ...     put_file(store_at(f"{folder}/there"), "b/c.txt", Path(folder, "a.txt"))
    ...     Path(folder, "there/b/c.txt").read_text()
    'long'
    """
    from zarr.storage import LocalStore, ObjectStore

    if isinstance(store, ObjectStore):
        import obstore

        obstore.put(store.store, key, file)
    elif isinstance(store, LocalStore):
        place = store.root / key
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sarmap-", dir=place.parent) as folder:
            shutil.copyfile(file, Path(folder, "fresh")).replace(place)
    else:
        put(store, key, file.read_bytes())


def names_in(store: Any, folder: str) -> list[str]:
    """Names of what lies in a folder, without the folder's own."""
    found = waited(_all(store.list_dir, folder))
    return [key.rstrip("/").rpartition("/")[2] for key in found]


def holds(store: Any, besides: str = "") -> bool:
    """True where a store holds anything, one object not counted."""

    async def any_object() -> bool:
        async for key in store.list():
            if key != besides:
                return True
        return False

    try:
        return waited(any_object())
    except FileNotFoundError:  # no folder at all
        return False


def delete(store: Any, keys: Iterable[str]) -> None:
    """Remove objects."""
    keys = list(keys)

    async def some(start: int) -> None:
        await asyncio.gather(*map(store.delete, keys[start : start + _AT_ONCE]))

    for start in range(0, len(keys), _AT_ONCE):
        waited(some(start))


def delete_folder(store: Any, folder: str) -> None:
    """Remove all objects of a folder, and the folder where the store has any."""
    waited(store.delete_dir(folder))


def clear(store: Any, last: str) -> None:
    """Empty a store, one object last: by that, what is left of it is known for what it was."""
    delete(store, (key for key in waited(_all(store.list)) if key != last))
    delete_folder(store, "")


async def _get(store: Any, key: str) -> bytes | None:
    from zarr.core.buffer import default_buffer_prototype

    try:
        found = await store.get(key, default_buffer_prototype())
    except FileNotFoundError:  # no folder at all
        return None
    return None if found is None else bytes(found.to_bytes())


async def _all(keys: Callable[..., AsyncIterator[str]], *of: str) -> list[str]:
    return [key async for key in keys(*of)]  # a store may ask for Zarr's loop when it is called


def _buffer(value: bytes) -> Any:
    from zarr.core.buffer import default_buffer_prototype

    return default_buffer_prototype().buffer.from_bytes(value)
