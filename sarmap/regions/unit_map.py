"""One unit mapped: a resumable map of its own, read with the context its neighbours share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.choosing import instead
from sarmap.pipeline import MapResult
from sarmap.prepared import Margins, Prepared
from sarmap.regions.region import on_globe, outline
from sarmap.regions.scan_folder import Folder
from sarmap.regions.survey import Design, Survey, Work
from sarmap.regions.tracks import narrowed
from sarmap.regions.unit_lattice import Unit, context
from sarmap.types import MapRequest, Observation

if TYPE_CHECKING:
    from distributed import Client
    from odc.geo.geobox import GeoBox

LARGEST = 64
"""Most pixels along an edge of what becomes one pixel of a unit's overview."""
PICTURE = 1200
"""Pixels across a region's picture."""


def map_name(unit: str) -> str:
    """Where a unit's map lies in the scan."""
    return f"units/{unit}/map.zarr"


def unit_request(work: Work, design: Design, folder: Folder) -> MapRequest:
    """The request of one unit's map."""
    request = design.survey.request
    shared = {name: getattr(request, name) for name in MapRequest.model_fields}
    return MapRequest(
        **shared
        | {
            "area": work.unit.grid,
            "crs": None,
            "out": folder.path(map_name(work.unit.name)),
            "products": (),
            "chunk": design.survey.chunk,
            "overwrite": False,
            "resume": True,
            "strict": False,
        }
    )


def prepared_unit(work: Work, design: Design, folder: Folder) -> Prepared:
    """Every decision of one unit's map, taken for the region.

    Scenes are narrowed to those that the unit may need; the radar's geometry comes from all scenes
    of the pass over the region, so that it is the same on both sides of a border.
    """
    survey = design.survey
    unit = work.unit
    decision = design.decisions[unit.name]
    loaded = survey.detectors.named(decision.detector)
    margins = (
        context(loaded.spec, loaded.stride, unit.rows),
        context(loaded.spec, loaded.stride, unit.columns),
    )
    looks = tuple(design.takes[key] for key in decision.takes)
    notes = (instead(loaded.key, survey.detectors.first.key, decision.why),) if decision.why else ()
    piece = on_globe(outline(_with_context(unit, margins)))
    return Prepared(
        request=unit_request(work, design, folder),
        catalog=survey.catalog,
        detector=loaded.detector,
        spec=loaded.spec,
        passes=tuple(narrowed(passes, piece) for passes in looks),
        grid=unit.grid,
        chunk=survey.chunk,
        margins=margins,
        looks=looks,
        layered=True,
        warnings=notes,
    )


def _with_context(unit: Unit, margins: Margins) -> GeoBox:
    """All that a unit reads: itself and what lies around it."""
    rows, columns = (
        (span[0] - before, span[1] + after)
        for span, (before, after) in zip((unit.rows, unit.columns), margins, strict=True)
    )
    return unit.lattice.grid(rows, columns)


@dataclass(frozen=True)
class Mapped:
    """One unit that has been mapped."""

    result: MapResult
    """The finished map."""
    seconds: float
    """Wall time."""


def map_unit(
    work: Work,
    design: Design,
    folder: Folder,
    client: Client | None,
    progress: Callable[[int, int], None] | None,
) -> Mapped:
    """Map one unit, or continue it where an earlier run left it.

    Raises what `sarmap.map_landslides` raises.
    """
    from sarmap.pipeline import map_landslides

    started = time.perf_counter()
    prepared = prepared_unit(work, design, folder)
    result = map_landslides(prepared.request, client, progress=progress, prepared=prepared)
    return Mapped(result, time.perf_counter() - started)


def reduction_for(survey: Survey) -> int:
    """Pixels along an edge of what becomes one pixel of the overviews: 64, or fewer where a region
    is so small that its picture would show squares; a power of two."""
    spans = []
    for zone in {work.unit.lattice.zone for work in survey.works.values()}:
        units = [w.unit for w in survey.works.values() if w.unit.lattice.zone == zone]
        for axis in ("rows", "columns"):
            ends = [end for unit in units for end in getattr(unit, axis)]
            spans.append(max(ends) - min(ends))
    fitting = max(spans, default=1) / PICTURE
    return int(min(2 ** math.floor(math.log2(max(fitting, 1))), LARGEST))


def reduced(dataset: xr.Dataset, edge: int, threshold: float) -> dict[str, NDArray[Any]]:
    """A unit in pixels of `edge` x `edge` of its own: ``probability`` (y, x) uint8, the greatest
    under each, in steps of 0.004, 255 where nothing was seen; ``observed`` (y, x) uint16, how many
    of its pixels were seen; ``landslide`` (y, x) uint16, how many of those reach the threshold.
    """
    from sarmap.store.encoding import FILL, pack_probability, threshold_level

    probability = da.asarray(dataset["probability"].data)
    seen = da.asarray(dataset["observation"].data) == int(Observation.OBSERVED)
    pad = [(0, -length % edge) for length in probability.shape]
    packed = da.map_blocks(pack_probability, probability, dtype=np.uint8)
    # packed values without one are the greatest of all: they must not win
    level = da.where(seen & (packed != FILL), packed, 0)
    over = level >= threshold_level(threshold)

    def pooled(pool: Any, layer: Any, dtype: type) -> Any:
        whole = da.pad(layer.astype(dtype), pad).rechunk(max(1024 // edge, 1) * edge)
        return da.coarsen(pool, whole, {0: edge, 1: edge})

    greatest, observed, landslide = da.compute(
        pooled(np.max, level, np.uint8),
        pooled(np.sum, seen, np.uint16),
        pooled(np.sum, over, np.uint16),
        scheduler="threads",
    )
    picture = np.where(observed > 0, greatest, FILL).astype(np.uint8)
    return {
        "probability": picture,
        "observed": observed.astype(np.uint16),
        "landslide": landslide.astype(np.uint16),
    }


def reopened(mapped: Mapped, folder: Folder, unit: str) -> Mapped:
    """The same with its dataset opened anew, without the graph that made it."""
    from sarmap.store.result import open_map

    dataset = open_map(folder.path(map_name(unit)))
    return replace(mapped, result=replace(mapped.result, dataset=dataset))
