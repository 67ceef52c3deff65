"""Drawn worlds as events to learn from (`sarmap.simulate.worlds`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field

from sarmap.errors import RequestError
from sarmap.learn.kept_evidence import WORLD, KeptScene, as_cube, keep, make_missing, open_kept
from sarmap.learn.scene import Scene


class WorldSource(BaseModel):
    """Worlds to learn from: so many, of any law or with some of it fixed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(ge=0, description="seed of the first; each next is one higher")
    count: int = Field(ge=1, description="how many")
    size: int = Field(512, ge=64, description="edge, pixels")
    physics: dict[str, Any] = Field({}, description="fields of Physics to fix; {}: drawn")
    without: dict[str, tuple[Any, ...]] = Field(
        {}, description="values of fields of Physics; worlds that have one of them are left out"
    )
    without_vh: float = Field(0.1, ge=0, le=1, description="share that VV alone is seen of")
    without_terrain: float = Field(
        0.1, ge=0, le=1, description="share whose slope, and whose incidence, is not known"
    )
    role: Literal["training", "validation", "test"] = "training"


def open_worlds(
    sources: Sequence[WorldSource], bands: Sequence[str], folder: str | Path
) -> list[Scene]:
    """Worlds as lazy scenes of some bands of evidence and terrain; those that are not in the folder
    yet are drawn, on all cores: about 6 MB for each of 512 x 512 px.

    Raises RequestError where a field of physics is unknown, or two sources draw the same seeds.
    """
    kept = kept_worlds(sources, bands, folder)
    if len({one.path for one, _, _ in kept}) < len(kept):
        raise RequestError("Two sources of worlds draw the same seeds: give each its own first=.")
    Path(folder).expanduser().mkdir(parents=True, exist_ok=True)
    make_missing((one, partial(_draw, source, seed, bands, one.path)) for one, source, seed in kept)
    return [open_kept(one, bands) for one, _, _ in kept]


def kept_worlds(
    sources: Sequence[WorldSource], bands: Sequence[str], folder: str | Path
) -> list[tuple[KeptScene, WorldSource, int]]:
    """Where the evidence of each world is kept, its source and its seed."""
    where = Path(folder).expanduser()
    return [
        (
            KeptScene(f"{WORLD} {seed}", where / _name(source, seed, bands), source.role),
            source,
            seed,
        )
        for source in sources
        for seed in range(source.first, source.first + source.count)
        if not _left_out(source, seed)
    ]


def _left_out(source: WorldSource, seed: int) -> bool:
    """Whether a world has what its source is `without`; a mixed one has its families over 5 %."""
    if not source.without:
        return False
    from sarmap.simulate.drawing import FAMILIES
    from sarmap.simulate.physics import Physics

    law = Physics.draw(seed, **source.physics)
    unknown = set(source.without) - {one.name for one in fields(law)}
    if unknown:
        raise RequestError(f"without= of worlds: {min(unknown)!r} is no field of Physics.")
    held = {one for one, share in zip(FAMILIES, law.mix, strict=True) if share > 0.05}
    return any(
        bool(held & set(values)) if name == "family" else getattr(law, name) in values
        for name, values in source.without.items()
    )


def _name(source: WorldSource, seed: int, bands: Sequence[str]) -> str:
    """File name of a world: its seed, and a hash of all else that it depends on."""
    from sarmap.simulate.fingerprint import world_hash

    how = source.model_dump(exclude={"first", "count", "role", "without"})
    told = json.dumps([how, [*bands], world_hash()], sort_keys=True)
    return f"world-{seed}-{hashlib.sha256(told.encode()).hexdigest()[:10]}"


def _draw(source: WorldSource, seed: int, bands: Sequence[str], path: Path) -> None:
    from sarmap.simulate.physics import Physics
    from sarmap.simulate.worlds import draw_world

    law = Physics.draw(seed, **source.physics)
    world = draw_world(seed, (source.size, source.size), law)
    chance = np.random.default_rng([seed, 77]).random(3)
    cube, terrain = world_cube(
        world,
        vh=chance[0] >= source.without_vh,
        slope=chance[1] >= source.without_terrain,
        incidence=chance[2] >= source.without_terrain,
    )
    keep(path, cube, terrain, bands, world.truth, int(world.footprint.max()), world.spacing)


def world_cube(
    world: Any, *, vh: bool = True, slope: bool = True, incidence: bool = True
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """A drawn world as `sarmap.make_cube` and `make_terrain` give a real one."""
    bands = {"vv": world.vv} | ({"vh": world.vh} if vh else {})
    known = {"slope": slope, "incidence": incidence}
    planes = {name: getattr(world, name) for name, there in known.items() if there}
    cube, terrain = as_cube(bands, planes, world.times, world.pre, world.spacing)
    return cube.assign_attrs(simulated=1), terrain
