"""An interactive map in a notebook, of any size: only what is in view is read, as fine as it shows.

A view asks for as many pixels as the picture has on the screen. A GeoTIFF answers from its
overviews, a stored map from every n-th pixel of the window, so that a region opens as fast as a
valley and the browser is sent a picture of one size. Nothing is fetched from the internet. What
else was measured stands in ``docs/interactive.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.store.encoding import unpack_probability
from sarmap.store.provenance import read_provenance

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

Range = tuple[float, float] | None


@dataclass(frozen=True)
class View:
    """What a picture shows."""

    values: NDArray[np.float32]
    """Probability (y, x), NaN where not seen."""
    bounds: tuple[float, float, float, float]
    """Left, bottom, right, top in the map's units."""


class _Source(Protocol):
    """Something that reads a window, thinned to about a number of pixels."""

    @property
    def grid(self) -> GeoBox:
        """Grid of all pixels."""

    @property
    def title(self) -> str:
        """Heading of the picture."""

    def read(self, rows: slice, columns: slice, step: int) -> NDArray[np.float32]:
        """Every `step`-th pixel of a window."""
        ...


@dataclass(frozen=True)
class _Raster:
    """A GeoTIFF that `sarmap.write_cog` wrote; its overviews answer wide views."""

    file: str
    grid: GeoBox
    title: str

    def read(self, rows: slice, columns: slice, step: int) -> NDArray[np.float32]:
        import rasterio
        from rasterio.windows import Window

        height, width = rows.stop - rows.start, columns.stop - columns.start
        shape = (-(-height // step), -(-width // step))
        with rasterio.open(self.file) as opened:
            packed = opened.read(
                1, window=Window(columns.start, rows.start, width, height), out_shape=shape
            )
        return unpack_probability(packed)


@dataclass(frozen=True)
class _Array:
    """A map as an array, in memory or lazy."""

    data: xr.DataArray
    grid: GeoBox
    title: str

    def read(self, rows: slice, columns: slice, step: int) -> NDArray[np.float32]:
        part = self.data[rows, columns][::step, ::step]
        return np.asarray(part.compute().values, np.float32)


def explore(
    source: xr.Dataset | str | Path, *, cmap: str = "magma_r", width: int = 700, height: int = 700
) -> Any:
    """A map to pan and zoom in a notebook; needs ``pip install 'sarmap[notebook]'``.

    Parameters
    ----------
    source
        A map: its GeoTIFF (path or URL; the quickest for large ones, because it has overviews), its
        store, or a Dataset with ``probability`` (y, x), such as a zone of a scan.
    cmap
        Any colour map of bokeh or matplotlib.
    width, height
        Size of the picture on the screen, pixels.

    Returns
    -------
    A HoloViews DynamicMap: show it as the last line of a cell.

    Raises
    ------
    RequestError
        The source is no map, or the extra is not installed.
    """
    try:
        import holoviews
        from holoviews.streams import RangeXY
    except ImportError as error:
        raise RequestError(
            "Interactive maps need HoloViews: pip install 'sarmap[notebook]'."
        ) from error
    holoviews.extension("bokeh", logo=False, inline=True)
    opened = open_source(source)

    def draw(x_range: Range, y_range: Range) -> Any:
        view = view_of(opened, x_range, y_range, width, height)
        return holoviews.Image(
            view.values, kdims=["easting", "northing"], vdims="probability", bounds=view.bounds
        )

    shown = holoviews.DynamicMap(draw, streams=[RangeXY()])
    return shown.opts(
        holoviews.opts.Image(
            cmap=cmap,
            clim=(0, 1),
            clipping_colors={"NaN": "#d9d9d9"},
            colorbar=True,
            data_aspect=1,
            frame_width=width,
            frame_height=height,
            tools=["hover"],
            active_tools=["wheel_zoom"],
            title=opened.title,
            **_axes(opened.grid),
            framewise=False,
        )
    )


def view_of(source: _Source, x_range: Range, y_range: Range, width: int, height: int) -> View:
    """What lies in a view, thinned to at most the pixels that it has on the screen."""
    grid = source.grid
    rows, columns = (int(size) for size in grid.shape)
    a, c, e, f = grid.transform.a, grid.transform.c, grid.transform.e, grid.transform.f
    left, right = x_range or (c, c + columns * a)
    bottom, top = y_range or (f + rows * e, f)
    across = _window((left - c) / a, (right - c) / a, columns)
    down = _window((top - f) / e, (bottom - f) / e, rows)
    tall, wide = down.stop - down.start, across.stop - across.start
    step = max(-(-wide // width), -(-tall // height), 1)
    values = source.read(down, across, step)
    return View(
        values, (c + across.start * a, f + down.stop * e, c + across.stop * a, f + down.start * e)
    )


def _window(first: float, last: float, size: int) -> slice:
    """Pixels that a stretch touches, at least one."""
    low = min(max(int(np.floor(first)), 0), size - 1)
    return slice(low, min(max(int(np.ceil(last)), low + 1), size))


def open_source(source: xr.Dataset | str | Path) -> _Source:
    """What `explore` reads: a GeoTIFF, a store or a Dataset."""
    if isinstance(source, str | Path):
        if str(source).lower().endswith((".tif", ".tiff")):
            return _open_raster(str(source))
        from sarmap.store.result import open_map

        source = open_map(source)
    from sarmap.plot.maps import grid_of

    if "probability" not in source:
        raise RequestError("This is no map: it lacks probability.")
    grid = grid_of(source)
    return _Array(source["probability"], grid, _title(read_provenance(source.attrs).simulated))


def _open_raster(file: str) -> _Raster:
    import rasterio
    import rasterio.errors
    from odc.geo.geobox import GeoBox

    try:
        with rasterio.open(file) as opened:
            grid = GeoBox(opened.shape, opened.transform, str(opened.crs))
            tags = opened.tags()
            kind = opened.dtypes[0]
    except rasterio.errors.RasterioIOError as error:
        raise RequestError(f"{Path(file).name} cannot be opened as a GeoTIFF.") from error
    if kind != "uint8":
        raise RequestError(f"{Path(file).name} is no map that sarmap wrote: it holds {kind}.")
    return _Raster(file, grid, _title(tags.get("SIMULATED") == "YES"))


def _axes(grid: GeoBox) -> dict[str, str]:
    """Labels and number formats, in words of the map's reference system."""
    if grid.crs is not None and grid.crs.projected:
        names, shown = ("easting, m", "northing, m"), "%.0f"
    else:
        names, shown = ("longitude, degrees", "latitude, degrees"), "%.3f"
    return {"xlabel": names[0], "ylabel": names[1], "xformatter": shown, "yformatter": shown}


def _title(simulated: bool) -> str:
    return f"{'SIMULATED: ' if simulated else ''}landslide probability (grey: not seen)"
