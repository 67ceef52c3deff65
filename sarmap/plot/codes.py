"""Maps of codes on matplotlib axes: what the radar saw, and where a map was right and wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sarmap.draw.colours import UNSEEN, legend_of_shares, painted
from sarmap.draw.shrink import MAX_SIZE, extent_of_picture, shrink_codes
from sarmap.errors import RequestError
from sarmap.plot.furniture import axes_or_new, finish, grid_of, made_from
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr

SEEN = "#e5f3ee"
"""What was seen."""


def plot_observation(
    data: xr.Dataset | xr.DataArray,
    *,
    ax: Any = None,
    colors: Mapping[int, str] | None = None,
    max_size: int = MAX_SIZE,
) -> Any:
    """Where the radar saw the ground, and why not elsewhere (layover and shadow, ...), with shares.

    Parameters
    ----------
    data
        A map or terrain with ``observation`` (y, x), or a composite that carries it.
    ax
        matplotlib axes; None makes a figure.
    colors
        Code of `sarmap.Observation` -> colour like ``"#1a2b3c"``, instead of the usual ones.
    max_size
        Longest side in pixels of the picture.

    Returns
    -------
    The axes.

    Raises
    ------
    RequestError
        There is no ``observation`` (y, x).
    """
    held = [*data.coords, *getattr(data, "data_vars", ())]
    if "observation" not in held:
        raise RequestError("There is no `observation` to draw: give a map or a composite.")
    entries = {Observation.OBSERVED: (SEEN, "seen")}
    entries |= {code: (line, name) for code, (_, line, _, name) in UNSEEN.items()}
    return _draw(data["observation"], entries, "what the radar saw", data, ax, colors, max_size)


def plot_outcomes(
    outcome: xr.Dataset | xr.DataArray,
    *,
    ax: Any = None,
    colors: Mapping[int, str] | None = None,
    max_size: int = MAX_SIZE,
) -> Any:
    """True and false positives and negatives, as `sarmap assess --out` stores them.

    Parameters
    ----------
    outcome
        ``confusion.zarr``, opened, or its ``outcome`` (y, x) with the coordinate ``spatial_ref``.
    ax
        matplotlib axes; None makes a figure.
    colors
        Code of `sarmap.assess.scores.Confusion` -> colour, instead of the usual ones.
    max_size
        Longest side in pixels of the picture.

    Returns
    -------
    The axes.
    """
    import xarray as xr

    from sarmap.assess.outcomes import COLOURS, MEANINGS

    entries = {code: (COLOURS[code], name.replace("_", " ")) for code, name in MEANINGS.items()}
    codes = outcome if isinstance(outcome, xr.DataArray) else outcome["outcome"]
    return _draw(codes, entries, "map against inventory", outcome, ax, colors, max_size)


def _draw(
    raster: xr.DataArray,
    entries: Mapping[Any, tuple[str, str]],
    title: str,
    whole: xr.Dataset | xr.DataArray,
    ax: Any,
    colors: Mapping[int, str] | None,
    max_size: int,
) -> Any:
    """Codes in their colours, and a legend with the share of each that is there."""
    grid, made = grid_of(whole), made_from(whole)
    codes = shrink_codes(raster, max_size)
    shades = {int(code): (colors or {}).get(int(code), one) for code, (one, _) in entries.items()}
    ax = axes_or_new(ax, grid)
    ax.imshow(
        painted(codes, shades),
        extent=extent_of_picture(grid, codes.shape, max_size),
        interpolation="nearest",
    )
    legend_of_shares(
        ax, ((shades[int(code)], name, codes == code) for code, (_, name) in entries.items())
    )
    finish(ax, grid, made, title)
    return ax
