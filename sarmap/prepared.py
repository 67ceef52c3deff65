"""A request with every open question answered, and the data that it opens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sarmap.detect.protocol import Detector
from sarmap.errors import RequestError
from sarmap.types import CatalogSettings, Chunk, MapRequest, Passes

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from sarmap.detect.protocol import DetectorSpec
    from sarmap.mapping import Judged

RGB = ("red", "green", "blue")
MOST_KEPT = 1280 * 2**20
"""Bytes of pixels up to which a process keeps what it read for the levels until the map is made."""
SHARE_KEPT = 1 / 8
"""Of the memory that it may take, the share that they may."""


@dataclass(frozen=True)
class Prepared:
    """A request with every open question answered."""

    request: MapRequest
    """What was asked."""
    catalog: CatalogSettings
    """Where the data is."""
    detector: Detector
    """The loaded detector."""
    spec: DetectorSpec
    """What the detector reads and how it is tiled."""
    passes: tuple[Passes, ...]
    """One entry per orbit to be mapped."""
    grid: GeoBox
    """The result grid."""
    chunk: int
    """Block edge, pixels."""
    margins: Margins = ((0, 0), (0, 0))
    """Pixels (above, below), (left, right) of the grid that are read too, so that nothing is
    mirrored at its border."""
    looks: tuple[Passes, ...] = ()
    """Per entry of `passes` those whose scenes tell the radar's geometry; empty: the same."""
    judged: tuple[Judged, ...] = ()
    """Per entry of `passes` its levels and noise, for detectors that read evidence; else empty."""
    cubes: tuple[xr.Dataset, ...] = ()
    """Per entry of `passes` its cube, read already; empty: it is read when the map is made."""
    doubts: tuple[str, ...] = ()
    """Why the detector is not to be trusted with this input, a sentence each."""
    layered: bool = False
    """Lay orbits over one another, each pixel from the first that saw it, instead of fusing them
    (with orbit='both': those of one direction, before the directions are fused)."""
    warnings: tuple[str, ...] = ()
    """What a reader of the map should know of these decisions."""


def pin_scenes(prepared: Prepared) -> None:
    """Hold the scenes' files to what they are now, or were when the map to be resumed was begun;
    RequestError where one is another than then.
    """
    from sarmap.acquire.pins import pin_files

    request = prepared.request
    known = _held(request)
    for passes in prepared.passes:
        catalog = passes.catalog
        bands = _bands(prepared.spec.bands, passes)
        radar = {catalog.radar_asset(band)[0] for band in bands if band in catalog.radar_assets}
        optical = {catalog.optical_assets[band][0] for band in bands if band in RGB}
        sought = [(item, key) for one in passes for item in one.items for key in sorted(radar)]
        sought += [(item, key) for item in passes.optical for key in sorted(optical)]
        there = [(item, key) for item, key in sought if key in item.assets]
        pin_files(there, catalog, known, replaced=request.overwrite)


def _held(request: MapRequest) -> Mapping[str, Any] | None:
    """What the files of a map that is to be resumed were held to when it was begun."""
    from sarmap.store.identity import begun_with

    begun = begun_with(str(request.out)) if request.resume and request.out else None
    return None if begun is None else begun.get("files")


def read_grid(prepared: Prepared) -> tuple[GeoBox, Chunk]:
    """The grid that is read, context and all, and its blocks."""
    return widened(prepared.grid, prepared.chunk, prepared.margins)


def fits_in_memory(prepared: Prepared) -> bool:
    """Whether a process keeps the pixels of all passes between the levels and the map."""
    limit = memory_limit(prepared.request, machine_memory())
    read = prepared.spec.bands
    return pixel_bytes(read, prepared.grid, prepared.passes) <= most_kept(limit)


def pixel_bytes(read: Sequence[str], grid: GeoBox, passes: Iterable[Passes]) -> int:
    """Bytes of all passes' pixels, of the bands of which a detector's are made."""
    rows, columns = (int(length) for length in grid.shape)
    return rows * columns * 4 * sum(len([*one]) * len(_bands(read, one)) for one in passes)


def most_kept(memory: int) -> int:
    """Bytes of pixels that a process keeps of so much memory."""
    return min(MOST_KEPT, int(SHARE_KEPT * memory))


def memory_limit(request: MapRequest, machine: int) -> int:
    """Bytes the process may take: as asked, else what the machine has free."""
    from dask.utils import parse_bytes

    if request.memory is None:
        return machine
    try:
        return int(parse_bytes(request.memory))
    except (ValueError, OverflowError) as error:
        raise RequestError(
            f"memory={request.memory!r} is not a size: write it like '2.5GB'."
        ) from error


def machine_memory() -> int:
    """Bytes of the machine, its cgroup or its limits, as distributed counts them.

    Its one module is run alone: the whole package takes 0.2 s to import, and local maps need none.
    """
    from importlib.util import find_spec
    from pathlib import Path
    from runpy import run_path

    found = find_spec("distributed")
    assert found is not None
    assert found.origin is not None
    return int(run_path(str(Path(found.origin).with_name("system.py")))["MEMORY_LIMIT"])


