"""Open raster files, kept and shared: the GDAL settings for cloud reads and a pool of handles.

A GDAL dataset may be used by any thread but by one at a time, so a read *leases* a handle and
gives it back; the next read of the same file, on whichever thread, finds it open. GDAL remembers
per address that a file was missing or broken, for the life of the process; a failed address is
therefore reopened under another URL fragment, which no server sees.

Settings after https://gdal.org/user/virtual_file_systems.html (vsicurl) and the COG driver's page.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import MaskFlags

from sarmap.acquire.signing import redact

__all__ = ["GDAL_OPTIONS", "Handle", "lease", "renew"]

GDAL_OPTIONS: dict[str, str | int] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": 65536,
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 120,
    # A stalled transfer is given up after 20 s below 1 kB/s; a slow one may take its time.
    "GDAL_HTTP_LOW_SPEED_TIME": 20,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,
    "GDAL_HTTP_MAX_RETRY": 1,
    "GDAL_HTTP_RETRY_DELAY": "0.3",
    "VSI_CACHE": "TRUE",
    "VSI_CACHE_SIZE": 8_000_000,
    "GDAL_NUM_THREADS": 1,
}
"""GDAL configuration of every open and read; Dask gives the concurrency."""


class _Discreet(logging.Filter):
    """GDAL tells addresses as it opened them, signature and all: take that out of its log lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        record.msg, record.args = redact(message), ()
        # A retry is no news; a read that fails for good is reported by the reader.
        return "Retrying again" not in message


for _name in ("_env", "_base", "_io", "_err"):
    logging.getLogger(f"rasterio.{_name}").addFilter(_Discreet())

IDLE_HANDLES = 96
"""Open files kept for the next read; the least recently used are closed first."""


@dataclass(frozen=True)
class Handle:
    """One open file and what is asked of it at each read."""

    dataset: rasterio.DatasetReader
    """The open dataset."""
    key: str
    """What it is kept under."""
    crs: CRS
    """Coordinate reference system of the pixels."""
    transform: Affine
    """Pixel to CRS."""
    shape: tuple[int, int]
    """Rows, columns."""
    nodata: float | None
    """Value that stands for no data, as the file says."""
    masked: bool
    """True where a mask or alpha band, not a value, marks no data."""


class _Pool:
    """Idle handles by address, bounded, oldest out first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lock = threading.Lock()
        self.idle: OrderedDict[int, Handle] = OrderedDict()
        self.generation: dict[str, int] = {}

    def take(self, key: str) -> Handle | None:
        with self.lock:
            for number in reversed(self.idle):
                if self.idle[number].key == key:
                    return self.idle.pop(number)
        return None

    def give(self, handle: Handle) -> None:
        with self.lock:
            self.idle[id(handle)] = handle
            surplus = [self.idle.popitem(last=False)[1] for _ in range(len(self.idle) - self.size)]
        for old in surplus:
            old.dataset.close()

    def drop(self, key: str) -> None:
        """Forget all idle handles of an address."""
        with self.lock:
            stale = [number for number, handle in self.idle.items() if handle.key == key]
            handles = [self.idle.pop(number) for number in stale]
        for handle in handles:
            handle.dataset.close()


_pool = _Pool(IDLE_HANDLES)
_parents: list[_Pool] = []


def _after_fork() -> None:
    # A child must neither use nor close what it shares with its parent: keep it, unreachable.
    global _pool
    _parents.append(_pool)
    _pool = _Pool(IDLE_HANDLES)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _address(href: str) -> str:
    """What GDAL is asked to open: web addresses through vsicurl, all else as rasterio reads it.

    >>> _address("https://e.org/a.tif?sig=1")
    '/vsicurl/https://e.org/a.tif?sig=1'
    """
    if not href.startswith(("http://", "https://")):
        return href
    number = _pool.generation.get(href, 0)
    return f"/vsicurl/{href}" + (f"#{number}" if number else "")


def _key(address: str) -> str:
    """What a handle is kept under: a local file that was written anew is another file."""
    try:
        found = os.stat(address)  # noqa: PTH116 - an address need not be a path
    except (OSError, ValueError):
        return address
    return f"{address}|{found.st_mtime_ns}|{found.st_size}"


def _open(address: str) -> Handle:
    dataset = rasterio.open(address, sharing=False)
    flags = dataset.mask_flag_enums[0]
    return Handle(
        dataset=dataset,
        key=_key(address),
        crs=dataset.crs,
        transform=dataset.transform,
        shape=dataset.shape,
        nodata=dataset.nodata,
        masked=MaskFlags.nodata not in flags and MaskFlags.all_valid not in flags,
    )


@contextmanager
def lease(href: str) -> Iterator[Handle]:
    """An open file for the length of one `with` block, under the cloud settings.

    Parameters
    ----------
    href
        Address or path, signed where it has to be.

    Raises
    ------
    rasterio.errors.RasterioIOError
        The file cannot be opened. A handle whose use raised is closed, not kept.
    """
    pool = _pool
    address = _address(href)
    with rasterio.Env(**GDAL_OPTIONS):
        handle = pool.take(_key(address)) or _open(address)
        try:
            yield handle
        except BaseException:
            handle.dataset.close()
            raise
        pool.give(handle)


def renew(href: str) -> None:
    """Have the next lease of `href` ask the server again, whatever GDAL remembers of it."""
    _pool.drop(_key(_address(href)))
    with _pool.lock:
        _pool.generation[href] = _pool.generation.get(href, 0) + 1
