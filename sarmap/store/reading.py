"""A map read strip by strip in its packed form, whether stored or still lazy.

Every product is made from the packed numbers, so that polygons, images and counts of a stored map
and of the lazy one it came from are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.store.encoding import FILL, pack_probability, pack_slope, seen_only
from sarmap.store.georeference import geobox_of
from sarmap.store.location import store_at
from sarmap.store.provenance import Provenance, read_provenance
from sarmap.store.result import open_map
from sarmap.store.sizes import check_whole

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

EDGE = 2
"""Pixels from ground that was not seen within which a detector is easily wrong: there it saw half
of what it looks at."""

_STRIP_PIXELS = 16_000_000
"""About how many pixels of a map are held at a time."""


@dataclass(frozen=True)
class Strip:
    """Some whole rows of a map, packed as `sarmap.store.encoding` says."""

    top: int
    """First row."""
    probability: NDArray[np.uint8]
    """Steps of 0.004, 255 where nothing was seen."""
    observation: NDArray[np.uint8]
    """Observation codes."""
    slope: NDArray[np.uint8] | None = None
    """Steps of 0.4 degrees, 255 where unknown; None where the map has none, or it was not asked."""
    disagreement: NDArray[np.uint8] | None = None
    """Steps of 0.004, 255 where unknown; None where the map has none, or it was not asked."""
    control_probability: NDArray[np.uint8] | None = None
    """Steps of 0.004, 255 where unknown; None where the map has none, or it was not asked."""


@dataclass(frozen=True)
class MapReader:
    """A map's grid, making and packed rows."""

    grid: GeoBox
    """Rows, columns, transform and CRS."""
    attrs: Mapping[str, Any]
    """The map's attributes."""
    block_rows: int
    """Rows of one stored block: strips of this height are read once."""
    layers: Mapping[str, Any]
    """Arrays (rows, columns) that are read by name, of those asked for."""
    packed: bool
    """Whether they hold packed numbers, as a store does, and not a Dataset's own."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.grid.shape
        return int(rows), int(columns)

    @property
    def provenance(self) -> Provenance:
        """How the map was made."""
        return read_provenance(self.attrs)

    def strip(self, top: int, bottom: int) -> Strip:
        """Rows `top` to `bottom` (exclusive), computed or read now."""
        window = (slice(top, bottom), slice(None))
        if self.packed:
            read = {name: np.asarray(layer[window]) for name, layer in self.layers.items()}
            return Strip(top, **read)
        from dask.base import compute

        names = list(self.layers)
        values = dict(zip(names, compute(*(self.layers[n][window] for n in names)), strict=True))
        probability, observation = seen_only(
            pack_probability(values["probability"]), values["observation"]
        )
        return Strip(
            top,
            probability,
            observation,
            slope=pack_slope(values["slope"]) if "slope" in values else None,
            **{
                name: pack_probability(values[name])
                for name in ("disagreement", "control_probability")
                if name in values
            },
        )

    def strips(self, rows: int | None = None, *, edge: int = 1) -> Iterator[Strip]:
        """The whole map from top to bottom, `rows` at a time (None: as of `strip_rows`)."""
        height, step = self.shape[0], rows or self.strip_rows(edge)
        for top in range(0, height, step):
            yield self.strip(top, min(top + step, height))

    def strip_rows(self, edge: int = 1) -> int:
        """Rows per strip in bounded memory: whole stored blocks, of about 16 million pixels; of
        them as many as make whole squares of an edge.
        """
        wanted = max(_STRIP_PIXELS // max(self.shape[1], 1), 1)
        rows = max(wanted // self.block_rows, 1) * self.block_rows
        return max(rows // edge, 1) * edge


class _Probable(Protocol):
    """Some whole rows with probabilities."""

    @property
    def probability(self) -> NDArray[np.uint8]:
        """Steps of 0.004, 255 where nothing was seen."""


P = TypeVar("P", bound=_Probable)


def with_edges(strips: Iterator[P]) -> Iterator[tuple[P, NDArray[np.bool_]]]:
    """Each strip of a map, and which of its pixels lie within `EDGE` of ground not seen.

    Strips come from top to bottom, each but the last with `EDGE` rows or more.
    """
    from scipy.ndimage import maximum_filter

    above, here = None, next(strips, None)
    while here is not None:
        below = next(strips, None)
        mine = here.probability == FILL
        rows = [mine] if below is None else [mine, below.probability[:EDGE] == FILL]
        before = 0 if above is None else len(above)
        unseen = np.concatenate(rows if above is None else [above, *rows])
        near = (
            maximum_filter(unseen, size=2 * EDGE + 1, mode="constant") if unseen.any() else unseen
        )
        yield here, near[before : before + len(mine)]
        above, here = mine[-EDGE:], below


def open_reader(source: xr.Dataset | MapReader | str | Path, *layers: str) -> MapReader:
    """Reader of a stored map (path or URL, fastest) or of a Dataset, lazy or not; one stays what it
    is. Besides probability and observation it reads `layers` ('slope', 'disagreement',
    'control_probability'), where the map has them.

    Raises RequestError where no finished map is there, or the dataset is not a map.
    """
    if isinstance(source, MapReader):
        return source
    wanted = ("probability", "observation", *layers)
    if isinstance(source, xr.Dataset):
        for name in ("probability", "observation"):
            if name not in source:
                raise RequestError(f"A map needs the variable {name!r}.")
        data = {name: source[name].data for name in wanted if name in source}
        blocks = source["probability"].chunks
        rows = blocks[0][0] if blocks else source.sizes["y"]
        return _reader(source, data, rows, packed=False)
    dataset = open_map(source)
    check_whole(source)
    group = zarr.open_group(store_at(source, read_only=True), mode="r")
    arrays: dict[str, Any] = {name: group[name] for name in wanted if name in dataset}
    array = arrays["probability"]
    return _reader(dataset, arrays, (array.shards or array.chunks)[0], packed=True)


def _reader(
    dataset: xr.Dataset, layers: Mapping[str, Any], rows: int, *, packed: bool
) -> MapReader:
    return MapReader(
        grid=geobox_of(dataset),
        attrs=dataset.attrs,
        block_rows=max(int(rows), 1),
        layers=layers,
        packed=packed,
    )
