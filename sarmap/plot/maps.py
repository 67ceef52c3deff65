"""Maps on matplotlib axes: composites, before and after, change, probability.

Every function takes lazy data of any size, draws it at picture size, adds to `ax` or makes a
figure, and returns the axes. Colours keep apart for colour-blind readers; what was not seen is
grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.draw.colours import (
    GREY,
    display_bands,
    draw_probability,
    false_colour,
    limits,
    radar_as_amplitude,
)
from sarmap.draw.panels import extent_of, furnish, mark_simulated, name_sources
from sarmap.draw.shrink import MAX_SIZE, extent_of_picture, shrink_values
from sarmap.errors import RequestError
from sarmap.store.encoding import threshold_level
from sarmap.store.georeference import geobox_of
from sarmap.store.provenance import Provenance, read_provenance

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox


def plot_probability(
    dataset: xr.Dataset,
    *,
    ax: Any = None,
    cmap: str = "magma_r",
    threshold: float | None = None,
    colorbar: bool = True,
    max_size: int = MAX_SIZE,
    **imshow: Any,
) -> Any:
    """Landslide probability of a map, what was not seen in grey.

    Parameters
    ----------
    dataset
        A map with ``probability`` and ``observation`` (y, x).
    ax
        matplotlib axes; None makes a figure.
    cmap
        Any matplotlib colour map.
    threshold
        Given, the outline of pixels that reach it is drawn.
    colorbar
        Whether to add a colour bar.
    max_size
        Longest side in pixels of the picture; probability is the mean of squares.
    imshow
        Passed to ``Axes.imshow``.

    Returns
    -------
    The axes.

    Raises
    ------
    RequestError
        The dataset is no map, or has no reference system.
    """
    _require(dataset, "probability", "observation")
    grid, made = grid_of(dataset), made_from(dataset)
    ax = axes_or_new(ax, grid, legend=colorbar)
    values = shrink_values(dataset["probability"], max_size)
    extent = extent_of_picture(grid, values.shape, max_size)
    ax.set_facecolor(GREY)
    image = draw_probability(ax, values, cmap=cmap, extent=extent, **imshow)
    if threshold is not None:
        threshold_level(threshold)
        if np.nanmax(values, initial=0) >= threshold:
            ax.contour(
                np.nan_to_num(values), [threshold], extent=extent, origin="upper",
                colors="#0072b2", linewidths=0.4,
            )  # fmt: skip
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label="landslide probability (grey: not seen)", shrink=0.8)
    finish(ax, grid, made, "landslide probability")
    return ax


def plot_composite(
    composite: xr.DataArray,
    *,
    ax: Any = None,
    bands: Sequence[str] | None = None,
    percentiles: tuple[float, float] = (2, 98),
    cmap: str = "gray",
    max_size: int = MAX_SIZE,
    **imshow: Any,
) -> Any:
    """A composite in false colour: red was brighter before the event, cyan is brighter after.

    Parameters
    ----------
    composite
        DataArray (band, y, x).
    ax
        matplotlib axes; None makes a figure.
    bands
        One band (in `cmap`) or three (red, green, blue); None: before and after, where it holds
        both.
    percentiles
        Of the shown values: what is drawn as black and as white.
    cmap
        Any matplotlib colour map, for one band.
    max_size, imshow
        As in `plot_probability`.

    Raises
    ------
    RequestError
        A band is not in the composite, or neither one nor three are given.
    """
    grid, made = grid_of(composite), made_from(composite)
    held = [str(name) for name in composite["band"].values]
    shown = tuple(bands) if bands is not None else display_bands(held)
    missing = [name for name in shown if name not in held]
    if missing or len(shown) not in (1, 3):
        raise RequestError(
            f"bands={shown!r} must be one or three of the composite's: {', '.join(held)}."
        )
    ax = axes_or_new(ax, grid)
    values = shrink_values(composite.sel(band=list(shown)), max_size)
    values = radar_as_amplitude(values, shown, composite.attrs.get("scaling"))
    extent = extent_of_picture(grid, values.shape[1:], max_size)
    options = {"interpolation": "antialiased", **imshow}
    if len(values) == 1:
        low, high = limits(values, percentiles)
        ax.imshow(values[0], cmap=cmap, vmin=low, vmax=high, extent=extent, **options)
    else:
        ax.imshow(false_colour(values, percentiles), extent=extent, **options)
    finish(ax, grid, made, _colours_of(shown))
    return ax


def plot_pair(
    composite: xr.DataArray,
    *,
    axes: Sequence[Any] | None = None,
    polarisation: str = "vv",
    cmap: str = "gray",
    percentiles: tuple[float, float] = (2, 98),
    max_size: int = MAX_SIZE,
) -> tuple[Any, Any]:
    """The pass before and the first after the event, side by side in one stretch.

    Parameters
    ----------
    composite
        DataArray (band, y, x) with ``<polarisation>_pre`` and ``<polarisation>_post_1``.
    axes
        Two matplotlib axes; None makes a figure.
    polarisation
        'vv' or 'vh'.
    cmap, percentiles, max_size
        As in `plot_composite`.

    Raises
    ------
    RequestError
        The composite lacks one of the two bands.
    """
    import matplotlib.pyplot as plt

    grid, made = grid_of(composite), made_from(composite)
    names = [f"{polarisation}_pre", f"{polarisation}_post_1"]
    values = shrink_values(_bands(composite, names), max_size)
    if axes is None:
        rows, columns = grid.shape
        width = min(max(12.0 * columns / rows, 7.0), 15.0)
        _, axes = plt.subplots(
            1, 2, figsize=(width, 7.0), layout="constrained", sharex=True, sharey=True
        )
    low, high = limits(values, percentiles)
    extent = extent_of_picture(grid, values.shape[1:], max_size)
    unit = {"db": "dB", "amplitude": "amplitude", "power": "power"}[composite.attrs["scaling"]]
    for ax, picture, word in zip(axes, values, ("before", "after"), strict=True):
        ax.set_facecolor("white")
        ax.imshow(
            picture, cmap=cmap, vmin=low, vmax=high, extent=extent, interpolation="antialiased"
        )
        finish(ax, grid, made, f"{polarisation.upper()} {unit} {word} the event")
    return axes[0], axes[1]


def plot_change(
    composite: xr.DataArray,
    *,
    ax: Any = None,
    polarisation: str = "vv",
    cmap: str = "PuOr_r",
    limit: float = 6.0,
    window: int = 1,
    colorbar: bool = True,
    max_size: int = MAX_SIZE,
    **imshow: Any,
) -> Any:
    """Change from the pass before to the first after the event, in dB whatever the scaling.

    Parameters
    ----------
    composite
        DataArray (band, y, x) with ``<polarisation>_pre`` and ``<polarisation>_post_1``.
    polarisation
        'vv' or 'vh'.
    limit
        dB drawn in the end colours: by default orange is brighter after, purple darker.
    window
        Edge in pixels of the squares over which power is averaged first; 1 shows every speckle,
        5 shows landslides.
    ax, cmap, colorbar, max_size, imshow
        As in `plot_probability`.

    Raises
    ------
    RequestError
        The composite lacks one of the two bands, or says no scaling.
    """
    grid, made = grid_of(composite), made_from(composite)
    pair = _bands(composite, [f"{polarisation}_pre", f"{polarisation}_post_1"])
    if window < 1:
        raise RequestError(f"window={window} must be at least 1 pixel.")
    max_size = min(max_size, max(max(grid.shape) // window, 1))
    before, after = _decibels(shrink_values(_power(pair), max_size))
    difference = after - before
    ax = axes_or_new(ax, grid, legend=colorbar)
    ax.set_facecolor(GREY)
    options = {"vmin": -limit, "vmax": limit, "interpolation": "nearest", **imshow}
    extent = extent_of_picture(grid, difference.shape, max_size)
    image = ax.imshow(difference, cmap=cmap, extent=extent, **options)
    if colorbar:
        label = f"{polarisation.upper()} after less before, dB (grey: not seen)"
        ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8)
    finish(ax, grid, made, f"{polarisation.upper()} change")
    return ax


def _require(dataset: xr.Dataset, *names: str) -> None:
    missing = [name for name in names if name not in dataset]
    if missing:
        raise RequestError(f"This is no map: it lacks {' and '.join(missing)}.")


def _bands(composite: xr.DataArray, names: list[str]) -> xr.DataArray:
    held = [str(name) for name in composite["band"].values]
    missing = [name for name in names if name not in held]
    if missing:
        raise RequestError(
            f"The composite has no {' and no '.join(missing)}; it holds {', '.join(held)}."
        )
    return composite.sel(band=names)


def _power(composite: xr.DataArray) -> xr.DataArray:
    """Bands of a composite as power, which is what may be averaged."""
    scaling = composite.attrs.get("scaling")
    if scaling == "db":
        return 10 ** (composite / 10)
    if scaling not in ("power", "amplitude"):
        raise RequestError(f"The composite's scaling {scaling!r} is not power, amplitude or db.")
    return composite**2 if scaling == "amplitude" else composite


def _decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(10 * np.log10(np.where(power > 0, power, np.nan)), np.float32)


def _colours_of(shown: tuple[str, ...]) -> str:
    if len(shown) == 1:
        return shown[0].replace("_", " ")
    if shown[1] == shown[2] and shown[0].endswith("_pre"):
        return f"{shown[0][:2].upper()}: red brighter before, cyan brighter after the event"
    return ", ".join(name.replace("_", " ") for name in shown) + " as red, green, blue"


def axes_or_new(ax: Any, grid: GeoBox, *, legend: bool = False) -> Any:
    """The axes given, or those of a new figure in the map's shape."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    rows, columns = grid.shape
    height = 7.0
    width = min(max(height * columns / rows, 3.5), 12.0) + (1.6 if legend else 0.4)
    _, made = plt.subplots(figsize=(width, height), layout="constrained")
    return made


