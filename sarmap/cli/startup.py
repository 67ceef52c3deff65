"""A quick start for commands that map: the libraries they need, without what those drag along.

Four libraries import others that a map never uses, and Python's collector runs dozens of times
over objects that all stay. Left out, 2.2 s of start-up become 1.4 s (2 cores, warm files):

- xarray's and dask's arrays look for scipy to know its matrices and transforms;
- stackstac imports a map viewer with a web server (aiohttp), and does without where it cannot;
- rasterio imports boto3 for credentials of `s3://` files, which it gets when it asks for them;
- pystac-client imports a validator of records, which beside Jupyter takes 1.4 s more.

This is done to the process of the command line only: in a user's own process every library stays
as its makers meant it. Each of them handles the absence by itself (``except ImportError``).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["import_libraries"]

_LEFT_OUT = (
    ("rasterio", "boto3"),
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
            if unused == "boto3":
                _give_boto3_when_asked()
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


class _Boto3:
    """Stands for boto3 in `rasterio.session` until an `s3://` file is opened."""

    def __getattr__(self, name: str) -> Any:
        from rasterio import session

        session.boto3 = importlib.import_module("boto3")
        return getattr(session.boto3, name)


def _give_boto3_when_asked() -> None:
    """Undo rasterio's conclusion that boto3 is not installed, where it is."""
    from importlib.util import find_spec

    from rasterio import session

    if session.boto3 is None and find_spec("boto3") is not None:
        session.boto3 = _Boto3()
