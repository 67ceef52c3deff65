"""What an answer says that its bytes add up to: by this, damage on the way is told.

`Content-Digest` (RFC 9530) is of the answer's own bytes. `Content-MD5` (RFC 1864) and S3's
`x-amz-checksum-*` are, with a range, of the range or of the whole file, as a server sees it: they
count for the ranges of a host once one of them was right.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping

_HEADERS = {
    "Content-MD5": "md5",
    "x-amz-checksum-sha256": "sha256",
    "x-amz-checksum-sha1": "sha1",
    "x-amz-checksum-crc32": "crc32",
    "x-amz-checksum-crc32c": "crc32c",
}
_DIGEST = re.compile(r"([a-z0-9-]+)=:([A-Za-z0-9+/=]+):")
_DIGESTS = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5", "crc32c": "crc32c"}

_of_ranges: set[str] = set()
"""Hosts whose checksums have been those of a range."""


def vouched(headers: Mapping[str, str], body: bytes, host: str, *, whole: bool) -> bool | None:
    """Whether the bytes of a host's answer are those that its headers (by any case) say; None where
    they say nothing. `whole`: they are the whole file.

    >>> vouched({"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}, b"hello", "h", whole=True)
    True
    >>> vouched({"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}, b"jello", "h", whole=True)
    False
    """
    agreed = None
    for algorithm, told, own in _told(headers):
        if b64encode(_sum(algorithm, body)).decode() == told:
            agreed = True
            if not own and not whole:
                _of_ranges.add(host)
        elif own or whole or host in _of_ranges:
            return False
    return agreed


def _told(headers: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """Algorithm, checksum in base64, and whether it is of the answer's own bytes for sure."""
    for name, told in _DIGEST.findall(headers.get("Content-Digest", "")):
        if name in _DIGESTS:
            yield _DIGESTS[name], told, True
    for header, algorithm in _HEADERS.items():
        told = headers.get(header, "").strip()
        if told and "-" not in told:  # else of a file's parts
            yield algorithm, told, False


def _sum(algorithm: str, body: bytes) -> bytes:
    if algorithm == "crc32":
        return zlib.crc32(body).to_bytes(4, "big")
    if algorithm == "crc32c":
        import google_crc32c

        return int(google_crc32c.value(body)).to_bytes(4, "big")
    return hashlib.new(algorithm, body, usedforsecurity=False).digest()


def inflates(block: bytes, most: int) -> bool:
    """Whether a deflated block of at most `most` bytes agrees with the Adler-32 at its end.

    One that ends without is believed.

    >>> inflates(zlib.compress(b"abc"), 3), inflates(zlib.compress(b"abc")[:-1] + b"x", 3)
    (True, False)
    """
    stream = zlib.decompressobj()
    try:
        return len(stream.decompress(block, most + 1)) <= most
    except zlib.error:
        return False
