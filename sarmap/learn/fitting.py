"""The training loop: epochs of batches, the best weights kept, every epoch survivable.

Order, augmentation and dropout of an epoch depend on the seed and the epoch's number alone, so a
run that was killed and taken up again trains on the same batches as one that was not.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sarmap.errors import RequestError, SarmapError
from sarmap.learn.augment import flip, warp
from sarmap.learn.losses import Loss

Batch = tuple[NDArray[Any], NDArray[Any]]
Report = Callable[[dict[str, float]], None]
"""Called after each epoch with what the curves hold of it."""
log = logging.getLogger(__name__)

_JUDGED = 64
"""Validation samples judged at once."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the defaults are paper 2's best."""

    epochs: int = 20
    """Most passes over the samples."""
    batch: int = 16
    """Samples per step."""
    learning_rate: float = 0.001
    """Adam's rate: the first, where it falls along a cosine."""
    augment: bool = True
    """Random flips, and for clips rotation, zoom and translation."""
    patience: int = 6
    """Epochs without a better validation loss after which training stops."""
    seed: int = 0
    """Seed of weights, order, dropout and augmentation."""
    schedule: str = "cosine"
    """'cosine': the rate falls to zero over the epochs; 'constant': the papers'."""
    keep: str = "best"
    """'best': weights of the epoch with the least validation loss; 'last': of the last one, which a
    rate that falls to zero makes steadier than a noisy validation loss chooses."""

    def record(self) -> dict[str, Any]:
        """As plain values, for a manifest."""
        return asdict(self)


class Source(Protocol):
    """Samples that can be asked for by number, normalised as the network takes them."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def order(self, rng: Generator) -> Iterator[NDArray[np.int64]]:
        """All numbers once, shuffled, in runs that fit into memory."""
        ...

    def read(self, numbers: NDArray[np.int64]) -> Batch:
        """Images [n, y, x, band] and their masks or labels."""
        ...


@dataclass
class _State:
    """What a run must remember from one epoch to the next."""

    history: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_arrays: list[NDArray[Any]] = field(default_factory=list)
    waited: int = 0


def fit(
    model: Any,
    training: Source,
    validation: Source,
    recipe: Recipe,
    loss: Loss,
    *,
    keep_in: Path | None = None,
    report: Report | None = None,
) -> list[dict[str, float]]:
    """Train with Adam until the validation loss stops falling; the chosen epoch's weights stay. Per
    epoch 'epoch', 'loss', 'val_loss', 'learning_rate' and 'seconds', which `report` is told, too.

    The model (`sarmap.detect.networks.build_network`) is trained in place; validation samples are
    neither shuffled nor augmented; a run that finds a checkpoint in `keep_in` goes on from it.
    Raises RequestError where that is of another network or recipe, SarmapError where the loss
    became infinite or no number.
    """
    import keras

    steps = max(math.ceil(len(training) / recipe.batch), 1)
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps * recipe.epochs)
    # XLA would compile for longer than a small training takes
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    state = _load(model, recipe, keep_in) or _State()
    while len(state.history) < recipe.epochs and state.waited < recipe.patience:
        _epoch(model, training, validation, recipe, state)
        if keep_in is not None:
            _save(model, recipe, state, keep_in)
        if report:
            report(state.history[-1])
    if recipe.keep == "best":
        for variable, value in zip(model.variables, state.best_arrays, strict=True):
            variable.assign(value)
    return state.history


def _epoch(model: Any, training: Source, validation: Source, recipe: Recipe, state: _State) -> None:
    started = time.perf_counter()
    epoch = len(state.history)
    steps = math.ceil(len(training) / recipe.batch)
    with _tensors(model, lambda: epoch_batches(training, recipe, epoch), steps) as fed:
        ran = model.fit(fed, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0)
    loss = float(ran.history["loss"][0])
    judgements = math.ceil(len(validation) / _JUDGED)
    with _tensors(model, lambda: _in_order(validation), judgements) as judging:
        judged = float(model.evaluate(judging, verbose=0))
    if not (math.isfinite(loss) and math.isfinite(judged)):
        raise SarmapError(
            f"Training diverged in epoch {epoch + 1} (loss {loss}, validation {judged}): use a "
            "lower learning_rate. What was learnt before is kept in the checkpoint."
        )
    state.waited += 1
    if judged < state.best:
        state.best, state.waited = judged, 0
        state.best_arrays = [np.asarray(v.value) for v in model.variables]
    state.history.append(
        {
            "epoch": epoch + 1,
            "loss": loss,
            "val_loss": judged,
            "learning_rate": float(np.asarray(model.optimizer.learning_rate)),
            "seconds": round(time.perf_counter() - started, 3),
        }
    )
    log.info("epoch %d: loss %.4f, validation %.4f", epoch + 1, loss, judged)


# --- batches -------------------------------------------------------------------------------------


def epoch_batches(source: Source, recipe: Recipe, epoch: int) -> Iterator[Batch]:
    """The batches of one epoch, shuffled and augmented by the seed and the epoch's number."""
    rng = np.random.default_rng([recipe.seed, epoch, 1])
    left: Batch | None = None
    for numbers in source.order(rng):
        images, labels = source.read(numbers)
        if left is not None:
            images, labels = (
                np.concatenate(pair) for pair in zip(left, (images, labels), strict=True)
            )
        whole = len(images) // recipe.batch * recipe.batch
        for start in range(0, whole, recipe.batch):
            part = slice(start, start + recipe.batch)
            yield _augmented(images[part], labels[part], recipe, rng)
        left = (images[whole:], labels[whole:]) if whole < len(images) else None
    if left is not None:
        yield _augmented(*left, recipe, rng)


