"""Pixels of samples, cut from one window of a composite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.labels import NOT_LABELLED
from sarmap.detect.normalise import normalise_tiles

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Cut:
    """Samples of one window, in the order of their places."""

    images: Pixels
    """float32 [n, y, x, band]."""
    masks: NDArray[np.uint8]
    """uint8 [n, y, x]: 0, 1 or `NOT_LABELLED`."""
    valid: NDArray[np.bool_]
    """[n], False for samples that were not observed, or are not labelled."""
    covers: NDArray[np.uint8] | None = None
    """uint8 [n, y, x] land-cover codes, where known."""


def cut_tiles(
    values: Pixels,
    observation: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    places: NDArray[np.int64],
    tile: int,
    *,
    minmax: bool,
    positive: NDArray[np.bool_],
    covers: NDArray[np.uint8] | None = None,
) -> Cut:
    """Patches of one window; pixels that were not observed become not labelled.

    Parameters
    ----------
    values
        float32 [band, y, x], NaN where not observed.
    observation, mask
        Codes and labels [y, x].
    places
        (n, 2) first row and column of each patch in the window.
    tile
        Edge, pixels.
    minmax
        Normalise each patch and band to 0-1, as prediction does it.
    positive
        Which patches were chosen for their landslides: without one they are not valid.
    covers
        Land-cover codes [y, x].
    """
    seen = (observation == 0) & np.isfinite(values).all(axis=0)
    labels = np.where(seen, mask, NOT_LABELLED).astype(np.uint8)
    images = np.empty((len(places), tile, tile, len(values)), np.float32)
    masks = np.empty((len(places), tile, tile), np.uint8)
    around = None if covers is None else np.empty((len(places), tile, tile), np.uint8)
    for number, (y, x) in enumerate(places.tolist()):
        part = (slice(y, y + tile), slice(x, x + tile))
        images[number] = np.moveaxis(values[:, *part], 0, -1)
        masks[number] = labels[part]
        if around is not None and covers is not None:
            around[number] = covers[part]
    valid: NDArray[np.bool_] = (masks != NOT_LABELLED).any(axis=(1, 2))
    valid &= ~positive | (masks == 1).any(axis=(1, 2))
    images[~valid] = 0
    if minmax:
        normalise_tiles(images, "tile-minmax")
    return Cut(images, masks, valid, around)


def cut_clips(
    values: Pixels, observation: NDArray[np.uint8], places: NDArray[np.int64], clip: int
) -> tuple[Pixels, NDArray[Any]]:
    """Clips [n, y, x, band] of one window, and which of them hold no missing pixel at all."""
    images = np.empty((len(places), clip, clip, len(values)), np.float32)
    seen = np.empty(len(places), bool)
    half = clip // 2
    for number, (y, x) in enumerate(places.tolist()):
        images[number] = np.moveaxis(values[:, y : y + clip, x : x + clip], 0, -1)
        seen[number] = observation[y + half, x + half] == 0
    valid = np.isfinite(images).all(axis=(1, 2, 3)) & seen
    images[~valid] = 0
    return images, valid
