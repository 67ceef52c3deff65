"""Training samples from a composite and its landslide mask: patches for paper 2, clips for paper 1.

A patch is a tile with a mask, normalised exactly as prediction does it (`sarmap.detect.normalise`).
A clip is one window with one label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator
from numpy.typing import NDArray

from sarmap.detect.normalise import normalise_tiles
from sarmap.detect.protocol import FixedStatistics
from sarmap.errors import RequestError

__all__ = ["Clips", "Patches", "band_statistics", "cut_patches", "draw_clips", "join", "split"]

Pixels = NDArray[np.float32]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Patches:
    """Normalised tiles with their masks."""

    images: Pixels
    """float32 [n, tile, tile, band], 0-1."""
    labels: Mask
    """uint8 [n, tile, tile], 1 on landslides."""


@dataclass(frozen=True)
class Clips:
    """Windows in the composite's own units, with one label each."""

    images: Pixels
    """float32 [n, clip, clip, band], not normalised."""
    labels: Mask
    """uint8 [n], 1 where the centre is a landslide."""


Samples = TypeVar("Samples", Patches, Clips)


def cut_patches(
    composite: Pixels, mask: Mask, *, tile: int = 64, stride: int | None = None, keep: str = "slide"
) -> Patches:
    """Cut a composite into patches, min-max normalised per patch and band (paper 2).

    Parameters
    ----------
    composite
        float32 [band, y, x]; NaN where not observed.
    mask
        uint8 [y, x], 1 on landslides.
    tile
        Edge of a patch, pixels.
    stride
        Step between patches; None: the tile, so that patches do not overlap.
    keep
        'slide' keeps patches with at least one landslide pixel, as the paper does; 'all' keeps
        every one that was observed at all.

    Raises
    ------
    RequestError
        Where the scene is smaller than a tile, or `keep` is neither.
    """
    if keep not in ("slide", "all"):
        raise RequestError(f"Patches to keep are 'slide' or 'all', not {keep!r}: set keep=.")
    step = stride or tile
    _check_size(mask, tile)
    at = (slice(None, None, step), slice(None, None, step))
    masks = sliding_window_view(mask, (tile, tile))[at].reshape(-1, tile, tile)
    view = sliding_window_view(composite, (tile, tile), axis=(1, 2))[:, at[0], at[1]]
    view = view.reshape(len(composite), -1, tile, tile)
    chosen: NDArray[np.bool_] = np.any(np.isfinite(view).all(axis=0), axis=(1, 2))
    if keep == "slide":
        chosen &= masks.any(axis=(1, 2))
    images = np.ascontiguousarray(np.moveaxis(view[:, chosen], 0, -1), np.float32)
    normalise_tiles(images, "tile-minmax")
    return Patches(images, masks[chosen].astype(np.uint8))


def draw_clips(
    composite: Pixels,
    mask: Mask,
    rng: Generator,
    *,
    clip: int = 25,
    landslides: int = 5000,
    negatives: float = 1.0,
    guard: int = 3,
    covers: NDArray[np.integer] | None = None,
) -> Clips:
    """Draw clips whose centre is a landslide, and clips of other land (paper 1).

    Parameters
    ----------
    composite
        float32 [band, y, x]; clips that hold a NaN are never drawn.
    mask
        uint8 [y, x], 1 on landslides.
    rng
        Source of the draws, without replacement.
    clip
        Edge of a clip, pixels; odd.
    landslides
        Most clips of the class landslide.
    negatives
        Other clips per landslide clip; the paper's set is balanced.
    guard
        No landslide pixel lies within so many pixels of the centre of another clip.
    covers
        Land-cover codes [y, x]: the other clips are shared out evenly over the codes, as the
        paper's polygons are over urban, wooded and farmed land. None: drawn from everywhere.

    Raises
    ------
    RequestError
        Where the scene is smaller than a clip, or one class is absent.
    """
    _check_size(mask, clip)
    half = clip // 2
    inner = (slice(half, mask.shape[0] - half), slice(half, mask.shape[1] - half))
    finite: NDArray[np.bool_] = np.all(np.isfinite(composite), axis=0)
    complete = _erode(finite, half)[inner]
    centre = mask[inner].astype(bool)
    near = ~_erode(mask == 0, guard)[inner]
    slides = _draw(np.flatnonzero(complete & centre), landslides, rng)
    wanted = round(len(slides) * negatives)
    groups = np.zeros(centre.shape, int) if covers is None else covers[inner]
    others = _draw_evenly(complete & ~near, groups, wanted, rng)
    if not len(slides) or not len(others):
        raise RequestError(
            "The training area holds no complete clip of one of the classes: give an area with "
            "landslides and other land, both observed."
        )
    order = rng.permutation(np.concatenate([slides, others]))
    y, x = np.unravel_index(order, centre.shape)
    view = sliding_window_view(composite, (clip, clip), axis=(1, 2))
    images = np.ascontiguousarray(np.moveaxis(view[:, y, x], 0, -1), np.float32)
    return Clips(images, centre[y, x].astype(np.uint8))


