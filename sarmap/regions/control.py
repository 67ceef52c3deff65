"""The controls of all units of a scan as one: what is called landslide there before the event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sarmap.assess.control import ControlFigures, beyond_control
from sarmap.export.store import open_map
from sarmap.regions.folder import Folder
from sarmap.regions.unit_map import map_name

__all__ = ["control_of"]


def control_of(folder: Folder, units: Iterable[str], threshold: float) -> Mapping[str, Any] | None:
    """What the controls of mapped units say together; None where no unit has one.

    Areas add up; the interval of the area beyond the control redraws whole units, and is undefined
    for fewer than ten. A patch that crosses a border of units counts in both.

    Raises:
        RequestError: a unit's map is not there.
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
