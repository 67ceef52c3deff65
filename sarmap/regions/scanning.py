"""A scan from request to finished collection: unit by unit, each kept as soon as it is done."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sarmap.errors import ClusterError, Interrupted, OutputError, SarmapError
from sarmap.export.layout import count_blocks
from sarmap.export.store import open_map
from sarmap.regions.collection import Collection
from sarmap.regions.control import control_of
from sarmap.regions.design import Design, design
from sarmap.regions.folder import Folder
from sarmap.regions.identity import check_same, identity
from sarmap.regions.ledger import State, Status, Units, now, read_units
from sarmap.regions.makers import decisions_of, mapped_only, told
from sarmap.regions.request import ScanRequest
from sarmap.regions.stored import decision_record, take_record
from sarmap.regions.survey import Work, survey
from sarmap.regions.unit_map import Mapped, map_name, map_unit, reduced, reduction_for, reopened
from sarmap.version import __version__

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["ScanProgress", "ScanResult", "cores_of", "scan"]

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

    Args:
        request: what to map and how.
        client: a Dask client to run on; None runs on threads of this process.
        progress: called with where the scan is, whenever a block is stored.

    Raises:
        RequestError: the request cannot be served as given, or another scan lies in `out`.
        OutputError: the folder cannot be written.
        ClusterError: the client's workers do not fit, or are lost again and again.
        Interrupted: by the keyboard or a signal; `resume` continues.
    """
    from sarmap.regions.products import write_products

    started = time.perf_counter()
    known = survey(request)
    folder = Folder(str(request.out))
    record = folder.begin(resume=request.resume, overwrite=request.overwrite)
    wanted = identity(known)
    if record is not None:
        check_same(record, wanted, folder.shown)
    states = read_units(folder) if record is not None else {}
    units = Units(folder, {name: states.get(name, State()) for name in known.works})
    left = [name for name in known.works if not units[name].answered]
    if left or record is None:
        laid = design(known, record)
        record = _with_what_was_used(_record(laid, wanted), record, units)
        folder.write("scan.json", record)
        _answer_without_radar(laid, units)
    collection = Collection(folder, record)
    collection.write(units.all())
    if left:
        _map_all(laid, units, collection, client, progress)
        collection.write(units.all())
    files = write_products(folder, request) if _any_map(units) else {}
    return ScanResult(
        path=folder.out,
        states=units.all(),
        files={"collection": folder.path("collection.json"), **files},
        seconds=time.perf_counter() - started,
        simulated=bool(record["simulated"]),
        warnings=(*record["warnings"], *_told(record, units)),
        control=_control(request, units) if request.control else None,
    )


def _control(request: ScanRequest, units: Units) -> Mapping[str, Any] | None:
    mapped = [name for name, one in units.all().items() if one.status in ("done", "unread")]
    return control_of(units.folder, mapped, request.threshold)


def _told(record: Mapping[str, Any], units: Units) -> tuple[str, ...]:
    """Which units another detector has mapped than the one asked for, and why."""
    mapped = mapped_only(decisions_of(record), units.all())
    return told(mapped, record["identity"]["detector"])


def _any_map(units: Units) -> bool:
    return any(state.status in ("done", "unread") for state in units.all().values())


