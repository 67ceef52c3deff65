"""One request for a range of a file over the web: guarded, checked to the byte, never endless.

What an answer must be: status 206, a `Content-Range` that starts where it was asked to and as many
bytes as it says (RFC 9110, section 14.4), in no content coding and no error page's type. Anything
else is a `ReadError`; how often it is tried again is for `sarmap.net.remote` to say. Every
connection, of a redirect too, is made by the rule of `sarmap.net.reach`.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies

from sarmap.net.checksums import vouched
from sarmap.net.guard import CONNECTIONS, GuardedAdapter, pool_classes
from sarmap.net.patience import Deadline, Patience, retry_after
from sarmap.net.reach import WEB, AddressRefused, Reach
from sarmap.net.signing import discreet
from sarmap.net.tally import count
from sarmap.version import __version__

Login = Callable[[str], dict[str, str]]
"""Address -> headers of the credential that it asks for."""

HOPS = 8
"""Redirects followed."""

# The clients tell addresses, signature and all, to who listens at DEBUG.
discreet("urllib3.connectionpool", "urllib3.util.retry", "pystac_client.stac_api_io")

REDIRECTS = (301, 302, 303, 307, 308)
"""Statuses that lead elsewhere."""

_PASSING = (403, 408, 416, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524)
"""Statuses that another try may mend; 403: with another token; 416: the file is being replaced."""
_PAGES = ("text/html", "application/xhtml", "application/json", "application/xml", "text/xml")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")


class ReadError(OSError):
    """A request that did not give what was asked for; its text holds no address."""

    def __init__(
        self, reason: str, *, again: bool = True, status: int = 0, wait: float | None = None
    ) -> None:
        super().__init__(reason)
        self.again = again
        """True where another try may succeed."""
        self.status = status
        """HTTP status; 0: there was none."""
        self.wait = wait
        """Seconds the server asks to be left alone."""


class FileChanged(ReadError):
    """The file is another one than when it was opened: open it again."""


@dataclass(frozen=True)
class Answer:
    """The bytes of a range, and of what file they are."""

    body: bytes
    """Bytes; fewer than asked for only at the end of the file."""
    size: int
    """Bytes of the whole file."""
    version: str
    """What the server calls this state of the file: its entity tag, a weak one too, or else when it
    was last modified; empty where it says neither."""
    url: str
    """Where they were found, after redirects."""
    vouched: bool
    """Whether TLS or a checksum speaks for the bytes."""


def fetch(
    url: str,
    first: int,
    last: int,
    reach: Reach,
    limits: Patience,
    deadline: Deadline,
    *,
    alone: bool = False,
    login: Login = lambda _url: {},
) -> Answer:
    """Bytes `first` to `last` (inclusive) of a file, in one try; a ReadError says whether another
    may help.

    With `alone` the next request takes another connection, and so, maybe, another machine. `login`
    gives the headers of a credential for an address, asked again where a redirect leads.
    """
    timeout = (limits.connect, max(0.05, min(limits.stall, deadline.left)))
    headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity", **_agent()}
    if alone:
        headers["Connection"] = "close"
    count("requests")
    with web_failures(), _opened(url, headers, reach, timeout, login) as (response, found_at):
        size = _check_head(response, first, last)
        wanted = min(last, size - 1) - first + 1
        body = _body(response, wanted, limits, deadline)
        place = urlsplit(found_at)
        agreed = vouched(response.headers, body, place.netloc, whole=wanted == size)
        if agreed is False:
            raise ReadError("the answer does not agree with its checksum")
    count("bytes", len(body))
    named = response.headers.get("ETag", "").removeprefix("W/")
    version = named or response.headers.get("Last-Modified", "")
    return Answer(body, size, version, found_at, bool(agreed) or place.scheme == "https")


@contextlib.contextmanager
def web_failures() -> Iterator[None]:
    """Turn what the web client raises into a ReadError without an address."""
    try:
        yield
    except ReadError:
        raise
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        refused = _find(error, AddressRefused)
        if refused is not None:
            raise ReadError(f"not asked: {refused}", again=False) from None
        raise ReadError(_reason(error)) from None


def _find(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """An exception of a kind among an error's causes and arguments."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, kind):
            return one
        if id(one) not in seen:
            seen.add(id(one))
            inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
            waiting += [other for other in inner if isinstance(other, BaseException)]
    return None


def _reason(error: BaseException) -> str:
    for kind, words in (
        (urllib3.exceptions.ConnectTimeoutError, "no connection (timed out)"),
        (urllib3.exceptions.ReadTimeoutError, "the server fell silent"),
        (urllib3.exceptions.NameResolutionError, "the host's name is not known"),
        (urllib3.exceptions.SSLError, "its certificate is not trusted"),
        (requests.exceptions.SSLError, "its certificate is not trusted"),
        (requests.exceptions.Timeout, "timed out"),
        (TimeoutError, "timed out"),
        (ConnectionResetError, "the connection was reset"),
        (urllib3.exceptions.NewConnectionError, "no connection"),
        (requests.exceptions.ConnectionError, "no connection"),
        (urllib3.exceptions.ProtocolError, "the connection broke"),
    ):
        if _find(error, kind) is not None:
            return words
    return f"the request failed ({type(error).__name__})"


