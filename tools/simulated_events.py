"""Simulated events as arrays in memory: what shipped weights and trials of recipes learn from.

An event is simulated, read through the package's own route (STAC API, cube, terrain, composite),
kept as one file per orbit in a work folder, and its rasters are deleted again.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import sarmap
from sarmap.assess.inventory import rasterise_inventory, read_inventory
from sarmap.compose.scaling import from_power
from sarmap.learn.training_scenes import _simulated_cover
from sarmap.simulate.event import open_event, simulate_event
from sarmap.simulate.fingerprint import simulator_hash
from sarmap.simulate.serve import serve_event
from sarmap.types import Scaling

__all__ = [
    "BANDS",
    "HELD_OUT",
    "ORBITS",
    "SEEN",
    "SIZES",
    "TRAINING",
    "UNTOUCHED",
    "VALIDATION",
    "Event",
    "forget_rasters",
    "read_event",
    "turned",
]

TRAINING, VALIDATION, HELD_OUT = (11, 12, 13), 14, 15
SEEN, UNTOUCHED = (31, 32), (41, 42)
"""Seeds of the events; the demo's is 2018. The seen ones were looked at once, before the recipe was
settled; nothing was chosen by the untouched ones."""
SIZES = dict.fromkeys((*TRAINING, HELD_OUT), (2000, 1500)) | dict.fromkeys(
    (VALIDATION, *SEEN, *UNTOUCHED), (1200, 1000)
)
"""Rows and columns."""
ORBITS = ("ascending", "descending")
_RADAR = tuple(
    f"{polarisation}_{role}"
    for polarisation in ("vv", "vh")
    for role in ("pre", "pre_2", "pre_3", "post_1", "post_2")
)
BANDS = (*_RADAR, "slope", "incidence", "dem")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """One event seen from one orbit."""

    seed: int
    """Of the simulator."""
    orbit: str
    """'ascending' or 'descending'."""
    power: NDArray[np.float32]
    """(band, y, x) in the order of `BANDS`; radar as gamma-nought power."""
    mask: NDArray[np.uint8]
    """1 where the inventory says landslide (y, x)."""
    observation: NDArray[np.uint8]
    """What was seen of each pixel by the ten radar bands (y, x)."""
    cover: NDArray[np.uint8]
    """The simulator's land cover (y, x)."""

    @property
    def landslides(self) -> int:
        """How many patches of landslide the mask has."""
        from scipy.ndimage import label

        return int(label(self.mask)[1])

    def composite(self, bands: tuple[str, ...], scaling: Scaling) -> NDArray[np.float32]:
        """Bands (band, y, x) as a detector meets them."""
        picked = np.empty((len(bands), *self.mask.shape), np.float32)
        for place, band in zip(picked, bands, strict=True):
            values = self.power[BANDS.index(band)]
            place[...] = from_power(values, scaling) if band in _RADAR else values
        return picked


def turned(event: Event) -> Event:
    """The event with every landslide's change turned round, object by object.

    In each the mean of the passes after, less that of the passes before, in dB, is taken away
    twice; in VH in every other one.
    """
    from scipy import ndimage

    objects, count = ndimage.label(event.mask == 1)
    power, inside = event.power.copy(), objects > 0
    every_other = np.arange(count + 1) % 2 == 0
    for polarisation in ("vv", "vh"):
        before, after = (
            [BANDS.index(one) for one in BANDS if one.startswith(f"{polarisation}_{role}")]
            for role in ("pre", "post")
        )
        decibels = [10 * np.log10(event.power[one].mean(axis=0)) for one in (before, after)]
        change = ndimage.mean(decibels[1] - decibels[0], objects, np.arange(1, count + 1))
        change = np.concatenate([[0.0], np.nan_to_num(change)])
        if polarisation == "vh":
            change = np.where(every_other, change, 0.0)
        power[np.ix_(after)] *= np.where(inside, 10 ** (-0.2 * change[objects]), 1.0)
    return replace(event, power=power)


def read_event(work: Path, seed: int, orbit: str = "ascending", *, keep: bool = True) -> Event:
    """An event of the present simulator, made where the work folder has none."""
    stored = work / f"event-{seed}-{orbit}-{simulator_hash()}.npz"
    if not (keep and stored.is_file()):
        work.mkdir(parents=True, exist_ok=True)
        _make(stored, seed, orbit, keep)
    with np.load(stored, allow_pickle=False) as arrays:
        names = ("power", "mask", "observation", "cover")
        return Event(seed, orbit, *(arrays[name] for name in names))


def forget_rasters(work: Path, seed: int) -> None:
    """Delete the event's rasters once every orbit that is needed was read."""
    shutil.rmtree(_rasters(work, seed), ignore_errors=True)


def _rasters(work: Path, seed: int) -> Path:
    return work / f"rasters-{seed}-{simulator_hash()}"


def _make(stored: Path, seed: int, orbit: str, keep: bool) -> None:
    folder = _rasters(stored.parent, seed)
    if not (keep and (folder / "event.json").is_file()):
        rows, columns = SIZES[seed]
        log.info("simulating seed %d, %d x %d px", seed, rows, columns)
        simulate_event(
            folder,
            seed=seed,
            rows=rows,
            columns=columns,
            orbits=ORBITS,
            earlier=2,
            optical=False,
            decoy=False,
            overwrite=True,
        )
    event = open_event(folder)
    with serve_event(event) as server:
        passes = sarmap.search_passes(
            event.area, event.event, catalog=server.catalog, orbit=orbit, pre=3
        )
        cube = sarmap.open_cube(passes, event.grid)
        terrain = sarmap.open_terrain(event.grid, catalog=server.catalog, passes=passes)
        composite = sarmap.make_composite(cube, terrain, BANDS, scaling="power").compute()
    cover, _ = _simulated_cover(str(folder))
    partial = stored.with_suffix(".partial.npz")
    np.savez(
        partial,
        power=composite.values,
        mask=rasterise_inventory(read_inventory(event.inventory), event.grid),
        observation=composite["observation"].values,
        cover=cover,
    )
    partial.replace(stored)
