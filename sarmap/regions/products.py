"""What a scan ends with: merged polygons and a picture, named by the collection."""

from __future__ import annotations

from sarmap.regions.collection import Collection
from sarmap.regions.folder import Folder
from sarmap.regions.merging import landslides
from sarmap.regions.mosaic import read_mosaic
from sarmap.regions.picture import draw_overview
from sarmap.regions.request import ScanRequest

__all__ = ["write_products"]

FILES = {
    "geopackage": "landslides.gpkg",
    "geoparquet": "landslides.parquet",
    "quicklook": "overview.png",
}
"""Product -> its file in the folder."""


def write_products(folder: Folder, request: ScanRequest) -> dict[str, str]:
    """Write the products asked for over all units mapped so far; earlier ones are replaced.

    Returns:
        Product -> path or URL.

    Raises:
        OutputError: the folder does not take them.
    """
    from sarmap.export.polygons import write_frame

    scan = read_mosaic(folder)
    wanted = [name for name in FILES if name in request.products]
    if {"geopackage", "geoparquet"} & set(wanted):
        frame = landslides(scan, threshold=request.threshold, min_area=request.min_area)
        kind = "Polygon" if len(scan.record["zones"]) == 1 else "MultiPolygon"
        for name in ("geopackage", "geoparquet"):
            if name in wanted:
                with folder.file(FILES[name]) as file:
                    write_frame(frame, file, layer="landslides", kind=kind, overwrite=True)
    if "quicklook" in wanted:
        with folder.file(FILES["quicklook"]) as file:
            draw_overview(scan, file)
    files = {name: folder.path(FILES[name]) for name in wanted}
    Collection(folder, scan.record).finish(files, scan.states)
    return files
