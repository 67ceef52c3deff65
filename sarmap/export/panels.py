"""The parts of a quicklook: radar in false colour, probability, what was not seen, map furniture.

Colours keep apart for colour-blind readers: probability runs from cream to black (matplotlib's
reversed magma), outlines are yellow on black, and what was not seen is grey and hatched, never a
colour of the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.export.encoding import FILL, unpack_probability
from sarmap.export.overview import Decimated, display_bands
from sarmap.export.reading import MapReader
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame

__all__ = [
    "AT_EDGE",
    "BLUE",
    "UNSEEN",
    "WARNING",
    "YELLOW",
    "Extent",
    "Image",
    "at_edge",
    "busiest_square",
    "draw_image",
    "draw_outlines",
    "draw_probability",
    "extent_of",
    "false_colour",
    "furnish",
    "hatched",
    "mark_square",
    "north_arrow",
    "scale_bar",
    "shout",
]

WARNING = "#b00020"
YELLOW = "#ffe14d"
BLUE = "#006ba4"
AT_EDGE = "#9aa5b1"
UNSEEN = {
    Observation.NO_DATA: ("#d9d9d9", "#8c8c8c", "//", "no data"),
    Observation.READ_FAILED: ("#f4d6c6", "#a63603", "xx", "could not be read"),
    Observation.LAYOVER_SHADOW: ("#bdbdbd", "#525252", "\\\\", "layover or shadow"),
}
"""Ground colour, line colour, hatch and name of what was not seen."""


@dataclass(frozen=True)
class Extent:
    """A rectangle in kilometres of the map's CRS."""

    west: float
    """Left edge."""
    east: float
    """Right edge."""
    south: float
    """Lower edge."""
    north: float
    """Upper edge."""

    @property
    def width(self) -> float:
        """Kilometres from west to east."""
        return self.east - self.west

    @property
    def height(self) -> float:
        """Kilometres from south to north."""
        return self.north - self.south

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """As matplotlib wants it."""
        return (self.west, self.east, self.south, self.north)


def extent_of(reader: MapReader) -> Extent:
    """The whole map."""
    transform, (rows, columns) = reader.grid.transform, reader.shape
    west, north = transform.c / 1000, transform.f / 1000
    return Extent(
        west, west + columns * transform.a / 1000, north + rows * transform.e / 1000, north
    )


def extent_of_degrees(west: float, east: float, south: float, north: float) -> Extent:
    """A rectangle of longitudes and latitudes in kilometres, as wide as in its middle latitude.

    >>> extent = extent_of_degrees(141.0, 142.0, 59.5, 60.5)
    >>> round(extent.width, 1), round(extent.height, 1)
    (55.7, 111.3)
    """
    degree = 111.32  # km along a meridian
    across = degree * math.cos(math.radians((south + north) / 2))
    return Extent(west * across, east * across, south * degree, north * degree)


