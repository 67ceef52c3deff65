"""Passes to a lazy cube: radar power by time, optical reflectance, and what was observed.

Power and observation come from the same read: the loader's array tells no data (NaN) from unread
(minus infinity), and both are split off it block by block.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.acquire.area import share_covered
from sarmap.acquire.header import place_scenes
from sarmap.acquire.loader import Slice, block_lengths, load, on_grid
from sarmap.acquire.scenes import footprint_of
from sarmap.acquire.source import Source, item_source
from sarmap.acquire.values import check_unit
from sarmap.errors import CatalogError, RequestError
from sarmap.net.reach import reach_of
from sarmap.net.signing import Signer, make_signer
from sarmap.types import CatalogSettings, Chunk, Observation, Pass, Passes

if TYPE_CHECKING:
    import pystac
    from odc.geo.geobox import GeoBox

OPTICAL_BANDS = ("red", "green", "blue")
"""Bands read from the optical scenes; all others are radar bands."""

MOST = 0.5
"""Share of the grid under a pass's footprints above which its files must hold some of it."""

_RADAR_ATTRS = {"units": "1", "long_name": "gamma-nought backscatter power"}
_OPTICAL_ATTRS = {"units": "1", "long_name": "reflectance"}


def open_cube(
    passes: Passes,
    grid: GeoBox,
    *,
    bands: Sequence[str] = ("vv", "vh"),
    chunk: Chunk = 1024,
) -> xr.Dataset:
    """Radar passes (and optical scenes) on one grid, lazily.

    Parameters
    ----------
    passes
        The passes, from `sarmap.search_passes`.
    grid
        odc-geo GeoBox of the result: projected, north up; from `sarmap.make_grid`.
    bands
        Radar bands named in the catalogue's `radar_assets` ('vv', 'vh'), and any of 'red', 'green'
        and 'blue', which are mosaicked from the passes' optical scenes.
    chunk
        Block edge in pixels, or all blocks' lengths along y and x. The values do not depend on it.

    Returns
    -------
    Dataset of `vv`, `vh` (time, y, x) float32 gamma-nought power (linear), NaN where not observed,
    and `observation` (time, y, x) uint8 (`sarmap.types.Observation`): a pixel is observed where all
    radar bands asked for are. With optical bands also `red`, `green`, `blue` (y, x) float32
    reflectance and `observation_optical` (y, x) uint8. Coordinates: `time` (UTC), `role`, `pass_id`
    along time; `y`, `x` at pixel centres; `spatial_ref`. Attribute `notes`: sentences (JSON) on
    records that contradict their files. A scene in another projection, or off the
    grid's lattice, is resampled bilinearly in power. Slices of a pass are mosaicked: the first that
    holds data gives the pixel, and none stands in for one that could not be read.

    Raises
    ------
    RequestError
        An unknown band; an item without the band's asset, in source form, or without `proj:*` in a
        catalogue that does not set `projection_from_file`; a file without map projection (GRD). No
        pixel is read before this is known, of files that need not be asked where they lie. A
        failing read never raises: it is marked read_failed.
    CatalogError
        Not one file could be opened that must say where it lies, or a pass that covers the grid by
        its footprints lies elsewhere by its files.
    """
    block_lengths(grid.shape, chunk)
    radar, optical = _split(bands, passes)
    ordered: list[Pass] = list(passes)
    variables: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    if radar:
        found, said = _radar(ordered, radar, grid, passes.catalog, chunk)
        variables, notes = variables | found, notes + said
    if optical:
        found, said = _optical(passes, optical, grid, chunk)
        variables, notes = variables | found, notes + said
    return xr.Dataset(
        variables,
        coords={
            "time": ("time", _times(ordered)),
            "role": ("time", [one.role for one in ordered]),
            "pass_id": ("time", [_pass_id(one) for one in ordered]),
            **grid_coords(grid),
        },
        attrs=_attributes(passes) | {"notes": json.dumps(notes)},
    )


def grid_coords(grid: GeoBox) -> Mapping[Any, Any]:
    """Coordinates `y`, `x` at pixel centres and `spatial_ref` with CRS and geotransform."""
    from odc.geo.xr import xr_coords

    coords: Mapping[Any, Any] = xr_coords(grid)
    return coords


