"""What a page is made from: a map's packed layers, read a strip of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.export.backscatter import KEPT_ENDING
from sarmap.export.polygons import pixel_area, polygonise
from sarmap.store.encoding import FILL, pack_decibels
from sarmap.store.location import store_at
from sarmap.store.provenance import Provenance
from sarmap.store.reading import MapReader, Strip, open_reader

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame


@dataclass(frozen=True)
class Rows(Strip):
    """Some whole rows of a map and its radar, packed."""

    radar: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    """Band -> steps of 0.2 dB from -35 dB, 255 where there is no value."""


@dataclass(frozen=True)
class Source:
    """A map and the radar it was made from, as far as that is there."""

    reader: MapReader
    """Grid, making, probability, observation, slope, and the control where there is one."""
    radar: Mapping[str, Any]
    """Band ('vv_pre') -> packed array that is read where it is sliced, or a lazy one in dB."""
    name: str = "landslides"
    """What its downloads are called, without ending."""
    notes: tuple[str, ...] = ()
    """What a reader of the page must know of it, a sentence each."""
    outlined: Callable[[float, float], GeoDataFrame] | None = None
    """Landslides at a threshold and a smallest area, where more is known of them than the pixels
    tell; None: `polygonise`."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.reader.shape

    @property
    def made(self) -> Provenance:
        """How the map was made."""
        return self.reader.provenance

    @property
    def pixel_area(self) -> float:
        """Square metres of one pixel."""
        return pixel_area(self.reader.grid)

    def landslides(self, threshold: float, min_area: float) -> GeoDataFrame:
        """Polygons from a probability and an area (m²) on."""
        if self.outlined is not None:
            return self.outlined(threshold, min_area)
        return polygonise(self.reader, threshold=threshold, min_area=min_area)

    def rows(self, top: int, bottom: int) -> Rows:
        """Rows `top` to `bottom` (exclusive), computed or read now."""
        strip = self.reader.strip(top, bottom)
        radar = {name: _packed(layer[top:bottom, :]) for name, layer in self.radar.items()}
        return Rows(**vars(strip), radar=radar)

    def strips(self, rows: int) -> Iterator[Rows]:
        """The whole map from top to bottom, `rows` at a time."""
        height, _ = self.shape
        for top in range(0, height, rows):
            yield self.rows(top, min(top + rows, height))


def _packed(layer: Any) -> NDArray[np.uint8]:
    """A strip of radar in bytes, whether it was stored so or is still in dB."""
    values = np.asarray(layer)
    return values if values.dtype == np.uint8 else pack_decibels(values)


def open_source(
    source: xr.Dataset | Source | str | Path, radar: Mapping[str, xr.DataArray] | None = None
) -> Source:
    """A stored map (path or URL; the fastest) or a Dataset, ready to be read; `radar` is band ->
    image in dB (y, x) on the map's grid, for a map that keeps none.

    Raises RequestError where there is no finished map, it is not in metres, or an image has another
    shape.
    """
    if isinstance(source, Source):
        return replace(source, radar={**source.radar, **_given(radar or {}, source.shape)})
    reader = open_reader(source, "slope", "control_probability")
    pixel_area(reader.grid)  # refuses a map in degrees before any work
    layers: dict[str, Any] = {} if radar is None else _given(radar, reader.shape)
    if not isinstance(source, str | Path):
        names = sorted((str(one) for one in source.data_vars if _is_radar(one)), key=_order)
        kept = {_band(name): source[name].data for name in names}
        return Source(reader, {**kept, **layers})
    stem = Path(str(source)).stem
    group = zarr.open_group(store_at(source, read_only=True), mode="r")
    names = sorted((one for one in group.array_keys() if _is_radar(one)), key=_order)
    kept = {_band(name): group[name] for name in names}
    return Source(reader, {**kept, **layers}, stem)


def _is_radar(name: Any) -> bool:
    return str(name).startswith(("vv_", "vh_")) and str(name).endswith(KEPT_ENDING)


def _order(name: str) -> tuple[bool, str]:
    """Before the event first."""
    return "_pre" not in name, name


def _band(name: Any) -> str:
    return str(name).removesuffix(KEPT_ENDING)


def _given(radar: Mapping[str, xr.DataArray], shape: tuple[int, int]) -> dict[str, Any]:
    for name, image in radar.items():
        if image.shape != shape:
            raise RequestError(
                f"Radar image {name!r} has {' x '.join(map(str, image.shape))} pixels, and the map "
                f"{shape[0]} x {shape[1]}: read it on the map's own grid."
            )
    return {name: image.data for name, image in radar.items()}


def stretch_of(source: Source) -> tuple[int, int]:
    """Packed radar values drawn black and white, the same for all images: percentiles 1 and 99.5.

    Up to eight strips all over the map are looked at.
    """
    height, _ = source.shape
    counts = np.zeros(256, np.int64)
    for middle in np.linspace(0, height, 10)[1:-1].astype(int):
        top = max(min(int(middle), height - 64), 0)
        for layer in source.radar.values():
            counts += np.bincount(_packed(layer[top : top + 64, :]).ravel(), minlength=256)
    counts[FILL] = 0
    if not counts.any():
        return 0, 250
    below = counts.cumsum() / counts.sum()
    low, high = (int(np.searchsorted(below, share)) for share in (0.01, 0.995))
    return low, max(high, low + 1)
