"""How long a read may take and how often it is tried: bounded, jittered, and as servers ask.

Waits double from try to try and are jittered, so that many workers do not come back at once
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/); a `Retry-After`
(RFC 9110, section 10.2.3: seconds or a date) holds for all reads of that host in this process.

The figures can be set as Dask configuration, which travels to workers: `sarmap.reads.attempts`
or, in the environment, `DASK_SARMAP__READS__ATTEMPTS`.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import random
import threading
import time
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Patience:
    """Limits of one read, or of one request to a catalogue."""

    attempts: int = 5
    """Tries of one request."""
    backoff: float = 0.3
    """Seconds before the second try; doubled for each further one and jittered by half."""
    longest: float = 20.0
    """Longest such wait, seconds."""
    deadline: float = 300.0
    """Seconds for one read with all its tries and waits; a longer Retry-After ends it."""
    connect: float = 10.0
    """Seconds to connect."""
    stall: float = 20.0
    """Seconds of silence, or of a trickle, after which a transfer is given up."""
    slowest: float = 1000.0
    """Bytes a second below which a transfer is a trickle."""

    def pause(self, attempt: int) -> float:
        """Seconds to wait after failed try `attempt` (0-based)."""
        step: float = min(self.longest, self.backoff * 2.0**attempt)
        return step * (0.5 + random.random())


def patience() -> Patience:
    """The limits in force: defaults, changed by Dask's configuration under `sarmap.reads`."""
    import dask

    given = dask.config.get("sarmap.reads", None) or {}
    known = {field.name: field.type for field in fields(Patience)}
    values = {name: float(value) for name, value in given.items() if name in known}
    if "attempts" in values:
        values["attempts"] = max(1, int(values["attempts"]))
    return Patience(**values)  # type: ignore[arg-type]


class Deadline:
    """The end of one read's time."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left; below zero when it has passed."""
        return self._end - time.monotonic()


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for; None where it says nothing readable.

    >>> retry_after("7"), retry_after("soon"), retry_after("Wed, 21 Oct 2015 07:28:00 GMT")
    (7.0, None, 0.0)
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
    return max(0.0, (aware - dt.datetime.now(dt.UTC)).total_seconds())


_lock = threading.Lock()
_held: dict[str, float] = {}


def hold_off(host: str, seconds: float) -> None:
    """Ask nothing of a host for a while: it said so."""
    with _lock:
        _held[host] = max(_held.get(host, 0.0), time.monotonic() + seconds)


def wait_for(host: str, deadline: Deadline, pause: float = 0.0) -> bool:
    """Wait out a pause and what the host asked for; False, at once, where that takes too long."""
    with _lock:
        until = _held.get(host, 0.0)
        if until and until <= time.monotonic():
            del _held[host]
    seconds = max(pause, until - time.monotonic())
    if seconds <= 0:
        return deadline.left > 0
    if seconds >= deadline.left:
        return False
    time.sleep(seconds)
    return True
