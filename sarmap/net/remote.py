"""A file on the web or in a bucket as GDAL reads it: in ranges, signed late, tried again, failing
in the open.

GDAL's own web reader follows redirects to anywhere, knows no `Retry-After`, and remembers
failures; so the bytes are fetched here, the stored blocks of a window ahead and side by side, and
handed to GDAL as an open file. A failure is kept beside what GDAL makes of it: libtiff takes an
index it could not read for an empty one, and empty means no data, so `check` must be asked after
every read.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

from zict import LRU

from sarmap.net.buckets import fetch_object, in_bucket
from sarmap.net.checksums import inflates
from sarmap.net.patience import Deadline, Patience, hold_off, patience, wait_for
from sarmap.net.reach import Reach
from sarmap.net.signing import Signer
from sarmap.net.tally import count
from sarmap.net.web import Answer, FileChanged, ReadError, fetch

Range = tuple[int, int]
"""First and last byte."""

HEAD = 65_536
"""Bytes read at opening: the header of all but the largest files."""

PAGE = 65_536
"""Fewest bytes fetched where GDAL asks for something that was not fetched ahead."""

PAGES_KEPT = 64
"""Such pages kept per file (4 MB)."""

GAP = 16_384
"""Bytes between two blocks that are fetched rather than asked around."""

LONGEST = 16 * 2**20
"""Bytes of one request: what a failure may cost to repeat."""

BLOCK_BYTES = 64 * 2**20
"""Stored blocks kept by the process, for windows that share them."""

FETCHERS = 32
"""Requests of one process beyond those of the reading threads themselves."""

AGAIN = 20
"""Times that a page is asked for again before a file with a new name counts as another file."""

_CHANGED = "the file changed while it was read"


class Pin(NamedTuple):
    """What a file is known by while a map is made of it."""

    size: int
    """Bytes."""
    version: str
    """What its server calls its state (`Answer.version`); of a local file, when it was written."""
    head: str
    """Start of the SHA-256 of its first page; empty for a local file."""


def _no_blocks() -> LRU[tuple[object, int], bytes]:
    """Stored blocks of all files, bounded, the least recently used out first."""
    return LRU(BLOCK_BYTES, {}, weight=lambda _, block: len(block))


_blocks = _no_blocks()


_fetchers: ThreadPoolExecutor | None = None
_starting = threading.Lock()


def _after_fork() -> None:
    # Threads do not survive a fork, and locks may have been held.
    global _blocks, _fetchers, _starting
    _blocks, _fetchers, _starting = _no_blocks(), None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _pool() -> ThreadPoolExecutor:
    global _fetchers
    with _starting:
        if _fetchers is None:
            _fetchers = ThreadPoolExecutor(FETCHERS, thread_name_prefix="sarmap-fetch")
        return _fetchers


class RemoteFile:
    """One file on the web, used by one read at a time."""

    def __init__(self, href: str, signer: Signer, reach: Reach, pin: Pin | None = None) -> None:
        """By the unsigned href, what signs it, where it may lead, and what it must be."""
        self.href = href
        self.signer = signer
        self.reach = reach
        self.host = urlsplit(href).netloc
        self.pin = pin or Pin(0, "", "")
        self._names = {pin.version} if pin else set()
        self.error: Exception | None = None
        self._landed = ""
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._ahead: dict[int, bytes] = {}
        self._limits: Patience = patience()
        self._deadline = Deadline(self._limits.deadline)
        self._attempts = self._limits.attempts

    def begin(self, attempts: int | None = None, deadline: Deadline | None = None) -> None:
        """Start a read, with its own limits."""
        self._limits = patience()
        self._deadline = deadline or Deadline(self._limits.deadline)
        self._attempts = attempts or self._limits.attempts
        self.error = None
        self._ahead = {}

    def end(self) -> None:
        """End a read: what was fetched for it alone is let go."""
        self._ahead = {}

    def check(self) -> None:
        """Raise what failed since `begin`, whatever GDAL made of it."""
        if self.error is not None:
            raise self.error

    def open(self) -> None:
        """Read the head of the file, and so its size; ReadError where it could not be read, or is
        another file than its pin says.
        """
        page = self._pages[0] = self._fetch(0, HEAD - 1).body
        head = hashlib.sha256(page).hexdigest()[:16]
        if self.pin.head not in ("", head):
            raise FileChanged(_CHANGED, again=False)
        self.pin = self.pin._replace(head=head)

    @property
    def size(self) -> int:
        """Bytes of the file; 0 before it is known."""
        return self.pin.size

    def fits(self, pin: Pin | None) -> bool:
        """Whether the file that was opened is the one that a pin stands for."""
        mine = self.pin._replace(version="")
        return pin is None or (pin._replace(version="") == mine and pin.version in self._names)

    def ahead(self, ranges: Sequence[Range], inflated: int = 0) -> None:
        """Fetch stored blocks that are about to be read, by the first and last byte of each, close
        ones together, side by side.

        `inflated` is the most bytes that a block inflates to, where blocks are deflated: what
        nothing vouches for on its way is held to its own checksum. Raises ReadError where one
        could not be read, OSError where one does not agree with its checksum.
        """
        wanted = []
        for first, last in sorted(set(ranges)):
            known = _blocks.get((self._identity, first))
            if known is not None and len(known) == last - first + 1:
                self._ahead[first] = known
            elif last < self.size:  # else the file is cut short: GDAL says so
                wanted.append((first, last))
        runs = merged(wanted)
        futures = [_pool().submit(self._fetch, *run) for run in runs[1:]]
        try:
            fetched = [self._fetch(*runs[0])] if runs else []
            fetched += [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
        for first, last in wanted:
            at, answer = next(
                (run[0], part)
                for run, part in zip(runs, fetched, strict=True)
                if run[0] <= first and last <= run[1]
            )
            block = answer.body[first - at : last - at + 1]
            if inflated and not answer.vouched and not inflates(block, inflated):
                raise OSError("a stored block does not agree with its checksum")
            self._ahead[first] = block
            _blocks[self._identity, first] = block

    def forget(self) -> None:
        """Drop what was fetched for this read: it made no sense."""
        for first in self._ahead:
            _blocks.discard((self._identity, first))
        self._ahead = {}
        self._pages.clear()

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes for GDAL; fewer at the end of the file."""
        block = self._ahead.get(offset)
        if block is not None and length <= len(block):
            return block if length == len(block) else block[:length]
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        parts, at = [], offset
        while at < offset + length:
            start, page = self._page(at, offset + length - at)
            part = page[at - start : offset + length - start]
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def _page(self, at: int, length: int) -> tuple[int, bytes]:
        """A page that holds byte `at`, and its offset; a long one where much is wanted."""
        start = at - at % PAGE
        page = self._pages.get(start)
        if page is None or at - start >= len(page):
            stop = min(max(start + PAGE, at + length), start + LONGEST)
            page = self._fetch(start, stop - 1).body
            self._pages[start] = page
            while len(self._pages) > PAGES_KEPT or sum(map(len, self._pages.values())) > LONGEST:
                if len(self._pages) == 1:
                    break
                self._pages.popitem(last=False)
        return start, page

    @property
    def _identity(self) -> object:
        return (self.href, self.pin, self.reach)

    def _fetch(self, first: int, last: int) -> Answer:
        """Bytes of the file, tried again as often and as long as this read may."""
        if self.size:
            last = min(last, self.size - 1)
        attempt, pause = 0, 0.0
        while True:
            if not wait_for(self.host, self._deadline, pause):
                raise ReadError("the time for this read is over", again=False)
            try:
                answer = self._checked(self._try(first, last), first)
                if self.reach.verify and not answer.vouched:
                    again = self._try(first, last, alone=True)
                    if self._checked(again, first).body != answer.body:
                        raise ReadError("two reads of the same bytes differ")
                return answer
            except ReadError as error:
                attempt += 1
                if not error.again or attempt >= self._attempts:
                    if error.status == 416 and self.size:  # it is shorter than it was
                        raise FileChanged(_CHANGED, again=False) from None
                    raise
                if error.wait is not None:
                    if error.wait >= self._deadline.left:
                        raise ReadError(
                            f"{error}, and asks to be left alone for {error.wait:.0f} s",
                            again=False,
                            status=error.status,
                        ) from None
                    hold_off(self.host, error.wait)
                pause = self._limits.pause(attempt - 1)
                count("retries")

    def _try(self, first: int, last: int, *, alone: bool = False) -> Answer:
        """One try, signed now, at the place where the last one was found."""
        if in_bucket(self.href):
            return fetch_object(self.href, first, last, self._limits, self._deadline)
        signed, landed = self.signer(self.href), self._landed
        try:
            answer = fetch(
                landed or signed,
                first,
                last,
                self.reach,
                self._limits,
                self._deadline,
                alone=alone,
                login=self.signer.headers,
            )
        except ReadError as error:
            self._landed = ""
            if error.status == 403 and not landed:
                self.signer.forget(signed)  # the storage refused the token: fetch another
            if landed and not error.again:
                raise ReadError(str(error), status=error.status) from None  # ask from the start
            raise
        self._landed = answer.url if answer.url != signed else ""
        return answer

    def _checked(self, answer: Answer, first: int) -> Answer:
        """The answer, if its bytes are of the file that was opened."""
        if not self.size:
            self.pin = self.pin._replace(size=answer.size, version=answer.version)
            self._names = {answer.version}
        if answer.size != self.size or not self._known(answer, first):
            raise FileChanged(_CHANGED, again=False)
        return answer

    def _known(self, answer: Answer, first: int) -> bool:
        """Whether an answer is of the file that was opened, by the name that it gives the file.

        The machines behind one address may each have a name of their own for the same file: a new
        name is taken for it where the same page comes under a known name, too, and is the same.
        """
        page = answer.body[:PAGE]
        for _ in range(AGAIN):
            if answer.version in self._names:
                return True
            other = self._try(first, first + len(page) - 1, alone=True)
            if other.version in self._names:
                if (other.size, other.body) != (answer.size, page):
                    return False
                self._names.add(answer.version)
        return answer.version in self._names


