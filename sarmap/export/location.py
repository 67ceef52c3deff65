"""Where a result store is written: a folder or a URL, never half over something else.

A new local result is written in place and marked ``writing`` until it is whole. Replacing a local
result happens beside it: the old one stays until the new one is whole, then the two are renamed.
An object store knows no renaming, so there the old result is deleted when the new one starts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sarmap.errors import OutputError, RequestError

__all__ = ["check_writable", "is_url", "storage_errors", "store_at", "writing_to"]

_OBJECT_STORES = ("s3", "gs", "az", "abfs", "abfss")


def is_url(out: str | Path) -> bool:
    """True for a place that is not a local path.

    >>> is_url("s3://bucket/map.zarr"), is_url("file:///tmp/map.zarr"), is_url("map.zarr")
    (True, False, False)
    """
    return "://" in str(out) and not str(out).startswith("file://")


def store_at(out: str | Path, *, read_only: bool = False) -> Any:
    """Zarr store at a path or URL.

    ``s3://``, ``gs://`` and ``az://`` go through obstore, with credentials from the environment
    (``AWS_ACCESS_KEY_ID`` ...); other URLs (``memory://``, ``https://``) through fsspec.

    Raises
    ------
    RequestError
        The URL's scheme is unknown or its bucket is missing.
    """
    from zarr.storage import FsspecStore, LocalStore, ObjectStore

    if not is_url(out):
        return LocalStore(_local(out), read_only=read_only)
    scheme = str(out).split("://", 1)[0]
    try:
        if scheme in _OBJECT_STORES:
            from obstore.store import from_url

            return ObjectStore(from_url(str(out)), read_only=read_only)
        return FsspecStore.from_url(str(out), read_only=read_only)
    except Exception as error:
        raise RequestError(
            f"No store is known for {_shown(out)} ({type(error).__name__}): give `out` as a local "
            "path or an s3://, gs:// or az:// address."
        ) from error


def storage_errors() -> tuple[type[Exception], ...]:
    """What a store raises where it cannot be read or written."""
    from obstore.exceptions import BaseError

    return (OSError, BaseError)


def check_writable(out: str | Path, *, overwrite: bool = False) -> None:
    """Refuse, before any work, a place that cannot take a result.

    Raises
    ------
    RequestError
        Something is there and `overwrite` is not given, or it is not a Zarr store.
    OutputError
        The folder, or the object store, does not accept files.
    """
    if is_url(out):
        _refuse_existing(_remote_state(out), out, overwrite)
        return
    path = _local(out)
    _refuse_existing(_local_state(path), out, overwrite)
    _probe(path)


@contextmanager
def writing_to(out: str | Path, *, overwrite: bool = False) -> Iterator[Any]:
    """An empty Zarr store to write a result into; on success it is what stands at `out`.

    Raises
    ------
    RequestError, OutputError
        As `check_writable`.
    """
    check_writable(out, overwrite=overwrite)
    if is_url(out):
        store = store_at(out)
        _clear(store)
        yield store
        return
    path = _local(out)
    if _local_state(path) != "zarr":
        yield store_at(path)
        return
    fresh = path.with_name(f".{path.name}.writing")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        yield store_at(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _swap(fresh, path)


def _swap(fresh: Path, path: Path) -> None:
    old = path.with_name(f".{path.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    try:
        path.rename(old)
        fresh.rename(path)
    except OSError as error:
        raise OutputError(
            f"The new result lies whole in {fresh.name}, but could not be renamed to "
            f"{path.name} ({error.strerror})."
        ) from error
    shutil.rmtree(old, ignore_errors=True)


def _local(out: str | Path) -> Path:
    text = str(out)
    if text.startswith("file://"):
        text = urllib.parse.unquote(urllib.parse.urlsplit(text).path)
    return Path(text).expanduser()


def _local_state(path: Path) -> str:
    """'nothing', 'zarr' or 'other': what stands at a local path."""
    if not path.exists() and not path.is_symlink():
        return "nothing"
    if path.is_dir():
        if any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray")):
            return "zarr"
        return "other" if any(path.iterdir()) else "nothing"
    return "other"


def _remote_state(out: str | Path) -> str:
    """'nothing', 'zarr' or 'other': what stands at a URL."""
    from zarr.core.sync import sync

    async def look(store: Any) -> str:
        for name in ("zarr.json", ".zgroup", ".zarray"):
            if await store.exists(name):
                return "zarr"
        async for _ in store.list():
            return "other"
        return "nothing"

    try:
        return str(sync(look(store_at(out))))
    except RequestError:
        raise
    except Exception as error:
        raise OutputError(
            f"{_shown(out)} does not answer ({type(error).__name__}): check `out` and the "
            "credentials in the environment."
        ) from error


def _refuse_existing(state: str, out: str | Path, overwrite: bool) -> None:
    if state == "other":
        raise RequestError(
            f"{_shown(out)} exists and is not a Zarr store, so it is never replaced: "
            "choose another `out`."
        )
    if state == "zarr" and not overwrite:
        raise RequestError(
            f"{_shown(out)} exists already: choose another `out`, or give overwrite=True "
            "(--overwrite)."
        )


def _clear(store: Any) -> None:
    from zarr.core.sync import sync

    try:
        sync(store.delete_dir(""))
    except Exception as error:
        raise OutputError(
            f"The old result cannot be deleted ({type(error).__name__}): check the permissions."
        ) from error


def _probe(path: Path) -> None:
    """Write and remove one file where the result will be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".sarmap-", dir=path.parent)
        os.close(handle)
        Path(name).unlink()
    except OSError as error:
        raise OutputError(
            f"{path.name} cannot be written in its folder ({error.strerror}): choose another `out`."
        ) from error


def _shown(out: str | Path) -> str:
    """A place as an error may name it: without its folders, user or query."""
    if is_url(out):
        parts = urllib.parse.urlsplit(str(out))
        return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    return _local(out).name
