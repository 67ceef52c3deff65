"""Invented landslides: where they run, what an analyst draws of them, what they do to the echo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.rightness.ground import Land, Plan, slope_of
from benchmarks.rightness.noise import Field, Random, smooth_noise

__all__ = ["LAWS", "Slides", "change_of", "landslides"]

Pair = tuple[NDArray[np.floating], NDArray[np.floating]]
MOST = 6000


@dataclass
class Slides:
    """Landslides by number, 0 for none."""

    number: NDArray[np.int32]
    """Where the ground slid."""
    truth: NDArray[np.int32]
    """What an analyst drew."""


def landslides(rng: Random, plan: Plan, dem: Field, slope: Field, land: Land) -> Slides:
    """Landslides on slopes, where it rained most, until their share of the land is reached."""
    smooth = ndimage.gaussian_filter(dem, 30 / plan.spacing)
    _, down, along = slope_of(smooth, plan.spacing)
    rain = smooth_noise(rng, plan.shape, 0.3 * plan.size, 2.6)
    weight = np.clip(slope - 14, 0, 20) ** 1.5 * np.exp(0.9 * rain)
    weight[land.of("water")] = 0
    chances = np.cumsum(weight.ravel())
    want = plan.share * weight.size
    slides = Slides(np.zeros(plan.shape, np.int32), np.zeros(plan.shape, np.int32))
    wobble = 1 + 0.25 * smooth_noise(rng, plan.shape, 5, 1.5)
    total = 0
    for number in range(1, MOST + 1):
        if total >= want:
            break
        length, width = _size(rng, plan, want - total)
        at = np.searchsorted(chances, rng.uniform(0, chances[-1]))
        start = np.unravel_index(min(int(at), weight.size - 1), plan.shape)
        path = _path(rng, start, down, along, length)
        widths = np.maximum(width / 2 * (1.15 - 0.5 * np.linspace(0, 1, len(path))), 0.75)
        slid = _stamp(slides.number, path, widths, number, wobble)
        off = rng.normal(0, plan.outline_offset / plan.spacing / 1.4, 2)
        if slid:
            drawn = widths * rng.uniform(0.9, 1.2)
            _stamp(slides.truth, path + off, drawn, number, np.ones_like(wobble))
        total += slid
    return slides


def _size(rng: Random, plan: Plan, left: float) -> tuple[int, float]:
    """Length and width of a landslide, pixels."""
    area = float(np.clip(plan.median_area * np.exp(rng.normal(0, 1.05)), 400, 400_000))
    area = min(area, max(left, 10) * 1.3 * plan.spacing**2)
    ratio = np.exp(rng.normal(0.9, 0.45))
    width = np.sqrt(area / ratio) / plan.spacing
    return max(int(area / plan.spacing**2 / max(width, 1)), 1), width


def _path(
    rng: Random, start: tuple[np.intp, ...], down: Field, along: Field, length: int
) -> NDArray[np.float64]:
    """Places, one pixel from each other, on the way down from a start."""
    y, x = (float(one) for one in start)
    path, dy, dx = [(y, x)], 0.0, 0.0
    for _ in range(length):
        row, column = int(y), int(x)
        steep = np.hypot(down[row, column], along[row, column]) + 1e-9
        dy = 0.6 * dy - down[row, column] / steep + rng.normal(0, 0.25)
        dx = 0.6 * dx - along[row, column] / steep + rng.normal(0, 0.25)
        step = np.hypot(dy, dx) + 1e-9
        y, x = y + dy / step, x + dx / step
        if not (2 <= y < down.shape[0] - 2 and 2 <= x < down.shape[1] - 2):
            break
        path.append((y, x))
    return np.array(path)


def _stamp(
    mask: NDArray[np.int32], path: NDArray[np.float64], widths: Field, value: int, wobble: Field
) -> int:
    """Write discs along a path into what is still free of a mask; how many pixels that took."""
    reach = int(widths.max()) + 2
    y0, x0 = np.maximum(path.min(0).astype(int) - reach, 0)
    y1, x1 = np.minimum(path.max(0).astype(int) + reach + 1, mask.shape)
    if y1 <= y0 or x1 <= x0:
        return 0
    rows, columns = np.mgrid[y0:y1, x0:x1]
    inside = np.zeros(rows.shape, bool)
    for (y, x), width in zip(path, widths, strict=True):
        inside |= (rows - y) ** 2 + (columns - x) ** 2 < (width * wobble[y0:y1, x0:x1]) ** 2
    window = mask[y0:y1, x0:x1]
    new = inside & (window == 0)
    window[new] = value
    return int(new.sum())


# --- what they do to the echo: change of VV and VH in dB, landslide by landslide ---


def _darken(rng: Random, n: int) -> Pair:
    return -rng.uniform(1.8, 4.2, n), -rng.uniform(1.5, 4.8, n)


def _brighten(rng: Random, n: int) -> Pair:
    return rng.uniform(1.6, 4.0, n), rng.uniform(1.2, 3.6, n)


def _vv_up_vh_down(rng: Random, n: int) -> Pair:
    return rng.uniform(1.0, 3.0, n), -rng.uniform(1.5, 4.0, n)


def _vh_only(rng: Random, n: int) -> Pair:
    return rng.normal(0, 0.3, n), -rng.uniform(2.2, 4.8, n)


def _mixed(rng: Random, n: int) -> Pair:
    kind = rng.choice(3, n, p=(0.55, 0.3, 0.15))
    vv = (-rng.uniform(1.8, 4, n), rng.uniform(1.6, 4, n), rng.uniform(1, 2.5, n))
    vh = (-rng.uniform(1.5, 4.5, n), rng.uniform(1, 3.4, n), -rng.uniform(1.5, 3.5, n))
    return np.choose(kind, vv), np.choose(kind, vh)


WHOLE: dict[str, Callable[[Random, int], Pair]] = {
    "darken": _darken,
    "brighten": _brighten,
    "vv-up-vh-down": _vv_up_vh_down,
    "vh-only": _vh_only,
    "mixed": _mixed,
}
"""Laws by which a landslide changes as one."""
LAWS = ("darken", "brighten", "sides", "vv-up-vh-down", "vh-only", "canopy-hole")
"""The laws that scenes are laid out by; 'mixed' beside them."""


def change_of(
    rng: Random, plan: Plan, slides: Slides, incidence: Field, land: Land
) -> dict[str, Field]:
    """Change in dB by polarisation: patchy, weaker where no forest stood, with soft edges."""
    count = int(slides.number.max()) + 1
    strong = plan.strength * np.exp(rng.normal(0, 0.25, count))
    if plan.law in WHOLE:
        per = WHOLE[plan.law](rng, count)
        inside = slides.number > 0
        vv, vh = (inside * (one * strong)[slides.number] for one in per)
    else:
        law = {"sides": _sides, "canopy-hole": _holes}[plan.law]
        vv, vh = law(rng, plan, slides.number, strong, incidence)
    patchy = np.clip(1 + 0.35 * smooth_noise(rng, plan.shape, 6, 1.5), 0.1, 1.8)
    by_cover = patchy * np.where(land.of("forest"), 1.0, 0.6)
    blur = rng.uniform(0.4, 0.8)
    return {
        band: ndimage.gaussian_filter((change * by_cover).astype(np.float32), blur)
        for band, change in (("vv", vv), ("vh", vh))
    }


def _sides(
    rng: Random, plan: Plan, number: NDArray[np.int32], strong: Field, incidence: Field
) -> Pair:
    """Brighter where the ground faces the radar, darker where it looks away."""
    facing = (plan.incidence - incidence) / 6 + 1.2 * smooth_noise(rng, plan.shape, 12, 2)
    size = rng.uniform(2.2, 4.4, len(strong))[number] * strong[number]
    vv = (number > 0) * np.tanh(facing) * size
    return vv, 0.9 * vv


def _holes(
    rng: Random, plan: Plan, number: NDArray[np.int32], strong: Field, _incidence: Field
) -> Pair:
    """Holes in tall forest: the wall far from the radar is bright, the near one shades the floor.

    Walls are as wide as the canopy's height times the tangent of the incidence. São Sebastião's
    landslides of 2023 are such pairs of bright and dark.
    """
    inside = number > 0
    canopy = rng.uniform(14, 28)
    reach = max(canopy * np.tan(np.radians(plan.incidence)) / plan.spacing, 1.0)
    to_radar = -1 if plan.look_east else 1
    near, far = np.zeros(plan.shape), np.zeros(plan.shape)
    for step in range(1, int(np.ceil(reach)) + 1):
        part = min(1.0, reach - step + 1)
        behind = np.roll(inside, -to_radar * step, 1)
        near = np.maximum(near, part * (inside & ~behind))
        far = np.maximum(far, part * (inside & ~np.roll(inside, to_radar * step, 1)))
        far = np.maximum(far, 0.5 * part * (behind & ~inside))
    dark, bright = rng.uniform(3.0, 5.5), rng.uniform(2.5, 5.0)
    floor = (rng.normal(-1.2, 1.4, len(strong)) * strong)[number] * inside
    amount = strong[number]
    amount = np.where(inside, amount, ndimage.maximum_filter(amount * inside, 5))
    vv = floor - dark * amount * near + bright * amount * far
    return vv, 0.9 * vv + 0.4 * inside * rng.normal(-0.5, 0.5, len(strong))[number]
