"""The loader's seam: files to one lazy array, by stackstac 0.5.1, nothing left to its guess.

stackstac guesses projection, footprint, dtype and coordinates from items, and drops items without
saying so. It is handed bare records instead, whose footprints are in the grid's CRS already and
whose hrefs are `Source` objects; every item it is given is on the grid, so none is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling

from sarmap.acquire.projection import Bounds
from sarmap.acquire.scene_reader import SceneReader
from sarmap.acquire.source import Source
from sarmap.errors import RequestError
from sarmap.net.signing import Signer
from sarmap.types import Chunk

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

FAINT = 1e-3
"""Power that is hardly a measurement: 5 dB under Sentinel-1's noise (-22 to -25 dB)."""
Slice = Mapping[str, Source]
"""Band name -> what to read, for one scene."""


def check_grid(grid: GeoBox) -> int:
    """The EPSG code of a grid that can be read onto, north up, square to its CRS; RequestError
    where it is rotated or flipped, or its CRS has no EPSG code.
    """
    epsg = grid.crs.epsg if grid.crs is not None else None
    if epsg is None:
        raise RequestError("The grid's CRS has no EPSG code: give crs= as one, e.g. 'EPSG:32654'.")
    transform = grid.affine
    if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
        raise RequestError("The grid is rotated or flipped: make it with sarmap.make_grid.")
    return int(epsg)


def block_lengths(shape: Any, chunk: Chunk) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Block lengths along both axes of a grid; RequestError where the edge is below 1, or lengths
    do not add up to the grid.

    >>> block_lengths((5, 2), 2), block_lengths((5, 2), ((3, 2), (2,)))
    (((2, 2, 1), (2,)), ((3, 2), (2,)))
    """
    rows, columns = (int(length) for length in tuple(shape))
    if isinstance(chunk, int):
        if chunk < 1:
            raise RequestError(f"chunk={chunk} is no block edge: give at least 1 pixel.")
        return _cut(rows, chunk), _cut(columns, chunk)
    if (sum(chunk[0]), sum(chunk[1])) != (rows, columns) or min(*chunk[0], *chunk[1]) < 1:
        raise RequestError(f"chunk={chunk} does not add up to the grid of {rows} x {columns} px.")
    return chunk


def _cut(length: int, edge: int) -> tuple[int, ...]:
    return tuple(min(edge, length - start) for start in range(0, length, edge))


def on_grid(scene: Slice, grid: GeoBox) -> bool:
    """True where a scene's files lie on the grid, by what is known of them."""
    extent = _extent(scene, list(scene), CRS.from_epsg(check_grid(grid)))
    return extent is not None and _overlap(extent, grid.boundingbox)


def load(
    passes: Sequence[Sequence[Slice]],
    bands: Sequence[str],
    grid: GeoBox,
    *,
    chunk: Chunk,
    signer: Signer,
    positive: bool,
) -> da.Array:
    """Mosaics of several passes as one lazy array, float32 (pass, band, y, x) in blocks of (1, all,
    chunk, chunk): values, NaN where no scene holds data, minus infinity where a scene that goes
    before could not be read.

    The scenes of each pass stand in the order in which they are mosaicked: the first that holds
    data there gives the pixel. `chunk` is the blocks' edge, or their lengths along both axes;
    `signer` is applied to each href when it is read; with `positive` values of zero and below are
    no data (radar power).
    """
    records, counts = _records(passes, bands, grid, check_grid(grid))
    reader = partial(SceneReader, signer=signer, positive=positive)
    slices = _stack(
        records, bands, grid, (counts, (len(bands),), *block_lengths(grid.shape, chunk)), reader
    )
    mosaics: da.Array = da.map_blocks(
        mosaic,
        slices,
        faint=FAINT if positive else 0.0,
        chunks=((1,) * len(passes), *slices.chunks[1:]),
        dtype=np.float32,
        meta=np.empty((0, 0, 0, 0), np.float32),
    )
    return mosaics


def _stack(
    records: Sequence[Mapping[str, Any]],
    bands: Sequence[str],
    grid: GeoBox,
    chunks: Any,
    reader: Any,
) -> da.Array:
    """Each record's bands on the grid (record, band, y, x), by stackstac."""
    import stackstac

    box = grid.boundingbox
    stacked = stackstac.stack(
        records,
        assets=list(bands),
        epsg=check_grid(grid),
        resolution=(grid.affine.a, -grid.affine.e),
        bounds=(box.left, box.bottom, box.right, box.top),
        snap_bounds=False,
        resampling=Resampling.bilinear,
        chunksize=chunks,
        dtype=np.dtype("float32"),
        fill_value=np.float32("nan"),
        rescale=False,
        sortby_date=False,
        xy_coords=False,
        properties=False,
        band_coords=False,
        errors_as_nodata=(),
        reader=reader,
    )
    slices: da.Array = stacked.data
    if slices.shape != (len(records), len(bands), *grid.shape):
        raise AssertionError(f"stackstac gave {slices.shape} for {len(records)} scenes")
    return _without_table(slices)


