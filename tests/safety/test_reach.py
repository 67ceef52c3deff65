"""What a catalogue's records may lead to, and what they may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio

from sarmap.acquire.reader import read_source
from sarmap.acquire.source import Source, item_source
from sarmap.errors import RequestError
from sarmap.net.reach import Reach, check_href, is_public, reach_of
from sarmap.net.signing import Signer
from sarmap.types import CatalogSettings

HOME = Reach(home=("127.0.0.1",))
EVERYWHERE = Reach(trusted=True)

LOCAL = [
    "/etc/passwd",
    "etc/passwd",
    "../../secret.tif",
    "C:\\secret.tif",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "/vsizip//vsicurl/http://127.0.0.1/a.zip",
    "/vsicurl/http://169.254.169.254/latest",
    "/vsicurl?url=http://127.0.0.1/a.tif",
    "/vsimem/a.tif",
    "zip+http://127.0.0.1/a.zip!a.tif",
    "zip:///etc/a.zip!a.tif",
    "ftp://8.8.8.8/a.tif",
    "data:image/tiff;base64,SUkq",
    "GTIFF_DIR:1:/etc/a.tif",
    'NETCDF:"/etc/a.nc":v',
    "<VRTDataset></VRTDataset>",
    "vrt:///etc/a.tif?bands=1",
    "https:///a.tif",
    "http://",
    "//127.0.0.1/a.tif",
    "",
    "https://[::1",
]
NOT_PUBLIC = [
    "http://127.0.0.1/a.tif",
    "http://127.1/a.tif",
    "http://2130706433/a.tif",
    "http://0x7f000001/a.tif",
    "http://0/a.tif",
    "http://localhost:8080/a.tif",
    "http://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/a.tif",
    "https://172.16.0.1/a.tif",
    "https://192.168.1.1/a.tif",
    "https://100.64.0.1/a.tif",
    "http://[::1]/a.tif",
    "http://[fe80::1]/a.tif",
    "http://[fd00:ec2::254]/latest",
    "http://[::ffff:169.254.169.254]/latest",
    "http://[64:ff9b::a9fe:a9fe]/latest",
    "http://user:pw@127.0.0.1/a.tif",
]
PUBLIC = [
    "https://8.8.8.8/a.tif",
    "http://[2606:4700::1111]/a.tif",
    "https://sentinel1euwestrtc.blob.core.windows.net/a/b.tif",
    "s3://sentinel-s1-rtc/a.tif",
    "gs://bucket/a.tif",
    "az://container/a.tif",
]


@pytest.mark.parametrize("href", [*LOCAL, *NOT_PUBLIC])
def test_refused_from_a_catalogue_on_the_internet(href: str) -> None:
    with pytest.raises(RequestError, match="trust-catalog") as refused:
        check_href(href, Reach(), "item 'a', asset 'vv'")
    assert "item 'a', asset 'vv'" in str(refused.value)
    assert not href or len(href) < 9 or href not in str(refused.value)


@pytest.mark.parametrize("href", PUBLIC)
def test_public_hosts_and_buckets_are_reached(href: str) -> None:
    check_href(href, Reach(), "item 'a'")


@pytest.mark.parametrize("href", [*LOCAL, *NOT_PUBLIC])
def test_one_switch_allows_all(href: str) -> None:
    check_href(href, reach_of(CatalogSettings("c", "https://8.8.8.8", trusted=True)), "item 'a'")


class TestHome:
    """A catalogue's own host may serve its files, at any port; its neighbours may not."""

    def test_a_catalogue_on_loopback_may_serve_loopback_assets(self) -> None:
        reach = reach_of(CatalogSettings("demo", "http://127.0.0.1:7822"))
        check_href("http://127.0.0.1:9999/a.tif", reach, "item 'a'")

    @pytest.mark.parametrize("href", ["http://127.0.0.2/a.tif", "http://10.0.0.1/a.tif", *LOCAL])
    def test_and_nothing_else_of_the_kind(self, href: str) -> None:
        reach = reach_of(CatalogSettings("demo", "http://127.0.0.1:7822"))
        with pytest.raises(RequestError):
            check_href(href, reach, "item 'a'")

    def test_by_address_whatever_the_name(self, names: Callable[..., None]) -> None:
        names("stac.internal", "10.1.2.3")
        names("files.internal", "10.1.2.3")
        names("other.internal", "10.1.2.4")
        reach = reach_of(CatalogSettings("c", "http://stac.internal/v1"))
        assert reach == Reach(home=("10.1.2.3",))
        check_href("http://files.internal/a.tif", reach, "item 'a'")
        with pytest.raises(RequestError, match="not public"):
            check_href("http://other.internal/a.tif", reach, "item 'a'")

    def test_elevation_of_ones_own_opens_nothing_to_the_radar_catalogue(self) -> None:
        settings = CatalogSettings("c", "https://8.8.8.8", dem_url="http://127.0.0.1:1")
        assert reach_of(settings) == Reach()
        assert reach_of(settings, settings.dem_url) == Reach(home=("127.0.0.1",))


