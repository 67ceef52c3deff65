"""Landslide polygons of a map, as a GeoDataFrame or as files.

A polygon is one whole connected component of pixels, whatever blocks the map was computed or stored
in: no block border cuts it, and its corners, their order and its number are the same for every
chunking. Outlines follow pixel edges, corners only, so a polygon's area is its pixels' area.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.export.components import Components, find_components, labelled_strips
from sarmap.export.vector_files import check_ending, described, file_attributes, lonlat, write_frame
from sarmap.store.delivery import check_file
from sarmap.store.encoding import threshold_level
from sarmap.store.reading import MapReader, open_reader
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox

SMALLEST_GAP = 1000.0
"""Square metres of the smallest gap that is outlined: layover leaves specks by the ten thousand."""
_WHY = {
    Observation.NO_DATA: "no data",
    Observation.READ_FAILED: "could not be read",
    Observation.LAYOVER_SHADOW: "layover or shadow",
}


def polygonise(
    source: xr.Dataset | MapReader | str | Path,
    *,
    threshold: float = 0.5,
    min_area: float = 0.0,
    connectivity: int = 4,
    strip_rows: int | None = None,
) -> GeoDataFrame:
    """Polygons of connected pixels whose probability reaches a threshold.

    Parameters
    ----------
    source
        A stored map (path or URL; the fastest), a map Dataset, or a reader of one.
    threshold
        Probability from which a pixel is landslide.
    min_area
        Smallest polygon kept, square metres.
    connectivity
        4: pixels connect along edges, and every geometry is a Polygon, as in GDAL. 8: corners
        connect too; parts that touch only at a corner form one MultiPolygon.
    strip_rows
        Rows held in memory at a time; never changes the answer.

    Returns
    -------
    GeoDataFrame in the map's CRS, in order of each polygon's first pixel (row by row), with
    ``id``, ``area_m2``, ``mean_probability``, ``max_probability``, ``mean_slope_deg`` (NaN where
    the map has none), ``lon`` and ``lat`` of its middle (degrees), ``at_edge``, ``event``,
    ``passes_before`` and ``passes_after`` (UTC), ``orbit``, ``relative_orbit``, ``detector``,
    ``threshold`` and ``simulated``; the ids of the scenes stand in ``attrs``. The id is the place
    of the landslide's most probable pixel, counted from 1 row by row, so that it stays the same at
    every threshold that keeps them apart. ``at_edge`` marks polygons of which half the pixels or
    more lie within two pixels of ground that was not seen, where most of what a detector calls is
    false.

    Raises
    ------
    RequestError
        The map is none, an argument is out of range, or the map is not in metres or feet.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> probability = np.array([[0.9, 0.8, 0.0], [0.0, 0.0, 0.6]], "float32")
    >>> area = xr.Dataset(
    ...     {
    ...         "probability": (("y", "x"), probability),
    ...         "observation": (("y", "x"), np.zeros((2, 3), "uint8")),
    ...     },
    ...     coords={"y": [15.0, 5.0], "x": [5.0, 15.0, 25.0]},
    ... )
    >>> area.coords["spatial_ref"] = ((), 0, {"crs_wkt": "EPSG:32654"})
    >>> polygonise(area)[["id", "area_m2", "max_probability"]].values.tolist()
    [[1.0, 200.0, 0.9], [6.0, 100.0, 0.6]]
    """
    return outlined(
        source,
        threshold=threshold,
        min_area=min_area,
        connectivity=connectivity,
        strip_rows=strip_rows,
        gaps=False,
    )[0]


def outlined(
    source: xr.Dataset | MapReader | str | Path,
    *,
    threshold: float = 0.5,
    min_area: float = 0.0,
    connectivity: int = 4,
    strip_rows: int | None = None,
    gaps: bool = True,
) -> tuple[GeoDataFrame, GeoDataFrame]:
    """The polygons of `polygonise`, and in one pass those of connected ground that was not seen, of
    `SMALLEST_GAP` or more, with the columns ``why`` and ``area_m2``; none without `gaps`.
    """
    if connectivity not in (4, 8):
        raise RequestError(f"connectivity={connectivity} must be 4 or 8.")
    reader = open_reader(source, "slope")
    pixel = pixel_area(reader.grid)
    components = _components(reader, threshold, min_area, connectivity, strip_rows)
    fewest = math.ceil(SMALLEST_GAP / pixel - 1e-9)
    pieces, owner = _pieces(reader, components, fewest if gaps else None)
    slides = owner > 0
    outlines = _outlines(reader, pieces[slides], owner[slides], len(components.pixels))
    frame = _frame(reader, components, outlines, threshold, pixel)
    holes, codes = pieces[~slides], -owner[~slides]
    if components.only is None:  # those that go on below their strip become whole
        holes, codes = _across_strips(holes, codes)
    return frame, _gaps(reader, holes, codes, fewest, pixel)


def count_landslides(
    source: xr.Dataset | str | Path, *, threshold: float = 0.5, min_area: float = 0.0
) -> tuple[int, float]:
    """How many polygons `polygonise` gives of a map, and their area in km²; the same arguments."""
    reader = open_reader(source)
    components = _components(reader, threshold, min_area)
    pixels = int(components.pixels.sum())
    return len(components.pixels), pixels * pixel_area(reader.grid) / 1e6


def _components(
    reader: MapReader,
    threshold: float,
    min_area: float,
    connectivity: int = 4,
    rows: int | None = None,
) -> Components:
    """Connected pixels that reach a threshold, of `min_area` square metres or more."""
    if min_area < 0:
        raise RequestError(f"min_area={min_area:g} must not be negative.")
    return find_components(
        reader,
        threshold_level(threshold),
        smallest=max(math.ceil(min_area / pixel_area(reader.grid) - 1e-9), 1),
        connectivity=connectivity,
        rows=rows,
    )


def write_polygons(
    source: xr.Dataset | str | Path,
    out: str | Path | Sequence[str | Path],
    *,
    threshold: float = 0.5,
    min_area: float = 0.0,
    connectivity: int = 4,
    overwrite: bool = False,
) -> list[str]:
    """Write landslide polygons; see `polygonise` for what they are.

    Parameters
    ----------
    source, threshold, min_area, connectivity
        As in `polygonise`.
    out
        File ending in ``.gpkg``, ``.parquet`` (GeoParquet), ``.geojson``, ``.fgb`` (FlatGeobuf) or
        ``.kmz``, or several.
    overwrite
        Replace existing files.

    Returns
    -------
    The files written.

    Raises
    ------
    RequestError
        A file exists and may not be replaced, has another ending, or `source` is no map.
    OutputError
        A file cannot be written.

    Examples
    --------
    >>> import geopandas, numpy as np, tempfile, xarray as xr
    >>> area = xr.Dataset(
    ...     {
    ...         "probability": (("y", "x"), np.array([[0.1, 0.7, np.nan]], "float32")),
    ...         "observation": (("y", "x"), np.array([[0, 0, 3]], "uint8")),
    ...     },
    ...     coords={"y": [4735005.0], "x": [577905.0, 577915.0, 577925.0]},
    ... )
    >>> area.coords["spatial_ref"] = (
    ...     (), 0, {"crs_wkt": "EPSG:32654", "GeoTransform": "577900 10 0 4735010 0 -10"}
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (file,) = write_polygons(area, f"{folder}/map.gpkg")
    ...     landslides = geopandas.read_file(file)
    >>> landslides.geometry.area.tolist()  # one pixel reaches 0.5
    [100.0]
    """
    files = [Path(one).expanduser() for one in ([out] if isinstance(out, str | Path) else out)]
    for file in files:
        check_ending(file)
        check_file(file, overwrite=overwrite)
    frame, gaps = outlined(
        source,
        threshold=threshold,
        min_area=min_area,
        connectivity=connectivity,
        gaps=any(file.suffix.lower() == ".gpkg" for file in files),
    )
    kind = "Polygon" if connectivity == 4 else "MultiPolygon"
    return [
        write_frame(frame, file, layer="landslides", kind=kind, overwrite=overwrite, gaps=gaps)
        for file in files
    ]


def pixel_area(grid: GeoBox) -> float:
    """Square metres of one pixel of a projected grid."""
    crs = grid.crs
    if crs is None or not crs.projected:
        raise RequestError(
            "Areas in square metres need a projected map; this one is in degrees: "
            "give crs= when mapping."
        )
    factor = float(crs.proj.axis_info[0].unit_conversion_factor)
    return abs(float(grid.transform.a) * float(grid.transform.e)) * factor**2


def _pieces(
    reader: MapReader, components: Components, fewest: int | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Polygons of all strips and the component of each; of gaps their code, less than 0.

    Gaps of less than `fewest` pixels are left out where no other strip holds more of them: layover
    leaves them by the ten thousand. None: no gaps.
    """
    import shapely

    parts, owners = [np.empty(0, object)], [np.empty(0, np.int64)]
    for top, labels in labelled_strips(reader, components, gaps=fewest is not None):
        shapes, owner = _strip_polygons(labels, top)
        bounds = shapely.bounds(shapes).reshape(-1, 4)
        inside = (bounds[:, 1] > top) & (bounds[:, 3] < top + len(labels))
        kept = (owner > 0) | ~inside | (shapely.area(shapes) >= (fewest or 0))
        parts.append(shapes[kept])
        owners.append(owner[kept])
    return np.concatenate(parts), np.concatenate(owners)


def _outlines(
    reader: MapReader, pieces: NDArray[Any], owner: NDArray[np.int64], count: int
) -> NDArray[Any]:
    """One geometry per component in map coordinates, corners in canonical order."""
    import shapely

    whole = _joined(pieces, owner, count)
    # Whole-number pixel corners: a corner is either exactly on a straight line or off it.
    canonical = shapely.normalize(shapely.simplify(shapely.normalize(whole), 0))
    return np.asarray(shapely.transform(canonical, _placed(reader.grid)), object)


def _across_strips(
    pieces: NDArray[Any], codes: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Gaps of several strips, those of one code that touch along a seam as one."""
    import shapely

    kinds = np.unique(codes)
    parts = [shapely.get_parts(shapely.union_all(pieces[codes == code])) for code in kinds]
    whole = np.concatenate([np.empty(0, object), *parts])
    return whole, np.repeat(kinds, [len(part) for part in parts])


def _gaps(
    reader: MapReader, pieces: NDArray[Any], codes: NDArray[np.int64], fewest: int, pixel: float
) -> GeoDataFrame:
    """Ground that was not seen, by why."""
    import geopandas
    import shapely

    order = np.argsort(codes, kind="stable")
    order = order[shapely.area(pieces[order]) >= fewest]
    outlines = shapely.normalize(pieces[order])
    whys = [_WHY[Observation(code)] for code in codes[order]]
    frame = geopandas.GeoDataFrame(
        {"why": np.array(whys, object), "area_m2": shapely.area(outlines) * pixel},
        geometry=shapely.transform(outlines, _placed(reader.grid)),
        crs=None if reader.grid.crs is None else reader.grid.crs.to_wkt(),
    )
    about = f"ground not seen, gaps of {SMALLEST_GAP:g} m² or more"
    frame.attrs.update(file_attributes(reader.provenance, about))
    return frame


def _strip_polygons(labels: NDArray[np.int32], top: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Polygons of one strip in pixel coordinates (column, row), and the component of each."""
    import shapely
    from rasterio.features import shapes

    found = list(shapes(labels, mask=labels != 0, connectivity=4))
    if not found:
        return np.empty(0, object), np.empty(0, np.int64)
    rings = [ring for geometry, _ in found for ring in geometry["coordinates"]]
    lengths = np.array([len(ring) for ring in rings])
    flat = itertools.chain.from_iterable(itertools.chain.from_iterable(rings))
    corners = np.fromiter(flat, np.float64, count=2 * int(lengths.sum())).reshape(-1, 2)
    corners[:, 1] += top
    counts = np.array([len(geometry["coordinates"]) for geometry, _ in found])
    closed = shapely.linearrings(corners, indices=np.repeat(np.arange(len(rings)), lengths))
    polygons = shapely.polygons(closed, indices=np.repeat(np.arange(len(found)), counts))
    return np.asarray(polygons, object), np.array([int(value) for _, value in found])


def _joined(pieces: NDArray[Any], owner: NDArray[np.int64], count: int) -> NDArray[Any]:
    """Pieces of a component that lie in several strips, or touch at corners, as one geometry."""
    import shapely

    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(1, count + 2))
    whole = np.empty(count, object)
    single = np.diff(starts) == 1
    whole[single] = pieces[order[starts[:-1][single]]]
    for number in np.flatnonzero(~single):
        mine = order[starts[number] : starts[number + 1]]
        whole[number] = shapely.union_all(pieces[mine])
    return whole


def _placed(grid: GeoBox) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Pixel corners (column, row) to map coordinates."""
    transform = grid.transform
    scale = np.array([transform.a, transform.e])
    corner = np.array([transform.c, transform.f])
    return lambda corners: corners * scale + corner


def _frame(
    reader: MapReader,
    components: Components,
    outlines: NDArray[Any],
    threshold: float,
    pixel: float,
) -> GeoDataFrame:
    import geopandas

    made, count = reader.provenance, len(components.pixels)
    crs = None if reader.grid.crs is None else reader.grid.crs.to_wkt()
    columns = {
        "id": components.peak,
        "area_m2": components.pixels * pixel,
        "mean_probability": components.mean.round(4),
        "max_probability": components.largest.round(4),
        "mean_slope_deg": components.slope.round(2),
        **lonlat(geopandas.GeoSeries(outlines, crs=crs)),
        "at_edge": 2 * components.near >= components.pixels,
        **described(made, count),
        "threshold": np.full(count, float(threshold)),
        "simulated": np.full(count, made.simulated),
    }
    frame = geopandas.GeoDataFrame(columns, geometry=outlines, crs=crs)
    frame.attrs.update(file_attributes(made, "landslide polygons"))
    return frame
