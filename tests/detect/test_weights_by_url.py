"""Weights by URL: fetched once, kept, and refused where the hash is not as promised."""

from __future__ import annotations

import functools
import http.server
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sarmap.detect.fetching import WeightsAddress
from sarmap.detect.manifest import save_weights
from sarmap.detect.weights import load_detector
from sarmap.errors import WeightsError

HASH = "0" * 64


class _Shop(http.server.ThreadingHTTPServer):
    """A file server that remembers what was asked."""

    asked: list[str]


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        assert isinstance(self.server, _Shop)
        self.server.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's own weights, of the papers' CNN made small."""
    return tmp_path / "shop"


@pytest.fixture
def shop(folder: Path) -> Iterator[_Shop]:
    """The folder behind a web server on loopback."""
    folder.mkdir()
    with _Shop(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder))) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def put(folder: Path, scale: float = 1.0) -> str:
    """Put weights into a folder; their SHA-256."""
    arrays = {"kernel": np.full((3, 3), scale, np.float16)}
    fields = {
        "network": "attention-unet",
        "bands": ("vv_pre", "vv_post_1"),
        "scaling": "amplitude",
        "normalisation": "tile-minmax",
        "kind": "segment",
        "tile": 16,
        "stride": 16,
        "simulated": True,
    }
    path = save_weights(arrays, folder, name="mine", **fields)
    return str(load_detector(path, precision="f32").sha256)  # type: ignore[attr-defined]


def url(shop: _Shop, file: str = "mine.json") -> str:
    return f"http://127.0.0.1:{shop.server_port}/{file}"


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SARMAP_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("file", ["mine.json", "mine.npz"])
def test_weights_come_by_url_and_are_fetched_once(shop: _Shop, folder: Path, file: str) -> None:
    sha256 = put(folder)
    for _ in range(2):
        detector = load_detector(url(shop, file), precision="f32")
        assert detector.sha256 == sha256  # type: ignore[attr-defined]
    assert shop.asked.count("/mine.npz") == 1


def test_a_worker_with_a_cache_of_its_own_fetches_them_and_checks_the_client_s_hash(
    shop: _Shop, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(folder)
    sent = pickle.dumps(load_detector(url(shop), precision="f32"))
    monkeypatch.setenv("SARMAP_CACHE", str(tmp_path / "worker"))
    pickle.loads(sent).find_weights()
    assert len(list((tmp_path / "worker").rglob("mine.npz"))) == 1


def test_weights_changed_after_the_start_are_refused_by_the_worker(
    shop: _Shop, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(folder)
    sent = pickle.dumps(load_detector(url(shop), precision="f32"))
    put(folder, scale=2.0)  # a sound manifest, but other weights
    monkeypatch.setenv("SARMAP_CACHE", str(tmp_path / "worker"))
    with pytest.raises(WeightsError, match="not those that were promised"):
        pickle.loads(sent).find_weights()
    assert not list((tmp_path / "worker").rglob("*.npz"))


def test_a_file_tampered_with_in_the_shop_or_in_the_cache_is_not_used(
    shop: _Shop, folder: Path, tmp_path: Path
) -> None:
    put(folder)
    load_detector(url(shop), precision="f32")
    (kept,) = (tmp_path / "cache").rglob("mine.npz")
    kept.write_bytes(b"changed in the cache")
    load_detector(url(shop), precision="f32")
    assert kept.read_bytes() == (folder / "mine.npz").read_bytes()
    (folder / "mine.npz").write_bytes(b"changed in the shop")
    kept.unlink()
    with pytest.raises(WeightsError, match="not those that were promised"):
        load_detector(url(shop), precision="f32")


def test_an_address_can_pin_the_hash(shop: _Shop, folder: Path) -> None:
    sha256 = put(folder)
    load_detector(f"{url(shop)}#sha256={sha256}", precision="f32")
    with pytest.raises(WeightsError, match="not those asked for"):
        load_detector(f"{url(shop)}#sha256={HASH}", precision="f32")


def test_an_answer_larger_than_any_weights_is_not_kept(
    shop: _Shop, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder)
    monkeypatch.setattr("sarmap.detect.fetching._WEIGHTS_BYTES", 10)
    with pytest.raises(WeightsError, match="size"):
        load_detector(url(shop), precision="f32")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://user:secret@example.org/mine.json", "a query or a user"),
        ("https://example.org/mine.json?sig=secret", "a query or a user"),
        ("ftp://example.org/mine.json", "use http"),
        ("https://example.org/mine", "names no weights"),
        ("https://example.org/mine.json#md5=1", "sha256"),
    ],
)
def test_an_address_that_cannot_serve_is_refused_without_its_secrets(
    address: str, message: str
) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        WeightsAddress.parse(address)
    assert "secret" not in str(caught.value)


def test_nothing_at_the_address_is_one_sentence(shop: _Shop) -> None:
    with pytest.raises(WeightsError, match=r"mine\.json cannot be fetched \(FileNotFoundError\)"):
        load_detector(url(shop), precision="f32")
