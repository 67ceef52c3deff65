"""Landslide inventories: polygons someone mapped, read from any vector file and burnt into a grid.

Files come as they are published: zipped, in folders, with Japanese names and code page 932
attributes, in any reference system, with self-crossing outlines. Reading repairs and counts; what
it cannot know (a missing reference system) it asks for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.export.styles import NOT_SEEN
from sarmap.vectors import VectorFile, open_vectors

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def read_inventory(
    path: str | Path, *, layer: str | None = None, crs: Any = None, otherwise: Any = None
) -> GeoDataFrame:
    """Polygons of a landslide inventory, valid, in the file's own reference system.

    Parameters
    ----------
    path
        GeoPackage, shapefile, GeoJSON, FlatGeobuf, KML, KMZ, GML, GeoParquet or file geodatabase,
        or a zip file or folder with one or several of these. Its ending says what it is.
    layer
        Layer, or file inside the zip, to read. By default the only one; of several the one with
        the most polygons, which a warning names; of KML all folders.
    crs
        Reference system of the coordinates, whatever the file says; a warning tells where the two
        differ.
    otherwise
        Reference system of a file that does not say.

    Returns
    -------
    GeoDataFrame of Polygon and MultiPolygon geometries. ``attrs`` counts what was done:
    ``repaired`` (outlines made valid), ``dropped`` (empty or not polygons), and ``layer``.
    Collections are opened for their polygons; attributes that cannot be read are left out.

    Raises
    ------
    RequestError
        Nothing there, not a vector file, no polygons, no reference system, or coordinates
        that are not degrees where they should be.

    Examples
    --------
    >>> import geopandas, shapely, tempfile
    >>> bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = f"{folder}/one.gpkg"
    ...     geopandas.GeoDataFrame(geometry=[bow_tie], crs=32654).to_file(file)
    ...     inventory = read_inventory(file)
    >>> inventory.attrs["repaired"], float(inventory.area.sum())
    (1, 2.0)
    """
    source = Path(path).expanduser()
    if not source.exists():
        raise RequestError(f"Inventory {source.name!r} does not exist; check `inventory`.")
    frame, name = _read(source, layer)
    frame = _with_crs(frame, crs, otherwise, source.name)
    frame = _repaired(frame, source.name)
    _check_degrees(frame, source.name)
    frame.attrs["layer"] = name
    return frame


def rasterise_inventory(inventory: GeoDataFrame, geobox: Any) -> NDArray[np.uint8]:
    """Landslide mask (y, x) of a grid: 1 where a pixel's centre lies inside a polygon, else 0.

    The nearest-neighbour rule of Nava et al. 2022 (section 2.3): no partial cover, only 0 and 1.

    >>> import geopandas, shapely
    >>> from odc.geo.geobox import GeoBox
    >>> square = geopandas.GeoDataFrame(geometry=[shapely.box(10, 10, 20, 30)], crs=32654)
    >>> rasterise_inventory(square, GeoBox.from_bbox((0, 0, 30, 30), "epsg:32654", resolution=10))
    array([[0, 1, 0],
           [0, 1, 0],
           [0, 0, 0]], dtype=uint8)
    """
    shapes, _ = _near(inventory, geobox)
    return _burn([(shape, 1) for shape in shapes], geobox, "uint8")


def number_polygons(inventory: GeoDataFrame, geobox: Any) -> NDArray[np.int32]:
    """Number (y, x) of the polygon that each pixel's centre lies in: its row plus 1, or 0. Where
    polygons overlap, the later row's.
    """
    shapes, rows = _near(inventory, geobox)
    return _burn(list(zip(shapes, rows + 1, strict=True)), geobox, "int32")


def _near(inventory: GeoDataFrame, geobox: Any) -> tuple[Any, NDArray[np.intp]]:
    """The polygons that touch a grid, in its reference system, and their rows in order."""
    import shapely

    placed = inventory.to_crs(geobox.crs.to_wkt())
    box = geobox.extent.boundingbox
    area = shapely.box(box.left, box.bottom, box.right, box.top)
    rows = np.sort(placed.sindex.query(area, predicate="intersects"))
    return placed.geometry.array[rows], rows


def _burn(shapes: list[tuple[Any, Any]], geobox: Any, dtype: str) -> NDArray[Any]:
    from rasterio.features import rasterize

    shape = tuple(int(n) for n in geobox.shape)
    if not shapes:
        return np.zeros(shape, dtype)
    burnt: NDArray[Any] = rasterize(
        shapes, out_shape=shape, transform=geobox.transform, fill=0, dtype=dtype
    )
    return burnt


def _read(source: Path, layer: str | None) -> tuple[GeoDataFrame, str]:
    """The layer that is named, or the one with the most polygons; of KML all that have any."""
    with open_vectors(source, "Inventory") as files:
        held = [
            (one if len(file.layers) > 1 else file.name, file, number)
            for file in files
            for number, one in enumerate(file.layers)
        ]
        chosen = [one for one in held if layer is None or layer in _names(*one)]
        if not chosen:
            names = ", ".join(dict.fromkeys(name for name, _, _ in held))
            raise RequestError(
                f"Inventory {source.name!r} has no layer {layer!r}; `layer` is one of: {names}."
            )
        frames = [(name, file, file.read(number)) for name, file, number in chosen]
    spatial = [
        one
        for one in frames
        if hasattr(one[2], "geometry") and (layer is not None or one[0] != NOT_SEEN)
    ]
    if not spatial:
        raise RequestError(f"Inventory {source.name!r} holds only tables without geometries.")
    if all(file.path.suffix.lower() == ".kml" for _, file, _ in spatial) or layer is not None:
        return _together([frame for _, _, frame in spatial]), layer or source.name
    return _fullest([(name, frame) for name, _, frame in spatial], source.name)


def _names(name: str, file: VectorFile, number: int) -> set[str]:
    """What a layer may be called: by its own name or its file's."""
    path = PurePosixPath(file.name)
    own = {name, file.layers[number]}
    return own | ({file.name, path.name, path.stem} if len(file.layers) == 1 else set())


