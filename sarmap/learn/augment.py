"""Random changes to training samples that leave their meaning alone, on NumPy batches.

Paper 2 flips its patches vertically and horizontally; paper 1 flips, rotates, zooms and translates
its clips, with the layers of TensorFlow's tutorial.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Images = NDArray[np.float32]


def flip(rng: Generator, *stacks: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Flip each sample up-down and left-right, each by the toss of a coin, all stacks [n, y, x,
    ...] whose samples belong together, such as images and masks, alike; new arrays.
    """
    flipped = tuple(stack.copy() for stack in stacks)
    for axis in (1, 2):
        chosen = rng.random(len(stacks[0])) < 0.5
        for stack in flipped:
            stack[chosen] = np.flip(stack[chosen], axis)
    return flipped


def warp(
    rng: Generator,
    images: Images,
    *,
    rotation: float = 36.0,
    zoom: float = 0.1,
    translation: float = 0.1,
) -> Images:
    """Rotate (by up to so many degrees to either side), zoom (both axes alike) and translate (by a
    share of the edge) each image [n, y, x, band] at random, uniformly and symmetrically,
    bilinearly, mirrored beyond its border.
    """
    n, height, width, _ = images.shape
    angle = np.asarray(np.radians(rng.uniform(-rotation, rotation, n)))
    scale = np.asarray(1 + rng.uniform(-zoom, zoom, n))
    down, along = np.asarray(rng.uniform(-translation, translation, (2, n)))
    y = np.arange(height)[None, :, None] - (height - 1) / 2
    x = np.arange(width)[None, None, :] - (width - 1) / 2
    sine, cosine = (f(angle)[:, None, None] * scale[:, None, None] for f in (np.sin, np.cos))
    at_y = cosine * y + sine * x + (height - 1) / 2 + (down * height)[:, None, None]
    at_x = cosine * x - sine * y + (width - 1) / 2 + (along * width)[:, None, None]
    return _bilinear(images, at_y, at_x)


def _bilinear(images: Images, at_y: NDArray[np.float64], at_x: NDArray[np.float64]) -> Images:
    """Sample each image at its own positions [n, y, x], mirrored at the border."""
    sample = np.arange(len(images))[:, None, None]
    y, x = _mirror(at_y, images.shape[1]), _mirror(at_x, images.shape[2])
    top, left = (np.floor(position).astype(np.intp) for position in (y, x))
    bottom = np.minimum(top + 1, images.shape[1] - 1)
    right = np.minimum(left + 1, images.shape[2] - 1)
    down = (y - top)[..., None].astype(np.float32)
    along = (x - left)[..., None].astype(np.float32)
    upper = images[sample, top, left] * (1 - along) + images[sample, top, right] * along
    lower = images[sample, bottom, left] * (1 - along) + images[sample, bottom, right] * along
    result: Images = upper * (1 - down) + lower * down
    return result


def _mirror(position: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Fold positions into [0, size - 1] by reflection about the border pixels' centres."""
    period = 2 * max(size - 1, 1)
    folded = np.abs(position) % period
    mirrored: NDArray[np.float64] = np.minimum(folded, period - folded)
    return np.clip(mirrored, 0, size - 1)
