"""Dice loss: known values, and what it is for."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from sarmap.learn.losses import dice_loss


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