def _together(frames: Sequence[GeoDataFrame]) -> GeoDataFrame:
    """Layers of one file as one: a KML has a layer for each of its folders."""
    import geopandas
    import pandas as pd

    held = [frame for frame in frames if len(frame)] or list(frames[:1])
    if len(held) == 1:
        return held[0]
    return geopandas.GeoDataFrame(pd.concat(held, ignore_index=True), crs=held[0].crs)


def _fullest(layers: Sequence[tuple[str, GeoDataFrame]], source: str) -> tuple[GeoDataFrame, str]:
    """The layer with the most polygons, saying which that is."""
    counts = [
        int(frame.geom_type.isin(["Polygon", "MultiPolygon", "GeometryCollection"]).sum())
        for _, frame in layers
    ]
    best = counts.index(max(counts))
    if len(layers) > 1:
        others = ", ".join(name for n, (name, _) in enumerate(layers) if n != best)
        warnings.warn(
            f"Inventory {source!r} holds several layers; read {layers[best][0]!r}, which has the "
            f"most polygons ({counts[best]}), and left out {others}: choose with `layer`.",
            stacklevel=4,
        )
    return layers[best][1], layers[best][0]


def _with_crs(frame: GeoDataFrame, crs: Any, otherwise: Any, name: str) -> GeoDataFrame:
    """In the reference system that was given, else the file's own, else `otherwise`."""
    if crs is None and frame.crs is None:
        crs = otherwise
    if crs is None and frame.crs is None:
        raise RequestError(
            f"Inventory {name!r} does not say its reference system; give it as `crs`."
        )
    if crs is None:
        return frame
    try:
        placed = frame.set_crs(crs, allow_override=True)
    except Exception as error:  # pyproj's and ValueErrors of what is no reference system
        raise RequestError(
            f"crs={crs!r} is no reference system: give an EPSG code, such as 32654."
        ) from error
    if frame.crs is not None and frame.crs != placed.crs:
        warnings.warn(
            f"Inventory {name!r} says {frame.crs.to_string()[:40]}; it is read as "
            f"{placed.crs.to_string()[:40]}, as `crs` asks.",
            stacklevel=3,
        )
    return placed


def _repaired(frame: GeoDataFrame, name: str) -> GeoDataFrame:
    """Valid polygons only; the counts of what was repaired and dropped go to ``attrs``."""
    import shapely

    shapes = np.asarray(shapely.force_2d(frame.geometry.array))
    collections = shapely.get_type_id(shapes) == 7
    shapes[collections] = [shapely.multipolygons(_polygons(one)) for one in shapes[collections]]
    broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    shapes[broken] = [
        shapely.union_all(_polygons(shape)) for shape in shapely.make_valid(shapes[broken])
    ]
    polygonal = np.isin(shapely.get_type_id(shapes), (3, 6)) & ~shapely.is_empty(shapes)
    if not polygonal.any():
        raise RequestError(f"Inventory {name!r} holds no polygons.")
    kept = frame.set_geometry(shapes, crs=frame.crs)[polygonal].reset_index(drop=True)
    kept.attrs.update(repaired=int((broken & polygonal).sum()), dropped=int((~polygonal).sum()))
    return kept


def _polygons(shape: Any) -> NDArray[Any]:
    """The polygons of a collection or a repaired outline, without its lines and points."""
    import shapely

    parts = shapely.get_parts(shape)
    while (shapely.get_type_id(parts) > 3).any():  # collections may hold collections
        parts = shapely.get_parts(parts)
    found: NDArray[Any] = parts[shapely.get_type_id(parts) == 3]
    return found


def _check_degrees(frame: GeoDataFrame, name: str) -> None:
    if not frame.crs.is_geographic:
        return
    west, south, east, north = frame.total_bounds
    if south < -90 or north > 90 or west < -360 or east > 360:
        raise RequestError(
            f"Inventory {name!r} claims degrees but spans {west:g} to {east:g} E and {south:g} to "
            f"{north:g} N: latitude and longitude are swapped, or its reference system is another."
        )
