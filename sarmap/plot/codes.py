"""Maps of codes on matplotlib axes: what the radar saw, and where a map was right and wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sarmap.draw.colours import UNSEEN, legend_of_shares, painted
from sarmap.draw.shrink import MAX_SIZE, extent_of_picture, shrink_codes
from sarmap.errors import RequestError
from sarmap.plot.maps import axes_or_new, finish, grid_of, made_from
from sarmap.store.provenance import Provenance, read_provenance
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from sarmap.types import Passes

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


# --- what passes cover ----------------------------------------------------------------------------


_ROLES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, which colour-blind readers tell apart; in order of time."""


def plot_footprints(passes: Passes, grid: GeoBox, *, ax: Any = None) -> Any:
    """Outlines of the scenes of each pass over the area of a map; no pixel is read.

    Parameters
    ----------
    passes
        From `sarmap.search_passes`.
    grid
        odc-geo GeoBox of the map, which is drawn in grey.
    ax
        matplotlib axes; None makes a figure.

    Returns
    -------
    The axes.
    """
    import geopandas
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from shapely.geometry import shape

    ax = axes_or_new(ax, grid)
    box = grid.extent.boundingbox
    area = Rectangle(
        (box.left, box.bottom), box.right - box.left, box.top - box.bottom, facecolor="#e3e3e3"
    )
    ax.add_patch(area)
    handles = []
    for number, one in enumerate(passes):
        colour = _ROLES[number % len(_ROLES)]
        width = max(7.0 - 2.5 * number, 1.0)  # later ones are drawn over earlier ones
        outlines = geopandas.GeoSeries([shape(i.geometry) for i in one.items], crs=4326)
        outlines.to_crs(grid.crs).boundary.plot(ax=ax, color=colour, linewidth=width)
        label = f"{one.role}: {one.datetime:%Y-%m-%d %H:%M} UTC, {100 * one.coverage:.0f} %"
        handles.append(Line2D([], [], color=colour, linewidth=width, label=label))
    ax.legend(handles=handles, loc="upper left", fontsize=8, framealpha=0.9)
    finish(ax, grid, _made(passes), "scenes over the map's area (grey)")
    across, down = (box.right - box.left) * 0.15, (box.top - box.bottom) * 0.15
    ax.set_xlim(box.left - across, box.right + across)
    ax.set_ylim(box.bottom - down, box.top + down)
    return ax


def _made(passes: Passes) -> Provenance:
    scenes = [
        {
            "id": item.id,
            "datetime": one.datetime.isoformat(),
            "role": one.role,
            "orbit_state": one.orbit_state,
            "relative_orbit": one.relative_orbit,
        }
        for one in passes
        for item in one.items
    ]
    notice = passes.catalog.attribution
    return read_provenance(
        {"scenes": scenes, "attribution": notice or "", "simulated": int(passes.simulated)}
    )


def plot_coverage(
    cube: xr.Dataset, *, ax: Any = None, cmap: str = "viridis", max_size: int = MAX_SIZE
) -> Any:
    """In how many of the passes each pixel was seen.

    Parameters
    ----------
    cube
        Dataset with ``observation`` (time, y, x), from `sarmap.open_cube`.
    ax
        matplotlib axes; None makes a figure.
    cmap
        Any matplotlib colour map; pixels that no pass saw are grey.
    max_size
        Longest side in pixels of the picture.

    Returns
    -------
    The axes.

    Raises
    ------
    RequestError
        There is no ``observation`` (time, y, x).
    """
    import matplotlib
    from matplotlib.colors import ListedColormap

    if "observation" not in cube or cube["observation"].dims != ("time", "y", "x"):
        raise RequestError("Coverage is drawn of a cube with `observation` (time, y, x).")
    grid, made = grid_of(cube), made_from(cube)
    looks = (shrink_codes(cube["observation"], max_size) == Observation.OBSERVED).sum(axis=0)
    most = cube.sizes["time"]
    shades = matplotlib.colormaps[cmap](np.linspace(0.15, 0.95, most))
    colours = [(0.62, 0.62, 0.62, 1.0), *map(tuple, shades)]
    ax = axes_or_new(ax, grid)
    ax.imshow(
        looks,
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=most + 0.5,
        extent=extent_of_picture(grid, looks.shape, max_size),
        interpolation="nearest",
    )
    legend_of_shares(ax, ((colours[n], _times(n), looks == n) for n in range(most, -1, -1)))
    finish(ax, grid, made, f"passes that saw the ground, of {most}")
    return ax


def _times(number: int) -> str:
    """'in 2 passes'.

    >>> _times(0), _times(1), _times(3)
    ('in no pass', 'in 1 pass', 'in 3 passes')
    """
    return "in no pass" if number == 0 else f"in {number} pass{'es' * (number > 1)}"
