"""Requests that fuzzing found: each is refused in a sentence."""

import datetime as dt

import pytest

from sarmap.acquire.catalogs import resolve_catalog
from sarmap.acquire.instants import parse_event
from sarmap.errors import RequestError


@pytest.mark.parametrize("url", ["http://[::1", "http://[abc]/stac"])
def test_an_address_that_is_no_url_is_refused(url):
    with pytest.raises(RequestError, match="no URL"):
        resolve_catalog(url)


def test_an_instant_beyond_the_calendar_is_refused():
    east = dt.timezone(dt.timedelta(hours=14))
    with pytest.raises(RequestError, match="outside the years"):
        parse_event(dt.datetime(1, 1, 1, tzinfo=east))
