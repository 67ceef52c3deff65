"""What is written beside a result store: COG, polygons, points, picture and STAC item at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sarmap.errors import RequestError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PRODUCTS", "product_files", "write_products"]

PRODUCTS = {
    "cog": ".tif",
    "geopackage": ".gpkg",
    "geoparquet": ".parquet",
    "points": "_points.gpkg",
    "quicklook": ".png",
    "item": ".json",
}
"""Product name -> what it adds to the stem of the result store."""


def product_files(names: Iterable[str], out: str) -> dict[str, str]:
    """Where each product of a map goes: beside the store, with its stem.

    >>> product_files(["quicklook", "cog"], "iburi.zarr")
    {'cog': 'iburi.tif', 'quicklook': 'iburi.png'}

    Raises:
        RequestError: a name is unknown, or the store is not local.
    """
    wanted = set(names)
    unknown = sorted(wanted - set(PRODUCTS))
    if unknown:
        raise RequestError(
            f"products= does not know {', '.join(unknown)}: choose from {', '.join(PRODUCTS)}."
        )
    if "://" in out:
        raise RequestError(
            "Products are written beside a local result: give a local out=, or write them "
            "afterwards with sarmap.write_cog, write_polygons and write_item."
        )
    stem = Path(out).with_suffix("")
    return {name: f"{stem}{ending}" for name, ending in PRODUCTS.items() if name in wanted}


def write_products(
    source: xr.Dataset | str | Path,
    files: Mapping[str, str],
    *,
    threshold: float = 0.5,
    min_area: float = 0.0,
    overwrite: bool = False,
    overview: xr.DataArray | None = None,
    standing: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Write products of a finished map; landslides are outlined once for all of them.

    Args:
        source: a finished map, or the path of its store (which the STAC item then names).
        files: product name -> file, as `product_files` gives them.
        threshold: probability (0-1) that makes a landslide.
        min_area: smallest polygon kept, square metres.
        overwrite: replace existing files.
        overview: small composite (band, y, x) for the picture; None: a picture without radar.
        standing: products that are there already, which the STAC item names, too.

    Returns:
        Product name -> file written.

    Raises:
        RequestError: a file exists and may not be replaced, or the map has no windows for points.
        OutputError: a file cannot be written.
    """
    if not files:  # the writers' libraries take a while to import
        return {}
    from sarmap.export.cog import write_cog
    from sarmap.export.item import write_item
    from sarmap.export.points import write_points
    from sarmap.export.polygons import polygonise, write_frame
    from sarmap.export.quicklook import write_quicklook

    done = {name: file for name, file in files.items() if name != "item"}
    if {"geopackage", "geoparquet", "quicklook"} & set(done):
        outlines = polygonise(source, threshold=threshold, min_area=min_area)
    for name in done.keys() & {"geopackage", "geoparquet"}:
        write_frame(
            outlines, Path(done[name]), layer="landslides", kind="Polygon", overwrite=overwrite
        )
    if "cog" in done:
        write_cog(source, done["cog"], overwrite=overwrite)
    if "points" in done:
        write_points(source, done["points"], threshold=threshold, overwrite=overwrite)
    if "quicklook" in done:
        write_quicklook(
            source,
            done["quicklook"],
            overview=overview,
            polygons=outlines,
            threshold=threshold,
            overwrite=overwrite,
        )
    if "item" in files:  # last, as it names the others
        assets = {**(standing or {}), **done}
        done["item"] = write_item(source, files["item"], assets=assets, overwrite=overwrite)
    return done
