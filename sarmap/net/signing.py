"""Signed addresses: a token is fetched when data is read, and never leaves that read.

Planetary Computer's rules (planetary-computer-sdk-for-python): a blob's account and container name
a token endpoint, whose answer is appended to the address as its query. An address that is signed
already is signed anew here, because its token may be long expired. Emulated storage
(`http://127.0.0.1:port/account/container/blob`, as Azurite has it) is signed too where the settings
name an endpoint of their own.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_netrc_auth
from urllib3.util.retry import Retry

from sarmap.errors import CatalogError, RequestError
from sarmap.types import CatalogSettings, Login

SIGNERS = ("planetary-computer",)
"""Values of `CatalogSettings.signing`."""

_BLOB_HOST = ".blob.core.windows.net"
_PUBLIC_ACCOUNTS = frozenset({"ai4edatasetspublicassets"})
_TIMEOUT = (10.0, 30.0)
_LONGEST_WAIT = 30.0
"""Seconds waited where the endpoint asks for a wait."""


class _Retry(Retry):
    """urllib3's retries, whose obedience to Retry-After ends after six hours only."""

    def get_retry_after(self, response: Any) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, _LONGEST_WAIT)


_RETRIES = _Retry(
    total=3, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False
)
_PAUSE = dt.timedelta(seconds=10)
"""How long an endpoint that gave no token is not asked again: many reads would ask at once."""
_MARGIN = dt.timedelta(minutes=1)
"""A token is renewed this long before it expires, or at a tenth of a shorter life."""

_RECORDS_KEPT = 100_000
"""Signed addresses remembered by a process."""
_records: dict[str, str] = {}
_records_lock = threading.Lock()

_SIGNATURE_MARKS = frozenset({"sig", "signature", "x-amz-signature", "x-goog-signature", "token"})
_SIGNATURE_KEYS = re.compile(
    r"x-amz-.*|x-goog-.*|awsaccesskeyid|googleaccessid|expires|signature|token"
    r"|s[vserpt]|sig|ss|srt|spr|sip|sdd|sk[a-z]{1,3}|saoid|suoid|scid|ses",
    re.IGNORECASE,
)
_URL = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?:[^\s/@?#'\"]+@)?(?P<rest>[^\s?#'\"<>]*)(?:[?#][^\s'\"<>]*)?",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"\b((?:x-amz-[a-z-]+|x-goog-[a-z-]+|sig|signature|[a-z_]*token|[a-z_]*key|password|secret)=)"
    r"[^\s&'\"]+",
    re.IGNORECASE,
)
_PATH_QUERY = re.compile(r"(?P<path>(?<![\w:/])/[^\s?'\"]*)\?[^\s'\"<>]*")
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_LOCAL_PATH = re.compile(r"(?<![\w:/.])/(?:[^\s/'\":]+/)+([^\s/'\"]+)")


def unsigned(href: str) -> str:
    """An address without signature and credentials; any other query stays.

    >>> unsigned("https://a.blob.core.windows.net/c/b.tif?se=2026&sp=r&sig=secret")
    'https://a.blob.core.windows.net/c/b.tif'
    >>> unsigned("https://example.com/b.tif?version=2")
    'https://example.com/b.tif?version=2'
    """
    parts = urlsplit(href)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = parts.query
    if any(key.lower() in _SIGNATURE_MARKS for key, _ in pairs):
        query = urlencode([(k, v) for k, v in pairs if not _SIGNATURE_KEYS.fullmatch(k)])
    host = parts.netloc.rpartition("@")[2]
    return (
        href
        if (query, host) == (parts.query, parts.netloc)
        else urlunsplit(parts._replace(netloc=host, query=query))
    )


def without_signature(href: str) -> str:
    """An address without signature, which this process remembers: some records come signed."""
    bare = unsigned(href)
    parts, plain = urlsplit(href), urlsplit(bare)
    if parts.query != plain.query:
        with _records_lock:
            if len(_records) >= _RECORDS_KEPT:
                _records.clear()
            _records[bare] = urlunsplit(parts._replace(netloc=plain.netloc))
    return bare


def signed_records() -> dict[str, str]:
    """Addresses of records that came signed, each as it came; never to be stored."""
    with _records_lock:
        return dict(_records)


def adopt(records: Mapping[str, str]) -> None:
    """Remember addresses of another process, as `signed_records` gave them there."""
    with _records_lock:
        _records.update(records)


