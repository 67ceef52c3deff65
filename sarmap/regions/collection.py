"""What a scan writes beside its units: one STAC collection, merged polygons, a picture.

The collection (STAC 1.1) is brought up to date as units finish; its addresses are
relative, so that the folder may be moved or served from anywhere.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac

from sarmap.assess.control import ControlFigures, beyond_control
from sarmap.choosing import instead
from sarmap.errors import RequestError
from sarmap.export.item import make_item
from sarmap.export.keeping import BEGUN, fingerprint
from sarmap.export.vector_files import write_frame
from sarmap.regions.merging import outlined
from sarmap.regions.mosaic import read_mosaic
from sarmap.regions.picture import draw_overview
from sarmap.regions.request import ScanRequest
from sarmap.regions.scan_folder import Folder, State
from sarmap.regions.scan_record import (
    decisions_of,
    of_mapped_units,
    replacement_notes,
    units_by_detector,
)
from sarmap.regions.unit_map import map_name
from sarmap.store.delivery import stands
from sarmap.store.result import open_map

if TYPE_CHECKING:
    import pystac
    import xarray as xr

_ASSETS = {
    "landslides.gpkg": ("application/geopackage+sqlite3", "data", "Landslides (GeoPackage)"),
    "landslides.parquet": ("application/vnd.apache.parquet", "data", "Landslides (GeoParquet)"),
    "overview.png": ("image/png", "overview", "Overview"),
}
"""File -> media type, role and title."""


FILES = {
    "geopackage": "landslides.gpkg",
    "geoparquet": "landslides.parquet",
    "quicklook": "overview.png",
}
"""Product -> its file in the folder."""
_MADE = "products.json"
"""Product -> fingerprint of what was written, or that it is just being written."""


class Collection:
    """The collection and items of one scan."""

    def __init__(self, folder: Folder, record: Mapping[str, Any]) -> None:
        self.folder = folder
        self.record = record

    def add(self, unit: str, dataset: xr.Dataset) -> None:
        """Write the item of a finished unit; OutputError where the folder does not take it."""
        item = make_item(unit, dataset)
        asset = pystac.Asset(
            "./map.zarr", "Landslide map (Zarr)", None, "application/vnd.zarr; version=3", ["data"]
        )
        item.add_asset("zarr", asset)
        item.collection_id = self.folder.shown
        item.properties["sarmap:unit"] = unit
        decision = decisions_of(self.record)[unit]
        if decision.why:
            asked = self.record["identity"]["detector"]
            item.properties["sarmap:detector_reason"] = instead(
                decision.detector, asked, decision.why
            )
        for relation in ("collection", "parent"):
            item.add_link(pystac.Link(relation, "../../collection.json", "application/json"))
        self.folder.write(f"units/{unit}/{unit}.json", item.to_dict(include_self_link=False))

    def write(self, states: Mapping[str, State]) -> None:
        """Write the collection as the units stand now; OutputError where the folder does not take
        it.
        """
        mapped = [name for name, state in states.items() if state.mapped]
        record = self._collection(states).to_dict(include_self_link=False, transform_hrefs=False)
        record["links"] += [
            {
                "rel": "item",
                "href": f"./units/{name}/{name}.json",
                "type": "application/geo+json",
                "title": name,
            }
            for name in mapped
        ]
        self.folder.write("collection.json", record)

    def finish(self, files: Mapping[str, str], states: Mapping[str, State]) -> None:
        """Name the scan's products as the collection's assets."""
        self.write(states)
        record = self.folder.read("collection.json")
        names = [path.rsplit("/", 1)[-1] for path in files.values()]
        record["assets"] = {
            name: {"href": f"./{name}", "type": kind, "roles": [role], "title": title}
            for name, (kind, role, title) in _ASSETS.items()
            if name in names
        }
        self.folder.write("collection.json", record)

    def _collection(self, states: Mapping[str, State]) -> pystac.Collection:
        record = self.record
        simulated = bool(record["simulated"])
        counted = Counter(state.status for state in states.values())
        mapped = of_mapped_units(decisions_of(record), states)
        notes = replacement_notes(mapped, record["identity"]["detector"])
        about = "SIMULATED, not a real event. " if simulated else ""
        return pystac.Collection(
            id=self.folder.shown,
            title=f"{'SIMULATED landslide' if simulated else 'Landslide'} scan",
            description=f"{about}Landslide probability from Sentinel-1 radar, unit by unit. "
            f"{' '.join([*notes, record['attribution']])}".strip(),
            extent=pystac.Extent(
                pystac.SpatialExtent([list(record["bbox"])]), pystac.TemporalExtent([self._times()])
            ),
            license="other",
            keywords=["landslides", "sentinel-1", *(["SIMULATED"] if simulated else [])],
            providers=[pystac.Provider("sarmap", roles=[pystac.ProviderRole.PROCESSOR])],
            extra_fields={
                "sarmap:version": record["sarmap:version"],
                "sarmap:simulated": simulated,
                "sarmap:units": {status: counted[status] for status in sorted(counted)},
                "sarmap:detectors": {
                    name: len(own) for name, own in units_by_detector(mapped).items()
                },
                "sarmap:request": json.dumps(record["identity"]),
            },
        )

    def _times(self) -> list[dt.datetime | None]:
        """First and last scene; the event where there is none."""
        times = [
            one["datetime"] for take in self.record["takes"].values() for one in take["passes"]
        ]
        ordered = sorted(map(dt.datetime.fromisoformat, times or self.record["identity"]["event"]))
        return [ordered[0], ordered[-1]]


def refuse_edited(folder: Folder, request: ScanRequest) -> None:
    """Refuse, before any work, to replace a product that is not as it was written: a RequestError
    names it.
    """
    made = folder.read(_MADE) or {}
    for name in made.keys() & set(request.products):
        file = folder.path(FILES[name])
        if made[name] != BEGUN and stands(file) and made[name] != fingerprint(file):
            raise RequestError(
                f"{FILES[name]} was edited after sarmap wrote it, so it is not replaced: rename "
                f"it, or leave {name!r} out of products=."
            )


def write_products(folder: Folder, request: ScanRequest) -> dict[str, str]:
    """Write the products asked for over all units mapped so far; earlier ones are replaced. Product
    -> path or URL; OutputError where the folder does not take them.
    """
    scan = read_mosaic(folder)
    asked = [name for name in FILES if name in request.products]
    made = folder.read(_MADE) or {}
    folder.write(_MADE, {**made, **dict.fromkeys(asked, BEGUN)})
    if {"geopackage", "geoparquet"} & set(asked):
        frame, gaps = outlined(
            scan, threshold=request.threshold, min_area=request.min_area, gaps="geopackage" in asked
        )
        kind = "Polygon" if len(scan.record["zones"]) == 1 else "MultiPolygon"
        for name in ("geopackage", "geoparquet"):
            if name in asked:
                with folder.file(FILES[name]) as file:
                    write_frame(
                        frame, file, layer="landslides", kind=kind, overwrite=True, gaps=gaps
                    )
    if "quicklook" in asked:
        with folder.file(FILES["quicklook"]) as file:
            draw_overview(scan, file)
    files = {name: folder.path(FILES[name]) for name in asked}
    folder.write(_MADE, {**made, **{name: fingerprint(file) for name, file in files.items()}})
    Collection(folder, scan.record).finish(files, scan.states)
    return files


def control_of_units(
    folder: Folder, units: Iterable[str], threshold: float
) -> Mapping[str, Any] | None:
    """What the controls of mapped units say together; None where no unit has one. RequestError
    where a unit's map is not there.

    Areas add up; the interval of the area beyond the control redraws whole units, and is undefined
    for fewer than ten. A patch that crosses a border of units counts in both.
    """
    records = []
    for name in units:
        attrs = open_map(folder.path(map_name(name))).attrs
        if "sarmap:control" in attrs:
            records.append(json.loads(attrs["sarmap:control"]))
    if not records:
        return None
    names = ("mapped_km2", "seen_km2", "control_mapped_km2", "control_seen_km2")
    areas = np.array([[record[name] for name in names] for record in records], float)
    mapped, seen, false, asked = (float(one) for one in areas.sum(axis=0))
    patches = sum(record["control_polygons"] for record in records)
    beyond, interval = beyond_control(areas)
    figures = ControlFigures(threshold, seen, mapped, asked, false, patches, beyond, interval)
    return {**figures.record(), "units": len(records)}
