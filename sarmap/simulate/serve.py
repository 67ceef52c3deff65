"""A STAC catalogue on loopback: a real STAC API and its files, served over HTTP byte ranges.

`rustac serve` answers the STAC API (https://github.com/radiantearth/stac-api-spec, core and item
search) and a static file server answers the reads, each in a process of its own, so that the
demo takes the very route of a real map. Ports are free ones, so asset hrefs are written when
served, into a temporary folder; the served folder itself is only read.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from sarmap.errors import CatalogError, RequestError
from sarmap.simulate.record import SimulatedEvent, open_event
from sarmap.types import CatalogSettings

__all__ = ["CatalogServer", "serve_catalog", "serve_event"]

Record = Mapping[str, Any]


@dataclass(frozen=True)
class CatalogServer:
    """A catalogue that is being served."""

    url: str
    """Root of the STAC API, for pystac-client."""
    files_url: str
    """Root of the file server; asset hrefs are relative to it."""
    catalog: CatalogSettings
    """The same, as the settings that a map request takes."""


def _find_rustac() -> str:
    """The `rustac` command of this environment."""
    beside = shutil.which("rustac", path=sysconfig.get_path("scripts"))
    found = beside or shutil.which("rustac")
    if found is None:
        raise CatalogError(
            "The command 'rustac', which serves the STAC API, was not found in this environment; "
            "install it with `pip install rustac`."
        )
    return found


def absolute_hrefs(record: Record, base: str) -> dict[str, Any]:
    """A copy of an item or collection whose relative asset hrefs start at `base`.

    >>> item = {"assets": {"vv": {"href": "a b/vv.tif"}, "x": {"href": "https://e.org/x.tif"}}}
    >>> [a["href"] for a in absolute_hrefs(item, "http://h/")["assets"].values()]
    ['http://h/a%20b/vv.tif', 'https://e.org/x.tif']
    """
    changed = copy.deepcopy(dict(record))
    for asset in changed.get("assets", {}).values():
        if not urlsplit(asset["href"]).scheme:
            asset["href"] = urljoin(base, quote(asset["href"]))
    return changed


def _write_records(
    folder: Path, items: Iterable[Record], collections: Iterable[Record], base: str
) -> list[str]:
    """The records as files that `rustac serve` loads; returns their paths, collections first."""
    paths = []
    for number, collection in enumerate(collections):
        path = folder / f"collection-{number}.json"
        path.write_text(json.dumps(absolute_hrefs(collection, base)), encoding="utf-8")
        paths.append(str(path))
    features = [absolute_hrefs(item, base) for item in items]
    path = folder / "items.json"
    path.write_text(
        json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8"
    )
    return [*paths, str(path)]


def _check_records(items: list[Record], collections: list[Record], files: Path) -> None:
    if not files.is_dir():
        raise RequestError(
            f"files={files.name!r} is not a folder; give the folder with the assets."
        )
    known = {collection["id"] for collection in collections}
    for item in items:
        if item.get("collection") not in known:
            raise RequestError(
                f"Item {item['id']!r} belongs to collection {item.get('collection')!r}, which is "
                f"not among collections={sorted(known)}; add that collection."
            )


def _settings(url: str, collections: list[Record]) -> CatalogSettings:
    ids = [collection["id"] for collection in collections]
    notices = [str(c["sarmap:attribution"]) for c in collections if "sarmap:attribution" in c]
    return CatalogSettings(
        name=urlsplit(url).netloc,
        url=url,
        dem_collection="cop-dem-glo-30" if "cop-dem-glo-30" in ids else None,
        optical_collection="sentinel-2-l2a" if "sentinel-2-l2a" in ids else None,
        attribution=" ".join(dict.fromkeys(notices)),
    )


@contextmanager
def _host() -> Iterator[subprocess.Popen[str]]:
    """The child process of `sarmap.simulate.host`, ended on the way out whatever happens."""
    child = subprocess.Popen(
        [sys.executable, "-m", "sarmap.simulate.host"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield child
    finally:
        try:
            child.communicate(timeout=5)  # closes its standard input: its sign to end
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def _hear(child: subprocess.Popen[str], word: str) -> str:
    """What the child says after `word`; its reason as an error where it says anything else."""
    assert child.stdout is not None
    line = child.stdout.readline().strip()
    said, _, rest = line.partition(" ")
    if said != word:
        raise CatalogError(f"The catalogue could not be served: {rest or 'its process ended'}.")
    return rest


@contextmanager
def serve_catalog(
    items: Iterable[Record],
    collections: Iterable[Record],
    files: str | Path,
    port: int | None = None,
) -> Iterator[CatalogServer]:
    """Serve STAC items and their files on loopback until the `with` block ends.

    Parameters
    ----------
    items, collections
        STAC records as dictionaries. Relative asset hrefs are paths below `files`; hrefs with a
        scheme are left alone. Each item's collection must be among `collections`.
    files
        Folder with the assets; symbolic links in it are not followed.
    port
        Of the STAC API; None: a free one.

    Yields
    ------
    CatalogServer
        Addresses of the STAC API and the file server, and the settings for a map request.

    Raises
    ------
    RequestError
        `files` is no folder, or an item's collection is missing.
    CatalogError
        The `rustac` command is missing, or a server did not start.
    """
    records, known, folder = list(items), list(collections), Path(files).expanduser().resolve()
    _check_records(records, known, folder)
    rustac = _find_rustac()
    with tempfile.TemporaryDirectory(prefix="sarmap-serve-") as scratch, _host() as child:
        files_url = f"http://127.0.0.1:{_hear(child, 'port')}/"
        paths = _write_records(Path(scratch), records, known, files_url)
        told = {"files": str(folder), "rustac": rustac, "arguments": paths, "port": port}
        assert child.stdin is not None
        child.stdin.write(json.dumps(told) + "\n")
        child.stdin.flush()
        url = _hear(child, "ready")
        yield CatalogServer(url=url, files_url=files_url, catalog=_settings(url, known))


@contextmanager
def serve_event(
    event: SimulatedEvent | str | Path, port: int | None = None
) -> Iterator[CatalogServer]:
    """Serve a simulated event on loopback until the `with` block ends.

    Takes the event or its folder, and the port of its STAC API (None: a free one); yields and
    raises as `serve_catalog`, and RequestError where the folder holds no finished event.
    """
    known = event if isinstance(event, SimulatedEvent) else open_event(event)
    items = json.loads(known.items.read_text(encoding="utf-8"))["features"]
    collections = json.loads(known.collections.read_text(encoding="utf-8"))
    with serve_catalog(items, collections, known.path, port) as server:
        yield server
