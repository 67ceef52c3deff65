"""Evidence that is made once and kept in files, read lazily as scenes to learn from.

A world, landslides put into real passes, or a patch of a data set is levelled in a second or two.
What a network learns from, the evidence and the outlines, is kept beside the samples, and what the
scene measures (`sarmap.detect.trust`), from which the ranges come that weights are trusted in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.learn.scene import Scene

INNER = (1.0, 99.0)
"""Percentiles of what training scenes measure that count as learnt from."""
WORLD, GROUND, SET = "world", "ground", "Sen12Landslides"
"""What names of kept scenes begin with: drawn worlds, real passes with landslides put into them,
and patches of the data set."""


@dataclass(frozen=True)
class KeptScene:
    """A scene whose evidence stands in files, or will."""

    name: str
    """Name of the event in tables and cards."""
    path: Path
    """Of its files, without their endings."""
    role: str
    """'training', 'validation' or 'test'."""
    every_patch: bool = False
    """Whether patches without a landslide are all kept."""
    simulated: bool = True
    """Whether its landslides are."""


@dataclass(frozen=True)
class KeptLabels:
    """The outlines of a kept scene, as `sarmap.assess.labels.Labels` are asked for them."""

    grid: Any
    """odc-geo GeoBox; where a kept scene lies means nothing."""
    codes: Path
    """File of observation codes, and of 1 inside an outline as an analyst draws it (2, y, x)."""
    landslides: range
    """As many as there are."""
    digest: str
    """What the scene is made from."""
    repaired: int = 0
    dropped: int = 0

    def mask(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Mask of a window: 0 or 1."""
        return np.array(np.load(self.codes, mmap_mode="r")[1, rows, columns])


def is_kept(event: str, *kinds: str) -> bool:
    """Whether an event's name is that of a kept scene, of any kind or of some.

    >>> is_kept("world 7"), is_kept("world 7", GROUND, SET), is_kept("Iburi")
    (True, False, False)
    """
    return event.startswith(tuple(f"{kind} " for kind in kinds or (WORLD, GROUND, SET)))