def _augmented(images: NDArray[Any], labels: NDArray[Any], recipe: Recipe, rng: Generator) -> Batch:
    """Flips of patches with their masks (paper 2); flips and warps of clips (paper 1)."""
    if not recipe.augment:
        return images, labels
    if labels.ndim > 1:
        images, labels = flip(rng, images, labels)
        return images, labels
    (images,) = flip(rng, images)
    return warp(rng, images), labels


def _in_order(source: Source) -> Iterator[Batch]:
    for start in range(0, len(source), _JUDGED):
        yield source.read(np.arange(start, min(start + _JUDGED, len(source))))


@contextmanager
def _tensors(model: Any, batches: Callable[[], Iterator[Batch]], count: int) -> Iterator[Any]:
    """A `tf.data` pipeline over batches: the next ones are read while one is trained on."""
    import tensorflow as tf

    shape = model.input_shape[1:]
    answers = len(model.output_shape) - 2
    held = [batches]
    fed = tf.data.Dataset.from_generator(
        lambda: held[0](),
        output_signature=(
            tf.TensorSpec((None, *shape), tf.float32),
            tf.TensorSpec((None, *shape[:answers]), tf.uint8),
        ),
    )
    try:
        yield fed.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)
    finally:
        held.clear()  # TensorFlow keeps the generator, and with it the samples, for good


# --- checkpoints ---------------------------------------------------------------------------------


def _checkpoint(folder: Path) -> Path:
    return folder / "checkpoint.npz"


def _save(model: Any, recipe: Recipe, state: _State, folder: Path) -> None:
    """One file with all there is to remember, put in place of the last in one step."""
    arrays = {f"model-{i}": np.asarray(v.value) for i, v in enumerate(model.variables)}
    arrays |= {f"adam-{i}": np.asarray(v.value) for i, v in enumerate(model.optimizer.variables)}
    arrays |= {f"best-{i}": value for i, value in enumerate(state.best_arrays)}
    said = {
        "recipe": recipe.record(),
        "history": state.history,
        "best": state.best,
        "waited": state.waited,
    }
    arrays["state"] = np.frombuffer(json.dumps(said).encode(), np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "checkpoint.npz.partial"
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    partial.replace(_checkpoint(folder))
    write_csv(state.history, folder / "curves.csv")


def _load(model: Any, recipe: Recipe, folder: Path | None) -> _State | None:
    """The state a killed run left, put back into the model; None where there is none whole."""
    if folder is None or not _checkpoint(folder).is_file():
        return None
    try:
        with np.load(_checkpoint(folder), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        said = json.loads(arrays["state"].tobytes())
        recorded = said["recipe"]
        state = _State(list(said["history"]), float(said["best"]), [], int(said["waited"]))
    except Exception:  # of as many kinds as there are ways to be damaged
        log.warning("The checkpoint of the training is damaged: it begins anew.")
        return None
    if recorded != recipe.record():
        raise _of_another("recipe")
    optimizer = model.optimizer.variables
    places = {"model": model.variables, "adam": optimizer, "best": model.variables}
    for prefix, variables in places.items():
        for number, variable in enumerate(variables):
            value = arrays.get(f"{prefix}-{number}")
            if value is None or value.shape != tuple(variable.shape):
                raise _of_another("network")
    state.best_arrays = [arrays[f"best-{i}"] for i in range(len(model.variables))]
    for prefix in ("model", "adam"):
        for number, variable in enumerate(places[prefix]):
            variable.assign(arrays[f"{prefix}-{number}"])
    log.info("taken up after epoch %d", len(state.history))
    return state


def _of_another(what: str) -> RequestError:
    return RequestError(
        f"The folder holds a checkpoint of another {what}: choose another out=, or give "
        "overwrite=True (--overwrite)."
    )


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Rows of the same columns as CSV, such as the curves: one per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
