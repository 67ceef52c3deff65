"""A scan at a glance: landslides, what is mapped, failed or still to come, across all zones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.crs import CRS
from pyproj import Transformer

from sarmap.draw.panels import Extent, furnish, mark_simulated, name_sources
from sarmap.regions.mosaic import Mosaic
from sarmap.regions.scan_folder import State
from sarmap.regions.scan_record import decisions_of, of_mapped_units, shape_of, units_by_detector
from sarmap.regions.unit_map import PICTURE
from sarmap.store.encoding import unpack_probability

if TYPE_CHECKING:
    import xarray as xr

_COLOURS = {
    "done": ("none", "#4d4d4d", "mapped"),
    "unread": ("none", "#d95f02", "mapped, some pixels unread"),
    "failed": ("#f4c7c3", "#c62828", "failed"),
    "no_radar": ("#e0e0e0", "#9e9e9e", "no radar"),
    "running": ("#fff3c4", "#f9a825", "at work"),
    "waiting": ("#ffffff", "#bdbdbd", "still to come"),
}
"""Status -> fill, edge and word."""


def overview_of(scan: Mosaic, size: int = PICTURE) -> xr.Dataset:
    """See `Scan.overview`."""
    frame = _frame(scan)
    step = max(frame.width, frame.height) / size
    width, height = (max(round(span / step), 1) for span in (frame.width, frame.height))
    longitude = frame.west + (np.arange(width) + 0.5) * frame.width / width
    latitude = frame.north - (np.arange(height) + 0.5) * frame.height / height
    layers = {
        name: np.full((height, width), np.nan, np.float32)
        for name in ("probability", "landslide", "observed")
    }
    for name, small in scan.overviews().items():
        _place_unit(scan, name, _shares(small, scan.record["reduced"]), longitude, latitude, layers)
    dims = ("latitude", "longitude")
    return xr.Dataset(
        {
            name: (dims, values, {"long_name": _WORDS[name], "units": "1"})
            for name, values in layers.items()
        },
        coords={
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
        },
        attrs={
            "simulated": int(scan.simulated),
            "attribution": scan.record["attribution"],
            "threshold": scan.record["threshold"],
        },
    )


_WORDS = {
    "probability": "greatest landslide probability under the pixel",
    "landslide": "share of what was seen that is landslide",
    "observed": "share of the pixel that was seen",
}


def _shares(small: Mapping[str, NDArray[Any]], edge: int) -> dict[str, NDArray[np.float32]]:
    """Counts of a unit's overview as shares, packed probability as probability."""
    observed = small["observed"].astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        landslide = small["landslide"] / observed
    return {
        "probability": unpack_probability(small["probability"]),
        "landslide": landslide.astype(np.float32),
        "observed": observed / np.float32(edge * edge),
    }


def _frame(scan: Mosaic) -> Extent:
    """The picture, in degrees; east beyond 180 across the antimeridian."""
    west, south, east, north = scan.record["bbox"]
    return Extent(west, east + 360 if east < west else east, south, north)


def _place_unit(
    scan: Mosaic,
    name: str,
    small: Mapping[str, NDArray[np.float32]],
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    layers: Mapping[str, NDArray[np.float32]],
) -> None:
    """Put one unit's overview where it belongs: what lies under a pixel, and no peak lost."""
    unit = scan.record["units"][name]
    epsg = scan.record["zones"][unit["zone"]]["epsg"]
    coarse = Affine(*unit["transform"]) * Affine.scale(scan.record["reduced"])
    rows, columns = small["probability"].shape
    for top, bottom, left, right in _windows_around(unit, longitude, latitude):
        lon, lat = np.meshgrid(longitude[left:right], latitude[top:bottom])
        x, y = Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True).transform(
            (lon + 180) % 360 - 180, lat
        )
        column = np.floor((x - coarse.c) / coarse.a).astype(np.intp)
        row = np.floor((y - coarse.f) / coarse.e).astype(np.intp)
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        at = row[inside], column[inside]
        for layer, values in small.items():
            target = layers[layer][top:bottom, left:right]
            target[inside] = np.where(np.isnan(values[at]), target[inside], values[at])
    for layer in ("probability", "landslide"):
        _keep_peaks(small[layer], coarse, epsg, longitude, latitude, layers[layer])


