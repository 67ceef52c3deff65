"""Archives asked one after the other: the first with the passes serves, and says why not others."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import pytest
import xarray as xr
import yaml

import sarmap
from sarmap.acquire.archives import archives_of
from sarmap.acquire.search import search_passes
from sarmap.assembly import prepare
from sarmap.cli import main
from sarmap.errors import CatalogError, RequestError
from sarmap.net.patience import Deadline, patience
from sarmap.net.reach import Reach
from sarmap.net.signing import Signer, check_login, make_signer
from sarmap.net.web import ReadError, fetch
from sarmap.simulate.serve import absolute_hrefs
from sarmap.types import CatalogSettings, Login

DOWN = {"name": "down", "url": "http://127.0.0.1:9"}
LOCKED = {
    "name": "locked",
    "url": "http://127.0.0.1:9",
    "login": {
        "name": "Earthdata", "variable": "A_TOKEN", "hosts": ["127.0.0.1"], "machine": "urs.org"
    },
}  # fmt: skip


@pytest.fixture
def listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[list[Any]], None]]:
    """`listed(entries)`: the user's own list of archives; and no login kept."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("A_TOKEN", raising=False)

    def write(entries: list[Any]) -> None:
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(entries))
        monkeypatch.setenv("SARMAP_ARCHIVES", str(tmp_path / "mine.yaml"))

    with dask.config.set({"sarmap.reads.attempts": 1}):
        yield write


def before_event(stac: Any) -> list[dict[str, Any]]:
    return [r for r in stac.iburi() if r["properties"]["datetime"] < "2018-09-05"]


