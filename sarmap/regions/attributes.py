"""What a zone's map says of its making: what all its units say alike, the scenes and the detectors
of all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sarmap.choosing import instead
from sarmap.regions.ledger import State
from sarmap.regions.makers import decisions_of, mapped_only, told

__all__ = ["zone_attributes"]

_OF_ONE = ("area",)
"""What each unit's request has of its own."""
_SHARED = (
    "scaling",
    "weights",
    "weights_sha256",
    "weights_trained_on_simulated_data",
    "engine",
    "precision",
    "detector",
    "kind",
    "tiling",
)
"""Attributes of units that hold for the zone where all agree."""


def zone_attributes(
    record: Mapping[str, Any],
    zone: str,
    units: Iterable[Mapping[str, Any]],
    states: Mapping[str, State],
) -> dict[str, Any]:
    """Attributes of a zone's map.

    Args:
        record: `scan.json`.
        zone: its name.
        units: attributes of its mapped units.
        states: what became of each of the zone's units, mapped or not.
    """
    known = list(units)
    simulated = "SIMULATED " if record["simulated"] else ""
    return {
        **{name: known[0][name] for name in _SHARED if _same(known, name)},
        **({} if _same(known, "detector") else {"detector": json.dumps(_several(record, known))}),
        "Conventions": "CF-1.11",
        "title": f"{simulated}landslide probability, zone {zone}",
        "sarmap:version": record["sarmap:version"],
        "sarmap:event": json.dumps(record["identity"]["event"]),
        "sarmap:request": json.dumps(_request(record, known)),
        "sarmap:units": json.dumps(Counter(one.status for one in states.values())),
        "scenes": json.dumps(_merged(known, "scenes"), ensure_ascii=False),
        "warnings": json.dumps(_warnings(record, zone, known, states), ensure_ascii=False),
        "attribution": record["attribution"],
        "simulated": int(record["simulated"]),
    }


def _same(units: list[Mapping[str, Any]], name: str) -> bool:
    return bool(units) and all(name in one and one[name] == units[0][name] for one in units)


def _several(record: Mapping[str, Any], units: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What the detectors of units have in common, under the names of all of them."""
    known = [json.loads(one["detector"]) for one in units if "detector" in one]
    if not known:
        return {"name": record["identity"]["detector"]}
    common = {
        key: value for key, value in known[0].items() if all(one.get(key) == value for one in known)
    }
    return common | {"name": " and ".join(dict.fromkeys(one["name"] for one in known))}


def _warnings(
    record: Mapping[str, Any],
    zone: str,
    units: list[Mapping[str, Any]],
    states: Mapping[str, State],
) -> list[str]:
    """All that units say; of units that another detector mapped one sentence for all of them."""
    asked = record["identity"]["detector"]
    decisions = mapped_only(decisions_of(record), states)
    own = {instead(one.detector, asked, one.why) for one in decisions.values() if one.why}
    said = [text for text in _merged(units, "warnings") if text not in own]
    return [*(f"Zone {zone}: {text}" for text in told(decisions, asked)), *said]


def _request(record: Mapping[str, Any], units: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What was asked for alike, at the scan's own threshold and smallest area."""
    asked = [json.loads(one.get("sarmap:request", "{}")) for one in units] or [{}]
    alike = {
        name: value
        for name, value in asked[0].items()
        if name not in _OF_ONE and all(one.get(name) == value for one in asked)
    }
    return alike | {"threshold": record["threshold"], "min_area": record["min_area"]}


def _merged(units: list[Mapping[str, Any]], name: str) -> list[Any]:
    """Entries of a list that all units keep as JSON, each once, in order."""
    entries = (entry for one in units for entry in json.loads(one.get(name) or "[]"))
    return list({json.dumps(entry, sort_keys=True): entry for entry in entries}.values())
