"""Real passes of quiet places, into which landslides are put: real speckle, seasons and fields.

Nobody needs labels for it: anyone can train for the land that they will map. In a share of the
scenes nothing is put in, so that what a place does by itself is learnt as no landslide. The passes
come from an archive, from files on disk, or from one NetCDF or Zarr file that holds a series.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sarmap.errors import RequestError
from sarmap.learn.kept_evidence import GROUND, KeptScene, as_cube, keep, make_missing, open_kept
from sarmap.learn.scene import Scene
from sarmap.types import Instant

Pixels = NDArray[np.float32]

MOST_BEFORE, MOST_AFTER = 8, 4
"""Passes of a scene, as of drawn worlds."""
LAND = -17.5
"""Mean VV above which ground counts as land, dB."""


class GroundSource(BaseModel):
    """A place where nothing happened, and the landslides that are put into it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str = Field(min_length=1, description="name in tables and cards")
    files: tuple[str, ...] = Field((), description="rasters or folders of passes, dated by name")
    series: str | None = Field(None, description="NetCDF or Zarr: vv, vh (time, y, x), elevation")
    scaling: Literal["power", "amplitude", "db"] = "power"
    area: Any = Field(None, description="of passes from an archive: place, as of a map")
    until: Instant | None = Field(None, description="passes before this UTC instant alone")
    passes: int = Field(12, ge=2, description="of an archive: how many, the last before `until`")
    catalog: Any = Field("planetary-computer", description="preset, STAC API URL or settings")
    orbit: Literal["ascending", "descending"] | None = None
    resolution: float = Field(10.0, gt=0, description="metres, of an archive")
    rows: tuple[int, int] | None = Field(None, description="first row, and the one after the last")
    columns: tuple[int, int] | None = Field(None, description="the same of columns")
    origin: str = Field("", description="where the files come from: repository and commit")
    sha256: str | None = Field(None, description="of the files' bytes, in order of their names")
    first: int = Field(ge=0, description="seed of the first scene; each next is one higher")
    count: int = Field(ge=1, description="scenes")
    quiet: float = Field(0.25, ge=0, le=1, description="share into which nothing is put")
    physics: dict[str, Any] = Field({}, description="fields of Physics to fix; {}: drawn")
    inventory: str | None = Field(None, description="outlines to take shapes from; None: invented")
    without_vh: float = Field(0.1, ge=0, le=1, description="share that VV alone is seen of")
    without_terrain: float = Field(0.4, ge=0, le=1, description="share without slope, incidence")
    role: Literal["training", "validation", "test"] = "training"

    @model_validator(mode="after")
    def _one_place(self) -> GroundSource:
        given = [bool(self.files), self.series is not None, self.area is not None]
        if sum(given) != 1:
            raise ValueError(f"ground {self.name!r} needs files, series or area, one of them")
        if self.area is not None and self.until is None:
            raise ValueError(f"ground {self.name!r} lacks until: a time before which it was quiet")
        return self


@dataclass(frozen=True)
class Ground:
    """Passes of a quiet place."""

    vv: Pixels
    """Power (time, y, x), NaN where there is none."""
    vh: Pixels | None
    """The same; None where there is none."""
    times: NDArray[np.datetime64]
    """Instants, ascending (time,)."""
    slope: Pixels | None
    """Degrees (y, x)."""
    aspect: Pixels | None
    """Degrees clockwise from north, downhill (y, x)."""
    incidence: Pixels | None
    """Local incidence, degrees (y, x)."""
    spacing: float
    """Metres from pixel to pixel."""


def open_grounds(
    sources: Sequence[GroundSource], bands: Sequence[str], folder: str | Path
) -> list[Scene]:
    """Landslides in real passes as lazy scenes of some bands of evidence and terrain; those that
    are not kept in the folder yet are made.

    Raises RequestError where passes cannot be read, are too few, or are not those that a hash was
    given of.
    """
    Path(folder).expanduser().mkdir(parents=True, exist_ok=True)
    scenes = []
    for source in sources:
        kept = kept_grounds([source], bands, folder)
        make_missing((one, partial(_make, source, seed, bands, one.path)) for one, seed in kept)
        scenes += [open_kept(one, bands) for one, _ in kept]
    _read_once.cache_clear()
    return scenes


def kept_grounds(
    sources: Sequence[GroundSource], bands: Sequence[str], folder: str | Path
) -> list[tuple[KeptScene, int]]:
    """Where the evidence of each scene is kept, and its seed."""
    from sarmap.simulate.fingerprint import world_hash

    where, found = Path(folder).expanduser(), []
    for source in sources:
        how = source.model_dump(mode="json", exclude={"first", "count", "role", "files", "series"})
        told = json.dumps([how, [*bands], world_hash(), _digest(source)], sort_keys=True)
        name = hashlib.sha256(told.encode()).hexdigest()[:10]
        for seed in range(source.first, source.first + source.count):
            path = where / f"ground-{seed}-{name}"
            scene = KeptScene(f"{GROUND} {source.name} {seed}", path, source.role, every_patch=True)
            found.append((scene, seed))
    return found


