"""Blob storage on loopback that opens only to a fresh token, and the endpoint that gives tokens.

Shaped like Planetary Computer's: blobs at `/{account}/{container}/{path}` (as the Azurite emulator
has them), tokens at `/api/sas/v1/token/{account}/{container}` as
`{"token": "st=...&se=...&sig=...", "msft:expiry": "..."}`. A request without a token, with a forged
one or with one that has expired is answered 403, as Azure answers it.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

TOKEN_ROUTE = "/api/sas/v1/token/"
_STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class SignedStorage:
    """The folder that is served, who may read it, and what was asked of it."""

    folder: Path
    """Blobs: `folder/account/container/path`."""
    life: dt.timedelta = dt.timedelta(hours=1)
    """How long a token opens its container."""
    clock: Callable[[], dt.datetime] = _now
    """Tells the time, UTC."""
    revoke_after: int | None = None
    """Blob requests after which every token out is refused, once, before its time."""
    url: str = ""
    """Root of the storage; set while it is served."""
    requests: list[tuple[str, int, str]] = field(default_factory=list)
    """(kind, status, path) of each blob request; kind: signed, unsigned, forged, expired,
    revoked."""
    tokens: list[str] = field(default_factory=list)
    """Every token handed out."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """Key of the signatures."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Guards the two lists."""
    revoked: frozenset[str] = frozenset()
    """Tokens refused before their time."""

    @property
    def signing_url(self) -> str:
        """Root of the token endpoint."""
        return self.url + TOKEN_ROUTE.rstrip("/")

    @property
    def kinds(self) -> Counter[tuple[str, int]]:
        """How often each (kind, status) was seen."""
        with self.lock:
            return Counter((kind, status) for kind, status, _ in self.requests)

    @property
    def signatures(self) -> list[str]:
        """The secret part of every token handed out, as it stands in an address."""
        return [token.rpartition("sig=")[2] for token in self.tokens]

    def issue(self, container: str) -> dict[str, str]:
        """A token for `account/container`, as the endpoint answers it."""
        now = self.clock()
        expiry = (now + self.life).strftime(_STAMP)
        fields = {"st": now.strftime(_STAMP), "se": expiry, "sp": "rl", "sv": "2024-05-04"}
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in fields.items())
        token = f"{query}&sr=c&sig={quote(self._signature(container, expiry), safe='')}"
        with self.lock:
            self.tokens.append(token)
        return {"msft:expiry": expiry, "token": token}

    def judge(self, container: str, query: str) -> str:
        """What a blob request's query is worth."""
        given = parse_qs(query)
        if "sig" not in given:
            return "unsigned"
        expiry = given.get("se", [""])[0]
        if not hmac.compare_digest(given["sig"][0], self._signature(container, expiry)):
            return "forged"
        if query in self.revoked:
            return "revoked"
        until = dt.datetime.strptime(expiry, _STAMP).replace(tzinfo=dt.UTC)
        return "signed" if self.clock() < until else "expired"

    def note(self, kind: str, status: int, path: str) -> None:
        """Remember a blob request; revoke the tokens where their number is up."""
        with self.lock:
            self.requests.append((kind, status, path))
            if self.revoke_after is not None and len(self.requests) >= self.revoke_after:
                self.revoked, self.revoke_after = frozenset(self.tokens), None

    def _signature(self, container: str, expiry: str) -> str:
        made = hmac.new(self.secret, f"{container} {expiry}".encode(), hashlib.sha256)
        return base64.b64encode(made.digest()).decode()


class _Handler(BaseHTTPRequestHandler):
    """Token endpoint and blobs with byte ranges."""

    protocol_version = "HTTP/1.1"
    storage: SignedStorage

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith(TOKEN_ROUTE):
            record = self.storage.issue(parts.path.removeprefix(TOKEN_ROUTE))
            self._answer(200, json.dumps(record).encode(), "application/json")
            return
        account, _, rest = unquote(parts.path).lstrip("/").partition("/")
        container, _, blob = rest.partition("/")
        kind = self.storage.judge(f"{account}/{container}", parts.query)
        file = self.storage.folder / account / container / blob
        if kind != "signed":
            self.storage.note(kind, 403, parts.path)
            self._answer(403, b"<Error><Code>AuthenticationFailed</Code></Error>", "text/xml")
        elif not file.is_file():
            self.storage.note(kind, 404, parts.path)
            self._answer(404, b"<Error><Code>BlobNotFound</Code></Error>", "text/xml")
        else:
            self._blob(file, parts.path)

    do_HEAD = do_GET

    def _blob(self, file: Path, path: str) -> None:
        size = file.stat().st_size
        asked = _RANGE.match(self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]) if asked and asked[2] else size - 1, size - 1)
        status = 206 if asked else 200
        if first > last:
            self.storage.note("signed", 416, path)
            self._answer(416, b"", "text/xml", {"Content-Range": f"bytes */{size}"})
            return
        with file.open("rb") as opened:
            opened.seek(first)
            body = opened.read(last - first + 1)
        self.storage.note("signed", status, path)
        ranged = {"Content-Range": f"bytes {first}-{last}/{size}"} if asked else {}
        self._answer(status, body, "image/tiff", {"Accept-Ranges": "bytes", **ranged})

    def _answer(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the storage keeps its own record."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent: a client may hang up once it has the bytes it wants."""


@contextmanager
def serve_signed(storage: SignedStorage) -> Iterator[SignedStorage]:
    """Serve `storage` on a free loopback port until the block ends."""
    handler = type("Handler", (_Handler,), {"storage": storage})
    with _Server(("127.0.0.1", 0), handler) as server:
        storage.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield storage
        finally:
            server.shutdown()
            thread.join()