def cube_of(prepared: Prepared, passes: Passes, grid: GeoBox, chunk: Chunk) -> xr.Dataset:
    """The bands that the detector reads and all scenes of these passes have, as pixels."""
    from sarmap.acquire.cube import open_cube

    return open_cube(passes, grid, bands=_bands(prepared.spec.bands, passes), chunk=chunk)


def _bands(read: Sequence[str], passes: Passes) -> tuple[str, ...]:
    """The bands that the detector reads and all scenes of these passes have."""
    from sarmap.compose.names import (
        as_held,
        needs_optical,
        required_radar_bands,
        wanted_radar_bands,
    )

    known = passes.catalog.radar_assets
    needed = as_held(read, required_radar_bands(read), known)
    bands = tuple(
        band
        for band in as_held(read, wanted_radar_bands(read), known)
        if band in needed or (band in known and _all_have(passes, band))
    )
    if needs_optical(read):
        bands += tuple(b for b in read if b in RGB)
    return bands


def _all_have(passes: Passes, band: str) -> bool:
    asset, _ = passes.catalog.radar_asset(band)
    return all(asset in item.assets for one in passes for item in one.items)


def terrain_of(
    prepared: Prepared, look: Passes, grid: GeoBox, chunk: Chunk
) -> tuple[xr.Dataset | None, tuple[str, ...]]:
    """Terrain with layover and shadow; its absence is an error only where the detector reads it."""
    from sarmap.acquire.terrain import open_terrain
    from sarmap.compose.names import needs_terrain, reads_evidence

    blind = "layover and shadow are not marked in this map"
    bands = prepared.spec.bands
    needed = needs_terrain(bands) and not reads_evidence(bands)  # evidence copes without
    if prepared.catalog.dem_collection is None and not needed:
        return None, (f"Catalogue {prepared.catalog.name!r} has no elevation: {blind}.",)
    held = None if prepared.request.overwrite else _held(prepared.request)
    begun = any(name.endswith(f" {prepared.catalog.dem_asset}") for name in held or ())
    try:
        seen = look if prepared.catalog.look_known else None
        terrain = open_terrain(grid, catalog=prepared.catalog, passes=seen, chunk=chunk, known=held)
    except RequestError as error:
        if needed or begun:  # a map that had elevation does not go on without
            raise
        return None, (f"No elevation ({error}): {blind}.",)
    notes = tuple(json.loads(terrain.attrs["notes"]))
    if not prepared.catalog.look_known:
        return terrain, (f"The files do not say from where the radar looked: {blind}.", *notes)
    if terrain.attrs.get("incidence_source") == "assumed mid-swath":
        return terrain, (
            "The scenes do not say at what angle the radar looked, so layover and shadow are those "
            "of the middle of the swath.",
            *notes,
        )
    return terrain, notes


Margins = tuple[tuple[int, int], tuple[int, int]]
"""Pixels (above, below), (left, right) of a grid."""


def widened(grid: GeoBox, chunk: int, margins: Margins) -> tuple[GeoBox, Chunk]:
    """The grid that is read, context and all, and its blocks: cropped, they are whole blocks."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    (above, below), (left, right) = margins
    if not any((above, below, left, right)):
        return grid, chunk
    height, width = (int(length) for length in grid.shape)
    corner = grid.affine * Affine.translation(-left, -above)
    wide = GeoBox((above + height + below, left + width + right), corner, grid.crs)
    return wide, (blocks_of(height, chunk, (above, below)), blocks_of(width, chunk, (left, right)))


def blocks_of(length: int, chunk: int, margin: tuple[int, int]) -> tuple[int, ...]:
    """Block lengths of an axis with its context.

    >>> blocks_of(2500, 1024, (16, 48))
    (1040, 1024, 500)
    """
    blocks = [min(chunk, length - start) for start in range(0, length, chunk)]
    blocks[0] += margin[0]
    blocks[-1] += margin[1]
    return tuple(blocks)


def cropped(data: Any, grid: GeoBox, margins: Margins) -> Any:
    """A Dataset or DataArray without its context; windows whose centre lies in it are left out."""
    from sarmap.acquire.cube import grid_coords

    if not any(map(any, margins)):
        return data
    own = {
        dim: slice(before, before + int(length))
        for dim, (before, _), length in zip(("y", "x"), margins, grid.shape, strict=True)
    }
    kept = data.isel(own).assign_coords(grid_coords(grid))
    box = grid.boundingbox
    for dim, low, high in (("y", box.bottom, box.top), ("x", box.left, box.right)):
        name = f"window_{dim}"
        if name in kept.dims:
            inside = (kept[name].values > low) & (kept[name].values <= high)
            kept = kept.isel({name: inside})
    return kept
