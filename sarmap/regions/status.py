"""How far a scan is: read from its folder alone, by anyone, from any machine."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sarmap.errors import SarmapError
from sarmap.progress import megapixels
from sarmap.regions.scan_folder import PROGRESS, Folder, State, read_units
from sarmap.regions.scan_record import (
    decisions_of,
    places_of,
    read_record,
    replacement_notes,
    shape_of,
    units_by_detector,
)
from sarmap.regions.unit_map import map_name
from sarmap.store.block_progress import read_progress
from sarmap.store.layout import count_blocks


@dataclass(frozen=True)
class Rate:
    """How fast a scan's units were mapped."""

    pixels_per_second: float
    """Pixels computed per second of wall time."""
    core_seconds_per_megapixel: float
    """Seconds of one core per million pixels."""
    source: str
    """What it was measured on, in words."""


@dataclass(frozen=True)
class ScanStatus:
    """Where a scan stands."""

    path: str
    """Folder or URL."""
    simulated: bool
    """True where the scenes are simulated."""
    units: Mapping[str, int]
    """Units per status: waiting, running, done, unread, failed, no_radar."""
    blocks: Mapping[str, int]
    """Blocks `done`, `failed` (stored, but with unread pixels) and `left`."""
    pixels: Mapping[str, int]
    """Pixels `done` and `left`."""
    running: Mapping[str, tuple[int, int]]
    """Units at work -> blocks done and blocks in all."""
    rate: Rate | None
    """How fast it went so far; None before the first unit is done."""
    seconds_left: float | None
    """Wall time left at that rate; None where there is none yet."""
    failures: Mapping[str, str]
    """Failed unit -> why."""
    updated: str | None
    """UTC instant of the last change; None before the first unit."""
    age: float | None = None
    """Seconds since then."""
    warnings: tuple[str, ...] = field(default=())
    """What could not be told."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Unit -> where it is: '42.70 N 142.00 E'."""
    detectors: Mapping[str, int] = field(default_factory=dict)
    """Detector -> units that it has mapped, or that are its to map."""
    notes: tuple[str, ...] = field(default=())
    """Why units are mapped by another detector than the one asked for."""

    @property
    def finished(self) -> bool:
        """True where every unit has been tried."""
        return not self.units.get("waiting", 0) and not self.units.get("running", 0)

    def record(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        running = {name: list(pair) for name, pair in self.running.items()}
        return asdict(self) | {"finished": self.finished, "running": running}


def measured_rate(states: Mapping[str, State], shown: str) -> Rate | None:
    """How fast the units of a scan were mapped; None where none was."""
    timed = [state for state in states.values() if state.computed and state.seconds > 0]
    if not timed:
        return None
    computed = sum(state.computed for state in timed)
    seconds = sum(state.seconds for state in timed)
    cores = sum(state.seconds * max(state.cores, 1) for state in timed)
    return Rate(
        computed / seconds,
        cores / computed * 1e6,
        f"{len(timed)} finished unit{'s' * (len(timed) > 1)} of {shown} "
        f"({megapixels(computed)} in {seconds:.0f} s)",
    )


def scan_status(out: str | Path) -> ScanStatus:
    """How far a scan is, from two small records and the ledgers of the units at work.

    Raises
    ------
    RequestError
        No scan is there.
    OutputError
        The store does not answer.
    """
    folder = Folder(out)
    record, tried = read_record(folder), read_units(folder)
    sizes = {name: shape_of(unit) for name, unit in record["units"].items()}
    states = {name: tried.get(name, State()) for name in sizes}
    chunk = int(record["identity"]["chunk"])
    running: dict[str, tuple[int, int]] = {}
    warnings = []
    blocks: Counter[str] = Counter(done=0, failed=0, left=0)
    pixels: Counter[str] = Counter(done=0, left=0)
    for name, state in states.items():
        if state.status == "no_radar":
            continue
        total = count_blocks(sizes[name], chunk)
        done, failed = total if state.mapped else 0, 0
        if state.status != "done" and state.started:
            try:
                found = read_progress(folder.path(map_name(name)))
            except SarmapError as error:
                warnings.append(f"{name}: {error}")
            else:
                done, failed, total = found.done, found.failed, found.total or total
                if state.status == "running":
                    running[name] = (found.done, total)
        share, size = done / total, math.prod(sizes[name])
        blocks.update(done=done - failed, failed=failed, left=total - done)
        pixels.update(done=round(size * share), left=round(size * (1 - share)))
    rate = measured_rate(tried, folder.shown)
    lost = [name for name, state in states.items() if state.status == "failed"]
    decisions = {name: one for name, one in decisions_of(record).items() if name not in lost}
    notes = replacement_notes(decisions, record["identity"]["detector"], "mapped, or to be mapped,")
    # failed units wait for `--resume`
    left = max(pixels["left"] - sum(math.prod(sizes[name]) for name in lost), 0)
    updated = (folder.read(PROGRESS) or {}).get("updated")
    age = None
    if updated:
        age = (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(updated)).total_seconds()
    return ScanStatus(
        path=folder.shown,
        simulated=bool(record["simulated"]),
        units=dict(Counter(state.status for state in states.values())),
        blocks=dict(blocks),
        pixels=dict(pixels),
        running=running,
        rate=rate,
        seconds_left=None if rate is None else left / rate.pixels_per_second,
        failures={
            name: state.sentence for name, state in tried.items() if state.status == "failed"
        },
        updated=updated,
        age=age,
        warnings=tuple(warnings),
        places=places_of(record),
        detectors={name: len(own) for name, own in units_by_detector(decisions).items()},
        notes=notes,
    )
