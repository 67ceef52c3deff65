"""What reading cost this process: requests, bytes, tries and failures, as counts and no more."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

__all__ = ["COUNTS", "count", "difference", "tally"]

COUNTS = ("requests", "bytes", "retries", "failures")
"""Requests sent, bytes of their answers, requests that repeat a failed one, and reads that failed
for good (of a window of a file, or of a block of it)."""

_lock = threading.Lock()
_counts: Counter[str] = Counter()


def count(name: str, amount: int = 1) -> None:
    """Add to one of `COUNTS`."""
    with _lock:
        _counts[name] += amount


def tally() -> dict[str, int]:
    """The counts of this process since it started."""
    with _lock:
        return {name: _counts[name] for name in COUNTS}


def difference(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """What was counted between two tallies.

    >>> difference({"requests": 5, "retries": 1}, {"requests": 2})
    {'requests': 3, 'bytes': 0, 'retries': 1, 'failures': 0}
    """
    return {name: after.get(name, 0) - before.get(name, 0) for name in COUNTS}
