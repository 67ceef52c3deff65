"""How far a scan is: read from its folder alone, by anyone, from any machine."""

from __future__ import annotations

import datetime as dt
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
    record = read_record(folder)
    states = read_units(folder)
    sizes = {name: _size(unit) for name, unit in record["units"].items()}
    chunk = int(record["identity"]["chunk"])
    running: dict[str, tuple[int, int]] = {}
    warnings = []
    blocks: Counter[str] = Counter(done=0, failed=0, left=0)
    pixels: Counter[str] = Counter(done=0, left=0)
    for name, (rows, columns) in sizes.items():
        state = states.get(name, State())
        total = count_blocks((rows, columns), chunk)
        if state.mapped:
            done, failed = total, 0
        elif state.status == "no_radar":
            continue
        else:
            done, failed = 0, 0
        if state.status in ("running", "unread", "failed", "waiting") and state.started:
            try:
                found = read_progress(folder.path(map_name(name)))
            except SarmapError as error:
                warnings.append(f"{name}: {error}")
            else:
                done, failed, total = found.done, found.failed, found.total or total
                if state.status == "running":
                    running[name] = (found.done, total)
        share = done / total
        blocks.update(done=done - failed, failed=failed, left=total - done)
        pixels.update(done=round(rows * columns * share), left=round(rows * columns * (1 - share)))
    rate = measured_rate(states, folder.shown)
    decisions = {
        name: one
        for name, one in decisions_of(record).items()
        if states.get(name, State()).status != "failed"
    }
    notes = replacement_notes(decisions, record["identity"]["detector"], "mapped, or to be mapped,")
    left = _left(sizes, states, pixels["left"])
    updated = (folder.read(PROGRESS) or {}).get("updated")
    age = None
    if updated:
        age = (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(updated)).total_seconds()
    return ScanStatus(
        path=folder.shown,
        simulated=bool(record["simulated"]),
        units=dict(Counter(states.get(name, State()).status for name in sizes)),
        blocks=dict(blocks),
        pixels=dict(pixels),
        running=running,
        rate=rate,
        seconds_left=None if rate is None else left / rate.pixels_per_second,
        failures={
            name: state.sentence for name, state in states.items() if state.status == "failed"
        },
        updated=updated,
        age=age,
        warnings=tuple(warnings),
        places=places_of(record),
        detectors={name: len(own) for name, own in units_by_detector(decisions).items()},
        notes=notes,
    )


def _size(unit: Mapping[str, Any]) -> tuple[int, int]:
    (top, bottom), (left, right) = unit["rows"], unit["columns"]
    return bottom - top, right - left


def _left(
    sizes: Mapping[str, tuple[int, int]], states: Mapping[str, State], pixels_left: int
) -> int:
    """Pixels that this run still maps: failed units wait for `--resume`."""
    failed = sum(
        sizes[name][0] * sizes[name][1]
        for name in sizes
        if states.get(name, State()).status == "failed"
    )
    return max(pixels_left - failed, 0)
