"""An event is an instant or an interval, in UTC."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from sarmap.acquire.instants import parse_event
from sarmap.errors import RequestError

QUAKE = dt.datetime(2018, 9, 5, 18, 8, tzinfo=dt.UTC)
JAPAN = dt.timezone(dt.timedelta(hours=9))


@pytest.mark.parametrize(
    "event",
    [
        "2018-09-05T18:08:00Z",
        "2018-09-05T18:08:00",
        "2018-09-05 18:08",
        "2018-09-06T03:08:00+09:00",
        QUAKE,
        QUAKE.replace(tzinfo=None),
        dt.datetime(2018, 9, 6, 3, 8, tzinfo=JAPAN),
        (QUAKE, QUAKE),
        "2018-09-05T18:08:00Z/2018-09-05T18:08:00Z",
    ],
)
def test_instant(event: Any) -> None:
    assert parse_event(event) == (QUAKE, QUAKE)


@pytest.mark.parametrize(
    "event",
    [
        ("2019-10-12T00:00Z", "2019-10-13T12:00Z"),
        ["2019-10-12T00:00", dt.datetime(2019, 10, 13, 12)],
        "2019-10-12T00:00Z/2019-10-13T12:00Z",
        "2019-10-12/2019-10-13T12:00Z",
    ],
)
def test_storm(event: Any) -> None:
    start, end = parse_event(event)
    assert start == dt.datetime(2019, 10, 12, tzinfo=dt.UTC)
    assert end == dt.datetime(2019, 10, 13, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("event", ["2018-09-06", dt.date(2018, 9, 6)])
def test_a_date_is_its_whole_day(event: Any) -> None:
    start, end = parse_event(event)
    assert start == dt.datetime(2018, 9, 6, tzinfo=dt.UTC)
    assert start.date() == end.date()
    assert end - start > dt.timedelta(hours=23, minutes=59)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("yesterday", "'yesterday' is not an instant"),
        ("", "is not an instant"),
        ("2018-13-01", "is not an instant"),
        (None, "cannot be a NoneType"),
        (1536170880, "cannot be a int"),
        (("2018-09-05",), "has 1 values"),
        (("2018-09-06", "2018-09-05"), "ends .* before it starts"),
    ],
)
def test_refusals(event: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        parse_event(event)


def test_future() -> None:
    now = QUAKE - dt.timedelta(minutes=1)
    with pytest.raises(RequestError, match="is in the future"):
        parse_event(QUAKE, now=now)
    assert parse_event((now - dt.timedelta(days=1), QUAKE), now=now)[1] == QUAKE  # still going on
