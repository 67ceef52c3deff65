"""A quick start for commands that map: the libraries they need, without what those drag along.

Three libraries import others that a map never uses, and Python's collector runs dozens of times
over objects that all stay. Left out, 3.4 s of start-up become 2.1 s (processor time, warm files;
1.1 s of it the collector's):

- xarray's and dask's arrays look for scipy to know its matrices and transforms;
- stackstac imports a map viewer with a web server (aiohttp), and does without where it cannot;
- pystac-client imports a validator of records, which beside Jupyter takes 1.4 s more.

This is done to the process of the command line only: in a user's own process every library stays
as its makers meant it. Each of them handles the absence by itself (``except ImportError``); none
has a setting for it, and ``None`` in `sys.modules` is the language's own word for "not there".
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator

_LEFT_OUT = (
    ("dask.array", "scipy"),
    ("stackstac", "stackstac.show"),
    ("pystac_client", "jsonschema"),
)
"""Library, and what it shall not import."""


def import_libraries() -> None:
    """Import what a map needs, lean; a library that is there already is left alone."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        for library, unused in _LEFT_OUT:
            if library == "dask.array":
                importlib.import_module("xarray")  # it notes which libraries there are
            with _absent(unused) if library not in sys.modules else contextlib.nullcontext():
                importlib.import_module(library)
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


@contextlib.contextmanager
def _absent(name: str) -> Iterator[None]:
    """Importing `name` fails within, as where it is not installed; loaded modules stay."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