def test_what_is_public_follows_the_registries() -> None:
    public = ["1.1.1.1", "2001:4860:4860::8888"]
    private = [
        *("0.0.0.0", "10.0.0.1", "127.0.0.1", "169.254.0.1", "192.0.2.1", "198.18.0.1"),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "ff02::1"),
        *("fec0::1", "192.0.0.1", "192.0.0.200"),
        *("fc00::1", "2001:db8::1", "2002:7f00:1::", "::ffff:10.0.0.1", "fe80::1%eth0", "x"),
    ]
    assert [a for a in public if not is_public(a)] == []
    assert [a for a in private if is_public(a)] == []


def item(href: str) -> pystac.Item:
    ring = [[140, 42], [143, 42], [143, 44], [140, 44], [140, 42]]
    record = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "a",
        "bbox": [140, 42, 143, 44],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "links": [],
        "properties": {
            "datetime": "2018-09-01T08:34:00Z",
            "proj:epsg": 32654,
            "proj:shape": [64, 64],
            "proj:transform": [10, 0, 600_000, 0, -10, 4_740_000],
        },
        "assets": {"vv": {"href": href}},
    }
    return pystac.Item.from_dict(record)


@pytest.mark.parametrize("href", ["/etc/passwd", "http://169.254.169.254/", "relative.tif"])
def test_a_cube_of_such_an_item_is_refused_before_anything_is_read(href: str) -> None:
    with pytest.raises(RequestError, match="asset 'vv'"):
        item_source(item(href), "vv", setting="radar_assets", reach=HOME)


def read(href: str, reach: Reach, signer: Any = None) -> Any:
    """Pixels of a 64 x 64 file; None where it could not be opened."""
    source = Source(
        item="a",
        asset="vv",
        href=href,
        band=1,
        crs="EPSG:32654",
        bounds=(600_000, 4_739_360, 600_640, 4_740_000),
        reach=reach,
    )
    found = read_source(source, lambda _: (0, 64, 0, 64), signer or Signer(None), positive=True)
    return None if found is None else found[0]


@pytest.fixture
def cog(tmp_path: Path) -> Path:
    """Folder with a small GeoTIFF `a.tif` of ones."""
    profile = {
        "driver": "GTiff",
        "count": 1,
        "height": 64,
        "width": 64,
        "dtype": "float32",
        "crs": "EPSG:32654",
        "transform": rasterio.Affine(10, 0, 600_000, 0, -10, 4_740_000),
    }
    folder = tmp_path / "served"
    folder.mkdir()
    with rasterio.open(folder / "a.tif", "w", **profile) as made:
        made.write(np.ones((1, 64, 64), np.float32))
    return folder


