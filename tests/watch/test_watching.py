"""A watch through a season: every pass is mapped once, whatever the archive and the machine do.

The archive is a STAC API on loopback over the small event's files. Passes appear in it one by one,
in two slices, late, twice and reprocessed; it is away at times, and the watch is killed; no time
passes but the test's own. What a real process leaves that is killed at any moment is held to that
season.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import dask
import geopandas
import numpy as np
import pytest
import xarray as xr
from pandas.testing import assert_frame_equal

import sarmap
from sarmap.errors import CatalogError, RequestError
from sarmap.regions.scan_folder import Folder
from sarmap.store.owner import owning
from sarmap.watch.record import Watch, read_watch
from sarmap.watch.request import check_request
from sarmap.watch.watching import Clock

DAYS = 40


def instant(day: str) -> dt.datetime:
    """'09-13 20' -> that hour of 2018, UTC."""
    return dt.datetime.strptime(f"2018-{day}", "%Y-%m-%d %H").replace(tzinfo=dt.UTC)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Archive:
    """A STAC API whose records appear as time passes, and which is away at times."""

    api: Any
    now: dt.datetime
    appears: list[tuple[dt.datetime, dict[str, Any]]]
    away: list[tuple[dt.datetime, dt.datetime]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)
        self.show()

    def show(self) -> None:
        self.api.records = [record for when, record in self.appears if when <= self.now]
        gone = any(start <= self.now < end for start, end in self.away)
        self.api.status = 404 if gone else 200

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.sleep, random.Random(4).uniform)


def passes_in(event: Any) -> dict[str, list[dict[str, Any]]]:
    """Day of a pass -> records of its slices, whose files are found on this disk; '' -> others."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in json.loads(event.items.read_text(encoding="utf-8"))["features"]:
        for asset in record["assets"].values():
            asset["href"] = str(event.path / asset["href"])
        told = record["properties"]
        day = told["datetime"][5:10] if told.get("sat:relative_orbit") in (46, 68) else ""
        found.setdefault(day, []).append(record)
    return found


def again(record: dict[str, Any], days: int = 0, **changes: Any) -> dict[str, Any]:
    """A record under another id: made anew, or the same ground some days later."""
    fresh = copy.deepcopy(record)
    when = dt.datetime.fromisoformat(fresh["properties"]["datetime"]) + dt.timedelta(days=days)
    fresh["properties"] |= {"datetime": f"{when:%Y-%m-%dT%H:%M:%S.%f}Z", **changes}
    fresh["id"] = f"{fresh['id']}_{days}_{len(changes)}"
    return fresh


@pytest.fixture(scope="module")
def fields(event: Any) -> dict[str, Any]:
    """What is asked: the east of the small event, where both slices of a pass meet."""
    return {
        "area": event.grid[110:206, 160:256],
        "event": event.event,
        "detector": "change",
        "trust_catalog": True,
    }


@pytest.fixture(scope="module")
def archive(event: Any, load_helper: Callable[..., Any]) -> Iterator[Archive]:
    known = passes_in(event)
    first, second = known["09-13"], known["09-16"]
    appears = [(instant("01-01 00"), r) for r in known[""] if r["collection"] != "sentinel-1-rtc"]
    for day in ("08-20", "09-01", "08-23", "09-04"):
        appears += [(instant("09-02 00"), record) for record in known[day]]
    appears += [(instant("09-13 20"), first[0]), (instant("09-14 08"), first[1])]  # by halves
    appears += [(instant("09-17 10"), one) for one in second]
    appears += [(instant("09-17 10"), again(one)) for one in second]  # twice
    appears += [(instant("10-02 00"), again(one, created="2018-10-02T00:00:00Z")) for one in second]
    appears += [(instant("10-08 00"), again(one, 24)) for one in first]  # the third, and then
    appears += [(instant("10-12 06"), one) for one in known["09-25"]]  # the second, late
    away = [("09-13 18", "09-14 00"), ("10-08 00", "10-10 12"), ("10-12 00", "10-13 00")]
    with load_helper("acquire", "conftest").fake_api([]) as api:
        yield Archive(
            api, instant("09-06 06"), appears, [(instant(a), instant(b)) for a, b in away]
        )


@dataclass
class Season:
    """What a watched season left."""

    folder: Path
    watch: Watch
    lines: list[str]
    struck: list[int]
    told: list[dict[str, Any]]


