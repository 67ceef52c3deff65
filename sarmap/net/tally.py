"""What reading cost this process: requests, bytes, tries and failures, as counts and no more."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

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


class Meter:
    """What a stretch of work reads, in this process or in those of a cluster's workers.

    Work of others on the same workers is counted too; what a worker counted that has died since is
    lost.
    """

    def __init__(self, client: Client | None = None) -> None:
        """For the workers of a Dask client; None: this process reads."""
        self._client = client
        self._before = self._now()

    def read(self) -> dict[str, int]:
        """The counts since the meter was made."""
        total = dict.fromkeys(COUNTS, 0)
        for place, counts in self._now().items():
            for name, number in difference(counts, self._before.get(place, {})).items():
                total[name] += number
        return total

    def _now(self) -> dict[str, dict[str, int]]:
        """The tally of each process."""
        if self._client is None:
            return {"": tally()}
        answers = self._client.run(tally, on_error="return")
        return {place: one for place, one in answers.items() if isinstance(one, dict)}
