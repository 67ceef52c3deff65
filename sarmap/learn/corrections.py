"""Corrections: an analyst mends a map's polygons, and the weights learn from it in minutes.

The corrected polygons are taken as the truth in every tile that they, or the polygons of the map,
touch: a deleted polygon teaches as much as a drawn one. All other tiles say nothing, because nobody
says they were looked at. Whole spatial blocks of tiles are held out, and the shipped and the mended
weights are scored on those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from sarmap.assess.labels import Labels, read_labels
from sarmap.detect.manifest import read_arrays
from sarmap.detect.weight_files import detector_names
from sarmap.errors import RequestError
from sarmap.learn.config import TrainingConfig, read_config
from sarmap.learn.fitting import Report
from sarmap.learn.index import PatchRule
from sarmap.learn.outputs import TrainingResult, prepare_folder
from sarmap.learn.sample_store import SampleStore
from sarmap.learn.sample_writing import Progress, write_samples
from sarmap.learn.scene import Scene
from sarmap.learn.scoring import Gain, answers_of, count_outcomes, paired_gain, score_parts
from sarmap.learn.settle import check_backend, normalisation_of, settle
from sarmap.learn.splits import PARTS, blocks_of
from sarmap.learn.training_scenes import lazy_composite
from sarmap.store.encoding import FILL, threshold_level

if TYPE_CHECKING:
    from sarmap.detect.manifest import Manifest
    from sarmap.store.reading import MapReader


@dataclass(frozen=True)
class CorrectionResult:
    """Fine-tuned weights and what they gained."""

    training: TrainingResult
    """The weights, their card and their scores."""
    gain: Gain
    """Against the weights they were made from."""


def learn_corrections(
    corrections: str | Path,
    map_: str | Path,
    detector: str | Path | None = None,
    *,
    out: str | Path = "corrected",
    name: str | None = None,
    catalog: Any = None,
    reviewed: str | Path | None = None,
    crs: Any = None,
    epochs: int = 10,
    learning_rate: float = 1e-4,
    test: float = 0.3,
    block: int = 256,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    report: Report | None = None,
) -> CorrectionResult:
    """Fine-tune a detector on the corrected polygons of a map.

    Parameters
    ----------
    corrections
        The map's polygons as they should be: deleted, redrawn and added ones.
    map_
        The result store that was corrected; it says area, event and scenes.
    detector
        Shipped weights by name, or the path of others; None: those the map was made with.
    out, name
        Folder and name of the new weights; None: the old name with ``-corrected``.
    catalog
        Preset, URL or settings; None: the one the map names.
    reviewed
        Polygons of the area that was looked at; None: every tile that a polygon of the map or of
        the corrections touches.
    crs
        Reference system of a corrections file that does not say.
    epochs, learning_rate, seed
        Of the fine-tuning.
    test
        Share of the tiles held out.
    block
        Edge of the spatial blocks they are held out by, pixels.
    overwrite
        Replace another training in `out`.
    progress, report
        As of `sarmap.train`.

    Raises
    ------
    RequestError
        The map, the corrections or the detector cannot be used, or the catalogue now gives other
        scenes than the map was made from.
    """
    from sarmap.store.reading import open_reader

    check_backend()
    reader = open_reader(map_)
    parent, folder = _trainable(_own_detector(reader) if detector is None else detector)
    asked = {
        "name": name or f"{parent.name}-corrected",
        "out": str(out),
        **{"epochs": epochs, "patience": epochs, "learning_rate": learning_rate, "seed": seed},
        "samples": {"keep": "all", "split": "blocks", "test": test, "block": block},
    }
    config = _config(parent, reader, corrections, catalog, asked)
    arrays = read_arrays(folder / parent.weights)
    labels = corrected_labels(reader, corrections, reviewed, crs, parent.tile)
    finished = prepare_folder(config, overwrite=overwrite)
    store = write_samples(
        [_scene(config, reader, labels)],
        Path(out).expanduser() / "samples.zarr",
        _rule(config),
        normalisation=config.normalised,
        overwrite=overwrite,
        progress=progress,
    )
    of = config.samples
    codes = store.parts("blocks", seed=seed, test=test, validation=of.validation, block=block)
    statistics = _statistics(parent)
    tiles = normalisation_of(statistics)
    shipped = answers_of(_network(config, len(store.bands), arrays))
    if finished is None:
        scored = score_parts(shipped, store, codes, "blocks", tiles)
        before = [replace(one, part=f"{one.part}, before") for one in scored]
        finished = settle(
            config,
            store,
            codes,
            initial=arrays,
            normalisation=statistics,
            fine_tuned_from={
                "name": parent.name,
                "sha256": parent.sha256,
                "simulated": parent.simulated,
            },
            before=before,
            report=report,
        )
    gain = _gain(config, store, codes, shipped, finished, tiles, block)
    _tell(finished, gain)
    return CorrectionResult(finished, gain)


# --- what is started from ------------------------------------------------------------------------


def _own_detector(reader: MapReader) -> str:
    """Name of the shipped weights that a map was made with."""
    name = str(json.loads(reader.attrs.get("detector", "{}")).get("name"))
    if name not in detector_names():
        raise RequestError(
            f"The map was made with detector {name!r}, which sarmap does not ship: say where its "
            "weights are with detector= (--detector)."
        )
    return name


def _trainable(detector: str | Path) -> tuple[Manifest, Path]:
    """Manifest and folder of weights that can be trained on."""
    from sarmap.detect.weights import NetworkDetector, load_detector

    loaded = load_detector(detector, precision="f32")
    if not isinstance(loaded, NetworkDetector) or loaded.manifest.network is None:
        raise RequestError(
            f"Detector {getattr(loaded, 'name', detector)!r} has no weights of a network that "
            "sarmap builds, so it cannot learn from corrections: use attention-unet or another "
            "trained one."
        )
    return loaded.manifest, loaded.folder


def _config(
    parent: Manifest,
    reader: MapReader,
    corrections: str | Path,
    catalog: Any,
    asked: Mapping[str, Any],
) -> TrainingConfig:
    """The fine-tuning as the configuration of a training."""
    request = json.loads(reader.attrs.get("sarmap:request", "{}"))
    event = json.loads(reader.attrs.get("sarmap:event", "null"))
    orbits = json.loads(reader.attrs.get("sarmap:orbits", "[]"))
    if not request or not event:
        raise RequestError(
            "The map does not say its area and event, so its scenes cannot be found again: give "
            "a map that `sarmap map` wrote."
        )
    if len(orbits) != 1:
        raise RequestError(
            "The map fuses two orbits, and a detector learns from one: correct a map of one orbit."
        )
    fields: dict[str, Any] = {
        **asked,
        "network": parent.network,
        "arguments": parent.arguments,
        "composite": parent.composite or parent.bands,
        "scaling": parent.scaling,
        "normalisation": "fixed"
        if isinstance(parent.normalisation, dict)
        else parent.normalisation,
        "tile": parent.tile,
        "schedule": "constant",
        "events": [
            {
                "name": "corrections",
                "area": request["area"],
                "event": event,
                "catalog": catalog if catalog is not None else request["catalog"],
                "orbit": orbits[0],
                "inventory": str(corrections),
            }
        ],
    }
    return read_config(fields)


def _statistics(parent: Manifest) -> Any:
    """The parent's normalisation, statistics in the order of its bands."""
    given = parent.normalisation
    return given if isinstance(given, str) else {band: given[band] for band in parent.bands}