def _split(bands: Sequence[str], passes: Passes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Radar and optical bands, each known to the catalogue."""
    known = passes.catalog.radar_assets
    unknown = [band for band in bands if band not in known and band not in OPTICAL_BANDS]
    if unknown or not bands:
        raise RequestError(
            f"bands={tuple(bands)} names no band of catalogue {passes.catalog.name!r}: choose from "
            f"{', '.join((*known, *OPTICAL_BANDS))}."
        )
    ordered = tuple(dict.fromkeys(bands))
    radar = tuple(band for band in ordered if band in known)
    return radar, tuple(band for band in ordered if band not in known)


def _radar(
    ordered: Sequence[Pass],
    bands: Sequence[str],
    grid: GeoBox,
    catalog: CatalogSettings,
    chunk: Chunk,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Power per band and observation, by time, and what is to be said of them."""
    scenes, notes = radar_scenes(ordered, bands, catalog)
    _refuse_elsewhere(ordered, scenes, grid)
    return radar_layers(scenes, bands, grid, catalog, chunk), notes


def radar_scenes(
    ordered: Sequence[Pass], bands: Sequence[str], catalog: CatalogSettings
) -> tuple[list[list[Slice]], tuple[str, ...]]:
    """What to read of each pass's scenes, and what is to be said of their records."""
    assets = {band: (*catalog.radar_asset(band), f"radar_assets[{band!r}]") for band in bands}
    passes = [one.items for one in ordered]
    scenes, notes = _scenes(passes, assets, catalog, make_signer(catalog), radar=True)
    for source in (source for slices in scenes for scene in slices for source in scene.values()):
        check_unit(source)
    return scenes, notes


def radar_layers(
    scenes: Sequence[Sequence[Slice]],
    bands: Sequence[str],
    grid: GeoBox,
    catalog: CatalogSettings,
    chunk: Chunk,
) -> dict[str, Any]:
    """Power per band and observation (time, y, x), as variables, of the scenes of each pass."""
    signer = make_signer(catalog)
    pixels = load(scenes, bands, grid, chunk=chunk, signer=signer, positive=True)
    variables: dict[str, Any] = {
        band: (("time", "y", "x"), _band(pixels, index, 1), _RADAR_ATTRS)
        for index, band in enumerate(bands)
    }
    variables["observation"] = (("time", "y", "x"), _observation(pixels, 1), _flags())
    return variables


def _refuse_elsewhere(
    ordered: Sequence[Pass], scenes: Sequence[Sequence[Slice]], grid: GeoBox
) -> None:
    """Refuse a pass whose footprints cover the grid while its files lie elsewhere."""
    place = grid.extent.to_crs("EPSG:4326").geom
    for one, slices in zip(ordered, scenes, strict=True):
        if any(on_grid(scene, grid) for scene in slices):
            continue
        share = share_covered(place, [footprint_of(item) for item in one.items])
        if share > MOST:
            raise CatalogError(
                f"By its footprint item {one.items[0].id!r} covers {share:.0%} of the place, and "
                f"by its file none of it ({_day(one)}, {one.role}): its record cannot be true; "
                "choose other passes (event, before_days, after_days, orbit) or another catalogue."
            )


def _optical(
    passes: Passes, bands: Sequence[str], grid: GeoBox, chunk: Chunk
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Reflectance per band and its observation, one mosaic of all optical scenes."""
    catalog = passes.catalog
    if not passes.optical:
        raise RequestError(
            f"bands {', '.join(bands)} are optical, but these passes hold no optical scene: search "
            "with optical=True in a catalogue that has an optical_collection."
        )
    assets = {band: (*catalog.optical_assets[band], f"optical_assets[{band!r}]") for band in bands}
    signer = make_signer(catalog)
    scenes, notes = _scenes([passes.optical], assets, catalog, signer)
    pixels = load(scenes, bands, grid, chunk=chunk, signer=signer, positive=False)
    variables: dict[str, Any] = {
        band: (("y", "x"), _band(pixels, index, (0, 1)), _OPTICAL_ATTRS)
        for index, band in enumerate(bands)
    }
    variables["observation_optical"] = (("y", "x"), _observation(pixels, (0, 1)), _flags())
    return variables, notes


def _scenes(
    passes: Sequence[Sequence[pystac.Item]],
    assets: Mapping[str, tuple[str, int | None, str]],
    catalog: CatalogSettings,
    signer: Signer,
    *,
    radar: bool = False,
) -> tuple[list[list[Slice]], tuple[str, ...]]:
    """What to read of each scene: per band its asset, its band in the file, and who says so; and
    what is to be said of their records."""
    reach = reach_of(catalog)

    def scene(item: pystac.Item) -> Slice:
        sources = {
            name: item_source(
                item,
                asset,
                band=band,
                name=name if radar else "",
                setting=setting,
                reach=reach,
                projection_from_file=catalog.projection_from_file,
            )
            for name, (asset, band, setting) in assets.items()
        }
        return {name: _as_told(one, catalog) for name, one in sources.items()} if radar else sources

    return place_scenes([[scene(item) for item in one] for one in passes], catalog, signer)


def _as_told(source: Source, catalog: CatalogSettings) -> Source:
    """A radar source with what the catalogue's settings say of its values."""
    told = catalog.factor is not None or catalog.offset is not None
    if told:
        source = replace(source, scale=catalog.factor, offset=catalog.offset, told=True)
    return replace(source, scaling=catalog.scaling)


def _band(pixels: da.Array, index: int, drop: int | tuple[int, ...]) -> da.Array:
    """One band of the loader's array, failures as NaN."""
    return _each(values_of, pixels, drop, np.float32, index=index)


def _observation(pixels: da.Array, drop: int | tuple[int, ...]) -> da.Array:
    """Observation codes of the loader's array."""
    return _each(codes_of, pixels, drop, np.uint8)


def _each(
    make: Any, pixels: da.Array, drop: int | tuple[int, ...], dtype: Any, **how: Any
) -> da.Array:
    """`make` of every block of the loader's array, without the axes it drops.

    Not map_blocks: for axes it drops, even of one block, it copies every pixel to join them.
    """
    kept = [axis for axis in range(4) if axis not in np.atleast_1d(drop)]
    made: da.Array = da.blockwise(
        make,
        kept,
        pixels,
        range(4),
        drop=drop,
        concatenate=False,
        dtype=dtype,
        meta=np.empty((0,) * len(kept), dtype),
        **how,
    )
    return made


def _sole(block: Any) -> NDArray[np.float32]:
    """The one block there is along the axes that Dask gives as lists."""
    while isinstance(block, list):
        (block,) = block
    sole: NDArray[np.float32] = block
    return sole


def values_of(
    pixels: NDArray[np.float32], *, index: int, drop: int | tuple[int, ...]
) -> NDArray[np.float32]:
    """Band `index` of a loader's block (pass, band, y, x), with unread pixels as NaN."""
    band = _sole(pixels)[:, index : index + 1]
    return np.where(np.isfinite(band), band, np.float32(np.nan)).squeeze(drop)


def codes_of(pixels: NDArray[np.float32], *, drop: int | tuple[int, ...]) -> NDArray[np.uint8]:
    """Observation codes of a loader's block (pass, band, y, x): its worst band decides.

    >>> block = np.array([1.0, np.nan, -np.inf], np.float32).reshape(1, 1, 1, 3)
    >>> codes_of(block, drop=1).ravel().tolist()
    [0, 1, 2]
    """
    pixels = _sole(pixels)
    codes = np.full(pixels[:, :1].shape, Observation.OBSERVED, np.uint8)
    codes[np.isnan(pixels).any(axis=1, keepdims=True)] = Observation.NO_DATA
    codes[(pixels == -np.inf).any(axis=1, keepdims=True)] = Observation.READ_FAILED
    return codes.squeeze(drop)


def _flags() -> dict[str, Any]:
    """CF flags of an observation variable."""
    return {
        "long_name": "what is known of the pixel",
        "flag_values": [int(code) for code in Observation],
        "flag_meanings": " ".join(code.meaning for code in Observation),
    }


def _times(ordered: Sequence[Pass]) -> NDArray[np.datetime64]:
    """UTC instants of the passes, without zone as NumPy has it."""
    naive = [one.datetime.astimezone(dt.UTC).replace(tzinfo=None) for one in ordered]
    return np.array(naive, dtype="datetime64[ns]")


def _pass_id(one: Pass) -> str:
    """Day, orbit and satellite of a pass, e.g. '2018-09-01_ascending_068_SENTINEL-1B'."""
    return f"{_day(one)}_{one.orbit_state}_{one.relative_orbit:03d}_{one.platform}"


def _day(one: Pass) -> str:
    return one.datetime.astimezone(dt.UTC).date().isoformat()


def _attributes(passes: Passes) -> dict[str, Any]:
    """Where the pixels come from; never an address."""
    scenes = [
        {
            "id": item.id,
            "datetime": one.datetime.isoformat(),
            "role": one.role,
            "relative_orbit": one.relative_orbit,
            "orbit_state": one.orbit_state,
            "platform": one.platform,
        }
        for one in passes
        for item in one.items
    ]
    return {
        "attribution": passes.catalog.attribution,
        "simulated": int(passes.simulated),
        "orbit_state": passes.orbit_state,
        "relative_orbit": passes.relative_orbit,
        "scaling_told": passes.catalog.scaling or "",
        "frequency_band": other_band(
            item.properties.get("sar:frequency_band") for one in passes for item in one.items
        ),
        "scenes": json.dumps(scenes),
    }


def other_band(told: Iterable[Any]) -> str:
    """The letter of the wavelengths that passes tell, another than C first; C untold.

    >>> other_band([None, "C", "L"]), other_band([None])
    ('L', 'C')
    """
    return next((band for band in sorted(map(str, told)) if band not in ("C", "None")), "C")
