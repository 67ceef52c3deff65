"""Which simulator made an event: a hash of the physics, so that no result outlives its maker."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["simulator_hash"]

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
    "change.py",
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
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        if module.name not in _SERVERS:
            digest.update(module.name.encode())
            digest.update(module.read_bytes())
    return digest.hexdigest()[:12]