def band_statistics(clips: Sequence[Clips], bands: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each band over training clips, for fixed normalisation."""
    pixels = [clip.images.reshape(-1, len(bands)) for clip in clips]
    count = sum(len(part) for part in pixels)
    mean = sum(part.sum(axis=0, dtype=np.float64) for part in pixels) / count
    spread = sum(((part - mean) ** 2).sum(axis=0, dtype=np.float64) for part in pixels) / count
    return {
        band: (float(m), float(s)) for band, m, s in zip(bands, mean, np.sqrt(spread), strict=True)
    }


def standardised(clips: Clips, statistics: dict[str, tuple[float, float]]) -> Clips:
    """The same clips with fixed statistics taken off, as prediction does it."""
    offset, scale = zip(*statistics.values(), strict=True)
    images = clips.images.copy()
    normalise_tiles(images, FixedStatistics(offset, scale), "window")
    return Clips(images, clips.labels)


def join(parts: Sequence[Samples]) -> Samples:
    """Samples of several events in one."""
    images = np.concatenate([part.images for part in parts])
    return type(parts[0])(images, np.concatenate([part.labels for part in parts]))


def split(samples: Samples, share: float, rng: Generator) -> tuple[Samples, Samples]:
    """Shuffle and split; the second part holds `share` of the samples (paper 2: 20 %)."""
    order = rng.permutation(len(samples.labels))
    cut = len(order) - round(len(order) * share)
    first, second = (
        type(samples)(samples.images[part], samples.labels[part])
        for part in (order[:cut], order[cut:])
    )
    return first, second


def _check_size(mask: Mask, edge: int) -> None:
    if min(mask.shape) < edge:
        raise RequestError(
            f"The training area is {mask.shape[0]} x {mask.shape[1]} px and holds no sample of "
            f"{edge} px: give a larger area."
        )


def _erode(flags: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Where every pixel of the square of `reach` around holds; beyond the scene counts as true."""
    from scipy.ndimage import minimum_filter

    eroded: NDArray[np.bool_] = minimum_filter(flags, 2 * reach + 1, mode="constant", cval=True)
    return eroded


def _draw(candidates: NDArray[np.intp], most: int, rng: Generator) -> NDArray[np.intp]:
    return rng.choice(candidates, min(most, len(candidates)), replace=False)


def _draw_evenly(
    allowed: NDArray[np.bool_], groups: NDArray[np.integer], most: int, rng: Generator
) -> NDArray[np.intp]:
    """Draw `most` allowed pixels, as many from each group as it can give."""
    candidates = [np.flatnonzero(allowed & (groups == code)) for code in np.unique(groups[allowed])]
    drawn: list[NDArray[np.intp]] = []
    left = most
    for place, group in enumerate(sorted(candidates, key=len)):
        part = _draw(group, -(-left // (len(candidates) - place)), rng)
        drawn.append(part)
        left -= len(part)
    return np.concatenate(drawn) if drawn else np.empty(0, np.intp)
