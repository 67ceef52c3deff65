"""What every picture of a map carries: kilometres, scale bar, north, sources, and SIMULATED.

Axes stay in the map's own units, so that anything else in the same reference system (a
GeoDataFrame, another raster) can be drawn on top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError
from sarmap.export.georeference import geobox_of
from sarmap.export.panels import Extent, extent_of_degrees, north_arrow, scale_bar, shout
from sarmap.export.provenance import Provenance, read_provenance

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

__all__ = ["axes_or_new", "finish", "grid_of", "made_from"]


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
    """The grid of what is drawn.

    Raises
    ------
    RequestError
        It has no reference system.
    """
    grid = geobox_of(data)
    if grid.crs is None:
        raise RequestError("A picture needs the reference system: keep the coordinate spatial_ref.")
    return grid


def made_from(data: xr.Dataset | xr.DataArray) -> Provenance:
    """How what is drawn was made."""
    return read_provenance(data.attrs)


def finish(ax: Any, grid: GeoBox, made: Provenance, title: str) -> None:
    """Limits, ticks in kilometres, scale bar, north arrow, title, and where the data came from."""
    from matplotlib.ticker import FuncFormatter

    box = grid.extent.boundingbox
    ax.set_xlim(box.left, box.right)
    ax.set_ylim(box.bottom, box.top)
    ax.set_aspect("equal")
    epsg = grid.crs.epsg if grid.crs is not None else None
    name = f" (EPSG:{epsg})" if epsg else ""
    if grid.crs is not None and grid.crs.projected:
        thousandths = FuncFormatter(lambda value, _: f"{value / 1000:g}")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(thousandths)
        ax.set_xlabel(f"easting, km{name}")
        ax.set_ylabel("northing, km")
        edges = (box.left, box.right, box.bottom, box.top)
        scale_bar(ax, Extent(*(edge / 1000 for edge in edges)))
    else:
        ax.set_xlabel(f"longitude, degrees{name}")
        ax.set_ylabel("latitude, degrees")
        scale_bar(ax, extent_of_degrees(box.left, box.right, box.bottom, box.top))
    ax.locator_params(axis="both", nbins=6)
    ax.tick_params(labelsize=8)
    north_arrow(ax)
    mark = "SIMULATED: " if made.simulated else ""
    ax.set_title(f"{mark}{title}", fontsize=10)
    _sources(ax, made)
    if made.simulated:
        shout(ax, 34)


def _sources(ax: Any, made: Provenance) -> None:
    """Scenes and owners in small lines below, in the label so that layouts make room for them."""
    import textwrap

    line = "  ·  ".join(part for part in (_radar(made), made.attribution) if part)
    width = ax.get_position().width * ax.figure.get_figwidth()
    lines = textwrap.wrap(line, max(int(width * 15), 30))
    if lines:
        ax.set_xlabel("\n".join([ax.get_xlabel(), *lines]), fontsize=7.5)


def _radar(made: Provenance) -> str:
    """'Sentinel-1 ascending, orbit 68, 2018-09-01 to 2018-09-25'; empty where nothing is said."""
    days = [f"{moment:%Y-%m-%d}" for role in ("pre", "post") for moment in made.times(role)]
    orbits = " and ".join(made.orbits)
    tracks = ", ".join(map(str, made.relative_orbits))
    parts = [f"Sentinel-1 {orbits}" if orbits else "", f"orbit {tracks}" if tracks else ""]
    if days:
        parts.append(" to ".join(dict.fromkeys((min(days), max(days)))))
    return ", ".join(part for part in parts if part)
