"""What landslides do to backscatter, pass by pass: for drawn worlds, and put into real passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.simulate.debris import Debris, draw_debris
from sarmap.simulate.drawing import stream
from sarmap.simulate.physics import Physics
from sarmap.simulate.scars import draw_scars

__all__ = ["ChangeField", "Implanted", "change_field", "implant"]

Field = NDArray[np.float32]
Chance = np.random.Generator


class ChangeField(NamedTuple):
    """Landslides' change of every pass after the event."""

    vv: Field
    """dB (pass, y, x), 0 where nothing changed."""
    vh: Field
    """dB (pass, y, x)."""
    truth: NDArray[np.uint8]
    """1 inside an outline as an analyst draws it (y, x)."""
    footprint: NDArray[np.int32]
    """Number of the landslide where the radar changes (y, x), 0 none."""
    family: NDArray[np.int8]
    """Index into `FAMILIES` of each landslide, the first has number 1."""


class Implanted(NamedTuple):
    """Real passes with landslides put into those after the event."""

    vv: Field
    """Power (time, y, x)."""
    vh: Field | None
    """Power (time, y, x); None where there was none."""
    truth: NDArray[np.uint8]
    """1 inside an outline as an analyst draws it (y, x)."""
    footprint: NDArray[np.int32]
    """Number of the landslide where the radar changes (y, x), 0 none."""


def _ratio_db(body: Field, debris: Debris, shown: Field | None, wall: float, sigma: float) -> Field:
    """Change of pixels of which a share is covered, and a share under walls, dB."""
    from scipy import ndimage

    added = debris.covered * (np.power(np.float32(10), body * np.float32(0.1)) - 1)
    added += debris.laid_out * np.float32(10 ** (wall / 10) - 1)
    if shown is not None:
        added *= shown
    if sigma > 0.2:
        added = ndimage.gaussian_filter(added, sigma, truncate=3.0)
    return np.asarray(10 * np.log10(np.maximum(1 + added, np.float32(1e-3))), np.float32)


def change_field(
    seed: int,
    physics: Physics,
    slope: Field | None = None,
    aspect: Field | None = None,
    incidence: Field | None = None,
    shape: tuple[int, int] | None = None,
    *,
    days: Sequence[float] | None = None,
    land: NDArray[np.bool_] | None = None,
    trees: NDArray[np.bool_] | None = None,
    shown: Field | None = None,
    templates: NDArray[np.float64] | None = None,
) -> ChangeField:
    """Draw landslides and what they do to VV and VH in each pass after the event.

    Parameters
    ----------
    seed
        Whole number that everything grows from.
    physics
        The world's law.
    slope, aspect
        Degrees, aspect clockwise from north and downhill (y, x). None: hillsides are invented.
    incidence
        Local incidence, degrees (y, x). None: the law's own everywhere.
    shape
        Rows and columns; needed where `slope` is None.
    days
        Days from the event to each pass after it; None: `physics.after` passes, one a repeat.
    land
        Where landslides may start (y, x); None everywhere.
    trees
        Where the ground is forest (y, x); None everywhere.
    shown
        Share of the change that the radar sees, 0 in shadow (y, x); None: all.
    templates
        Shapes of landslides (`outlines.outline_templates`); None: invented ones.

    Returns
    -------
    ChangeField

    Raises
    ------
    RequestError
        Neither `slope` nor `shape` is given.

    Examples
    --------
    >>> law = Physics.draw(3, family="both_up", land_share=0.1, after=2)
    >>> field = change_field(5, law, shape=(64, 64))
    >>> field.vv.shape, float(field.vv[0][field.footprint > 0].mean()) > 0
    ((2, 64, 64), True)
    """
    slope, gradient = _hillsides(seed, physics, slope, aspect, shape)
    size = (slope.shape[0], slope.shape[1])
    land = np.ones(size, bool) if land is None else land
    trees = np.ones(size, bool) if trees is None else trees
    local = np.full(size, physics.incidence, np.float32) if incidence is None else incidence
    if days is None:
        days = [physics.repeat * (n + 0.5) for n in range(physics.after)]
    scars = draw_scars(stream(seed, "scars"), physics, slope, gradient, land, templates)
    if scars.count == 0:
        none = np.zeros((len(days), *size), np.float32)
        return ChangeField(none, none.copy(), scars.truth, scars.footprint, np.zeros(0, np.int8))
    debris = draw_debris(stream(seed, "change"), physics, scars, local, trees)
    made = [
        _at(stream(seed, "moisture", str(n)), physics, day, debris, shown)
        for n, day in enumerate(days)
    ]
    return ChangeField(
        np.stack([one for one, _ in made]),
        np.stack([one for _, one in made]),
        scars.truth,
        debris.number,
        debris.family,
    )


