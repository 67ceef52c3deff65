"""One STAC collection over a scan, brought up to date as units finish.

STAC 1.1. Addresses are relative, so that the folder may be moved or served from anywhere.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sarmap.choosing import instead
from sarmap.export.item import make_item
from sarmap.regions.folder import Folder
from sarmap.regions.ledger import State
from sarmap.regions.makers import decisions_of, made_by, mapped_only, told

if TYPE_CHECKING:
    import pystac
    import xarray as xr

__all__ = ["Collection"]

_ASSETS = {
    "landslides.gpkg": ("application/geopackage+sqlite3", "data", "Landslides (GeoPackage)"),
    "landslides.parquet": ("application/vnd.apache.parquet", "data", "Landslides (GeoParquet)"),
    "overview.png": ("image/png", "overview", "Overview"),
}
"""File -> media type, role and title."""


class Collection:
    """The collection and items of one scan."""

    def __init__(self, folder: Folder, record: Mapping[str, Any]) -> None:
        self.folder = folder
        self.record = record

    def add(self, unit: str, dataset: xr.Dataset) -> None:
        """Write the item of a finished unit.

        Raises:
            OutputError: the folder does not take it.
        """
        import pystac

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
        """Write the collection as the units stand now.

        Raises:
            OutputError: the folder does not take it.
        """
        mapped = [name for name, state in states.items() if state.status in ("done", "unread")]
        made = self._collection(states)
        record = made.to_dict(include_self_link=False, transform_hrefs=False)
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
        import pystac

        record = self.record
        simulated = bool(record["simulated"])
        counted = Counter(state.status for state in states.values())
        mapped = mapped_only(decisions_of(record), states)
        told_of = told(mapped, record["identity"]["detector"])
        about = "SIMULATED, not a real event. " if simulated else ""
        return pystac.Collection(
            id=self.folder.shown,
            title=f"{'SIMULATED landslide' if simulated else 'Landslide'} scan",
            description=f"{about}Landslide probability from Sentinel-1 radar, unit by unit. "
            f"{' '.join([*told_of, record['attribution']])}".strip(),
            extent=pystac.Extent(
                pystac.SpatialExtent([list(record["bbox"])]),
                pystac.TemporalExtent([self._times()]),
            ),
            license="other",
            keywords=["landslides", "sentinel-1", *(["SIMULATED"] if simulated else [])],
            providers=[pystac.Provider("sarmap", roles=[pystac.ProviderRole.PROCESSOR])],
            extra_fields={
                "sarmap:version": record["sarmap:version"],
                "sarmap:simulated": simulated,
                "sarmap:units": {status: counted[status] for status in sorted(counted)},
                "sarmap:detectors": {name: len(own) for name, own in made_by(mapped).items()},
                "sarmap:request": json.dumps(record["identity"]),
            },
        )

    def _times(self) -> list[dt.datetime | None]:
        """First and last scene; the event where there is none."""
        times = [
            one["datetime"] for take in self.record["takes"].values() for one in take["passes"]
        ]
        known = sorted(map(dt.datetime.fromisoformat, times or self.record["identity"]["event"]))
        return [known[0], known[-1]]
