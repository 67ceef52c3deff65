"""Drawn worlds: small places of any physics, seen by passes before and after their landslides.

A world is arrays, made in a second or two, not a catalogue: a network learns from many of them.
Everything is simulated; every random choice hangs on the seed and its purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.simulate.change import ChangeField, change_field
from sarmap.simulate.disturbances import draw_disturbances
from sarmap.simulate.drawing import stream
from sarmap.simulate.patches import Ground, Patches, draw_patches
from sarmap.simulate.physics import Physics
from sarmap.simulate.quick_relief import Hills, flooded, quick_relief, see_hills
from sarmap.simulate.seasons import Season, draw_seasons, draw_times
from sarmap.simulate.sensing import Scene, sense

__all__ = ["World", "draw_world"]

Field = NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """A drawn place: passes, terrain, and what truly happened."""

    physics: Physics
    """The law it follows."""
    vv: Field
    """Gamma-nought, power (time, y, x), NaN where there is no data."""
    vh: Field
    """Gamma-nought, power (time, y, x), NaN where there is no data."""
    times: NDArray[np.datetime64]
    """Instant of each pass, UTC, ascending (time,)."""
    pre: int
    """How many passes, from the first on, are before the event."""
    dem: Field
    """Metres (y, x)."""
    slope: Field
    """Degrees (y, x)."""
    aspect: Field
    """Degrees clockwise from north, downhill (y, x)."""
    incidence: Field
    """Local incidence, degrees (y, x)."""
    layover_shadow: NDArray[np.bool_]
    """Pixels in layover or shadow (y, x)."""
    truth: NDArray[np.uint8]
    """1 inside an outline as an analyst draws it (y, x)."""
    footprint: NDArray[np.int32]
    """Number of the landslide where the radar changes (y, x), 0 none."""
    cover: NDArray[np.uint8]
    """Land cover before the event, codes of `Ground` (y, x)."""
    spacing: float
    """Pixel edge, metres."""


def draw_world(
    seed: int,
    shape: tuple[int, int] = (512, 512),
    physics: Physics | None = None,
    dem: Field | None = None,
    templates: NDArray[np.float64] | None = None,
) -> World:
    """Draw a world.

    Parameters
    ----------
    seed
        Whole number that everything grows from.
    shape
        Rows and columns, each at least 48.
    physics
        Its law; None: `Physics.draw(seed)`.
    dem
        Heights to use instead of invented ones, metres (y, x), of that shape and at the law's
        spacing (`quick_relief.cut_dem` cuts them from a real model).
    templates
        Shapes of real landslides (`outlines.outline_templates`); None: invented ones.

    Returns
    -------
    World

    Raises
    ------
    RequestError
        The shape is too small, or the elevation is of another shape.

    Examples
    --------
    >>> world = draw_world(4, (64, 64), Physics.draw(4, before=2, after=1))
    >>> world.vv.shape, world.pre, world.vv.dtype.name
    ((3, 64, 64), 2, 'float32')
    """
    if min(shape) < 48:
        raise RequestError(f"shape={shape} is too small for a world; give at least (48, 48).")
    if dem is not None and dem.shape != shape:
        raise RequestError(f"dem of shape {dem.shape} does not fit shape={shape}.")
    law = Physics.draw(seed) if physics is None else physics
    height = quick_relief(stream(seed, "relief"), shape, law) if dem is None else dem
    height = flooded(stream(seed, "water"), np.asarray(height, np.float32), law)
    hills = see_hills(height, law)
    patches = draw_patches(stream(seed, "cover"), hills, law)
    times, event = draw_times(stream(seed, "times"), law)
    change = _change(seed, law, hills, patches, times, event, templates)
    seasons = draw_seasons(stream(seed, "seasons"), law, times)
    vv, vh = _passes(seed, law, hills, patches, seasons, change)
    return World(
        physics=law,
        vv=vv,
        vh=vh,
        times=times,
        pre=law.before,
        dem=hills.height,
        slope=hills.slope,
        aspect=hills.aspect,
        incidence=hills.incidence,
        layover_shadow=hills.layover | hills.shadow,
        truth=change.truth,
        footprint=change.footprint,
        cover=patches.cover,
        spacing=law.spacing,
    )


def _change(
    seed: int,
    law: Physics,
    hills: Hills,
    patches: Patches,
    times: NDArray[np.datetime64],
    event: np.datetime64,
    templates: NDArray[np.float64] | None,
) -> ChangeField:
    """The landslides: on land, weaker in layover, unseen in shadow."""
    land = ~np.isin(patches.cover, (Ground.WATER, Ground.TOWN, Ground.SNOW))
    shown = np.where(hills.layover, np.float32(0.35), np.float32(1.0)) * ~hills.shadow
    late = (times[law.before :] - event) / np.timedelta64(1, "D")
    return change_field(
        seed,
        law,
        hills.slope,
        hills.aspect,
        hills.incidence,
        days=[float(day) for day in late],
        land=land,
        trees=patches.cover == Ground.FOREST,
        shown=np.asarray(shown * (patches.cover != Ground.WATER), np.float32),
        templates=templates,
    )


def _passes(
    seed: int,
    law: Physics,
    hills: Hills,
    patches: Patches,
    seasons: list[Season],
    change: ChangeField,
) -> tuple[Field, Field]:
    """Power of every pass (time, y, x): VV and VH."""
    count = len(seasons)
    rng = stream(seed, "disturbances")
    disturbances = draw_disturbances(rng, law, hills, patches, law.before, count)
    scene = Scene.draw(stream(seed, "scene"), law, hills, patches, disturbances)
    shape = (count, *hills.height.shape)
    vv, vh = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for number, season in enumerate(seasons):
        late = number - law.before
        added = (change.vv[late], change.vh[late]) if late >= 0 else None
        rng = stream(seed, "pass", str(number))
        vv[number], vh[number] = sense(rng, law, scene, season, number, added)
    return vv, vh
