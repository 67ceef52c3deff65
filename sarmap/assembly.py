"""From a request to its lazy map: every decision taken, nothing read yet.

`prepare` takes the decisions (catalogue, detector, bands, passes, grid, block size); `assemble`
hangs the rooms together in the order of the route: cube, terrain, composite, predict, fuse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError
from sarmap.prepared import (
    Prepared,
    cropped,
    cube_of,
    fits_in_memory,
    pin_scenes,
    read_grid,
    terrain_of,
)
from sarmap.types import CatalogSettings, MapRequest, Passes

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from sarmap.choosing import Chosen
    from sarmap.mapping import Judged

DEFAULT_CHUNK = 1024
LATTICE_CHUNK = 128
"""Block edge of the terrain at an eighth of its resolution: enough blocks for all cores."""


@dataclass(frozen=True)
class Assembly:
    """The lazy map and what a picture of it needs."""

    dataset: xr.Dataset
    """probability, observation (y, x), with slope where terrain was read."""
    composite: xr.DataArray
    """The first orbit's composite (band, y, x)."""
    warnings: tuple[str, ...]
    """What a reader of the map should know."""
    spoilt: xr.Dataset | None = None
    """Which answers depend on readings that failed beyond their own block, in another orbit or in
    the map's control, as ``spoilt`` (y, x) and for windows ``window_spoilt``; None: none can."""
    elevation: Mapping[str, Any] = field(default_factory=dict)
    """What each file of elevation is held to."""
    control: xr.Dataset | None = None
    """Of one orbit: the same detector's answers before the event, where they were asked for."""


def prepare(request: MapRequest, *, warm: bool = False) -> Prepared:
    """Take every decision a map needs: catalogue, detector, passes, grid and block size.

    With `warm` the network is made ready on a thread while the catalogue is asked, and what is read
    is kept for the map, which this process makes. Raises RequestError where the request cannot be
    served as given, CatalogError where the catalogue cannot be reached.
    """
    from odc.geo.geobox import GeoBox

    from sarmap.acquire.archives import from_first
    from sarmap.acquire.area import parse_area
    from sarmap.acquire.grid import make_grid
    from sarmap.acquire.instants import parse_event
    from sarmap.acquire.own_request import completed, left_out
    from sarmap.choosing import choose_detector
    from sarmap.net.signing import check_login

    request = completed(request)
    place = parse_area(request.area)
    lies = request.area if isinstance(request.area, GeoBox) else place
    grid = make_grid(lies, crs=request.crs, resolution=request.resolution)
    event = None if request.event is None else parse_event(request.event)
    request = request.model_copy(update={"area": place, "event": event})
    archives = _archives(request)

    def ask(catalog: CatalogSettings) -> tuple[CatalogSettings, Chosen]:
        check_login(catalog)
        return catalog, choose_detector(request, catalog, warm=warm and catalog is archives[0])

    (catalog, chosen), whys = from_first(archives, ask)
    chunk = request.chunk or DEFAULT_CHUNK
    prepared = Prepared(
        request,
        catalog,
        chosen.detector,
        chosen.spec,
        chosen.passes,
        grid,
        chunk,
        warnings=(*whys, *chosen.warnings, *left_out(request, chosen.passes, chosen.spec.name)),
    )
    return levelled(prepared, warm=warm)


def _archives(request: MapRequest) -> tuple[CatalogSettings, ...]:
    """The archives to be asked; of a map that is continued, the one that it was begun with."""
    from sarmap.acquire.own_request import archives_for
    from sarmap.store.identity import begun_with

    archives = archives_for(request)
    begun = begun_with(str(request.out)) if request.resume and request.out else None
    named = (begun or {}).get("catalogue", [""])[0]
    return tuple(one for one in archives if one.name == named) or archives