def _at(
    rng: Chance, physics: Physics, day: float, debris: Debris, shown: Field | None
) -> tuple[Field, Field]:
    """Change of one pass so many days after the event, dB: VV and VH (y, x)."""
    left = np.float32(max(1 - physics.healing * day / 30, 0.3))
    wet = physics.wetness * np.exp(-day / 20) * rng.uniform(0.3, 1)
    developed = np.float32(1 - physics.delay * (1 - min(day / 35, 1.0)))
    sigma = physics.blur / physics.spacing
    # moisture brightens what has changed, the more the more it did
    damp = np.asarray(wet * np.clip(np.abs(debris.vv) / 4, 0, 1), np.float32)
    vv = left * debris.vv + damp
    vh = left * developed * debris.vh + np.float32(0.7) * damp
    return (
        _ratio_db(np.asarray(vv), debris, shown, debris.wall[0], sigma),
        _ratio_db(np.asarray(vh), debris, shown, debris.wall[1], sigma),
    )


def _hillsides(
    seed: int,
    physics: Physics,
    slope: Field | None,
    aspect: Field | None,
    shape: tuple[int, int] | None,
) -> tuple[Field, tuple[Field, Field]]:
    """Slope, and tangents towards east and north; invented where they are not given."""
    from sarmap.simulate.quick_relief import quick_relief
    from sarmap.simulate.terrain import slope_aspect

    if slope is not None and aspect is not None:
        fall, turn = np.tan(np.radians(slope)), np.radians(aspect)
        return slope, (
            np.asarray(-fall * np.sin(turn), np.float32),
            np.asarray(-fall * np.cos(turn), np.float32),
        )
    if slope is not None:
        shape = (slope.shape[0], slope.shape[1])
    if shape is None:
        raise RequestError("change_field needs slope or shape=(rows, columns).")
    height = quick_relief(stream(seed, "invented hills"), shape, physics)
    steep, _, east, north = slope_aspect(height, physics.spacing)
    return (steep if slope is None else slope), (east, north)


def implant(
    vv: Field,
    vh: Field | None,
    *,
    before: int,
    physics: Physics,
    seed: int,
    slope: Field | None = None,
    aspect: Field | None = None,
    incidence: Field | None = None,
    days: Sequence[float] | None = None,
    land: NDArray[np.bool_] | None = None,
    trees: NDArray[np.bool_] | None = None,
    templates: NDArray[np.float64] | None = None,
) -> Implanted:
    """Put landslides into real passes: speckle, seasons, fields and artefacts stay the place's own.

    Parameters
    ----------
    vv, vh
        Power of real passes (time, y, x), NaN where there is none; `vh` may be None.
    before
        How many of the passes, along time, count as before the event; the rest change.
    physics
        The landslides' law; give it the passes' own spacing, incidence and look where known.
    seed
        Whole number that everything grows from.
    slope, aspect, incidence, days, land, trees, templates
        As for `change_field`.

    Returns
    -------
    Implanted

    Raises
    ------
    RequestError
        No pass is left after the event, or VV and VH differ in shape.

    Examples
    --------
    >>> quiet = np.full((4, 64, 64), 0.2, np.float32)
    >>> law = Physics.draw(3, family="both_down", land_share=0.1)
    >>> put = implant(quiet, None, before=2, physics=law, seed=1)
    >>> bool((put.vv[:2] == quiet[:2]).all()), bool(put.vv[3][put.footprint > 0].mean() < 0.2)
    (True, True)
    """
    after = vv.shape[0] - before
    if not 0 <= before < vv.shape[0]:
        raise RequestError(f"before={before} leaves none of {vv.shape[0]} passes after the event.")
    if vh is not None and vh.shape != vv.shape:
        raise RequestError(f"VV {vv.shape} and VH {vh.shape} differ in shape.")
    if days is None:
        days = [physics.repeat * (n + 0.5) for n in range(after)]
    size = (vv.shape[1], vv.shape[2])
    change = change_field(
        seed,
        physics,
        slope,
        aspect,
        incidence,
        size,
        days=days,
        land=land,
        trees=trees,
        templates=templates,
    )
    floors = [np.float32(10 ** (level / 10)) for level in physics.noise_floor]
    return Implanted(
        _multiplied(vv, change.vv, before, floors[0]),
        None if vh is None else _multiplied(vh, change.vh, before, floors[1]),
        change.truth,
        change.footprint,
    )


def _multiplied(power: Field, change_db: Field, before: int, floor: np.float32) -> Field:
    """Passes after the event changed by some dB above the sensor's noise."""
    changed = power.astype(np.float32, copy=True)
    late = changed[before:]
    signal = np.maximum(late - floor, 0)
    late += signal * (np.power(np.float32(10), change_db * np.float32(0.1)) - 1)
    return changed