def _windows_around(
    unit: Any, longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> Iterator[tuple[int, int, int, int]]:
    """Rows and columns of the picture around a unit, a degree and a half more on all sides."""
    west, south, east, north = unit["bounds"]
    for turn in (0.0, 360.0):
        left, right = np.searchsorted(longitude, (west + turn - 1.5, east + turn + 1.5))
        top, bottom = np.searchsorted(-latitude, (-(north + 1.5), -(south - 1.5)))
        if left < right and top < bottom:
            yield int(top), int(bottom), int(left), int(right)


def _keep_peaks(
    values: NDArray[np.float32],
    coarse: Affine,
    epsg: int,
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    picture: NDArray[np.float32],
) -> None:
    """Raise pixels of the picture to the greatest value that lies in them."""
    rows, columns = np.nonzero(np.nan_to_num(values) > 0)
    if not len(rows):
        return
    x = coarse.c + (columns + 0.5) * coarse.a
    y = coarse.f + (rows + 0.5) * coarse.e
    lon, lat = Transformer.from_crs(f"EPSG:{epsg}", "EPSG:4326", always_xy=True).transform(x, y)
    lon = np.where(lon < longitude[0] - 1.0, lon + 360, lon)
    across = (longitude[-1] - longitude[0]) / max(len(longitude) - 1, 1) or 1.0
    down = (latitude[0] - latitude[-1]) / max(len(latitude) - 1, 1) or 1.0
    column = np.rint((lon - longitude[0]) / across).astype(np.intp)
    row = np.rint((latitude[0] - lat) / down).astype(np.intp)
    inside = (row >= 0) & (row < len(latitude)) & (column >= 0) & (column < len(longitude))
    np.fmax.at(picture, (row[inside], column[inside]), values[rows, columns][inside])


def draw_overview(scan: Mosaic, file: Path) -> None:
    """Draw a scan, finished or not, into a PNG: landslide share, units by status, the epicentre."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_size(scan), layout="constrained")
    plot_scan(scan, ax=figure.subplots())
    figure.savefig(file, dpi=130, bbox_inches="tight")  # a tall map leaves its title no room


def plot_scan(scan: Mosaic, *, ax: Any = None, cmap: str = "YlOrRd", colorbar: bool = True) -> Any:
    """A scan, finished or not, on axes in degrees (None: a new figure's): share of landslide in a
    colour map of Matplotlib's, units by status, the epicentre. Returns the axes.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=_size(scan), layout="constrained")
    overview = overview_of(scan)
    frame = _frame(scan)
    extent = frame.edges
    ax.set_facecolor("#f5f5f5")
    seen = np.where(overview["observed"].values > 0, 0.35, np.nan)
    ax.imshow(seen, extent=extent, cmap="Greys", vmin=0, vmax=2, interpolation="nearest")
    picture = _draw_share(ax, 100 * overview["landslide"].values, extent, cmap)
    if colorbar:
        label = "landslide, % of what was seen"
        ax.figure.colorbar(picture, ax=ax, shrink=0.7, label=label, extend="max")
    counted = _draw_units(ax, scan, frame.west)
    if scan.record["epicentre"]:
        _draw_epicentre(ax, scan.record["epicentre"], frame.west)
    _finish_axes(ax, scan, frame, counted)
    return ax


def _size(scan: Mosaic) -> tuple[float, float]:
    """Inches of a figure for a scan."""
    frame = _frame(scan)
    tall = frame.height / frame.width * frame.stretch
    wide = min(7.0, 9.0 / tall)  # of the map itself; beside it the colour bar, below it the legend
    return max(wide, 4.0) + 2.0, max(wide * tall, 2.0) + 2.0


def _draw_share(ax: Any, share: NDArray[np.float32], extent: Any, cmap: str) -> Any:
    """Share of landslide, clear where there is none; returns the image."""
    from matplotlib.colors import PowerNorm

    shown = np.where(share > 0, share, np.nan)
    most = float(np.nanpercentile(shown, 99)) if np.isfinite(shown).any() else 1.0
    norm = PowerNorm(0.5, vmin=0, vmax=max(most, 1.0), clip=True)
    return ax.imshow(shown, extent=extent, cmap=cmap, norm=norm, interpolation="nearest")


def _draw_epicentre(ax: Any, place: tuple[float, float], west: float) -> None:
    longitude, latitude = place
    ax.plot(
        longitude + 360 * (longitude < west - 1e-9),
        latitude,
        marker="*",
        markersize=14,
        color="#1f4e9c",
        markeredgecolor="white",
        linestyle="none",
        label="epicentre",
    )


def _finish_axes(ax: Any, scan: Mosaic, frame: Extent, counted: str) -> None:
    """Map furniture, legend, title, owners, and SIMULATED where it is."""
    furnish(ax, frame, CRS("EPSG:4326"))
    name_sources(ax, scan.record["attribution"])
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=4, frameon=False)
    if scan.simulated:
        mark_simulated(ax, 34)
    simulated = "SIMULATED: nothing here happened\n" if scan.simulated else ""
    start = scan.record["identity"]["event"][0][:16].replace("T", " ")
    ax.set_title(f"{simulated}Landslide scan, event {start} UTC\n{counted}", fontsize=11)


def _draw_units(axes: Any, scan: Mosaic, west: float) -> str:
    """Outlines of the units in their status's colours; returns how many there are of each."""
    from matplotlib.patches import Polygon

    counts: dict[str, int] = {}
    for name, unit in scan.record["units"].items():
        status = scan.states.get(name, State()).status
        fill, edge, word = _COLOURS[status]
        epsg = scan.record["zones"][unit["zone"]]["epsg"]
        patch = Polygon(
            _corners(unit, epsg, west),
            closed=True,
            facecolor=fill,
            edgecolor=edge,
            linewidth=0.8,
            hatch="//" if status == "failed" else None,
            label=word if status not in counts else None,
        )
        axes.add_patch(patch)
        counts[status] = counts.get(status, 0) + 1
    words = [f"{number} {_COLOURS[status][2]}" for status, number in counts.items()]
    return f"{len(scan.record['units'])} units: {', '.join(words)}{_detectors(scan)}"


def _detectors(scan: Mosaic) -> str:
    """A line on who mapped how many units, where it is not the detector asked for alone."""
    mapped = of_mapped_units(decisions_of(scan.record), scan.states)
    if not any(one.why for one in mapped.values()):
        return ""
    words = [f"{len(units)} with {name}" for name, units in units_by_detector(mapped).items()]
    return f"\n{', '.join(words)}"


def _corners(unit: Any, epsg: int, west: float) -> NDArray[np.float64]:
    """A unit's rectangle in degrees, continuous."""
    rows, columns = shape_of(unit)
    transform = Affine(*unit["transform"])
    ring = [transform * corner for corner in ((0, 0), (columns, 0), (columns, rows), (0, rows))]
    x, y = np.transpose(ring)
    lon, lat = Transformer.from_crs(f"EPSG:{epsg}", "EPSG:4326", always_xy=True).transform(x, y)
    middle = (unit["bounds"][0] + unit["bounds"][2]) / 2
    near = (lon - middle + 180) % 360 - 180 + middle
    return np.column_stack((near + 360 * (middle < west - 1e-9), lat))
