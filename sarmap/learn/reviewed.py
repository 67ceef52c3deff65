"""What an analyst looked at: the tiles that polygons of a map, or of its corrections, touch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.labels import Labels, read_labels

if TYPE_CHECKING:
    from sarmap.store.reading import MapReader


def corrected_labels(
    reader: MapReader,
    corrections: str | Path,
    reviewed: str | Path | None,
    crs: Any,
    tile: int,
) -> Labels:
    """The corrected polygons, labelled where they or the map's polygons touch a tile."""
    labels = read_labels(reader.grid, corrections, surveyed=reviewed, crs=crs)
    if reviewed is not None:
        return labels
    touched = _touched(reader, labels, tile)
    return Labels(
        labels.grid,
        labels.landslides,
        _boxes(reader.grid, touched, tile),
        repaired=labels.repaired,
        dropped=labels.dropped,
    )


def _touched(reader: MapReader, labels: Labels, tile: int) -> NDArray[np.bool_]:
    """Which tiles (row, column) hold a pixel that the map, or the corrections, call landslide."""
    from sarmap.store.encoding import FILL, threshold_level

    request = json.loads(reader.attrs.get("sarmap:request", "{}"))
    level = threshold_level(float(request.get("threshold", 0.5)))
    rows, columns = reader.shape
    touched = np.zeros((-(-rows // tile), -(-columns // tile)), bool)
    step = max(reader.strip_rows(columns) // tile, 1) * tile
    for strip in reader.strips(step):
        packed = strip.probability
        window = slice(strip.top, strip.top + packed.shape[0]), slice(0, columns)
        found = ((packed >= level) & (packed != FILL)) | (labels.mask(*window) == 1)
        y, x = np.nonzero(found)
        touched[(y + strip.top) // tile, x // tile] = True
    return touched


def _boxes(grid: Any, touched: NDArray[np.bool_], tile: int) -> Any:
    """Tiles as polygons in the grid's system."""
    import geopandas
    import shapely

    y, x = np.nonzero(touched)
    left, top = grid.transform * (x * tile, y * tile)
    right, bottom = grid.transform * ((x + 1) * tile, (y + 1) * tile)
    boxes = shapely.box(
        np.minimum(left, right),
        np.minimum(top, bottom),
        np.maximum(left, right),
        np.maximum(top, bottom),
    )
    return geopandas.GeoDataFrame(geometry=boxes, crs=grid.crs.to_wkt())
