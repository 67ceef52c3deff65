"""What a finished map does not show, and what it shows too much of, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.acquire.cube import radar_scenes
from sarmap.acquire.loader import Slice, load
from sarmap.net.signing import Signer, make_signer
from sarmap.prepared import Prepared
from sarmap.types import Observation, Pass, Passes

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

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
    from sarmap.compose.names import as_held, required_radar_bands

    read = prepared.spec.bands
    bands = as_held(read, required_radar_bands(read), prepared.catalog.radar_assets)
    found = [why for one in prepared.passes for why in why_empty(one, prepared.grid, bands)]
    if observation.get("layover_shadow"):
        found.append("what was seen lies in layover or shadow")
    elif not found and observation.get("no_data"):
        found.append("every pass shows some of it, but no place is in all of them with elevation")
    return (f"Nothing was observed: {'; '.join(found) or 'the data could not be read'}.",)


LOOKS = 3
"""Looks along each edge of the grid."""
LOOK = 32
"""Edge of one look, pixels."""


def why_empty(passes: Passes, grid: GeoBox, bands: Sequence[str]) -> tuple[str, ...]:
    """Why passes of one orbit show nothing on a grid: a clause for each pass and radar band without
    a single value above zero in nine looks; empty where each has some.
    """
    signer = make_signer(passes.catalog)
    ordered: list[Pass] = list(passes)
    scenes, _ = radar_scenes(ordered, bands, passes.catalog)
    found = (
        _why(one, slices, band, grid, signer)
        for one, slices in zip(ordered, scenes, strict=True)
        for band in bands
    )
    return tuple(clause for clause in found if clause)


def _why(one: Pass, slices: Sequence[Slice], band: str, grid: GeoBox, signer: Signer) -> str:
    """Why a pass shows nothing in one band; empty where it shows something."""
    if np.isfinite(_looks(slices, band, grid, signer, positive=True)).any():
        return ""
    stored = _looks(slices, band, grid, signer, positive=False)
    numbers = stored[np.isfinite(stored)]
    if len(numbers):
        said = (
            f"its values are {numbers.min():.4g} to {numbers.max():.4g}, and power is above zero; "
            "if they are decibel, set scaling: db in the catalogue's settings"
        )
    elif np.isneginf(stored).any():
        said = "it could not be read"
    else:
        said = "its files hold no data there"
    return f"{band.upper()} of {one.role} ({one.datetime:%Y-%m-%d}, {one.items[0].id}): {said}"


def _looks(
    slices: Sequence[Slice], band: str, grid: GeoBox, signer: Signer, *, positive: bool
) -> NDArray[np.float32]:
    """Values of parts of the grid: power, or scaled as the file says and no more."""
    looks: list[NDArray[np.float32]] = []
    for part in _parts(grid):
        pixels: Any = load([slices], [band], part, chunk=LOOK, signer=signer, positive=positive)
        looks.append(pixels.compute(scheduler="sync").ravel())
    return np.concatenate(looks)


def _parts(grid: GeoBox) -> Iterator[GeoBox]:
    """Parts of a grid, spread over it."""
    rows, columns = (int(length) for length in grid.shape)
    for row in _starts(rows):
        for column in _starts(columns):
            yield grid[row : min(row + LOOK, rows), column : min(column + LOOK, columns)]


def _starts(length: int) -> list[int]:
    """Where looks along an edge begin.

    >>> _starts(300), _starts(20)
    ([34, 134, 234], [0])
    """
    if length <= LOOK:
        return [0]
    step = length / LOOKS
    return sorted({max(0, math.floor((n + 0.5) * step - LOOK / 2)) for n in range(LOOKS)})
