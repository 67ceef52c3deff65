"""Tokens are fetched at read time, renewed before they expire, and never shown."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import planetary_computer.sas
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from sarmap.acquire.scenes import read_item
from sarmap.errors import CatalogError, RequestError
from sarmap.net import signing
from sarmap.net.signing import (
    Signer,
    TokenStore,
    adopt,
    make_signer,
    redact,
    signed_records,
    unsigned,
    without_signature,
)
from sarmap.types import CatalogSettings

BLOB = "https://sentinel1euwestrtc.blob.core.windows.net/sentinel1-grd-rtc/GRD/iw-vv.rtc.tiff"
SAS = "st=2026-01-01T00%3A00%3A00Z&se=2026-01-02T00%3A00%3A00Z&sp=rl&sv=2024-05-04&sr=c&sig=abc%3D"
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def test_an_endpoint_that_gives_no_token_is_named_without_its_secrets() -> None:
    def silent(endpoint: str) -> tuple[str, dt.datetime]:
        raise requests.ConnectionError(endpoint)

    endpoint = "https://me:CANARYpassword@signing.example.org/token?key=CANARYkey"
    with pytest.raises(CatalogError, match=r"signing\.example\.org") as raised:
        TokenStore(silent).query(endpoint)
    assert "CANARY" not in str(raised.value)


class Clock:
    """A clock to be set, and a token endpoint that counts."""

    def __init__(self, life: dt.timedelta = dt.timedelta(hours=1)):
        self.now = NOON
        self.life = life
        self.asked: list[str] = []

    def fetch(self, endpoint: str) -> tuple[str, dt.datetime]:
        self.asked.append(endpoint)
        return f"sig={len(self.asked)}", self.now + self.life

    def store(self) -> TokenStore:
        return TokenStore(self.fetch, lambda: self.now)


class TestSigner:
    signer = Signer("planetary-computer", "http://127.0.0.1:5/token")

    def test_endpoint_is_account_and_container(self) -> None:
        clock = Clock()
        assert self.signer(BLOB, clock.store()) == f"{BLOB}?sig=1"
        assert clock.asked == ["http://127.0.0.1:5/token/sentinel1euwestrtc/sentinel1-grd-rtc"]

    def test_agrees_with_planetary_computers_own_client(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = planetary_computer.sas.SASToken(
            **{"msft:expiry": NOON + dt.timedelta(days=9999), "token": "sig=1"}
        )
        root = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
        cached = {f"{root}/sentinel1euwestrtc/sentinel1-grd-rtc": token}
        monkeypatch.setattr(planetary_computer.sas, "TOKEN_CACHE", cached)
        clock = Clock()
        assert Signer("planetary-computer")(BLOB, clock.store()) == planetary_computer.sign(BLOB)
        assert clock.asked == list(cached)

    def test_an_expired_signature_is_replaced(self) -> None:
        assert planetary_computer.sign(f"{BLOB}?{SAS}") == f"{BLOB}?{SAS}"  # the trap
        assert self.signer(f"{BLOB}?{SAS}", Clock().store()) == f"{BLOB}?sig=1"

    def test_other_queries_stay(self) -> None:
        assert self.signer(f"{BLOB}?v=2", Clock().store()) == f"{BLOB}?v=2&sig=1"

    @pytest.mark.parametrize(
        "href",
        [
            "https://example.org/a/b/c.tif",
            "https://ai4edatasetspublicassets.blob.core.windows.net/assets/thumb.png",
            "/local/file.tif",
            "s3://bucket/key.tif",
        ],
    )
    def test_other_storage_is_left_alone(self, href: str) -> None:
        clock = Clock()
        assert self.signer(href, clock.store()) == href
        assert clock.asked == []

    def test_emulated_storage_has_the_account_in_the_path(self) -> None:
        clock = Clock()
        href = "http://127.0.0.1:9000/account/container/deep/blob.tif"
        assert self.signer(href, clock.store()) == f"{href}?sig=1"
        assert clock.asked == ["http://127.0.0.1:5/token/account/container"]

    def test_emulated_storage_needs_an_endpoint_of_its_own(self) -> None:
        clock = Clock()
        href = "http://127.0.0.1:9000/account/container/blob.tif"
        assert Signer("planetary-computer")(href, clock.store()) == href
        assert clock.asked == []

    def test_no_signer_changes_nothing(self) -> None:
        assert make_signer(CatalogSettings("a", "http://a"))(f"{BLOB}?{SAS}") == f"{BLOB}?{SAS}"

    def test_unknown_signer(self) -> None:
        with pytest.raises(RequestError, match="signing 'aws'"):
            make_signer(CatalogSettings("a", "http://a", signing="aws"))

    def test_pickle_holds_no_token(self) -> None:
        store = Clock().store()
        self.signer(BLOB, store)
        packed = pickle.dumps(self.signer)
        assert b"sig=" not in packed
        assert len(packed) < 200
        assert pickle.loads(packed) == self.signer


class TestTokens:
    signer = Signer("planetary-computer", "http://127.0.0.1:5/token")

    def test_one_token_serves_a_container(self) -> None:
        clock = Clock()
        store = clock.store()
        assert {self.signer(BLOB, store) for _ in range(5)} == {f"{BLOB}?sig=1"}
        assert len(clock.asked) == 1

    def test_renewed_a_minute_before_it_expires(self) -> None:
        clock = Clock()
        store = clock.store()
        self.signer(BLOB, store)
        clock.now = NOON + dt.timedelta(minutes=58, seconds=59)
        assert self.signer(BLOB, store).endswith("sig=1")
        clock.now = NOON + dt.timedelta(minutes=59)
        assert self.signer(BLOB, store).endswith("sig=2")

    def test_short_lives_are_used_for_nine_tenths(self) -> None:
        clock = Clock(life=dt.timedelta(seconds=2))
        store = clock.store()
        self.signer(BLOB, store)
        clock.now = NOON + dt.timedelta(seconds=1.7)
        assert self.signer(BLOB, store).endswith("sig=1")
        clock.now = NOON + dt.timedelta(seconds=1.8)
        assert self.signer(BLOB, store).endswith("sig=2")

    def test_a_token_already_expired_is_still_tried(self) -> None:
        clock = Clock(life=dt.timedelta(seconds=-5))  # the machine's clock is wrong
        assert self.signer(BLOB, clock.store()).endswith("sig=1")

    def test_forgotten_after_a_refusal(self) -> None:
        clock = Clock()
        store = clock.store()
        self.signer(BLOB, store)
        self.signer.forget(BLOB, store)
        assert self.signer(BLOB, store).endswith("sig=2")

    def test_a_refusal_of_an_older_token_keeps_the_newer(self) -> None:
        store = Clock().store()
        refused = self.signer(BLOB, store)
        self.signer.forget(refused, store)
        assert self.signer(BLOB, store).endswith("sig=2")
        self.signer.forget(refused, store)  # a slower read hears of the same refusal
        assert self.signer(BLOB, store).endswith("sig=2")

    def test_many_threads_make_one_request(self) -> None:
        clock = Clock()
        gate = threading.Event()

        def slow(endpoint: str) -> tuple[str, dt.datetime]:
            gate.wait(2)
            return clock.fetch(endpoint)

        store = TokenStore(slow, lambda: clock.now)
        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(self.signer, BLOB, store) for _ in range(8)]
            gate.set()
            assert {answer.result() for answer in answers} == {f"{BLOB}?sig=1"}
        assert len(clock.asked) == 1


@pytest.fixture
def endpoint() -> Iterator[Any]:
    """A signing endpoint on loopback; `.status` and `.body` are what it answers."""

    class State:
        status = 200
        body = json.dumps(
            {"msft:expiry": "2999-01-01T00:00:00Z", "token": "se=2999&sig=fresh"}
        ).encode()
        paths: list[str] = []  # noqa: RUF012  one server per test
        url = ""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            State.paths.append(self.path)
            self.send_response(State.status)
            self.send_header("Content-Length", str(len(State.body)))
            self.end_headers()
            self.wfile.write(State.body)

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    State.url = f"http://127.0.0.1:{server.server_address[1]}/api/sas/v1/token"
    yield State
    server.shutdown()
    server.server_close()


class TestEndpoint:
    def sign(self, url: str) -> str:
        settings = CatalogSettings("a", "http://a", signing="planetary-computer", signing_url=url)
        return make_signer(settings)(BLOB)

    def test_token_over_http(self, endpoint: Any) -> None:
        assert self.sign(endpoint.url) == f"{BLOB}?se=2999&sig=fresh"
        assert endpoint.paths == ["/api/sas/v1/token/sentinel1euwestrtc/sentinel1-grd-rtc"]

    @pytest.mark.parametrize(
        ("status", "body", "message"),
        [
            (404, b"{}", "HTTP 404"),
            (403, b"sig=secret", "HTTP 403"),
            (200, b"not json", "not a token"),
            (200, b'{"token": "sig=secret"}', "not a token"),
            (200, b'{"token": "sig=secret", "msft:expiry": "soon"}', "not a token"),
        ],
    )
    def test_failure_is_one_sentence(
        self, endpoint: Any, status: int, body: bytes, message: str
    ) -> None:
        endpoint.status, endpoint.body = status, body
        with pytest.raises(CatalogError, match=message) as caught:
            self.sign(f"{endpoint.url}")
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_unreachable(self) -> None:
        with pytest.raises(CatalogError, match="no connection"):
            self.sign("http://127.0.0.1:9/token")


class TestRecordsThatComeSigned:
    """Their signature is kept in memory for the read, and stands nowhere else."""

    @pytest.fixture(autouse=True)
    def _nothing_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(signing, "_records", {})

    @pytest.mark.parametrize("query", ["se=2030-01-01&sp=r&sig=CANARY", "token=CANARY&v=2"])
    def test_read_as_they_came_and_stored_without(self, query: str) -> None:
        record = radar_record(f"https://me:CANARYpw@files.example.org/vv.tif?{query}")
        item = read_item(record)
        bare = item.assets["vv"].href
        assert "CANARY" not in repr(item.to_dict())
        signer = make_signer(CatalogSettings("mine", "https://stac.example.org"))
        assert signer(bare) == f"https://files.example.org/vv.tif?{query}"
        assert b"CANARY" not in pickle.dumps((signer, item))

    def test_workers_are_told_and_remember(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bare = without_signature("https://files.example.org/vv.tif?sig=CANARY")
        told = signed_records()
        monkeypatch.setattr(signing, "_records", {})
        assert Signer(None)(bare) == bare
        adopt(told)
        assert Signer(None)(bare) == f"{bare}?sig=CANARY"

    def test_a_catalogues_own_signer_goes_first(self) -> None:
        bare = without_signature(f"{BLOB}?sig=OLD")
        tokens = TokenStore(lambda _endpoint: (SAS, NOON), lambda: NOON)
        assert Signer("planetary-computer")(bare, tokens) == f"{BLOB}?{SAS}"

    def test_what_is_remembered_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(signing, "_RECORDS_KEPT", 3)
        for number in range(10):
            without_signature(f"https://files.example.org/{number}.tif?sig=a")
        assert len(signed_records()) <= 3


def radar_record(href: str) -> dict[str, Any]:
    """The least that an item is."""
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "S1_x",
        "geometry": None,
        "bbox": [141.0, 42.0, 143.0, 43.5],
        "links": [],
        "properties": {"datetime": "2018-09-01T08:34:00Z"},
        "assets": {"vv": {"href": href}},
    }


class TestUnsigned:
    @pytest.mark.parametrize(
        ("href", "bare"),
        [
            (f"{BLOB}?{SAS}", BLOB),
            (f"{BLOB}?v=2&{SAS}", f"{BLOB}?v=2"),
            (BLOB, BLOB),
            ("https://h/a.tif?se=3&sp=4", "https://h/a.tif?se=3&sp=4"),
            ("https://h/a.tif?X-Amz-Date=1&X-Amz-Signature=2&id=7", "https://h/a.tif?id=7"),
            ("https://h/a.tif?AWSAccessKeyId=k&Signature=s&Expires=1", "https://h/a.tif"),
            ("https://user:pw@h/a.tif", "https://h/a.tif"),
            ("data/a.tif", "data/a.tif"),
        ],
    )
    def test_signature_goes_and_the_rest_stays(self, href: str, bare: str) -> None:
        assert unsigned(href) == bare
        assert unsigned(bare) == bare


class TestRedact:
    @pytest.mark.parametrize(
        ("text", "safe"),
        [
            (f"GET {BLOB}?{SAS} failed", f"GET {BLOB} failed"),
            (f"'/vsicurl/{BLOB}?{SAS}' not found", f"'{BLOB}' not found"),
            ("https://me:pw@h/a.tif", "https://h/a.tif"),
            ("bad token=abc, sig=def", "bad token=... sig=..."),
            ("Authorization: Bearer abcdef123456", "Authorization: Bearer ..."),
            ("/home/me/data/a.tif: No such file", "a.tif: No such file"),
            ("HTTP error code: 403", "HTTP error code: 403"),
        ],
    )
    def test_known_texts(self, text: str, safe: str) -> None:
        assert redact(text) == safe

    @given(
        before=st.text("abc :'\"", max_size=10),
        secret=st.text("abcdefghij0123456789%", min_size=8, max_size=20).map(lambda s: "Z" + s),
        key=st.sampled_from(["sig", "token", "X-Amz-Signature", "anything"]),
    )
    def test_no_query_survives(self, before: str, secret: str, key: str) -> None:
        assert secret not in redact(f"{before} https://host/c/b.tif?a=1&{key}={secret} after")


class TestSilentEndpoint:
    """Many reads need a token at once; an endpoint that gives none is not asked by all."""

    def test_asked_once_and_again_after_a_pause(self) -> None:
        asked: list[str] = []
        now = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]

        def fetch(endpoint: str) -> tuple[str, dt.datetime]:
            asked.append(endpoint)
            if len(asked) < 2:
                raise requests.ConnectionError
            return "sig=t", now[0] + dt.timedelta(hours=1)

        tokens = TokenStore(fetch, lambda: now[0])
        for _ in range(5):
            with pytest.raises(CatalogError, match="no connection"):
                tokens.query("http://127.0.0.1/a/b")
        assert len(asked) == 1
        now[0] += dt.timedelta(seconds=11)
        assert tokens.query("http://127.0.0.1/a/b") == "sig=t"

    def test_a_long_retry_after_is_not_waited_out(self) -> None:
        from urllib3 import HTTPResponse

        from sarmap.net import signing

        answer = HTTPResponse(status=429, headers={"Retry-After": "20000"})
        assert signing._RETRIES.get_retry_after(answer) == 30.0
