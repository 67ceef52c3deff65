"""Radar passes in files on disk: their headers to what the reader reads, on the first one's grid.

The same reader, warp and three states of a pixel as for scenes of a catalogue: the same pixels give
the same map. HyP3, SNAP and pyroSAR write one file for each polarisation or one of two bands, OPERA
and NISAR HDF5 too; a band's name is taken from its description, the file's name, or its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rasterio
import xarray as xr
from affine import Affine
from rasterio.errors import RasterioError

from sarmap.acquire.cube import grid_coords, other_band, radar_layers
from sarmap.acquire.handles import DRIVER
from sarmap.acquire.hdf5 import Hdf5Raster, is_hdf5
from sarmap.acquire.loader import Slice, check_grid
from sarmap.acquire.projection import lattice_bounds
from sarmap.acquire.source import Source
from sarmap.errors import RequestError
from sarmap.net.reach import Reach
from sarmap.request_file import as_path
from sarmap.types import CatalogSettings

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

ON_DISK = CatalogSettings(name="files", url="", trusted=True)
"""What files on disk are read with."""
POLARISATIONS = ("vv", "vh", "hh", "hv")
_NAMED = re.compile(r"(?:^|[^A-Za-z])(vv|vh|hh|hv)(?:[^A-Za-z]|$)", re.IGNORECASE)

_LONG_WAVES = re.compile(r"ALOS|PALSAR|SAOCOM|NISAR", re.IGNORECASE)
"""Parts of the names of L-band products."""


def read_passes(passes: Sequence[Any], *, scaling: str, chunk: int) -> xr.Dataset:
    """Passes in files as one lazy cube on the grid of the first file, in blocks of `chunk` pixels.

    Each pass is a path, or a mapping of band to path; `scaling` is 'power', 'amplitude', 'db' or
    'dn', factor and offset each file's own. Raises RequestError where a file cannot be opened or
    placed, or passes hold different bands.
    """
    values = None if scaling == "power" else scaling
    scenes = [_scene(one, number, values) for number, one in enumerate(passes, start=1)]
    bands = tuple(band for band in POLARISATIONS if band in scenes[0])
    for number, scene in enumerate(scenes, start=1):
        if tuple(band for band in POLARISATIONS if band in scene) != bands:
            raise RequestError(
                f"Pass {number} holds {', '.join(scene)} and pass 1 {', '.join(bands)}: give all "
                "passes the same bands."
            )
    grid = _grid_of(scenes[0][bands[0]])
    layers = radar_layers([[scene] for scene in scenes], bands, grid, ON_DISK, chunk)
    firsts = [Path(scene[bands[0]].href) for scene in scenes]
    told = other_band(radar_band(path.name, path) for path in firsts)
    return xr.Dataset(layers, coords=dict(grid_coords(grid)), attrs={"frequency_band": told})


def radar_band(name: str, path: Path) -> str:
    """The letter of a pass's wavelength: by its satellite's name, or the tag RADAR_BAND; else C."""
    if _LONG_WAVES.search(name):
        return "L"
    with opened(path) as file:
        return str(file.tags().get("RADAR_BAND", "C"))


def band_files(one: Any, number: int) -> dict[str, tuple[Path, int]]:
    """Band -> (file, one-based band) of a pass given as a path or a mapping of paths."""
    if isinstance(one, Mapping):
        return {str(band).lower(): (as_path(path), 1) for band, path in one.items()}
    if not isinstance(one, str | Path):
        raise RequestError(
            f"Pass {number} is a {type(one).__name__}: give a Dataset, a path, or a mapping of "
            "bands to paths."
        )
    path = as_path(one)
    with opened(path) as file:
        said = [_name_in(text or "") for text in file.descriptions]
        count = file.count
    if count == 1:
        return {said[0] or _name_in(path.stem) or "vv": (path, 1)}
    if not all(said[:2]) or said[0] == said[1]:
        said = ["vv", "vh"]
    return {str(name): (path, band) for band, name in enumerate(said[:4], start=1) if name}


def _name_in(text: str) -> str | None:
    """The polarisation that a description or a file name gives; None where it gives none.

    >>> _name_in("S1A_IW_20180901_RTC10_VH"), _name_in("Gamma0_VV"), _name_in("average")
    ('vh', 'vv', None)
    """
    found = _NAMED.findall(text)
    return found[-1].lower() if found else None


def _scene(one: Any, number: int, scaling: str | None) -> Slice:
    files = band_files(one, number)
    unknown = [band for band in files if band not in POLARISATIONS]
    if unknown or not files:
        raise RequestError(
            f"Pass {number} names {', '.join(unknown) or 'no band'}: bands are "
            f"{', '.join(POLARISATIONS)}."
        )
    by_name = isinstance(one, Mapping)  # and no number: of several bands the file says which
    sources = {band: source_of(path, index, band) for band, (path, index) in files.items()}
    return {
        band: replace(source, scaling=scaling, name=band if by_name else "", numbered=not by_name)
        for band, source in sources.items()
    }


def source_of(path: Path, index: int, band: str) -> Source:
    """What to read of a file's one-based band, placed by its own header; RequestError where it
    cannot be opened or has no map projection.
    """
    with opened(path) as file:
        if not file.crs:
            points = "ground control points and " if file.gcps[0] else ""
            raise RequestError(
                f"{path.name} has {points}no map projection: it is no terrain-corrected product "
                "(RTC); order or make one (HyP3, SNAP, pyroSAR), or write the projection into it."
            )
        epsg = file.crs.to_epsg()
        return Source(
            item=path.name,
            asset=band,
            href=str(path.resolve()),
            band=index,
            crs=f"EPSG:{epsg}" if epsg else file.crs.to_wkt(),
            bounds=lattice_bounds(file.transform, file.shape),
            transform=file.transform,
            reach=Reach(trusted=True),
        )


def opened(path: Path) -> Any:
    """A raster, open, of a format that its pixels can be read in, too; RequestError where it cannot
    be opened.
    """
    try:
        return Hdf5Raster(path) if is_hdf5(path) else rasterio.open(path, driver=DRIVER)
    except (RasterioError, OSError) as error:
        raise RequestError(
            f"{path.name} cannot be opened: {error}. Give GeoTIFF (gdal_translate makes it of "
            "others), or the HDF5 of OPERA RTC-S1 or NISAR GCOV (.h5)."
        ) from None


def _grid_of(source: Source) -> GeoBox:
    """The grid of a file, north up."""
    from odc.geo.geobox import GeoBox

    assert source.transform is not None
    left, bottom, right, top = source.bounds
    step_x, step_y = abs(source.transform.a), abs(source.transform.e)
    shape = (round((top - bottom) / step_y), round((right - left) / step_x))
    grid = GeoBox(shape, Affine(step_x, 0, left, 0, -step_y, top), source.crs)
    check_grid(grid)
    return grid


def read_plane(path: str | Path) -> xr.DataArray:
    """The first band of a raster (y, x), NaN where it holds no data, with its coordinates;
    RequestError where it cannot be opened.
    """
    import rioxarray

    where = as_path(path)
    try:
        plane: Any = rioxarray.open_rasterio(where, masked=True, chunks=1024)
    except (RasterioError, OSError) as error:
        raise RequestError(f"{where.name} cannot be opened as a raster: {error}") from None
    first: xr.DataArray = plane.isel(band=0, drop=True)
    return first