class TestReads:
    """The rule holds where the connection is made: nothing is asked that may not be."""

    def test_of_home_succeed(self, fault_proxy: ModuleType, cog: Path) -> None:
        with fault_proxy.serve_faults(folder=cog) as server:
            assert (read(f"{server.url}a.tif", HOME) == 1).all()

    def test_of_another_address_are_not_made(self, elsewhere: Any) -> None:
        assert read(f"{elsewhere.url}a.tif", HOME) is None
        assert elsewhere.knocks == 0

    def test_the_switch_makes_them(self, elsewhere: Any) -> None:
        assert read(f"{elsewhere.url}a.tif", EVERYWHERE) is None
        assert elsewhere.knocks > 0

    def test_a_name_counts_by_its_address(self, elsewhere: Any, names: Callable[..., None]) -> None:
        names("public-looking.example", "127.0.0.2")
        assert read(f"http://public-looking.example:{elsewhere.port}/a.tif", HOME) is None
        assert elsewhere.knocks == 0

    def test_a_name_that_changes_its_address_leads_nowhere(
        self, elsewhere: Any, names: Callable[..., None]
    ) -> None:
        names("rebound.example", "8.8.8.8", "127.0.0.2")
        href = f"http://rebound.example:{elsewhere.port}/a.tif"
        check_href(href, HOME, "item 'a'")  # public when it was planned
        assert read(href, HOME) is None
        assert elsewhere.knocks == 0

    @pytest.mark.parametrize("delay", [0, 1])
    def test_a_redirect_to_another_address_is_not_followed(
        self, delay: int, fault_proxy: ModuleType, cog: Path, elsewhere: Any
    ) -> None:
        """At once, or only after the file was opened."""
        fault = fault_proxy.Fault("redirect", location=f"{elsewhere.url}a.tif", after=delay)
        with fault_proxy.serve_faults(folder=cog, faults=[fault]) as server:
            pixels = read(f"{server.url}a.tif", HOME)
            assert server.counts["redirect"] > 0
        assert pixels is None or np.isneginf(pixels).all()
        assert elsewhere.knocks == 0

    @pytest.mark.parametrize(
        "location",
        [
            "http://169.254.169.254/latest/meta-data",
            "http://[::ffff:169.254.169.254]/",
            "file:///etc/passwd",
            "/vsicurl/http://169.254.169.254/",
            "ftp://127.0.0.1/a.tif",
            "gopher://127.0.0.1/",
            "",
        ],
    )
    def test_nor_to_metadata_files_or_other_schemes(
        self,
        location: str,
        fault_proxy: ModuleType,
        cog: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from sarmap.net import guard

        connected = []
        connect = guard.create_connection

        def watch(place: Any, *arguments: Any, **options: Any) -> Any:
            connected.append(place[0])
            return connect(place, *arguments, **options)

        monkeypatch.setattr(guard, "create_connection", watch)
        fault = fault_proxy.Fault("redirect", location=location, path="a.tif")
        with fault_proxy.serve_faults(folder=cog, faults=[fault]) as server:
            assert read(f"{server.url}a.tif", HOME) is None
        assert set(connected) == {"127.0.0.1"}

    def test_redirects_without_end_come_to_one(self, fault_proxy: ModuleType, cog: Path) -> None:
        with fault_proxy.serve_faults(folder=cog) as server:
            server.faults = [fault_proxy.Fault("redirect", location=f"{server.url}a.tif")]
            assert read(f"{server.url}a.tif", HOME) is None
            assert server.counts["requests"] < 60

    def test_never_from_https_to_http(self) -> None:
        from sarmap.net.web import ReadError, next_hop

        with pytest.raises(ReadError, match="https to http"):
            next_hop("https://e.org/a.tif?sig=s", "http://e.org/a.tif?sig=s")


VRT = """<VRTDataset rasterXSize="64" rasterYSize="64">
<SRS>EPSG:32654</SRS><GeoTransform>600000, 10, 0, 4740000, 0, -10</GeoTransform>
<VRTRasterBand dataType="Float32" band="1"><SimpleSource>
<SourceFilename relativeToVRT="0">{source}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>"""
WMS = """<GDAL_WMS><Service name="TMS"><ServerUrl>{source}</ServerUrl></Service>
<DataWindow><SizeX>64</SizeX><SizeY>64</SizeY></DataWindow><BandsCount>1</BandsCount></GDAL_WMS>"""


class TestContent:
    """A file that is no GeoTIFF may name other files; it is not opened, whatever its name."""

    @pytest.mark.parametrize("form", [VRT, WMS])
    @pytest.mark.parametrize("name", ["b.tif", "b.vrt"])
    def test_xml_on_the_web_is_not_followed(
        self, form: str, name: str, fault_proxy: ModuleType, cog: Path, elsewhere: Any
    ) -> None:
        sources = (str(cog / "a.tif"), f"/vsicurl/{elsewhere.url}a.tif", f"{elsewhere.url}a")
        for source in sources:
            (cog / name).write_text(form.format(source=source))
            with fault_proxy.serve_faults(folder=cog) as server:
                assert read(f"{server.url}{name}", HOME) is None
        assert elsewhere.knocks == 0

    def test_nor_on_the_disk_of_one_who_trusts_the_catalogue(self, cog: Path) -> None:
        (cog / "b.tif").write_text(VRT.format(source=cog / "a.tif"))
        assert (read(str(cog / "a.tif"), EVERYWHERE) == 1).all()
        assert read(str(cog / "b.tif"), EVERYWHERE) is None


def test_the_whole_route_refuses_such_a_catalogue_by_exit_code_2(
    event: Any, server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The event's own API, its records led to files on this disk; and the switch."""
    import json

    from sarmap.cli import main
    from sarmap.simulate.serve import serve_catalog

    items = json.loads(event.items.read_text())["features"]
    for record in items:
        for asset in record["assets"].values():
            asset["href"] = f"file://{event.path / asset['href']}"
    collections = json.loads(event.collections.read_text())
    west, south, east, north = event.area
    with serve_catalog(items, collections, event.path) as api:
        words = [
            *("map", "--area", f"{west},{south},{east},{north}", "--event", event.event),
            *("--catalog", api.url, "--detector", "log-ratio", "--orbit", "ascending"),
            *("--out", str(tmp_path / "map.zarr")),
        ]
        with pytest.raises(SystemExit) as refused:
            main(words)
        said = capsys.readouterr().err
        with pytest.raises(SystemExit) as allowed:
            main([*words, "--trust-catalog"])
    assert refused.value.code == 2
    assert "--trust-catalog" in said
    assert str(event.path) not in said
    assert allowed.value.code == 0


class TestAnswers:
    """A STAC API's own links are held to the rule, and its answers have an end."""

    @pytest.fixture
    def hostile(self, fault_proxy: ModuleType, server: Any) -> Any:
        """`with hostile(change) as url:` the API with its search answers changed."""
        import contextlib
        import json

        @contextlib.contextmanager
        def serve(change: Callable[[Any, str], Any]) -> Any:
            with fault_proxy.serve_faults(upstream=server.url) as between:
                between.rewrite = lambda path, body: (
                    json.dumps(change(json.loads(body), between.url)).encode()
                    if path.startswith("/search")
                    else body
                )
                yield between

        return serve

    def search(self, event: Any, url: str) -> Any:
        import sarmap

        return sarmap.search_passes(event.grid, event.event, catalog=url, orbit="ascending")

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_a_next_link_to_another_host_is_not_followed(
        self, method: str, hostile: Any, event: Any, elsewhere: Any
    ) -> None:
        from sarmap.errors import CatalogError

        def lead_away(answer: Any, _url: str) -> Any:
            link = {"rel": "next", "href": f"{elsewhere.url}search", "method": method}
            return {**answer, "links": [link]}

        with hostile(lead_away) as between, pytest.raises(CatalogError):
            self.search(event, between.url)
        assert elsewhere.knocks == 0

    def test_nor_one_that_would_change_something(self, hostile: Any, event: Any) -> None:
        from sarmap.errors import CatalogError

        def delete(answer: Any, url: str) -> Any:
            link = {"rel": "next", "href": f"{url}collections/a", "method": "DELETE"}
            return {**answer, "links": [link]}

        with hostile(delete) as between:
            with pytest.raises(CatalogError, match="link"):
                self.search(event, between.url)
            assert {one.method for one in between.seen} <= {"GET", "POST"}

    @pytest.mark.parametrize(
        ("href", "said"),
        [
            ("file:///etc/passwd", "names no web address in a link"),
            ("/etc/passwd", "answered HTTP"),  # relative: a page of the API's own host
            ("passwd", "answered HTTP"),
        ],
    )
    def test_nor_one_to_a_file(
        self, href: str, said: str, hostile: Any, event: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import builtins

        from sarmap.errors import CatalogError

        def lead_to_file(answer: Any, _url: str) -> Any:
            return {**answer, "links": [{"rel": "next", "href": href}]}

        opened = []
        real = builtins.open

        def watch(file: Any, *arguments: Any, **options: Any) -> Any:
            opened.append(str(file))
            return real(file, *arguments, **options)

        monkeypatch.setattr(builtins, "open", watch)
        with (
            hostile(lead_to_file) as between,
            pytest.raises(CatalogError, match=said),
        ):
            self.search(event, between.url)
        assert not [one for one in opened if "passwd" in one]

    def test_pages_without_end_come_to_one(self, hostile: Any, event: Any) -> None:
        def same_again(answer: Any, url: str) -> Any:
            return {
                **answer,
                "links": [
                    {"rel": "next", "href": f"{url}search?limit=200&collections=sentinel-1-rtc"}
                ],
            }

        with hostile(same_again) as between:
            found = self.search(event, between.url)
            assert between.counts["requests"] < 20
        assert len(found.post) == 2

    @pytest.mark.parametrize(
        ("bound", "most", "said"),
        [
            ("ANSWERS", 40, "more than 40 answers"),
            ("ALL_BYTES", 2**20, "more than 1 MiB in all"),
            ("ALL_SECONDS", 0.3, "more than 0.005 minutes"),
        ],
    )
    def test_new_items_without_end_come_to_one(
        self,
        hostile: Any,
        event: Any,
        monkeypatch: pytest.MonkeyPatch,
        bound: str,
        most: float,
        said: str,
    ) -> None:
        from sarmap.errors import CatalogError
        from sarmap.net import stac_io

        monkeypatch.setattr(stac_io, bound, most)
        pages = iter(range(10**6))

        def ever_new(answer: Any, url: str) -> Any:
            number = next(pages)
            for record in answer["features"]:
                record["id"] += f"-{number}"
            return {
                **answer,
                "links": [
                    {"rel": "next", "href": f"{url}search?limit=200&collections=sentinel-1-rtc"}
                ],
            }

        with hostile(ever_new) as between, pytest.raises(CatalogError, match=said):
            self.search(event, between.url)

    def test_an_answer_without_end_comes_to_one(
        self, hostile: Any, event: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sarmap.errors import CatalogError
        from sarmap.net import stac_io

        monkeypatch.setattr(stac_io, "ANSWER_BYTES", 100_000)

        def swollen(answer: Any, _url: str) -> Any:
            return {**answer, "padding": "x" * 200_000}

        with hostile(swollen) as between, pytest.raises(CatalogError, match="more than"):
            self.search(event, between.url)

    def test_a_redirect_of_the_api_is_held_to_the_rule(
        self, fault_proxy: ModuleType, server: Any, event: Any, elsewhere: Any
    ) -> None:
        from sarmap.errors import CatalogError

        fault = fault_proxy.Fault("redirect", location=elsewhere.url)
        with (
            fault_proxy.serve_faults(upstream=server.url, faults=[fault]) as between,
            pytest.raises(CatalogError, match="not asked"),
        ):
            self.search(event, between.url)
        assert elsewhere.knocks == 0


def test_a_child_of_this_process_speaks_on_connections_of_its_own() -> None:
    """Two processes on one connection would read each other's answers."""
    import os

    from sarmap.net import web

    web._client(HOME)
    child = os.fork()
    if child == 0:
        os._exit(0 if not web._clients else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_trusting_is_off_by_default() -> None:
    from sarmap.acquire.catalogs import PRESETS, resolve_catalog

    assert not any(preset.trusted for preset in PRESETS.values())
    assert not resolve_catalog("http://127.0.0.1:1").trusted
    assert resolve_catalog("http://127.0.0.1:1", trusted=True).trusted
    assert resolve_catalog(replace(PRESETS["planetary-computer"], trusted=True)).trusted
