"""Axes for a picture of a map, and what every such picture says: its title, sources, SIMULATED."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sarmap.draw.panels import extent_of, furnish, mark_simulated, name_sources
from sarmap.errors import RequestError
from sarmap.store.georeference import geobox_of
from sarmap.store.provenance import Provenance, read_provenance

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox


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
