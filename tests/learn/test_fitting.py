"""The training loop: it survives a kill, remembers what it was, and says when it fails."""

import csv
import gc
import os
import signal
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import keras

from sarmap.errors import RequestError, SarmapError
from sarmap.learn.fitting import Recipe, epoch_batches, fit
from sarmap.learn.losses import dice_loss
from sarmap.learn.sources import InMemory

RECIPE = Recipe(epochs=5, batch=8, learning_rate=0.05, seed=3)


def data(count: int = 44) -> InMemory:
    rng = np.random.default_rng(1)
    labels = (rng.random((count, 6, 6)) < 0.3).astype(np.uint8)
    images = rng.normal(0, 1, (count, 6, 6, 2)).astype(np.float32)
    images[..., 0] += labels
    return InMemory(images, labels)


def network() -> keras.Model:
    """One convolution with dropout before it: small, and random in training."""
    keras.utils.set_random_seed(RECIPE.seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Dropout(0.2),
            layers.BatchNormalization(),
            layers.Conv2D(2, 1, activation="softmax"),
        ]
    )


def trained(keep_in: Path | None = None, recipe: Recipe = RECIPE, **how):
    model = network()
    history = fit(model, data(), data(20), recipe, dice_loss(), keep_in=keep_in, **how)
    return model, history


@pytest.fixture(scope="module")
def undisturbed():
    """A training of the recipe from beginning to end: its network and its history."""
    return trained()


def losses(history) -> list[tuple[float, float]]:
    return [(one["loss"], one["val_loss"]) for one in history]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    import test_fitting

    def die(epoch):
        if epoch["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    test_fitting.trained(Path(sys.argv[1]), report=die)
"""


@pytest.mark.nightly
def test_a_run_killed_with_9_goes_on_as_if_nothing_had_happened(tmp_path, undisturbed):
    (tmp_path / "run.py").write_text(textwrap.dedent(KILLED))
    arguments = [sys.executable, tmp_path / "run.py", tmp_path / "kept", Path(__file__).parent]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    reported = []
    model, history = trained(tmp_path / "kept", report=reported.append)
    assert [one["epoch"] for one in reported] == [3, 4, 5]
    whole, expected = undisturbed
    np.testing.assert_allclose(losses(history), losses(expected), rtol=1e-5)
    for one, other in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_same_seed_trains_alike_and_another_does_not(undisturbed):
    again = losses(trained()[1])
    np.testing.assert_allclose(losses(undisturbed[1]), again, rtol=1e-6)
    other = Recipe(**RECIPE.record() | {"seed": 4})
    assert losses(trained(recipe=other)[1]) != again


def test_curves_are_kept_after_every_epoch(tmp_path):
    rows_seen = []

    def count(_):
        with (tmp_path / "curves.csv").open() as file:
            rows_seen.append(len(list(csv.DictReader(file))))

    trained(tmp_path, Recipe(**RECIPE.record() | {"epochs": 2}), report=count)
    assert rows_seen == [1, 2]


def test_the_last_epochs_weights_stay_where_they_are_asked_for(tmp_path):
    wild = RECIPE.record() | {"learning_rate": 3.0, "schedule": "constant", "keep": "last"}
    model, history = trained(tmp_path, recipe=Recipe(**wild))
    best = min(range(5), key=lambda epoch: history[epoch]["val_loss"])
    assert best < 4
    with np.load(tmp_path / "checkpoint.npz") as kept:
        last = [kept[f"model-{number}"] for number in range(len(model.variables))]
    assert all(map(np.array_equal, model.variables, last))


def test_it_stops_when_validation_no_longer_falls():
    still = Recipe(**RECIPE.record() | {"learning_rate": 1e-12, "epochs": 50, "patience": 2})
    assert 3 <= len(trained(recipe=still)[1]) < 50


def test_a_constant_rate_stays_and_a_cosine_falls_to_nothing(undisturbed):
    constant = Recipe(**RECIPE.record() | {"schedule": "constant", "epochs": 2})
    assert trained(recipe=constant)[1][-1]["learning_rate"] == pytest.approx(0.05)
    assert undisturbed[1][-1]["learning_rate"] == pytest.approx(0, abs=1e-6)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    trained(tmp_path, Recipe(**RECIPE.record() | {"epochs": 1}))
    with pytest.raises(RequestError, match="another recipe"):
        trained(tmp_path, recipe=Recipe(**RECIPE.record() | {"epochs": 1, "batch": 4}))


def _flip(kept: bytes) -> bytes:
    """One bit of the first weights, behind the archive's and the array's heads."""
    return kept[:300] + bytes([kept[300] ^ 1]) + kept[301:]


@pytest.mark.parametrize("damage", [_flip, lambda kept: kept[: len(kept) // 2], lambda _: b""])
def test_a_damaged_checkpoint_is_thrown_away_and_training_begins_anew(tmp_path, damage, caplog):
    once = Recipe(**RECIPE.record() | {"epochs": 1})
    _, whole = trained(tmp_path, once)
    file = tmp_path / "checkpoint.npz"
    file.write_bytes(damage(file.read_bytes()))
    reported = []
    _, again = trained(tmp_path, once, report=reported.append)
    assert [one["epoch"] for one in reported] == [1]
    np.testing.assert_allclose(losses(again), losses(whole), rtol=1e-6)
    assert "damaged: it begins anew" in caplog.text


def test_a_training_that_diverges_says_so_and_keeps_what_was_learnt(tmp_path):
    wild = Recipe(**RECIPE.record() | {"learning_rate": 1e38})
    with pytest.raises(SarmapError, match="lower learning_rate"):
        trained(tmp_path, recipe=wild)


def test_an_epoch_visits_every_sample_once_in_its_own_order():
    plain = Recipe(**RECIPE.record() | {"augment": False})
    source = data()
    source.images[..., 0, 0, 0] = np.arange(44)
    orders = [
        np.concatenate([images[:, 0, 0, 0] for images, _ in epoch_batches(source, plain, epoch)])
        for epoch in (0, 0, 1)
    ]
    assert sorted(orders[0].tolist()) == list(range(44))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()
    sizes = [len(images) for images, _ in epoch_batches(source, plain, 0)]
    assert sizes == [8, 8, 8, 8, 8, 4]


def test_samples_are_let_go_after_a_training():
    training, validation = data(), data(20)
    fit(network(), training, validation, RECIPE, dice_loss())
    left = weakref.ref(training), weakref.ref(validation)
    del training, validation
    gc.collect()
    assert [one() for one in left] == [None, None]
