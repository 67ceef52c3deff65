"""Where a result store is written: a folder or a URL, never half over something else.

A new local result is written in place and marked ``writing`` until it is whole. Replacing a
finished local result happens beside it: the old one stays until the new one is whole, then the two
are renamed. An object store knows no renaming, so there the old result is deleted when the new one
starts. A run that ends early leaves what it has stored where it is, for another to continue.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sarmap.errors import OutputError, RequestError
from sarmap.store.ledger import ROOM, STATUS
from sarmap.store.objects import clear, get, holds, names_in, storage_errors
from sarmap.store.owner import OWNER, check_free

LONGEST_NAME = 240
"""Bytes of a result's name: 255 are a file's, and `.NAME.replaced` is longer by 10."""

_OBJECT_STORES = ("s3", "gs", "az", "abfs", "abfss")


def is_url(out: str | Path) -> bool:
    """True for a place that is not a local path.

    >>> is_url("s3://bucket/map.zarr"), is_url("file:///tmp/map.zarr"), is_url("map.zarr")
    (True, False, False)
    """
    return "://" in str(out) and not str(out).startswith("file://")


def store_at(out: str | Path, *, read_only: bool = False) -> Any:
    """Zarr store at a path or URL; RequestError where its scheme is unknown or its bucket missing.

    ``s3://``, ``gs://`` and ``az://`` go through obstore, with credentials from the environment
    (``AWS_ACCESS_KEY_ID`` ...); other URLs (``memory://``, ``https://``) through fsspec.
    """
    from zarr.storage import FsspecStore, LocalStore, ObjectStore

    if not is_url(out):
        return LocalStore(_local(out), read_only=read_only)
    try:
        if str(out).split("://", 1)[0] in _OBJECT_STORES:
            from obstore.store import from_url

            bucket = from_url(str(out), retry_config=_retries())
            return ObjectStore(bucket, read_only=read_only)
        return FsspecStore.from_url(str(out), read_only=read_only)
    except Exception as error:
        raise RequestError(
            f"No store is known for {_shown(out)} ({type(error).__name__}): give `out` as a local "
            "path or an s3://, gs:// or az:// address."
        ) from error


def _retries() -> Any:
    """How obstore itself repeats a request: shortly, since blocks are stored patiently anyway."""
    return {
        "max_retries": 4,
        "retry_timeout": dt.timedelta(seconds=20),
        "backoff": {
            "init_backoff": dt.timedelta(seconds=0.2),
            "max_backoff": dt.timedelta(seconds=4),
            "base": 2,
        },
    }


def check_writable(out: str | Path, *, overwrite: bool = False, resume: bool = False) -> None:
    """Refuse, before any work, a place that cannot take a result.

    Raises RequestError where something is there and may neither be replaced nor continued, it is
    not a Zarr store, another run is writing to it, or its name is none that files beside it can
    have; OutputError where the folder, or the object store, does not accept files.
    """
    _refuse_name(str(out) if is_url(out) else str(_local(out)))
    state = _remote_state(out) if is_url(out) else _local_state(_local(out))
    if not is_url(out) and _local_state(_beside(_local(out))) == "zarr" and state != "other":
        state = "unfinished"
    if state == "unfinished":
        check_free(begun_store(out), _shown(out), overwrite=overwrite)
    _refuse_existing(state, out, overwrite or resume)
    if not is_url(out):
        _probe(_local(out))


def _refuse_name(place: str) -> None:
    """Refuse a place that is not text, or whose name leaves no room for what is put after it."""
    name = place.rstrip("/").rpartition("/")[2]
    try:
        room = LONGEST_NAME - len(name.encode())
        place.encode()
    except UnicodeEncodeError:
        raise RequestError(f"The path of {name!r} is not UTF-8: choose another `out`.") from None
    if room < 0:
        raise RequestError(
            f"The name {name[:20]}... has {LONGEST_NAME - room} bytes, and with what is put after "
            f"it {LONGEST_NAME} are the most: choose a shorter `out`."
        )


def begun_store(out: str | Path) -> Any:
    """The store that resuming would continue: one beside a finished result first; None: none."""
    if is_url(out):
        return store_at(out)
    path = _local(out)
    for place in (_beside(path), path):
        if _local_state(place) in ("zarr", "unfinished"):
            return store_at(place)
    return None


@contextmanager
def writing_to(
    out: str | Path, *, overwrite: bool = False, continues: Callable[[Any], bool] | None = None
) -> Iterator[Any]:
    """A Zarr store to write a result into, at a local folder or URL; on success it is what stands
    at `out`. Errors as in `check_writable`.

    `continues` is asked about each store that a run left behind, or finished, at this place: True
    to go on in it. None: always start anew.
    """
    check_writable(out, overwrite=overwrite, resume=continues is not None)
    if is_url(out):
        place, store = None, store_at(out)
        if continues is None or _remote_state(out) == "nothing" or not continues(store):
            _clear(store)
    else:
        place = _workplace(_local(out), continues)
        store = store_at(place)
    if place is None or place == _local(out):
        yield store
        return
    try:
        yield store
    except BaseException:
        _forget(store)
        raise
    _swap(place, _local(out))


def _beside(path: Path) -> Path:
    """Where the successor of a finished result is written."""
    return path.with_name(f".{path.name}.writing")


def _workplace(path: Path, continues: Callable[[Any], bool] | None) -> Path:
    """The folder to work in: one to be continued, or one made empty."""
    beside = _beside(path)
    for place in (beside, path):
        begun = _local_state(place) in ("zarr", "unfinished")
        if begun and continues is not None and continues(store_at(place)):
            return place
    fresh = beside if _local_state(path) == "zarr" else path
    try:
        _discard(beside)
        if fresh == path:
            _discard(path)
    except OSError as error:
        raise OutputError(
            f"The old {path.name} cannot be removed ({error.strerror}): check the permissions."
        ) from error
    return fresh


def forget_unbegun(out: str | Path) -> None:
    """Remove an unfinished map in which not one block is done: there is nothing to continue.

    To be called only when no task of its run is left. A store that does not answer stays.
    """
    with suppress(*storage_errors(), OutputError):
        store = begun_store(out)
        if store is not None:
            _forget(store)


def _forget(store: Any) -> None:
    left = {f"{ROOM}/{name}" for name in names_in(store, ROOM)}
    if _is_unfinished(get(store, "zarr.json")) and left <= {OWNER}:
        _clear(store)


def sweep(store: Any) -> None:
    """Remove what a killed run wrote to a local store without giving it its name."""
    from zarr.storage import LocalStore

    if isinstance(store, LocalStore):
        for file in store.root.rglob("*.partial"):
            file.unlink(missing_ok=True)


def _swap(fresh: Path, path: Path) -> None:
    old = path.with_name(f".{path.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    try:
        if path.exists():
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
    return Path(text).expanduser().absolute()


def _local_state(path: Path) -> str:
    """'nothing', 'zarr', 'unfinished' (a map of ours) or 'other': what stands at a local path."""
    if not path.exists() and not path.is_symlink():
        return "nothing"
    if path.is_dir():
        if any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray")):
            record = path / "zarr.json"
            begun = record.is_file() and _is_unfinished(record.read_bytes())
            return "unfinished" if begun else "zarr"
        # A run that was killed at once leaves its owner's record, or one that has no name yet.
        try:
            ours = all(p.suffix == ".partial" or p.name == ROOM for p in path.iterdir())
        except FileNotFoundError:  # the run that begins there just took its trial folder away
            return "nothing"
        return "nothing" if ours else "other"
    return "other"


def _is_unfinished(record: bytes | None) -> bool:
    """True for the record of a map of ours whose writing has not come to its end."""
    with suppress(ValueError, KeyError, TypeError):
        return bool(json.loads(record or b"{}")["attributes"][STATUS] == "writing")
    return False


def _remote_state(out: str | Path) -> str:
    """As `_local_state`, of what stands at a URL."""
    try:
        store = store_at(out)
        for name in ("zarr.json", ".zgroup", ".zarray"):
            record = get(store, name)
            if record is not None:
                return "unfinished" if _is_unfinished(record) else "zarr"
        return "other" if holds(store, besides=OWNER) else "nothing"
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
    if state == "unfinished" and not overwrite:
        raise RequestError(
            f"{_shown(out)} holds a map that is not finished: give resume=True (--resume) to "
            "continue it, or overwrite=True (--overwrite) to start anew."
        )


def _clear(store: Any) -> None:
    """Empty a store; its own record goes last, so that what is left of it is known for a map."""
    try:
        clear(store, last="zarr.json")
    except Exception as error:
        raise OutputError(
            f"The old result cannot be deleted ({type(error).__name__}): check the permissions."
        ) from error


def _discard(path: Path) -> None:
    """Remove a local folder in one stroke: half of a store would be no store to anybody."""
    old = path.with_name(f".{path.name.strip('.')}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
        shutil.rmtree(old, ignore_errors=True)


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
