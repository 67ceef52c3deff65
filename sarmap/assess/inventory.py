"""Landslide inventories: polygons someone mapped, read from any vector file and burnt into a grid.

Files come as they are published: zipped, in folders, with Japanese names and code page 932
attributes, in any reference system, with self-crossing outlines. Reading repairs and counts; what
it cannot know (a missing reference system) it asks for.
"""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

__all__ = ["number_polygons", "rasterise_inventory", "read_inventory"]

_VECTOR = {".shp", ".gpkg", ".geojson", ".fgb", ".kml", ".gml", ".parquet"}
"""Suffixes looked for inside a zip file."""
_ARCHIVE_NAMES = "cp932"
"""Zip files without the UTF-8 flag keep names in the code page of whoever packed them."""


def read_inventory(path: str | Path, *, layer: str | None = None, crs: Any = None) -> GeoDataFrame:
    """Polygons of a landslide inventory, valid, in the file's own reference system.

    Parameters
    ----------
    path
        GeoPackage, shapefile, GeoJSON, FlatGeobuf, KML, GeoParquet, or a zip file with one or
        several of these, in folders or not.
    layer
        Layer, or file inside the zip, to read. By default the only one; of several the one with
        the most polygons, which a warning names.
    crs
        Reference system of a file that does not say; ignored where the file does.

    Returns
    -------
    GeoDataFrame of Polygon and MultiPolygon geometries. ``attrs`` counts what was done:
    ``repaired`` (outlines made valid), ``dropped`` (empty or not polygons), and ``layer``.

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
    if source.suffix.lower() == ".zip" and source.is_file():
        frame, name = _read_zip(source, layer)
    else:
        frame, name = _read_layers(source, source.name, layer)
    frame = _with_crs(frame, crs, source.name)
    frame = _repaired(frame, source.name)
    _check_degrees(frame, source.name)
    frame.attrs["layer"] = name
    return frame


def rasterise_inventory(inventory: GeoDataFrame, geobox: Any) -> NDArray[np.uint8]:
    """Landslide mask of a grid: 1 where a pixel's centre lies inside a polygon, else 0.

    The nearest-neighbour rule of Nava et al. 2022 (section 2.3): no partial cover, only 0 and 1.

    Parameters
    ----------
    inventory
        Polygons in any reference system.
    geobox
        odc-geo GeoBox of the grid (rows, columns, transform, CRS).

    Returns
    -------
    uint8 array (y, x).

    Examples
    --------
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
    """Number of the polygon that each pixel's centre lies in: its row plus 1, or 0.

    Where polygons overlap, the later row's. Arguments as in `rasterise_inventory`.

    Returns
    -------
    int32 array (y, x).
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


def _read_zip(source: Path, layer: str | None) -> tuple[GeoDataFrame, str]:
    """Unpack under plain names, so that neither folders nor code pages reach GDAL."""
    try:
        archive = zipfile.ZipFile(source, metadata_encoding=_ARCHIVE_NAMES)
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise RequestError(f"Inventory {source.name!r} is not a readable zip file.") from error
    with archive, tempfile.TemporaryDirectory(prefix="sarmap-") as folder:
        try:
            members = _unpack(archive, Path(folder))
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as error:
            raise RequestError(
                f"Inventory {source.name!r} is damaged or encrypted; unpack it and name the file."
            ) from error
        if not members:
            raise RequestError(
                f"Inventory {source.name!r} holds no vector file ({', '.join(sorted(_VECTOR))})."
            )
        frames = {
            name: _read_layers(file, name, None)[0]
            for name, file in members.items()
            if layer is None or layer in (name, PurePosixPath(name).name, PurePosixPath(name).stem)
        }
    return _fullest(frames, source.name, list(members), layer)


def _unpack(archive: zipfile.ZipFile, folder: Path) -> dict[str, Path]:
    """Write each dataset's files as ``<number>.<suffix>``; returns member name -> vector file."""
    stems: dict[str, int] = {}
    members: dict[str, Path] = {}
    for info in archive.infolist():
        name = PurePosixPath(info.filename)
        if info.is_dir() or "__MACOSX" in name.parts or name.name.startswith("."):
            continue
        suffix = name.suffix.lower()
        number = stems.setdefault(str(name.with_suffix("")), len(stems))
        target = folder / f"{number}{suffix}"
        target.write_bytes(archive.read(info))
        if suffix in _VECTOR:
            members[info.filename] = target
    return members


