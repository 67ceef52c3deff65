"""Search and pairing against STAC APIs on loopback."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from sarmap.acquire.catalogs import resolve_catalog
from sarmap.acquire.search import look, pass_rows, search_orbits, search_passes
from sarmap.acquire.shortfall import (
    NoPostPassError,
    NoPrePassError,
    NoSceneError,
    OutsideCoverageError,
    PassError,
    TooFewPassesError,
)
from sarmap.acquire.sought import Search
from sarmap.errors import CatalogError, RequestError
from sarmap.types import Passes


def search_tracks(area: Any, event: Any, *, catalog: Any, **wanted: Any) -> tuple[Passes, ...]:
    return look(Search.of(area, event, **wanted), resolve_catalog(catalog))[0]


def days(passes: Any) -> list[str]:
    return [f"{one.datetime:%m-%d}" for one in passes]


class TestRealServer:
    """rustac: a real STAC API that answers no items to filters it does not know."""

    def test_papers_dates_are_found(self, rustac: str, stac: Any) -> None:
        found = search_passes(stac.area, stac.event, catalog=rustac)
        assert days(found.pre) == ["09-01"]
        assert days(found.post) == ["09-13", "09-25"]
        assert (found.orbit_state, found.relative_orbit) == ("ascending", 68)
        assert [one.role for one in found] == ["pre", "post_1", "post_2"]
        assert all(len(one.items) == 2 and one.coverage == 1 for one in found)
        assert not found.simulated

    @pytest.mark.parametrize(
        ("orbit", "pre", "post"),
        [("ascending", "09-01", "09-13"), ("descending", "09-04", "09-16")],
    )
    def test_orbit_is_filtered_here(
        self, rustac: str, stac: Any, orbit: Any, pre: str, post: str
    ) -> None:
        found = search_passes(stac.area, stac.event, catalog=rustac, orbit=orbit)
        assert found.orbit_state == orbit
        assert (days(found.pre), days(found.post)[0]) == ([pre], post)

    def test_one_track_may_be_named(self, rustac: str, stac: Any) -> None:
        """Track 141 covers a third of the place: never chosen, unless it is asked for."""
        found = search_passes(
            stac.area, stac.event, catalog=rustac, relative_orbit=141, pre=1, post=2
        )
        assert (found.relative_orbit, days(found)) == (141, ["08-25", "09-06", "09-18"])
        (alone,) = search_tracks(stac.area, stac.event, catalog=rustac, relative_orbit=46)
        assert alone.orbit_state == "descending"
        with pytest.raises(PassError, match=r"no radar pass of relative orbit 7 .* orbit 141"):
            search_passes(stac.area, stac.event, catalog=rustac, relative_orbit=7)

    def test_more_pre_passes_count_back_from_the_event(self, rustac: str, stac: Any) -> None:
        found = search_passes(stac.area, stac.event, catalog=rustac, pre=3)
        assert [(one.role, f"{one.datetime:%m-%d}") for one in found.pre] == [
            ("pre", "09-01"),
            ("pre_2", "08-20"),
            ("pre_3", "08-08"),
        ]

    def test_both_gives_one_entry_per_direction(self, rustac: str, stac: Any) -> None:
        found = search_orbits(
            Search.of(stac.area, stac.event, orbit="both"), resolve_catalog(rustac)
        )
        assert [one.orbit_state for one in found] == ["ascending", "descending"]
        assert days(found[1]) == ["09-04", "09-16", "09-28"]

    def test_storm_interval_takes_nothing_from_within(self, rustac: str, stac: Any) -> None:
        storm = ("2018-08-30", "2018-09-14")
        found = search_passes(stac.area, storm, catalog=rustac, orbit="ascending", post=1)
        assert days(found.pre) == ["08-20"]
        assert days(found.post) == ["09-25"]

    def test_clearest_optical_then_nearest(self, rustac: str, stac: Any) -> None:
        found = search_passes(stac.area, stac.event, catalog=rustac, optical=True)
        assert [item.id for item in found.optical] == ["S2A_2018-10-20T01:26:00_54TWN"]

    def test_no_optical_scene(self, rustac: str, stac: Any) -> None:
        with pytest.raises(NoSceneError, match=r"no optical scene.*after_days"):
            search_passes(
                stac.area, stac.event, catalog=rustac, optical=True, post=1, after_days=10
            )

    def test_place_outside_coverage(self, rustac: str, stac: Any) -> None:
        with pytest.raises(OutsideCoverageError, match=r"10\.000 N to 11\.000 N.*outside the cov"):
            search_passes((10, 10, 11, 11), stac.event, catalog=rustac)

    def test_dates_without_scenes(self, rustac: str, stac: Any) -> None:
        with pytest.raises(NoSceneError, match="although there are others of the place") as caught:
            search_passes(stac.area, "2016-01-01T00:00:00Z", catalog=rustac)
        assert "'sentinel-1-rtc'" in str(caught.value)
        assert "between 2015-11-02 and 2016-03-01" in str(caught.value)

    def test_unknown_collection_is_named_with_those_there_are(self, rustac: str, stac: Any) -> None:
        settings = {"url": rustac, "radar_collection": "s1"}
        with pytest.raises(RequestError, match=r"no collection 's1' \(it has sentinel-1-rtc, sent"):
            search_passes(stac.area, stac.event, catalog=settings)


class TestPagesAndFilters:
    def test_pages_are_followed(self, api: Any, stac: Any) -> None:
        with api(stac.iburi(), page=3) as server:
            found = search_passes(stac.area, stac.event, catalog=server.url)
            assert len(server.searches) == 8  # 23 records, three at a time
        assert days(found) == ["09-01", "09-13", "09-25"]

    @pytest.mark.parametrize("extension", ["filter", "query"])
    def test_filter_goes_along_where_the_server_has_one(
        self, api: Any, stac: Any, extension: str
    ) -> None:
        with api(stac.iburi(), (getattr(stac, extension),)) as server:
            found = search_passes(stac.area, stac.event, catalog=server.url, orbit="descending")
            assert [extension in body for body in server.searches] == [True]
        assert days(found) == ["09-04", "09-16", "09-28"]

    def test_no_filter_goes_to_a_server_without_one(self, api: Any, stac: Any) -> None:
        with api(stac.iburi()) as server:
            search_passes(stac.area, stac.event, catalog=server.url, orbit="descending")
            assert [{"filter", "query"} & set(body) for body in server.searches] == [set()]

    def test_a_filter_that_finds_too_little_is_not_trusted(self, api: Any, stac: Any) -> None:
        records = stac.iburi()
        for record in records:  # upper case: equality on the server finds nothing
            state = record["properties"]["sat:orbit_state"]
            record["properties"]["sat:orbit_state"] = state.upper()
        with api(records, (stac.filter,)) as server:
            found = search_passes(stac.area, stac.event, catalog=server.url, orbit="ascending")
        assert days(found) == ["09-01", "09-13", "09-25"]


class TestWhatIsMissing:
    def test_no_post_pass_says_what_exists_and_when_the_next_is_due(
        self, api: Any, stac: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = dt.datetime(2018, 9, 7, tzinfo=dt.UTC)
        monkeypatch.setattr("sarmap.acquire.search.utc_now", lambda: now)
        records = [r for r in stac.iburi() if r["properties"]["datetime"] < "2018-09-05"]
        with (
            api(records) as server,
            pytest.raises(NoPostPassError) as caught,
        ):
            search_passes(stac.area, stac.event, catalog=server.url)
        text = str(caught.value)
        assert (
            "ascending orbit 68 passed on 2018-08-08 (100%), 2018-08-20 (100%), 2018-09-01" in text
        )
        assert "the next is due 2018-09-13 08:34 UTC (seen every 12 days)" in text
        assert "the next is due 2018-09-16 20:42 UTC" in text
        assert caught.value.due["descending orbit 46"].day == 16
        assert len(caught.value.passes) == 7
        assert caught.value.exit_code == 2

    def test_overdue_pass_is_said_to_be_missing(
        self, api: Any, stac: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = dt.datetime(2018, 9, 14, tzinfo=dt.UTC)
        monkeypatch.setattr("sarmap.acquire.search.utc_now", lambda: now)
        records = [r for r in stac.iburi() if r["properties"]["datetime"] < "2018-09-05"]
        with api(records) as server, pytest.raises(NoPostPassError) as caught:
            search_passes(stac.area, stac.event, catalog=server.url, orbit="ascending")
        assert "was due 2018-09-13 08:34 UTC and is not in the catalogue" in str(caught.value)
        assert "the one after is due 2018-09-25 08:34 UTC" in str(caught.value)
        assert len(server.searches) == 1

    def test_nobody_waits_for_a_pass_of_years_ago(self, api: Any, stac: Any) -> None:
        records = [r for r in stac.iburi() if r["properties"]["datetime"] < "2018-09-05"]
        with api(records) as server, pytest.raises(NoPostPassError) as caught:
            search_passes(stac.area, stac.event, catalog=server.url, orbit="ascending")
        assert "was due 2018-09-13 08:34 UTC and is not in the catalogue (seen" in str(caught.value)

    def test_a_pass_that_exists_as_grd_alone_is_said_to_be_seen(self, api: Any, stac: Any) -> None:
        whole = [r for r in stac.iburi() if r["properties"]["sat:relative_orbit"] != 141]
        late = [r for r in whole if r["properties"]["datetime"] > "2018-09-05"]
        rtc = [r for r in whole if r not in late]
        grd = [{**r, "collection": "sentinel-1-grd"} for r in whole]
        sentence = r"GRD of 2018-09-13 \(ascending orbit 68\), 2018-09-25 .* exists, its RTC"
        with api([*rtc, *grd]) as server:
            catalog = {"url": server.url, "grd_collection": "sentinel-1-grd"}
            with pytest.raises(NoPostPassError, match=sentence):
                search_passes(stac.area, stac.event, catalog=catalog, orbit="ascending")
            server.records += late[:2]  # RTC of 13 September alone
            (found,) = search_tracks(
                stac.area, stac.event, catalog=catalog, orbit="ascending", post=1
            )
            asked = len(server.searches)
            assert search_passes(stac.area, stac.event, catalog=catalog, post=1).notes == ()
        assert found.notes == (
            "GRD of 2018-09-25 (ascending orbit 68) exists, its RTC does not yet.",
        )
        assert [one["collections"] for one in server.searches[asked:]] == [["sentinel-1-rtc"]]

    @pytest.mark.parametrize("name", ["SENTINEL-1A", "SENTINEL-1B", "sentinel-1c", "S1D"])
    def test_each_of_the_four_satellites_is_paired_with_another(
        self, api: Any, stac: Any, name: str
    ) -> None:
        after = stac.radar("2018-09-13T08:34:00")
        after["properties"]["platform"] = name
        with api([stac.radar("2018-09-01T08:34:00", platform="SENTINEL-1A"), after]) as server:
            found = search_passes(stac.area, stac.event, catalog=server.url, post=1)
        assert found.post[0].platform == f"SENTINEL-1{name[-1].upper()}"

    def test_fewer_posts_than_asked(self, api: Any, stac: Any) -> None:
        records = [r for r in stac.iburi() if r["properties"]["datetime"] < "2018-09-15"]
        with api(records) as server:
            with pytest.raises(TooFewPassesError) as caught:
                search_passes(stac.area, stac.event, catalog=server.url)
            listed = search_tracks(stac.area, stac.event, catalog=server.url, orbit="ascending")
        assert (listed[0].relative_orbit, len(listed[0].post)) == (68, 1)
        text = str(caught.value)
        assert "2 passes after the event were asked for, but ascending orbit 68 has 1" in text
        assert "ask for that many (post=1, --post 1)" in text

    def test_every_orbit_is_listed_the_best_first(self, rustac: str, stac: Any) -> None:
        found = search_tracks(stac.area, stac.event, catalog=rustac)
        assert [one.relative_orbit for one in found] == [68, 46, 141]

    def test_fewer_pres_than_asked(self, rustac: str, stac: Any) -> None:
        with pytest.raises(TooFewPassesError, match=r"9 passes before.*has 3.*pre=3"):
            search_passes(stac.area, stac.event, catalog=rustac, pre=9)

    def test_no_pre_pass(self, api: Any, stac: Any) -> None:
        records = [r for r in stac.iburi() if r["properties"]["datetime"] > "2018-09-05"]
        with api(records) as server, pytest.raises(NoPrePassError, match="before_days"):
            search_passes(stac.area, stac.event, catalog=server.url)

    def test_orbit_that_never_passes(self, api: Any, stac: Any) -> None:
        records = [r for r in stac.iburi() if r["properties"]["sat:orbit_state"] == "ascending"]
        with (
            api(records) as server,
            pytest.raises(PassError, match=r"no descending pass.*there is ascending orbit 68"),
        ):
            search_passes(stac.area, stac.event, catalog=server.url, orbit="descending")

    def test_both_needs_both(self, api: Any, stac: Any) -> None:
        records = [r for r in stac.iburi() if r["properties"]["sat:orbit_state"] == "ascending"]
        with api(records) as server, pytest.raises(PassError, match="no descending pass"):
            search_orbits(
                Search.of(stac.area, stac.event, orbit="both"), resolve_catalog(server.url)
            )

    def test_scenes_without_the_band_are_left_out_and_named(self, api: Any, stac: Any) -> None:
        records = stac.iburi()
        for record in records:
            if record["properties"]["datetime"] > "2018-09-20":
                del record["assets"]["vh"]
        with api(records) as server:
            assert len(search_passes(stac.area, stac.event, catalog=server.url).post) == 2
            with pytest.raises(TooFewPassesError, match=r"want of asset 'vv' and 'vh', such as S1"):
                search_passes(stac.area, stac.event, catalog=server.url, bands=("vv", "vh"))

    def test_band_that_the_catalogue_does_not_name(self, rustac: str, stac: Any) -> None:
        with pytest.raises(RequestError, match="no asset for band 'hh'"):
            search_passes(stac.area, stac.event, catalog=rustac, bands=("hh",))

    def test_no_optical_collection(self, rustac: str, stac: Any) -> None:
        settings = {"url": rustac, "optical_collection": None}
        with pytest.raises(RequestError, match="has no optical collection"):
            search_passes(stac.area, stac.event, catalog=settings, optical=True)

    def test_empty_collection(self, api: Any, stac: Any) -> None:
        with api([]) as server, pytest.raises(OutsideCoverageError, match="has no items"):
            search_passes(stac.area, stac.event, catalog=server.url)


class TestBadItems:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"geometry": {"type": "Point", "coordinates": [560000, 4710000]}}, "source form"),
            ({"properties": {"sat:relative_orbit": None}}, "lacks the property sat:relative_orbit"),
            ({"properties": {"sat:relative_orbit": "A"}}, "has sat:relative_orbit = 'A'"),
            ({"properties": {"sat:orbit_state": None}}, "lacks the property sat:orbit_state"),
            ({"properties": {"sat:orbit_state": "geostationary"}}, "'geostationary'"),
            ({"properties": {"datetime": None}}, "not a valid STAC item"),
            ({"bbox": [1, 2]}, "not a valid STAC item"),
            ({"assets": 5}, "not a valid STAC item"),
        ],
    )
    def test_one_odd_record_is_left_out_and_counted(
        self, api: Any, stac: Any, change: dict[str, Any], said: str
    ) -> None:
        odd = stac.radar("2018-09-03T08:34:00", suffix="X")
        odd["properties"] |= change.pop("properties", {})
        with api([*stac.iburi(), {**odd, **change}]) as server:
            server._matches = lambda _record, _body: True
            passes = search_passes(stac.area, stac.event, catalog=server.url)
        assert [one.datetime.day for one in passes] == [1, 13, 25]
        (note,) = passes.notes
        assert note.startswith(f"1 record was left out (item {odd['id']} ")
        assert said in note

    def test_numbers_may_be_text(self, api: Any, stac: Any) -> None:
        records = stac.iburi()
        for record in records:
            number = record["properties"]["sat:relative_orbit"]
            record["properties"]["sat:relative_orbit"] = str(number)
        with api(records) as server:
            assert search_passes(stac.area, stac.event, catalog=server.url).relative_orbit == 68

    def test_the_first_is_named_where_all_are_odd(self, api: Any, stac: Any) -> None:
        records = [stac.radar("2018-09-01T08:34:00", sat=1) | {"id": f"odd_{n}"} for n in (1, 2)]
        for record in records:
            del record["properties"]["sat:relative_orbit"]
        with api(records) as server, pytest.raises(RequestError, match=r"^item odd_1 lacks"):
            search_passes(stac.area, stac.event, catalog=server.url)

    def test_what_lacks_is_told_with_what_was_left_out(self, api: Any, stac: Any) -> None:
        odd = stac.radar("2018-09-13T08:34:00", **{"sat:relative_orbit": None})
        with (
            api([stac.radar("2018-09-01T08:34:00"), odd]) as server,
            pytest.raises(NoPostPassError, match=rf"1 record was left out \(item {odd['id']}"),
        ):
            search_passes(stac.area, stac.event, catalog=server.url)

    def test_what_nobody_needs_of_a_record_is_not_looked_at(self, api: Any, stac: Any) -> None:
        records = stac.iburi()
        for record in records:
            record["assets"]["thumbnail"] = {"type": "image/png"}
            west, south, east, north = record["bbox"]
            record["bbox"] = [west, south, 0.0, east, north, 640.0]
        with api(records) as server:
            server._matches = lambda _record, _body: True
            assert search_passes(stac.area, stac.event, catalog=server.url).notes == ()

    def test_source_form_of_a_whole_collection(self, api: Any, stac: Any) -> None:
        records = [stac.radar("2018-09-13T08:34:00", bounds=(560000, 4710000, 585000, 4750000))]
        with api(records) as server, pytest.raises(RequestError, match="source form"):
            search_passes(stac.area, stac.event, catalog=server.url)

    def test_item_without_footprint(self, api: Any, stac: Any) -> None:
        bad = stac.radar("2018-09-13T08:34:00", suffix="X")
        bad["geometry"] = {"type": "Polygon", "coordinates": []}
        found_by_bbox = [*stac.iburi(), bad]
        with api(found_by_bbox) as server:  # its bbox stands in for the empty geometry
            assert search_passes(stac.area, stac.event, catalog=server.url).relative_orbit == 68


class TestRequest:
    def test_both_is_for_search_orbits(self, stac: Any) -> None:
        with pytest.raises(RequestError, match="search_orbits"):
            search_passes(stac.area, stac.event, orbit="both")

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"orbit": "up"}, "orbit 'up'"),
            ({"pre": 0}, "pre is 0"),
            ({"post": 0}, "post is 0"),
            ({"before_days": 0}, "before_days is 0"),
            ({"after_days": -3}, "after_days is -3"),
        ],
    )
    def test_wrong_arguments(self, stac: Any, wrong: dict[str, Any], message: str) -> None:
        with pytest.raises(RequestError, match=message):
            search_passes(stac.area, stac.event, catalog="http://127.0.0.1:9", **wrong)

    def test_event_in_the_future(self, stac: Any) -> None:
        with pytest.raises(RequestError, match="in the future"):
            search_passes(stac.area, "2999-01-01T00:00:00Z", catalog="http://127.0.0.1:9")

    def test_unreachable_catalogue(self, stac: Any) -> None:
        with pytest.raises(CatalogError, match="could not be reached"):
            search_passes(stac.area, stac.event, catalog="http://127.0.0.1:9/stac?token=secret")

    def test_server_that_fails_on_search(self, api: Any, stac: Any) -> None:
        with api(stac.iburi()) as server:
            original = server.search

            def fail(body: Any) -> Any:
                server.status = 500
                return original(body)

            server.search = fail
            with pytest.raises(CatalogError, match="answered HTTP 500"):
                search_passes(stac.area, stac.event, catalog=server.url)


class TestWhatComesBack:
    def test_hrefs_are_unsigned(self, api: Any, stac: Any) -> None:
        records = stac.iburi()
        for record in records:
            record["assets"]["vv"]["href"] += "?se=2026-01-01&sp=rl&sig=secret"
        with api(records) as server:
            found = search_passes(stac.area, stac.event, catalog=server.url)
        hrefs = [item.assets["vv"].href for one in found for item in one.items]
        assert all(href.endswith("vv.tif") for href in hrefs)

    def test_simulated_is_carried_on(self, api: Any, stac: Any) -> None:
        records = stac.iburi()
        records[4]["properties"]["sarmap:simulated"] = True
        with api(records) as server:
            found = search_passes(stac.area, stac.event, catalog=server.url)
        assert found.simulated

    def test_passes_travel_to_workers(self, api: Any, stac: Any) -> None:
        with api(stac.iburi()) as server:
            found = search_passes(stac.area, stac.event, catalog=server.url)
        again = pickle.loads(pickle.dumps(found))
        assert [one.items[0].id for one in again] == [one.items[0].id for one in found]

    def test_rows_are_plain_and_ordered(self, api: Any, stac: Any) -> None:
        with api(stac.iburi()) as server:
            found = search_passes(stac.area, stac.event, catalog=server.url)
        rows = json.loads(json.dumps(pass_rows(found)))
        assert rows[0] == {
            "role": "pre",
            "datetime": "2018-09-01T08:34:00Z",
            "platform": "SENTINEL-1B",
            "orbit_state": "ascending",
            "relative_orbit": 68,
            "coverage_percent": 100.0,
            "scenes": [
                "S1B_IW_GRDH_1SDV_20180901T083400_068_rtc",
                "S1B_IW_GRDH_1SDV_20180901T083425_068_rtc",
            ],
        }


class TestOpera:
    """OPERA's items name their orbit in the id alone; its versions carry a production time."""

    BURST = "OPERA_L2_RTC-S1_T137-292319-IW2_{acquired}_{made}_{satellite}_30_v1.0"

    def record(self, stac: Any, acquired: str, made: str, satellite: str) -> dict[str, Any]:
        when = dt.datetime.strptime(acquired, "%Y%m%dT%H%M%SZ").isoformat()
        record = stac.radar(when, bounds=(-118.5, 34.0, -117.5, 34.4))
        record["id"] = self.BURST.format(acquired=acquired, made=made, satellite=satellite)
        record["collection"] = "OPERA_L2_RTC-S1_V1_1"
        record["properties"] = {"datetime": f"{when}Z"}
        record["assets"] = {f"0_{b}": {"href": f"http://127.0.0.1:9/{b}.tif"} for b in ("VV", "VH")}
        return record

    def test_orbit_platform_and_newest_version(self, api: Any, stac: Any) -> None:
        records = [
            self.record(stac, "20211119T015858Z", "20250830T120333Z", "S1A"),
            self.record(stac, "20211125T015816Z", "20220101T000000Z", "S1B"),
            self.record(stac, "20211125T015816Z", "20250830T093052Z", "S1B"),
            self.record(stac, "20211201T015857Z", "20250830T065219Z", "S1A"),
            self.record(stac, "20211207T015815Z", "20250830T041332Z", "S1B"),
        ]
        with api(records) as server:
            settings = {"preset": "opera-rtc-s1", "url": server.url}
            found = search_passes(
                (-118.2, 34.1, -118.0, 34.3), "2021-11-28T00:00Z", catalog=settings
            )
        assert (found.orbit_state, found.relative_orbit) == ("ascending", 137)
        assert [one.platform for one in found] == ["SENTINEL-1B", "SENTINEL-1A", "SENTINEL-1B"]
        assert [item.id for item in found.pre[0].items] == [records[2]["id"]]
        assert found.catalog.dem_url is not None


@pytest.mark.real
def test_recorded_planetary_computer_items(real_data: Path, api: Any, stac: Any) -> None:
    """Four recorded slices of one pass make one pass, and no post-event pass is there yet."""
    records = json.loads((real_data / "stac" / "sentinel-1-rtc-pc.json").read_text())
    with api(records) as server, pytest.raises(NoPostPassError) as caught:
        search_passes((14.6, 30.4, 16.2, 35.0), "2024-04-25T00:00Z", catalog=server.url)
    (one,) = caught.value.passes
    assert (one.relative_orbit, one.orbit_state, len(one.items)) == (51, "descending", 4)
    assert f"{one.datetime:%H:%M:%S}" == "04:58:01"
    assert 0.9 < one.coverage <= 1
    assert caught.value.due["descending orbit 51"].date() == dt.date(2024, 5, 1)