def _record(laid: Design, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`scan.json`: what was asked, the units, and what each is read from."""
    known = laid.survey
    request = known.request
    return {
        "sarmap:version": __version__,
        "identity": wanted,
        "order": request.order,
        "epicentre": request.epicentre,
        "threshold": request.threshold,
        "min_area": request.min_area,
        "bbox": [round(value, 6) for value in known.region.bbox],
        "zones": {
            zone.name: {"epsg": zone.epsg, "bounds": list(zone.geometry.bounds)}
            for zone in known.zones
        },
        "resolution": request.resolution,
        "reduced": reduction_for(known),
        "attribution": " ".join(
            dict.fromkeys(filter(None, (known.catalog.attribution, known.catalog.dem_attribution)))
        ),
        "simulated": any(passes.simulated for passes in laid.takes.values()),
        "warnings": [],
        "detectors": {
            name: known.makers.named(name).sha256
            for name in dict.fromkeys(one.detector for one in laid.decisions.values() if one.takes)
        },
        "takes": {key: take_record(passes) for key, passes in laid.takes.items()},
        "units": {name: _unit_record(laid, work) for name, work in known.works.items()},
    }


def _with_what_was_used(
    record: dict[str, Any], earlier: Mapping[str, Any] | None, units: Units
) -> dict[str, Any]:
    """The record with the decisions that mapped units were made by, whatever is found today: a
    catalogue may be silent now, or have lost a scene. Where nothing can be decided today, what was
    holds for the next run."""
    if earlier is None:
        return record
    for name, unit in record["units"].items():
        kept = earlier["units"][name]["decision"]
        mapped = units[name].status in ("done", "unread")
        if kept["takes"] and (mapped or not unit["decision"]["takes"]):
            unit["decision"] = kept
            record["takes"] |= {key: earlier["takes"][key] for key in kept["takes"]}
    record["detectors"] = earlier.get("detectors", {}) | record["detectors"]
    record["simulated"] = any(take["simulated"] for take in record["takes"].values())
    return record


def _unit_record(laid: Design, work: Work) -> dict[str, Any]:
    unit = work.unit
    return {
        "zone": unit.lattice.zone,
        "rows": list(unit.rows),
        "columns": list(unit.columns),
        "transform": list(unit.grid.affine)[:6],
        "bounds": [round(value, 6) for value in work.piece.bounds],
        "rank": round(work.rank, 3),
        "decision": decision_record(laid.decisions[unit.name]),
    }


def _answer_without_radar(laid: Design, units: Units) -> None:
    """Say at once of units that cannot be mapped why that is."""
    for name, decision in laid.decisions.items():
        if not decision.sentence or units[name].answered:
            continue
        if units[name].status == "unread":
            _stay_unread(units, name, units[name], decision.sentence)
            continue
        status: Status = "no_radar" if decision.no_radar else "failed"
        units.set(name, State(status, finished=now(), sentence=decision.sentence))


def _map_all(
    laid: Design,
    units: Units,
    collection: Collection,
    client: Client | None,
    progress: Callable[[ScanProgress], None] | None,
) -> None:
    """Map every unit that can be, in order; what goes wrong with one stays with it."""
    works = laid.survey.works
    wanted = [n for n in works if laid.decisions[n].takes and not units[n].answered]
    for number, name in enumerate(wanted, start=1):

        def tell(done: int, total: int, name: str = name, number: int = number) -> None:
            if progress is not None:
                progress(ScanProgress(name, number, len(wanted), done, total))

        before = units[name]
        try:
            tell(0, 0)
            maker = laid.decisions[name].detector
            begun = replace(before, status="running", started=now(), sentence="", detector=maker)
            units.set(name, begun)
            mapped = map_unit(works[name], laid, units.folder, client, tell)
        except KeyboardInterrupt as error:
            _leave(units, name, before)
            raise Interrupted(_what_is_kept(units)) from error
        except (OutputError, ClusterError):
            _leave(units, name, before)
            raise
        except SarmapError as error:
            _fail(units, name, before, str(error))
        except Exception as error:  # whatever one unit does, the others are mapped
            logger.info("unit %s failed", name, exc_info=True)
            kind = type(error).__name__
            sentence = f"unexpected {kind}; `sarmap --debug scan --resume` shows where."
            _fail(units, name, before, sentence)
        else:
            _keep(laid, units, collection, name, mapped, client)


def _what_is_kept(units: Units) -> str:
    """What an interrupted scan has by now, and how it is continued."""
    states = units.all().values()
    done = sum(state.status in ("done", "unread") for state in states)
    return (
        f"Interrupted. {done} of {len(states)} units are mapped and kept: run the same again with "
        "resume=True (--resume) to continue."
    )


def _leave(units: Units, name: str, before: State) -> None:
    """A unit whose run was cut short waits again; that the folder may not answer is known."""
    try:
        units.set(name, replace(before, status="waiting"))
    except SarmapError:
        logger.warning("the state of unit %s could not be kept", name)


def _fail(units: Units, name: str, before: State, sentence: str) -> None:
    """A unit that could not be mapped; the map that it has from before, if whole, still counts."""
    if before.status == "unread" and _stands(units.folder.path(map_name(name))):
        _stay_unread(units, name, before, sentence)
        return
    units.set(name, replace(units[name], status="failed", finished=now(), sentence=sentence))


def _stay_unread(units: Units, name: str, before: State, sentence: str) -> None:
    """Say why the unread pixels of a mapped unit could not be tried again."""
    said = f"Not tried again: {sentence}"
    if not before.sentence.endswith(said):
        units.set(name, replace(before, sentence=f"{before.sentence} {said}".strip()))
    else:
        units.set(name, before)


def _stands(path: str) -> bool:
    """True where a finished map is."""
    try:
        return open_map(path) is not None
    except SarmapError:
        return False


def _keep(
    laid: Design,
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
        mapped.result.dataset,
        collection.record["reduced"],
        laid.survey.request.threshold,
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
    from dask.system import CPU_COUNT

    return int(CPU_COUNT) if client is None else max(sum(client.nthreads().values()), 1)