def redact(text: object) -> str:
    """Text for errors and logs: no query strings, credentials, tokens or local folders.

    >>> redact("HTTP 403: https://me:pw@host/c/b.tif?sig=secret in /data/cache/b.tif")
    'HTTP 403: https://host/c/b.tif in b.tif'
    """
    without_queries = _URL.sub(lambda m: m["scheme"] + m["rest"], str(text))
    without_queries = _PATH_QUERY.sub(r"\g<path>", without_queries)
    without_tokens = _BEARER.sub(r"\1 ...", _SECRET.sub(r"\1...", without_queries))
    return _LOCAL_PATH.sub(r"\1", without_tokens)


class _Discreet(logging.Filter):
    """Takes out of a library's log lines what `redact` takes out of a text."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        record.msg, record.args = redact(message), ()
        # GDAL's retry is no news; a read that fails for good is reported by the reader.
        return "Retrying again" not in message


def discreet(*names: str) -> None:
    """Have the loggers of libraries tell no secrets."""
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Discreet) for one in logger.filters):
            logger.addFilter(_Discreet())


@dataclass(frozen=True)
class _Token:
    """A query string that opens one container, and when it should be renewed."""

    query: str
    renew_at: dt.datetime


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _request_token(url: str) -> tuple[str, dt.datetime]:
    """Ask a token endpoint once (with bounded retries): the token and its expiry."""
    from planetary_computer.settings import Settings

    key = Settings.get().subscription_key
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=_RETRIES))
        session.mount("https://", HTTPAdapter(max_retries=_RETRIES))
        headers = {"Ocp-Apim-Subscription-Key": key} if key else None
        answer = session.get(url, headers=headers, timeout=_TIMEOUT)
        answer.raise_for_status()
        record = answer.json()
    expiry = dt.datetime.fromisoformat(str(record["msft:expiry"]).replace("Z", "+00:00"))
    return str(record["token"]), expiry if expiry.tzinfo else expiry.replace(tzinfo=dt.UTC)


class TokenStore:
    """Tokens of one process, each fetched once and renewed before it expires; thread-safe."""

    def __init__(
        self,
        fetch: Callable[[str], tuple[str, dt.datetime]] = _request_token,
        clock: Callable[[], dt.datetime] = _now,
    ):
        """`fetch` turns an endpoint into (token, expiry, UTC); `clock` tells the time."""
        self._fetch = fetch
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self._silent: dict[str, tuple[dt.datetime, CatalogError]] = {}
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def query(self, endpoint: str) -> str:
        """A token of `endpoint` that is still good; CatalogError where the endpoint gave none."""
        with self._guard:
            lock = self._locks.setdefault(endpoint, threading.Lock())
        with lock:  # one request however many reads wait for it
            token = self._tokens.get(endpoint)
            now = self._clock()
            if token is None or now >= token.renew_at:
                until, failure = self._silent.get(endpoint, (now, None))
                if failure is not None and now < until:
                    raise CatalogError(str(failure))
                try:
                    query, expiry = self._fetched(endpoint)
                except CatalogError as error:
                    self._silent[endpoint] = (self._clock() + _PAUSE, error)
                    raise
                token = _Token(
                    query, expiry - min(_MARGIN, max(expiry - now, dt.timedelta(0)) / 10)
                )
                self._tokens[endpoint] = token
            return token.query

    def forget(self, endpoint: str, used: str) -> None:
        """Drop the token of `endpoint` if it is the one in the query `used`, or none is given."""
        token = self._tokens.get(endpoint)
        if token is not None and (not used or token.query in used):
            self._tokens.pop(endpoint, None)

    def _fetched(self, endpoint: str) -> tuple[str, dt.datetime]:
        try:
            return self._fetch(endpoint)
        except requests.HTTPError as error:
            reason = f"HTTP {getattr(error.response, 'status_code', 'error')}"
        except requests.Timeout:
            reason = "timed out"
        except requests.ConnectionError:
            reason = "no connection"
        except (requests.RequestException, KeyError, ValueError, TypeError):
            reason = "its answer is not a token"
        raise CatalogError(
            f"the signing endpoint {redact(endpoint)} gave no token ({reason}): check the network, "
            "or signing and signing_url in the catalogue's settings."
        )


_TOKENS = TokenStore()


@dataclass(frozen=True)
class Signer:
    """Signs one address for one read. Small and picklable: it holds no token."""

    name: str | None
    """'planetary-computer', or None: addresses are left as they are."""
    endpoint: str | None = None
    """Root of the token endpoint; None: the signer's own."""
    login: Login | None = None
    """Credential that files ask for; None: none."""

    def __call__(self, href: str, tokens: TokenStore | None = None) -> str:
        """The address to read now; tokens come from the process's store unless another is given.

        Without an endpoint for it, it is signed as its record was, where that was. Raises
        CatalogError where no token could be had.
        """
        endpoint = self._token_endpoint(href)
        if endpoint is None:
            return _records.get(href, href)
        bare = unsigned(href)
        token = (tokens or _TOKENS).query(endpoint)
        return f"{bare}{'&' if urlsplit(bare).query else '?'}{token}"

    def headers(self, href: str) -> dict[str, str]:
        """What a request for an address carries: the user's token, where it is one to be sent it.

        >>> login = Login("Earthdata", "NO_SUCH_VARIABLE", ("nasa.gov",), "urs.nasa.gov")
        >>> Signer(None, login=login).headers("https://a.nasa.gov/b.tif")
        {}
        """
        token = os.environ.get(self.login.variable, "") if self.login else ""
        parts = urlsplit(href)
        host = parts.hostname or ""
        if not token or self.login is None or not (parts.scheme == "https" or _is_bare_host(host)):
            return {}
        mine = any(host == end or host.endswith(f".{end}") for end in self.login.hosts)
        return {"Authorization": f"Bearer {token}"} if mine else {}

    def forget(self, href: str, tokens: TokenStore | None = None) -> None:
        """Drop the token used for an address, after the storage refused it.

        Given the signed address, a token that another read has renewed meanwhile is kept.
        """
        endpoint = self._token_endpoint(href)
        if endpoint is not None:
            (tokens or _TOKENS).forget(endpoint, urlsplit(href).query)

    def _token_endpoint(self, href: str) -> str | None:
        """The endpoint whose token opens `href`; None where it needs none."""
        if self.name is None:
            return None
        container = _container(urlsplit(href), emulated=self.endpoint is not None)
        if container is None or container[0] in _PUBLIC_ACCOUNTS:
            return None
        return f"{self._root()}/{container[0]}/{container[1]}"

    def _root(self) -> str:
        if self.endpoint is not None:
            return self.endpoint.rstrip("/")
        from planetary_computer.settings import Settings

        return str(Settings.get().sas_url).rstrip("/")


