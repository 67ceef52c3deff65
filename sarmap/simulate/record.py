"""What a finished simulated event says of itself: `event.json`, written last."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sarmap.errors import RequestError

__all__ = ["SimulatedEvent", "open_event", "write_event"]

RECORD = "event.json"
FORMAT = 1
"""Version of the folder's layout."""


@dataclass(frozen=True)
class SimulatedEvent:
    """A simulated landslide event in a folder: a STAC catalogue of COGs, and the truth."""

    path: Path
    """The folder."""
    seed: int
    """Seed that it grew from."""
    event: str
    """Instant of the landslides, ISO 8601 UTC."""
    area: tuple[float, float, float, float]
    """West, south, east, north of the grid in degrees."""
    crs: str
    """Projected system of the grid."""
    transform: tuple[float, float, float, float, float, float]
    """Affine transform of the grid's pixel corners (a, b, c, d, e, f)."""
    shape: tuple[int, int]
    """Rows and columns of the grid."""
    landslides: int
    """Number of landslides in the inventory."""
    orbits: tuple[str, ...]
    """Orbit directions with a full set of passes."""

    @property
    def inventory(self) -> Path:
        """The landslides as an interpreter would draw them, a GeoPackage."""
        return self.path / "landslides.gpkg"

    @property
    def items(self) -> Path:
        """STAC items, one FeatureCollection; asset hrefs are relative to the folder."""
        return self.path / "items.json"

    @property
    def collections(self) -> Path:
        """STAC collections, one list."""
        return self.path / "collections.json"

    @property
    def grid(self) -> Any:
        """The odc-geo GeoBox of the scene."""
        from affine import Affine
        from odc.geo.geobox import GeoBox

        return GeoBox(self.shape, Affine(*self.transform), self.crs)


def write_event(event: SimulatedEvent, folder: Path) -> None:
    """Write the record that makes a folder a finished event."""
    record = {
        "simulated": True,
        "format": FORMAT,
        "seed": event.seed,
        "event": event.event,
        "area": event.area,
        "crs": event.crs,
        "transform": event.transform,
        "shape": event.shape,
        "landslides": event.landslides,
        "orbits": event.orbits,
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")


def open_event(path: str | Path) -> SimulatedEvent:
    """The simulated event in a folder.

    Raises RequestError where the folder holds none, an unfinished one, or a damaged one.
    """
    folder = Path(path).expanduser()
    if not (folder / RECORD).is_file():
        raise RequestError(
            f"{folder.name!r} holds no finished simulated event; make one with "
            "`sarmap simulate --out FOLDER`."
        )
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ValueError("format")
        event = SimulatedEvent(
            path=folder,
            seed=int(record["seed"]),
            event=str(record["event"]),
            area=tuple(record["area"]),
            crs=str(record["crs"]),
            transform=tuple(record["transform"]),
            shape=tuple(record["shape"]),
            landslides=int(record["landslides"]),
            orbits=tuple(record["orbits"]),
        )
        names = _assets(json.loads(event.items.read_text(encoding="utf-8"))["features"])
        json.loads(event.collections.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"The simulated event in {folder.name!r} is damaged or of another version; "
            "make it again with overwrite=True (`--overwrite`)."
        ) from error
    gone = [name for name in (*names, "landslides.gpkg") if not (folder / name).is_file()]
    if gone:
        raise RequestError(
            f"The simulated event in {folder.name!r} lacks {gone[0]!r} and {len(gone) - 1} more "
            "files; make it again with overwrite=True (`--overwrite`)."
        )
    return event


def _assets(items: list[dict[str, Any]]) -> list[str]:
    return [asset["href"] for item in items for asset in item["assets"].values()]
