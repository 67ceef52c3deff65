"""The land cover of a simulated event, made anew from its seed: an event's folder does not keep it.

It shows what the simulator makes and shapes nothing, so it is no part of the simulator's hash.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.simulate.event import _make_scene
from sarmap.simulate.landcover import Cover
from sarmap.simulate.record import SimulatedEvent, open_event

__all__ = ["land_cover"]


def land_cover(event: SimulatedEvent | str | Path) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Land cover codes (y, x) of an event, or its folder, on its grid, and the name of each in
    lower case.

    Raises RequestError where there is no event, or it was made with given landslides or by another
    simulator, so that its seed alone does not tell its ground.
    """
    known = event if isinstance(event, SimulatedEvent) else open_event(event)
    made = _make_scene(known.seed, known.grid, None)
    if len(made.slides.frame) != known.landslides:
        raise RequestError(
            f"The simulated event {known.path.name} was made with given landslides, or by another "
            "simulator, so its land cover is not known: leave out land_cover."
        )
    return made.ground.land.cover, {int(cover): cover.name.lower() for cover in Cover}
