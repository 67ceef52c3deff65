"""GeoTIFFs of any size from the stored tiles of small ones, without writing a pixel.

A tiled TIFF is a header that says where each compressed tile lies, and the tiles. So a scene of
834 megapixels is a header made here, and a rule by which its tiles are those of a simulated scene,
taken in turns. Every tile gets an address of its own, so that no cache of a reader sees one twice;
`benchmarks.files` answers byte ranges of it from the small files. On disk it is the header alone.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["StoredTile", "header_of", "largest_tiles", "virtual_file"]

TILE = 512
_OFFSETS, _COUNTS, _LONG = 324, 325, 4


@dataclass(frozen=True)
class StoredTile:
    """One compressed tile in a file."""

    path: str
    """The file."""
    offset: int
    """Its first byte."""
    size: int
    """Its bytes."""


def largest_tiles(paths: Sequence[Path], least: float = 0.5) -> list[StoredTile]:
    """Tiles wholly inside their rasters, of at least `least` times the largest one's bytes.

    Tiles without data compress to little: what is left is full of measurements.
    """
    found: list[StoredTile] = []
    for path in paths:
        found += _whole_tiles(path)
    if not found:
        raise ValueError(f"no raster holds a whole tile of {TILE} px: simulate a larger event")
    limit = least * max(tile.size for tile in found)
    return [tile for tile in found if tile.size >= limit]


def _whole_tiles(path: Path) -> list[StoredTile]:
    import rasterio

    with rasterio.open(path) as dataset:
        if dataset.block_shapes[0] != (TILE, TILE):
            raise ValueError(f"{path.name} is not stored in tiles of {TILE} px")
        rows, columns = (length // TILE for length in dataset.shape)

        def told(what: str, row: int, column: int) -> int:
            return int(dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1) or 0)

        places = [(row, column) for row in range(rows) for column in range(columns)]
        return [
            StoredTile(str(path), told("OFFSET", *place), told("SIZE", *place)) for place in places
        ]


def virtual_file(
    like: Path, tiles: Sequence[StoredTile], shape: tuple[int, int], transform: Any, header: Path
) -> dict[str, Any]:
    """A GeoTIFF of `shape` whose tiles are `tiles` in turns; writes its header alone.

    Parameters
    ----------
    like
        A file whose data type, projection, no-data value and tags it takes.
    tiles
        What its tiles are, in the order of rows.
    shape
        Rows and columns; the last tiles may stick out, as TIFF has it.
    transform
        Affine transform of the pixel corners.
    header
        Where the header is written.

    Returns
    -------
    What `benchmarks.files` needs to serve it: header, and per tile a file, an offset and a size.
    """
    count = -(-shape[0] // TILE) * -(-shape[1] // TILE)
    chosen = list(islice(cycle(tiles), count))
    blank = header_of(like, shape, transform, header)
    sizes = [tile.size for tile in chosen]
    starts = list(accumulate(sizes[:-1], initial=len(blank)))
    header.write_bytes(_with_tiles(blank, starts, sizes))
    names = sorted({tile.path for tile in chosen})
    return {
        "header": str(header),
        "files": names,
        "file": [names.index(tile.path) for tile in chosen],
        "offset": [tile.offset for tile in chosen],
        "size": sizes,
    }


def header_of(like: Path, shape: tuple[int, int], transform: Any, scratch: Path) -> bytes:
    """The header GDAL writes for a raster of `shape` without any tile."""
    import rasterio

    with rasterio.open(like) as dataset:
        profile = {
            "driver": "GTiff", "dtype": dataset.dtypes[0], "count": 1, "crs": dataset.crs,
            "nodata": dataset.nodata, "tiled": True, "blockxsize": TILE, "blockysize": TILE,
            "compress": dataset.compression.value, "predictor": _predictor(dataset),
        }  # fmt: skip
        tags = {key: value for key, value in dataset.tags().items() if key != "AREA_OR_POINT"}
    with rasterio.open(
        scratch, "w", height=shape[0], width=shape[1], transform=transform,
        SPARSE_OK="TRUE", BIGTIFF="NO", **profile,
    ) as blank:  # fmt: skip
        blank.update_tags(**tags)
    return scratch.read_bytes()


def _predictor(dataset: Any) -> int:
    named = dataset.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR", "1")
    return {"NO": 1, "STANDARD": 2, "FLOATING_POINT": 3}.get(named, 0) or int(named)


def _with_tiles(header: bytes, starts: Sequence[int], sizes: Sequence[int]) -> bytes:
    """The header with its two tables of tiles filled in (TIFF 6.0, sections 2 and 15)."""
    if header[:4] != b"II*\0":
        raise ValueError("the header is not that of a little-endian classic TIFF")
    if starts[-1] + sizes[-1] >= 2**32:
        raise ValueError("a classic TIFF ends at 4 GiB: cut the scene into more slices")
    changed = bytearray(header)
    (directory,) = struct.unpack_from("<I", header, 4)
    (entries,) = struct.unpack_from("<H", header, directory)
    for number in range(entries):
        entry = directory + 2 + 12 * number
        tag, kind, count, value = struct.unpack_from("<HHII", header, entry)
        if tag in (_OFFSETS, _COUNTS):
            values = starts if tag == _OFFSETS else sizes
            if kind != _LONG or count != len(values):
                raise ValueError(f"tag {tag} of the header has {count} values of type {kind}")
            place = entry + 8 if count == 1 else value
            changed[place : place + 4 * count] = np.asarray(values, "<u4").tobytes()
    return bytes(changed)
