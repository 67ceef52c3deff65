"""Networks trained on simulated events in memory and scored on whole maps of others."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from simulated_events import Event, turned

import sarmap
from sarmap.detect.manifest import Manifest, read_arrays, read_manifest, save_weights
from sarmap.detect.normalise import normalise_tiles
from sarmap.detect.protocol import FixedStatistics
from sarmap.learn.fitting import Recipe
from sarmap.learn.samples import Patches
from sarmap.types import Scaling

__all__ = [
    "SQUARE",
    "Fitted",
    "band_statistics",
    "best_threshold",
    "cut",
    "cut_turned",
    "detector",
    "f1_of",
    "fused",
    "logit",
    "map_of",
    "outcomes",
    "scores_of",
    "thin",
    "train",
    "use_threads",
]

SQUARE = 256
"""Edge of the squares that intervals redraw, pixels."""
log = logging.getLogger(__name__)
Statistics = Mapping[str, tuple[float, float]]


def band_statistics(
    events: Sequence[Event], bands: tuple[str, ...], scaling: Scaling
) -> Statistics:
    """Mean and standard deviation of each band over what was observed of the events."""
    found = {}
    for band in bands:
        pixels = [e.composite((band,), scaling)[0][e.observation == 0][::7] for e in events]
        values = np.concatenate(pixels).astype(np.float64)
        values = values[np.isfinite(values)]
        found[band] = (round(float(values.mean()), 4), round(float(values.std()), 4))
    return found


def as_statistics(normalisation: Statistics | str) -> Any:
    """A manifest's normalisation as `normalise_tiles` takes it."""
    if isinstance(normalisation, str):
        return normalisation
    return FixedStatistics(*(tuple(pair) for pair in zip(*normalisation.values(), strict=True)))


def cut(
    event: Event,
    bands: tuple[str, ...],
    scaling: Scaling,
    normalisation: Statistics | str,
    *,
    tile: int = 64,
    empty: float = 0.0,
) -> Patches:
    """The event's whole tiles with a landslide pixel, and a share of those without one."""
    composite = event.composite(bands, scaling)
    images, masks = [], []
    rng = np.random.default_rng([event.seed, tile])
    for y in range(0, event.mask.shape[0] - tile + 1, tile):
        for x in range(0, event.mask.shape[1] - tile + 1, tile):
            place = (slice(y, y + tile), slice(x, x + tile))
            mask, seen = event.mask[place], event.observation[place] == 0
            chance = rng.random()
            if seen.any() and ((mask[seen] == 1).any() or chance < empty):
                images.append(np.moveaxis(composite[:, *place], 0, -1))
                masks.append(np.where(seen, mask, 255))
    tiles = np.ascontiguousarray(images, np.float32)
    normalise_tiles(tiles, as_statistics(normalisation))
    return Patches(tiles, np.array(masks, np.uint8))


def cut_turned(event: Event, share: float, *how: Any, empty: float) -> Patches:
    """The event's tiles as `cut` gives them, a share of them of the event turned round."""
    if share == 0:
        return cut(event, *how, empty=empty)
    plain, other = (cut(one, *how, empty=empty) for one in (event, turned(event)))
    draw = np.random.default_rng([event.seed, 9])
    chosen = draw.random(len(plain.labels)) < share
    return Patches(np.where(chosen[:, None, None, None], other.images, plain.images), plain.labels)


def map_of(detector: Any, event: Event, *, overlap: int = 0) -> NDArray[np.float32]:
    """The event's whole map as `sarmap.predict` makes it: probability (y, x), NaN where unseen."""
    composite = xr.DataArray(
        event.composite(tuple(detector.bands), detector.scaling),
        dims=("band", "y", "x"),
        coords={
            "band": list(detector.bands),
            "y": np.arange(event.mask.shape[0]),
            "x": np.arange(event.mask.shape[1]),
            "observation": (("y", "x"), event.observation),
        },
        attrs={"scaling": detector.scaling},
    ).chunk({"y": 512, "x": 512})
    mapped = sarmap.predict(composite, detector, overlap=overlap)
    probability: NDArray[np.float32] = mapped["probability"].values
    return probability


