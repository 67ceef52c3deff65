"""Dice loss: known values, and what it is for."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from sarmap.errors import RequestError
from sarmap.learn.losses import (
    LOSSES,
    bce_dice_loss,
    cross_entropy,
    dice_loss,
    focal_tversky_loss,
    make_loss,
)


def answer(landslide: list[float]) -> np.ndarray:
    p = np.float32(landslide).reshape(1, 2, 2)
    return np.stack([1 - p, p], axis=-1)


MASK = np.uint8([1, 1, 0, 0]).reshape(1, 2, 2)


def test_a_perfect_answer_costs_nothing_and_the_opposite_two():
    assert float(dice_loss(0.0)(MASK, answer([1, 1, 0, 0]))) == pytest.approx(0, abs=1e-6)
    assert float(dice_loss(0.0)(MASK, answer([0, 0, 1, 1]))) == pytest.approx(2, abs=1e-6)


def test_the_value_is_that_of_the_formula_summed_over_both_classes():
    p, epsilon = [0.9, 0.4, 0.3, 0.1], 0.5
    landslide = 1 - (2 * (0.9 + 0.4) + epsilon) / (1.7 + 2 + epsilon)
    other = 1 - (2 * (0.7 + 0.9) + epsilon) / (2.3 + 2 + epsilon)
    assert float(dice_loss(epsilon)(MASK, answer(p))) == pytest.approx(landslide + other, abs=1e-6)


def test_a_batch_without_landslides_divides_by_nothing():
    assert float(dice_loss()(np.zeros_like(MASK), answer([0, 0, 0, 0]))) == pytest.approx(0)


def everything(masks: np.ndarray, answers: np.ndarray) -> list[float]:
    return [float(make_loss(name)(masks, answers)) for name in LOSSES]


def test_pixels_that_are_not_labelled_enter_no_loss():
    known = everything(MASK[:, :1], answer([0.9, 0.4, 0.3, 0.1])[:, :1])
    half = np.concatenate([MASK[:, :1], np.full((1, 1, 2), 255, np.uint8)], axis=1)
    for anything in (0.0, 1.0):
        answers = answer([0.9, 0.4, anything, anything])
        np.testing.assert_allclose(everything(half, answers), known, rtol=1e-5)


def test_focal_tversky_is_abraham_and_khan_s():
    p, alpha, gamma, epsilon = [0.9, 0.4, 0.3, 0.1], 0.7, 4 / 3, 1.0
    hit, missed, false = 1.3, 0.7, 0.4
    index = (hit + epsilon) / (hit + alpha * missed + (1 - alpha) * false + epsilon)
    loss = focal_tversky_loss(alpha, gamma, epsilon)(MASK, answer(p))
    assert float(loss) == pytest.approx((1 - index) ** (1 / gamma), abs=1e-6)


def test_cross_entropies_are_scikit_learn_s():
    from sklearn.metrics import log_loss

    p = [0.9, 0.4, 0.3, 0.1]
    expected = log_loss(MASK.ravel(), p)
    assert float(cross_entropy()(MASK, answer(p))) == pytest.approx(expected, abs=1e-6)
    assert float(cross_entropy()(MASK.ravel(), answer(p).reshape(4, 2))) == pytest.approx(
        expected, abs=1e-6
    )
    both = bce_dice_loss(1e-9)(MASK, answer(p))
    assert float(both) == pytest.approx(
        expected + float(dice_loss(1e-9)(MASK, answer(p))), abs=1e-5
    )


def test_losses_are_summed_in_float32_whatever_the_network_computes_in():
    import tensorflow as tf

    p = np.full((1, 64, 64, 2), 0.5, np.float32)
    masks = np.ones((1, 64, 64), np.uint8)
    for name in LOSSES:
        loss = make_loss(name)(masks, tf.cast(p, tf.bfloat16))
        assert loss.dtype == tf.float32
        assert float(loss) == pytest.approx(float(make_loss(name)(masks, p)), rel=1e-6)


@pytest.mark.parametrize(("name", "settings"), [("hinge", {}), ("dice", {"alpha": 1.0})])
def test_an_unknown_loss_or_setting_is_refused(name, settings):
    with pytest.raises(RequestError, match=r"loss|Loss"):
        make_loss(name, **settings)
