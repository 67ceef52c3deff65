"""One event to take samples from: its lazy composite, its labels, its land cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sarmap.assess.ground import LandCover
from sarmap.assess.labels import Labels

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Scene:
    """One event to take samples from; nothing of it is read yet."""

    name: str
    """Name of the event in tables and cards."""
    composite: xr.DataArray
    """Lazy, from `sarmap.make_composite`: (band, y, x), coordinate ``observation``."""
    labels: Labels
    """What is known of its ground."""
    covers: LandCover | None = None
    """Its land cover, where known."""
    role: str = "training"
    """'training', 'validation' or 'test'; a test event is held out whole."""
    simulated: bool = False
    """Whether it was simulated."""
    every_patch: bool = False
    """Whether all its patches are kept, those without a landslide too, whatever the rule."""
