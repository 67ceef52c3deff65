"""Augmentation moves samples about and leaves their meaning alone."""

import numpy as np
import pytest
from scipy import ndimage

from sarmap.learn.augment import flip, warp


def test_flips_take_images_and_masks_along_together():
    rng = np.random.default_rng(0)
    images = rng.random((40, 5, 5, 2), np.float32)
    masks = (images[..., 0] > 0.5).astype(np.uint8)
    flipped, flipped_masks = flip(rng, images, masks)
    np.testing.assert_array_equal(flipped_masks, flipped[..., 0] > 0.5)
    kinds = set()
    for before, after in zip(images, flipped, strict=True):
        turns = {
            "none": before,
            "y": before[::-1],
            "x": before[:, ::-1],
            "both": before[::-1, ::-1],
        }
        kinds.add(next(name for name, turn in turns.items() if np.array_equal(turn, after)))
    assert kinds == {"none", "y", "x", "both"}


def test_the_samples_given_are_left_alone():
    images = np.arange(32, dtype=np.float32).reshape(2, 4, 4, 1)
    before = images.copy()
    flip(np.random.default_rng(1), images)
    warp(np.random.default_rng(1), images)
    np.testing.assert_array_equal(images, before)


def test_no_warp_is_no_change():
    images = np.random.default_rng(0).random((3, 7, 9, 2), np.float32)
    still = warp(np.random.default_rng(0), images, rotation=0, zoom=0, translation=0)
    np.testing.assert_allclose(still, images, atol=1e-6)


def test_a_warp_is_the_one_scipy_computes():
    images = np.random.default_rng(0).random((1, 9, 9, 1), np.float32)
    warped = warp(np.random.default_rng(4), images, rotation=30, zoom=0.2, translation=0.1)
    rng = np.random.default_rng(4)
    angle = np.radians(rng.uniform(-30, 30, 1))[0]
    scale = 1 + rng.uniform(-0.2, 0.2, 1)[0]
    shift = rng.uniform(-0.1, 0.1, (2, 1))[:, 0] * 9
    matrix = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    offset = np.array([4, 4]) - matrix @ [4, 4] + shift
    expected = ndimage.affine_transform(images[0, ..., 0], matrix, offset, order=1, mode="mirror")
    np.testing.assert_allclose(warped[0, ..., 0], expected, atol=1e-5)


@pytest.mark.parametrize("count", [1, 6])
def test_a_constant_image_stays_constant(count):
    images = np.full((count, 25, 25, 3), 0.75, np.float32)
    np.testing.assert_allclose(warp(np.random.default_rng(2), images), 0.75, atol=1e-6)
