"""What all trials share: a served event, the command line's run of it, and the comparison."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sarmap.simulate.event import simulate_event
from sarmap.simulate.record import SimulatedEvent, open_event
from sarmap.simulate.serve import CatalogServer, absolute_hrefs, serve_catalog
from sarmap.store.ledger import MAP, Ledger
from sarmap.store.location import begun_store, store_at

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "faults"))
from fault_proxy import Fault, FaultServer, serve_faults, usual

__all__ = [
    "Fault",
    "FaultServer",
    "Stage",
    "differences",
    "done_blocks",
    "objects",
    "remove",
    "report",
    "serve_faults",
    "staged",
    "usual",
]


@dataclass
class Stage:
    """A simulated event behind a STAC API, its files behind a server that can be made to fail."""

    event: SimulatedEvent
    server: CatalogServer
    files: FaultServer
    folder: Path
    """Where maps are written."""
    flags: tuple[str, ...] = ()
    """Flags of every run, such as the detector's."""
    logs: list[str] = field(default_factory=list)
    """What runs said on standard error."""

    def command(self, out: str, *flags: str) -> list[str]:
        """`sarmap map` of the whole event."""
        west, south, east, north = self.event.area
        sarmap = Path(sysconfig.get_path("scripts")) / "sarmap"
        given = {
            "--area": f"{west},{south},{east},{north}",
            "--event": self.event.event,
            "--catalog": self.server.url,
            "--orbit": "ascending",
            "--out": out,
        }
        words = [word for pair in given.items() for word in pair]
        return [str(sarmap), "map", *words, *self.flags, *flags]

    def run(self, out: str, *flags: str) -> float:
        """Run to the end, which must be a good one; returns seconds."""
        started = time.perf_counter()
        ended = subprocess.run(
            self.command(out, *flags), capture_output=True, text=True, check=False
        )
        self.logs.append(ended.stderr)
        if ended.returncode != 0:
            raise SystemExit(f"`sarmap map` left with {ended.returncode}: {ended.stderr[-2000:]}")
        return time.perf_counter() - started


@contextmanager
def staged(
    folder: Path, event: Path | None, size: tuple[int, int] | None, delay: float = 0.0
) -> Iterator[Stage]:
    """Serve an event: one that is there, or one made for the occasion; each read takes `delay`."""
    with ExitStack() as stack:
        if event is not None:
            known = open_event(event)
        else:
            rows, columns = size or (3842, 2346)
            known = simulate_event(folder / "event", seed=2018, rows=rows, columns=columns)
        files = stack.enter_context(serve_faults(folder=known.path, delay=delay))
        items = json.loads(known.items.read_text(encoding="utf-8"))["features"]
        collections = json.loads(known.collections.read_text(encoding="utf-8"))
        placed = [absolute_hrefs(item, files.url) for item in items]
        server = stack.enter_context(serve_catalog(placed, collections, known.path))
        yield Stage(known, server, files, folder)


def done_blocks(out: str) -> set[tuple[int, int]]:
    """Blocks of the map that its ledger calls done; of a finished map none are listed."""
    store = begun_store(out)
    return set() if store is None else set(Ledger(store).read().get(MAP, {}))


def objects(out: str) -> dict[str, bytes]:
    """Every stored object of a map's arrays, and the arrays' own records."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    store = store_at(out, read_only=True)

    async def read() -> dict[str, bytes]:
        found = {}
        async for key in store.list():
            if key != "zarr.json" and not key.startswith(".sarmap"):
                value = await store.get(key, default_buffer_prototype())
                found[key] = b"" if value is None else value.to_bytes()
        return found

    return dict(sync(read()))


def remove(out: str) -> None:
    """Delete a map."""
    from zarr.core.sync import sync

    sync(store_at(out).delete_dir(""))


def differences(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Objects that only one of two maps has, or that differ in any byte."""
    return sorted(key for key in {*one, *other} if one.get(key) != other.get(key))


def report(record: Mapping[str, Any]) -> None:
    """One line per figure."""
    for name, value in record.items():
        print(f"{name:28} {value}", flush=True)
