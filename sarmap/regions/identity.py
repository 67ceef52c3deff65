"""What decides a scan's pixels, so that it is continued as itself or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import shapely

from sarmap.acquire.instants import parse_event
from sarmap.errors import RequestError
from sarmap.regions.survey import Survey
from sarmap.version import __version__

__all__ = ["check_same", "identity"]


def identity(known: Survey) -> dict[str, Any]:
    """What decides a scan's pixels, as a record that may be published; a resumed scan has the same.

    Places are coordinates and hashes, never paths; the catalogue is its name.
    """
    request, maker = known.request, known.makers.first
    kept = request.model_dump(
        mode="json",
        include={
            *("orbit", "pre", "post", "before_days", "after_days", "overlap", "resolution"),
            *("engine", "precision", "control"),
        },
    )
    start, end = parse_event(request.event)
    outline_hash = hashlib.sha256(shapely.to_wkb(shapely.normalize(known.region.geometry)))
    composite = request.composite
    return {
        "version": __version__,
        "event": [start.isoformat(), end.isoformat()],
        "bbox": [round(value, 6) for value in known.region.bbox],
        "area_sha256": outline_hash.hexdigest(),
        "crs": [zone.epsg for zone in known.zones],
        "unit": next(iter(known.works.values())).unit.lattice.edge if known.works else request.unit,
        "chunk": known.chunk,
        "catalog": known.catalog.name,
        "detector": maker.key,
        "weights_sha256": maker.sha256,
        "composite": composite if composite is None or isinstance(composite, str) else [*composite],
        **kept,
    }


def check_same(record: Mapping[str, Any], wanted: Mapping[str, Any], shown: str) -> None:
    """Refuse to continue a scan with another request than its own.

    Raises:
        RequestError: they differ; names what.
    """
    kept = record.get("identity", {})
    differing = [key for key in wanted if kept.get(key) != wanted[key]]
    if differing:
        words = "; ".join(
            f"{key} was {kept.get(key)!r} and is now {wanted[key]!r}" for key in differing[:3]
        )
        raise RequestError(
            f"{shown} holds another scan ({words}): give the request it was begun with, or "
            "another `out`."
        )
