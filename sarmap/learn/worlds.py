"""Drawn worlds as events to learn from: drawn once, kept as evidence, read lazily.

A world (`sarmap.simulate.worlds`) is made and levelled in a second or two. What a network learns
from, the evidence and the outlines, is kept beside the samples, and what the world measures
(`sarmap.detect.trust`), from which the ranges come that weights are trusted in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from sarmap.errors import RequestError
from sarmap.learn.scene import Scene

__all__ = ["WorldSource", "is_world", "measured_ranges", "open_worlds"]

WORLD = "world"
"""What names of worlds begin with; their seeds follow."""
INNER = (1.0, 99.0)
"""Percentiles of what training worlds measure that count as learnt from."""


class WorldSource(BaseModel):
    """Worlds to learn from: so many, of any law or with some of it fixed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(ge=0, description="seed of the first; each next is one higher")
    count: int = Field(ge=1, description="how many")
    size: int = Field(512, ge=64, description="edge, pixels")
    physics: dict[str, Any] = Field({}, description="fields of Physics to fix; {}: drawn")
    without_vh: float = Field(0.1, ge=0, le=1, description="share that VV alone is seen of")
    without_terrain: float = Field(
        0.1, ge=0, le=1, description="share whose slope, and whose incidence, is not known"
    )
    role: Literal["training", "validation", "test"] = "training"


