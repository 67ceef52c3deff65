"""The webhook: signed, told again until it answers, and silent about its address and its key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import sarmap
from sarmap.watch.record import Look, Product, Watch
from sarmap.watch.telling import tell

KEY = "whsec_" + base64.b64encode(b"a key of twenty-four b.").decode()
PRODUCT = Product(
    name="2018-09-13_ascending_68_1",
    made="2018-09-14T02:00:00+00:00",
    orbit_state="ascending",
    relative_orbit=68,
    passes=(Look(68, "2018-09-13T08:34:00+00:00", 1.0),),
    scenes=("S1B_a", "S1B_b"),
    detector="change",
    landslides=12,
    km2=0.3,
    seen_km2=9.0,
    unread=0,
    simulated=True,
    files={"zarr": "maps/2018-09-13_ascending_68_1.zarr"},
)
WATCH = Watch("0" * 32, {"event": ["2018-09-05T18:08:00+00:00"] * 2}, "begun", "next")


class Hook:
    """A web server that answers as it is told, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""


@pytest.fixture
def hook() -> Iterator[Hook]:
    kept = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(kept.answers.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}/hook?token=hush"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()


def request(**given: Any) -> sarmap.WatchRequest:
    return sarmap.WatchRequest(area=(1, 1, 2, 2), event="2018-09-05", **given)


def test_the_record_is_signed(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Standard Webhooks has it, checked here by its words: v1,base64(hmac(id.time.body))."""
    monkeypatch.setenv("SARMAP_WEBHOOK_SECRET", KEY)
    hook.answers = [204]
    assert tell(request(webhook=hook.url), WATCH, PRODUCT, 1_536_890_400.7) == ("", ["webhook"])
    ((headers, body),) = hook.got
    signed = f"{headers['webhook-id']}.1536890400.".encode() + body
    mac = hmac.new(b"a key of twenty-four b.", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    told = json.loads(body)
    assert (told["name"], told["landslides"], told["simulated"]) == (PRODUCT.name, 12, True)
    assert "SIMULATED" in told["headline"]


def test_what_fails_is_told_again_and_says_no_secret(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SARMAP_WEBHOOK_SECRET", KEY)
    hook.answers = [500, 302, 200]
    asked = request(webhook=hook.url, command="false")
    for answer in (500, 302):
        sentence, told = tell(asked, WATCH, PRODUCT, 0.0)
        assert f"127.0.0.1 answered {answer}" in sentence
        assert "The command left with 1" in sentence
        assert told == []
        assert not any(secret in sentence for secret in ("hush", KEY, KEY[6:]))
    assert tell(asked, WATCH, PRODUCT, 0.0)[1] == ["webhook"]
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 1


def test_who_knows_is_not_told_again(hook: Hook) -> None:
    from dataclasses import replace

    known = replace(PRODUCT, told=("webhook",))
    assert tell(request(webhook=hook.url), WATCH, known, 0.0) == ("", ["webhook"])
    assert hook.got == []


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARMAP_WEBHOOK_SECRET", "plain")
    sentence, told = tell(request(webhook="http://127.0.0.1:9/hush"), WATCH, PRODUCT, 0.0)
    assert "127.0.0.1 was not reached (ConnectionError)" in sentence
    assert "hush" not in sentence
    assert told == []
