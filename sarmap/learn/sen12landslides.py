"""Real landslides of the world to learn from: the data set Sen12Landslides (CC BY 4.0).

doi:10.1038/s41597-025-06167-2; https://github.com/PaulH97/Sen12Landslides describes its layout. A
folder of the set holds ``s1asc/`` and ``s1dsc/`` with files ``PLACE_s1asc_NUMBER.nc``: 128 x 128
px of 10 m, 15 dates with `VV`, `VH`, `DEM` and `MASK`, dims in any order. Files are read one by
one; what cannot be used is left out, counted and named.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from sarmap.errors import RequestError
from sarmap.learn.grounds import MOST_AFTER, MOST_BEFORE, open_series
from sarmap.learn.kept_evidence import (
    SET,
    KeptScene,
    keep,
    leave_out,
    make_missing,
    open_kept,
    why_not,
)
from sarmap.learn.scene import Scene
from sarmap.request_file import read_text

CITED = f"Patches of places: {SET}, doi:10.1038/s41597-025-06167-2, CC BY 4.0."
"""What a card says of them."""
FLOOR = -49.9
"""Decibel at and below which the set's harmonized files hold no measurement: they end at -50."""
_DIMS = ("time", "y", "x")
log = logging.getLogger(__name__)


class PatchSource(BaseModel):
    """A folder of Sen12Landslides, and which of its places train, choose and test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field(min_length=1, description="data_raw or data_harmonized: holds s1asc, s1dsc")
    sensors: tuple[Literal["s1asc", "s1dsc"], ...] = Field(("s1asc", "s1dsc"), min_length=1)
    scaling: Literal["power", "db"] = Field("power", description="data_raw; data_harmonized: db")
    hold_out: tuple[str, ...] = Field((), description="places that test, and nothing else")
    validation: tuple[str, ...] = Field((), description="places that choose, and nothing else")
    listed: tuple[str, ...] = Field((), description="splits.json: the files that these name alone")
    role: Literal["training", "validation", "test"] = Field("training", description="of the others")


class _LeftOutError(Exception):
    """Why one file cannot be used."""


def open_patches(
    sources: Sequence[PatchSource], bands: Sequence[str], folder: str | Path
) -> list[Scene]:
    """Patches of the set's folders as lazy scenes of some bands of evidence and terrain; what is
    not kept in the folder yet is made, file by file.

    Raises RequestError where a folder, a list or a place is not there, the scaling is another, or
    no file can be used.
    """
    Path(folder).expanduser().mkdir(parents=True, exist_ok=True)
    kept = [pair for source in sources for pair in _files(source, bands, folder)]
    make_missing((one, partial(_make, source, path, bands, one.path)) for one, source, path in kept)
    lacking = sorted((why, path.name) for one, _, path in kept if (why := why_not(one)))
    for why, same in groupby(lacking, key=lambda pair: pair[0]):
        names = [name for _, name in same]
        many = f"{len(names)} of {len(kept)} files left out, {names[0]} the first"
        log.warning("%s: %s: %s", SET, many, why)
    if kept and len(lacking) == len(kept):
        raise RequestError(f"None of the {len(kept)} files of {SET} can be used: {lacking[0][0]}.")
    return [open_kept(one, bands) for one, _, _ in kept if not why_not(one)]


def kept_patches(
    sources: Sequence[PatchSource], bands: Sequence[str], folder: str | Path
) -> Iterator[KeptScene]:
    """The scenes of those files that can be used, once they were opened."""
    for source in sources:
        yield from (one for one, _, _ in _files(source, bands, folder) if not why_not(one))


def place_of(name: str) -> str:
    """The place of a scene or of a file of the set.

    >>> place_of("Sen12Landslides usa_puertorico_s1asc_1045"), place_of("italy_s1dsc_7")
    ('usa_puertorico', 'italy')
    """
    return re.split(r"_s1(?:asc|dsc)", name.removeprefix(f"{SET} "))[0]


def patch_record(source: PatchSource) -> dict[str, Any]:
    """What a source is, for a manifest: no path."""
    record: dict[str, Any] = source.model_dump(mode="json", exclude={"folder", "listed"})
    files = [path.name for path in _paths(source)]
    named = hashlib.sha256("\n".join(files).encode()).hexdigest()
    return record | {"set": SET, "licence": "CC BY 4.0", "files": len(files), "sha256_names": named}


# --- which files ----------------------------------------------------------------------------------


def _files(
    source: PatchSource, bands: Sequence[str], folder: str | Path
) -> list[tuple[KeptScene, PatchSource, Path]]:
    """Where the evidence of each file is kept."""
    where, found = Path(folder).expanduser(), []
    paths = _paths(source)
    places = {place_of(path.stem) for path in paths}
    unknown = sorted({*source.hold_out, *source.validation} - places)
    if unknown:
        there = ", ".join(sorted(places))
        raise RequestError(f"Place {unknown[0]} is not there; there are {there}: see hold_out.")
    if twice := sorted({*source.hold_out} & {*source.validation}):
        raise RequestError(f"Place {twice[0]} cannot both test and choose: name it once.")
    for path in paths:
        place, stat = place_of(path.stem), path.stat()
        role = "test" if place in source.hold_out else source.role
        role = "validation" if place in source.validation else role
        told = [path.name, stat.st_size, stat.st_mtime_ns, source.scaling, *bands]
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:10]
        name = f"{path.stem.replace('.', '-')}-{digest}"
        scene = KeptScene(f"{SET} {path.stem}", where / name, role, simulated=False)
        found.append((scene, source, path))
    return found


def _paths(source: PatchSource) -> list[Path]:
    """The files of a source, in order of their names."""
    root = Path(source.folder).expanduser()
    paths = [path for sensor in source.sensors for path in sorted((root / sensor).glob("*.nc"))]
    if source.listed:
        what = f"List of files of {SET}"
        texts = [read_text(Path(one).expanduser(), what) for one in source.listed]
        wanted = set(re.findall(r"[\w-]+\.nc", "\n".join(texts)))
        paths = [path for path in paths if path.name in wanted]
    if not paths:
        raise RequestError(
            f"Folder {root.name} holds no file {source.sensors[0]}/*.nc"
            f"{' that is listed' if source.listed else ''}: unpack {SET} there (docs/howto)."
        )
    return paths


# --- one file -------------------------------------------------------------------------------------


def _make(source: PatchSource, path: Path, bands: Sequence[str], out: Path) -> None:
    """Evidence of one file, or why there is none."""
    from scipy.ndimage import label

    from sarmap.acquire.arrays import make_cube, make_terrain

    try:
        data, truth, before = _read(source, path)
    except _LeftOutError as error:
        return leave_out(out, str(error))
    passes = [data.isel(time=number) for number in range(data.sizes["time"])]
    cube = make_cube(passes[:before], passes[before:], times=list(data.time.values))
    terrain = make_terrain(data.dem) if "dem" in data else None
    spacing = float(abs(data.x.values[1] - data.x.values[0]))
    return keep(out, cube, terrain, bands, truth, int(label(truth)[1]), spacing)


def _read(source: PatchSource, path: Path) -> tuple[xr.Dataset, NDArray[np.uint8], int]:
    """Power `vv`, `vh` (time, y, x) and `dem` of a file, its landslides, passes before them."""
    try:
        with open_series(path) as opened:
            data = opened.load()
    except RequestError as error:
        raise _LeftOutError("it cannot be read as NetCDF") from error
    data = data.rename({name: str(name).lower() for name in [*data.data_vars]})
    radar = {name: data[name] for name in ("vv", "vh") if name in data}
    if (
        "mask" not in data
        or any(set(one.dims) != set(_DIMS) for one in radar.values())
        or ("vv" not in radar)
    ):
        raise _LeftOutError("it lacks VV (time, y, x) or MASK, or VH has another shape")
    if not set(_DIMS) <= set(data.coords) or data.time.dtype.kind != "M":
        raise _LeftOutError("it lacks the coordinates x, y or time")
    if not 1 <= abs(float(data.x[1] - data.x[0])) <= 100:
        raise _LeftOutError("its pixels are no metres apart")
    data = data.sortby("time").sortby("y", ascending=False).sortby("x")
    power = {name: _power(source, data[name].transpose(*_DIMS)) for name in radar}
    size = {dim: data.sizes[dim] for dim in ("y", "x")}
    truth = _plane(data.mask, size)
    if truth is None:
        raise _LeftOutError("its MASK has another shape than VV")
    events = _event_days(data.attrs)
    if not events and (truth > 0).any():
        raise _LeftOutError("it has landslides and no event_date")
    chosen, before = _choose(power["vv"], events, path.stem)
    cube = xr.Dataset(power).isel(time=chosen)
    dem = _plane(data.dem, size) if "dem" in data else None
    if dem is not None:
        cube["dem"] = (("y", "x"), dem.astype(np.float32))
    return cube, (truth > 0).astype(np.uint8), before


def _plane(of: xr.DataArray, size: dict[str, int]) -> NDArray[Any] | None:
    """Values (y, x), the most of all dates; None where they have another shape."""
    if "time" in of.dims:
        of = of.max("time")
    return of.transpose("y", "x").values if dict(of.sizes) == size else None


def _power(source: PatchSource, values: xr.DataArray) -> xr.DataArray:
    """Linear power, NaN where nothing was measured."""
    measured = values.values[np.isfinite(values.values)]
    told = source.scaling
    if len(measured) and (np.median(measured) < 0) != (told == "db"):
        other = "power" if told == "db" else "db"
        raise _LeftOutError(f"its values are no {told}: set scaling: {other} if those of all are")
    if told == "db":
        values = (10 ** (values / 10)).where(values > FLOOR)
    return values.where(np.isfinite(values) & (values > 0)).astype(np.float32)


def _event_days(attrs: Any) -> list[np.datetime64]:
    """Days on which landslides came: one, or several in the order of time."""
    days = re.findall(r"\d{4}-\d{2}-\d{2}", str(attrs.get("event_date", "")))
    return sorted({np.datetime64(day, "D") for day in days})


def _choose(vv: xr.DataArray, events: Sequence[np.datetime64], name: str) -> tuple[list[int], int]:
    """Which dates are used, nearest to the event, and how many of them lie before it.

    As many as a map may have: their number is drawn. A date that repeats another (the set fills
    up with copies), one of an event's day and one that mostly holds nothing are not used.
    """
    days = vv.time.values.astype("datetime64[D]")
    seen = np.flatnonzero(np.isfinite(vv.values).mean((1, 2)) > 0.5)
    _, once = np.unique(days[seen], return_index=True)
    usable = seen[once]
    if not len(usable):
        raise _LeftOutError("its dates hold no pass")
    # where nothing came down, any day parts before from after
    events = events or [days[usable[len(usable) // 2]]]
    pre = [at for at in usable if days[at] < events[0]]
    post = [at for at in usable if days[at] > events[-1]]
    if not pre or not post:
        raise _LeftOutError(f"its event_date {events[0]} is not within its dates")
    rng = np.random.default_rng(list(name.encode()))
    before = int(rng.integers(1, min(MOST_BEFORE, len(pre)) + 1))
    after = int(rng.integers(1, min(MOST_AFTER, len(post)) + 1))
    return [*pre[-before:], *post[:after]], before
