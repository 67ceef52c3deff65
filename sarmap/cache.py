"""Where sarmap keeps what it can make again: simulated events and converted models."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder for one kind of cached thing; `SARMAP_CACHE` moves them all.

    The folder is named, not made: whoever writes into it makes it.

    >>> import os; os.environ["SARMAP_CACHE"] = "/tmp/somewhere"
    >>> cache_folder("events").as_posix()
    '/tmp/somewhere/events'
    >>> del os.environ["SARMAP_CACHE"]
    """
    from platformdirs import user_cache_path

    root = os.environ.get("SARMAP_CACHE")
    return (Path(root).expanduser() if root else user_cache_path("sarmap")) / name
