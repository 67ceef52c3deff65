"""Passes are chosen for the region: neighbours share them wherever they can."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pystac
import pytest
import shapely

from sarmap.acquire.area import Area
from sarmap.acquire.scenes import Scene
from sarmap.acquire.sought import Sought
from sarmap.regions.tracks import Decisions, decide, narrowed
from sarmap.types import CatalogSettings

EVENT = dt.datetime(2018, 9, 5, 18, 8, tzinfo=dt.UTC)
SETTINGS = CatalogSettings(name="here", url="https://stac.example.org")
UNITS = {f"unit-{n}": shapely.box(10 + n, 40, 11 + n, 41) for n in range(4)}
"""Four squares of a degree, from west to east."""


def scene(
    orbit: int, day: int, west: float, east: float, *, state: str = "ascending", north: float = 42
) -> Scene:
    """A scene of a track, `day` days after the event."""
    when = EVENT + dt.timedelta(days=day, hours=orbit % 24)
    footprint = shapely.box(west, 39, east, north)
    name = f"S1A-{orbit}-{day}-{west:g}-{north:g}"
    item = pystac.Item(
        id=name,
        geometry=shapely.geometry.mapping(footprint),
        bbox=list(footprint.bounds),
        datetime=when,
        properties={},
    )
    return Scene(item, when, orbit, state, "SENTINEL-1A", footprint, name)


def chosen(scenes: list[Scene], *, orbit: str | None = None, post: int = 1) -> Decisions:
    region = shapely.union_all(list(UNITS.values()))
    area = Area(region, region)
    sought = Sought(area=area, settings=SETTINGS, event=(EVENT, EVENT), orbit=orbit, post=post)
    return decide(UNITS, scenes, sought)


def orbits(made: Decisions, unit: str) -> list[int]:
    return [made.takes[key].relative_orbit for key in made.units[unit].takes]


def both_sides(orbit: int, west: float, east: float, **more: Any) -> list[Scene]:
    return [scene(orbit, day, west, east, **more) for day in (-4, 8)]


def test_units_prefer_the_track_that_serves_most_of_the_region() -> None:
    """Track 20 covers two units, and came back sooner; track 10 covers all four."""
    sooner = [scene(20, -1, 12, 14), scene(20, 2, 12, 14)]
    made = chosen(both_sides(10, 10, 14) + sooner)
    assert {name: orbits(made, name) for name in UNITS} == {name: [10] for name in UNITS}
    assert len(made.takes) == 1


def test_where_a_swath_ends_the_next_track_goes_on() -> None:
    """Track 10 covers 2.5 units, track 20 the last 2: the third is read from both."""
    made = chosen(both_sides(10, 9, 12.5) + both_sides(20, 12, 15))
    assert orbits(made, "unit-0") == orbits(made, "unit-1") == [10]
    assert orbits(made, "unit-3") == [20]
    assert orbits(made, "unit-2") == [20]  # it covers all of it


def test_a_unit_that_no_track_covers_takes_several_in_the_regions_order() -> None:
    made = chosen(both_sides(10, 9, 12.5) + both_sides(20, 12.4, 15))
    assert orbits(made, "unit-2") == [10, 20]
    assert made.units["unit-2"].coverage == pytest.approx(1.0)
    assert set(made.takes) == {"010A-1", "020A-1"}


def test_passes_that_cover_only_part_give_way_there_alone() -> None:
    """The nearest pass after the event covers only the two western units."""
    partial = [scene(10, 2, 10, 12)]
    made = chosen(both_sides(10, 10, 14) + partial)
    days = {name: made.takes[made.units[name].takes[0]].post[0].datetime.day for name in UNITS}
    assert days["unit-2"] == days["unit-3"] == (EVENT + dt.timedelta(days=8, hours=10)).day
    assert days["unit-0"] == days["unit-1"]
    assert len({key for name in UNITS for key in made.units[name].takes}) <= 2


def test_all_units_share_the_scenes_that_tell_the_radars_geometry() -> None:
    """One take has all slices of the pass; a unit reads only those near it."""
    slices = [
        part
        for day in (-4, 8)
        for part in (scene(10, day, 9, 12, north=42), scene(10, day, 12, 15, north=42))
    ]
    made = chosen(slices)
    (take,) = made.takes.values()
    assert len(take.post[0].items) == 2
    assert len(narrowed(take, UNITS["unit-0"]).post[0].items) == 1
    assert len(narrowed(take, shapely.box(11.8, 40, 12.2, 41)).post[0].items) == 2


def test_no_radar_is_an_answer_and_a_missing_pass_is_not() -> None:
    made = chosen([*both_sides(10, 10, 12), scene(20, -3, 12, 13)])
    assert made.units["unit-0"].takes
    waiting, empty = made.units["unit-2"], made.units["unit-3"]
    assert not waiting.no_radar
    assert "after the event" in waiting.sentence
    assert empty.no_radar
    assert "no radar scene covers the place" in empty.sentence
    assert not waiting.takes
    assert not empty.takes


def test_a_sliver_that_is_mapped_where_a_whole_pass_still_waits_is_told_of() -> None:
    """A map of the unit would pass the sliver's track over; who has another detector may, too."""
    made = chosen([*both_sides(10, 10, 10.3), *both_sides(20, 11, 14), scene(30, -3, 10, 14)])
    assert orbits(made, "unit-0") == [10]
    assert set(made.scant) == {"unit-0"}
    assert "no pass of ascending orbit 30 after the event" in made.scant["unit-0"]


def test_both_directions_are_each_decided() -> None:
    descending = both_sides(50, 10, 14, state="descending")
    made = chosen(both_sides(10, 10, 14) + descending, orbit="both")
    assert orbits(made, "unit-1") == [10, 50]
    lacking = chosen(both_sides(10, 10, 14), orbit="both")
    assert "descending" in lacking.units["unit-1"].sentence


def test_the_order_of_the_catalogue_does_not_matter() -> None:
    scenes = both_sides(10, 9, 12.5) + both_sides(20, 12.4, 15) + both_sides(30, 10, 14)
    assert chosen(scenes).units == chosen(scenes[::-1]).units
