"""Vector files of the user's: districts, roads, buildings, read once and brought onto the map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.request_file import as_path
from sarmap.vectors import read_vector

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from odc.geo.geobox import GeoBox


class NothingHereError(RequestError):
    """A file's features all lie elsewhere."""


_NAMES = ("name", "name_en", "name:en", "nam", "title", "label", "ward", "district", "admin", "id")
_KINDS = ("highway", "building", "fclass", "class", "type", "kind", "category")


def read_vectors(file: str | Path, grid: GeoBox, flag: str) -> GeoDataFrame:
    """Features of any vector file that may lie on the map, in the map's reference system; `flag` is
    the argument that named the file, for errors.

    Raises RequestError where the file is absent or unreadable, has no reference system, or nothing
    in it is on the map (`NothingHereError`).
    """
    path = as_path(file)
    if not path.exists():
        raise RequestError(f"{flag} {path.name!r} does not exist: check the path.")
    box = grid.extent.to_crs("EPSG:4326", resolution=abs(float(grid.transform.a)) * 1000)
    frame = read_vector(path, flag, box=box.boundingbox.bbox)
    if frame.crs is None:
        raise RequestError(
            f"{flag} {path.name!r} names no coordinate reference system: save it with one."
        )
    assert grid.crs is not None
    frame = frame[~(frame.geometry.is_empty | frame.geometry.isna())].to_crs(grid.crs.to_wkt())
    if (~np.isfinite(frame.total_bounds)).any():
        frame = frame[np.isfinite(frame.bounds).all(axis=1)]
    here = grid.extent.boundingbox
    frame = frame.cx[here.left : here.right, here.bottom : here.top]
    if frame.empty:
        raise NothingHereError(
            f"{flag} {path.name!r} has no feature on the map: is it of this place?"
        )
    return frame.reset_index(drop=True)


def label_of(frame: GeoDataFrame, column: str | None, flag: str) -> list[str]:
    """A name for each feature: from `column` (RequestError where the file has none such), else from
    what looks like one, else its number.
    """
    held = {str(name).lower(): str(name) for name in frame.columns if name != frame.geometry.name}
    if column is not None and column not in held.values():
        raise RequestError(
            f"{flag} {column!r} is no column of the file: choose from {', '.join(held.values())}."
        )
    named = [column] if column else [held[name] for name in _NAMES if name in held]
    kinds = [held[name] for name in _KINDS if name in held]
    names, types = _first_texts(frame, named), _first_texts(frame, kinds)
    return [
        name or f"{kind or 'no.'} {number}"
        for number, (name, kind) in enumerate(zip(names, types, strict=True), start=1)
    ]


def _first_texts(frame: GeoDataFrame, columns: Sequence[str]) -> list[str]:
    """For each row the first of some columns that says anything; empty where none does."""
    texts = [""] * len(frame)
    for column in columns:
        values = frame[column].fillna("").astype(str).str.strip()
        texts = [old or new for old, new in zip(texts, values, strict=True)]
    return texts


def to_pixels(grid: GeoBox, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map coordinates (n, 2) as columns and rows from the map's first corner."""
    transform = grid.transform
    scale = np.array([transform.a, transform.e])
    moved: NDArray[np.float64] = (xy - np.array([transform.c, transform.f])) / scale
    return moved


def open_background(file: str | Path, grid: GeoBox) -> list[list[list[int]]]:
    """Lines, and borders of areas, of a file for the page, cut at the map's border; RequestError as
    in `read_vectors`, or where it holds points alone.
    """
    import shapely

    box = grid.extent.boundingbox
    shapes = read_vectors(file, grid, "--background").geometry
    here = shapely.intersection(
        shapely.make_valid(shapes.to_numpy()), shapely.box(box.left, box.bottom, box.right, box.top)
    )
    held = [one for one in shapely.get_parts(here) if shapely.get_dimensions(one) > 0]
    if not held:
        raise RequestError(
            f"--background {as_path(file).name!r} has no lines or areas on the map: give a coast, "
            "roads or rivers."
        )
    return [drawn(one, grid, 1.0) for one in held]


def drawn(geometry: Any, grid: GeoBox, coarse: float = 0.5) -> list[list[int]]:
    """Lines of a geometry for the page: tenths of a pixel, x and y in turn, as differences.

    Corners nearer than `coarse` pixels to a straight line are left out.
    """
    import shapely

    simple = shapely.simplify(geometry, coarse * abs(float(grid.transform.a)))
    lines = []
    for part in shapely.get_parts(simple):
        if part.geom_type == "Polygon":
            lines += [part.exterior, *part.interiors]
        else:
            lines.append(part)
    out = []
    for line in lines:
        tenths = np.rint(to_pixels(grid, shapely.get_coordinates(line)) * 10).astype(np.int64)
        steps = np.diff(tenths, axis=0, prepend=np.zeros((1, 2), np.int64))
        out.append([int(value) for value in steps.ravel()])
    return out
