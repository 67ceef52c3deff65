"""`scan.json`: what was asked, the units and what each is read from; written, and read again.

It holds ids of items, never an address.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pystac

from sarmap.acquire.scenes import Scene
from sarmap.acquire.sought import Sought
from sarmap.choosing import instead
from sarmap.errors import RequestError
from sarmap.regions.scan_folder import Folder, State, Units
from sarmap.regions.survey import Design, Work
from sarmap.regions.tracks import Decision
from sarmap.regions.unit_map import reduction_for
from sarmap.types import Pass, Passes
from sarmap.version import __version__

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


def make_record(design: Design, identity: Mapping[str, Any]) -> dict[str, Any]:
    """`scan.json`: what was asked, the units, and what each is read from."""
    survey = design.survey
    request = survey.request
    owners = survey.catalog.attribution, survey.catalog.dem_attribution
    return {
        "sarmap:version": __version__,
        "identity": identity,
        "order": request.order,
        "epicentre": request.epicentre,
        "threshold": request.threshold,
        "min_area": request.min_area,
        "bbox": [round(value, 6) for value in survey.region.bbox],
        "zones": {
            zone.name: {"epsg": zone.epsg, "bounds": list(zone.geometry.bounds)}
            for zone in survey.zones
        },
        "resolution": request.resolution,
        "reduced": reduction_for(survey),
        "attribution": " ".join(dict.fromkeys(filter(None, owners))),
        "simulated": any(passes.simulated for passes in design.takes.values()),
        "warnings": list(design.notes),
        "detectors": {
            name: survey.detectors.named(name).sha256
            for name in dict.fromkeys(
                one.detector for one in design.decisions.values() if one.takes
            )
        },
        "takes": {key: _take_record(passes) for key, passes in design.takes.items()},
        "units": {name: _unit_record(design, work) for name, work in survey.works.items()},
    }


def with_what_was_used(
    record: dict[str, Any], earlier: Mapping[str, Any] | None, units: Units
) -> dict[str, Any]:
    """The record with the decisions that mapped units were made by, whatever is found today: a
    catalogue may be silent now, or have lost a scene. Where nothing can be decided today, what was
    holds for the next run."""
    if earlier is None:
        return record
    for name, unit in record["units"].items():
        kept = earlier["units"][name]["decision"]
        mapped = units[name].mapped
        if kept["takes"] and (mapped or not unit["decision"]["takes"]):
            unit["decision"] = kept
            record["takes"] |= {key: earlier["takes"][key] for key in kept["takes"]}
    record["detectors"] = earlier.get("detectors", {}) | record["detectors"]
    record["warnings"] = list(dict.fromkeys([*earlier["warnings"], *record["warnings"]]))
    record["simulated"] = any(take["simulated"] for take in record["takes"].values())
    return record


def _unit_record(design: Design, work: Work) -> dict[str, Any]:
    unit = work.unit
    decision = design.decisions[unit.name]
    return {
        "zone": unit.lattice.zone,
        "rows": list(unit.rows),
        "columns": list(unit.columns),
        "transform": list(unit.grid.affine)[:6],
        "bounds": [round(value, 6) for value in work.piece.bounds],
        "rank": round(work.rank, 3),
        "decision": asdict(decision) | {"takes": list(decision.takes)},
    }


def _take_record(passes: Passes) -> dict[str, Any]:
    """The passes of one track over the region."""
    return {
        "orbit_state": passes.orbit_state,
        "relative_orbit": passes.relative_orbit,
        "simulated": passes.simulated,
        "passes": [
            {
                "role": one.role,
                "datetime": one.datetime.isoformat(),
                "platform": one.platform,
                "coverage": round(one.coverage, 6),
                "scenes": [item.id for item in one.items],
            }
            for one in (*passes.pre, *passes.post)
        ],
    }


def read_record(folder: Folder) -> dict[str, Any]:
    """`scan.json` of a folder; RequestError where there is none."""
    record = folder.read("scan.json")
    if record is None:
        raise RequestError(f"{folder.shown} holds no scan: check the path, or begin one there.")
    return dict(record)


def restored_takes(
    record: Mapping[str, Any],
    kept: Mapping[str, Decision],
    scenes: Mapping[str, Scene],
    sought: Sought,
    optical: tuple[pystac.Item, ...],
) -> tuple[dict[str, Passes], dict[str, Decision]]:
    """Takes and unit decisions of an earlier run, kept by one detector in `scan.json`; without
    those whose scenes are no longer among all that the catalogue has now (item id -> scene).
    """
    keys = dict.fromkeys(key for one in kept.values() for key in one.takes)
    takes = {
        key: _passes(take, scenes, sought, optical)
        for key, take in ((key, record["takes"][key]) for key in keys)
        if all(name in scenes for one in take["passes"] for name in one["scenes"])
    }
    units = {name: one for name, one in kept.items() if all(key in takes for key in one.takes)}
    return takes, units


def _passes(
    take: Mapping[str, Any],
    scenes: Mapping[str, Scene],
    sought: Sought,
    optical: tuple[pystac.Item, ...],
) -> Passes:
    passes = [
        Pass(
            role=one["role"],
            datetime=dt.datetime.fromisoformat(one["datetime"]),
            orbit_state=take["orbit_state"],
            relative_orbit=take["relative_orbit"],
            platform=one["platform"],
            items=tuple(scenes[name].item for name in one["scenes"]),
            coverage=one["coverage"],
        )
        for one in take["passes"]
    ]
    pre, post = ([one for one in passes if one.role.startswith(side)] for side in ("pre", "post"))
    return sought.passes(pre, post, optical)


def decisions_of(record: Mapping[str, Any]) -> dict[str, Decision]:
    """Unit -> its decision, of `scan.json`."""
    first = record["identity"]["detector"]
    return {
        name: Decision(**({"detector": first} | kept | {"takes": tuple(kept["takes"])}))
        for name, kept in ((name, unit["decision"]) for name, unit in record["units"].items())
    }


def units_by_detector(decisions: Mapping[str, Decision]) -> dict[str, tuple[str, ...]]:
    """Detector -> the units that are its to map, in their order; those of most units go first."""
    units: dict[str, list[str]] = {}
    for name, one in decisions.items():
        if one.takes:
            units.setdefault(one.detector, []).append(name)
    ordered = sorted(units.items(), key=lambda pair: -len(pair[1]))
    return {detector: tuple(names) for detector, names in ordered}


def replacement_notes(
    decisions: Mapping[str, Decision], first: str, verb: str = ""
) -> tuple[str, ...]:
    """A sentence for each detector that maps units instead of the one asked for.

    >>> other = Decision(("068A-2",), detector="other", why="it lacks VH.")
    >>> replacement_notes({"a": Decision(("068A-1",), detector="asked"), "b": other}, "asked")[0]
    "1 of 2 units was mapped with 'other' instead of 'asked', which finds more. Of b: it lacks VH."
    """
    sentences = []
    units = units_by_detector(decisions)
    total = sum(map(len, units.values()))
    for detector, names in units.items():
        whys = [name for name in names if decisions[name].why]
        if not whys:
            continue
        done = verb or ("was mapped" if len(names) == 1 else "were mapped")
        sentences.append(
            f"{len(names)} of {total} units {done} with {detector!r} instead of "
            f"{first!r}, which finds more. Of {whys[0]}: {decisions[whys[0]].why}"
        )
    return tuple(sentences)


def of_mapped_units(
    decisions: Mapping[str, Decision], states: Mapping[str, State]
) -> dict[str, Decision]:
    """Those of the units that a map lies in."""
    return {name: one for name, one in decisions.items() if name in states and states[name].mapped}


def shape_of(unit: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of a unit, of its record."""
    (top, bottom), (left, right) = unit["rows"], unit["columns"]
    return bottom - top, right - left