def ground_record(source: GroundSource) -> dict[str, Any]:
    """What a ground is, for a manifest: no path and no address."""
    hidden = {"files", "series", "area", "catalog", "inventory"}
    record: dict[str, Any] = source.model_dump(mode="json", exclude=hidden, exclude_defaults=True)
    return record | {"sha256": _digest(source) or None}


def _make(source: GroundSource, seed: int, bands: Sequence[str], path: Path) -> None:
    """Choose passes, put landslides into the later ones, and keep the evidence."""
    from sarmap.simulate.change import implant
    from sarmap.simulate.physics import Physics

    ground = _read_ground(source)
    rng = np.random.default_rng([seed, 78])
    before, chosen = _choose(rng, len(ground.times))
    times = ground.times[chosen]
    gap = times[before] - times[before - 1]
    event = times[before - 1] + gap * rng.uniform(0.1, 0.9)
    empty = {"land_share": 0.0} if rng.random() < source.quiet else {}
    law = Physics.draw(seed, spacing=ground.spacing, **(source.physics | empty))
    vv = ground.vv[chosen]
    with np.errstate(invalid="ignore", divide="ignore"):
        land = 10 * np.log10(np.nanmean(vv[:before], axis=0)) > LAND
    put = implant(
        vv,
        None if ground.vh is None else ground.vh[chosen],
        before=before,
        physics=law,
        seed=seed,
        slope=ground.slope,
        aspect=ground.aspect,
        incidence=ground.incidence,
        days=[float(one) for one in (times[before:] - event) / np.timedelta64(1, "D")],
        land=land,
        templates=_templates(source.inventory),
    )
    there = {"vv": put.vv}
    if put.vh is not None and rng.random() >= source.without_vh:
        there["vh"] = put.vh
    planes = {
        name: plane
        for name in ("slope", "incidence")
        if (plane := getattr(ground, name)) is not None and rng.random() >= source.without_terrain
    }
    cube, terrain = as_cube(there, planes, times, before, ground.spacing)
    # from anywhere, so that the tiles of many scenes do not lie on one another
    first = tuple(int(rng.integers(0, size % 64 + 1)) for size in land.shape)
    count = int(put.footprint.max())
    keep(path, cube, terrain, bands, put.truth, count, ground.spacing, (first[0], first[1]))


def _choose(rng: np.random.Generator, count: int) -> tuple[int, slice]:
    """How many passes are before the event, and which passes, one after another."""
    after = int(rng.integers(1, min(MOST_AFTER, count - 1) + 1))
    before = int(rng.integers(1, min(MOST_BEFORE, count - after) + 1))
    start = int(rng.integers(0, count - before - after + 1))
    return before, slice(start, start + before + after)


@lru_cache(maxsize=4)
def _templates(inventory: str | None) -> NDArray[np.float64] | None:
    """Shapes of real landslides."""
    if inventory is None:
        return None
    from sarmap.assess.inventory import read_inventory
    from sarmap.simulate.outlines import outline_templates

    return outline_templates(read_inventory(inventory))


# --- reading --------------------------------------------------------------------------------------


def _read_ground(source: GroundSource) -> Ground:
    """The passes of a place, read once."""
    return _read_once(source.model_dump_json(exclude={"first", "count", "quiet", "role"}))


@lru_cache(maxsize=1)
def _read_once(record: str) -> Ground:
    from sarmap.acquire.instants import parse_event

    source = GroundSource.model_validate({**json.loads(record), "first": 0, "count": 1})
    cube, terrain = _opened(source)
    spacing = float(abs(cube.x.values[1] - cube.x.values[0]))
    part = {"y": slice(*(source.rows or (None,))), "x": slice(*(source.columns or (None,)))}
    cube = cube.isel(part)
    if source.until is not None:
        last = np.datetime64(parse_event(source.until)[0].replace(tzinfo=None), "ns")
        cube = cube.isel(time=np.flatnonzero(cube.time.values < last))
    if cube.sizes["time"] < 2:
        raise RequestError(
            f"Ground {source.name} has {cube.sizes['time']} passes: give at least two."
        )
    planes = {} if terrain is None else {name: terrain[name].isel(part) for name in terrain}
    found = {name: np.asarray(plane.values, np.float32) for name, plane in planes.items()}
    return Ground(
        vv=np.asarray(cube.vv.values, np.float32),
        vh=np.asarray(cube.vh.values, np.float32) if "vh" in cube else None,
        times=cube.time.values,
        slope=found.get("slope"),
        aspect=found.get("aspect"),
        incidence=found.get("incidence"),
        spacing=spacing,
    )


