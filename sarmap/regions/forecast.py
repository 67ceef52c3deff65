"""What a scan will take, known before it starts: units, scenes, bytes, tasks, core-hours.

Nothing is invented: hours come from units that were mapped, those of an earlier part of the same
scan or a piece mapped for the purpose, and the plan says which; otherwise they are unknown.
"""

from __future__ import annotations

import logging
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sarmap.assembly import assemble
from sarmap.errors import RequestError, SarmapError
from sarmap.planning import make_plan, read_bytes_of
from sarmap.prepared import Prepared
from sarmap.progress import megapixels
from sarmap.regions.decisions import make_design
from sarmap.regions.request import ScanRequest
from sarmap.regions.scan_folder import Folder, State, read_units
from sarmap.regions.scan_record import replacement_notes, units_by_detector
from sarmap.regions.status import Rate, measured_rate
from sarmap.regions.survey import Design, Work, as_begun, identity_of_scan, make_survey
from sarmap.regions.tracks import Decision
from sarmap.regions.unit_map import prepared_unit
from sarmap.store.identity import check_identity
from sarmap.store.layout import count_blocks

if TYPE_CHECKING:
    from distributed import Client

PIECE = 2048
"""Edge of the piece that is mapped to measure the rate, pixels."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanPlan:
    """What a scan will read, compute and write."""

    request: ScanRequest
    """The request this plan serves."""
    zones: Mapping[str, int]
    """Zone -> units in it."""
    order: tuple[str, ...]
    """Units in the order they are to be mapped, those without radar among them."""
    decisions: Mapping[str, Decision]
    """Unit -> what it is read from."""
    orbits: Mapping[str, int]
    """Track and passes, in words -> units that are read from it."""
    detectors: Mapping[str, int]
    """Detector -> units that it maps; those of most units go first."""
    scenes: tuple[str, ...]
    """Ids of all scenes to be read."""
    searches: int
    """Searches for radar scenes this plan took."""
    pixels: int
    """Pixels to be mapped."""
    pixels_done: int
    """Of those, mapped already in `out`."""
    blocks: int
    """Blocks to be computed."""
    tasks: int | None
    """Dask tasks, as counted in the largest unit of each detector and scaled by blocks and orbits;
    None: none is to be mapped, or its elevation was not found."""
    unit_tasks: int
    """Dask tasks of the largest unit: the most that a scheduler holds at a time."""
    read_bytes: int
    """Bytes of uncompressed pixels to be read."""
    write_bytes: int
    """Bytes of uncompressed pixels to be written."""
    peak_memory: int
    """Projected peak of the process that maps the largest unit, bytes."""
    rate: Rate | None
    """How fast units are mapped; None: not known."""
    warnings: tuple[str, ...] = ()
    """Why units go to another detector than the one asked for, and what could not be told."""

    @property
    def core_hours(self) -> float | None:
        """Hours of one core for what is not mapped yet; None where no rate is known."""
        if self.rate is None:
            return None
        left = self.pixels - self.pixels_done
        return left / 1e6 * self.rate.core_seconds_per_megapixel / 3600

    @property
    def unmapped(self) -> dict[str, str]:
        """Unit that cannot be mapped -> why."""
        return {name: one.sentence for name, one in self.decisions.items() if one.sentence}


def plan_scan(
    request: ScanRequest, client: Client | None = None, *, calibrate: bool = False
) -> ScanPlan:
    """What a scan would take; asks the catalogue, reads no pixel unless told to calibrate.

    Parameters
    ----------
    request
        What would be mapped.
    client
        A Dask client to calibrate on; None: threads of this process.
    calibrate
        Map a piece of the first unit into a temporary folder, to measure the rate.

    Raises
    ------
    RequestError
        The request cannot be served as given, or another scan lies in `out` and is not to be
        overwritten.
    CatalogError
        The catalogue cannot be reached.
    """
    survey = make_survey(request)
    folder = Folder(str(request.out))
    record = None if request.overwrite else folder.read("scan.json")
    survey = as_begun(survey, record)
    states: dict[str, State] = {}
    if record is not None:
        check_identity(record["identity"], identity_of_scan(survey), folder.shown)
        states = read_units(folder)
    design = make_design(survey, record)
    mapped = {name: work for name, work in survey.works.items() if design.decisions[name].takes}
    rate = measured_rate(states, folder.shown)
    if rate is None and calibrate and mapped:
        rate = _calibrated(next(iter(mapped.values())), design, client)
    return _plan(design, mapped, states, folder, rate)


def _plan(
    design: Design,
    mapped: Mapping[str, Work],
    states: Mapping[str, State],
    folder: Folder,
    rate: Rate | None,
) -> ScanPlan:
    prepared = {name: prepared_unit(work, design, folder) for name, work in mapped.items()}
    scenes = {
        item.id: None
        for one in prepared.values()
        for passes in one.passes
        for each in passes
        for item in each.items
    }
    chunk = design.survey.chunk
    sizes = {name: count_blocks(work.unit.shape, chunk) for name, work in mapped.items()}
    weights = {name: sizes[name] * len(design.decisions[name].takes) for name in mapped}
    names_of = units_by_detector({name: design.decisions[name] for name in mapped})
    samples: dict[str, _Sample] = {}
    tasks = 0.0
    warnings = design.notes + replacement_notes(
        design.decisions, design.survey.detectors.first.key, "would be mapped"
    )
    try:
        for detector, names in names_of.items():
            largest = max(names, key=lambda name: weights[name])
            samples[detector] = _sampled(prepared[largest])
            share = sum(weights[name] for name in names) / weights[largest]
            tasks += samples[detector].tasks * share
    except SarmapError as error:
        samples = {}
        warnings = (*warnings, f"Tasks and memory are not known: {error}")
    takes = {name: design.decisions[name].takes for name in mapped}
    done = sum(state.pixels for name, state in states.items() if state.status == "done")
    works = design.survey.works
    return ScanPlan(
        request=design.survey.request,
        zones=dict(Counter(work.unit.lattice.zone for work in works.values())),
        order=tuple(works),
        decisions=design.decisions,
        orbits=dict(Counter(_words(design, key) for name in mapped for key in takes[name])),
        detectors={detector: len(names) for detector, names in names_of.items()},
        scenes=tuple(scenes),
        searches=design.searches,
        pixels=sum(work.unit.pixels for work in mapped.values()),
        pixels_done=done,
        blocks=sum(sizes.values()),
        tasks=round(tasks) if samples else None,
        unit_tasks=max((one.tasks for one in samples.values()), default=0),
        read_bytes=sum(read_bytes_of(one) for one in prepared.values()),
        write_bytes=sum(
            (samples[detector].layers if samples else 2) * mapped[name].unit.pixels
            for detector, names in names_of.items()
            for name in names
        ),
        peak_memory=max((one.peak_memory for one in samples.values()), default=0),
        rate=rate,
        warnings=warnings,
    )


@dataclass(frozen=True)
class _Sample:
    """One unit laid out."""

    tasks: int
    """Its Dask tasks."""
    peak_memory: int
    """Projected peak of the process that maps it, bytes."""
    layers: int
    """Layers of its map."""


def _sampled(prepared: Prepared) -> _Sample:
    """What one unit takes, from its graph."""
    assembly = assemble(prepared)
    plan = make_plan(prepared, assembly)
    return _Sample(plan.tasks, plan.peak_memory, len(assembly.dataset.data_vars))


def _words(design: Design, key: str) -> str:
    """A take in words: 'ascending 68, 2018-09-01 to 2018-09-13'."""
    passes = design.takes[key]
    days = sorted(one.datetime for one in passes)
    orbit = f"{passes.orbit_state} {passes.relative_orbit}"
    return f"{orbit}, {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}"


def _calibrated(work: Work, design: Design, client: Client | None) -> Rate:
    """The rate of a piece of one unit, mapped into a folder that is removed again."""
    from sarmap.pipeline import map_landslides
    from sarmap.regions.scanning import cores_of

    unit = work.unit
    rows = (unit.rows[0], min(unit.rows[0] + PIECE, unit.rows[1]))
    columns = (unit.columns[0], min(unit.columns[0] + PIECE, unit.columns[1]))
    piece = replace(work, unit=replace(unit, rows=rows, columns=columns))
    with tempfile.TemporaryDirectory(prefix="sarmap-rate-") as scratch:
        prepared = prepared_unit(piece, design, Folder(scratch))
        here = socket.gethostname()
        if client is not None and set(client.run(socket.gethostname).values()) != {here}:
            raise RequestError(
                "calibrating on a cluster needs a folder that its workers share: leave "
                "--calibrate out, or give --out of a scan with finished units."
            )
        started = time.perf_counter()
        map_landslides(prepared.request, client, prepared=prepared)
        seconds = time.perf_counter() - started
    pixels = piece.unit.pixels
    return Rate(
        pixels / seconds,
        seconds * cores_of(client) / pixels * 1e6,
        f"a piece of {unit.name} mapped for this plan ({megapixels(pixels)} in {seconds:.1f} s, "
        "start-up included)",
    )
