"""Training learns what is there to learn, and the same seed learns it alike."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import keras

from sarmap.detect.networks import build_network, get_arrays, set_arrays
from sarmap.learn.fitting import Recipe
from sarmap.learn.in_memory import train_classifier, train_segmenter
from sarmap.learn.samples import Clips, Patches, split


def patches(count: int) -> Patches:
    """Bright squares on noise: the square is the landslide."""
    rng = np.random.default_rng(0)
    labels = np.zeros((count, 16, 16), np.uint8)
    for label in labels:
        y, x = rng.integers(0, 10, 2)
        label[y : y + 6, x : x + 6] = 1
    images = rng.normal(0.3, 0.1, (count, 16, 16, 2)).astype(np.float32)
    images[..., 0] += 0.4 * labels
    return Patches(images, labels)


def clips(count: int) -> Clips:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count).astype(np.uint8)
    images = rng.normal(0, 1, (count, 9, 9, 2)).astype(np.float32)
    images[:, 3:6, 3:6, 0] += 3 * labels[:, None, None]
    return Clips(images, labels)


def trained(seed: int = 0):
    keras.utils.set_random_seed(seed)
    model = build_network("attention-unet", 2, {"filters": 4, "depth": 2, "tile": 16})
    training, validation = split(patches(96), 0.2, np.random.default_rng(0))
    history = train_segmenter(
        model, training, validation, Recipe(epochs=8, batch=8, learning_rate=0.01, seed=seed)
    )
    return model, history, validation


@pytest.fixture(scope="module")
def segmenter():
    return trained()


def test_a_small_unet_learns_to_outline_bright_squares(segmenter):
    model, history, validation = segmenter
    found = np.asarray(model(validation.images))[..., 1] > 0.5
    truth = validation.labels == 1
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
    assert min(history["val_loss"]) < history["val_loss"][0]


def test_the_best_epoch_is_the_one_that_stays(segmenter):
    from sarmap.learn.losses import dice_loss

    model, history, validation = segmenter
    losses = [
        float(dice_loss()(validation.labels[part], model(validation.images[part])))
        for part in (slice(0, 8), slice(8, 16), slice(16, None))
    ]
    weights = [8, 8, len(validation.labels) - 16]
    assert np.average(losses, weights=weights) == pytest.approx(min(history["val_loss"]), rel=0.02)


def test_a_small_cnn_learns_to_tell_bright_clips():
    keras.utils.set_random_seed(0)
    arguments = {"clip": 9, "size": 8, "filters": [4], "dense": 8}
    model = build_network("cnn", 2, arguments)
    training, validation = split(clips(600), 0.2, np.random.default_rng(0))
    train_classifier(model, training, validation, Recipe(epochs=6, batch=16, learning_rate=0.01))
    found = np.asarray(model(validation.images)).argmax(axis=1)
    assert (found == validation.labels).mean() > 0.9


def test_arrays_go_out_and_in_unchanged(segmenter):
    model, _, validation = segmenter
    other = build_network("attention-unet", 2, {"filters": 4, "depth": 2, "tile": 16})
    set_arrays(other, get_arrays(model))
    np.testing.assert_array_equal(
        np.asarray(other(validation.images)), np.asarray(model(validation.images))
    )


def test_a_recipe_says_all_of_itself_in_plain_values():
    record = Recipe(epochs=3).record()
    assert record["epochs"] == 3
    assert set(record) == {
        "epochs",
        "batch",
        "learning_rate",
        "augment",
        "patience",
        "seed",
        "schedule",
    }
