"""One unit mapped: a resumable map of its own, read with the context its neighbours share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.assembly import Prepared
from sarmap.regions.design import Design, Work
from sarmap.regions.folder import Folder
from sarmap.regions.lattice import context
from sarmap.regions.place import on_globe, outline
from sarmap.regions.tracks import narrowed
from sarmap.types import MapRequest, MapResult

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["REDUCED", "map_name", "map_unit", "prepared_unit", "reduced", "unit_request"]

REDUCED = 64
"""Pixels along an edge of what becomes one pixel of a unit's overview."""


def map_name(unit: str) -> str:
    """Where a unit's map lies in the scan."""
    return f"units/{unit}/map.zarr"


def unit_request(work: Work, known: Design, folder: Folder) -> MapRequest:
    """The request of one unit's map."""
    request = known.survey.request
    shared = {name: getattr(request, name) for name in MapRequest.model_fields}
    return MapRequest(
        **shared
        | {
            "area": work.unit.grid,
            "crs": None,
            "out": folder.path(map_name(work.unit.name)),
            "products": (),
            "chunk": known.survey.chunk,
            "overwrite": False,
            "resume": True,
            "strict": False,
        }
    )


def prepared_unit(work: Work, known: Design, folder: Folder) -> Prepared:
    """Every decision of one unit's map, taken for the region.

    Scenes are narrowed to those that the unit may need; the radar's geometry comes from all scenes
    of the pass over the region, so that it is the same on both sides of a border.
    """
    survey = known.survey
    unit = work.unit
    margins = (
        context(survey.spec, survey.stride, unit.rows),
        context(survey.spec, survey.stride, unit.columns),
    )
    looks = tuple(known.takes[key] for key in known.decisions[unit.name].takes)
    piece = on_globe(outline(unit.grid))
    return Prepared(
        request=unit_request(work, known, folder),
        catalog=survey.catalog,
        detector=survey.detector,
        spec=survey.spec,
        passes=tuple(narrowed(passes, piece) for passes in looks),
        grid=unit.grid,
        chunk=survey.chunk,
        margins=margins,
        looks=looks,
        layered=True,
    )


@dataclass(frozen=True)
class Mapped:
    """One unit that has been mapped."""

    result: MapResult
    """The finished map."""
    seconds: float
    """Wall time."""


def map_unit(
    work: Work,
    known: Design,
    folder: Folder,
    client: Client | None,
    progress: Callable[[int, int], None] | None,
) -> Mapped:
    """Map one unit, or continue it where an earlier run left it.

    Raises what `sarmap.map_landslides` raises.
    """
    from sarmap.pipeline import map_landslides

    started = time.perf_counter()
    prepared = prepared_unit(work, known, folder)
    result = map_landslides(prepared.request, client, progress=progress, prepared=prepared)
    return Mapped(result, time.perf_counter() - started)


def reduced(dataset: xr.Dataset) -> dict[str, NDArray[np.uint8]]:
    """A unit at a 64th of its resolution, packed as its store is.

    Returns:
        ``probability`` (y, x): the greatest under each pixel, in steps of 0.004, 255 where nothing
        was seen; ``observed`` (y, x): share that was seen, 0-250.
    """
    import dask.array as da

    from sarmap.export.encoding import FILL, pack_probability
    from sarmap.types import Observation

    probability = da.asarray(dataset["probability"].data)
    seen = da.asarray(dataset["observation"].data) == int(Observation.OBSERVED)
    rows, columns = (-(-length // REDUCED) * REDUCED for length in probability.shape)
    pad = [(0, rows - probability.shape[0]), (0, columns - probability.shape[1])]
    packed = da.map_blocks(pack_probability, probability, dtype=np.uint8)
    # packed values without one are the greatest of all: they must not win
    level = da.pad(da.where(packed == FILL, 0, packed), pad)
    counted = da.pad(seen.astype(np.float32), pad)
    greatest = da.coarsen(np.max, level.rechunk(1024), {0: REDUCED, 1: REDUCED})
    share = da.coarsen(np.mean, counted.rechunk(1024), {0: REDUCED, 1: REDUCED})
    made = da.compute(greatest, share)
    observed = np.rint(made[1] * 250).astype(np.uint8)
    picture = np.where(made[1] > 0, made[0], FILL).astype(np.uint8)
    return {"probability": picture, "observed": observed}


def reopened(mapped: Mapped, folder: Folder, unit: str) -> Mapped:
    """The same with its dataset opened anew, without the graph that made it."""
    from sarmap.export.store import open_map

    dataset = open_map(folder.path(map_name(unit)))
    return replace(mapped, result=replace(mapped.result, dataset=dataset))