def as_cube(
    bands: Mapping[str, NDArray[np.float32]],
    planes: Mapping[str, NDArray[np.float32]],
    times: NDArray[np.datetime64] | Sequence[np.datetime64],
    before: int,
    spacing: float,
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Passes (time, y, x) and planes (y, x) as `sarmap.make_cube` and `make_terrain` give them."""
    from sarmap.acquire.arrays import make_cube, make_terrain

    height, width = bands["vv"].shape[1:]
    coords = {
        "y": spacing * (height - np.arange(height, dtype=float) - 0.5),
        "x": spacing * (np.arange(width, dtype=float) + 0.5),
    }
    passes = [
        xr.Dataset({band: (("y", "x"), all_[n]) for band, all_ in bands.items()}, coords=coords)
        for n in range(len(times))
    ]
    cube = make_cube(passes[:before], passes[before:], times=list(times))
    shown = {name: xr.DataArray(one, coords, ("y", "x")) for name, one in planes.items()}
    return cube, make_terrain(**shown) if shown else None


def make_missing(jobs: Iterable[tuple[KeptScene, Callable[[], None]]]) -> None:
    """Make the scenes whose files are not there yet, each by its own call, on all cores."""
    waiting = [make for one, make in jobs if not one.path.with_suffix(".json").exists()]
    if waiting:
        # threads: a forked copy of a process with threads of its own may wait for ever
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda make: make(), waiting))


def keep(
    path: Path,
    cube: xr.Dataset,
    terrain: xr.Dataset | None,
    bands: Sequence[str],
    truth: NDArray[np.uint8],
    landslides: int,
    spacing: float,
    first: tuple[int, int] = (0, 0),
) -> None:
    """Level a scene (`sarmap.make_cube`, `sarmap.make_terrain`) and keep its evidence from the row
    and column `first` on, in files of `path` without their endings; the record is written last.

    `truth` is 1 inside an outline as an analyst draws it (y, x), of so many landslides; `spacing`
    is metres from pixel to pixel.
    """
    from sarmap.compose.composites import make_composite
    from sarmap.compose.lattice import quiet_lattice, read_lattice
    from sarmap.compose.levelling import change_sizes, find_levels
    from sarmap.detect.trust import measure

    lattice = read_lattice(cube, terrain)
    levelling = find_levels(lattice)
    composite = make_composite(cube, terrain, list(bands), scaling="db", levelling=levelling)
    loaded: xr.DataArray = composite.compute(scheduler="synchronous")
    before = quiet_lattice(lattice)
    quiet = change_sizes(before, find_levels(before)) if before else np.empty(0, np.float32)
    part = (slice(first[0], None), slice(first[1], None))
    np.save(path.with_suffix(".evidence.npy"), loaded.values[:, *part].astype(np.float16))
    codes = np.stack([loaded["observation"].values[part], truth[part]])
    np.save(path.with_suffix(".codes.npy"), codes.astype(np.uint8))
    record = {
        "measures": measure(cube, lattice, levelling, quiet),
        "landslides": landslides,
        "spacing": spacing,
    }
    path.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")


def leave_out(path: Path, why: str) -> None:
    """Keep, in place of a scene's evidence, why there is none."""
    path.with_suffix(".json").write_text(json.dumps({"left_out": why}), encoding="utf-8")


def why_not(scene: KeptScene) -> str:
    """Why a scene was left out; '' where it was not."""
    return str(_record(scene.path).get("left_out", ""))


def _record(path: Path) -> dict[str, Any]:
    """What is kept of a scene; refused (RequestError) where one of its files is cut short."""
    try:
        record: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if "left_out" not in record:
            for kind in ("evidence", "codes"):
                np.load(path.with_suffix(f".{kind}.npy"), mmap_mode="r")
    except (OSError, ValueError) as error:
        raise RequestError(
            f"The evidence of {path.name} in folder {path.parent.name} is damaged: remove its "
            "files, and they are made again."
        ) from error
    return record


def open_kept(scene: KeptScene, bands: Sequence[str]) -> Scene:
    """A kept scene, lazily; no file of it stays open, since there may be thousands."""
    import dask.array as da
    from affine import Affine
    from dask.delayed import delayed
    from odc.geo.geobox import GeoBox

    path = scene.path
    record = _record(path)
    codes = path.with_suffix(".codes.npy")
    shape = np.load(codes, mmap_mode="r").shape[1:]
    spacing = record["spacing"]
    grid = GeoBox(shape, Affine(spacing, 0, 500_000, 0, -spacing, 5_000_000), "EPSG:32631")
    load = delayed(np.load, pure=True)
    values = da.from_delayed(
        load(path.with_suffix(".evidence.npy")), (len(bands), *shape), np.float16
    )
    seen = da.from_delayed(load(codes), (2, *shape), np.uint8)[0]
    composite = xr.DataArray(
        values.astype(np.float32),
        dims=("band", "y", "x"),
        coords={"band": [*bands], "observation": (("y", "x"), seen)},
        attrs={"scaling": "db", "simulated": int(scene.simulated), "scenes": path.name},
    )
    labels: Any = KeptLabels(grid, codes, range(record["landslides"]), path.name)
    return Scene(
        scene.name,
        composite,
        labels,
        role=scene.role,
        simulated=scene.simulated,
        every_patch=scene.every_patch,
    )


def measured_ranges(scenes: Iterable[KeptScene]) -> dict[str, tuple[float, float]]:
    """Measure -> least and most that the training scenes measure, outliers left out."""
    from sarmap.detect.trust import MEASURES, PATCH

    learnt = set(MEASURES) - set(PATCH)
    found: dict[str, list[float]] = {}
    for scene in scenes:
        if scene.role != "training":
            continue
        for measure, value in _record(scene.path)["measures"].items():
            if measure in learnt:
                found.setdefault(measure, []).append(value)
    ranges = {}
    for measure, values in sorted(found.items()):
        low, high = (float(f"{end:.4g}") for end in np.percentile(values, INNER))
        ranges[measure] = (low, high)
    return ranges
