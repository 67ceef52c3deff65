"""Files beside a result, on a disk or in an object store."""

from __future__ import annotations

from pathlib import Path

from sarmap.store.location import is_url, store_at
from sarmap.store.objects import exists, get, put_file
from sarmap.store.retrying import patiently


def stands(file: str) -> bool:
    """True where a file is, at a local path or URL.

    >>> stands("memory://doctest-delivery/a.tif")
    False

    Raises
    ------
    RequestError
        The URL's scheme is unknown.
    OutputError
        The store does not answer.
    """
    if not is_url(file):
        return Path(file).exists()
    folder, name = _split(file)
    return patiently(lambda: exists(store_at(folder), name), name)


def deliver(local: Path, url: str) -> None:
    """Put a local file at a URL, whole or not at all, in parts where it is long.

    Raises
    ------
    OutputError
        The store does not take it.
    """
    folder, name = _split(url)
    patiently(lambda: put_file(store_at(folder), name, local), name)


def fetched(url: str) -> bytes:
    """The bytes of a file at a URL.

    Raises
    ------
    OutputError
        The store does not answer.
    """
    folder, name = _split(url)
    return patiently(lambda: get(store_at(folder, read_only=True), name), name) or b""


def _split(url: str) -> tuple[str, str]:
    """The folder of a URL, and the name in it."""
    folder, _, name = url.rstrip("/").rpartition("/")
    return folder, name
