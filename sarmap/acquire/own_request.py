"""A request over files of one's own, completed: the grid and the catalogue that the files are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from affine import Affine
from pyproj import CRS
from rasterio.crs import CRS as RasterCRS

from sarmap.acquire.archives import archives_of
from sarmap.acquire.area import parse_area
from sarmap.acquire.files import POLARISATIONS, source_of
from sarmap.acquire.grid import bounds_in, make_grid
from sarmap.acquire.hdf5 import is_hdf5
from sarmap.acquire.own_passes import ATTRIBUTION, OwnScene, own_passes, own_scenes
from sarmap.acquire.pairing import SAME_PASS
from sarmap.acquire.projection import Bounds
from sarmap.acquire.quakes import from_quake
from sarmap.acquire.source import Source
from sarmap.acquire.tiles import METRES_PER_DEGREE
from sarmap.errors import RequestError
from sarmap.request_file import as_path
from sarmap.types import CatalogSettings, MapRequest, Passes

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

_OF_A_SEARCH = {"catalog": "--catalog", "trust_catalog": "--trust-catalog", "orbit": "--orbit"}
_OF_A_SEARCH |= {"relative_orbit": "--relative-orbit", "verify": "--verify"}
_OF_A_SEARCH |= {"before_days": "--before-days", "after_days": "--after-days"}
_OF_A_SEARCH |= {"pre": "--pre NUMBER", "post": "--post NUMBER"}


def completed(request: MapRequest) -> MapRequest:
    """A request of an earthquake with what it says; one of files with the catalogue that they are.

    Of files the area becomes the grid to be mapped: the first pass's own, where it is in metres and
    no other was asked for. Raises RequestError where a file cannot be read, they hold no band in
    common, or something was given that is for the search of a catalogue.
    """
    request = from_quake(request)
    if not request.from_files:
        if request.times is not None:
            raise RequestError(
                "times= (--times) are those of files: give pre_files and post_files."
            )
        return request
    defaults = type(request).model_fields
    for name, flag in _OF_A_SEARCH.items():
        if getattr(request, name) != defaults[name].default:
            raise RequestError(
                f"{name}= ({flag}) is for the search of a catalogue, and the passes were given as "
                "files: leave it out."
            )
    scenes = own_scenes(request.pre_files, request.post_files, request.times)
    grid = _grid(request, scenes)
    catalog = _with_dem(_settings(scenes, request.scaling), request.dem)
    changes = {"area": grid, "resolution": abs(grid.affine.a), "catalog": catalog}
    return request.model_copy(update=changes)


def archives_for(request: MapRequest) -> tuple[CatalogSettings, ...]:
    """The archives that may serve a completed request, told all that it says of their data;
    RequestError where the catalogue, the list of archives or the elevation file cannot be used.
    """
    archives = archives_of(request.catalog, trusted=request.trust_catalog, verify=request.verify)
    if request.from_files:
        return archives
    told = (replace(one, scaling=request.scaling or one.scaling) for one in archives)
    return tuple(_with_dem(one, request.dem) for one in told)


def passes_in_files(
    request: MapRequest, *, pre: int | None = None, post: int | None = None
) -> Passes:
    """The passes of a completed request, so many before and after; None: all. Raises RequestError
    as `own_passes` does.
    """
    scenes = own_scenes(request.pre_files, request.post_files, request.times)
    place = parse_area(request.area)
    return own_passes(scenes, place, request.event, request.catalog, pre=pre, post=post)


def left_out(request: MapRequest, passes: Sequence[Passes], detector: str) -> tuple[str, ...]:
    """Which of the files a map does not read, in a sentence; none where it reads all."""
    if not request.from_files:
        return ()
    read = {item.id for one in passes for each in one for item in each.items}
    scenes = own_scenes(request.pre_files, request.post_files, request.times)
    unread = [one.name for one in scenes if one.name not in read]
    if not unread:
        return ()
    return (f"Not read, since {detector!r} reads fewer passes: {', '.join(unread)}.",)


def _settings(scenes: Sequence[OwnScene], scaling: Any) -> CatalogSettings:
    """What the files are read with: the bands that all of them hold."""
    bands = [band for band in POLARISATIONS if all(band in one.files for one in scenes)]
    if not bands:
        held = "; ".join(f"{one.name} holds {', '.join(one.files).upper()}" for one in scenes)
        raise RequestError(f"The passes have no polarisation in common: {held}.")
    sentinel = all(one.satellite != "UNKNOWN" for one in scenes)
    return CatalogSettings(
        name="files",
        url="",
        radar_collection="files",
        radar_assets={band: band for band in bands},
        scaling=scaling,
        projection_from_file=True,
        dem_collection=None,
        optical_collection=None,
        trusted=True,
        look_known=False,
        attribution=ATTRIBUTION if sentinel else "",
    )


def _with_dem(settings: CatalogSettings, dem: Any) -> CatalogSettings:
    """The same with elevation from a file of one's own, where one is given."""
    if dem is None:
        return settings
    path = as_path(dem)
    if is_hdf5(path):
        raise RequestError(f"{path.name} is HDF5: give the elevation as GeoTIFF (--dem FILE.tif).")
    source_of(path, 1, "elevation")  # refused here where it cannot be opened or placed
    return replace(settings, dem_file=str(path.resolve()), dem_collection=path.stem)


