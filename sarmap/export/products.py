"""What is written beside a result store: COG, polygons, points, picture and STAC item at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError
from sarmap.export.item import COLLECTION, write_item
from sarmap.export.styles import IMAGE_STYLE
from sarmap.export.vector_files import VECTORS, write_frame
from sarmap.store.delivery import deliver, fetched, stands
from sarmap.store.location import is_url

if TYPE_CHECKING:
    import xarray as xr

PRODUCTS = {
    "cog": ".tif",
    **VECTORS,
    "points": "_points.gpkg",
    "quicklook": ".png",
    "item": ".json",
}
"""Product name -> what it adds to the stem of the result store."""


def product_files(names: Iterable[str], out: str) -> dict[str, str]:
    """Where each product of a map goes: beside the store, with its stem. RequestError where a name
    is unknown, or a file cannot be written in its folder.

    >>> product_files(["quicklook", "cog"], "iburi.zarr")
    {'cog': 'iburi.tif', 'quicklook': 'iburi.png'}
    >>> product_files(["item"], "s3://maps/2018/iburi.zarr")
    {'item': 's3://maps/2018/iburi.json'}
    """
    wanted = set(names)
    unknown = sorted(wanted - set(PRODUCTS))
    if unknown:
        raise RequestError(
            f"products= does not know {', '.join(unknown)}: choose from {', '.join(PRODUCTS)}."
        )
    stem = out.rstrip("/").removesuffix(PurePosixPath(out).suffix) if is_url(out) else ""
    stem = stem or str(Path(out).with_suffix(""))
    folder = "" if is_url(out) else str(Path(stem).expanduser().absolute().parent)
    odd = sorted({one for one in folder if one in "!;" or ord(one) < 32})
    if odd and {"geopackage", "points"} & wanted:
        raise RequestError(
            f"A GeoPackage cannot be written in a folder with {odd[0]!r} in its path: choose "
            "another `out`, or other products."
        )
    return {name: f"{stem}{ending}" for name, ending in PRODUCTS.items() if name in wanted}


def write_products(
    source: xr.Dataset | str | Path,
    files: Mapping[str, str],
    *,
    threshold: float = 0.5,
    min_area: float = 0.0,
    cog_dtype: str = "uint8",
    overwrite: bool = False,
    overview: xr.DataArray | None = None,
    standing: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Write products of a finished map, or of its store's path, which the STAC item then names;
    landslides are outlined once for all of them. Returns product -> file written.

    `files` are as `product_files` gives them; what goes to a URL is made on this machine first.
    `threshold`, `min_area` (square metres) and `cog_dtype` are as in `write_polygons` and
    `write_cog`; `overview` is the small composite (band, y, x) for the picture, None: one without
    radar; `standing` are products that are there already, which the STAC item names, too. Raises
    RequestError where a file exists and may not be replaced or the map has no windows for points,
    OutputError where a file cannot be written.
    """
    if not files:  # the writers' libraries take a while to import
        return {}
    how = {"threshold": threshold, "min_area": min_area, "cog_dtype": cog_dtype}
    addresses = {**(standing or {}), **files}
    if not any(map(is_url, files.values())):
        _write(source, files, how, overwrite, overview, addresses)
        return dict(files)
    with tempfile.TemporaryDirectory(prefix="sarmap-products-") as scratch:
        collection = f"{files['item'].rpartition('/')[0]}/{COLLECTION}" if "item" in files else ""
        if collection and stands(collection):
            (Path(scratch) / COLLECTION).write_bytes(fetched(collection))
        here = {name: str(Path(scratch) / PurePosixPath(url).name) for name, url in files.items()}
        _write(source, here, how, True, overview, addresses)
        for name, url in files.items():
            deliver(Path(here[name]), url)
        if collection:
            deliver(Path(scratch) / COLLECTION, collection)
        if "cog" in files and not stands(style_of(files["cog"])):
            deliver(Path(style_of(here["cog"])), style_of(files["cog"]))
    return dict(files)


def style_of(image: str) -> str:
    """Where QGIS looks for an image's style.

    >>> style_of("s3://maps/iburi.tif")
    's3://maps/iburi.qml'
    """
    return f"{image.removesuffix('.tif')}.qml"


def _write(
    source: xr.Dataset | str | Path,
    files: Mapping[str, str],
    how: Mapping[str, Any],
    overwrite: bool,
    overview: xr.DataArray | None,
    addresses: Mapping[str, str],
) -> None:
    """Write local files; `addresses` says where the STAC item will find each of them."""
    from sarmap.export.cog import write_cog
    from sarmap.export.points import write_points
    from sarmap.export.polygons import outlined
    from sarmap.export.quicklook import write_quicklook

    outlines: Any = None
    gaps: Any = None
    threshold = how["threshold"]
    if {*VECTORS, "quicklook"} & set(files):
        outlines, gaps = outlined(
            source, threshold=threshold, min_area=how["min_area"], gaps="geopackage" in files
        )
    for name in files.keys() & VECTORS.keys():
        file = Path(files[name])
        write_frame(
            outlines, file, layer="landslides", kind="Polygon", overwrite=overwrite, gaps=gaps
        )
    if "cog" in files:
        write_cog(source, files["cog"], dtype=how["cog_dtype"], overwrite=overwrite)
        style = style_of(files["cog"])
        if not stands(style):  # one that is there is the user's own by now
            Path(style).write_text(IMAGE_STYLE, encoding="utf-8")
    if "points" in files:
        write_points(source, files["points"], threshold=threshold, overwrite=overwrite)
    if "quicklook" in files:
        write_quicklook(
            source,
            files["quicklook"],
            overview=overview,
            polygons=outlines,
            threshold=threshold,
            overwrite=overwrite,
        )
    if "item" in files:  # last, as it names the others
        assets = {name: address for name, address in addresses.items() if name != "item"}
        own = {name: file for name, file in files.items() if name != "item"}
        write_item(source, files["item"], assets=assets, copies=own, overwrite=overwrite)
