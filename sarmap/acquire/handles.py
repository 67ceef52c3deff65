"""Open raster files, kept and shared: a pool of handles, and what a file may claim of itself.

A GDAL dataset may be used by any thread but by one at a time, so a read *leases* a handle and
gives it back; the next read of the same file, on whichever thread, finds it open. Files on the web
and in buckets are read through `sarmap.net.remote`, local files of a trusted catalogue by GDAL
itself. GDAL opens GeoTIFF and nothing else: other formats (VRT and other XML) may name further
files. HDF5 on disk is opened without GDAL (`sarmap.acquire.hdf5`).

Settings after https://gdal.org/user/virtual_file_systems.html and the COG driver's page.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Compression, MaskFlags
from rasterio.errors import RasterioIOError
from rasterio.io import FilePath

from sarmap.acquire.hdf5 import Hdf5Raster, is_hdf5
from sarmap.gdal import gdal
from sarmap.net.buckets import in_bucket
from sarmap.net.patience import Deadline
from sarmap.net.reach import Reach
from sarmap.net.remote import Opening, Pin, Range, RemoteFile
from sarmap.net.signing import Signer, discreet
from sarmap.net.web import FileChanged, ReadError

Box = tuple[int, int, int, int]
"""Row start, row stop, column start, column stop."""

DRIVER = "GTiff"
"""GDAL's one driver that opens files."""

BLOCK_LIMIT = 256 * 2**20
"""Bytes of one uncompressed block beyond which a file is refused: a header may claim anything."""

# rasterio would have `opener=` used instead; it is kept per thread (1.4), and handles change
# threads.
warnings.filterwarnings("ignore", message="FilePath is supplanted")

GDAL_OPTIONS: dict[str, str | int] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": 65536,
    "GDAL_NUM_THREADS": 1,
}
"""GDAL configuration of every open and read; Dask gives the concurrency."""


# GDAL tells addresses as it opened them, signature and all.
discreet("rasterio._env", "rasterio._base", "rasterio._io", "rasterio._err")

IDLE_HANDLES = 96
"""Open files kept for the next read; the least recently used are closed first."""


