"""Train the weights that sarmap ships, from simulated events, and score them on another one.

    python tools/first_weights.py --work /somewhere/large

makes everything anew: events, composites through the package's own route (STAC API, cube, terrain,
composite), five trainings, float16 weights and manifests in `sarmap/detect/data`, scores included.
About 40 minutes on two cores. `--keep` reuses events that the same simulator left in the work
folder; `--only NAME` trains some of the five; `--quick` is a trial.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import xarray as xr

import sarmap
from sarmap.assess.inventory import rasterise_inventory, read_inventory
from sarmap.detect.manifest import save_weights
from sarmap.detect.networks import build_network, get_arrays
from sarmap.learn.fitting import Recipe
from sarmap.learn.in_memory import train_classifier, train_segmenter
from sarmap.learn.samples import (
    Clips,
    band_statistics,
    cut_patches,
    draw_clips,
    join,
    standardised,
)
from sarmap.simulate.event import open_event, simulate_event
from sarmap.simulate.fingerprint import simulator_hash
from sarmap.simulate.serve import serve_event

ROOT = Path(__file__).resolve().parent.parent
TRAINING, VALIDATION, HELD_OUT = (11, 12, 13), 14, 15
"""Seeds of the events; the demo's is 2018."""
SIZES = dict.fromkeys((*TRAINING, HELD_OUT), (2000, 1500)) | {VALIDATION: (1200, 1000)}
BANDS = ("vv_pre", "vv_post_1", "vv_post_2", "vh_post_1", "slope")
CLASSIFIERS = {
    "cnn-baa": ("BAA", ("vv_pre", "vv_post_1", "vv_post_2")),
    "cnn-bah": ("BAH", ("vv_pre", "vv_post_1", "vh_post_1")),
    "cnn-bas": ("BAS", ("vv_pre", "vv_post_1", "slope")),
    "cnn-dense": ("BAA", ("vv_pre", "vv_post_1", "vv_post_2")),
}
NETWORK = dict.fromkeys(CLASSIFIERS, "cnn") | {"cnn-dense": "cnn-dense"}
CARD = {
    "cnn": "Paper 1's three-block CNN on composite {composite}.",
    "cnn-dense": (
        "A three-block CNN without resampling or padding on composite {composite}: one pass over a "
        "block answers all its windows. Not the papers' network; its scores stand beside theirs."
    ),
}
SEGMENTER = ("attention-unet", "BAA_S", ("vv_pre", "vv_post_1", "vv_post_2", "slope"))
UNET = {"filters": 16, "depth": 4, "tile": 64}
NEGATIVES = 4.0
log = logging.getLogger("first_weights")


@dataclass(frozen=True)
class Effort:
    """How much is trained."""

    command: str
    """What reproduces it."""
    unet: Recipe
    """Recipe of the U-Net."""
    cnn: Recipe
    """Recipe of the CNNs."""
    patch_stride: int
    """Step between training patches, pixels."""
    clips: int
    """Most landslide clips drawn per event."""


FULL = Effort(
    "python tools/first_weights.py --work FOLDER",
    Recipe(epochs=12, batch=16, patience=4, seed=1),
    Recipe(epochs=8, batch=64, patience=3, seed=1),
    patch_stride=64,
    clips=2500,
)
QUICK = Effort(
    "python tools/first_weights.py --work FOLDER --quick",
    Recipe(epochs=6, batch=16, patience=5, seed=1),
    Recipe(epochs=5, batch=64, patience=5, seed=1),
    patch_stride=112,
    clips=1500,
)


