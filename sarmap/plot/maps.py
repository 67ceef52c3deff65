"""Maps on matplotlib axes: composites, change, probability, observation, outcomes.

Every function takes lazy data of any size, draws it at picture size, adds to `ax` or makes a
figure, and returns the axes. Colours keep apart for colour-blind readers; what was not seen is
grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.export.encoding import threshold_level
from sarmap.export.overview import display_bands
from sarmap.export.panels import UNSEEN
from sarmap.plot.furniture import axes_or_new, finish, grid_of, made_from
from sarmap.plot.shrink import MAX_SIZE, shrink_codes, shrink_values
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "extent_of_picture",
    "plot_change",
    "plot_composite",
    "plot_observation",
    "plot_outcomes",
    "plot_pair",
    "plot_probability",
]

GREY = "#d9d9d9"
"""What was not seen, where the reason is not shown."""


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
    options = {"vmin": 0, "vmax": 1, "interpolation": "nearest", **imshow}
    extent = extent_of_picture(grid, values.shape, max_size)
    ax.set_facecolor(GREY)
    image = ax.imshow(values, cmap=cmap, extent=extent, **options)
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
        One band (grey) or three (red, green, blue); None: before and after, where it holds both.
    percentiles
        Of the shown values, drawn as black and white.
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
    if composite.attrs.get("scaling") == "power" and shown[0].startswith(("vv", "vh")):
        values = np.sqrt(np.maximum(values, 0))
    picture = _stretched(values, percentiles)
    extent = extent_of_picture(grid, values.shape[1:], max_size)
    ax.imshow(picture, extent=extent, **{"interpolation": "antialiased", **imshow})
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
    low, high = _limits(values, percentiles)
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
    ax, cmap, colorbar, max_size, imshow
        As in `plot_probability`.

    Raises
    ------
    RequestError
        The composite lacks one of the two bands, or says no scaling.
    """
    grid, made = grid_of(composite), made_from(composite)
    pair = _bands(composite, [f"{polarisation}_pre", f"{polarisation}_post_1"])
    before, after = shrink_values(pair, max_size)
    difference = _decibels(after, composite) - _decibels(before, composite)
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


def plot_observation(
    data: xr.Dataset | xr.DataArray, *, ax: Any = None, max_size: int = MAX_SIZE
) -> Any:
    """Where the radar saw the ground, and why not elsewhere, with shares.

    Parameters
    ----------
    data
        A map or terrain with ``observation`` (y, x), or a composite that carries it.
    ax, max_size
        As in `plot_probability`.

    Raises
    ------
    RequestError
        There is no ``observation`` (y, x).
    """
    from matplotlib.patches import Patch

    held = [*data.coords, *getattr(data, "data_vars", ())]
    if "observation" not in held:
        raise RequestError("There is no `observation` to draw: give a map or a composite.")
    grid, made = grid_of(data), made_from(data)
    codes = shrink_codes(data["observation"], max_size)
    colours = {Observation.OBSERVED: ("#e5f3ee", "seen")}
    colours |= {code: (line, name) for code, (_, line, _, name) in UNSEEN.items()}
    ax = axes_or_new(ax, grid)
    ax.imshow(
        _painted(codes, {code: colour for code, (colour, _) in colours.items()}),
        extent=extent_of_picture(grid, codes.shape, max_size),
        interpolation="nearest",
    )
    handles = [
        Patch(facecolor=colour, edgecolor="black", label=f"{name}: {share:.1f} %")
        for code, (colour, name) in colours.items()
        if (share := 100 * float((codes == code).mean())) > 0
    ]
    ax.legend(handles=handles, loc="upper left", fontsize=8, framealpha=0.9)
    finish(ax, grid, made, "what the radar saw")
    return ax


def plot_outcomes(outcome: xr.DataArray, *, ax: Any = None, max_size: int = MAX_SIZE) -> Any:
    """True and false positives and negatives, as `sarmap assess --out` stores them.

    Parameters
    ----------
    outcome
        Codes (y, x) of ``confusion.zarr``.
    ax, max_size
        As in `plot_probability`.
    """
    from matplotlib.patches import Patch

    from sarmap.assess.outcomes import COLOURS, MEANINGS

    grid, made = grid_of(outcome), made_from(outcome)
    codes = shrink_codes(outcome, max_size)
    ax = axes_or_new(ax, grid)
    extent = extent_of_picture(grid, codes.shape, max_size)
    ax.imshow(_painted(codes, COLOURS), extent=extent, interpolation="nearest")
    handles = [
        Patch(facecolor=COLOURS[code], edgecolor="black", label=name.replace("_", " "))
        for code, name in MEANINGS.items()
        if (codes == code).any()
    ]
    ax.legend(handles=handles, loc="upper left", fontsize=8, framealpha=0.9)
    finish(ax, grid, made, "map against inventory")
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


def _decibels(values: NDArray[np.float32], composite: xr.DataArray) -> NDArray[np.float32]:
    """Values of a composite in dB of power."""
    scaling = composite.attrs.get("scaling")
    factors = {"power": 10.0, "amplitude": 20.0}
    if scaling == "db":
        return values
    if scaling not in factors:
        raise RequestError(f"The composite's scaling {scaling!r} is not power, amplitude or db.")
    positive = np.where(values > 0, values, np.nan)
    return np.asarray(factors[scaling] * np.log10(positive), np.float32)


def _limits(values: NDArray[np.float32], percentiles: tuple[float, float]) -> tuple[float, float]:
    seen = values[np.isfinite(values)]
    if not seen.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(seen, percentiles))
    return low, max(high, low + 1e-9)


def _stretched(
    values: NDArray[np.float32], percentiles: tuple[float, float]
) -> NDArray[np.float32]:
    """RGB (y, x, 3) from 0 to 1, what was not seen in white."""
    low, high = _limits(values, percentiles)
    stretched = np.clip((values - low) / (high - low), 0, 1)
    if len(stretched) == 1:
        stretched = np.repeat(stretched, 3, axis=0)
    return np.asarray(np.moveaxis(np.nan_to_num(stretched, nan=1.0), 0, -1), np.float32)


def _colours_of(shown: tuple[str, ...]) -> str:
    if len(shown) == 1:
        return shown[0].replace("_", " ")
    if shown[1] == shown[2] and shown[0].endswith("_pre"):
        return f"{shown[0][:2].upper()}: red brighter before, cyan brighter after the event"
    return ", ".join(name.replace("_", " ") for name in shown) + " as red, green, blue"


def _painted(codes: NDArray[np.uint8], colours: Any) -> NDArray[np.uint8]:
    table = np.full((256, 3), 255, np.uint8)
    for code, colour in colours.items():
        table[int(code)] = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return np.asarray(table[codes])


def extent_of_picture(
    grid: Any, shape: tuple[int, ...], max_size: int
) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of a shrunk picture; a last incomplete square is left out."""
    from sarmap.export.overview import square_edge

    rows, columns = (int(n) for n in grid.shape)
    edge = min(square_edge(rows, columns, max_size), rows, columns)
    transform = grid.transform
    left, top = transform.c, transform.f
    return (
        left,
        left + shape[-1] * edge * transform.a,
        top + shape[-2] * edge * transform.e,
        top,
    )
