"""Files beside a result, on a disk or in an object store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sarmap.errors import OutputError, RequestError
from sarmap.store.location import is_url, store_at
from sarmap.store.objects import exists, get, put_file
from sarmap.store.retrying import patiently


def stands(file: str) -> bool:
    """True where a file is, at a local path or URL; RequestError where the URL's scheme is unknown,
    OutputError where the store does not answer.
    """
    if not is_url(file):
        return Path(file).exists()
    folder, name = _split(file)
    return patiently(lambda: exists(store_at(folder), name), name)


def deliver(local: Path, url: str) -> None:
    """Put a local file at a URL, whole or not at all, in parts where it is long; OutputError where
    the store does not take it.
    """
    folder, name = _split(url)
    patiently(lambda: put_file(store_at(folder), name, local), name)


def fetched(url: str) -> bytes:
    """The bytes of a file at a URL; OutputError where the store does not answer."""
    folder, name = _split(url)
    return patiently(lambda: get(store_at(folder, read_only=True), name), name) or b""


def _split(url: str) -> tuple[str, str]:
    """The folder of a URL, and the name in it."""
    folder, _, name = url.rstrip("/").rpartition("/")
    return folder, name


# --- whole or not at all --------------------------------------------------------------------------


def check_file(file: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a file that exists without `overwrite` or is a folder
    (RequestError), or whose folder does not accept files (OutputError).
    """
    if file.is_dir():
        raise RequestError(f"{file.name} is a folder: give a file name.")
    if file.exists() and not overwrite:
        raise RequestError(
            f"{file.name} exists already: choose another name, or give overwrite=True "
            "(--overwrite)."
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sarmap-", dir=file.parent):
            pass
    except OSError as error:
        raise _unwritable(file, error) from error


@contextmanager
def replacing(file: Path, *, overwrite: bool) -> Iterator[Path]:
    """A path to write to, of a plain name; on success it takes the place of `file`. Errors as in
    `check_file`, and OutputError where the writing itself fails for want of space.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "a.txt"), overwrite=False) as fresh:
    ...         _ = fresh.write_text("whole")
    ...     Path(folder, "a.txt").read_text()
    'whole'
    """
    check_file(file, overwrite=overwrite)
    try:
        with tempfile.TemporaryDirectory(prefix=".sarmap-", dir=file.parent) as folder:
            fresh = Path(folder) / f"new{file.suffix}"  # GDAL takes names with ; apart
            yield fresh
            fresh.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> OutputError:
    reason = error.strerror or type(error).__name__
    return OutputError(f"{file.name} cannot be written ({reason}): choose another place.")