def main() -> None:
    """Simulate, train, store, score."""
    arguments = _arguments()
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx").setLevel("WARNING")
    made_by = simulator_hash()
    events = {
        seed: _read(arguments.work / f"event-{seed}-{made_by}", seed, arguments.keep)
        for seed in SIZES
    }
    wanted = arguments.only or (SEGMENTER[0], *CLASSIFIERS)
    effort = QUICK if arguments.quick else FULL
    for name in wanted:
        if name == SEGMENTER[0]:
            _make_segmenter(effort, events, arguments.out)
        else:
            _make_classifier(name, effort, events, arguments.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the events")
    parser.add_argument("--out", type=Path, default=ROOT / "sarmap" / "detect" / "data")
    parser.add_argument("--keep", action="store_true", help="reuse the events in --work")
    parser.add_argument("--only", nargs="*", choices=(SEGMENTER[0], *CLASSIFIERS))
    parser.add_argument("--quick", action="store_true", help="a tenth of the training, as a trial")
    return parser.parse_args()


def _read(folder: Path, seed: int, keep: bool) -> xr.Dataset:
    """One event as composite (band, y, x) and mask (y, x), in memory."""
    stored = folder.with_name(folder.name + ".nc")
    if keep and stored.is_file():
        return xr.load_dataset(stored, engine="scipy")
    if not (keep and folder.is_dir()):
        rows, columns = SIZES[seed]
        log.info("simulating seed %d, %d x %d px", seed, rows, columns)
        simulate_event(
            folder,
            seed=seed,
            rows=rows,
            columns=columns,
            orbits=("ascending",),
            earlier=0,
            optical=False,
            decoy=False,
            overwrite=True,
        )
    event = open_event(folder)
    with serve_event(event) as server:
        passes = sarmap.search_passes(event.area, event.event, catalog=server.catalog, post=2)
        cube = sarmap.open_cube(passes, event.grid)
        terrain = sarmap.open_terrain(event.grid, catalog=server.catalog, passes=passes)
        composite = sarmap.make_composite(cube, terrain, BANDS, scaling="amplitude").compute()
    mask = rasterise_inventory(read_inventory(event.inventory), event.grid)
    log.info("read seed %d: %.1f %% landslide", seed, 100 * float(mask.mean()))
    read = xr.Dataset(
        {
            "composite": (("band", "y", "x"), composite.values),
            "mask": (("y", "x"), mask),
            "observation": (("y", "x"), composite["observation"].values),
        },
        coords={"band": list(BANDS), "y": composite.y.values, "x": composite.x.values},
    )
    read["band"] = read["band"].astype("S")
    read.to_netcdf(stored, engine="scipy")
    return read


def _pixels(event: xr.Dataset, bands: tuple[str, ...]) -> np.ndarray:
    """Bands of an event, float32 (band, y, x), as the detector will meet them."""
    picked: np.ndarray = event["composite"].values[[BANDS.index(band) for band in bands]]
    return picked


def _make_segmenter(effort: Effort, events: dict[int, xr.Dataset], out: Path) -> None:
    name, composite, bands = SEGMENTER

    def patches(seed: int, stride: int) -> Any:
        mask = events[seed]["mask"].values
        return cut_patches(_pixels(events[seed], bands), mask, stride=stride, keep="all")

    training = join([patches(seed, effort.patch_stride) for seed in TRAINING])
    validation = patches(VALIDATION, 64)
    started = time.time()
    model = _seeded(name, bands, UNET, effort.unet)
    history = train_segmenter(model, training, validation, effort.unet)
    fields = {
        "name": name,
        "network": name,
        "arguments": UNET,
        "bands": bands,
        "composite": composite,
        "scaling": "amplitude",
        "normalisation": "tile-minmax",
        "kind": "segment",
        "tile": 64,
        "stride": 64,
        "training": _training(
            effort, effort.unet, history, len(training.labels), time.time() - started
        )
        | {"loss": "Dice over two classes", "patches": f"all, every {effort.patch_stride} px"},
        "card": (
            "First weights, trained quickly on SIMULATED events only: they show the route, and "
            "have seen no real landslide. Attention U-Net with 16 first-layer filters instead of "
            "the paper's 32, so that the Iburi extent maps in seconds on two cores without bf16."
        ),
    }
    _store(get_arrays(model), out, fields, events[HELD_OUT], {})


def _make_classifier(name: str, effort: Effort, events: dict[int, xr.Dataset], out: Path) -> None:
    composite, bands = CLASSIFIERS[name]

    def clips(seed: int, most: int, negatives: float) -> Clips:
        rng = np.random.default_rng([seed, 25])
        mask = events[seed]["mask"].values
        pixels = _pixels(events[seed], bands)
        return draw_clips(pixels, mask, rng, landslides=most, negatives=negatives)

    drawn = [clips(seed, effort.clips, NEGATIVES) for seed in TRAINING]
    statistics = band_statistics(drawn, bands)
    training = standardised(join(drawn), statistics)
    validation = standardised(clips(VALIDATION, 2000, NEGATIVES), statistics)
    started = time.time()
    network = NETWORK[name]
    model = _seeded(network, bands, {}, effort.cnn)
    history = train_classifier(model, training, validation, effort.cnn)
    balanced = standardised(clips(HELD_OUT, 4000, 1.0), statistics)
    fields = {
        "name": name,
        "network": network,
        "arguments": {},
        "bands": bands,
        "composite": composite,
        "scaling": "amplitude",
        "normalisation": statistics,
        "kind": "window",
        "tile": 25,
        "stride": 2,
        "network_size": 32 if network == "cnn" else None,
        "training": _training(
            effort, effort.cnn, history, len(training.labels), time.time() - started
        )
        | {
            "loss": "sparse categorical cross-entropy",
            "clips": f"centre inside a landslide, {NEGATIVES:g} others each, 3 px apart",
        },
        "card": (
            "First weights, trained quickly on SIMULATED events only: they show the route, and "
            f"have seen no real landslide. {CARD[network].format(composite=composite)}"
        ),
    }
    answers = np.asarray(model.predict(balanced.images, batch_size=256, verbose=0))[:, 1]
    clip_scores = {"balanced clips": _scores(balanced.labels == 1, answers > 0.5)}
    _store(get_arrays(model), out, fields, events[HELD_OUT], clip_scores)


def _seeded(name: str, bands: tuple[str, ...], arguments: dict[str, Any], recipe: Recipe) -> Any:
    import keras

    keras.utils.set_random_seed(recipe.seed)
    return build_network(name, len(bands), arguments)


def _training(
    effort: Effort, recipe: Recipe, history: dict[str, list[float]], samples: int, seconds: float
) -> dict[str, Any]:
    import tensorflow

    return {
        "simulated": True,
        "simulator": simulator_hash(),
        "events": {
            "training": list(TRAINING),
            "validation": VALIDATION,
            "held out": HELD_OUT,
            "rows and columns": {str(seed): list(size) for seed, size in SIZES.items()},
            "orbit": "ascending",
        },
        "samples": samples,
        "recipe": recipe.record(),
        "epochs": len(history["loss"]),
        "best validation loss": round(min(history["val_loss"]), 5),
        "minutes": round(seconds / 60, 1),
        "command": effort.command,
        "versions": {
            "sarmap": sarmap.__version__,
            "python": platform.python_version(),
            "tensorflow": tensorflow.__version__,
            **{one: metadata.version(one) for one in ("keras", "numpy")},
        },
    }


def _store(
    arrays: Any, out: Path, fields: dict[str, Any], event: xr.Dataset, scores: dict[str, Any]
) -> None:
    """Store, then score what was stored on the whole held-out map, then store with the scores."""
    fields |= {"simulated": True, "licence": "Apache-2.0"}
    manifest = save_weights(arrays, out, **fields)
    detector: Any = sarmap.load_detector(manifest, precision="f32")
    composite = xr.DataArray(
        _pixels(event, detector.bands),
        dims=("band", "y", "x"),
        coords={
            "band": list(detector.bands),
            "y": event.y,
            "x": event.x,
            "observation": (("y", "x"), event["observation"].values),
        },
        attrs={"scaling": "amplitude"},
    ).chunk({"y": 512, "x": 512})
    mapped = sarmap.predict(composite, detector).compute()
    seen = mapped["observation"].values == 0
    found = mapped["probability"].values[seen] > 0.5
    scores["whole map"] = _scores(event["mask"].values[seen] == 1, found)
    log.info("%s: %s", fields["name"], json.dumps(scores))
    save_weights(arrays, out, **fields, scores=scores)


def _scores(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    tp = int((truth & found).sum())
    fp, fn = int((~truth & found).sum()), int((truth & ~found).sum())
    values = {
        "accuracy": 1 - (fp + fn) / truth.size,
        "precision": tp / max(tp + fp, 1),
        "recall": tp / max(tp + fn, 1),
        "f1": 2 * tp / max(2 * tp + fp + fn, 1),
        "iou": tp / max(tp + fp + fn, 1),
    }
    return {"count": truth.size} | {name: round(value, 4) for name, value in values.items()}


if __name__ == "__main__":
    main()