def _opened(source: GroundSource) -> tuple[xr.Dataset, xr.Dataset | None]:
    """All passes of a place, as they are stored, and its terrain."""
    if source.sha256 is not None and _digest(source) != source.sha256:
        raise RequestError(
            f"The files of ground {source.name} are not those of sha256 {source.sha256[:12]}...: "
            f"they have {_digest(source)}."
        )
    if source.area is not None:
        return _from_archive(source)
    return _from_series(source) if source.series is not None else _from_files(source)


def _from_archive(source: GroundSource) -> tuple[xr.Dataset, xr.Dataset]:
    from sarmap.acquire.catalogs import resolve_catalog
    from sarmap.acquire.cube import open_cube
    from sarmap.acquire.grid import make_grid
    from sarmap.acquire.search import search_passes
    from sarmap.acquire.terrain import open_terrain

    settings = resolve_catalog(source.catalog)
    passes = search_passes(
        source.area,
        source.until,
        catalog=settings,
        orbit=source.orbit,
        pre=source.passes,
        post=1,
    )
    grid = make_grid(source.area, resolution=source.resolution)
    cube = open_cube(passes, grid)
    return cube.sortby("time"), open_terrain(grid, catalog=settings, passes=passes)


def _from_files(source: GroundSource) -> tuple[xr.Dataset, None]:
    from sarmap.acquire.arrays import make_cube
    from sarmap.acquire.own_passes import dated_scenes

    scenes = sorted(dated_scenes(source.files), key=lambda one: one.dated)
    passes = [{band: path for band, (path, _) in one.files.items()} for one in scenes]
    if len(passes) < 2:
        raise RequestError(f"Ground {source.name} has {len(passes)} passes: give at least two.")
    times = [one.dated for one in scenes]
    return make_cube(passes[:-1], passes[-1:], times=times, scaling=source.scaling), None


def _from_series(source: GroundSource) -> tuple[xr.Dataset, xr.Dataset | None]:
    from sarmap.simulate.terrain import slope_aspect

    path = Path(str(source.series)).expanduser()
    data = open_series(path)
    data = data.rename({name: str(name).lower() for name in data.variables})
    if "vv" not in data or not {"time", "y", "x"} <= set(data.vv.dims):
        raise RequestError(f"{path.name} has no variable vv of time, y and x.")
    data = data.transpose("time", "y", "x", ...).sortby("time").sortby("y", ascending=False)
    bands = {band: data[band] for band in ("vv", "vh") if band in data}
    if source.scaling == "db":
        bands = {band: 10 ** (values / 10) for band, values in bands.items()}
    elif source.scaling == "amplitude":
        bands = {band: values**2 for band, values in bands.items()}
    height = next((data[name] for name in ("dem", "elevation") if name in data), None)
    if height is None:
        return xr.Dataset(bands), None
    plane = np.asarray(height.transpose("y", "x").values, np.float32)
    slope, aspect, _, _ = slope_aspect(plane, float(abs(data.x.values[1] - data.x.values[0])))
    planes = {"slope": (("y", "x"), slope), "aspect": (("y", "x"), aspect)}
    return xr.Dataset(bands), xr.Dataset(planes)


def open_series(path: Path) -> xr.Dataset:
    """A NetCDF (version 4) or Zarr file, lazily."""
    try:
        data: xr.Dataset = (
            xr.open_zarr(path, chunks=None)
            if path.is_dir()
            else xr.open_dataset(path, engine="h5netcdf")
        )
    except (OSError, ValueError, KeyError) as error:
        said = str(error).splitlines()[0]
        raise RequestError(f"{path.name} cannot be read as NetCDF or Zarr: {said}.") from error
    return data


def _digest(source: GroundSource) -> str:
    """SHA-256 of the bytes of a ground's files, in order of their names; '' of an archive."""
    from sarmap.acquire.own_passes import radar_files

    if source.area is not None:
        return ""
    series = Path(str(source.series)).expanduser()
    files = radar_files(source.files) if source.files else [series]
    if series.is_dir():
        files = [path for path in series.rglob("*") if path.is_file()]
    return _bytes_digest(tuple(sorted(files, key=lambda path: (path.name, path))))


@lru_cache(maxsize=64)
def _bytes_digest(files: tuple[Path, ...]) -> str:
    seen = hashlib.sha256()
    for path in files:
        try:
            seen.update(path.read_bytes())
        except OSError as error:
            raise RequestError(f"{path.name} cannot be read: check the path.") from error
    return seen.hexdigest()