@dataclass(frozen=True)
class WorldLabels:
    """The outlines of a world, as `sarmap.assess.labels.Labels` are asked for them."""

    grid: Any
    """odc-geo GeoBox; where a world lies means nothing."""
    truth: NDArray[np.uint8]
    """1 inside an outline as an analyst draws it (y, x)."""
    landslides: range
    """As many as there are."""
    digest: str
    """What the world is drawn from."""
    repaired: int = 0
    dropped: int = 0

    def mask(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Mask of a window: 0 or 1."""
        return np.asarray(self.truth[rows, columns])


def open_worlds(
    sources: Sequence[WorldSource], bands: Sequence[str], folder: str | Path
) -> list[Scene]:
    """Worlds as lazy scenes; those that are not in the folder yet are drawn, on all cores.

    Parameters
    ----------
    sources
        Which worlds.
    bands
        Bands of evidence and terrain.
    folder
        Where drawn worlds are kept: about 6 MB for each of 512 x 512 px.

    Raises
    ------
    RequestError
        A field of physics is unknown, or two sources draw the same seeds.
    """
    where = Path(folder).expanduser()
    where.mkdir(parents=True, exist_ok=True)
    jobs = [
        (source, seed, tuple(bands), where)
        for source in sources
        for seed in range(source.first, source.first + source.count)
    ]
    names = [_name(source, seed, bands) for source, seed, bands, _ in jobs]
    if len(set(names)) < len(names):
        raise RequestError("Two sources of worlds draw the same seeds: give each its own first=.")
    waiting = [
        job for job, name in zip(jobs, names, strict=True) if not (where / f"{name}.json").exists()
    ]
    if waiting:
        # threads: a forked copy of a process with threads of its own may wait for ever
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_draw, waiting))
    return [_open(*job[:3], where / name) for job, name in zip(jobs, names, strict=True)]


def measured_ranges(
    sources: Sequence[WorldSource], bands: Sequence[str], folder: str | Path
) -> dict[str, tuple[float, float]]:
    """Measure -> least and most that the training worlds measure, outliers left out."""
    where = Path(folder).expanduser()
    found: dict[str, list[float]] = {}
    for source in sources:
        if source.role != "training":
            continue
        for seed in range(source.first, source.first + source.count):
            record = json.loads((where / f"{_name(source, seed, bands)}.json").read_text())
            for measure, value in record["measures"].items():
                found.setdefault(measure, []).append(value)
    ranges = {}
    for measure, values in sorted(found.items()):
        low, high = (float(f"{end:.4g}") for end in np.percentile(values, INNER))
        ranges[measure] = (low, high)
    return ranges


def is_world(event: str) -> bool:
    """Whether an event's name is that of a drawn world.

    >>> is_world("world 7"), is_world("Iburi")
    (True, False)
    """
    return event.startswith(f"{WORLD} ")


def _name(source: WorldSource, seed: int, bands: Sequence[str]) -> str:
    """File name of a world: its seed, and a hash of all else that it hangs on."""
    import hashlib

    from sarmap.simulate.fingerprint import world_hash

    how = source.model_dump(exclude={"first", "count", "role"})
    told = json.dumps([how, [*bands], world_hash()], sort_keys=True)
    return f"world-{seed}-{hashlib.sha256(told.encode()).hexdigest()[:10]}"


def _draw(job: tuple[WorldSource, int, tuple[str, ...], Path]) -> None:
    """Draw one world, level it, and keep its evidence; the record is written last."""
    import xarray as xr

    from sarmap.compose.composites import make_composite
    from sarmap.compose.lattice import read_lattice
    from sarmap.compose.levelling import change_sizes, find_levels, quiet_lattice
    from sarmap.detect.trust import measure
    from sarmap.simulate.physics import Physics
    from sarmap.simulate.worlds import draw_world

    source, seed, bands, where = job
    law = Physics.draw(seed, **source.physics)
    world = draw_world(seed, (source.size, source.size), law)
    chance = np.random.default_rng([seed, 77]).random(3)
    cube, terrain = as_cube(
        world,
        vh=chance[0] >= source.without_vh,
        slope=chance[1] >= source.without_terrain,
        incidence=chance[2] >= source.without_terrain,
    )
    lattice = read_lattice(cube, terrain)
    levelling = find_levels(lattice)
    composite = make_composite(cube, terrain, bands, scaling="db", levelling=levelling)
    loaded: xr.DataArray = composite.compute(scheduler="synchronous")
    before = quiet_lattice(lattice)
    quiet = change_sizes(before, find_levels(before)) if before else np.empty(0, np.float32)
    path = where / _name(source, seed, bands)
    np.save(path.with_suffix(".evidence.npy"), loaded.values.astype(np.float16))
    codes = np.stack([loaded["observation"].values, world.truth])
    np.save(path.with_suffix(".codes.npy"), codes.astype(np.uint8))
    record = {
        "measures": measure(cube, lattice, levelling, quiet),
        "landslides": int(world.footprint.max()),
        "spacing": world.spacing,
    }
    path.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")


def as_cube(
    world: Any, *, vh: bool = True, slope: bool = True, incidence: bool = True
) -> tuple[Any, Any]:
    """A drawn world as `sarmap.make_cube` and `make_terrain` give a real one."""
    import xarray as xr

    from sarmap.acquire.arrays import make_cube, make_terrain

    height, width = world.dem.shape
    coords = {
        "y": world.spacing * (height - np.arange(height, dtype=float) - 0.5),
        "x": world.spacing * (np.arange(width, dtype=float) + 0.5),
    }
    bands = {"vv": world.vv} | ({"vh": world.vh} if vh else {})
    passes = [
        xr.Dataset({band: (("y", "x"), all_[n]) for band, all_ in bands.items()}, coords=coords)
        for n in range(len(world.times))
    ]
    cube = make_cube(passes[: world.pre], passes[world.pre :], times=list(world.times))
    known = {"slope": slope, "incidence": incidence}
    planes = {
        name: xr.DataArray(getattr(world, name), dims=("y", "x"), coords=coords)
        for name, there in known.items()
        if there
    }
    return cube.assign_attrs(simulated=1), make_terrain(**planes) if planes else None


def _open(source: WorldSource, seed: int, bands: Sequence[str], path: Path) -> Scene:
    """A kept world as a lazy scene."""
    import dask.array as da
    import xarray as xr
    from affine import Affine
    from odc.geo.geobox import GeoBox

    record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    values = np.load(path.with_suffix(".evidence.npy"), mmap_mode="r")
    codes = np.load(path.with_suffix(".codes.npy"), mmap_mode="r")
    spacing = record["spacing"]
    grid = GeoBox(
        values.shape[1:], Affine(spacing, 0, 500_000, 0, -spacing, 5_000_000), "EPSG:32631"
    )
    lazy = da.from_array(values, chunks=values.shape, name=f"evidence-{path.name}")
    composite = xr.DataArray(
        lazy.astype(np.float32),
        dims=("band", "y", "x"),
        coords={"band": [*bands], "observation": (("y", "x"), np.asarray(codes[0]))},
        attrs={"scaling": "db", "simulated": 1, "scenes": path.name},
    )
    labels: Any = WorldLabels(grid, codes[1], range(record["landslides"]), path.name)
    return Scene(f"{WORLD} {seed}", composite, labels, role=source.role, simulated=True)
