"""GDAL's options, set in one place, in bytes, for the length of one `with` block.

rasterio takes an integer `GDAL_CACHEMAX` as bytes, sets it for the whole process, and puts the
former value back only where no other `Env` is open, on this thread or on another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

CACHE_BYTES = 64 * 2**20
"""Most bytes of GDAL's block cache while this package reads or writes: by itself it takes a
twentieth of the machine's memory, in each process, which may be more than a worker has."""

_CACHE = "GDAL_CACHEMAX"


class _Cache:
    """The block cache of this process, bounded while anybody uses it, then as it was."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before = 0

    def enter(self) -> None:
        from rasterio.env import get_gdal_config, set_gdal_config

        with self.lock:
            self.users += 1
            if self.users == 1:
                self.before = int(get_gdal_config(_CACHE))
                set_gdal_config(_CACHE, min(self.before, CACHE_BYTES))

    def leave(self) -> None:
        from rasterio.env import set_gdal_config

        with self.lock:
            self.users -= 1
            if not self.users:
                set_gdal_config(_CACHE, self.before)


_cache = _Cache()


@contextmanager
def gdal(**options: str | int) -> Iterator[None]:
    """GDAL with its block cache bounded, and with more of its configuration options for this
    thread, for one `with` block; afterwards, also after an error, the process has the options it
    had.

    >>> from rasterio.env import get_gdal_config
    >>> before = get_gdal_config("GDAL_CACHEMAX")
    >>> with gdal(GDAL_NUM_THREADS=1):
    ...     get_gdal_config("GDAL_CACHEMAX") == min(before, 64 * 2**20)
    True
    >>> get_gdal_config("GDAL_CACHEMAX") == before
    True
    """
    import rasterio

    _cache.enter()
    try:
        with rasterio.Env(**options):
            yield
    finally:
        _cache.leave()
