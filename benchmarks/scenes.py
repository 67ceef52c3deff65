"""What the benchmarks map: the simulated event of the papers' size, and scenes of any other size.

Every one is simulated and says so. `served_event` is the event as it is. `served_mosaic` is a
scene of any size whose stored tiles are the event's own (`benchmarks.mosaic`), three ascending
passes of one slice (two where one would be too long) and elevation, on the event's own corner.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.files import FileServer, serve_files
from benchmarks.mosaic import TILE, StoredTile, largest_tiles, virtual_file

__all__ = ["Scene", "event_of", "served_event", "served_mosaic"]

PASSES = ("2018-09-01", "2018-09-13", "2018-09-25")
"""The ascending passes of the papers: before, first and second after."""
LONGEST = 16_384
"""Rows of one slice of a mosaic: 164 km, about those of a real one."""
EVENT = "2018-09-05T18:08:00Z"


@dataclass(frozen=True)
class Scene:
    """A catalogue that is being served, and the part of it to map."""

    catalog: str
    """Root of the STAC API."""
    files: FileServer
    """Where the rasters come from."""
    transform: tuple[float, ...]
    """Affine transform of the extent's pixel corners."""
    shape: tuple[int, int]
    """Rows and columns of the extent."""
    crs: str
    """Projected system."""

    def arguments(
        self, shape: tuple[int, int] | None = None, offset: tuple[int, int] = (0, 0)
    ) -> dict[str, Any]:
        """The scene as arguments of a task; `offset` moves the extent's corner by pixels."""
        a, b, c, d, e, f = self.transform
        corner = (a, b, c + offset[1] * a, d, e, f + offset[0] * e)
        return {
            "catalog": self.catalog,
            "control": self.files.url,
            "transform": corner,
            "shape": shape or self.shape,
            "crs": self.crs,
            "event": EVENT,
        }


def event_of(rows: int, columns: int, given: Path | None) -> Any:
    """The simulated event: the folder given, or the demo's own, made now where it is missing."""
    from sarmap.cache import cache_folder
    from sarmap.simulate.event import open_event, simulate_event
    from sarmap.simulate.fingerprint import simulator_hash

    if given is not None:
        return open_event(given)
    size = f"2018-{rows}x{columns}-{simulator_hash()}"
    whole = cache_folder("events") / f"iburi-{size}"  # the demo's
    if whole.exists():
        return open_event(whole)
    folder = cache_folder("events") / f"benchmarks-{size}"
    if folder.exists():
        return open_event(folder)
    return simulate_event(
        folder, seed=2018, rows=rows, columns=columns, earlier=0, optical=False, decoy=False
    )


@contextmanager
def served_event(event: Any, *, local: bool = False) -> Iterator[Scene]:
    """The event behind a STAC API and a counting file server; `local`: files are read in place."""
    from sarmap.simulate.serve import serve_catalog

    items = json.loads(event.items.read_text(encoding="utf-8"))["features"]
    collections = json.loads(event.collections.read_text(encoding="utf-8"))
    with serve_files(event.path) as files:
        root = event.path.resolve().as_uri() + "/" if local else files.url
        for item in items:
            for asset in item["assets"].values():
                asset["href"] = root + quote(asset["href"])
        with serve_catalog(items, collections, event.path) as api:
            yield Scene(api.url, files, tuple(event.transform), tuple(event.shape), event.crs)


@contextmanager
def served_mosaic(event: Any, shape: tuple[int, int], scratch: Path) -> Iterator[Scene]:
    """A scene that holds `shape` pixels from the event's corner, made of the event's tiles."""
    from sarmap.simulate.serve import serve_catalog

    items = json.loads(event.items.read_text(encoding="utf-8"))["features"]
    collections = json.loads(event.collections.read_text(encoding="utf-8"))
    scratch.mkdir(parents=True, exist_ok=True)
    made, virtual = _radar(event, items, shape, scratch)
    grounds, hidden = _elevation(event, items, shape, scratch)
    with serve_files(scratch, {**virtual, **hidden}) as files:
        for item in (*made, *grounds):
            for asset in item["assets"].values():
                asset["href"] = files.url + quote(asset["href"])
        with serve_catalog([*made, *grounds], collections, scratch) as api:
            yield Scene(api.url, files, tuple(event.transform), shape, event.crs)


