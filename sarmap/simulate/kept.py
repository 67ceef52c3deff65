"""The simulated event that examples share: made at the first call, kept in the cache, served."""

from __future__ import annotations

import atexit
import json
import logging
import shutil
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from sarmap.cache import cache_folder
from sarmap.export.keeping import fingerprint
from sarmap.simulate.event import Progress, simulate_event
from sarmap.simulate.fingerprint import simulator_hash
from sarmap.simulate.record import SimulatedEvent, open_event
from sarmap.simulate.serve import serve_event

if TYPE_CHECKING:
    from sarmap.types import CatalogSettings

__all__ = ["demo_event", "event_folder", "serve_demo"]

FINGERPRINTS = "fingerprints.json"
"""File of a kept event: file -> what `sarmap.export.keeping.fingerprint` says of it."""

logger = logging.getLogger(__name__)


def event_folder(seed: int, rows: int, columns: int, cache: str | Path | None = None) -> Path:
    """Where an event of a seed and size is kept; another simulator keeps its own elsewhere."""
    root = Path(cache).expanduser() if cache else cache_folder("events")
    return root / f"iburi-{seed}-{rows}x{columns}-{simulator_hash()}"


def demo_event(
    *,
    rows: int = 3842,
    columns: int = 2346,
    seed: int = 2018,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> SimulatedEvent:
    """A SIMULATED landslide event like Iburi 2018: made at the first call, then kept.

    Nothing in it is real. `rows` and `columns` are its size in pixels of 10 m, by default the
    papers' extent, which takes about a minute or two to make. One whose files are not as they were
    written is made again.

    Parameters
    ----------
    rows, columns
        Size, pixels.
    seed
        Whole number that everything grows from.
    cache
        Folder where events are kept; None: sarmap's cache (`SARMAP_CACHE` moves it).
    progress
        Called with what is being made and the share done, 0 to 1.

    Raises
    ------
    RequestError
        The size is refused, or the kept event is damaged.
    OutputError
        The cache cannot be written.
    """
    folder = event_folder(seed, rows, columns, cache)
    if folder.exists() and not _as_written(folder):
        logger.warning("the simulated event in the cache is damaged and is made again")
        shutil.rmtree(folder)
    if not folder.exists():
        # Two notebooks may begin at once: each makes its own, and the first one done is kept.
        own = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
        simulate_event(own, seed=seed, rows=rows, columns=columns, progress=progress)
        names = [str(file.relative_to(own)) for file in own.rglob("*") if file.is_file()]
        (own / FINGERPRINTS).write_text(json.dumps(_fingerprints(own, names)), encoding="utf-8")
        try:
            own.rename(folder)
        except OSError:
            shutil.rmtree(own)
    return open_event(folder)


def _fingerprints(folder: Path, names: Iterable[str]) -> dict[str, str]:
    names = sorted(names)
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda name: fingerprint(str(folder / name)), names)
        return dict(zip(names, found, strict=True))


def _as_written(folder: Path) -> bool:
    """Whether all files of a kept event are as they were written."""
    try:
        known = json.loads((folder / FINGERPRINTS).read_text(encoding="utf-8"))
        return bool(_fingerprints(folder, known) == known)
    except (OSError, ValueError, TypeError):
        return False


def serve_demo(event: SimulatedEvent | str | Path) -> CatalogSettings:
    """Serve a simulated event on this machine until the process ends; for notebooks and scripts.

    Returns the catalogue's settings, which stand where ``"planetary-computer"`` does for a real
    event. `sarmap.simulate.serve.serve_event` is the same for a ``with`` block.

    Raises
    ------
    RequestError
        The folder holds no finished event.
    CatalogError
        A server did not start.
    """
    kept = ExitStack()
    server = kept.enter_context(serve_event(event))
    atexit.register(kept.close)
    return server.catalog
