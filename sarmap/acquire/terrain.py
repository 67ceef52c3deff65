"""Elevation, slope and what the radar's geometry makes of them, lazily, on the map's grid.

Everything is made at the elevation's own resolution on the mother grid (`sarmap.acquire.dem`):
heights, Horn's slope, incidence, layover and shadow. Only then is it brought to the map's grid, by
cubic interpolation (Nava et al. 2022: never nearest), each block reading as much around it as the
kernels reach: so no block border shows, and the values do not depend on the blocks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from rasterio.crs import CRS

from sarmap.acquire.catalogs import resolve_catalog
from sarmap.acquire.cube import grid_coords
from sarmap.acquire.dem import CELL, Dem, find_dem, from_cells
from sarmap.acquire.incidence import LookModel, look_model
from sarmap.acquire.loader import block_lengths, check_grid
from sarmap.acquire.slope import HALO, Lattice, cell_hidden, horn, slope_degrees
from sarmap.errors import RequestError
from sarmap.types import CatalogSettings, Chunk, Observation, Passes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from affine import Affine
    from odc.geo.geobox import GeoBox

Field = NDArray[np.float32]

ATTRS: dict[str, dict[str, Any]] = {
    "dem": {"units": "m", "long_name": "elevation", "standard_name": "surface_altitude"},
    "slope": {"units": "degree", "long_name": "slope angle"},
    "incidence": {"units": "degree", "long_name": "local incidence angle"},
    "layover_shadow": {"long_name": "hidden from the radar by layover or shadow"},
    "observation": {
        "long_name": "what is known of the pixel",
        "flag_values": [int(code) for code in Observation],
        "flag_meanings": " ".join(code.meaning for code in Observation),
    },
}

_HIDDEN, _UNKNOWN = np.uint8(1), np.uint8(2)
"""Sight of a pixel in layover or shadow, and of one whose surroundings could not be read."""
MARGIN_CELLS = 2
"""Mother-grid cells around the map for which elevation is looked up."""


def open_terrain(
    grid: GeoBox,
    *,
    catalog: str | CatalogSettings | Mapping[str, Any],
    passes: Passes | None = None,
    chunk: Chunk = 1024,
    known: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Terrain under a grid, lazily.

    Parameters
    ----------
    grid
        odc-geo GeoBox of the result: projected in metres, north up.
    catalog
        Where the elevation tiles are: a preset, the URL of a STAC API, or settings.
    passes
        Radar passes whose geometry is wanted too.
    chunk
        Block edge in pixels, or all blocks' lengths along y and x. The values do not depend on it.
    known
        What an earlier run of the map held the tiles' files to, as the attribute `dem_files` has
        it; None: there was none.

    Returns
    -------
    Dataset of `dem` (metres) and `slope` (degrees), (y, x) float32, NaN where there is no
    elevation, and `observation` (y, x) uint8 (`sarmap.types.Observation`). With `passes` also
    `incidence` (y, x) float32, the local incidence angle in degrees, and `layover_shadow` (y, x)
    bool. Attributes: `attribution`, `dem_tiles` (ids as JSON), `dem_files` (what each is held to),
    `dem_resolution` (metres), `notes` (sentences as JSON, on records that contradict their files)
    and, with passes, `incidence_source`.

    Raises
    ------
    RequestError
        The grid is not projected in metres; the catalogue has no elevation collection, or no tile
        under the grid; neither a tile's file nor its record says where its pixels lie; a file is
        another one than `known` says. Squares
        without a tile beside others with one are taken for open sea: no_data, with a warning in
        the log.
    CatalogError
        The catalogue cannot be reached.
    """
    settings = catalog if isinstance(catalog, CatalogSettings) else resolve_catalog(catalog)
    crs = CRS.from_epsg(check_grid(grid))
    if not crs.is_projected or crs.linear_units_factor[1] != 1.0:
        raise RequestError(
            f"Slope needs a projected grid in metres, and this one is in {crs}: give crs= as a UTM "
            "zone, e.g. 'EPSG:32654'."
        )
    chunks = block_lengths(grid.shape, chunk)
    # The halo of layover reaches one cell out, and 30 m is the usual cell's pixel.
    margin = MARGIN_CELLS * CELL * 30.0 + 500.0 if passes else 500.0
    dem = find_dem(grid, settings, margin=margin, known=known)
    look = None if passes is None else look_model(passes)
    maker = _Maker(dem, look, grid.affine, chunks)
    return _dataset(maker, grid, settings)


def _dataset(maker: _Maker, grid: GeoBox, settings: CatalogSettings) -> xr.Dataset:
    """The layers of a maker as named variables; what nobody asks for is never made."""
    variables: dict[str, Any] = {}
    for name, dtype in maker.layers.items():
        layer: da.Array = da.map_blocks(
            maker.block, name, dtype=dtype, chunks=maker.chunks, meta=np.empty((0, 0), dtype)
        )
        variables[name] = (("y", "x"), layer, ATTRS[name])
    attrs: dict[str, Any] = {
        "attribution": settings.dem_attribution or settings.attribution,
        "dem_tiles": json.dumps(maker.dem.tiles),
        "dem_files": json.dumps(maker.dem.files),
        "dem_resolution": maker.dem.resolution,
        "notes": json.dumps(maker.dem.notes),
    }
    if maker.look is not None:
        attrs["incidence_source"] = maker.look.source
    return xr.Dataset(variables, coords=grid_coords(grid), attrs=attrs)