def _radar(
    event: Any, items: list[dict[str, Any]], shape: tuple[int, int], scratch: Path
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Items and virtual files of the three passes."""
    made: list[dict[str, Any]] = []
    virtual: dict[str, Any] = {}
    for day in PASSES:
        slices = [item for item in items if _of_pass(item, day)]
        paths = [event.path / item["assets"]["vv"]["href"] for item in slices]
        tiles = largest_tiles(paths)
        height, width = (length + TILE for length in shape)  # room for extents off the tile grid
        for number, top in enumerate(range(0, height, LONGEST)):
            rows = min(LONGEST, height - top)
            name = f"vv-{day}-{number}.tif"
            transform = _shifted(event.transform, top)
            turned = _turned(tiles, top // TILE)
            virtual[name] = virtual_file(
                paths[0], turned, (rows, width), transform, scratch / f"{name}.head"
            )
            made.append(_radar_item(slices[0], name, (rows, width), transform, event.crs, number))
    return made, virtual


def _of_pass(item: Mapping[str, Any], day: str) -> bool:
    properties = item["properties"]
    return bool(
        item["collection"] == "sentinel-1-rtc"
        and properties["sat:orbit_state"] == "ascending"
        and properties["sat:relative_orbit"] == 68
        and properties["datetime"].startswith(day)
    )


def _turned(tiles: list[StoredTile], by: int) -> list[StoredTile]:
    """The tiles in the same circle, begun elsewhere."""
    start = by % len(tiles)
    return tiles[start:] + tiles[:start]


def _shifted(transform: tuple[float, ...], rows: int) -> Any:
    from affine import Affine

    return Affine(*transform) * Affine.translation(0, rows)


def _radar_item(
    like: Mapping[str, Any],
    name: str,
    shape: tuple[int, int],
    transform: Any,
    crs: str,
    number: int,
) -> dict[str, Any]:
    """A STAC item of one slice, after the simulated item it is made from."""
    from odc.geo.geobox import GeoBox

    box = GeoBox(shape, transform, crs)
    footprint = box.extent.to_crs("EPSG:4326", resolution=20_000)
    item = copy.deepcopy(dict(like))
    item["id"] = f"{item['id']}_mosaic_{number}"
    item["geometry"] = footprint.json
    item["bbox"] = list(footprint.boundingbox.bbox)
    item["properties"].update(
        {
            "title": f"{item['properties']['title']}, tiles repeated",
            "proj:shape": list(shape),
            "proj:transform": [*transform[:6], 0.0, 0.0, 1.0],
            "proj:bbox": list(box.boundingbox.bbox),
            "s1:slice_number": str(number + 1),
        }
    )
    item["assets"] = {"vv": {**item["assets"]["vv"], "href": name}}
    return item


def _elevation(
    event: Any, items: list[dict[str, Any]], shape: tuple[int, int], scratch: Path
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Items and virtual files of the elevation under a mosaic, one per square degree."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    like = next(item for item in items if item["collection"] == "cop-dem-glo-30")
    paths = [
        event.path / item["assets"]["data"]["href"]
        for item in items
        if item["collection"] == "cop-dem-glo-30"
    ]
    tiles = largest_tiles(paths)
    west, south, east, north = (
        GeoBox(shape, Affine(*event.transform), event.crs)
        .extent.to_crs("EPSG:4326", resolution=20_000)
        .boundingbox.bbox
    )
    step = 1 / 3600
    made, virtual = [], {}
    for latitude in range(int(south - 0.2), int(north + 0.2) + 1):
        for longitude in range(int(west - 0.2), int(east + 0.2) + 1):
            name = f"dem-{latitude}-{longitude}.tif"
            corner = Affine(step, 0, longitude - step / 2, 0, -step, latitude + 1 + step / 2)
            virtual[name] = virtual_file(
                paths[0], tiles, (3600, 3600), corner, scratch / f"{name}.head"
            )
            made.append(_elevation_item(like, name, latitude, longitude, corner))
    return made, virtual


def _elevation_item(
    like: Mapping[str, Any], name: str, latitude: int, longitude: int, corner: Any
) -> dict[str, Any]:
    item = copy.deepcopy(dict(like))
    item["id"] = f"SIMULATED_DEM_N{latitude:02d}_E{longitude:03d}_mosaic"
    west, north, size = corner.c, corner.f, 3600 * corner.a
    item["bbox"] = [west, north - size, west + size, north]
    ring = [(west, north - size), (west + size, north - size), (west + size, north), (west, north)]
    item["geometry"] = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    item["properties"].update(
        {"proj:shape": [3600, 3600], "proj:transform": [*corner[:6], 0.0, 0.0, 1.0]}
    )
    item["assets"] = {"data": {**item["assets"]["data"], "href": name}}
    return item