def levelled(prepared: Prepared, *, warm: bool = False) -> Prepared:
    """With the levels and noise of each orbit, where the detector reads evidence.

    Reads the coarse lattice of all passes. For 'auto' the detector without weights takes the
    network's place where the network was not made for such input, and the warnings say why. With
    `warm` the pixels stay in memory, where they are not too many, so that a map made in this
    process reads them once.
    """
    from sarmap.compose.names import reads_evidence
    from sarmap.detect.protocol import describe
    from sarmap.mapping import judge, suited

    if prepared.judged:
        return prepared
    if not reads_evidence(prepared.spec.bands):
        return _looked_at(prepared) if prepared.request.from_files else prepared
    pin_scenes(prepared)
    keep = warm and fits_in_memory(prepared)
    looks = prepared.looks or prepared.passes
    judged, opened, cubes = [], [], []
    grid, chunk = read_grid(prepared)
    for passes, look in zip(prepared.passes, looks, strict=True):
        cube = cube_of(prepared, passes, grid, chunk)
        terrain, _ = terrain_of(prepared, look, _lattice_grid(grid), LATTICE_CHUNK)
        with _many_threads():
            if keep:
                cubes.append(cube := cube.persist())
            judged.append(judge(cube, terrain, level=prepared.request.level, coarse=True))
        opened.append(partial(_part, prepared, passes, look, grid, cube if keep else None))
    request = prepared.request
    asked = "auto" if request.detector == "auto" else prepared.detector
    with _many_threads():
        detector = suited(
            asked,
            judged,
            opened,
            spacing=abs(float(grid.affine.a)),
            engine=request.engine,
            precision=request.precision,
        )
    spec = describe(detector)
    known = replace(
        prepared, detector=detector, spec=spec, judged=tuple(judged), cubes=tuple(cubes)
    )
    return _with_doubts(known, prepared.spec.name)


