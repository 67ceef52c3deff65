"""Which simulator made an event: a hash of the physics, so that no result outlives its maker."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["simulator_hash", "world_hash"]

_SHOWING = ("serve.py", "host.py", "fingerprint.py", "kept.py", "cover.py")
"""Modules that show what is simulated but do not shape it."""
_DRAWING = (
    "physics.py",
    "drawing.py",
    "grain.py",
    "quick_relief.py",
    "patches.py",
    "scars.py",
    "outlines.py",
    "change.py",
    "debris.py",
    "disturbances.py",
    "seasons.py",
    "sensing.py",
    "worlds.py",
)
"""Modules that shape drawn worlds and no event."""


@lru_cache(maxsize=1)
def simulator_hash() -> str:
    """The first twelve digits of the SHA-256 of the modules that shape a simulated event.

    >>> len(simulator_hash())
    12
    """
    return _hash(_SHOWING + _DRAWING)


@lru_cache(maxsize=1)
def world_hash() -> str:
    """The same of the modules that shape a drawn world; it builds on the event's own.

    >>> world_hash() == simulator_hash()
    False
    """
    return _hash(_SHOWING)


def _hash(left_out: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        if module.name not in left_out:
            digest.update(module.name.encode())
            digest.update(module.read_bytes())
    return digest.hexdigest()[:12]