@contextlib.contextmanager
def _opened(
    url: str, headers: dict[str, str], reach: Reach, timeout: tuple[float, float], login: Login
) -> Iterator[tuple[Any, str]]:
    """The answer to a GET with its body unread, redirects followed, and where it was found."""
    client = _client(reach)
    response, found_at = None, url
    if not _proxied(urlsplit(url).netloc, urlsplit(url).scheme):
        response = client.pool.urlopen(
            "GET",
            url,
            headers={**headers, **login(url)},
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=timeout[0], read=timeout[1]),
        )
    if response is None or response.status in (*REDIRECTS, 401):
        # The way of logins (netrc, cookies) and proxies: slower, and rarely needed.
        if response is not None:
            response.close()
        response, found_at = _followed(client.session, url, headers, timeout, login)
    whole = False
    try:
        yield response, found_at
        whole = True
    finally:
        if whole:
            response.release_conn()
        else:
            response.close()


def _followed(
    session: requests.Session,
    url: str,
    headers: dict[str, str],
    timeout: tuple[float, float],
    login: Login,
) -> tuple[Any, str]:
    """The answer at the end of a chain of redirects, each held to the rule."""
    for _ in range(HOPS):
        carried = {**headers, **login(url)}
        answer = session.get(
            url, headers=carried, stream=True, allow_redirects=False, timeout=timeout
        )
        if answer.status_code not in REDIRECTS:
            return answer.raw, url
        location = answer.headers.get("Location", "")
        answer.close()
        url = next_hop(url, location)
    raise ReadError("redirected too often", again=False)


def next_hop(url: str, location: str) -> str:
    """Where a redirect leads; ReadError where to no web address, or from https to http.

    >>> next_hop("https://e.org/a/b", "../c")
    'https://e.org/c'
    >>> next_hop("https://e.org/a", "file:///etc/passwd")
    Traceback (most recent call last):
    ...
    sarmap.net.web.ReadError: not asked: redirected to no web address
    """
    target = urlsplit(urljoin(url, location))
    if not location or target.scheme not in WEB or not target.hostname:
        raise ReadError("not asked: redirected to no web address", again=False)
    if urlsplit(url).scheme == "https" and target.scheme == "http":
        raise ReadError("not asked: redirected from https to http", again=False)
    return target.geturl()


def _check_head(response: Any, first: int, last: int) -> int:
    """Bytes of the whole file, from an answer's head; refuses what is not the range."""
    status, headers = response.status, response.headers
    if status == 200:
        raise ReadError(
            "the server answered with a whole file or page, not with the range asked for"
        )
    if status != 206:
        wait = retry_after(headers.get("Retry-After")) if status in (429, 503) else None
        raise ReadError(f"HTTP {status}", again=status in _PASSING, status=status, wait=wait)
    if headers.get("Content-Type", "").lower().startswith(_PAGES):
        raise ReadError("the server answered with a page, not with data")
    if headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise ReadError("the server compressed a range", again=False)
    found = _RANGE.match(headers.get("Content-Range", "").strip())
    if found is None:
        raise ReadError("the answer does not say which bytes it holds")
    start, stop, size = (int(number) for number in found.groups())
    if start != first or stop != min(last, size - 1):
        raise ReadError("the answer holds other bytes than were asked for")
    length = headers.get("Content-Length")
    if length is not None and length.strip() != str(stop - start + 1):
        raise ReadError("the answer is not as long as it says")
    return size


def _body(response: Any, wanted: int, limits: Patience, deadline: Deadline) -> bytes:
    """Exactly `wanted` bytes of an answer, given up when they stop coming or only trickle."""
    parts, got = [], 0
    since, before = time.monotonic(), 0
    while got < wanted:
        part = response.read1(min(1 << 18, wanted - got), decode_content=False)
        if not part:
            raise ReadError(f"the answer broke off after {got} of {wanted} bytes")
        parts.append(part)
        got += len(part)
        now = time.monotonic()
        if deadline.left <= 0:
            raise ReadError("the time for this read is over", again=False)
        if now - since >= limits.stall:
            if got - before < limits.slowest * (now - since) and got < wanted:
                raise ReadError("the data came too slowly")
            since, before = now, got
    return parts[0] if len(parts) == 1 else b"".join(parts)


@dataclass(frozen=True)
class _Client:
    """The connections of one reach in this process."""

    pool: Any
    session: requests.Session


_clients: dict[Reach, _Client] = {}
_lock = threading.Lock()


def _after_fork() -> None:
    # A child must not speak on its parent's connections: two would read one answer.
    global _clients, _lock
    _clients, _lock = {}, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _client(reach: Reach) -> _Client:
    with _lock:
        known = _clients.get(reach)
        if known is None:
            pool = urllib3.PoolManager(maxsize=CONNECTIONS, ca_certs=_authorities())
            pool.pool_classes_by_scheme = pool_classes(reach)
            session = requests.Session()
            session.mount("http://", GuardedAdapter(reach))
            session.mount("https://", GuardedAdapter(reach))
            known = _clients[reach] = _Client(pool, session)
        return known


def _authorities() -> str:
    """Certificate authorities, as `requests` finds them."""
    return (
        os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("CURL_CA_BUNDLE")
        or DEFAULT_CA_BUNDLE_PATH
    )


@lru_cache(maxsize=256)
def _proxied(place: str, scheme: str) -> bool:
    """True where the environment names a web proxy for a host."""
    return bool(get_environ_proxies(f"{scheme}://{place}/"))


@lru_cache(maxsize=1)
def _agent() -> dict[str, str]:
    return {"User-Agent": f"sarmap/{__version__}"}