def _network(config: TrainingConfig, bands: int, arrays: Mapping[str, Any]) -> Any:
    from sarmap.detect.networks import build_network, set_arrays

    model = build_network(config.network, bands, config.network_arguments)
    set_arrays(model, arrays)
    return model


def _scene(config: TrainingConfig, reader: MapReader, labels: Labels) -> Scene:
    """The map's composite, read anew from the same scenes."""
    event = config.events[0]
    composite = lazy_composite(
        reader.grid,
        event.event,
        event.catalog,
        reader.grid,
        config.bands,
        config.scaling,
        orbit=event.orbit,
    )
    known = set(reader.provenance.scene_ids)
    strange = [one for one in composite.attrs["scenes"] if known and one not in known]
    if strange:
        raise RequestError(
            f"The catalogue now gives scene {strange[0]}, which the corrected map was not made "
            "from: map the event again and correct that map."
        )
    simulated = bool(reader.attrs.get("simulated")) or bool(composite.attrs["simulated"])
    return Scene("corrections", composite, labels, simulated=simulated)


def _rule(config: TrainingConfig) -> Any:
    return config.rule if config.kind == "window" else PatchRule(config.edge, config.edge, "all")


# --- what it gave --------------------------------------------------------------------------------


def _gain(
    config: TrainingConfig,
    store: SampleStore,
    codes: NDArray[np.uint8],
    shipped: Any,
    finished: TrainingResult,
    tiles: Any,
    block: int,
) -> Gain:
    """Both weights on the held-out corrections."""
    which = np.flatnonzero(codes == PARTS.index("test"))
    arrays = read_arrays(finished.manifest.with_suffix(".npz"))
    mended = answers_of(_network(config, len(store.bands), arrays))
    before, after = (count_outcomes(ask, store, which, tiles)[0] for ask in (shipped, mended))
    squares = blocks_of(store.event[which], store.row[which], store.column[which], block)
    return paired_gain(before, after, squares)


