"""A scan from request to finished collection: unit by unit, each kept as soon as it is done."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.system import CPU_COUNT

from sarmap.errors import ClusterError, Interrupted, OutputError, SarmapError
from sarmap.regions.collection import Collection, control_of_units, refuse_edited, write_products
from sarmap.regions.decisions import make_design
from sarmap.regions.request import ScanRequest
from sarmap.regions.scan_folder import Folder, State, Status, Units, now, read_units
from sarmap.regions.scan_record import (
    decisions_of,
    make_record,
    of_mapped_units,
    places_of,
    replacement_notes,
    with_what_was_used,
)
from sarmap.regions.survey import Design, as_begun, identity_of_scan, make_survey
from sarmap.regions.unit_map import Mapped, map_name, map_unit, reduced, reopened
from sarmap.store.identity import check_identity
from sarmap.store.layout import count_blocks
from sarmap.store.result import open_map

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanProgress:
    """Where a running scan is, as its `progress` callback is told."""

    unit: str
    """The unit at work."""
    number: int
    """How many units were begun, this one included."""
    units: int
    """Units to be mapped in this run."""
    blocks_done: int
    """Blocks of this unit that are stored."""
    blocks: int
    """Blocks of this unit; 0 until they are known."""


@dataclass(frozen=True)
class ScanResult:
    """A scan that has come to its end."""

    path: str
    """Folder or URL of the scan."""
    states: Mapping[str, State]
    """What became of each unit, in the order they were mapped."""
    files: Mapping[str, str]
    """Product -> path or URL: 'collection', 'geopackage', 'geoparquet', 'quicklook'."""
    seconds: float
    """Wall time of this run."""
    simulated: bool
    """True where the scenes are simulated."""
    warnings: tuple[str, ...] = field(default=())
    """What a reader of the map should know."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Unit -> where it is: '42.70 N 142.00 E'."""
    control: Mapping[str, Any] | None = None
    """What the controls of all mapped units say together (see `sarmap.assess.control`); None: they
    were not asked for."""

    def count(self, *statuses: str) -> int:
        """Units of the given statuses."""
        return sum(state.status in statuses for state in self.states.values())

    @property
    def incomplete(self) -> bool:
        """True where a unit failed, or holds pixels that could not be read."""
        return self.count("failed", "unread", "waiting", "running") > 0


def scan(
    request: ScanRequest,
    client: Client | None = None,
    *,
    progress: Callable[[ScanProgress], None] | None = None,
) -> ScanResult:
    """Map a region of any size: unit after unit, the most urgent first.

    Every unit is a map of its own that is kept, listed in the STAC collection and shown by
    `sarmap status` as soon as it is done; a unit that fails is recorded with its reason, and the
    rest goes on. With `request.resume` an unfinished scan is continued: done units stay, unfinished
    ones go on at their blocks, failed ones are tried again.

    Parameters
    ----------
    request
        What to map and how.
    client
        A Dask client to run on; None runs on threads of this process.
    progress
        Called with where the scan is, whenever a block is stored.

    Raises
    ------
    RequestError
        The request cannot be served as given, or another scan lies in `out`.
    OutputError
        The folder cannot be written.
    ClusterError
        The client's workers do not fit, or are lost again and again.
    Interrupted
        By the keyboard or a signal; `resume` continues.
    """
    started = time.perf_counter()
    survey = make_survey(request)
    folder = Folder(str(request.out))
    record = folder.begin(resume=request.resume, overwrite=request.overwrite)
    survey = as_begun(survey, record)
    if record is not None:
        check_identity(record["identity"], identity_of_scan(survey), folder.shown)
        refuse_edited(folder, request)
    states = read_units(folder) if record is not None else {}
    units = Units(folder, {name: states.get(name, State()) for name in survey.works})
    left = [name for name in survey.works if not units[name].answered]
    if left or record is None:
        design = make_design(survey, record)
        made = make_record(design, identity_of_scan(design.survey))
        record = with_what_was_used(made, record, units)
        folder.write("scan.json", record)
        _answer_without_radar(design, units)
    collection = Collection(folder, record)
    collection.write(units.all())
    if left:
        _map_all(design, units, collection, client, progress)
        collection.write(units.all())
    mapped = of_mapped_units(decisions_of(record), units.all())
    files = write_products(folder, request) if mapped else {}
    return ScanResult(
        path=folder.out,
        states=units.all(),
        files={"collection": folder.path("collection.json"), **files},
        seconds=time.perf_counter() - started,
        simulated=bool(record["simulated"]),
        places=places_of(record),
        warnings=(*record["warnings"], *replacement_notes(mapped, record["identity"]["detector"])),
        control=control_of_units(folder, mapped, request.threshold) if request.control else None,
    )