class TestTheList:
    def test_comes_with_sarmap(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        names = ["planetary-computer", "opera-rtc-s1", "digital-earth-africa"]
        assert [one.name for one in archives_of("auto")] == names
        for one in archives_of("auto"):
            assert set(one.radar_assets) == {"vv", "vh"}
            assert "Copernicus Sentinel data" in one.attribution
            assert one.dem_collection == "cop-dem-glo-30"
        assert archives_of("auto")[1].login is not None

    def test_is_the_users_where_there_is_one(self, listed: Any) -> None:
        listed(["opera-rtc-s1", {"url": "http://127.0.0.1:1", "scaling": "db"}])
        first, second = archives_of("auto", trusted=True)
        assert (first.name, second.name, second.scaling) == ("opera-rtc-s1", "127.0.0.1:1", "db")
        assert first.trusted

    @pytest.mark.parametrize(
        ("entries", "message"),
        [
            ([], "mine.yaml must hold a list"),
            (["auto"], "mine.yaml must hold a list"),
            ({"url": "http://127.0.0.1:1"}, "mine.yaml must hold a list"),
            (["planetary"], "'planetary' is not known"),
        ],
    )
    def test_refusals(self, listed: Any, entries: Any, message: str) -> None:
        listed(entries)
        with pytest.raises(RequestError, match=message):
            archives_of("auto")

    def test_a_list_that_is_named_and_lacks_is_no_list(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("SARMAP_ARCHIVES", str(tmp_path / "none.yaml"))
        with pytest.raises(RequestError, match=r"none\.yaml cannot be read: check SARMAP_ARCHIVES"):
            archives_of("auto")


class TestSearch:
    def test_the_first_that_has_the_passes_serves(
        self, api: Any, stac: Any, listed: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = dt.datetime(2018, 9, 15, tzinfo=dt.UTC)
        monkeypatch.setattr("sarmap.acquire.archives.utc_now", lambda: now)
        late = [r for r in stac.iburi() if r not in before_event(stac)]
        with api(before_event(stac)) as stale, api(late) as young, api(stac.iburi()) as whole:
            urls = [{"name": n, "url": one.url} for n, one in (("stale", stale), ("young", young))]
            listed([DOWN, LOCKED, *urls, {"name": "whole", "url": whole.url}])
            found = search_passes(stac.area, stac.event)
        assert found.catalog.name == "whole"
        # of one archive alone, although two others hold the halves
        hosts = {item.assets["vv"].href for one in found for item in one.items}
        assert {href.split("/")[2] for href in hosts} == {"127.0.0.1:9"}
        (note,) = found.notes
        assert note.startswith("The passes are those of whole; down was not taken: catalogue down ")
        assert "could not be reached" in note
        assert "locked was not taken: Reading from locked needs a login of Earthdata: set" in note
        assert (
            "stale was not taken: its newest pass over the place is of 2018-09-04 20:42 UTC, "
            "10.1 days ago, 100% covered, and no pass of descending orbit 46 after the event"
        ) in note
        assert "young was not taken: its newest pass over the place is of 2018-09-28" in note
        assert "no pass before the event" in note

    def test_the_first_of_all_is_taken_without_a_word(
        self, api: Any, stac: Any, listed: Any
    ) -> None:
        with api(stac.iburi()) as whole:
            listed([whole.url, DOWN])
            assert search_passes(stac.area, stac.event).notes == ()

    def test_where_none_serves_each_says_what_it_lacks(
        self, api: Any, stac: Any, listed: Any
    ) -> None:
        with api(before_event(stac)) as stale:
            listed([DOWN, LOCKED, {"name": "stale", "url": stale.url}])
            with pytest.raises(RequestError, match="no archive has what this needs: down: ") as one:
                search_passes(stac.area, stac.event)
        assert "locked: Reading from locked needs a login" in str(one.value)
        assert "stale: no pass of descending orbit 46 after the event" in str(one.value)
        listed([DOWN, {**DOWN, "name": "also-down"}])
        with pytest.raises(CatalogError, match="also-down: catalogue also-down"):
            search_passes(stac.area, stac.event)

    def test_what_is_wrong_with_the_request_is_said_once(self, listed: Any, stac: Any) -> None:
        listed([DOWN, {**DOWN, "name": "also-down"}])
        with pytest.raises(RequestError, match=r"^orbit 'up' is not known"):
            search_passes(stac.area, stac.event, orbit="up")  # type: ignore[arg-type]


def told(capsys: Any, stac: Any, *more: str) -> str:
    """What `sarmap search` prints of the place."""
    area = ",".join(map(str, stac.area))
    with pytest.raises(SystemExit) as caught:
        main(["search", "--area", area, "--event", stac.event, *more])
    assert not caught.value.code
    return str(capsys.readouterr().out)


def test_sarmap_search_shows_archives_side_by_side(
    api: Any, stac: Any, listed: Any, capsys: Any
) -> None:
    grd = [{**r, "collection": "sentinel-1-grd"} for r in stac.iburi()]
    with api([*before_event(stac), *grd]) as stale, api(stac.iburi()) as whole:
        first = {"name": "first", "url": stale.url, "grd_collection": "sentinel-1-grd"}
        others = [{"name": name, "url": whole.url} for name in ("second", "third")]
        open_door = {**LOCKED, "url": whole.url}
        listed([DOWN, first, open_door, *others])
        text = told(capsys, stac)
        record = json.loads(told(capsys, stac, "--json"))
        alone = json.loads(told(capsys, stac, "--json", "--catalog", whole.url))
    lines = [line for line in text.splitlines() if line.startswith("archive ")]
    starts = ["down: not taken: catalogue down", "first: not taken: its newest pass", *(
        "locked: not taken: Reading from locked needs a login", "second: taken; its newest pass",
        "third: not needed; its newest pass over the place is of 2018-09-28 20:42 UTC, 100% cov",
    )]  # fmt: skip
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(f"archive   {start}")
    assert "GRD of 2018-09-06 (ascending orbit 141), 2018-09-13" in lines[1]
    assert "exists, its RTC does not yet" in lines[1]
    assert "2018-09-13 08:34 UTC" in text
    assert [one["taken"] for one in record["archives"]] == [False, False, False, True, False]
    assert {one["catalog"] for one in record["orbits"]} == {"second"}
    assert "archives" not in alone


@pytest.fixture
def radar(event: Any, server: Any) -> list[dict[str, Any]]:
    """The small event's radar records, as if they were real: a map of them knows its archive."""
    records = json.loads(event.items.read_text(encoding="utf-8"))["features"]
    found = [one for one in records if one["collection"] == "sentinel-1-rtc"]
    for one in found:
        one["properties"] = {k: v for k, v in one["properties"].items() if "sarmap" not in k}
    return [absolute_hrefs(one, server.files_url) for one in found]


@pytest.fixture
def two(server: Any, radar: Any, api: Any, listed: Any) -> Iterator[Any]:
    """Two archives, of which the second has all passes, and the first is to be filled."""
    with api([]) as first, api(radar) as second:
        names = (("first", first), ("second", second))
        listed([{"name": n, "url": one.url, "dem_url": server.url} for n, one in names])
        yield first


def test_a_map_without_a_pass_after_in_the_first_archive_comes_from_the_second(
    two: Any, event: Any, radar: Any, request_of: Any
) -> None:
    two.records += [o for o in radar if o["properties"]["datetime"] < event.event]
    request = request_of(catalog="auto", area=event.grid[:64, :64])
    result = sarmap.map_landslides(request)
    (said,) = [one for one in result.warnings if "was not taken" in one]
    assert said.startswith("The passes are those of second; first was not taken: its newest pass ")
    attrs = xr.open_zarr(result.path).attrs
    assert json.loads(attrs["sarmap:request"])["catalog"] == "second"
    assert said in json.loads(attrs["warnings"])
    two.records[:] = radar  # the first has caught up: what was begun stays as it was
    again = sarmap.map_landslides(request.model_copy(update={"resume": True}))
    assert again.computed == 0
    assert again.plan.passes[0].catalog.name == "second"


@pytest.mark.parametrize("ill", ["down", "stale"])
def test_so_does_one_whose_first_archive_is_down_or_stale(
    two: Any, radar: Any, request_of: Any, ill: str
) -> None:
    two.status = 500 if ill == "down" else 200
    for one in radar:
        told = {**one["properties"], "datetime": "2018-03-01T08:00:00Z"}
        two.records.append({**one, "properties": told})
    prepared = prepare(request_of(catalog="auto"))
    assert prepared.catalog.name == "second"
    said = {"down": "first answered HTTP 500", "stale": "no radar scene in collection"}
    assert said[ill].replace("first", f"first at {two.url}") in prepared.warnings[0]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A file behind a door that wants a token and leads elsewhere, and what each was asked with."""
    asked: list[tuple[str, str | None]] = []

    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers.get("Authorization")
            asked.append((self.path, token))
            host = f"localhost:{self.server.server_address[1]}"
            if self.path == "/door" and token != "Bearer secret-token":
                self.send_response(401)
            elif self.path == "/door":
                self.send_response(302)
                self.send_header("Location", f"http://{host}/file")
            else:
                self.send_response(206)
                self.send_header("Content-Range", "bytes 0-3/4")
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"data")
                return
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/door", asked
    server.shutdown()
    server.server_close()


class TestLogin:
    login = Login("Earthdata", "A_TOKEN", ("127.0.0.1", "nasa.gov"), "urs.org")

    def test_the_token_opens_its_own_hosts_and_goes_no_further(
        self, guarded: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url, asked = guarded
        signer = make_signer(CatalogSettings("a", "http://a", login=self.login))
        how = (0, 3, Reach(trusted=True), patience(), Deadline(30))
        monkeypatch.delenv("A_TOKEN", raising=False)
        with pytest.raises(ReadError, match="HTTP 401"):
            fetch(url, *how, login=signer.headers)
        asked.clear()
        monkeypatch.setenv("A_TOKEN", "secret-token")
        assert fetch(url, *how, login=signer.headers).body == b"data"
        assert asked[-1] == ("/file", None)
        assert all(token == "Bearer secret-token" for path, token in asked if path == "/door")
        assert "secret-token" not in repr(signer)

    @pytest.mark.parametrize(
        ("href", "sent"),
        [
            ("https://cumulus.nasa.gov/a.tif", True),
            ("https://nasa.gov/a.tif", True),
            ("http://cumulus.nasa.gov/a.tif", False),
            ("https://nasa.gov.example.org/a.tif", False),
            ("https://notnasa.gov/a.tif", False),
        ],
    )
    def test_only_over_https_and_to_named_hosts(
        self, href: str, sent: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("A_TOKEN", "secret-token")
        assert bool(Signer(None, login=self.login).headers(href)) == sent

    def test_an_entry_of_netrc_does_as_well(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("A_TOKEN", raising=False)
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        settings = CatalogSettings("a", "http://a", login=self.login)
        with pytest.raises(RequestError, match=r"A_TOKEN to a token, or name machine urs\.org"):
            check_login(settings)
        (tmp_path / "netrc").write_text("machine urs.org login me password mine\n")
        check_login(settings)
        check_login(replace(settings, login=None))

    def test_a_map_without_it_is_refused_before_anything_is_asked(
        self, listed: Any, request_of: Any
    ) -> None:
        with pytest.raises(RequestError, match="needs a login of Earthdata"):
            sarmap.map_landslides(request_of(catalog=LOCKED))