def merged(ranges: Sequence[Range]) -> list[Range]:
    """Sorted ranges with close neighbours joined, none longer than `LONGEST` by joining.

    >>> merged([(0, 9), (14, 20), (90_000, 90_009)])
    [(0, 20), (90000, 90009)]
    """
    runs: list[Range] = []
    for first, last in ranges:
        if runs and first - runs[-1][1] <= GAP and last - runs[-1][0] < LONGEST:
            runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
        else:
            runs.append((first, last))
    return runs


class Opening:
    """A remote file as rasterio's `FilePath` takes one: GDAL's every opening gets a cursor."""

    mode = "rb"
    path = ""
    read = None
    """Nothing reads it: rasterio takes what has this name for a file."""

    def __init__(self, remote: RemoteFile) -> None:
        self.remote = remote

    @property
    def fs(self) -> Opening:
        """What opens the file again."""
        return self

    def open(self, _path: str, _mode: str) -> Cursor:
        """A cursor of its own at the start of the file."""
        return Cursor(self.remote)


class Cursor:
    """A position in a remote file."""

    def __init__(self, remote: RemoteFile) -> None:
        self.remote = remote
        self.at = 0

    def tell(self) -> int:
        """The position."""
        return self.at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the position."""
        self.at = offset + {0: 0, 1: self.at, 2: self.remote.size}[whence]
        return self.at

    def read(self, length: int) -> bytes:
        """Bytes from the position on. A failure is kept by the file: none may reach GDAL."""
        try:
            found = self.remote.read_at(self.at, length)
        except Exception as error:
            self.remote.error = self.remote.error or error
            return b""
        self.at += len(found)
        return found
