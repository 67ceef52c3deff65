"""How a STAC API is asked: patiently, only where the rule allows, and never without end.

pystac-client asks the questions; this carries them. Transient failures are tried again with
jittered backoff and as `Retry-After` asks (`sarmap.net.patience`); redirects and the links of
an answer (`next` above all) are held to the rule of `sarmap.net.reach`; an answer has a largest
size and a client a largest number of answers, since a catalogue is untrusted input.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from pystac.link import HREF, Link
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from sarmap.net.guard import GuardedAdapter
from sarmap.net.patience import Deadline, hold_off, patience, retry_after, wait_for
from sarmap.net.reach import WEB, Reach
from sarmap.net.web import HOPS, REDIRECTS, ReadError, next_hop, web_failures

ANSWERS = 5_000
"""Answers read by one client: 20,000 items in pages of 4, or a server whose pages never end."""

ANSWER_BYTES = 64 * 2**20
"""Largest answer read, uncompressed: 200 items take about 2 MB."""

ALL_BYTES = 512 * 2**20
"""Of all answers to one client: 20,000 items take about 200 MB."""

ALL_SECONDS = 900.0
"""Spent on all answers to one client."""

FRUITLESS = 8
"""Pages in a row without anything (new) after which an answer has come to its end."""

TRIES = 4
"""Tries of one request, at most: someone is waiting."""

_PASSING = (408, 425, 429, 500, 502, 503, 504)


class Refusal(APIError):
    """An API that gave no answer; `words` says so without an address."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class StacIO(StacApiIO):
    """Carries one client's requests."""

    def __init__(self, reach: Reach) -> None:
        """`reach`: where the API's records may lead."""
        super().__init__(max_retries=None)
        self.answers = 0
        self.bytes = 0
        self.seconds = 0.0
        self.session.mount("http://", GuardedAdapter(reach))
        self.session.mount("https://", GuardedAdapter(reach))

    def read_text(self, source: HREF, *arguments: Any, **options: Any) -> str:
        """Text at a link or address; never a file's."""
        if not isinstance(source, Link) and urlsplit(str(source)).scheme not in WEB:
            raise Refusal("names no web address in a link")
        return super().read_text(source, *arguments, **options)

    def get_pages(
        self, url: str, method: str | None = None, parameters: dict[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Pages that hold something, one after the other, as their links lead.

        An empty page before the last is passed over; the end is where no link leads on, or where
        `FRUITLESS` pages in a row hold nothing.
        """
        page = self.read_json(url, method=method, parameters=parameters)
        fruitless = 0
        while fruitless < FRUITLESS:
            fruitless = 0 if page.get("features") or page.get("collections") else fruitless + 1
            if not fruitless:
                yield page
            further = next((one for one in page.get("links", []) if one["rel"] == "next"), None)
            if further is None:
                return
            url = urljoin(url, str(further["href"]))
            page = self.read_json(Link.from_dict({**further, "href": url}), parameters=parameters)

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The text of an answer, tried again where that may help; Refusal where there was none, or
        it was no JSON.
        """
        verb = (method or "GET").upper()
        if urlsplit(href).scheme not in WEB or verb not in ("GET", "POST"):
            raise Refusal("names no web address in a link")
        self.answers += 1
        if self.answers > ANSWERS:
            raise _endless(f"gave more than {ANSWERS:,} answers")
        asked = requests.Request(verb, href, headers=headers)
        if verb == "POST":
            asked.json = parameters
        else:
            asked.params = dict(parameters or {})
        started = time.monotonic()
        text = self._patiently(asked)
        self.bytes += len(text)
        self.seconds += time.monotonic() - started
        if self.bytes > ALL_BYTES:
            raise _endless(f"gave answers of more than {ALL_BYTES >> 20} MiB in all")
        if self.seconds > ALL_SECONDS:
            raise _endless(f"took more than {ALL_SECONDS / 60:g} minutes for its answers")
        return text

    def _patiently(self, asked: requests.Request) -> str:
        limits = patience()
        deadline, host = Deadline(limits.deadline), urlsplit(str(asked.url)).netloc
        pause, reason = 0.0, ""
        for attempt in range(min(TRIES, limits.attempts)):
            if not wait_for(host, deadline, pause):
                break
            try:
                with web_failures():
                    return self._once(asked, deadline)
            except ReadError as error:
                reason = str(error)
                if not error.again:
                    break
                if error.wait is not None and error.wait < deadline.left:
                    hold_off(host, error.wait)
                elif error.wait is not None:
                    reason = f"{reason}, and asks to be left alone for {error.wait:.0f} s"
                    break
                pause = limits.pause(attempt)
        raise Refusal(_in_words(reason))

    def _once(self, asked: requests.Request, deadline: Deadline) -> str:
        """One try, redirects followed."""
        limits = patience()
        request = requests.Request(
            asked.method, asked.url, headers=asked.headers, params=asked.params, json=asked.json
        )
        for _ in range(HOPS):
            prepared = self.session.prepare_request(request)
            settings = self.session.merge_environment_settings(
                str(prepared.url), {}, stream=True, verify=None, cert=None
            )
            answer = self.session.send(
                prepared,
                allow_redirects=False,
                timeout=(limits.connect, max(0.05, min(3 * limits.stall, deadline.left))),
                **settings,
            )
            try:
                if answer.status_code not in REDIRECTS:
                    return _text(answer, deadline, limits.stall, limits.slowest)
                request.url = next_hop(str(prepared.url), answer.headers.get("Location", ""))
                request.params = {}
                if answer.status_code == 303:
                    request.method, request.json = "GET", None
            finally:
                answer.close()
        raise ReadError("redirected too often", again=False)


def _text(answer: requests.Response, deadline: Deadline, stall: float, slowest: float) -> str:
    """The body of an answer that is JSON, and whole."""
    status = answer.status_code
    if not 200 <= status < 300:
        wait = retry_after(answer.headers.get("Retry-After")) if status in (429, 503) else None
        raise ReadError(f"HTTP {status}", again=status in _PASSING, status=status, wait=wait)
    parts, got, since, before = [], 0, time.monotonic(), 0
    while part := answer.raw.read1(1 << 16, decode_content=True):
        parts.append(part)
        got += len(part)
        now = time.monotonic()
        if got > ANSWER_BYTES:
            raise ReadError(f"an answer of more than {ANSWER_BYTES >> 20} MiB", again=False)
        if deadline.left <= 0:
            raise ReadError("timed out", again=False)
        if now - since >= stall:
            if got - before < slowest * (now - since):
                raise ReadError("the data came too slowly")
            since, before = now, got
    text = b"".join(parts).decode("utf-8", errors="replace")
    try:  # also of half an answer, which may well end like a whole one
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise ReadError("no JSON") from None
    if not isinstance(told, dict | list):
        raise ReadError("no JSON")
    return text


def _endless(words: str) -> Refusal:
    return Refusal(
        f"{words} and did not come to an end (give a smaller area or fewer days where it should)"
    )


def _in_words(reason: str) -> str:
    """What became of a request, as a clause after the catalogue's name."""
    if reason.startswith("HTTP "):
        return f"answered {reason}"
    if reason == "no JSON":
        return "did not answer as a STAC API"
    return f"could not be reached ({reason})" if reason else "could not be reached"