@dataclass(frozen=True)
class _Maker:
    """Makes one block of terrain; travels with each task."""

    dem: Dem
    """Elevation on the mother grid."""
    look: LookModel | None
    """The radar's geometry; None: not wanted."""
    transform: Affine
    """Pixel of the map's grid to its CRS."""
    chunks: tuple[tuple[int, ...], tuple[int, ...]]
    """Block lengths along y and x, pixels."""

    @property
    def layers(self) -> dict[str, Any]:
        """Names and dtypes of what a block may hold."""
        always = {"dem": np.float32, "slope": np.float32, "observation": np.uint8}
        seen = {"incidence": np.float32, "layover_shadow": np.bool_}
        return always if self.look is None else {**always, **seen}

    def block(self, name: str, block_info: Any) -> NDArray[Any]:
        """One layer (y, x) of the block at `block_info`."""
        (top, bottom), (left, right) = block_info[None]["array-location"]
        lattice = self._lattice(top, bottom, left, right)
        if name == "layover_shadow":
            return np.asarray(self._sight(lattice) == _HIDDEN)
        rows, columns = lattice.reach(1)
        raw = self.dem.heights(rows, columns)
        if name == "observation":
            codes = _codes(raw, lattice, (rows.start, columns.start))
            if self.look is not None:
                codes[self._sight(lattice) == _UNKNOWN] = Observation.READ_FAILED
            return codes
        inner = (rows.start + 1, columns.start + 1)
        heights = np.where(np.isfinite(raw), raw, np.float32(np.nan))
        if name == "dem":
            return lattice.cubic(heights[1:-1, 1:-1], *inner)
        east, north = horn(heights, self.dem.resolution)
        if name == "slope":
            # The cubic kernel undershoots beside flat ground; no slope is below zero.
            return np.maximum(lattice.cubic(slope_degrees(east, north), *inner), np.float32(0))
        return lattice.cubic(self._incidence(inner, east, north), *inner)

    def _lattice(self, top: int, bottom: int, left: int, right: int) -> Lattice:
        """Where the block's pixel centres fall on the mother grid."""
        x = self.transform.c + (np.arange(left, right) + 0.5) * self.transform.a
        y = self.transform.f + (np.arange(top, bottom) + 0.5) * self.transform.e
        size = self.dem.resolution
        return Lattice(rows=np.asarray(-y / size - 0.5), columns=np.asarray(x / size - 0.5))

    def _incidence(self, corner: tuple[int, int], east: Field, north: Field) -> Field:
        """Local incidence angle in degrees on the mother grid."""
        rows, columns = (
            slice(start, start + length) for start, length in zip(corner, east.shape, strict=True)
        )
        scenes = from_cells(self._scenes, rows, columns, np.uint16)
        cosine = np.empty(east.shape)
        for scene in np.unique(scenes):
            theta, azimuth = self._geometry(int(scene), corner, east.shape)
            rise = east * np.sin(azimuth) + north * np.cos(azimuth)  # along the look
            seen = np.cos(theta) + np.sin(theta) * rise
            np.copyto(cosine, seen, where=scenes == scene)
        cosine /= np.sqrt(1 + east * east + north * north)
        return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))), dtype=np.float32)

    def _scenes(self, i: int, j: int) -> NDArray[np.uint16]:
        """Which scene's geometry holds at each pixel of a whole cell."""
        assert self.look is not None
        scenes: NDArray[np.uint16] = self.dem.once(
            f"scenes {self.look.key}", i, j, lambda: self._make_scenes(i, j).astype(np.uint16)
        )
        return scenes

    def _make_scenes(self, i: int, j: int) -> NDArray[np.intp]:
        assert self.look is not None
        lon, lat = self._degrees(*np.meshgrid([i, i + 1], [j, j + 1], indexing="ij"))
        if np.ptp(lon) > 180:  # across 180 degrees: whichever scene sees it
            return self._scenes_across(lon, lat)
        around = [0, 1, 3, 2]  # the corners in a ring
        outline = np.column_stack([lon.ravel()[around], lat.ravel()[around]])
        over = self.look.scenes_over(shapely.Polygon(outline))
        if len(over) == 1:
            return np.full((CELL, CELL), over[0], np.intp)
        steps = (np.arange(CELL) + 0.5) / CELL  # within a metre of a projection pixel by pixel
        return self.look.scene_at(_between(lon, steps, steps), _between(lat, steps, steps), over)

    def _scenes_across(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> NDArray[np.intp]:
        """The same of a cell with corners on both sides of 180 degrees."""
        assert self.look is not None
        steps = (np.arange(CELL) + 0.5) / CELL
        east = _between(lon % 360, steps, steps)
        places = np.where(east > 180, east - 360, east), _between(lat, steps, steps)
        return self.look.scene_at(*places, range(len(self.look.footprints)))

    def _degrees(
        self, i: NDArray[Any], j: NDArray[Any], north: float = 0.0
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude at positions counted in cells, and some metres north of them."""
        from rasterio.warp import transform as warp_points

        size = CELL * self.dem.resolution
        x, y = np.asarray(j, np.float64) * size, np.asarray(i, np.float64) * -size + north
        lon, lat = warp_points(f"EPSG:{self.dem.epsg}", "EPSG:4326", x.ravel(), y.ravel())
        return np.reshape(lon, x.shape), np.reshape(lat, x.shape)

    def _geometry(
        self, scene: int, corner: tuple[int, int], shape: tuple[int, ...]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Incidence on the ellipsoid and grid azimuth of one scene, radians, bilinear between
        cells' corners."""
        rows = (np.arange(corner[0], corner[0] + shape[0]) + 0.5) / CELL
        columns = (np.arange(corner[1], corner[1] + shape[1]) + 0.5) / CELL
        i, j = int(np.floor(rows[0])), int(np.floor(columns[0]))
        nodes_i = np.arange(i, int(np.floor(rows[-1])) + 2)
        nodes_j = np.arange(j, int(np.floor(columns[-1])) + 2)
        theta, azimuth = self._nodes(scene, nodes_i, nodes_j)
        return _between(theta, rows - i, columns - j), _between(azimuth, rows - i, columns - j)

    def _nodes(
        self, scene: int, i: NDArray[Any], j: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The geometry, radians, at positions counted in cells; the azimuth from grid north."""
        assert self.look is not None
        down, along = np.meshgrid(i, j, indexing="ij")
        lon, lat = self._degrees(down, along)
        # A step of 100 m north shows how far the grid's north is from true north.
        lon2, lat2 = self._degrees(down, along, north=100.0)
        east = lon2 - lon
        east = np.where(abs(east) > 180, east - np.copysign(360, east), east)
        turn = np.arctan2(east * np.cos(np.radians(lat)), lat2 - lat)
        theta, azimuth = self.look.at(scene, lon, lat)
        return np.radians(theta), np.unwrap(np.radians(azimuth) - turn)

    def _sight(self, lattice: Lattice) -> NDArray[np.uint8]:
        """What the radar's sight of each pixel is: 0 clear, hidden, or unknown."""
        rows, columns = lattice.reach(0)
        sight = from_cells(self._sight_cell, rows, columns, np.uint8)
        return lattice.nearest(sight, rows.start, columns.start)

    def _sight_cell(self, i: int, j: int) -> NDArray[np.uint8]:
        """Layover and shadow of one whole cell; unknown where ground around it is unread."""

        def make() -> NDArray[np.uint8]:
            around = self.dem.heights(
                slice(i * CELL - HALO, (i + 1) * CELL + HALO),
                slice(j * CELL - HALO, (j + 1) * CELL + HALO),
            )
            known = np.where(np.isfinite(around), around, np.float32(np.nan))
            scenes = self._scenes(i, j)
            hidden = np.zeros((CELL, CELL), np.bool_)
            for scene in np.unique(scenes):
                middle = self._nodes(int(scene), np.array([i + 0.5]), np.array([j + 0.5]))
                theta, azimuth = (float(np.degrees(angle[0, 0])) for angle in middle)
                found = cell_hidden(known, self.dem.resolution, theta, azimuth)
                np.copyto(hidden, found, where=scenes == scene)
            # What unread ground might hide, and was not asked for again, must not pass for seen.
            clear = _UNKNOWN if np.isneginf(around).any() else np.uint8(0)
            return np.where(hidden, _HIDDEN, clear)

        assert self.look is not None
        return np.asarray(self.dem.once(f"sight {self.look.key}", i, j, make))


def _between(
    nodes: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Bilinear values at fractional node positions.

    >>> _between(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0.5]), np.array([0.25])).tolist()
    [[1.25]]
    """
    i, j = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
    down, right = (rows - i)[:, np.newaxis], (columns - j)[np.newaxis, :]
    upper = nodes[np.ix_(i, j)] * (1 - right) + nodes[np.ix_(i, j + 1)] * right
    lower = nodes[np.ix_(i + 1, j)] * (1 - right) + nodes[np.ix_(i + 1, j + 1)] * right
    return np.asarray(upper * (1 - down) + lower * down)


def _codes(raw: Field, lattice: Lattice, corner: tuple[int, int]) -> NDArray[np.uint8]:
    """Observation codes (y, x) of a block: what lies behind the slope of each pixel."""
    codes = np.full((len(lattice.rows), len(lattice.columns)), Observation.OBSERVED, np.uint8)
    for absent, code in (
        (np.isnan(raw), Observation.NO_DATA),
        (np.isneginf(raw), Observation.READ_FAILED),
    ):
        if absent.any():
            codes[lattice.any_near(absent, *corner)] = code
    return codes
