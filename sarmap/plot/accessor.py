"""``data.sarmap``: the common pictures and questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from sarmap.errors import RequestError

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


class _Accessor:
    """What composites, outcomes, maps and cubes have alike."""

    def __init__(self, data: Any) -> None:
        self._data = data

    @property
    def grid(self) -> GeoBox:
        """Its grid."""
        from sarmap.plot.maps import grid_of

        return grid_of(self._data)

    @property
    def simulated(self) -> bool:
        """Whether it was made from simulated scenes."""
        from sarmap.plot.maps import made_from

        return made_from(self._data).simulated

    def observation(self, **options: Any) -> Any:
        """What the radar saw; see `sarmap.plot.codes.plot_observation`."""
        from sarmap.plot.codes import plot_observation

        return plot_observation(self._data, **options)


@xr.register_dataarray_accessor("sarmap")
class ArrayAccessor(_Accessor):
    """Of a composite (band, y, x), or of the outcomes of an assessment (y, x).

    Examples
    --------
    ``composite.sarmap.plot()``, ``composite.sarmap.pair()``, ``composite.sarmap.change()``,
    ``composite.sarmap.observation()``; ``outcome.sarmap.plot()``.
    """

    def plot(self, **options: Any) -> Any:
        """A composite in false colour, or the outcomes of an assessment; returns the axes.

        Raises
        ------
        RequestError
            It is neither.
        """
        from sarmap.plot.codes import plot_outcomes
        from sarmap.plot.maps import plot_composite

        if "band" in self._data.dims:
            return plot_composite(self._data, **options)
        if "flag_meanings" in self._data.attrs:
            return plot_outcomes(self._data, **options)
        raise RequestError("Neither a composite nor outcomes: draw it with .plot() of xarray.")

    def pair(self, **options: Any) -> Any:
        """Before and after the event; see `sarmap.plot.maps.plot_pair`."""
        from sarmap.plot.maps import plot_pair

        return plot_pair(self._data, **options)

    def change(self, **options: Any) -> Any:
        """Change in dB; see `sarmap.plot.maps.plot_change`."""
        from sarmap.plot.maps import plot_change

        return plot_change(self._data, **options)


@xr.register_dataset_accessor("sarmap")
class DatasetAccessor(_Accessor):
    """Of a map: ``result.dataset.sarmap.plot(threshold=0.5)``, ``….observation()``; of a cube:
    ``cube.sarmap.coverage()``."""

    def plot(self, **options: Any) -> Any:
        """Landslide probability of a map, or the outcomes of an assessment (``confusion.zarr``);
        see `sarmap.plot.maps.plot_probability` and `sarmap.plot.codes.plot_outcomes`."""
        from sarmap.plot.codes import plot_outcomes
        from sarmap.plot.maps import plot_probability

        if "outcome" in self._data:
            return plot_outcomes(self._data, **options)
        return plot_probability(self._data, **options)

    def coverage(self, **options: Any) -> Any:
        """In how many passes of a cube each pixel was seen; see
        `sarmap.plot.codes.plot_coverage`."""
        from sarmap.plot.codes import plot_coverage

        return plot_coverage(self._data, **options)
