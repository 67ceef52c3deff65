"""Instants and intervals of an event, always UTC (ISO 8601; a time without a zone is UTC)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sarmap.errors import RequestError

_FIX = "give an ISO 8601 instant such as 2018-09-05T18:08:00Z, or (start, end)"


def utc_now() -> dt.datetime:
    """The present instant, UTC."""
    return dt.datetime.now(dt.UTC)


def parse_event(event: Any, *, now: dt.datetime | None = None) -> tuple[dt.datetime, dt.datetime]:
    """Start and end of an event, UTC; equal for an instant.

    Parameters
    ----------
    event
        A datetime; ISO 8601 text, also "start/end"; or (start, end) of these. A date without a time
        is the whole UTC day, since the hour is not known.
    now
        The present; None: the clock's.

    Raises
    ------
    RequestError
        No instant can be read, the interval ends before it starts, or the event starts in the
        future.

    >>> [str(t) for t in parse_event("2018-09-06T03:08:00+09:00")]
    ['2018-09-05 18:08:00+00:00', '2018-09-05 18:08:00+00:00']
    >>> [str(t) for t in parse_event(("2019-10-12", "2019-10-13T06:00"))]
    ['2019-10-12 00:00:00+00:00', '2019-10-13 06:00:00+00:00']
    """
    start, end = _ends(event)
    if end < start:
        raise RequestError(
            f"the event ends ({end:%Y-%m-%d %H:%M}) before it starts ({start:%Y-%m-%d %H:%M}): "
            "give event as (start, end)."
        )
    present = now or utc_now()
    if start > present:
        raise RequestError(
            f"the event ({start:%Y-%m-%d %H:%M} UTC) is in the future (it is now "
            f"{present:%Y-%m-%d %H:%M} UTC): check event."
        )
    return start, end


def _ends(event: Any) -> tuple[dt.datetime, dt.datetime]:
    if isinstance(event, str) and "/" in event:
        event = event.split("/")
    if isinstance(event, Sequence) and not isinstance(event, str | bytes):
        if len(event) != 2:
            raise RequestError(f"event has {len(event)} values: {_FIX}.")
        return _span(event[0])[0], _span(event[1])[1]
    return _span(event)


def _span(value: Any) -> tuple[dt.datetime, dt.datetime]:
    """First and last instant of one value: the same twice, or the ends of a day."""
    if isinstance(value, str):
        value = _from_text(value.strip())
    if isinstance(value, dt.datetime):
        try:
            instant = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
        except OverflowError:
            raise RequestError(
                f"event={value.isoformat()} lies outside the years 1 to 9999 in UTC: check it."
            ) from None
        return instant, instant
    if isinstance(value, dt.date):
        first = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
        return first, first + dt.timedelta(days=1) - dt.timedelta(microseconds=1)
    raise RequestError(f"event cannot be a {type(value).__name__}: {_FIX}.")


def _from_text(text: str) -> dt.date:
    """A date (no time given) or a datetime."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(f"event {text!r} is not an instant: {_FIX}.") from None
