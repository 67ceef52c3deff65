"""Where a page goes: a folder or one file, there whole or not at all."""

from __future__ import annotations

import base64
import json
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sarmap.errors import OutputError, RequestError
from sarmap.report.downloads import Download
from sarmap.report.shell import Shell, bundle, render
from sarmap.store.delivery import check_file, replacing

_MARK = '<meta name="generator" content="sarmap'


class Place(Protocol):
    """What takes a page's parts."""

    def data(self, name: str, value: Any) -> None:
        """Some of the page's data, as JSON."""

    def tile(self, name: str, text: bytes) -> None:
        """A tile of values: base64 text. Called from several threads."""

    def image(self, name: str, content: bytes) -> None:
        """A tile of radar: WebP. Called from several threads."""

    def finish(self, shell: Shell, downloads: Mapping[str, Download], files: Path) -> None:
        """The words and the downloads, which lie in the folder `files`."""


def check_place(out: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a place that cannot take a page: RequestError where something else
    is there, or a page that may not be replaced; OutputError where the folder around it does not
    accept files.
    """
    if is_single(out):
        check_file(out, overwrite=overwrite)
        return
    if out.exists() and not _is_page(out):
        raise RequestError(
            f"{out.name} exists and is no page that sarmap made, so it is never replaced: choose "
            "another --out."
        )
    if out.exists() and any(out.iterdir()) and not overwrite:
        raise RequestError(
            f"{out.name} exists already: choose another --out, or give overwrite=True "
            "(--overwrite)."
        )
    check_file(out.with_name(f"{out.name}.html"), overwrite=True)


def is_single(out: Path) -> bool:
    """True for a page in one file."""
    return out.suffix.lower() in (".html", ".htm")


def _is_page(folder: Path) -> bool:
    """True for an empty folder, or one that holds a page of ours."""
    if not folder.is_dir():
        return False
    index = folder / "index.html"
    if not index.is_file():
        return not any(folder.iterdir())
    return _MARK in index.read_text(encoding="utf-8", errors="replace")[:4000]


@contextmanager
def opened(out: Path, *, overwrite: bool) -> Iterator[tuple[Place, Path]]:
    """A place for a page, and a scratch folder for its downloads; moved to `out` at the end. Errors
    as in `check_place`, and OutputError where the disk is full.
    """
    check_place(out, overwrite=overwrite)
    try:
        if is_single(out):
            with (
                replacing(out, overwrite=overwrite) as fresh,
                tempfile.TemporaryDirectory(prefix=".sarmap-", dir=out.parent) as scratch,
            ):
                yield _SingleFile(fresh), Path(scratch)
            return
        with tempfile.TemporaryDirectory(prefix=".sarmap-", dir=out.parent) as scratch:
            fresh = Path(scratch) / out.name
            fresh.mkdir()
            yield _Folder(fresh), fresh / "downloads"
            if out.exists():
                out.rename(Path(scratch) / "replaced")
            fresh.rename(out)
    except OSError as error:
        raise OutputError(
            f"{out.name} cannot be written ({error.strerror or type(error).__name__}): choose "
            "another place."
        ) from error


@dataclass
class _Folder:
    """A page as a folder: scripts that hand over data, since files may not fetch one another."""

    root: Path

    def data(self, name: str, value: Any) -> None:
        self._script(self.root / "data" / f"{name}.js", name, json.dumps(value))

    def tile(self, name: str, text: bytes) -> None:
        self._script(self.root / "tiles" / f"{name}.js", name, f'"{text.decode()}"')

    def image(self, name: str, content: bytes) -> None:
        file = self.root / "tiles" / f"{name}.webp"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def _script(self, file: Path, name: str, value: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'sarmapPut("{name}",{value})\n', encoding="utf-8")

    def finish(self, shell: Shell, downloads: Mapping[str, Download], files: Path) -> None:
        assets = self.root / "assets"
        assets.mkdir()
        for name in ("app.js", "app.css", "LICENSES.txt"):
            (assets / name).write_text(bundle(name), encoding="utf-8")
        shell.addresses.update({name: f"downloads/{name}" for name in downloads})
        (self.root / "index.html").write_text(render(shell), encoding="utf-8")


@dataclass
class _SingleFile:
    """A page in one file, its data, tiles and downloads within."""

    file: Path
    _parts: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def data(self, name: str, value: Any) -> None:
        self._keep(name, json.dumps(value))

    def tile(self, name: str, text: bytes) -> None:
        self._keep(name, f'"{text.decode()}"')

    def image(self, name: str, content: bytes) -> None:
        self._keep(name, f'"data:image/webp;base64,{base64.b64encode(content).decode()}"')

    def _keep(self, name: str, value: str) -> None:
        with self._lock:
            self._parts[name] = value.replace("<", "\\u003c")

    def finish(self, shell: Shell, downloads: Mapping[str, Download], files: Path) -> None:
        for name, file in downloads.items():
            content = base64.b64encode((files / name).read_bytes()).decode()
            shell.addresses[name] = f"data:{file.media.split(';')[0]};base64,{content}"
        parts = ",\n".join(f'"{name}":{self._parts[name]}' for name in sorted(self._parts))
        data = f'<script type="application/json" id="sarmap-data">{{{parts}}}</script>'
        self.file.write_text(render(shell, data), encoding="utf-8")