def _grid(request: MapRequest, scenes: Sequence[OwnScene]) -> GeoBox:
    """The grid of the first pass, cut to the area; or the one that was asked for."""
    from odc.geo.geobox import GeoBox

    first = [
        source_of(*one.files[band], band)
        for one in scenes
        for band in list(one.files)[:1]
        if not one.after and one.dated - scenes[0].dated <= SAME_PASS
    ]
    own = first[0]
    bounds = _extent(first)
    lattice, epsg = _lattice(own), CRS.from_user_input(own.crs).to_epsg()
    asked = "resolution" in request.model_fields_set
    if request.crs is not None or asked or lattice is None or epsg is None:
        whole = GeoBox.from_bbox(bounds, crs=own.crs, shape=(32, 32))
        place = parse_area(whole if request.area is None else request.area)
        resolution = request.resolution if asked else _metres(own)
        return make_grid(place, crs=request.crs, resolution=resolution)
    if request.area is not None:
        bounds = bounds_in(parse_area(request.area), epsg)
    return _cut(lattice, epsg, bounds)


def _extent(sources: Sequence[Source]) -> Bounds:
    """Extent of all of them in the first one's CRS."""
    crs = RasterCRS.from_user_input(sources[0].crs)
    boxes = [bounds for one in sources if (bounds := one.bounds_in(crs)) is not None]
    left, bottom = (min(box[n] for box in boxes) for n in (0, 1))
    right, top = (max(box[n] for box in boxes) for n in (2, 3))
    return left, bottom, right, top


def _lattice(source: Source) -> Affine | None:
    """The lattice of a file that a map can lie on: in metres, square and north up; else None."""
    known = CRS.from_user_input(source.crs)
    lattice = source.transform
    assert lattice is not None
    in_metres = known.is_projected and all(axis.unit_name == "metre" for axis in known.axis_info)
    upright = lattice.b == lattice.d == 0 and lattice.a > 0 > lattice.e
    square = math.isclose(lattice.a, -lattice.e, rel_tol=1e-6)
    return lattice if in_metres and upright and square else None


def _metres(source: Source) -> float:
    """Pixel edge of a file in whole metres."""
    assert source.transform is not None
    degrees = CRS.from_user_input(source.crs).is_geographic
    size = abs(source.transform.e) * (METRES_PER_DEGREE if degrees else 1.0)
    return max(1.0, float(round(size)))


def _cut(lattice: Affine, epsg: int, bounds: Bounds) -> GeoBox:
    """The part of an endless lattice that covers bounds."""
    from odc.geo.geobox import GeoBox

    left, top = ~lattice * (bounds[0], bounds[3])
    right, bottom = ~lattice * (bounds[2], bounds[1])
    column, row = math.floor(left + 1e-3), math.floor(top + 1e-3)
    width = max(math.ceil(right - 1e-3) - column, 1)
    height = max(math.ceil(bottom - 1e-3) - row, 1)
    return GeoBox((height, width), lattice * Affine.translation(column, row), f"EPSG:{epsg}")