@dataclass(frozen=True)
class Handle:
    """One open file and what is asked of it at each read."""

    dataset: Any
    """The open dataset: rasterio's, or an `Hdf5Raster`."""
    key: str
    """What it is kept under."""
    crs: CRS | None
    """Coordinate reference system of the pixels; None: the file names none."""
    transform: Affine
    """Pixel to CRS, north up also where the file's rows run northwards (`flipped`)."""
    shape: tuple[int, int]
    """Rows, columns."""
    nodata: float | None
    """Value that stands for no data, as the file says."""
    masked: bool
    """True where a mask or alpha band, not a value, marks no data."""
    remote: RemoteFile | None = None
    """The file's bytes, where it is on the web."""
    pin: Pin | None = None
    """What the file is known by."""
    scales: tuple[float, ...] = (1.0,)
    """Factor of each band's stored values, as the file says."""
    offsets: tuple[float, ...] = (0.0,)
    """Summand of each band's scaled values, as the file says."""
    units: tuple[str, ...] = ("",)
    """Unit of each band; empty where the file names none."""
    descriptions: tuple[str, ...] = ("",)
    """What the file calls each band; empty where it does not."""
    flipped: bool = False
    """True where the file's first row is the southernmost."""
    control_points: bool = False
    """True where ground control points alone tell where its pixels lie, as in radar geometry."""

    def stored(self, box: Box) -> Box:
        """Rows and columns as the file counts them, or back from that."""
        if not self.flipped:
            return box
        return (self.shape[0] - box[1], self.shape[0] - box[0], box[2], box[3])

    def ranges(self, band: int, box: Box) -> list[Range]:
        """First and last byte of each stored block of a band under a stored box."""
        rows, columns = self.dataset.block_shapes[band - 1]
        largest = 2 * _block_bytes(self.dataset, band) + 65_536
        found = []
        for row in range(box[0] // rows, -(-box[1] // rows)):
            for column in range(box[2] // columns, -(-box[3] // columns)):
                offset, size = (
                    int(self.dataset.get_tag_item(f"{what}_{column}_{row}", "TIFF", bidx=band) or 0)
                    for what in ("BLOCK_OFFSET", "BLOCK_SIZE")
                )
                if size > largest:
                    raise ReadError(f"its header claims a block of {size} bytes", again=False)
                if offset and size:  # else the block is left out: no data
                    found.append((offset, offset + size - 1))
        return found

    def inflated(self, band: int) -> int:
        """Most bytes that a stored block of a band inflates to; 0 where it is not deflated."""
        deflated = self.dataset.compression is Compression.deflate
        return _block_bytes(self.dataset, band) if deflated else 0


class _Pool:
    """Idle handles by address, bounded, oldest out first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lock = threading.Lock()
        self.idle: OrderedDict[int, Handle] = OrderedDict()

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


def _key(href: str) -> str:
    """What a handle is kept under: a local file that was written anew is another file."""
    pin = _local_pin(href)
    return href if pin is None else f"{href}|{pin.version}|{pin.size}"


def _local_pin(href: str) -> Pin | None:
    """What a local file is known by; None where it is none."""
    try:
        found = os.stat(href)  # noqa: PTH116 - an address need not be a path
    except (OSError, ValueError):
        return None
    return Pin(found.st_size, str(found.st_mtime_ns), "")


def _open(href: str) -> Handle:
    """A file that is read where it lies: by GDAL, or HDF5."""
    if is_hdf5(href):
        return _described(Hdf5Raster(href), _key(href), None)
    return _described(rasterio.open(href, sharing=False, driver=DRIVER), _key(href), None)


def _open_remote(href: str, remote: RemoteFile) -> Handle:
    """A file on the web."""
    remote.open()
    with FilePath(Opening(remote)) as path:
        try:
            handle = _described(path.open(driver=DRIVER, sharing=False), href, remote)
        except RasterioIOError:
            remote.check()
            raise
    remote.check()
    return handle


def _described(dataset: Any, key: str, remote: RemoteFile | None) -> Handle:
    flags = dataset.mask_flag_enums[0]
    if max(_block_bytes(dataset, band) for band in dataset.indexes) > BLOCK_LIMIT:
        dataset.close()
        raise ReadError(
            f"its header claims blocks of more than {BLOCK_LIMIT >> 20} MiB", again=False
        )
    lattice = dataset.transform
    flipped = lattice.e > 0 and lattice.b == lattice.d == 0 and not lattice.is_identity
    upwards = Affine.translation(0, dataset.height) * Affine.scale(1, -1)
    return Handle(
        dataset=dataset,
        key=key,
        crs=dataset.crs or None,
        transform=lattice * upwards if flipped else lattice,
        shape=dataset.shape,
        nodata=dataset.nodata,
        masked=MaskFlags.nodata not in flags and MaskFlags.all_valid not in flags,
        remote=remote,
        pin=remote.pin if remote is not None else _local_pin(dataset.name),
        scales=tuple(dataset.scales),
        offsets=tuple(dataset.offsets),
        units=tuple(unit or "" for unit in dataset.units),
        descriptions=tuple(text or "" for text in dataset.descriptions),
        flipped=flipped,
        control_points=lattice.is_identity and bool(dataset.gcps[0]),
    )


def _block_bytes(dataset: Any, band: int) -> int:
    """Bytes of one uncompressed stored block, of all bands where they are stored together."""
    bands = 1 if str(dataset.interleaving) != "Interleaving.pixel" else dataset.count
    size: int = np.dtype(dataset.dtypes[band - 1]).itemsize
    return int(math.prod(dataset.block_shapes[band - 1])) * size * bands


def _on_web(href: str) -> bool:
    return href.startswith(("http://", "https://")) or in_bucket(href)


@contextmanager
def lease(
    href: str,
    *,
    signer: Signer | None = None,
    reach: Reach | None = None,
    attempts: int | None = None,
    deadline: Deadline | None = None,
    pin: Pin | None = None,
) -> Iterator[Handle]:
    """An open file for the length of one `with` block; one whose use raised is closed, not kept.

    `href` is the unsigned address, or a path, which `signer` is applied to at every request;
    `attempts` and `deadline` bound each request and all of them, None as configured. Raises
    RasterioIOError where the file cannot be opened, ReadError where one on the web could not be
    read or its header claims too much, FileChanged where it is another file than `pin` says.
    """
    pool, reach = _pool, reach or Reach()
    key = f"{href}|{reach}" if _on_web(href) else _key(href)
    with gdal(**GDAL_OPTIONS):
        if pin is not None and not _on_web(href) and _local_pin(href) != pin:
            raise FileChanged("the file is another one", again=False)
        handle = pool.take(key)
        if handle is not None and handle.remote is not None and not handle.remote.fits(pin):
            handle.dataset.close()
            handle = None
        remote = handle.remote if handle else None
        if handle is None and _on_web(href):
            remote = RemoteFile(href, signer or Signer(None), reach, pin)
        if remote is not None:
            remote.begin(attempts, deadline)
        if handle is None:
            handle = _open_remote(key, remote) if remote is not None else _open(href)
        try:
            yield handle
            if remote is not None:
                remote.check()
        except BaseException:
            if remote is not None:
                remote.forget()
            handle.dataset.close()
            raise
        if remote is not None:
            remote.end()
        pool.give(handle)


def renew(href: str, reach: Reach | None = None) -> None:
    """Close all idle handles of a file, so that the next lease opens it anew."""
    _pool.drop(f"{href}|{reach or Reach()}" if _on_web(href) else _key(href))