def _tell(finished: TrainingResult, gain: Gain) -> None:
    """Add to the card what the corrections gave."""
    text = finished.card.read_text(encoding="utf-8")
    title = "## What the corrections gave"
    kept = text.split(f"\n{title}")[0].rstrip()
    finished.card.write_text(f"{kept}\n\n{title}\n\n{gain}\n", encoding="utf-8")


# --- what was looked at ---------------------------------------------------------------------------


def corrected_labels(
    reader: MapReader,
    corrections: str | Path,
    reviewed: str | Path | None,
    crs: Any,
    tile: int,
) -> Labels:
    """The corrected polygons, labelled where they or the map's polygons touch a tile."""
    labels = read_labels(reader.grid, corrections, surveyed=reviewed, crs=crs)
    if reviewed is not None:
        return labels
    touched = _touched(reader, labels, tile)
    return Labels(
        labels.grid,
        labels.landslides,
        _boxes(reader.grid, touched, tile),
        repaired=labels.repaired,
        dropped=labels.dropped,
    )


def _touched(reader: MapReader, labels: Labels, tile: int) -> NDArray[np.bool_]:
    """Which tiles (row, column) hold a pixel that the map, or the corrections, call landslide."""
    request = json.loads(reader.attrs.get("sarmap:request", "{}"))
    level = threshold_level(float(request.get("threshold", 0.5)))
    rows, columns = reader.shape
    touched = np.zeros((-(-rows // tile), -(-columns // tile)), bool)
    for strip in reader.strips(edge=tile):
        packed = strip.probability
        window = slice(strip.top, strip.top + packed.shape[0]), slice(0, columns)
        found = ((packed >= level) & (packed != FILL)) | (labels.mask(*window) == 1)
        y, x = np.nonzero(found)
        touched[(y + strip.top) // tile, x // tile] = True
    return touched


def _boxes(grid: Any, touched: NDArray[np.bool_], tile: int) -> Any:
    import geopandas

    y, x = np.nonzero(touched)
    left, top = grid.transform * (x * tile, y * tile)
    right, bottom = grid.transform * ((x + 1) * tile, (y + 1) * tile)
    boxes = shapely.box(
        np.minimum(left, right),
        np.minimum(top, bottom),
        np.maximum(left, right),
        np.maximum(top, bottom),
    )
    return geopandas.GeoDataFrame(geometry=boxes, crs=grid.crs.to_wkt())