def grid_of(data: xr.Dataset | xr.DataArray) -> GeoBox:
    """The grid of what is drawn; RequestError where it has no reference system."""
    grid = geobox_of(data)
    if grid.crs is None:
        raise RequestError("A picture needs the reference system: keep the coordinate spatial_ref.")
    return grid


def made_from(data: xr.Dataset | xr.DataArray) -> Provenance:
    """How what is drawn was made."""
    return read_provenance(data.attrs)


def finish(ax: Any, grid: GeoBox, made: Provenance, title: str) -> None:
    """Map furniture, title, and where the data came from."""
    furnish(ax, extent_of(grid), grid.crs)
    ax.set_title(f"{'SIMULATED: ' if made.simulated else ''}{title}", fontsize=10)
    name_sources(ax, "  ·  ".join(part for part in (_radar(made), made.attribution) if part))
    if made.simulated:
        mark_simulated(ax, 34)


def _radar(made: Provenance) -> str:
    """'Sentinel-1 ascending, orbit 68, 2018-09-01 to 2018-09-25'; empty where nothing is said."""
    days = [f"{moment:%Y-%m-%d}" for role in ("pre", "post") for moment in made.times(role)]
    orbits = " and ".join(made.orbits)
    tracks = ", ".join(map(str, made.relative_orbits))
    parts = [f"Sentinel-1 {orbits}" if orbits else "", f"orbit {tracks}" if tracks else ""]
    if days:
        parts.append(" to ".join(dict.fromkeys((min(days), max(days)))))
    return ", ".join(part for part in parts if part)
