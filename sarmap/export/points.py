"""Hits of a window classifier as points: the red points of Nava et al. 2021 (their figure 6)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sarmap.errors import RequestError
from sarmap.export.vector_files import described, file_attributes, lonlat, write_frame
from sarmap.store.delivery import check_file
from sarmap.store.encoding import PROBABILITY_STEP, pack_probability, threshold_level
from sarmap.store.georeference import geobox_of
from sarmap.store.provenance import read_provenance
from sarmap.store.result import open_map

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame

_STRIP_WINDOWS = 4_000_000
"""About how many windows are held at a time."""


def window_points(source: xr.Dataset | str | Path, *, threshold: float = 0.5) -> GeoDataFrame:
    """Centres, in the map's CRS, of the windows whose probability reaches a threshold, row by row,
    with ``id``, ``probability``, ``lon``, ``lat`` and what `polygonise` says of a map's making.

    Raises RequestError where the map has no ``window_probability`` (window_y, window_x), or the
    threshold is not above 0 and at most 1.
    """
    dataset = open_map(source) if isinstance(source, str | Path) else source
    if "window_probability" not in dataset:
        raise RequestError(
            "The map has no window_probability, so it has no points: its detector maps pixels, "
            "not windows."
        )
    level, windows = threshold_level(threshold), dataset["window_probability"]
    step = max(_STRIP_WINDOWS // max(windows.sizes["window_x"], 1), 1)
    xs, ys, levels = [np.empty(0)], [np.empty(0)], [np.empty(0, np.uint8)]
    for top in range(0, windows.sizes["window_y"], step):
        strip = windows.isel(window_y=slice(top, top + step)).compute()
        packed = pack_probability(strip.values)
        rows, columns = np.nonzero((packed >= level) & (packed != 255))
        xs.append(strip["window_x"].values[columns])
        ys.append(strip["window_y"].values[rows])
        levels.append(packed[rows, columns])
    centres = np.concatenate(xs), np.concatenate(ys)
    probability = np.concatenate(levels) * PROBABILITY_STEP
    return _frame(dataset, centres, probability.round(4), threshold)


def write_points(
    source: xr.Dataset | str | Path,
    out: str | Path,
    *,
    threshold: float = 0.5,
    overwrite: bool = False,
) -> str:
    """Write what `window_points` gives to a file ending as `write_polygons` says.

    Raises RequestError as `window_points`, or where the file exists or has another ending;
    OutputError where it cannot be written.
    """
    file = Path(out).expanduser()
    check_file(file, overwrite=overwrite)
    frame = window_points(source, threshold=threshold)
    return write_frame(frame, file, layer="landslide_windows", kind="Point", overwrite=overwrite)


def _frame(dataset: xr.Dataset, centres: Any, probability: Any, threshold: float) -> GeoDataFrame:
    import geopandas

    made, count = read_provenance(dataset.attrs), len(probability)
    crs = geobox_of(dataset).crs
    points = geopandas.GeoSeries(
        geopandas.points_from_xy(*centres), crs=None if crs is None else crs.to_wkt()
    )
    frame = geopandas.GeoDataFrame(
        {
            "id": np.arange(1, count + 1, dtype=np.int64),
            "probability": probability,
            **lonlat(points),
            **described(made, count),
            "threshold": np.full(count, float(threshold)),
            "simulated": np.full(count, made.simulated),
        },
        geometry=points,
    )
    frame.attrs.update(file_attributes(made, "landslide windows"))
    return frame