def _part(
    prepared: Prepared,
    passes: Passes,
    look: Passes,
    grid: GeoBox,
    kept: xr.Dataset | None,
    rows: slice,
    columns: slice,
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Cube and terrain of some rows and columns of a grid; pixels of what is kept, else read."""
    part = grid[rows, columns]
    chunk = max(int(length) for length in part.shape)
    if kept is None:
        cube = cube_of(prepared, passes, part, chunk)
    else:
        cube = kept.isel(y=rows, x=columns).chunk({"y": chunk, "x": chunk})
    return cube, terrain_of(prepared, look, part, chunk)[0]


def levels_record(prepared: Prepared) -> list[dict[str, Any]]:
    """What each pass lay above those before the event, dB, and off them; empty: not levelled."""
    from sarmap.mapping import pass_record

    return [
        {"role": one.role, "datetime": one.datetime.isoformat(), "orbit_state": passes.orbit_state}
        | pass_record(known.levelling, number)
        for passes, known in zip(prepared.passes, prepared.judged, strict=False)
        for number, one in enumerate(passes)
    ]


def _looked_at(prepared: Prepared) -> Prepared:
    """With what is doubtful about the values of files; what cannot be power is refused."""
    from sarmap.mapping import look_at

    if prepared.catalog.scaling is not None:
        return prepared
    with _many_threads():
        doubts = {look_at(passes, prepared.grid) for passes in prepared.passes} - {""}
    said = (f"{doubt[0].upper()}{doubt[1:]}." for doubt in sorted(doubts))
    return replace(prepared, warnings=(*prepared.warnings, *said))


def _lattice_grid(grid: GeoBox) -> GeoBox:
    """The grid of the coarse lattice: cells of 8 x 8 pixels, the last ones beyond the border."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    from sarmap.compose.lattice import CELL

    rows, columns = (-(-int(length) // CELL) for length in grid.shape)
    return GeoBox((rows, columns), grid.affine * Affine.scale(CELL), grid.crs)


def _with_doubts(prepared: Prepared, asked: str) -> Prepared:
    """With what a reader must know where the detector asked for was not made for this input;
    RequestError where a strict request names one that is not to be trusted here.
    """
    used = prepared.spec.name
    notes = {note.text for one in prepared.judged for note in one.notes_on(asked)}
    why = "; ".join(sorted(notes))
    if notes and asked != used:
        said = f"Mapped with {used!r} instead of {asked!r}, which was not made for this: {why}."
        prepared = replace(prepared, warnings=(*prepared.warnings, said))
    doubts = {note.text for one in prepared.judged for note in one.notes_on(used)}
    if not doubts:
        return prepared
    why = "; ".join(sorted(doubts))
    sentence = f"Do not trust this map as it is: {used!r} was not made for this: {why}."
    if prepared.request.strict:
        raise RequestError(f"{sentence} The request is strict, so nothing was mapped.")
    return replace(prepared, doubts=(sentence,), warnings=(*prepared.warnings, sentence))


@contextmanager
def _many_threads() -> Iterator[None]:
    """Reads wait for the network: many more threads than cores."""
    import dask
    from dask.threaded import get

    with ThreadPoolExecutor(16) as pool, dask.config.set(scheduler=get, pool=pool):
        yield


def assemble(prepared: Prepared) -> Assembly:
    """The lazy map of a prepared request; several orbits are fused. RequestError where an item
    lacks a band, an asset or its projection, or elevation is missing.
    """
    from sarmap.detect.layering import add_control, any_of, unread_of

    looks = prepared.looks or prepared.passes
    judged = prepared.judged or (None,) * len(prepared.passes)
    grid, chunk = read_grid(prepared)
    cubes = prepared.cubes or [cube_of(prepared, one, grid, chunk) for one in prepared.passes]
    parts = [
        _assemble_orbit(prepared, *orbit)
        for orbit in zip(prepared.passes, cubes, looks, judged, strict=True)
    ]
    said = (*prepared.warnings, *(w for part in parts for w in part.warnings))
    warnings = tuple(dict.fromkeys(said))
    dataset, unread = _joined(prepared, [part.dataset for part in parts])
    controls = [part.control for part in parts if part.control is not None]
    if controls:
        control, unread_there = _joined(prepared, controls)
        unread += [one.drop_vars("window_spoilt", errors="ignore") for one in unread_there]
        unread.append(unread_of(control).to_dataset(name="spoilt"))
        add_control(dataset, control)
    held = {name: pin for part in parts for name, pin in part.elevation.items()}
    return Assembly(dataset, parts[0].composite, warnings, spoilt=any_of(unread), elevation=held)


def _joined(prepared: Prepared, parts: list[xr.Dataset]) -> tuple[xr.Dataset, list[xr.Dataset]]:
    """All orbits' maps as one, and where what their answers look at could not be read."""
    from sarmap.detect.layering import join_orbits

    if not prepared.layered:
        return join_orbits(parts)
    apart = prepared.request.orbit == "both"
    kinds = [passes.orbit_state if apart else "" for passes in prepared.passes]
    return join_orbits(parts, [passes.relative_orbit for passes in prepared.passes], kinds)


def _assemble_orbit(
    prepared: Prepared, passes: Passes, cube: xr.Dataset, look: Passes, judged: Judged | None
) -> Assembly:
    """Terrain, composite and prediction of one orbit's cube, on the map's own grid."""
    from sarmap.compose.composites import make_composite

    spec = prepared.spec
    grid, chunk = read_grid(prepared)
    terrain, warnings = terrain_of(prepared, look, grid, chunk)
    warnings = (*passes.notes, *json.loads(cube.attrs["notes"]), *warnings)
    levelling = judged.levelling if judged is not None else None
    composite = make_composite(cube, terrain, spec.bands, scaling=spec.scaling, levelling=levelling)
    dataset = _predicted(prepared, composite)
    if terrain is not None:
        dataset["slope"] = terrain["slope"]
    control = None
    if prepared.request.control:
        from sarmap.compose.control_cube import as_control

        earlier = as_control(cube, spec.bands)
        before = make_composite(earlier, terrain, spec.bands, scaling=spec.scaling)
        control = cropped(_predicted(prepared, before), prepared.grid, prepared.margins)
    return Assembly(
        cropped(dataset, prepared.grid, prepared.margins),
        cropped(composite, prepared.grid, prepared.margins),
        warnings,
        elevation={} if terrain is None else json.loads(terrain.attrs["dem_files"]),
        control=control,
    )


def _predicted(prepared: Prepared, composite: xr.DataArray) -> xr.Dataset:
    """The detector's answers, and which of them depend on unread pixels of another block."""
    from sarmap.detect.prediction import predict, stride_of

    spec, overlap = prepared.spec, prepared.request.overlap
    side_by_side = spec.kind == "segment" and stride_of(spec, overlap) == spec.tile
    own_ground = side_by_side and not spec.halo and prepared.chunk % spec.tile == 0
    spoilt = not own_ground or any(map(any, prepared.margins))
    return predict(composite, prepared.detector, overlap=overlap, spoilt=spoilt)
