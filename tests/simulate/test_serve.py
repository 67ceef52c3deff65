"""A folder of items and files becomes a STAC API with byte ranges, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pystac_client
import pytest

from sarmap.errors import CatalogError, RequestError
from sarmap.simulate import serve
from sarmap.simulate.serve import serve_catalog

COLLECTION = {
    "type": "Collection",
    "stac_version": "1.0.0",
    "id": "sentinel-1-rtc",
    "description": "two bytes of nothing",
    "license": "proprietary",
    "links": [],
    "extent": {
        "spatial": {"bbox": [[141, 42, 142, 43]]},
        "temporal": {"interval": [["2018-09-01T00:00:00Z", None]]},
    },
    "sarmap:attribution": "SIMULATED for a test.",
}


def item(name: str, day: int) -> dict[str, Any]:
    ring = [[141, 42], [142, 42], [142, 43], [141, 43], [141, 42]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "sentinel-1-rtc",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [141, 42, 142, 43],
        "properties": {"datetime": f"2018-09-{day:02d}T08:34:00Z"},
        "assets": {"vv": {"href": "pixels.bin"}},
        "links": [],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pixels.bin").write_bytes(bytes(range(256)))
    return tmp_path


def read(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.status, answer.read()


def running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in listed.stdout.split()]


def test_pystac_client_finds_the_items_of_an_interval(folder: Path) -> None:
    items = [item("before", 1), item("after", 13)]
    with serve_catalog(items, [COLLECTION], folder) as server:
        client = pystac_client.Client.open(server.url)
        found = client.search(
            collections=["sentinel-1-rtc"],
            bbox=(141.2, 42.2, 141.3, 42.3),
            datetime="2018-09-06/2018-09-30",
        )
        (one,) = found.items()
    assert one.id == "after"
    assert one.assets["vv"].href == server.files_url + "pixels.bin"


def test_the_settings_name_only_collections_that_exist(folder: Path) -> None:
    with serve_catalog([item("a", 1)], [COLLECTION], folder) as server:
        assert server.catalog.url == server.url
        assert server.catalog.dem_collection is None
        assert server.catalog.optical_collection is None
        assert "SIMULATED" in server.catalog.attribution


def test_files_answer_byte_ranges(folder: Path) -> None:
    with serve_catalog([item("a", 1)], [COLLECTION], folder) as server:
        status, body = read(server.files_url + "pixels.bin", Range="bytes=10-19")
    assert status == 206
    assert body == bytes(range(10, 20))


def test_a_range_comes_with_its_checksum(folder: Path) -> None:
    with serve_catalog([item("a", 1)], [COLLECTION], folder) as server:
        request = urllib.request.Request(
            server.files_url + "pixels.bin", headers={"Range": "bytes=49-57"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.read() == b"123456789"
    # E3069283: the check value of CRC-32C (RFC 3720 and the catalogue of CRCs)
    assert answer.headers["Content-Digest"] == "crc32c=:4waSgw==:"


def test_a_missing_file_is_a_404(folder: Path) -> None:
    with (
        serve_catalog([item("a", 1)], [COLLECTION], folder) as server,
        pytest.raises(urllib.error.HTTPError, match="404"),
    ):
        read(server.files_url + "gone.bin")


def test_nothing_answers_afterwards_even_when_the_block_raised(folder: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        serve_catalog([item("a", 1)], [COLLECTION], folder) as server,
    ):
        raise KeyboardInterrupt
    for url in (server.url, server.files_url + "pixels.bin"):
        with pytest.raises(urllib.error.URLError):
            read(url)


def test_an_item_of_an_unknown_collection_is_refused_by_name(folder: Path) -> None:
    stray = item("stray", 1) | {"collection": "elsewhere"}
    with (
        pytest.raises(RequestError, match=r"'stray'.*'elsewhere'.*collections="),
        serve_catalog([stray], [COLLECTION], folder),
    ):
        pass


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(RequestError, match="files='nowhere'"),
        serve_catalog([item("a", 1)], [COLLECTION], tmp_path / "nowhere"),
    ):
        pass


def test_a_missing_rustac_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.shutil, "which", lambda *args, **kwargs: None)
    with (
        pytest.raises(CatalogError, match="pip install rustac"),
        serve_catalog([item("a", 1)], [COLLECTION], folder),
    ):
        pass


def test_records_that_the_api_cannot_load_say_so(folder: Path) -> None:
    broken = {"id": "sentinel-1-rtc", "type": "Nonsense"}
    with (
        pytest.raises(CatalogError, match="rustac serve"),
        serve_catalog([item("a", 1)], [broken], folder),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_servers_die_with_a_killed_parent(folder: Path) -> None:
    script = (
        "import json, sys, time\n"
        "from sarmap.simulate.serve import serve_catalog\n"
        "items, collections, files = json.load(sys.stdin)\n"
        "with serve_catalog(items, collections, files):\n"
        "    print('up', flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin as pipe:
        json.dump([[item("a", 1)], [COLLECTION], str(folder)], pipe)
    assert parent.stdout.readline().strip() == "up"
    (host,) = children(parent.pid)
    (api,) = children(host)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    limit = time.monotonic() + 60
    while (running(host) or running(api)) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not running(host)
    assert not running(api)
