"""Files that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sarmap.errors import OutputError, RequestError


def check_file(file: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a file that exists or cannot be written.

    Raises
    ------
    RequestError
        It exists and `overwrite` is not given, or it is a folder.
    OutputError
        Its folder does not accept files.
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
    """A path to write to, of a plain name; on success it takes the place of `file`.

    Raises
    ------
    RequestError, OutputError
        As `check_file`, and OutputError where the writing itself fails for want of space.

    Examples
    --------
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
