"""All units of a scan as one lazy map per zone; what is not mapped yet reads as *no data*.

A zone's map is never held, stored or laid out in a graph of its own beyond one entry per block: a
`Canvas` reads, for any window of the zone, the windows of the units that lie in it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from affine import Affine
from dask.base import tokenize
from numpy.typing import NDArray

from sarmap.regions.scan_folder import Folder, State, read_units
from sarmap.regions.scan_record import read_record, zone_attributes
from sarmap.regions.unit_map import map_name
from sarmap.store.encoding import (
    FILL,
    PROBABILITY_STEP,
    RADAR_FLOOR,
    RADAR_STEP,
    SLOPE_STEP,
    layer_of,
)
from sarmap.store.location import store_at
from sarmap.store.reading import MapReader
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

BLOCK = 1024
"""Edge of a block of a zone's lazy map, pixels."""
_EMPTY: Mapping[str, int] = {
    "probability": FILL,
    "observation": int(Observation.NO_DATA),
    "slope": FILL,
    "disagreement": FILL,
    "control_probability": FILL,
    "control_observation": int(Observation.NO_DATA),
}
"""What a layer holds where nothing is mapped; 0 for all others."""


@dataclass(frozen=True)
class Placed:
    """One unit's place in its zone's map."""

    name: str
    """Its name."""
    top: int
    """First row."""
    left: int
    """First column."""
    rows: int
    """Rows."""
    columns: int
    """Columns."""


@lru_cache(maxsize=512)
def _group(path: str) -> Any:
    return zarr.open_group(store_at(path, read_only=True), mode="r")


@dataclass(frozen=True)
class Canvas:
    """One packed layer of a zone, read where it is asked for; travels to workers as names."""

    out: str
    """Folder or URL of the scan."""
    layer: str
    """Name of the layer."""
    placed: tuple[Placed, ...]
    """Mapped units."""
    shape: tuple[int, int]
    """Rows and columns of the zone's map."""
    outside: int | None = None
    """What it holds where nothing is mapped; None: as a map without data."""

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """All layers are packed in bytes."""
        return np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    def __getitem__(self, window: Any) -> NDArray[np.uint8]:
        """A rectangle, by two slices of step 1."""
        (top, bottom, _), (left, right, _) = (
            part.indices(size) for part, size in zip(window, self.shape, strict=True)
        )
        outside = _empty(self.layer) if self.outside is None else self.outside
        out = np.full((bottom - top, right - left), outside, np.uint8)
        for unit in self.placed:
            rows = max(top, unit.top), min(bottom, unit.top + unit.rows)
            columns = max(left, unit.left), min(right, unit.left + unit.columns)
            if rows[0] >= rows[1] or columns[0] >= columns[1]:
                continue
            group = _group(f"{self.out}/{map_name(unit.name)}")
            if self.layer not in group:
                continue
            out[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left] = group[
                self.layer
            ][
                rows[0] - unit.top : rows[1] - unit.top,
                columns[0] - unit.left : columns[1] - unit.left,
            ]
        return out


@dataclass(frozen=True)
class ZoneMap:
    """All mapped units of one zone on one grid."""

    zone: str
    """Name of the zone."""
    grid: GeoBox
    """Rectangle around all units, mapped or not."""
    placed: tuple[Placed, ...]
    """Mapped units."""
    layers: tuple[str, ...]
    """Layers that any unit has."""
    out: str
    """Folder or URL of the scan."""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of the zone's map."""

    def canvas(self, layer: str, outside: int | None = None) -> Canvas:
        """One layer, packed."""
        height, width = (int(length) for length in self.grid.shape)
        return Canvas(self.out, layer, self.placed, (height, width), outside)

    def reader(self, outside: int = Observation.NO_DATA) -> MapReader:
        """Packed rows for polygons and pages, as of a stored map.

        `outside` is the observation of ground that no mapped unit holds.
        """
        packed = ("probability", "observation", "slope", "control_probability")
        layers = {name: self.canvas(name) for name in packed if name in self.layers}
        layers["observation"] = self.canvas("observation", int(outside))
        return MapReader(
            grid=self.grid, attrs=self.attrs, block_rows=BLOCK // 2, layers=layers, packed=True
        )

    def dataset(self) -> xr.Dataset:
        """The zone as a lazy Dataset: probability and slope as float32, all others as stored."""
        from odc.geo.xr import xr_coords

        variables: dict[str, Any] = {}
        for name in self.layers:
            canvas = self.canvas(name)
            token = tokenize(canvas.out, canvas.layer, canvas.placed, canvas.shape)
            data = da.from_array(canvas, chunks=BLOCK, name=f"{name}-{token}", asarray=False)
            step, floor = _scale_of(name)
            if step is not None:
                data = data.map_blocks(_unpacked, step=step, floor=floor, dtype=np.float32)
            variables[name] = (("y", "x"), data, _described(name))
        dataset = xr.Dataset(variables, coords=xr_coords(self.grid), attrs=dict(self.attrs))
        for variable in dataset.data_vars.values():
            variable.encoding["grid_mapping"] = "spatial_ref"
        return dataset