def busiest_square(small: Decimated, whole: Extent, level: int) -> Extent | None:
    """The square of a fifth of the map's shorter side with the most landslide, for a close look.

    None where the map is too small for one, or holds no landslide.
    """
    from scipy import ndimage

    size = min(small.probability.shape) // 5
    hits = (small.probability >= level) & (small.probability != FILL)
    if size < 40 or not hits.any():
        return None
    density = ndimage.uniform_filter(hits.astype(np.float32), size, mode="constant")
    inner = density[size // 2 : -(size // 2), size // 2 : -(size // 2)]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    across = whole.width / small.probability.shape[1]
    down = whole.height / small.probability.shape[0]
    west, north = whole.west + float(left) * across, whole.north - float(top) * down
    return Extent(west, west + size * across, north - size * down, north)


@dataclass(frozen=True)
class Image:
    """An image and where it lies."""

    pixels: NDArray[Any]
    """(y, x, channel)."""
    extent: Extent
    """Its outer edges."""

    def part(self, wanted: Extent) -> Image:
        """The pixels that touch a rectangle."""
        rows, columns = self.pixels.shape[:2]
        across, down = self.extent.width / columns, self.extent.height / rows
        left = max(int((wanted.west - self.extent.west) / across), 0)
        right = min(int((wanted.east - self.extent.west) / across) + 1, columns)
        top = max(int((self.extent.north - wanted.north) / down), 0)
        bottom = min(int((self.extent.north - wanted.south) / down) + 1, rows)
        extent = Extent(
            self.extent.west + left * across,
            self.extent.west + right * across,
            self.extent.north - bottom * down,
            self.extent.north - top * down,
        )
        return Image(self.pixels[top:bottom, left:right], extent)


def draw_image(panel: Any, image: Image, *, smooth: bool = False) -> None:
    """Show an image in its place."""
    panel.imshow(
        image.pixels,
        extent=image.extent.edges,
        interpolation="antialiased" if smooth else "nearest",
        aspect="auto",
    )


def false_colour(overview: xr.DataArray) -> Image:
    """Display bands to RGB 0-1, stretched together between their 2nd and 98th percentile."""
    picture = overview.compute()
    xs, ys = picture["x"].values / 1000, picture["y"].values / 1000
    wide, high = (size / 2000 for size in picture.attrs["pixel"])
    extent = Extent(xs[0] - wide, xs[-1] + wide, ys[-1] - high, ys[0] + high)
    names = [str(name) for name in picture["band"].values]
    shown = display_bands(names)
    values = picture.values[[names.index(name) for name in shown]].astype(np.float32)
    if picture.attrs.get("scaling") == "power" and "red" not in shown:
        values = np.sqrt(np.maximum(values, 0))
    seen = values[np.isfinite(values)]
    low, high = np.percentile(seen, [2, 98]) if seen.size else (0.0, 1.0)
    stretched = np.clip((values - low) / max(float(high - low), 1e-9), 0, 1)
    if len(shown) == 1:
        stretched = np.repeat(stretched, 3, axis=0)
    return Image(np.moveaxis(np.nan_to_num(stretched, nan=1.0), 0, -1), extent)


def draw_probability(panel: Any, packed: NDArray[np.uint8], whole: Extent) -> Any:
    """Packed probability in its colours; returns the image for the colour bar."""
    return panel.imshow(
        unpack_probability(packed),
        extent=whole.edges,
        cmap="magma_r",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        aspect="auto",
    )


def hatched(small: Decimated, whole: Extent) -> Image:
    """Grey, hatched squares where nothing was seen, a pattern per reason; clear elsewhere."""
    from matplotlib.colors import to_rgba

    rows, columns = (np.arange(size) for size in small.observation.shape)
    rising = (rows[:, None] + columns) % 12 < 3
    falling = (rows[:, None] - columns) % 12 < 3
    lines = {
        Observation.NO_DATA: rising,
        Observation.READ_FAILED: rising | falling,
        Observation.LAYOVER_SHADOW: falling,
    }
    overlay = np.zeros((*small.observation.shape, 4), np.uint8)
    for code, (ground, line, _, _) in UNSEEN.items():
        mask = small.observation == code
        overlay[mask] = np.multiply(to_rgba(ground), 255)
        overlay[mask & lines[code]] = np.multiply(to_rgba(line), 255)
    return Image(overlay, whole)


def draw_outlines(panel: Any, polygons: GeoDataFrame, colour: str, width: float) -> None:
    """All outlines as one collection of lines, in kilometres; grey at the edge of what was seen."""
    import shapely
    from matplotlib.collections import LineCollection

    rings, whose = shapely.get_rings(polygons.geometry.array, return_index=True)
    corners, owner = shapely.get_coordinates(rings, return_index=True)
    lines = np.split(corners / 1000, np.flatnonzero(np.diff(owner)) + 1)
    if len(corners):
        colours = np.where(at_edge(polygons)[whose], AT_EDGE, colour)
        panel.add_collection(LineCollection(lines, colors=colours.tolist(), linewidths=width))


def at_edge(polygons: GeoDataFrame) -> NDArray[np.bool_]:
    """Which polygons lie at the edge of what was seen; none where the file does not say."""
    if "at_edge" not in polygons:
        return np.zeros(len(polygons), bool)
    return np.asarray(polygons["at_edge"], bool)


def mark_square(panel: Any, square: Extent) -> None:
    """Where the close look lies."""
    from matplotlib.patches import Rectangle

    corner = (square.west, square.south)
    for colour, width in (("white", 3.2), ("black", 1.4)):
        panel.add_patch(
            Rectangle(
                corner,
                square.width,
                square.height,
                fill=False,
                edgecolor=colour,
                linewidth=width,
                zorder=5,
            )
        )


def furnish(panel: Any, shown: Extent, *, epsg: int | None, ticks: str) -> None:
    """Limits, ticks in kilometres ('both', 'x' or 'none' of them labelled), and a scale bar."""
    panel.set_xlim(shown.west, shown.east)
    panel.set_ylim(shown.south, shown.north)
    panel.tick_params(labelsize=8, direction="out")
    panel.ticklabel_format(useOffset=False)
    panel.locator_params(axis="both", nbins=6)
    if ticks == "none":
        panel.set_xticks([])
        panel.set_yticks([])
    else:
        panel.set_xlabel(f"easting, km (EPSG:{epsg})" if epsg else "easting, km", fontsize=9)
    if ticks == "both":
        panel.set_ylabel("northing, km", fontsize=9)
    elif ticks == "x":
        panel.set_yticklabels([])
    scale_bar(panel, shown)
    if ticks != "none":
        north_arrow(panel)


def north_arrow(panel: Any) -> None:
    """An arrow to the top of a panel."""
    panel.annotate(
        "N",
        xy=(0.955, 0.975),
        xytext=(0.955, 0.905),
        xycoords="axes fraction",
        ha="center",
        va="center",
        fontsize=11,
        fontweight="bold",
        arrowprops={"arrowstyle": "-|>", "facecolor": "black", "linewidth": 1.5},
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        zorder=6,
    )


def scale_bar(panel: Any, shown: Extent) -> None:
    """A bar of a round length in a panel that shows an extent, whatever its axes' units."""
    from matplotlib.patches import Rectangle

    length = _round_length(shown.width / 4)
    share = length / shown.width
    label = f"{length:g} km" if length >= 1 else f"{1000 * length:g} m"
    # Sizes in panel shares, so that the bar is as high on a wide panel as on a tall one.
    unit = shown.width / shown.height if shown.width < shown.height else 1.0
    back = Rectangle((0.03, 0.02), share + 0.04, 0.095 * unit, facecolor="white", alpha=0.85)
    halves = [
        Rectangle((0.05 + part * share / 2, 0.02 + 0.02 * unit), share / 2, 0.016 * unit, fc=colour)
        for part, colour in ((0, "black"), (1, "white"))
    ]
    for patch in (back, *halves):
        patch.set_transform(panel.transAxes)
        patch.set_edgecolor("none" if patch is back else "black")
        patch.set_zorder(5)
        panel.add_artist(patch)
    place = (0.05 + share / 2, 0.02 + 0.045 * unit)
    panel.text(
        *place, label, transform=panel.transAxes, ha="center", va="bottom", fontsize=9, zorder=6
    )


def _round_length(length: float) -> float:
    """The largest of 1, 2, 5, 10, 20 ... that is not longer.

    >>> _round_length(5.9), _round_length(0.03)
    (5.0, 0.02)
    """
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))


def shout(panel: Any, size: float) -> None:
    """SIMULATED across a panel, so that no crop of the picture passes for a real event."""
    panel.text(
        0.5,
        0.5,
        "SIMULATED",
        transform=panel.transAxes,
        ha="center",
        va="center",
        rotation=45,
        fontsize=size,
        fontweight="bold",
        color=WARNING,
        alpha=0.32,
        zorder=4,
    )
