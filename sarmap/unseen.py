"""What a finished map does not show, and what it shows too much of, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sarmap.prepared import Prepared
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr

STEEP = 15.0
"""Slope from which most landslides start, degrees."""
PLAUSIBLE = 0.2
"""Largest share of the seen ground that landslides may be believed to cover."""


def unseen(observation: Mapping[str, int]) -> tuple[str, ...]:
    """What the map does not show, in words; empty where everything was seen."""
    total = sum(observation.values())
    words = {
        "no_data": "hold no data",
        "read_failed": "could not be read",
        "layover_shadow": "lie in layover or shadow",
    }
    parts = [
        f"{100 * observation[key] / total:.1f} % {text}"
        for key, text in words.items()
        if observation.get(key)
    ]
    return (f"Not seen by the radar: {', '.join(parts)}.",) if parts else ()


def slopes_unseen(dataset: xr.Dataset) -> tuple[str, ...]:
    """How much of the steep ground was not seen, where that is a hundredth of it or more.

    >>> import numpy as np, xarray as xr
    >>> area = xr.Dataset({"slope": (("y", "x"), [[30.0, 30.0, 2.0]]),
    ...                    "observation": (("y", "x"), np.uint8([[0, 3, 3]]))})
    >>> slopes_unseen(area)
    ('Of the slopes above 15 degrees 50 % were not seen.',)
    """
    from dask.base import compute

    if "slope" not in dataset:
        return ()
    steep = dataset["slope"] > STEEP
    hidden = steep & (dataset["observation"] != Observation.OBSERVED)
    lost, of_all = compute(hidden.sum(), steep.sum())
    share = 100 * int(lost) / max(int(of_all), 1)
    return (f"Of the slopes above 15 degrees {share:.0f} % were not seen.",) if share >= 1 else ()


def too_much(dataset: xr.Dataset, threshold: float) -> tuple[str, ...]:
    """That more is called than landslides cover.

    >>> import numpy as np, xarray as xr
    >>> half = xr.Dataset({"probability": ("x", np.float32([0.9, 0.1, np.nan]))})
    >>> too_much(half, 0.5)[0].split(" is ")[0]
    '50 % of the ground that was seen'
    """
    from dask.base import compute

    probability = dataset["probability"]
    called, seen = compute((probability >= threshold).sum(), probability.count())
    share = int(called) / max(int(seen), 1)
    if share <= PLAUSIBLE:
        return ()
    return (
        f"{100 * share:.0f} % of the ground that was seen is called landslide, more than they ever "
        "cover: suspect snow, flood, fields, another season or another scaling of the values.",
    )


def why_nothing(prepared: Prepared, observation: Mapping[str, int]) -> tuple[str, ...]:
    """Why nothing at all was observed, in a sentence; none where anything was."""
    if observation.get("observed") or not sum(observation.values()):
        return ()
    from sarmap.acquire.emptiness import why_empty
    from sarmap.compose.composites import required_radar_bands
    from sarmap.compose.names import as_held

    read = prepared.spec.bands
    bands = as_held(read, required_radar_bands(read), prepared.catalog.radar_assets)
    found = [why for one in prepared.passes for why in why_empty(one, prepared.grid, bands)]
    if observation.get("layover_shadow"):
        found.append("what was seen lies in layover or shadow")
    elif not found and observation.get("no_data"):
        found.append("every pass shows some of it, but no place is in all of them with elevation")
    return (f"Nothing was observed: {'; '.join(found) or 'the data could not be read'}.",)
