"""Weights by URL: fetched once into the cache, and used only where their SHA-256 is as promised.

The manifest says the hash of the weights beside it. A cluster's workers are told the client's hash
and fetch the weights alone, so a file that was changed in between is refused. An address that ends
in ``#sha256=...`` holds the client to that hash too.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import tempfile
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sarmap.cache import cache_folder
from sarmap.detect.manifest import Manifest, digest, read_manifest
from sarmap.errors import WeightsError

_SCHEMES = ("http", "https", "s3", "gs", "az", "abfs", "abfss")
_MANIFEST_BYTES = 2**20
_WEIGHTS_BYTES = 8 * 2**30
"""Larger answers are no weights: refused before they fill the disk."""
_CLIENT = {"timeout": "10m", "connect_timeout": "20s"}
_RETRIES = {
    "max_retries": 4,
    "retry_timeout": dt.timedelta(seconds=60),
    "backoff": {
        "init_backoff": dt.timedelta(milliseconds=200),
        "max_backoff": dt.timedelta(seconds=5),
        "base": 2,
    },
}


def is_address(name: str) -> bool:
    """True for a URL; a Windows drive is none.

    >>> is_address("https://example.org/a.json"), is_address("a.json"), is_address("C:/a.json")
    (True, False, False)
    """
    return "://" in name


@dataclass(frozen=True)
class WeightsAddress:
    """Where a manifest and its weights can be fetched, without anything secret."""

    folder: str
    """URL of the folder that holds both."""
    manifest: str
    """File name of the manifest."""
    sha256: str | None
    """Of the weights, where the address pins it."""

    @classmethod
    def parse(cls, text: str) -> WeightsAddress:
        """Read the URL of a manifest (``.json``) or of a weights file beside one; WeightsError
        where it names no such file, or holds a query or a user, which would travel.

        >>> WeightsAddress.parse("https://example.org/w/mine.npz").manifest
        'mine.json'
        """
        parts = urllib.parse.urlsplit(text)
        folder, _, file = parts.path.rpartition("/")
        where = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        if parts.scheme not in _SCHEMES:
            raise WeightsError(
                f"Weights cannot be fetched from {where}: use {'://, '.join(_SCHEMES)}://."
            )
        if parts.query or parts.username or parts.password:
            raise WeightsError(
                f"The address of weights {file} holds a query or a user, which would travel with "
                "every task: give a plain address, with credentials in each worker's environment."
            )
        pin = re.fullmatch(r"sha256=([0-9a-f]{64})", parts.fragment)
        if parts.fragment and pin is None:
            raise WeightsError(
                f"The address of weights {file} must end in nothing or in #sha256= and 64 digits."
            )
        name = Path(urllib.parse.unquote(file))
        if name.suffix not in (".json", ".npz", ".keras"):
            raise WeightsError(
                f"{where} names no weights: give the address of a manifest (.json) or of the "
                "weights file (.npz, .keras) beside it."
            )
        root = urllib.parse.urlunsplit((parts.scheme, parts.netloc, folder, "", ""))
        return cls(root, name.with_suffix(".json").name, pin and pin[1])


def fetch_manifest(address: str) -> tuple[Manifest, Path]:
    """The manifest at a URL, and the cached folder where it and its weights now lie; WeightsError
    where nothing is there, it is no manifest, or the weights are not what it says.
    """
    at = WeightsAddress.parse(address)
    record = b"".join(_download(at, at.manifest, _MANIFEST_BYTES))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, at.manifest)
        path.write_bytes(record)
        manifest = read_manifest(path)
    folder = fetch_weights(address, manifest)
    _replace(folder / at.manifest, [record])
    return manifest, folder


def fetch_weights(address: str, manifest: Manifest) -> Path:
    """The cached folder of the weights that a manifest names, fetched where they are not there yet;
    WeightsError where they cannot be, or are not those that it names.
    """
    at = WeightsAddress.parse(address)
    if at.sha256 not in (None, manifest.sha256):
        raise WeightsError(
            f"Weights {manifest.name} at that address are not those asked for "
            f"({manifest.sha256[:12]}, not {str(at.sha256)[:12]}): check the address and its hash."
        )
    folder = cache_folder("weights") / manifest.sha256
    path = folder / manifest.weights
    if path.is_file() and digest(path) == manifest.sha256:
        return folder
    _replace(path, _download(at, manifest.weights, _WEIGHTS_BYTES), manifest)
    return folder


def _replace(path: Path, parts: Iterable[bytes], manifest: Manifest | None = None) -> None:
    """Write a file beside its place, check it, and put it there whole: others may read it now."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".fetching-", dir=path.parent)
    except OSError as error:
        raise WeightsError(
            f"Weights cannot be kept in the cache ({error.strerror}): set SARMAP_CACHE to a folder "
            "that can be written."
        ) from error
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
        if manifest is not None and digest(fresh) != manifest.sha256:
            raise WeightsError(
                f"Weights {manifest.name}, as fetched, are not those that were promised (SHA-256 "
                f"{digest(fresh)[:12]}, not {manifest.sha256[:12]}): they were changed or damaged "
                "after the map was started or the manifest written."
            )
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _download(at: WeightsAddress, file: str, limit: int) -> Iterable[bytes]:
    """A file's bytes, piece by piece, up to a limit."""
    shown = f"{at.folder}/{file}"
    try:
        answer = _store(at.folder).get(file)
        size = int(answer.meta["size"])
        if size <= limit:
            for piece in answer.stream():
                size -= len(piece)
                yield bytes(piece)
    except Exception as error:  # obstore has one class per cause, and raises its own for bad URLs
        raise WeightsError(
            f"{shown} cannot be fetched ({type(error).__name__}): check the address, and that this "
            "machine may reach it."
        ) from error
    if size != 0:
        raise WeightsError(f"{shown} has not the size of what it should be: check the address.")


def _store(folder: str) -> Any:
    from obstore.store import from_url

    options: dict[str, Any] = dict(_CLIENT)
    if folder.startswith("http://"):
        options["allow_http"] = True  # the hash is checked, whoever is in between
    return from_url(folder, client_options=options, retry_config=_RETRIES)  # type: ignore[call-overload]
