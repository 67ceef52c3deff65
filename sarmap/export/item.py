"""A STAC item that describes a finished map, so that it is found like any other data.

STAC 1.1 with the projection, satellite, raster, render, file and processing extensions. Scenes are
named by their ids, and by their items' own addresses, which carry no signature; never by those of
their files. The extensions `sar` and `mlm` describe scenes and networks, and a map is neither.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError
from sarmap.store.delivery import check_file, replacing
from sarmap.store.encoding import FILL, PROBABILITY_STEP
from sarmap.store.georeference import geobox_of
from sarmap.store.location import is_url
from sarmap.store.provenance import Provenance, read_provenance
from sarmap.store.result import count_observations, open_map

if TYPE_CHECKING:
    import pystac
    import xarray as xr
    from odc.geo.geobox import GeoBox

_EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
)
_SAT = "https://stac-extensions.github.io/sat/v1.0.0/schema.json"
_RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
_RENDER = "https://stac-extensions.github.io/render/v2.0.0/schema.json"
_FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"

_MEDIA = {
    ".zarr": ("application/vnd.zarr; version=3", ["data"], "Landslide map (Zarr)"),
    ".tif": (
        "image/tiff; application=geotiff; profile=cloud-optimized",
        ["data"],
        "Landslide probability (COG)",
    ),
    ".gpkg": ("application/geopackage+sqlite3", ["data"], "Landslides (GeoPackage)"),
    ".parquet": ("application/vnd.apache.parquet", ["data"], "Landslides (GeoParquet)"),
    ".geojson": ("application/geo+json", ["data"], "Landslides (GeoJSON)"),
    ".fgb": ("application/vnd.flatgeobuf", ["data"], "Landslides (FlatGeobuf)"),
    ".kmz": ("application/vnd.google-earth.kmz", ["data"], "Landslides (KMZ)"),
    ".png": ("image/png", ["overview"], "Quicklook"),
}
"""Suffix -> media type, roles and title of an asset."""


def write_item(
    source: xr.Dataset | str | Path,
    out: str | Path,
    *,
    assets: Mapping[str, str] | None = None,
    copies: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> str:
    """Write a STAC item of a map, with its files as assets, and name it in the folder's collection.

    Parameters
    ----------
    source
        A stored map (path or URL), or a map Dataset.
    out
        File ending in ``.json``.
    assets
        Asset key -> file; addresses in the item are relative to the item. A stored map given as
        `source` is always an asset, ``zarr``.
    copies
        Asset key -> local file with the same bytes, for size and checksum; None: the assets that
        are on this machine.
    overwrite
        Replace an existing file.

    Returns
    -------
    The file written.

    Raises
    ------
    RequestError
        The file exists, has another ending, or `source` is no map.
    OutputError
        The file cannot be written.
    """
    file = Path(out).expanduser()
    if file.suffix.lower() != ".json":
        raise RequestError(f"{file.name} must end in .json.")
    files = dict(assets or {})
    if isinstance(source, str | Path):
        files = {"zarr": str(source), **files}
        dataset = open_map(source)
    else:
        dataset = source
    item = make_item(file.stem, dataset)
    made = json.loads(dataset.attrs.get("sarmap:products", "{}"))
    stored = "float32" if made.get("cog", {}).get("cog_dtype") == "float32" else "uint8"
    local = {**files, **(copies or {})}
    for key, path in files.items():
        item.add_asset(key, _asset(path, file, Path(local[key]).expanduser(), stored))
    if "raster:scale" in json.dumps([asset.extra_fields for asset in item.assets.values()]):
        item.stac_extensions.append(_RASTER)
    if "cog" in files:
        item.properties["renders"] = {"probability": _render(stored)}
        item.stac_extensions.append(_RENDER)
    if any("file:size" in asset.extra_fields for asset in item.assets.values()):
        item.stac_extensions.append(_FILE)
    record = item.to_dict(include_self_link=False)
    check_file(file, overwrite=overwrite)
    join_catalogue(record, file)
    text = json.dumps(record, indent=2, ensure_ascii=False)
    with replacing(file, overwrite=overwrite) as fresh:
        fresh.write_text(text + "\n", encoding="utf-8")
    return str(file)


def make_item(name: str, dataset: xr.Dataset) -> pystac.Item:
    """The STAC item of a map, without assets; RequestError where its attributes give no date."""
    import pystac

    made, grid = read_provenance(dataset.attrs), geobox_of(dataset)
    footprint = grid.extent.to_crs("EPSG:4326", resolution=abs(float(grid.transform.a)) * 1000)
    start, moment, end = _times(made)
    item = pystac.Item(
        id=name,
        geometry=_rounded(footprint.json),
        bbox=[round(float(edge), 6) for edge in footprint.boundingbox.bbox],
        datetime=moment,
        start_datetime=start,
        end_datetime=end,
        properties=_properties(dataset, made, grid),
        stac_extensions=[*_EXTENSIONS, *([_SAT] if made.orbits else [])],
    )
    addresses = {str(one["id"]): str(one["item"]) for one in made.scenes if one.get("item")}
    for scene, address in addresses.items():
        if is_url(address):
            link = pystac.Link("derived_from", address, "application/geo+json", title=scene)
            item.add_link(link)
    return item


def _times(made: Provenance) -> tuple[dt.datetime, dt.datetime, dt.datetime]:
    """First scene, first scene after the event (what the map shows), last scene."""
    pre, post = made.times("pre"), made.times("post")
    event = list(made.event or ())
    known = sorted([*pre, *post, *event])
    if not known:
        raise RequestError(
            "The map's attributes name neither scenes nor an event, so its item would have no "
            "date: give attrs= with 'scenes' when writing the store."
        )
    return known[0], (post or tuple(event) or pre)[0], known[-1]


def _properties(dataset: xr.Dataset, made: Provenance, grid: GeoBox) -> dict[str, Any]:
    word = "SIMULATED landslide" if made.simulated else "Landslide"
    at = f" at {made.name}" if made.name else ""
    about = "SIMULATED, not a real event. " if made.simulated else ""
    properties: dict[str, Any] = {
        "title": f"{word} probability{at}, {made.detector or 'unnamed detector'}",
        "description": f"{about}Landslide probability from Sentinel-1 radar, where it was seen. "
        f"{made.attribution}".strip(),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "gsd": abs(float(grid.transform.a)),
        "constellation": "sentinel-1",
        "instruments": ["c-sar"],
        "providers": _providers(made),
        "proj:code": _code(grid),
        "proj:shape": [int(n) for n in grid.shape],
        "proj:transform": [float(n) for n in grid.transform[:6]],
        "processing:software": {"sarmap": made.version},
        "processing:lineage": f"{made.detector} on {made.composite or 'radar'}".strip(),
        "sarmap:simulated": made.simulated,
        "sarmap:detector": made.detector,
        "sarmap:attribution": made.attribution,
        "sarmap:scenes": list(made.scene_ids),
        "sarmap:observation": count_observations(dataset),
    }
    if properties["proj:code"] is None and grid.crs is not None:
        properties["proj:wkt2"] = grid.crs.to_wkt()
    if made.limits:
        properties["sarmap:limits"] = list(made.limits)
    if made.doubts:
        properties["sarmap:doubts"] = list(made.doubts)
        properties["description"] += f" {' '.join(made.doubts)}"
    if made.control:
        properties["sarmap:control"] = dict(made.control)
    if made.event:
        properties["sarmap:event"] = [moment.isoformat() for moment in made.event]
    return {**properties, **_orbit(made)}


def _providers(made: Provenance) -> list[dict[str, Any]]:
    """Who made the map, and whose notice its data carries."""
    providers: list[dict[str, Any]] = [{"name": "sarmap", "roles": ["processor"]}]
    if made.attribution and not made.simulated:
        owner = {"name": "Owners of the source data", "description": made.attribution}
        providers.append({**owner, "roles": ["producer", "licensor"]})
    return providers


def _orbit(made: Provenance) -> dict[str, Any]:
    """The satellite extension describes one orbit; a map fused from two names both as ours."""
    properties: dict[str, Any] = {"sarmap:orbits": list(made.orbits)}
    if len(made.orbits) == 1:
        properties["sat:orbit_state"] = made.orbits[0]
    if len(made.relative_orbits) == 1:
        properties["sat:relative_orbit"] = made.relative_orbits[0]
    return properties


def _code(grid: GeoBox) -> str | None:
    epsg = None if grid.crs is None else grid.crs.to_epsg()
    return None if epsg is None else f"EPSG:{epsg}"


def _asset(path: str, item: Path, local: Path, stored: str) -> pystac.Asset:
    import pystac

    suffix = ".tif" if path.lower().endswith(".tiff") else Path(path).suffix.lower()
    media, roles, title = _MEDIA.get(suffix, (None, ["data"], None))
    extra: dict[str, Any] = {}
    if suffix == ".tif":
        packed = {"nodata": FILL, "raster:scale": PROBABILITY_STEP, "raster:offset": 0.0}
        band = {"name": "probability", "data_type": stored}
        extra["bands"] = [band | (packed if stored == "uint8" else {"nodata": "nan"})]
    if local.is_file():
        with local.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        # a multihash: sha2-256 (12), 32 bytes (20)
        extra |= {"file:size": local.stat().st_size, "file:checksum": f"1220{digest}"}
    return pystac.Asset(_relative(path, item), title, None, media, roles, extra)


def _render(stored: str) -> dict[str, Any]:
    """How a tile server shall draw the COG."""
    greatest = 1.0 if stored == "float32" else 1 / PROBABILITY_STEP
    return {
        "title": "Landslide probability, 0 to 1",
        "assets": ["cog"],
        "rescale": [[0.0, round(greatest, 6)]],
        "colormap_name": "ylorrd",
        "resampling": "nearest",
    }


def _relative(path: str, item: Path) -> str:
    if is_url(path):
        return path.split("?", 1)[0]
    folder = item.resolve().parent
    href = Path(os.path.relpath(Path(path).expanduser().resolve(), folder)).as_posix()
    return href if href.startswith("../") else f"./{href}"


def _rounded(geometry: Any) -> Any:
    """Coordinates to 6 decimals, about 0.1 m."""
    if isinstance(geometry, Mapping):
        return {
            key: _rounded(value) if key == "coordinates" else value
            for key, value in geometry.items()
        }
    if isinstance(geometry, list | tuple):
        return [_rounded(part) for part in geometry]
    return round(float(geometry), 6)


# --- beside other items ---------------------------------------------------------------------------


COLLECTION = "collection.json"
"""Its file, in the folder of the items."""
_ID = "sarmap-maps"


def join_catalogue(item: dict[str, Any], file: Path) -> None:
    """Give an item's record its links and place in the collection of its file's folder, which is
    begun where there is none. OutputError where the collection cannot be written.

    A ``collection.json`` of somebody else is left alone, and the item belongs to none.
    """
    place = file.parent / COLLECTION
    known = {} if file.name == COLLECTION else _read(place)
    if known.get("id") != _ID:
        return
    item["collection"] = _ID
    item["links"] += [
        {"rel": relation, "href": f"./{COLLECTION}", "type": "application/json"}
        for relation in ("root", "parent", "collection")
    ]
    with replacing(place, overwrite=True) as fresh:
        text = json.dumps(_with(known, item, f"./{file.name}"), indent=2, ensure_ascii=False)
        fresh.write_text(text + "\n", encoding="utf-8")


def _read(place: Path) -> dict[str, Any]:
    """The collection that stands there, a new one, or nothing where it is no collection."""
    if not place.exists():
        link = {"rel": "root", "href": f"./{COLLECTION}", "type": "application/json"}
        return {"type": "Collection", "stac_version": "1.1.0", "id": _ID, "links": [link]}
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _with(known: Mapping[str, Any], item: Mapping[str, Any], href: str) -> dict[str, Any]:
    """A collection that names one item more, or again."""
    told = item["properties"]
    times = [told["start_datetime"], told["end_datetime"]]
    boxes, intervals = [item["bbox"]], [times]
    if "extent" in known:
        boxes += known["extent"]["spatial"]["bbox"]
        intervals += known["extent"]["temporal"]["interval"]
    west, south, east, north = zip(*boxes, strict=True)
    starts, ends = zip(*intervals, strict=True)
    simulated = bool(told["sarmap:simulated"] or known.get("sarmap:simulated"))
    others = [one for one in known["links"] if one.get("href") != href]
    link = {"rel": "item", "href": href, "type": "application/geo+json", "title": item["id"]}
    return {
        **known,
        "title": f"Landslide maps{', SIMULATED ones among them' if simulated else ''}",
        "description": "Landslide probability from Sentinel-1 radar, an item for each map.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[min(west), min(south), max(east), max(north)]]},
            "temporal": {"interval": [[min(starts), max(ends)]]},
        },
        "sarmap:simulated": simulated,
        "links": [*others, link],
    }
