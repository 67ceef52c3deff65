"""Which simulator made an event: a hash of the physics, so that no result outlives its maker."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["simulator_hash", "world_hash"]

_SERVERS = (
    "serve.py",
    "host.py",
    "fingerprint.py",
    "kept.py",
    "cover.py",
    "physics.py",
    "drawing.py",
    "grain.py",
    "quick_relief.py",
    "patches.py",
    "scars.py",
    "outlines.py",
    "change.py",
    "debris.py",
    "real_change.py",
    "disturbances.py",
    "seasons.py",
    "sensing.py",
    "worlds.py",
)
"""Modules that show an event, or make drawn worlds, but do not shape an event."""


@lru_cache(maxsize=1)
def simulator_hash() -> str:
    """The first twelve digits of the SHA-256 of the modules that shape a simulated event.

    >>> len(simulator_hash())
    12
    """
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return _hash([module for module in modules if module.name not in _SERVERS])


@lru_cache(maxsize=1)
def world_hash() -> str:
    """The same of the modules that shape a drawn world.

    >>> len(world_hash())
    12
    """
    first = _SERVERS.index("physics.py")
    return _hash([Path(__file__).with_name(name) for name in sorted(_SERVERS[first:])])


def _hash(modules: list[Path]) -> str:
    digest = hashlib.sha256()
    for module in modules:
        digest.update(module.name.encode())
        digest.update(module.read_bytes())
    return digest.hexdigest()[:12]
