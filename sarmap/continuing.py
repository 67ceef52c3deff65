"""When one map may be continued as another."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sarmap.version import __version__

if TYPE_CHECKING:
    from sarmap.prepared import Prepared

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
