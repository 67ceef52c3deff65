"""Presets, settings of any STAC API, and what is said of one that does not answer."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sarmap.acquire.catalogs import PRESETS, open_catalog, resolve_catalog
from sarmap.errors import CatalogError, RequestError
from sarmap.types import CatalogSettings


class TestResolve:
    def test_planetary_computer(self) -> None:
        settings = resolve_catalog("planetary-computer")
        assert settings.url == "https://planetarycomputer.microsoft.com/api/stac/v1"
        assert settings.radar_collection == "sentinel-1-rtc"
        assert settings.dem_collection == "cop-dem-glo-30"
        assert settings.signing == "planetary-computer"
        assert "Copernicus Sentinel data" in settings.attribution
        assert "Copernicus DEM" in settings.dem_attribution
        assert "DEM" not in settings.attribution  # a map without elevation owes it no notice

    def test_opera_takes_elevation_from_elsewhere(self) -> None:
        settings = resolve_catalog("opera-rtc-s1")
        assert settings.radar_assets == {"vv": "0_VV", "vh": "0_VH"}
        assert settings.dem_url == PRESETS["planetary-computer"].url
        assert settings.optical_collection is None
        assert settings.dem_attribution == PRESETS["planetary-computer"].dem_attribution

    def test_url_of_a_preset_is_that_preset(self) -> None:
        url = "https://planetarycomputer.microsoft.com/api/stac/v1/"
        assert resolve_catalog(url) is PRESETS["planetary-computer"]

    def test_any_url_has_the_defaults_and_is_named_by_its_host(self) -> None:
        settings = resolve_catalog("https://user:pw@stac.example.org:8080/v1?token=secret")
        assert settings.name == "stac.example.org:8080"
        assert settings.radar_assets == {"vv": "vv", "vh": "vh"}
        assert settings.signing is None

    def test_settings_pass_through(self) -> None:
        settings = CatalogSettings("mine", "http://127.0.0.1:1")
        assert resolve_catalog(settings) is settings

    def test_preset_with_other_addresses(self) -> None:
        given = {
            "preset": "planetary-computer",
            "url": "http://127.0.0.1:1",
            "signing_url": "http://127.0.0.1:2/token",
        }
        settings = resolve_catalog(given)
        assert (settings.url, settings.signing_url) == (given["url"], given["signing_url"])
        assert settings.signing == "planetary-computer"
        assert settings.attribution == PRESETS["planetary-computer"].attribution

    def test_mapping_as_a_yaml_file_has_it(self) -> None:
        settings = resolve_catalog(
            {
                "url": "http://127.0.0.1:1",
                "radar_collection": "rtc",
                "radar_assets": {"vv": "VV", "vh": ["VV", 2]},
                "optical_assets": {"red": ["visual", 1], "green": ["visual", 2], "blue": "B02"},
            }
        )
        assert settings.radar_assets == {"vv": "VV", "vh": ("VV", 2)}
        assert settings.radar_asset("vv") == ("VV", None)
        assert settings.optical_assets == {
            "red": ("visual", 1),
            "green": ("visual", 2),
            "blue": ("B02", 1),
        }

    @pytest.mark.parametrize(
        ("catalog", "message"),
        [
            ("planetary", r"not known: give a preset \(planetary-computer, opera-rtc-s1, digital-"),
            ("auto", "stands for several archives, and one is needed here"),
            ("/data/catalog.json", "not known"),
            ("a" * 5000, "not known"),
            ("\0", "not known"),
            (42, "cannot be a int"),
            ({"preset": "nasa"}, "preset 'nasa' is not known"),
            ({"radar_collection": "rtc"}, "lack url"),
            ({"url": "http://a", "radar_colection": "b"}, "did you mean radar_collection"),
            ({"url": "http://a", "colour": "b"}, "valid are preset, name, url"),
            ({"url": ["http://a"]}, "setting url is not valid"),
            (
                {"url": "http://a", "radar_assets": {"vv": "data", "vh": "data"}},
                r"vv and vh the same band of asset 'data'.*vh: \[data, 2\]",
            ),
            (
                {"url": "http://a", "radar_assets": {"vv": ["data", 1], "vh": "data"}},
                "the same band of asset 'data'",
            ),
            ({"url": "http://a", "scaling": "decibel"}, "setting scaling is not valid"),
            ({"url": "http://a", "radar_assets": "vv"}, "setting radar_assets is not valid"),
            ({"url": "http://a", "id_pattern": "(T"}, "id_pattern of catalogue a is not a regular"),
            ({"url": "http://a", "signing": "aws"}, "signing 'aws'.*planetary-computer"),
        ],
    )
    def test_refusals(self, catalog: Any, message: str) -> None:
        with pytest.raises(RequestError, match=message) as caught:
            resolve_catalog(catalog)
        assert "\n" not in str(caught.value)


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], str]]:
    """`answering(status, body)`: URL of a server that answers everything so."""
    servers = []

    def start(status: int, body: bytes) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class TestOpen:
    def test_stac_api(self, api: Any, stac: Any) -> None:
        with api(stac.iburi()) as server:
            assert open_catalog(resolve_catalog(server.url)).id == "fake"

    def test_unreachable_without_a_token_in_the_message(self) -> None:
        settings = resolve_catalog("http://me:pw@127.0.0.1:9/stac?token=secret")
        with pytest.raises(CatalogError, match="could not be reached") as caught:
            open_catalog(settings)
        assert caught.value.exit_code == 1
        assert not {"secret", "pw", "token"} & set(str(caught.value).replace("@", " ").split())
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize("status", [403, 404, 500])
    def test_http_errors_are_named(self, answering: Any, status: int) -> None:
        with pytest.raises(CatalogError, match=f"answered HTTP {status}"):
            open_catalog(resolve_catalog(answering(status, b"{}")))

    @pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"a": 1}', b"\xff\xfe"])
    def test_not_a_stac_api(self, answering: Any, body: bytes) -> None:
        with pytest.raises(CatalogError, match="did not answer as a STAC API"):
            open_catalog(resolve_catalog(answering(200, body)))

    def test_static_catalogue(self, answering: Any, stac: Any) -> None:
        catalog = {
            "id": "static",
            "type": "Catalog",
            "stac_version": "1.0.0",
            "description": "files only",
            "links": [],
        }
        with pytest.raises(CatalogError, match="without item search"):
            open_catalog(resolve_catalog(answering(200, json.dumps(catalog).encode())))