def make_signer(settings: CatalogSettings) -> Signer:
    """The signer that a catalogue's data needs; RequestError where the settings name an unknown
    one.

    >>> make_signer(CatalogSettings("mine", "http://127.0.0.1:7822"))("http://127.0.0.1/a.tif")
    'http://127.0.0.1/a.tif'
    """
    if settings.signing is not None and settings.signing not in SIGNERS:
        raise RequestError(
            f"signing {settings.signing!r} of catalogue {settings.name} is not known: give one of "
            f"{', '.join(SIGNERS)}, or leave it out."
        )
    return Signer(settings.signing, settings.signing_url, settings.login)


def check_login(settings: CatalogSettings) -> None:
    """Refuse (RequestError) a catalogue whose files ask for a credential of which the user keeps
    neither the token's variable nor the entry in `~/.netrc`.
    """
    login = settings.login
    if login is None or os.environ.get(login.variable):
        return
    if get_netrc_auth(f"https://{login.machine}") is None:
        raise RequestError(
            f"Reading from {settings.name} needs a login of {login.name}: set the environment "
            f"variable {login.variable} to a token, or name machine {login.machine} in ~/.netrc."
        )


def _container(parts: SplitResult, *, emulated: bool) -> tuple[str, str] | None:
    """(account, container) of a blob's address; None where it is no blob storage."""
    host = parts.hostname or ""
    folders: list[Any] = parts.path.lstrip("/").split("/")
    if host.endswith(_BLOB_HOST) and len(folders) > 1:
        return host.removesuffix(_BLOB_HOST), folders[0]
    if emulated and _is_bare_host(host) and len(folders) > 2:
        return folders[0], folders[1]
    return None


def _is_bare_host(host: str) -> bool:
    """An address or localhost: emulated storage puts the account into the path there."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