def _read_layers(file: Path, name: str, layer: str | None) -> tuple[GeoDataFrame, str]:
    """Read one file; of several layers the fullest, or the one that is named."""
    if file.suffix.lower() == ".parquet":
        return _read_parquet(file, name), name
    import pyogrio

    try:
        layers = [str(row[0]) for row in pyogrio.list_layers(file)]
        frames = {
            one: pyogrio.read_dataframe(
                file, layer=one, encoding=_encoding(file), on_invalid="ignore"
            )
            for one in layers
            if layer is None or layer == one
        }
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise RequestError(f"Inventory {name!r} is not a vector file that GDAL reads.") from error
    if len(layers) == 1 and frames:
        return _with_geometry(frames[layers[0]], name), name
    return _fullest(frames, name, layers, layer)


def _read_parquet(file: Path, name: str) -> GeoDataFrame:
    import geopandas

    try:
        return geopandas.read_parquet(file)
    except (ValueError, OSError) as error:
        raise RequestError(f"Inventory {name!r} is not a GeoParquet file.") from error


def _with_geometry(frame: Any, name: str) -> GeoDataFrame:
    if not hasattr(frame, "geometry"):
        raise RequestError(f"Inventory {name!r} is a table without geometries.")
    return frame


def _fullest(
    frames: dict[str, Any], source: str, names: list[str], layer: str | None
) -> tuple[GeoDataFrame, str]:
    """The named layer, or the one with the most polygons, saying which that is."""
    if not frames:
        raise RequestError(
            f"Inventory {source!r} has no layer {layer!r}; `layer` is one of: {', '.join(names)}."
        )
    spatial = {name: frame for name, frame in frames.items() if hasattr(frame, "geometry")}
    if not spatial:
        raise RequestError(f"Inventory {source!r} holds only tables without geometries.")
    counts = {
        name: int(frame.geom_type.isin(["Polygon", "MultiPolygon"]).sum())
        for name, frame in spatial.items()
    }
    best = max(counts, key=lambda name: counts[name])
    if len(spatial) > 1:
        others = ", ".join(name for name in spatial if name != best)
        warnings.warn(
            f"Inventory {source!r} holds several layers; read {best!r}, which has the most "
            f"polygons ({counts[best]}), and left out {others}: choose with `layer`.",
            stacklevel=4,
        )
    return spatial[best], best


def _encoding(file: Path) -> str | None:
    """Code page of a shapefile's attributes; None leaves it to GDAL.

    A ``.dbf`` that declares no code page is taken for Latin-1 by GDAL, which turns Japanese into
    noise without an error. UTF-8 and code page 932 both refuse most text that is not theirs.
    """
    table = next(
        (t for t in (file.with_suffix(".dbf"), file.with_suffix(".DBF")) if t.exists()), None
    )
    declared = file.with_suffix(".cpg").exists() or file.with_suffix(".CPG").exists()
    if file.suffix.lower() != ".shp" or table is None or declared:
        return None
    content = table.read_bytes()
    if len(content) > 29 and content[29] not in (0, 0x57):
        return None
    for code_page in ("utf-8", "cp932"):
        try:
            content[32:].decode(code_page)
        except UnicodeDecodeError:
            continue
        return code_page
    return None


def _with_crs(frame: GeoDataFrame, crs: Any, name: str) -> GeoDataFrame:
    if frame.crs is not None:
        return frame
    if crs is None:
        raise RequestError(
            f"Inventory {name!r} does not say its reference system; give it as `crs`."
        )
    return frame.set_crs(crs)


def _repaired(frame: GeoDataFrame, name: str) -> GeoDataFrame:
    """Valid polygons only; the counts of what was repaired and dropped go to ``attrs``."""
    import shapely

    shapes = np.asarray(shapely.force_2d(frame.geometry.array))
    broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    shapes[broken] = [_polygons_of(shape) for shape in shapely.make_valid(shapes[broken])]
    polygonal = np.isin(shapely.get_type_id(shapes), (3, 6)) & ~shapely.is_empty(shapes)
    if not polygonal.any():
        raise RequestError(f"Inventory {name!r} holds no polygons.")
    kept = frame.set_geometry(shapes, crs=frame.crs)[polygonal].reset_index(drop=True)
    kept.attrs.update(repaired=int((broken & polygonal).sum()), dropped=int((~polygonal).sum()))
    return kept


def _polygons_of(shape: Any) -> Any:
    """The polygons of a repaired outline, without the lines and points a repair may leave."""
    import shapely

    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all(parts[shapely.get_type_id(parts) == 3])


def _check_degrees(frame: GeoDataFrame, name: str) -> None:
    if not frame.crs.is_geographic:
        return
    west, south, east, north = frame.total_bounds
    if south < -90 or north > 90 or west < -360 or east > 360:
        raise RequestError(
            f"Inventory {name!r} claims degrees but spans {west:g} to {east:g} E and {south:g} to "
            f"{north:g} N: latitude and longitude are swapped, or its reference system is another."
        )