def _answer_without_radar(design: Design, units: Units) -> None:
    """Say at once of units that cannot be mapped why that is."""
    for name, decision in design.decisions.items():
        if not decision.sentence or units[name].answered:
            continue
        if units[name].status == "unread":
            _keep_unread(units, name, units[name], decision.sentence)
            continue
        status: Status = "no_radar" if decision.no_radar else "failed"
        units.set(name, State(status, finished=now(), sentence=decision.sentence))


def _map_all(
    design: Design,
    units: Units,
    collection: Collection,
    client: Client | None,
    progress: Callable[[ScanProgress], None] | None,
) -> None:
    """Map every unit that can be, in order; what goes wrong with one stays with it."""
    works = design.survey.works
    names = [n for n in works if design.decisions[n].takes and not units[n].answered]
    for number, name in enumerate(names, start=1):

        def report_blocks(done: int, total: int, name: str = name, number: int = number) -> None:
            if progress is not None:
                progress(ScanProgress(name, number, len(names), done, total))

        before = units[name]
        try:
            report_blocks(0, 0)
            detector = design.decisions[name].detector
            begun = replace(before, status="running", started=now(), sentence="", detector=detector)
            units.set(name, begun)
            mapped = map_unit(works[name], design, units.folder, client, report_blocks)
        except KeyboardInterrupt as error:
            _set_waiting(units, name, before)
            raise Interrupted(_what_is_kept(units)) from error
        except (OutputError, ClusterError):
            _set_waiting(units, name, before)
            raise
        except SarmapError as error:
            _set_failed(units, name, before, str(error))
        except Exception as error:  # whatever one unit does, the others are mapped
            logger.info("unit %s failed", name, exc_info=True)
            kind = type(error).__name__
            sentence = f"unexpected {kind}; `sarmap --debug scan --resume` shows where."
            _set_failed(units, name, before, sentence)
        else:
            _record_finished(design, units, collection, name, mapped, client)


def _what_is_kept(units: Units) -> str:
    """What an interrupted scan has by now, and how it is continued."""
    states = units.all().values()
    done = sum(state.mapped for state in states)
    return (
        f"Interrupted. {done} of {len(states)} units are mapped and kept: run the same again with "
        "resume=True (--resume) to continue."
    )


def _set_waiting(units: Units, name: str, before: State) -> None:
    """A unit whose run was cut short waits again; that the folder may not answer is known."""
    try:
        units.set(name, replace(before, status="waiting"))
    except SarmapError:
        logger.warning("the state of unit %s could not be kept", name)


def _set_failed(units: Units, name: str, before: State, sentence: str) -> None:
    """A unit that could not be mapped; the map that it has from before, if whole, still counts."""
    if before.status == "unread" and _has_map(units.folder.path(map_name(name))):
        _keep_unread(units, name, before, sentence)
        return
    units.set(name, replace(units[name], status="failed", finished=now(), sentence=sentence))


def _keep_unread(units: Units, name: str, before: State, sentence: str) -> None:
    """Say why the unread pixels of a mapped unit could not be tried again."""
    said = f"Not tried again: {sentence}"
    if not before.sentence.endswith(said):
        units.set(name, replace(before, sentence=f"{before.sentence} {said}".strip()))
    else:
        units.set(name, before)


def _has_map(path: str) -> bool:
    """True where a finished map is."""
    try:
        return open_map(path) is not None
    except SarmapError:
        return False


def _record_finished(
    design: Design,
    units: Units,
    collection: Collection,
    name: str,
    mapped: Mapped,
    client: Client | None,
) -> None:
    """Record a finished unit: its overview, its STAC item, its state."""
    folder, result, before = units.folder, mapped.result, units[name]
    mapped = reopened(mapped, folder, name)
    packed = io.BytesIO()
    small = reduced(
        mapped.result.dataset, collection.record["reduced"], design.survey.request.threshold
    )
    np.savez_compressed(packed, **small)  # type: ignore[arg-type]
    folder.write_bytes(f"units/{name}/overview.npz", packed.getvalue())
    collection.add(name, mapped.result.dataset)
    blocks = count_blocks(result.plan.grid.shape, result.plan.chunk)
    done = blocks if result.computed is None else result.computed
    state = State(
        status="unread" if result.read_failed else "done",
        started=before.started,
        finished=now(),
        seconds=round(before.seconds + (mapped.seconds if done else 0.0), 3),
        cores=cores_of(client),
        pixels=result.pixels,
        computed=before.computed + round(result.pixels * done / blocks),
        blocks=blocks,
        observation=dict(result.observation),
        sentence=" ".join(result.warnings),
        detector=before.detector,
    )
    units.set(name, state)
    collection.write(units.all())


def cores_of(client: Client | None) -> int:
    """Threads that compute."""
    return int(CPU_COUNT) if client is None else max(sum(client.nthreads().values()), 1)