def places_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Unit -> where its middle is, in words.

    >>> places_of({"units": {"54N-0000-0001": {"bounds": [141.9, -42.75, 142.1, -42.65]}}})
    {'54N-0000-0001': '42.70 S 142.00 E'}
    """
    places = {}
    for name, unit in record["units"].items():
        west, south, east, north = unit["bounds"]
        lon, lat = (west + east) / 2, (south + north) / 2
        northern, eastern = "N" if lat >= 0 else "S", "E" if lon >= 0 else "W"
        places[name] = f"{abs(lat):.2f} {northern} {abs(lon):.2f} {eastern}"
    return places


def zone_attributes(
    record: Mapping[str, Any],
    zone: str,
    units: list[Mapping[str, Any]],
    states: Mapping[str, State],
) -> dict[str, Any]:
    """Attributes of a zone's map, from `scan.json`, the attributes of its mapped units, and what
    became of each of its units, mapped or not.
    """
    simulated = "SIMULATED " if record["simulated"] else ""
    return {
        **{name: units[0][name] for name in _SHARED if _same(units, name)},
        **({} if _same(units, "detector") else {"detector": json.dumps(_several(record, units))}),
        "Conventions": "CF-1.11",
        "title": f"{simulated}landslide probability, zone {zone}",
        "sarmap:version": record["sarmap:version"],
        "sarmap:event": json.dumps(record["identity"]["event"]),
        "sarmap:request": json.dumps(_request(record, units)),
        "sarmap:units": json.dumps(Counter(one.status for one in states.values())),
        "scenes": json.dumps(_merged(units, "scenes"), ensure_ascii=False),
        "warnings": json.dumps(_warnings_of_units(record, zone, units, states), ensure_ascii=False),
        "attribution": record["attribution"],
        "simulated": int(record["simulated"]),
    }


def _same(units: list[Mapping[str, Any]], name: str) -> bool:
    return bool(units) and all(name in one and one[name] == units[0][name] for one in units)


def _several(record: Mapping[str, Any], units: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What the detectors of units have in common, under the names of all of them."""
    described = [json.loads(one["detector"]) for one in units if "detector" in one]
    if not described:
        return {"name": record["identity"]["detector"]}
    common = {
        key: value
        for key, value in described[0].items()
        if all(one.get(key) == value for one in described)
    }
    return common | {"name": " and ".join(dict.fromkeys(one["name"] for one in described))}


def _warnings_of_units(
    record: Mapping[str, Any],
    zone: str,
    units: list[Mapping[str, Any]],
    states: Mapping[str, State],
) -> list[str]:
    """All that units say; of units that another detector mapped one sentence for all of them."""
    asked = record["identity"]["detector"]
    decisions = of_mapped_units(decisions_of(record), states)
    own = {instead(one.detector, asked, one.why) for one in decisions.values() if one.why}
    said = [text for text in _merged(units, "warnings") if text not in own]
    return [*(f"Zone {zone}: {text}" for text in replacement_notes(decisions, asked)), *said]


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