_STEPS = {
    "probability": PROBABILITY_STEP,
    "disagreement": PROBABILITY_STEP,
    "control_probability": PROBABILITY_STEP,
    "slope": SLOPE_STEP,
}
"""Layer -> what one packed unit stands for."""


def _empty(layer: str) -> int:
    """What a layer holds where nothing is mapped."""
    return FILL if layer.endswith("_db") else _EMPTY.get(layer, 0)


def _scale_of(layer: str) -> tuple[float | None, float]:
    """What one packed unit of a layer stands for (None: it is not packed), and what none does."""
    return (RADAR_STEP, RADAR_FLOOR) if layer.endswith("_db") else (_STEPS.get(layer), 0.0)


def _unpacked(packed: NDArray[np.uint8], *, step: float, floor: float) -> NDArray[np.float32]:
    # in float64, as every reader of CF's scale_factor decodes it
    values = np.arange(256) * step + floor
    values[FILL] = np.nan
    return values.astype(np.float32)[packed]


def _described(name: str) -> dict[str, Any]:
    attrs = layer_of(name, np.dtype(np.uint8)).attrs
    packing = ("scale_factor", "add_offset", "_FillValue")
    described = {k: v for k, v in attrs.items() if k not in packing}
    if name.startswith("orbit"):
        described["long_name"] = "relative orbit the pixel was read from; 0: none"
    return described


@dataclass(frozen=True)
class Mosaic:
    """All that a scan has mapped so far, opened for reading."""

    path: str
    """Folder or URL."""
    record: Mapping[str, Any]
    """`scan.json`."""
    states: Mapping[str, State]
    """What became of each unit."""
    zones: Mapping[str, ZoneMap]
    """Zone's name -> its mapped units on one grid; zones without any are left out."""

    @property
    def simulated(self) -> bool:
        """True where the scenes are simulated."""
        return bool(self.record["simulated"])

    def __getitem__(self, zone: str) -> xr.Dataset:
        """The lazy map of one zone; KeyError where no unit of that zone is mapped."""
        return self.zones[zone].dataset()

    @property
    def datasets(self) -> dict[str, xr.Dataset]:
        """Zone's name -> its lazy map."""
        return {name: zone.dataset() for name, zone in self.zones.items()}

    def overviews(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Unit's name -> its layers at low resolution (see `unit_map.reduced`)."""
        names = {f"units/{name}/overview.npz": name for name in self.states}
        found = Folder(self.path).read_many(names)
        return {names[key]: dict(np.load(io.BytesIO(value))) for key, value in found.items()}


def read_mosaic(folder: Folder) -> Mosaic:
    """All that a scan has mapped so far; RequestError where no scan is there, OutputError where the
    store does not answer.
    """
    record = read_record(folder)
    _group.cache_clear()  # a unit may have been made anew
    states = read_units(folder)
    zones = {}
    for name, zone in record["zones"].items():
        own = {key: unit for key, unit in record["units"].items() if unit["zone"] == name}
        mapped = [key for key in own if states.get(key, State()).mapped]
        if mapped:
            become = {key: states.get(key, State()) for key in own}
            zones[name] = _zone(folder, record, name, zone["epsg"], own, mapped, become)
    return Mosaic(folder.out, record, states, zones)


def _zone(
    folder: Folder,
    record: Mapping[str, Any],
    name: str,
    epsg: int,
    units: Mapping[str, Mapping[str, Any]],
    mapped: list[str],
    states: Mapping[str, State],
) -> ZoneMap:
    from odc.geo.geobox import GeoBox

    top = min(unit["rows"][0] for unit in units.values())
    bottom = max(unit["rows"][1] for unit in units.values())
    left = min(unit["columns"][0] for unit in units.values())
    right = max(unit["columns"][1] for unit in units.values())
    first = next(iter(units.values()))
    corner = Affine(*first["transform"]) * Affine.translation(
        left - first["columns"][0], top - first["rows"][0]
    )
    placed = tuple(
        Placed(
            key,
            units[key]["rows"][0] - top,
            units[key]["columns"][0] - left,
            units[key]["rows"][1] - units[key]["rows"][0],
            units[key]["columns"][1] - units[key]["columns"][0],
        )
        for key in mapped
    )
    grid = GeoBox((bottom - top, right - left), corner, f"EPSG:{epsg}")
    groups = [_group(f"{folder.out}/{map_name(key)}") for key in mapped]
    layers = dict.fromkeys(layer for group in groups for layer in _layers(group))
    attrs = zone_attributes(record, name, [group.attrs for group in groups], states)
    return ZoneMap(name, grid, placed, tuple(layers), folder.out, attrs)


def _layers(group: Any) -> list[str]:
    """The (y, x) layers of a unit, from its metadata alone."""
    return [
        name
        for name, array in group.arrays()
        if array.metadata.dimension_names == ("y", "x") and array.dtype == np.uint8
    ]
