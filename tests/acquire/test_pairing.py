"""From scenes to passes to the ones before and after an event."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from sarmap.acquire.area import share_covered
from sarmap.acquire.pairing import choose, group_passes, next_due, tracks_of
from sarmap.acquire.scenes import read_scene
from sarmap.types import CatalogSettings

PLACE = shapely.box(141.84, 42.60, 142.13, 42.88)
SETTINGS = CatalogSettings("test", "http://127.0.0.1:9")
QUAKE = dt.datetime(2018, 9, 5, 18, 8, tzinfo=dt.UTC)
EVENT = (QUAKE, QUAKE)
HALF = (141.0, 42.0, 141.985, 43.5)
"""Bounds that cover half of the place."""
MOST = (141.0, 42.0, 142.101, 43.5)
"""Bounds that cover nine tenths of the place."""


def scenes(records: list[dict[str, Any]]) -> list[Any]:
    return [read_scene(record, SETTINGS) for record in records]


def tracks(records: list[dict[str, Any]]) -> list[Any]:
    return tracks_of(group_passes(scenes(records), PLACE))


class TestGrouping:
    def test_slices_become_one_pass(self, stac: Any) -> None:
        (one,) = group_passes(scenes(stac.slices("2018-09-01T08:34:00")), PLACE)
        assert len(one.items) == 2
        assert one.coverage == 1
        assert one.datetime == dt.datetime(2018, 9, 1, 8, 34, tzinfo=dt.UTC)

    def test_pass_over_midnight_stays_one(self, stac: Any) -> None:
        (one,) = group_passes(scenes(stac.slices("2018-09-01T23:59:50")), PLACE)
        assert len(one.items) == 2

    def test_other_satellites_and_tracks_make_other_passes(self, stac: Any) -> None:
        when = "2018-09-01T08:34:00"
        records = [
            stac.radar(when, suffix="a"),
            stac.radar(when, 69, suffix="b"),
            stac.radar(when, 68, "descending", suffix="c"),
            stac.radar(when, platform="SENTINEL-1C", suffix="d"),
        ]
        assert [len(one.items) for one in group_passes(scenes(records), PLACE)] == [1, 1, 1, 1]

    def test_slices_beside_the_place_are_left_out(self, stac: Any) -> None:
        beside = stac.radar("2018-09-01T08:33:35", bounds=(141.0, 40.0, 143.0, 42.0), suffix="x")
        records = [beside, *stac.slices("2018-09-01T08:34:00")]
        (one,) = group_passes(scenes(records), PLACE)
        assert beside["id"] not in [item.id for item in one.items]
        assert one.datetime.second == 0

    def test_same_item_on_two_pages_counts_once(self, stac: Any) -> None:
        (one,) = group_passes(scenes(2 * stac.slices("2018-09-01T08:34:00")), PLACE)
        assert len(one.items) == 2

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_newest_version_of_a_scene_wins(self, stac: Any, order: tuple[int, int]) -> None:
        versions = [
            stac.radar("2018-09-01T08:34:00", suffix="z", updated="2018-09-02T00:00:00Z"),
            stac.radar("2018-09-01T08:34:00", suffix="a", updated="2024-01-01T00:00:00Z"),
        ]
        (one,) = group_passes(scenes([versions[i] for i in order]), PLACE)
        assert [item.id for item in one.items] == [versions[1]["id"]]

    @pytest.mark.parametrize("seconds", ["01.2", "07", "12"])
    @pytest.mark.parametrize("newer", [0, 1])
    def test_made_again_under_another_start_time(self, stac: Any, seconds: str, newer: int) -> None:
        made = ["2018-09-14T00:00:00Z", "2024-01-01T00:00:00Z"]
        older_id, newer_id = made[1 - newer], made[newer]
        records = [
            stac.radar("2018-09-13T08:34:00", updated=older_id),
            stac.radar(f"2018-09-13T08:34:{seconds}", suffix="r", updated=newer_id),
        ]
        (one,) = group_passes(scenes(records), PLACE)
        assert [item.id for item in one.items] == [records[newer]["id"]]

    def test_without_a_word_the_later_making_wins(self, stac: Any) -> None:
        records = [
            stac.radar("2018-09-13T08:34:00", suffix="z"),
            stac.radar(
                "2018-09-13T08:34:03", **{"processing:datetime": "2020-01-01T00:00:00+09:00"}
            ),
            stac.radar("2018-09-13T08:34:02", suffix="y", updated="2019-12-31T16:00:00Z"),
        ]
        (one,) = group_passes(scenes(records), PLACE)
        assert [item.id for item in one.items] == [records[2]["id"]]  # an hour after the second

    def test_a_newer_version_of_part_of_a_slice_goes_before_it(self, stac: Any) -> None:
        old, new = (141.0, 42.0, 143.0, 43.0), (141.0, 42.4, 143.0, 43.4)
        records = [
            stac.radar("2018-09-13T08:34:00", bounds=old, updated="2018-09-14T00:00:00Z"),
            stac.radar(
                "2018-09-13T08:34:06", bounds=new, suffix="r", updated="2024-01-01T00:00:00Z"
            ),
        ]
        (one,) = group_passes(scenes(records), PLACE)
        assert [item.id for item in one.items] == [records[1]["id"], records[0]["id"]]

    def test_slices_keep_their_order_whenever_they_were_made(self, stac: Any) -> None:
        first, second = stac.slices("2018-09-13T08:34:00")
        second["properties"]["updated"] = "2024-01-01T00:00:00Z"
        (one,) = group_passes(scenes([second, first]), PLACE)
        assert [item.id for item in one.items] == [first["id"], second["id"]]

    def test_coverage_is_of_the_union(self, stac: Any) -> None:
        overlapping = [
            stac.radar("2018-09-01T08:34:00", bounds=HALF),
            stac.radar("2018-09-01T08:34:25", bounds=HALF),
        ]
        (one,) = group_passes(scenes(overlapping), PLACE)
        assert one.coverage == pytest.approx(0.5, abs=0.001)

    def test_coverage_is_of_equal_areas(self) -> None:
        tall = shapely.box(0, 0, 1, 60)
        south = share_covered(tall, [shapely.box(0, 0, 1, 30)])
        assert south == pytest.approx(0.5 / (3**0.5 / 2))  # sin 30 / sin 60

    def test_footprint_across_the_antimeridian(self, stac: Any) -> None:
        record = stac.radar("2018-09-01T08:34:00")
        corners = [[179.0, -1], [-179.0, -1], [-179.0, 1], [179.0, 1], [179.0, -1]]
        record["geometry"] = {"type": "Polygon", "coordinates": [corners]}
        record["bbox"] = [179.0, -1, -179.0, 1]
        scene = read_scene(record, SETTINGS)
        assert share_covered(shapely.box(179.5, 0, 180, 0.5), [scene.footprint]) == 1
        assert share_covered(shapely.box(-180, 0, -179.5, 0.5), [scene.footprint]) == 1
        assert share_covered(shapely.box(0, 0, 1, 0.5), [scene.footprint]) == 0


class TestChoosing:
    def test_full_pass_goes_before_a_nearer_partial_one(self, stac: Any) -> None:
        records = [
            stac.radar("2018-08-20T08:34:00"),
            stac.radar("2018-09-01T08:34:00", bounds=HALF),
            stac.radar("2018-09-13T08:34:00", bounds=MOST),
            stac.radar("2018-09-25T08:34:00"),
        ]
        choice = choose(tracks(records), EVENT, pre=1, post=1)
        assert choice is not None
        assert [p.datetime.day for p in (*choice.pre, *choice.post)] == [20, 25]

    def test_partial_pass_stands_in_where_there_is_no_other(self, stac: Any) -> None:
        records = [
            stac.radar("2018-09-01T08:34:00"),
            stac.radar("2018-09-13T08:34:00", bounds=MOST),
            stac.radar("2018-09-25T08:34:00"),
        ]
        choice = choose(tracks(records), EVENT, pre=1, post=2)
        assert choice is not None
        assert [(p.role, p.datetime.day) for p in choice.post] == [("post_1", 13), ("post_2", 25)]
        assert choice.post[0].coverage == pytest.approx(0.9, abs=0.01)
        assert choice.coverage == choice.post[0].coverage

    def test_sliver_never_counts(self, stac: Any) -> None:
        sliver = (141.0, 42.0, 141.9, 43.5)
        records = [
            stac.radar("2018-09-01T08:34:00"),
            stac.radar("2018-09-13T08:34:00", bounds=sliver),
        ]
        choice = choose(tracks(records), EVENT, pre=1, post=1)
        assert choice is not None
        assert choice.post == ()

    def test_best_covered_track(self, stac: Any) -> None:
        records = []
        for day in ("09-01", "09-13"):
            records.append(stac.radar(f"2018-{day}T08:34:00", 68, bounds=MOST))
        for day in ("09-04", "09-16"):
            records.append(stac.radar(f"2018-{day}T20:42:00", 46, "descending"))
        choice = choose(tracks(records), EVENT, pre=1, post=1)
        assert choice is not None
        assert choice.track.relative_orbit == 46

    def test_equally_covered_the_one_with_more_passes_after(self, stac: Any) -> None:
        records = [stac.radar(f"2018-{day}T08:34:00", 68) for day in ("09-01", "09-13")]
        for day in ("09-04", "09-16", "09-28"):
            records.append(stac.radar(f"2018-{day}T20:42:00", 46, "descending"))
        choice = choose(tracks(records), EVENT, pre=1, post=1)
        assert choice is not None
        assert choice.track.relative_orbit == 46

    def test_then_the_one_that_came_back_soonest(self, stac: Any) -> None:
        records = [stac.radar(f"2018-{day}T08:34:00", 68) for day in ("09-01", "09-13")]
        for day in ("09-04", "09-16"):
            records.append(stac.radar(f"2018-{day}T20:42:00", 46, "descending"))
        choice = choose(tracks(records), EVENT, pre=1, post=1)
        assert choice is not None
        assert choice.track.relative_orbit == 68

    def test_complete_track_before_a_better_covered_one_without_posts(self, stac: Any) -> None:
        records = [stac.radar("2018-09-01T08:34:00", 68)]
        for day in ("09-04", "09-16"):
            records.append(stac.radar(f"2018-{day}T20:42:00", 46, "descending", bounds=MOST))
        choice = choose(tracks(records), EVENT, pre=1, post=1)
        assert choice is not None
        assert choice.track.relative_orbit == 46

    def test_decoy_over_a_corner_never_wins(self, stac: Any) -> None:
        corner = (141.0, 42.0, 141.9, 43.5)
        records = [stac.radar(f"2018-{day}T08:34:00", 68) for day in ("09-01", "09-13")]
        for day in ("09-02", "09-14", "09-26"):
            records.append(stac.radar(f"2018-{day}T08:26:00", 141, bounds=corner))
        choice = choose(tracks(records), EVENT, pre=1, post=2)
        assert choice is not None
        assert choice.track.relative_orbit == 68
        assert len(choice.post) == 1  # short of one, which the caller is told

    def test_pass_during_the_event_is_neither(self, stac: Any) -> None:
        during = dt.datetime(2018, 9, 1, 8, 34, 10, tzinfo=dt.UTC)
        records = stac.slices("2018-09-01T08:34:00")
        choice = choose(tracks(records), (during, during), pre=1, post=1)
        assert choice is not None
        assert (choice.pre, choice.post) == ((), ())


class TestRepeats:
    def due(self, records: list[dict[str, Any]], after: str) -> str:
        (track,) = tracks(records)
        instant = dt.datetime.fromisoformat(after).replace(tzinfo=dt.UTC)
        return f"{track.next_after(instant):%m-%d %H:%M}"

    def test_twelve_days_of_one_satellite(self, stac: Any) -> None:
        records = [stac.radar(f"2018-{day}T08:34:00") for day in ("08-08", "08-20", "09-01")]
        assert self.due(records, "2018-09-05") == "09-13 08:34"
        assert self.due(records, "2018-09-14") == "09-25 08:34"

    def test_nobody_waits_for_a_pass_of_years_ago_or_of_no_known_track(self, stac: Any) -> None:
        (track,) = tracks([stac.radar(f"2018-{day}T08:34:00") for day in ("09-01", "09-13")])
        soon = dt.datetime(2018, 10, 1, tzinfo=dt.UTC)
        assert f"{next_due(track.passes, soon):%m-%d}" == "10-07"
        assert next_due(track.passes, soon.replace(year=2026)) is None
        assert next_due([replace(one, relative_orbit=0) for one in track.passes], soon) is None

    def test_six_days_of_two(self, stac: Any) -> None:
        records = [
            stac.radar(f"2018-{day}T08:34:00", platform=f"SENTINEL-1{satellite}")
            for day, satellite in (("08-20", "A"), ("08-26", "B"), ("09-01", "A"), ("09-07", "B"))
        ]
        (track,) = tracks(records)
        assert track.repeat == dt.timedelta(days=6)
        assert self.due(records, "2018-09-08") == "09-13 08:34"
        assert self.due(records, "2018-09-14") == "09-19 08:34"

    def test_a_missed_pass_does_not_lengthen_the_repeat(self, stac: Any) -> None:
        records = [stac.radar(f"2018-{day}T08:34:00") for day in ("07-27", "08-08", "09-01")]
        assert self.due(records, "2018-09-05") == "09-13 08:34"

    def test_one_pass_alone_has_the_twelve_days_of_its_orbit(self, stac: Any) -> None:
        records = [stac.radar("2018-09-01T08:34:00")]
        assert tracks(records)[0].repeat is None
        assert self.due(records, "2018-09-05") == "09-13 08:34"

    def test_satellite_that_ceased_is_not_expected(self, stac: Any) -> None:
        records = [
            stac.radar(f"2018-{day}T08:34:00", platform="SENTINEL-1A")
            for day in ("07-27", "08-08", "08-20", "09-01")
        ]
        records.append(stac.radar("2018-07-21T08:34:00", platform="SENTINEL-1B"))
        assert self.due(records, "2018-09-05") == "09-13 08:34"


@st.composite
def catalogues(draw: st.DrawFn) -> list[tuple[int, str, int, str, float]]:
    """(track, state, day, platform, east edge) of random scenes."""
    one = st.tuples(
        st.sampled_from([46, 68, 141]),
        st.sampled_from(["ascending", "descending"]),
        st.integers(-40, 40),
        st.sampled_from(["SENTINEL-1A", "SENTINEL-1B"]),
        st.sampled_from([141.9, 141.985, 142.101, 143.0]),
    )
    return draw(st.lists(one, min_size=1, max_size=25))


@given(
    drawn=catalogues(), seed=st.integers(0, 2**16), pre=st.integers(1, 3), post=st.integers(1, 3)
)
@settings(max_examples=60, deadline=None)
def test_choice_is_one_track_in_order_whatever_the_input_order(
    stac: Any, drawn: list[Any], seed: int, pre: int, post: int
) -> None:
    records = []
    for number, (track, state, day, platform, east) in enumerate(drawn):
        when = (QUAKE + dt.timedelta(days=day, minutes=track)).strftime("%Y-%m-%dT%H:%M:%S")
        bounds = (141.0, 42.0, east, 43.5)
        records.append(
            stac.radar(when, track, state, platform=platform, bounds=bounds, suffix=f"-{number}")
        )
    shuffled = records.copy()
    random.Random(seed).shuffle(shuffled)
    first = choose(tracks(records), EVENT, pre=pre, post=post)
    second = choose(tracks(shuffled), EVENT, pre=pre, post=post)
    assert first is not None
    assert second is not None

    def ids(choice: Any) -> list[tuple[str, list[str]]]:
        return [(p.role, [i.id for i in p.items]) for p in (*choice.pre, *choice.post)]

    assert ids(first) == ids(second)
    chosen = (*first.pre, *first.post)
    assert len({(p.relative_orbit, p.orbit_state) for p in chosen}) <= 1
    assert all(p.datetime < QUAKE for p in first.pre)
    assert all(p.datetime > QUAKE for p in first.post)
    assert [p.datetime for p in first.pre] == sorted((p.datetime for p in first.pre), reverse=True)
    assert [p.datetime for p in first.post] == sorted(p.datetime for p in first.post)
    assert len(first.pre) <= pre
    assert len(first.post) <= post
    assert all(p.coverage > 0 for p in chosen)


class TestModes:
    """Each instrument mode looks at the ground from elsewhere: none is paired with another."""

    @staticmethod
    def choice(stac: Any, modes: list[str | None], **more: Any) -> Any:
        days = ("2018-08-20", "2018-09-01", "2018-09-13", "2018-09-25")
        records = [
            stac.radar(f"{day}T08:34:00", **{"sar:instrument_mode": mode})
            for day, mode in zip(days, modes, strict=True)
        ]
        return choose(tracks(records), EVENT, pre=1, post=1)

    def test_the_nearest_of_one_mode(self, stac: Any) -> None:
        chosen = self.choice(stac, ["IW", "IW", "SM", "IW"])
        assert [one.datetime.day for one in (*chosen.pre, *chosen.post)] == [1, 25]
        assert {one.mode for one in (*chosen.pre, *chosen.post)} == {"IW"}

    def test_none_is_better_than_another_modes(self, stac: Any) -> None:
        chosen = self.choice(stac, ["SM", "S3", "IW", None])
        assert not (chosen.pre and chosen.post)
        assert {one.mode for track in (chosen.track,) for one in track.passes} in ({"IW"}, {"SM"})

    def test_the_name_tells_it_where_the_property_lacks(self, stac: Any) -> None:
        record = stac.radar("2018-09-01T08:34:00")
        assert [read_scene(record | {"id": name}, SETTINGS).mode for name in (
            "S1A_S3_GRDH_1SDV_20180901T083400", "S1A_EW_GRDM_1SDH_20180901T083400", "own-7",
        )] == ["SM", "EW", "IW"]  # fmt: skip
