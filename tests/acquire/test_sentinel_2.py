"""The clearest overpass after an event that covers the place."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pystac
import pytest
import shapely

from sarmap.acquire.sentinel_2 import clearest, cloud_cover

PLACE = shapely.box(141.84, 42.60, 142.13, 42.88)
EVENT = dt.datetime(2018, 9, 5, 18, 8, tzinfo=dt.UTC)
WEST = (141.0, 42.0, 142.0, 43.5)
EAST = (141.95, 42.0, 143.0, 43.5)


def found(records: list[dict[str, Any]]) -> list[str]:
    items = [pystac.Item.from_dict(record) for record in records]
    return [item.id for item in clearest(items, PLACE, EVENT)]


def test_least_cloud_then_nearest(stac: Any) -> None:
    records = [
        stac.optical("2018-09-20T01:26:00", 80.0),
        stac.optical("2018-10-25T01:26:00", 0.5),
        stac.optical("2018-10-20T01:26:00", "0.5"),
    ]
    assert found(records) == ["S2A_2018-10-20T01:26:00_54TWN"]


def test_nothing_before_the_event(stac: Any) -> None:
    assert found([stac.optical("2018-09-01T01:26:00", 0.0)]) == []


def test_covering_image_before_a_clearer_part(stac: Any) -> None:
    records = [
        stac.optical("2018-09-20T01:26:00", 30.0),
        stac.optical("2018-09-25T01:26:00", 0.0, bounds=WEST),
    ]
    assert found(records) == ["S2A_2018-09-20T01:26:00_54TWN"]


def test_tiles_of_one_overpass_are_put_together_clearest_first(stac: Any) -> None:
    records = [
        stac.optical("2018-10-20T01:26:00", 9.0, tile="54TWN", bounds=WEST),
        stac.optical("2018-10-20T01:26:04", 1.0, tile="54TXN", bounds=EAST),
        stac.optical("2018-09-20T01:26:00", 60.0, tile="54TWN"),
    ]
    assert found(records) == ["S2A_2018-10-20T01:26:04_54TXN", "S2A_2018-10-20T01:26:00_54TWN"]


def test_newest_processing_of_a_tile(stac: Any) -> None:
    old = stac.optical("2018-10-20T01:26:00", 1.0, **{"s2:processing_baseline": "02.09"})
    new = stac.optical("2018-10-20T01:26:00", 2.0, **{"s2:processing_baseline": "05.00"})
    new["id"] += "_N0500"
    assert found([new, old]) == [new["id"]]


@pytest.mark.parametrize(("given", "percent"), [(3, 3), ("3.5", 3.5), (None, 100), ("clear", 100)])
def test_cloud_cover_may_be_text_or_missing(stac: Any, given: Any, percent: float) -> None:
    record = stac.optical("2018-10-20T01:26:00", given)
    assert cloud_cover(pystac.Item.from_dict(record)) == percent
