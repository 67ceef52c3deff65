"""What a map's attributes say of its making, and when it may be continued as another."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sarmap.assembly import Assembly, levels_record
from sarmap.types import Plan
from sarmap.version import __version__

if TYPE_CHECKING:
    from sarmap.prepared import Prepared


def provenance(prepared: Prepared, made: Plan, assembly: Assembly) -> dict[str, Any]:
    """How the map is made, for the result store's attributes: no path, no token, no signed URL.

    Scenes that only its control reads have roles of their own: ``control_pre_2`` and so on.
    """
    own = _own_roles(prepared)
    scenes = [
        {
            "id": item.id,
            "datetime": one.datetime.isoformat(),
            "role": one.role if one.role in own else f"control_{one.role}",
            "orbit_state": one.orbit_state,
            "relative_orbit": one.relative_orbit,
            "platform": one.platform,
            **({} if passes.simulated else {"item": item.get_self_href()}),
        }
        for passes in prepared.passes
        for one in passes
        for item in one.items
    ]
    start, end = prepared.passes[0].event
    return {
        "sarmap:version": __version__,
        "sarmap:created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "sarmap:request": json.dumps(describe_request(prepared)),
        "sarmap:event": json.dumps([start.isoformat(), end.isoformat()]),
        "sarmap:orbits": json.dumps(sorted({p.orbit_state for p in prepared.passes} - {""})),
        "scenes": json.dumps(scenes),
        "detector": json.dumps(dict(made.detector)),
        "tiling": json.dumps({"overlap": prepared.request.overlap, "chunk": made.chunk}),
        "attribution": assembly.dataset.attrs["attribution"],
        **_judgement(prepared),
        "simulated": int(any(passes.simulated for passes in prepared.passes)),
        "warnings": json.dumps(list(assembly.warnings)),
    }


def describe_request(prepared: Prepared) -> Mapping[str, Any]:
    """The request as a record that may be published: places as coordinates, never paths."""
    request = prepared.request
    kept = request.model_dump(
        mode="json",
        include={"orbit", "pre", "post", "overlap", "threshold", "min_area", "strict", "control"},
    )
    bounds = prepared.grid.extent.to_crs("EPSG:4326").boundingbox
    composite = request.composite
    given = {"name": request.name, "relative_orbit": request.relative_orbit}
    return {
        "area": [round(value, 6) for value in bounds.bbox],
        "crs": str(prepared.grid.crs),
        "resolution": request.resolution,
        "catalog": prepared.catalog.name,
        "detector": prepared.spec.name,
        "composite": composite if composite is None or isinstance(composite, str) else [*composite],
        **{key: value for key, value in given.items() if value is not None},
        **kept,
    }


def _judgement(prepared: Prepared) -> dict[str, str]:
    """Levels of the passes and how far the default network is to be trusted, per orbit."""
    if not prepared.judged:
        return {}
    orbits = [passes.orbit_state for passes in prepared.passes]
    trust = [
        {"orbit_state": orbit, **known.trust.record()}
        for orbit, known in zip(orbits, prepared.judged, strict=True)
    ]
    return {
        "sarmap:levels": json.dumps(levels_record(prepared)),
        "sarmap:trust": json.dumps(trust),
        "sarmap:doubts": json.dumps(list(prepared.doubts)),
    }


def _own_roles(prepared: Prepared) -> frozenset[str]:
    """Roles of the passes that the map itself was asked to be made from."""
    from sarmap.choosing import passes_asked

    pre = passes_asked(prepared.request, prepared.spec.bands)[0]
    numbered = (
        (one.role, number)
        for passes in prepared.passes
        for number, one in enumerate(passes.pre, start=1)
    )
    before = {role for role, number in numbered if number <= pre or not prepared.request.control}
    return frozenset(before | {one.role for passes in prepared.passes for one in passes.post})


def control_days(prepared: Prepared) -> list[dict[str, Any]]:
    """Days of the passes that a control reads, in the roles that they take."""
    from sarmap.compose.control_cube import control_roles

    roles = control_roles(prepared.spec.bands)
    found = []
    for passes in prepared.passes:
        taken = [(roles[one.role], one) for one in reversed(passes.pre) if one.role in roles]
        found.append(
            {
                "orbit_state": passes.orbit_state,
                "relative_orbit": passes.relative_orbit,
                **{
                    stem: [f"{one.datetime:%Y-%m-%d}" for role, one in taken if role[:3] == key]
                    for stem, key in (("as_before", "pre"), ("as_after", "pos"))
                },
            }
        )
    return found


_ENGINES = {
    "openvino": ("openvino",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-intel"),
    "keras": ("keras",),
}
"""Engines whose package decides bits of the answer, and the names it is distributed by."""


def identity_of(prepared: Prepared, elevation: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What decides the pixels of a map, beside its grid and blocks: equal, or not continued.

    `elevation` is what the files of elevation are held to. Places are not among it,
    and neither is what only decides products (threshold, smallest area).
    """
    from sarmap.acquire.pins import pins_of

    spec, passes = prepared.spec, prepared.passes
    read = [item for orbit in passes for one in orbit for item in one.items]
    files = pins_of([*read, *(item for orbit in passes for item in orbit.optical)])
    files |= elevation or {}
    engine = str(getattr(prepared.detector, "engine", "own"))
    return {
        "sarmap": __version__,
        "detector": {k: v for k, v in spec.attributes.items() if k != "engine_reason"},
        "catalogue": [
            _catalogue(prepared),
            prepared.catalog.radar_collection,
            *([prepared.catalog.scaling] if prepared.catalog.scaling else []),
        ],
        "event": [instant.isoformat() for instant in passes[0].event],
        "scenes": [
            f"{one.role} {item.id}" for orbit in passes for one in orbit for item in one.items
        ],
        "optical scenes": [item.id for orbit in passes for item in orbit.optical],
        "elevation": [prepared.catalog.dem_collection, prepared.catalog.dem_asset],
        "bands": list(spec.bands),
        "engine": [engine, str(getattr(prepared.detector, "precision", "own")), _version(engine)],
        "overlap": prepared.request.overlap,
        "context": [list(map(list, prepared.margins)), int(prepared.layered)],
        "chunk": prepared.chunk,
        **({"control": True} if prepared.request.control else {}),
        **({"files": files} if files else {}),
    }


def _catalogue(prepared: Prepared) -> str:
    """The catalogue's name; a simulated event is known by its seed, wherever it is served."""
    seeds = {
        str(item.properties.get("sarmap:seed"))
        for orbit in prepared.passes
        if orbit.simulated
        for one in orbit
        for item in one.items
    }
    return f"simulated, seed {', '.join(sorted(seeds))}" if seeds else prepared.catalog.name


def _version(engine: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    for package in _ENGINES.get(engine, ()):
        with suppress(PackageNotFoundError):
            return version(package)
    return ""