def logit(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithm of the odds; NaN stays NaN."""
    inner = np.clip(probability, 1e-6, 1 - 1e-6).astype(np.float64)
    return np.asarray(np.log(inner / (1 - inner)), np.float32)


def fused(*logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the probabilities of those that saw a pixel, as `sarmap.detect.fusion` takes it."""
    answers = [1 / (1 + np.exp(-one)) for one in logits]
    seen = sum(np.isfinite(one) for one in answers)
    total = sum(np.nan_to_num(one) for one in answers)
    return np.asarray(np.where(seen > 0, total / np.maximum(seen, 1), np.nan), np.float32)


def outcomes(
    truth: NDArray[np.uint8], probability: NDArray[np.float32], threshold: float = 0.5
) -> NDArray[np.int64]:
    """TP, FP, FN, TN of each square of the map (square, 4); pixels that are NaN never count."""
    seen, found, true = np.isfinite(probability), probability > threshold, truth == 1
    each = (seen & found & true, seen & found & ~true, seen & ~found & true, seen & ~found & ~true)
    rows, columns = (-(-n // SQUARE) for n in truth.shape)
    counts = np.zeros((rows * columns, 4), np.int64)
    for row in range(rows):
        for column in range(columns):
            place = tuple(slice(i * SQUARE, (i + 1) * SQUARE) for i in (row, column))
            counts[row * columns + column] = [int(one[place].sum()) for one in each]
    return counts


def f1_of(counts: NDArray[np.int64]) -> float:
    """F1 of all squares together.

    >>> f1_of(np.array([[2, 1, 0, 9], [1, 0, 1, 5]]))
    0.75
    """
    tp, fp, fn, _ = (int(n) for n in counts.sum(axis=0))
    return 2 * tp / (2 * tp + fp + fn)


def scores_of(counts: NDArray[np.int64]) -> dict[str, Any]:
    """Scores of all squares with 95 % intervals of the block bootstrap."""
    from sarmap.assess.intervals import score_intervals
    from sarmap.assess.scores import Scores

    total = Scores(*(int(n) for n in counts.sum(axis=0))).record()
    intervals = score_intervals(counts)
    names = ("accuracy", "precision", "recall", "f1", "iou")
    return {
        "count": int(counts.sum()),
        **{name: round(float(total[name]), 4) for name in names},
        "intervals": {name: [round(end, 4) for end in intervals[name].record()] for name in names},
    }


@dataclass(frozen=True)
class Fitted:
    """A network that was trained."""

    arrays: Mapping[str, Any]
    """Its weights by name."""
    arguments: Mapping[str, Any]
    """Of its builder."""
    history: list[dict[str, float]]
    """Per epoch."""
    samples: int
    """Patches it was trained on."""


def use_threads(count: int) -> None:
    """So many threads for training: beside other work one waits less than two for each other."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)


def thin(patches: Patches, most: int) -> Patches:
    """At most so many of the patches, drawn without order."""
    chosen = np.random.default_rng(5).permutation(len(patches.labels))[:most]
    return Patches(patches.images[chosen], patches.labels[chosen])


def train(
    training: Patches,
    validation: Patches,
    recipe: Recipe,
    *,
    arguments: Mapping[str, Any],
    bands: tuple[str, ...],
    start: Path | None = None,
    loss: str = "dice",
    loss_settings: Mapping[str, float] | None = None,
    keep_in: Path | None = None,
) -> Fitted:
    """An Attention U-Net on patches; a run that was killed goes on at its last epoch.

    `start`: manifest of weights to go on from, of other bands if need be.
    """
    import keras

    from sarmap.detect.networks import build_network, get_arrays, set_arrays
    from sarmap.learn.fitting import fit
    from sarmap.learn.losses import make_loss
    from sarmap.learn.sources import InMemory

    keras.utils.set_random_seed(recipe.seed)
    model = build_network("attention-unet", training.images.shape[-1], arguments)
    if start is not None:
        set_arrays(model, started_from(read_manifest(start), start.parent, bands))
    made = make_loss(loss, **(loss_settings or {}))
    history = fit(
        model, InMemory(training), InMemory(validation), recipe, made, keep_in=keep_in, report=_say
    )
    return Fitted(get_arrays(model), dict(arguments), history, len(training.labels))


def started_from(old: Manifest, folder: Path, bands: tuple[str, ...]) -> dict[str, Any]:
    """Arrays of a network of other bands that begins where the old one ended.

    Only the first kernel knows of bands. Passes before the event share what the old network made of
    its one; VH begins as half of what VV of the same pass says; new ground bands begin at zero. The
    normalisation behind it takes up other scales within a few steps.
    """
    arrays = dict(read_arrays(folder / old.weights))
    if tuple(old.bands) == bands:
        return arrays
    kernel = np.asarray(arrays["down0a/kernel"], np.float32)
    passes = sum(band.startswith("vv_pre") for band in bands)

    def column(band: str) -> Any:
        role = "pre" if band[3:6] == "pre" else band[3:]
        source = band if band in old.bands else f"vv_{role}"
        if source not in old.bands:
            return np.zeros_like(kernel[:, :, 0])
        weight = (0.5 if band.startswith("vh") else 1.0) / (passes if role == "pre" else 1)
        return weight * kernel[:, :, old.bands.index(source)]

    arrays["down0a/kernel"] = np.stack([column(band) for band in bands], axis=2)
    return arrays


def _say(epoch: dict[str, float]) -> None:
    log.info(
        "epoch %d: loss %.4f, validation %.4f, %.0f s",
        *(epoch[name] for name in ("epoch", "loss", "val_loss", "seconds")),
    )


def detector(arrays: Mapping[str, Any], folder: Path, **fields: Any) -> Any:
    """The trained network as a detector, from stored weights."""
    arguments = fields["arguments"]
    manifest = save_weights(
        arrays,
        folder / "weights",
        name="trial",
        network="attention-unet",
        kind="segment",
        tile=arguments["tile"],
        stride=arguments["tile"],
        simulated=True,
        **fields,
    )
    return sarmap.load_detector(manifest, precision="f32")


def best_threshold(truth: NDArray[np.uint8], probability: NDArray[np.float32]) -> float:
    """The probability above which F1 is best."""
    seen = np.isfinite(probability)
    values, true = probability[seen], truth[seen] == 1
    bins = np.minimum((values * 100).astype(int), 99)
    hits = np.bincount(bins[true], minlength=100)[::-1].cumsum()
    called = np.bincount(bins, minlength=100)[::-1].cumsum()
    f1 = 2 * hits / (called + true.sum())
    return float(round(0.99 - 0.01 * int(f1.argmax()), 2))
