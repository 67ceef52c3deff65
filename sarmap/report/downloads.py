"""Files that the page offers: polygons in three formats and the probability as a COG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sarmap.export.cog import write_cog
from sarmap.export.vector_files import write_frame
from sarmap.report.strips import Source

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


@dataclass(frozen=True)
class Download:
    """One file of the page."""

    name: str
    """File name."""
    title: str
    """What it is."""
    note: str
    """Who wants it."""
    media: str
    """Media type."""
    size: int
    """Bytes."""


def write_downloads(
    source: Source, frame: GeoDataFrame, folder: Path, threshold: float, min_area: float
) -> list[Download]:
    """Write all files of a map: its landslides in three formats, its probability as an image.

    Threshold and smallest area are those of `frame`, to be named beside the files; errors as the
    writers of `sarmap.export`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = source.name
    least = f", of {min_area:,g} m² or more" if min_area else ""
    since = f"from probability {threshold:g} on{least}"
    made: Mapping[str, tuple[str, str, str, Callable[[Path], object]]] = {
        f"{stem}.gpkg": (
            "GeoPackage",
            f"landslide polygons {since}, for QGIS and ArcGIS",
            "application/geopackage+sqlite3",
            lambda file: _frame(frame, file),
        ),
        f"{stem}.parquet": (
            "GeoParquet",
            f"the same polygons ({since}), for data frames and databases",
            "application/vnd.apache.parquet",
            lambda file: _frame(frame, file),
        ),
        f"{stem}.geojson": (
            "GeoJSON",
            f"the same polygons ({since}) in degrees, for web maps",
            "application/geo+json",
            lambda file: _frame(frame, file),
        ),
        f"{stem}.tif": (
            "COG",
            "the probability of every pixel as bytes: 0.004 times the value, 255 where nothing was "
            "seen (the scale stands in the file)",
            "image/tiff; application=geotiff; profile=cloud-optimized",
            lambda file: write_cog(source.reader, file, overwrite=True),
        ),
    }
    files = []
    for name, (title, note, media, write) in made.items():
        write(folder / name)
        files.append(Download(name, title, note, media, (folder / name).stat().st_size))
    return files


def _frame(frame: GeoDataFrame, file: Path) -> str:
    return write_frame(frame, file, layer="landslides", kind="Polygon", overwrite=True)