def _without_table(slices: da.Array) -> da.Array:
    """stackstac's array with each scene's readers in its own tasks, not in tasks of their own.

    A cluster's scheduler holds reads back until there is room for them, but only reads that depend
    on fewer than five tasks. With five scenes it read all pixels of a map ahead: 3.1 GB on a worker
    of two threads, 1.3 GB held back.
    """
    from dask.blockwise import Blockwise, BlockwiseDepDict
    from dask.highlevelgraph import HighLevelGraph
    from dask.local import get_sync

    layers = slices.dask.layers
    reads: Any = layers[slices.name]
    table = next(name for name, _ in reads.indices if name in layers)
    keys = list(layers[table])
    readers = dict(zip(keys, get_sync(slices.dask, keys), strict=True))
    mapping = {key[1:]: value for key, value in readers.items()}
    inside = Blockwise(
        reads.output,
        reads.output_indices,
        reads.task,
        reads.indices,
        reads.numblocks,
        io_deps={**reads.io_deps, table: BlockwiseDepDict(mapping, reads.numblocks[table])},
    )
    graph = HighLevelGraph({slices.name: inside}, {slices.name: set()})
    return da.Array(graph, slices.name, slices.chunks, meta=slices._meta)


def mosaic(slices: NDArray[np.float32], *, faint: float = 0.0) -> NDArray[np.float32]:
    """One mosaic of the slices of a pass: the first that holds data gives the pixel.

    One that could not be read might have held data, so none after it stands in for it: a map must
    not depend on what could be read today. What is fainter than the sensor's noise may be the
    border of a slice, so that one that saw more there goes before it.

    >>> a, b = [1.0, np.nan, -np.inf, np.nan, 1e-4], [5.0, 6.0, 7.0, -np.inf, 8.0]
    >>> mosaic(np.array([a, b], np.float32).reshape(2, 1, 1, 5), faint=1e-3).ravel().tolist()
    [1.0, 6.0, -inf, -inf, 8.0]
    """
    out: NDArray[np.float32] = slices[0]
    for other in slices[1:]:
        if np.isnan(other).all():  # it ends before this block
            continue
        weak = (out > -np.inf) & (out < faint) & ((other >= faint) | (other == -np.inf))
        out = np.where(np.isnan(out) | weak, other, out)
    return out[np.newaxis]


def _records(
    passes: Sequence[Sequence[Slice]], bands: Sequence[str], grid: GeoBox, epsg: int
) -> tuple[list[dict[str, Any]], tuple[int, ...]]:
    """Bare item records on the grid, and how many each pass has."""
    crs = CRS.from_epsg(epsg)
    records: list[dict[str, Any]] = []
    counts = []
    for scenes in passes:
        placed = [(scene, _extent(scene, bands, crs)) for scene in scenes]
        here = [
            _record({band: scene[band] for band in bands}, extent, epsg)
            for scene, extent in placed
            if extent is not None and _overlap(extent, grid.boundingbox)
        ]
        # A pass that misses the grid keeps its place in time: an href of None is never read.
        here = here or [_record(dict.fromkeys(bands), tuple(grid.boundingbox), epsg)]
        records += here
        counts.append(len(here))
    return records, tuple(counts)


def _extent(scene: Slice, bands: Sequence[str], crs: CRS) -> Bounds | None:
    """Smallest box, in the grid's CRS, around all bands of a scene."""
    boxes = [scene[band].bounds_in(crs) for band in bands]
    known = [box for box in boxes if box is not None]
    if not known:
        return None
    lefts, bottoms, rights, tops = zip(*known, strict=True)
    return (min(lefts), min(bottoms), max(rights), max(tops))


def _overlap(one: Bounds, other: Any) -> bool:
    return bool(
        one[0] < other.right
        and one[2] > other.left
        and one[1] < other.top
        and one[3] > other.bottom
    )


def _record(assets: Mapping[str, Source | None], extent: Any, epsg: int) -> dict[str, Any]:
    """What stackstac reads of an item, and no more."""
    return {
        "id": next((source.item for source in assets.values() if source), ""),
        "properties": {"datetime": "2000-01-01T00:00:00Z", "proj:epsg": epsg, "proj:bbox": extent},
        "assets": {band: {"href": source} for band, source in assets.items()},
    }
