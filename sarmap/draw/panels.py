"""A panel of a picture: what lies where, ticks, scale bar, north, sources, SIMULATED.

A panel's axes are in the map's own units (metres, or degrees), so that anything else in the same
reference system, such as a GeoDataFrame, can be drawn on top.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.draw.colours import AT_EDGE, WARNING, display_bands, false_colour, radar_as_amplitude

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame
    from odc.geo.crs import CRS
    from odc.geo.geobox import GeoBox

_DEGREE = 111.32
"""Kilometres of a degree of latitude."""


@dataclass(frozen=True)
class Extent:
    """A rectangle in the map's units."""

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
        """Units from west to east."""
        return self.east - self.west

    @property
    def height(self) -> float:
        """Units from south to north."""
        return self.north - self.south

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """As matplotlib wants it."""
        return (self.west, self.east, self.south, self.north)

    @property
    def stretch(self) -> float:
        """In degrees, how much longer one of latitude is than one of longitude.

        >>> round(Extent(141, 142, 59.5, 60.5).stretch, 3)
        2.0
        """
        return 1 / math.cos(math.radians((self.south + self.north) / 2))


def extent_of(grid: GeoBox) -> Extent:
    """The whole of a grid."""
    box = grid.extent.boundingbox
    return Extent(box.left, box.right, box.bottom, box.top)


def busiest_square(hits: NDArray[np.bool_], whole: Extent) -> Extent | None:
    """The square of a fifth of the map's shorter side with the most landslide, for a close look.

    None where the map is too small for one, or holds no landslide.
    """
    from scipy import ndimage

    size = min(hits.shape) // 5
    if size < 40 or not hits.any():
        return None
    density = ndimage.uniform_filter(hits.astype(np.float32), size, mode="constant")
    inner = density[size // 2 : -(size // 2), size // 2 : -(size // 2)]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    across, down = whole.width / hits.shape[1], whole.height / hits.shape[0]
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


def radar_image(overview: xr.DataArray) -> Image:
    """An overview (`composite_overview`) in false colour, where it lies."""
    picture = overview.compute()
    xs, ys = picture["x"].values, picture["y"].values
    wide, high = (size / 2 for size in picture.attrs["pixel"])
    names = [str(name) for name in picture["band"].values]
    shown = display_bands(names)
    values = picture.values[[names.index(name) for name in shown]].astype(np.float32)
    values = radar_as_amplitude(values, shown, picture.attrs.get("scaling"))
    extent = Extent(xs[0] - wide, xs[-1] + wide, ys[-1] - high, ys[0] + high)
    return Image(false_colour(values), extent)


def draw_outlines(panel: Any, polygons: GeoDataFrame, colour: str, width: float) -> None:
    """All outlines as one collection of lines; grey at the edge of what was seen."""
    import shapely
    from matplotlib.collections import LineCollection

    rings, whose = shapely.get_rings(polygons.geometry.array, return_index=True)
    corners, owner = shapely.get_coordinates(rings, return_index=True)
    lines = np.split(corners, np.flatnonzero(np.diff(owner)) + 1)
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


def furnish(
    panel: Any, shown: Extent, crs: CRS | None, *, ticks: str = "both", aspect: str = "equal"
) -> None:
    """Limits, ticks ('both', 'x' or 'none' of them labelled), a scale bar and a north arrow."""
    degrees = crs is not None and not crs.projected
    panel.set_xlim(shown.west, shown.east)
    panel.set_ylim(shown.south, shown.north)
    panel.set_aspect(shown.stretch if degrees and aspect == "equal" else aspect)
    panel.tick_params(labelsize=8)
    panel.locator_params(axis="both", nbins=6)
    if degrees:
        panel.xaxis.set_major_formatter(lambda at, _: _degrees((at + 180) % 360 - 180, "EW"))
        panel.yaxis.set_major_formatter(lambda at, _: _degrees(at, "NS"))
    else:
        panel.xaxis.set_major_formatter(lambda at, _: f"{at / 1000:g}")
        panel.yaxis.set_major_formatter(lambda at, _: f"{at / 1000:g}")
        code = None if crs is None else crs.to_epsg()
        panel.set_xlabel(f"easting, km (EPSG:{code})" if code else "easting, km", fontsize=9)
        if ticks == "both":
            panel.set_ylabel("northing, km", fontsize=9)
    if ticks == "x":
        panel.set_yticklabels([])
    if ticks == "none":
        panel.set(xticks=[], yticks=[], xlabel="")
    else:
        _north_arrow(panel)
    unit = (_DEGREE / shown.stretch, _DEGREE) if degrees else (1e-3, 1e-3)
    _scale_bar(panel, shown.width * unit[0], shown.height * unit[1])


def _degrees(value: float, letters: str) -> str:
    """
    >>> _degrees(-71.5, "EW")
    '71.5°W'
    """
    return f"{abs(value):g}\N{DEGREE SIGN}{letters[0] if value >= 0 else letters[1]}"


def _north_arrow(panel: Any) -> None:
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


def _scale_bar(panel: Any, width: float, height: float) -> None:
    """A bar of a round length in a panel that shows so many kilometres, whatever its units."""
    from matplotlib.patches import Rectangle

    length = _round_length(width / 4)
    share = length / width
    label = f"{length:g} km" if length >= 1 else f"{1000 * length:g} m"
    # Sizes in panel shares, so that the bar is as high on a wide panel as on a tall one.
    unit = min(width / height, 1.0)
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


def mark_simulated(panel: Any, size: float) -> None:
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


def name_sources(panel: Any, text: str) -> None:
    """Scenes and owners in small lines below, in the label so that layouts make room for them."""
    inches = panel.get_position().width * panel.figure.get_figwidth()
    lines = textwrap.wrap(text, max(int(inches * 15), 30))
    if lines:
        label = "\n".join(filter(None, [panel.get_xlabel(), *lines]))
        panel.set_xlabel(label, fontsize=7.5)
