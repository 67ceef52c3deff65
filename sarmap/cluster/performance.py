"""Dask's performance report of a run: what each worker did when, as one HTML file."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sarmap.errors import OutputError, RequestError


def check_report(file: str | Path) -> None:
    """Refuse, before any work, a report that could not be written.

    Raises
    ------
    RequestError
        The package that draws it is not installed.
    OutputError
        Its folder does not take files.
    """
    if importlib.util.find_spec("bokeh") is None:
        raise RequestError(
            "A performance report is drawn with bokeh, which is not installed: "
            'pip install "sarmap[dashboard]".'
        )
    path = Path(file).expanduser()
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"The performance report {path.name} cannot be written in its folder.")


@contextmanager
def reporting(file: str | Path) -> Iterator[None]:
    """Keep a performance report of what the current client computes inside the `with` block."""
    from distributed import performance_report

    # One frame is the smallest extract of the calling code that Dask writes: that is this function.
    with performance_report(filename=str(Path(file).expanduser()), stacklevel=1):
        yield