@pytest.fixture(scope="module")
def season(
    archive: Archive, fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Season:
    """Watched to its end, and killed twice: in the middle of a map, and before a whole one is
    noted."""
    folder = tmp_path_factory.mktemp("season")
    heard = folder / "told.json"
    request = sarmap.WatchRequest(
        **fields,
        catalog=archive.api.url,
        out=str(folder / "iburi"),
        products=("geopackage",),
        days=DAYS,
        every=12,
        chunk=64,
        command=f"tee -a '{heard}'",
    )
    lines: list[str] = []
    struck: list[int] = []

    def strike(number: int) -> None:
        """Kill this map once."""
        if number == sum("maps/" in line for line in lines) and number not in struck:
            struck.append(number)
            raise Killed

    def say(line: str) -> None:
        if "maps/" in line:
            strike(3)
        lines.append(line)

    def progress(done: int, total: int) -> None:
        strike(1)

    archive.show()
    with dask.config.set({"sarmap.reads.attempts": 1}):
        watch = None
        while watch is None:
            with contextlib.suppress(Killed):
                watch = sarmap.watch_event(request, clock=archive.clock, say=say, progress=progress)
    decoder, text, told = json.JSONDecoder(), heard.read_text(encoding="utf-8"), []
    while text:
        one, end = decoder.raw_decode(text)
        told.append(one)
        text = text[end:]
    return Season(folder / "iburi", watch, lines, struck, told)


def assert_same(*stores: Any) -> None:
    """Two maps are one, bit for bit."""
    mine, theirs = (xr.open_zarr(one, mask_and_scale=False).load() for one in stores)
    for layer in ("probability", "observation", "slope"):
        np.testing.assert_array_equal(mine[layer].values, theirs[layer].values)
    assert (mine["observation"] == 0).any()


def files_in(folder: Path) -> int:
    """Files in a folder at this moment, while another process writes there."""
    return sum(len(files) for _, _, files in os.walk(folder))


def test_each_pass_is_mapped_once_as_it_comes(season: Season) -> None:
    made = [
        (one.relative_orbit, [look.datetime[5:10] for look in one.passes], one.passes[-1].coverage)
        for one in season.watch.products
    ]
    half = made[0][2]
    assert 0.5 < half < 0.9
    assert made == [
        (68, ["09-13"], half),
        (68, ["09-13"], 1.0),
        (46, ["09-16"], 1.0),
        (68, ["09-13", "10-07"], 1.0),
        (68, ["09-13", "09-25", "10-07"], 1.0),
    ]
    assert season.watch.ended == f"{DAYS} days have passed since the event"
    assert season.struck == [1, 3]
    assert not season.watch.sentence


def test_the_archive_is_asked_politely(season: Season, archive: Archive) -> None:
    """Once a day, and every 12 hours while one of 7 passes is overdue, for 5 days at most."""
    assert DAYS <= season.watch.looks < DAYS + 7 * 5
    assert any("404" in line or "127.0.0.1" in line for line in season.lines)


def test_each_map_is_that_of_a_plain_map_of_its_passes(
    season: Season, archive: Archive, fields: dict[str, Any], tmp_path: Path
) -> None:
    others = [r for _, r in archive.appears if r["collection"] != "sentinel-1-rtc"]
    for product in season.watch.products:
        archive.api.records = others + [r for _, r in archive.appears if r["id"] in product.scenes]
        request = sarmap.MapRequest(
            **fields, catalog=archive.api.url, out=str(tmp_path / f"{product.name}.zarr"), chunk=64
        )
        assert_same(season.folder / product.files["zarr"], sarmap.map_landslides(request).path)


def test_a_process_killed_at_any_moment_goes_on_where_it_was(
    season: Season, archive: Archive, fields: dict[str, Any], tmp_path: Path
) -> None:
    """kill -9 as the folder fills, twice; each start is a process of its own."""
    archive.api.records = [record for _, record in archive.appears]
    request = sarmap.WatchRequest(
        **fields,
        catalog=archive.api.url,
        out=str(tmp_path / "iburi"),
        products=("geopackage",),
        days=19_000,
        chunk=64,
    )
    started = multiprocessing.get_context("forkserver")
    started.set_forkserver_preload(["sarmap.watch.watching", "xarray", "zarr", "pyogrio"])
    newest = [season.watch.products[number] for number in (2, 4)]  # of both tracks
    stores = [season.folder / one.files["zarr"] for one in newest]
    files = sum(map(files_in, stores))
    for enough in (*sorted(random.Random(9).sample(range(1, files), 2)), None):
        process = started.Process(target=sarmap.watch_event, args=(request,), kwargs={"once": True})
        process.start()
        while process.is_alive():
            time.sleep(0.02)
            if enough is not None and files_in(tmp_path / "iburi") >= enough:
                process.kill()
        process.join()
        assert process.exitcode == (0 if enough is None else -9)
    products = read_watch(Folder(tmp_path / "iburi")).products
    assert [one.name for one in products] == [one.name for one in newest]
    for mine, store, theirs in zip(products, stores, newest, strict=True):
        assert_same(tmp_path / "iburi" / mine.files["zarr"], store)
        landslides = [
            geopandas.read_file(folder / one.files["geopackage"], layer="landslides")
            for folder, one in ((tmp_path / "iburi", mine), (season.folder, theirs))
        ]
        assert_frame_equal(*landslides)


def test_each_is_compared_with_the_one_before_of_its_track(season: Season) -> None:
    befores = [one.changes.get("with") for one in season.watch.products]
    names = [one.name for one in season.watch.products]
    assert befores == [None, names[0], None, names[1], names[3]]
    for product in (one for one in season.watch.products if one.changes):
        assert (season.folder / product.files["changes"]).exists()
        area = product.changes["kept"] + product.changes["new"]
        assert 0 <= area <= product.km2 + 1e-6


def test_latest_feed_and_command_tell_of_the_maps(season: Season) -> None:
    names = [one.name for one in season.watch.products]
    latest = json.loads((season.folder / "latest.json").read_text(encoding="utf-8"))
    assert latest["name"] == names[-1]
    assert (season.folder / latest["files"]["geopackage"]).exists()
    atom = "{http://www.w3.org/2005/Atom}"
    root = ElementTree.fromstring((season.folder / "feed.xml").read_bytes())
    entries = root.findall(f"{atom}entry")
    assert len({entry.findtext(f"{atom}id") for entry in entries}) == len(names)
    assert "SIMULATED" in str(entries[0].findtext(f"{atom}title"))
    assert list(dict.fromkeys(one["name"] for one in season.told)) == names
    assert str(season.folder) not in json.dumps(season.told)


def test_status_says_where_it_stands(season: Season, capsys: pytest.CaptureFixture[str]) -> None:
    from sarmap.cli import main

    with pytest.raises(SystemExit) as left:
        main(["status", str(season.folder)])
    said = capsys.readouterr().out
    assert not left.value.code
    assert said.count("\nmap ") == len(season.watch.products)
    assert "SIMULATED" in said
    assert f"ended     {DAYS} days" in said


def test_what_it_knows_is_what_its_folder_says(season: Season) -> None:
    assert read_watch(Folder(season.folder)) == season.watch


def test_one_watch_to_a_folder(
    season: Season, archive: Archive, fields: dict[str, Any], tmp_path: Path
) -> None:
    """Another process's is left alone, and so is a folder that watches something else."""
    request = sarmap.WatchRequest(**fields, catalog=archive.api.url, out=str(season.folder))
    elsewhere = request.model_copy(update={"event": "2018-09-04T00:00:00Z"})
    with pytest.raises(RequestError, match=r"iburi watches something else \(event differ\)"):
        sarmap.watch_event(elsewhere)
    folder = Folder(tmp_path / "watch")
    folder.write("watch.json", replace(season.watch, ended="").record())
    with (
        owning(folder.store, folder.shown),
        pytest.raises(RequestError, match="one watch to a folder is enough"),
    ):
        sarmap.watch_event(request.model_copy(update={"out": folder.out}), once=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(RequestError, match="holds no watch, so nothing is written"):
        sarmap.watch_event(request.model_copy(update={"out": str(tmp_path / "other")}), once=True)


def test_an_archive_that_lags_holds_nothing_up(
    archive: Archive,
    fields: dict[str, Any],
    load_helper: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second of the list has the pass that the first has not; and is not mapped from twice.

    All of it in an object store.
    """
    known = [r for when, r in archive.appears if when < instant("09-14 12")]
    archive.api.records = [r for r in known if "2018-09-13" not in r["properties"]["datetime"]]
    with load_helper("acquire", "conftest").fake_api(known) as other:
        listed = [
            {"url": one.url, "name": name} for one, name in ((archive.api, "a"), (other, "b"))
        ]
        (tmp_path / "archives.yaml").write_text(json.dumps(listed))
        monkeypatch.setenv("SARMAP_ARCHIVES", str(tmp_path / "archives.yaml"))
        request = sarmap.WatchRequest(
            **fields | {"detector": "log-ratio"},
            out="memory://lags",
            relative_orbit=68,
            products=("item",),
        )
        clock = Clock(lambda: instant("09-14 12"))
        first = sarmap.watch_event(request, once=True, clock=clock)
        archive.api.records = known
        second = sarmap.watch_event(request, once=True, clock=clock)
    (product,) = first.products
    assert [look.datetime[:10] for look in product.passes] == ["2018-09-13"]
    assert second.products == first.products
    assert (second.looks, second.failures) == (2, 0)
    bucket = Folder("memory://lags")
    assert bucket.read("latest.json")["name"] == product.name
    assert bucket.read(product.files["item"])["collection"]
    assert bucket.read_bytes("feed.xml")
    assert product.files["zarr"] == f"maps/{product.name}.zarr"


def test_an_earthquake_stays_what_it_was_as_its_watch_began(
    archive: Archive, fields: dict[str, Any], tmp_path: Path
) -> None:
    """Its origin is moved by minutes and its shaking by kilometres for days."""
    archive.api.records = [r for when, r in archive.appears if when < instant("09-06 00")]
    file = tmp_path / "quake.geojson"
    seen = []
    for minutes in (0, 7):
        when = dt.datetime.fromisoformat(fields["event"]) + dt.timedelta(minutes=minutes)
        place = {"type": "Point", "coordinates": [142.0, 42.7, 35.0]}
        told = {"time": when.timestamp() * 1000, "type": "earthquake"}
        record = {"type": "Feature", "id": "us1", "properties": told, "geometry": place}
        file.write_text(json.dumps(record))
        request = sarmap.WatchRequest(
            **fields | {"event": str(file)}, catalog=archive.api.url, out=str(tmp_path / "watch")
        )
        clock = Clock(lambda: instant("09-06 06"))
        seen.append(sarmap.watch_event(request, once=True, clock=clock))
    assert [one.looks for one in seen] == [1, 2]
    assert seen[0].asked == seen[1].asked
    other = request.model_copy(update={"event": "usgs:us2"})
    with pytest.raises(RequestError, match=r"watches something else \(quake differ\)"):
        sarmap.watch_event(other, once=True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"overwrite": True}, "leave out overwrite"),
        ({"after_days": 3.0}, "--days"),
        ({"pre_files": ("a.tif",)}, "sarmap map"),
        ({"webhook": "ftp://example.org"}, "https://"),
        ({"webhook": "https://example.org", "webhook_secret": "NO_SUCH"}, "NO_SUCH"),
    ],
)
def test_what_cannot_be_watched_is_refused_in_words(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        check_request(sarmap.WatchRequest(area=(1, 1, 2, 2), event="2018-09-05", **given))


NOT_OF_A_WATCH = "after_days overwrite resume strict pre_files post_files times"
"""Fields of a map that a watch decides, or refuses."""


def test_a_watch_has_every_option_of_a_map_and_carries_it_through(
    archive: Archive, fields: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sarmap.cli.map_commands import map_, watch

    assert {one.name for one in map_.params} <= {one.name for one in watch.params}
    archive.api.records = [record for _, record in archive.appears]
    given = {
        **fields,
        "catalog": archive.api.url,
        **{"mmi": 5.0, "name": "Iburi", "scaling": "power", "dem": str(tmp_path / "dem.tif")},
        **{"verify": True, "orbit": "ascending", "relative_orbit": 68, "composite": "BAA_S"},
        **{"out": str(tmp_path / "watch"), "pre": 2, "post": 2, "before_days": 40.0, "crs": 32654},
        **{"resolution": 20.0, "overlap": 8, "level": False, "threshold": 0.6, "min_area": 50.0},
        **{"cog_dtype": "float32", "chunk": 32, "engine": "keras", "precision": "f32"},
        **{"dense": True, "memory": "2GB", "products": ("cog",), "keep_radar": True},
        **{"control": True},
    }
    assert {*given, *NOT_OF_A_WATCH.split()} == set(sarmap.MapRequest.model_fields)
    mapped: list[sarmap.WatchRequest] = []

    def prepare(request: sarmap.WatchRequest, **_: Any) -> None:
        mapped.append(request)
        raise CatalogError("That is enough.")

    monkeypatch.setattr("sarmap.watch.watching.prepare", prepare)
    asked = sarmap.WatchRequest(**given)
    sarmap.watch_event(asked, once=True)
    differ = {
        name
        for name, field in type(asked).model_fields.items()
        if getattr(mapped[0], name) != getattr(asked, name) or getattr(asked, name) == field.default
    }
    assert differ == {"after_days", "out", "catalog", "resume", "overwrite"} | {
        *NOT_OF_A_WATCH.split(),
        *(set(type(asked).model_fields) - set(sarmap.MapRequest.model_fields)),
    }
    assert mapped[0].catalog.url == archive.api.url
