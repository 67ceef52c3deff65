"""Training of the papers' networks from samples in memory, with Keras on TensorFlow or JAX."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sarmap.learn.augment import flip, warp
from sarmap.learn.losses import dice_loss
from sarmap.learn.samples import Clips, Patches

__all__ = ["Recipe", "train_classifier", "train_segmenter"]

Batch = tuple[NDArray[Any], NDArray[Any]]
Augment = Callable[[Generator, NDArray[Any], NDArray[Any]], Batch]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the defaults are paper 2's best."""

    epochs: int = 20
    """Most passes over the samples."""
    batch: int = 16
    """Samples per step."""
    learning_rate: float = 0.001
    """Adam's first rate; it falls to zero along a cosine over the epochs."""
    augment: bool = True
    """Random flips, and for clips rotation, zoom and translation."""
    patience: int = 6
    """Epochs without a better validation loss after which training stops."""
    seed: int = 0
    """Seed of weights, order, dropout and augmentation."""

    def record(self) -> dict[str, Any]:
        """As plain values, for a manifest."""
        return asdict(self)


def train_segmenter(
    model: Any, training: Patches, validation: Patches, recipe: Recipe
) -> dict[str, list[float]]:
    """Train a U-Net on patches with Dice loss and Adam (paper 2); the best epoch's weights stay.

    Parameters
    ----------
    model
        As built by `sarmap.detect.networks.build_network`; trained in place.
    training, validation
        Patches; validation ones are never augmented.
    recipe
        How.

    Returns
    -------
    dict
        Per epoch: 'loss' and 'val_loss'.
    """

    def augmented(rng: Generator, images: NDArray[Any], labels: NDArray[Any]) -> Batch:
        images, labels = flip(rng, images, labels)
        return images, labels

    return _fit(model, training, validation, recipe, dice_loss(), augmented)


def train_classifier(
    model: Any, training: Clips, validation: Clips, recipe: Recipe
) -> dict[str, list[float]]:
    """Train a CNN on clips with sparse categorical cross-entropy and Adam (paper 1).

    Parameters
    ----------
    model
        As built by `sarmap.detect.networks.build_network`; trained in place.
    training, validation
        Clips, already normalised.
    recipe
        How.

    Returns
    -------
    dict
        Per epoch: 'loss' and 'val_loss'.
    """

    def augmented(rng: Generator, images: NDArray[Any], labels: NDArray[Any]) -> Batch:
        (images,) = flip(rng, images)
        return warp(rng, images), labels

    return _fit(model, training, validation, recipe, "sparse_categorical_crossentropy", augmented)


def _fit(
    model: Any,
    training: Patches | Clips,
    validation: Patches | Clips,
    recipe: Recipe,
    loss: Any,
    augmented: Augment,
) -> dict[str, list[float]]:
    import keras

    steps = -(-len(training.labels) // recipe.batch)
    rate = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps * recipe.epochs)
    # XLA would compile for longer than a small training takes
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss, jit_compile=False)
    history = model.fit(
        _dataset(training, recipe, augmented if recipe.augment else _unchanged),
        validation_data=_dataset(validation, recipe, None),
        epochs=recipe.epochs,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=recipe.patience, restore_best_weights=True),
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.LambdaCallback(on_epoch_end=_report),
        ],
        verbose=0,
    )
    return {name: [float(v) for v in values] for name, values in history.history.items()}


def _unchanged(rng: Generator, images: NDArray[Any], labels: NDArray[Any]) -> Batch:
    return images, labels


def _report(epoch: int, logs: dict[str, float]) -> None:
    log.info(
        "epoch %d: %s",
        epoch + 1,
        ", ".join(f"{name} {value:.4f}" for name, value in sorted(logs.items())),
    )


def _dataset(
    samples: Patches | Clips,
    recipe: Recipe,
    augmented: Augment | None,
) -> Any:
    """Batches for `fit`: augmented and shuffled anew each epoch, or plain and in order."""
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rng = np.random.default_rng(recipe.seed)
            self.on_epoch_end()

        def __len__(self) -> int:
            return -(-len(samples.labels) // recipe.batch)

        def __getitem__(self, index: int) -> Batch:
            part = self.order[index * recipe.batch : (index + 1) * recipe.batch]
            images, labels = samples.images[part], samples.labels[part]
            return augmented(self.rng, images, labels) if augmented else (images, labels)

        def on_epoch_end(self) -> None:
            count = len(samples.labels)
            self.order = self.rng.permutation(count) if augmented else np.arange(count)

    return Batches()
