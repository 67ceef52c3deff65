"""One call from a request to a finished map: plan, run, write, describe."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sarmap.assembly import Assembly, assemble, levelled, prepare
from sarmap.describing import control_days, describe_request, identity_of, provenance
from sarmap.errors import (
    ClusterError,
    Interrupted,
    OutputError,
    RequestError,
    SarmapError,
    UnreadDataError,
)
from sarmap.planning import READ_THREADS, Machine, make_plan, refuse_too_large
from sarmap.prepared import Prepared, pin_scenes
from sarmap.progress import Progress
from sarmap.types import MapRequest, Plan
from sarmap.unseen import slopes_unseen, too_much, unseen, why_nothing

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client

    from sarmap.export.keeping import Products

_FILE_ENDINGS = (
    ".tif",
    ".tiff",
    ".nc",
    ".gpkg",
    ".shp",
    ".geojson",
    ".json",
    ".kml",
    ".kmz",
    ".png",
)
"""Endings that a folder with a map should not have."""


@dataclass(frozen=True)
class MapResult:
    """A finished map: where it is and what is in it."""

    dataset: Any = field(repr=False)
    """xarray Dataset opened from the store (lazy)."""
    path: str
    """The result store."""
    plan: Plan = field(repr=False)
    """What was planned."""
    seconds: float
    """Wall time from search to closed store."""
    pixels: int
    """Pixels of the result grid."""
    observation: Mapping[str, int]
    """Pixels per observation meaning."""
    partly_read: int = 0
    """Pixels seen whose answer depends on failed readings: of another orbit, or around them."""
    computed: int | None = None
    """Blocks computed and stored by this call; 0 where a resumed map was finished before."""
    reads: Mapping[str, int] = field(default_factory=dict)
    """What reading took: 'requests', 'bytes', 'retries' and 'failures' (reads that failed for
    good), of files on the web."""
    control: Mapping[str, Any] | None = None
    """What the same detector calls landslide before the event, and what that leaves of the mapped
    area (see `sarmap.assess.control`); None: it was not asked for."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Further products: name -> file; `sarmap.MapRequest` lists the names."""
    warnings: tuple[str, ...] = ()
    """What a reader of the map should know, one sentence each."""

    @property
    def read_failed(self) -> bool:
        """True where any data could not be read."""
        return self.observation.get("read_failed", 0) + self.partly_read > 0


def map_landslides(
    request: MapRequest,
    client: Client | None = None,
    *,
    progress: Progress | None = None,
    prepared: Prepared | None = None,
) -> MapResult:
    """Map landslides from radar: search, read, predict and write, in blocks.

    Parameters
    ----------
    request
        What to map and how.
    client
        A Dask client to run on; None runs on threads of this process.
    progress
        Called with the numbers of blocks done and of all blocks.
    prepared
        The decisions that the request leaves open, where they have been taken already, as a scan
        does for all its units at once; None: they are taken now.

    Returns
    -------
    The finished map; its dataset is opened lazily from the result store.

    Raises
    ------
    RequestError
        The request or its input cannot be served as given.
    CatalogError
        The catalogue cannot be reached.
    OutputError
        The result cannot be written; what was stored by then can be continued.
    ClusterError
        The client's workers do not fit, or are lost again and again.
    Interrupted
        By the keyboard or a signal; what was stored by then can be continued.
    UnreadDataError
        `strict` was asked for, and some data could not be read or nothing was observed; the map is
        kept.
    """
    from sarmap.draw.shrink import composite_overview
    from sarmap.net.tally import Meter
    from sarmap.store.filling import store_map, tidy
    from sarmap.store.ledger import PARTLY
    from sarmap.store.result import count_observations, open_map

    started = time.perf_counter()
    out = _out(request)
    products = _products(request, out)
    here, machine, meter = client is None, _smallest(client), Meter(client)
    prepared = levelled(prepared or prepare(request, warm=here), warm=here)
    _check_products(prepared)
    pin_scenes(prepared)
    assembly = _with_radar(request, assemble(prepared))
    made = make_plan(prepared, assembly, machine)
    refuse_too_large(made, machine)
    overview = composite_overview(assembly.composite) if "quicklook" in products.files else None
    with _keeping_what_is_done(out, client), _scheduler(client, prepared, out):
        stored = store_map(
            assembly.dataset,
            out,
            attrs=provenance(prepared, made, assembly)
            | {
                "sarmap:seconds": lambda: round(time.perf_counter() - started, 3),
                "sarmap:reads": lambda: json.dumps(meter.read()),
            },
            overwrite=request.overwrite,
            progress=progress,
            alongside=overview,
            resume=request.resume,
            identity=identity_of(prepared, assembly.elevation),
            spoilt=assembly.spoilt,
        )
        warnings = _annotated(prepared, assembly, out)
        control = _control(request, prepared, out) if request.control else None
        files = _write_beside(products, overview, changed=bool(stored.computed))
        tidy(out)
    finished = open_map(out)
    observation = count_observations(finished)
    partly_read = int(finished.attrs.get(PARTLY, 0))  # depends on unread data, too
    nothing = why_nothing(prepared, observation)
    result = MapResult(
        dataset=finished,
        path=out,
        plan=made,
        seconds=time.perf_counter() - started,
        pixels=sum(observation.values()),
        observation=observation,
        partly_read=partly_read,
        control=control,
        files=files,
        computed=stored.computed,
        reads=meter.read(),
        warnings=(*warnings, *unseen(observation), *nothing),
    )
    if request.strict:
        _refuse_unread(result, nothing)
    return result


def _annotated(prepared: Prepared, assembly: Assembly, out: str) -> tuple[str, ...]:
    """What a reader of a stored map should know, kept in its attributes with the request."""
    from sarmap.store.result import annotate, open_map

    stored = open_map(out)
    doubts = (*slopes_unseen(stored), *too_much(stored, prepared.request.threshold))
    warnings = (*assembly.warnings, *doubts)
    record = {"sarmap:request": describe_request(prepared), "warnings": list(warnings)}
    annotate(out, {name: json.dumps(value) for name, value in record.items()})
    return warnings


def _refuse_unread(result: MapResult, nothing: Sequence[str]) -> None:
    """Raise of a strict request's map what it does not show; the map is kept."""
    if nothing:
        raise UnreadDataError(f"{nothing[0]} The request is strict; the map is kept.")
    if result.read_failed:
        raise UnreadDataError(
            f"{result.observation['read_failed'] + result.partly_read:,} of {result.pixels:,} "
            "pixels could not be read, and the request is strict; the map is kept, with those "
            "marked read_failed."
        )


def _out(request: MapRequest) -> str:
    """The result store's path, which a map needs."""
    if not request.out:
        raise RequestError("A map needs a place to be written: give out=, for example map.zarr.")
    out = PurePosixPath(request.out)
    if out.suffix.lower() in _FILE_ENDINGS:
        raise RequestError(
            f"out={out.name!r} ends as a file, and a map is stored as a folder: give out="
            f"'{out.stem}.zarr', and name further files by products= (--products)."
        )
    return str(request.out)


def _targets(request: MapRequest, out: str) -> dict[str, str]:
    """Product name -> file; refuses unknown names and, without `overwrite`, existing files."""
    from sarmap.export.products import product_files
    from sarmap.store.delivery import stands

    if not request.products:
        return {}
    files = product_files(request.products, out)
    if request.overwrite or request.resume:
        return files
    existing = [Path(file).name for file in files.values() if stands(file)]
    if existing:
        raise RequestError(
            f"{', '.join(existing)} exist already: choose another out=, or give overwrite=True "
            "(--overwrite)."
        )
    return files


def _products(request: MapRequest, out: str) -> Products:
    """What goes beside the map; refuses a map or products that are there already, and to replace
    what was edited.
    """
    from sarmap.export.keeping import Products
    from sarmap.store.location import check_writable

    targets = _targets(request, out)
    check_writable(out, overwrite=request.overwrite, resume=request.resume)
    products = Products.of(
        out,
        targets,
        threshold=request.threshold,
        min_area=request.min_area,
        cog_dtype=request.cog_dtype,
    )
    if targets:
        products.refuse_edited(
            overwrite=request.overwrite, changed=None if request.resume else True
        )
    return products


def _write_beside(
    products: Products, overview: xr.DataArray | None, *, changed: bool
) -> dict[str, str]:
    """Make the products that a stored map lacks, or all where it has changed; product -> file."""
    lacking = products.lacking(changed=changed)
    if overview is not None and "quicklook" in lacking:
        overview.load()  # where an earlier run has finished the map, it is read again
    return products.write(lacking, overview=overview)


@contextlib.contextmanager
def _keeping_what_is_done(out: str, client: Client | None) -> Iterator[None]:
    """Say of a run that ends early what is kept of it, and how it is continued."""
    from sarmap.store.location import forget_unbegun

    ended = False
    try:
        yield
        ended = True
    except (OutputError, ClusterError) as error:
        raise type(error)(f"{error} {_what_is_kept(out)}".strip()) from error
    except KeyboardInterrupt as error:
        kept = _what_is_kept(out) or "No block was done yet."
        raise Interrupted(f"Interrupted. {kept}") from error
    finally:
        if not ended and client is None:  # a cluster's workers may still be writing
            forget_unbegun(out)


def _what_is_kept(out: str) -> str:
    """What stands of a map whose run ended early, in a sentence; empty where nothing does."""
    from sarmap.store.block_progress import read_progress

    advice = "run the same again with resume=True (--resume) to continue."
    try:
        progress = read_progress(out)
    except SarmapError:
        return f"What was stored is kept: {advice}"
    if not progress.done:
        return ""
    if progress.status == "finished":
        return "A whole map stands there: what is missing beside it is made by --resume."
    return f"{progress.done} of {progress.total} blocks are kept: {advice}"


def _with_radar(request: MapRequest, assembly: Assembly) -> Assembly:
    """With the images that were asked to be kept as further layers of the map."""
    if not request.keep_radar:
        return assembly
    from sarmap.export.backscatter import kept_radar

    dataset = assembly.dataset.assign(kept_radar(assembly.composite))
    return replace(assembly, dataset=dataset)


def _control(request: MapRequest, prepared: Prepared, out: str) -> dict[str, Any]:
    """What the control of a stored map says, kept in its attributes, too."""
    from sarmap.assess.control import read_control
    from sarmap.store.result import annotate

    figures = read_control(out, threshold=request.threshold, min_area=request.min_area)
    record = {**figures.record(), "passes": control_days(prepared)}
    annotate(out, {"sarmap:control": json.dumps(record)})
    return record


def _check_products(prepared: Prepared) -> None:
    """Points exist only for detectors that classify windows."""
    if "points" in prepared.request.products and prepared.spec.kind != "window":
        raise RequestError(
            f"Detector {prepared.spec.name!r} maps pixels, not windows, so it has no points: "
            "leave 'points' out of products=."
        )


def _smallest(client: Client | None) -> Machine | None:
    """The worker of a cluster with the least memory for each of its threads; None: no cluster."""
    if client is None:
        return None
    from sarmap.cluster.readiness import smallest_worker

    return Machine(*smallest_worker(client))


@contextlib.contextmanager
def _scheduler(client: Client | None, prepared: Prepared, out: str) -> Iterator[None]:
    """Run on `client`'s workers, checked first, or on threads here: more than cores, as reads wait.
    ClusterError says which worker does not fit, and why; RequestError where the detector or the
    result cannot be shared with workers.
    """
    import dask
    from dask.threaded import get

    if client is not None:
        from sarmap.cluster.readiness import ready_workers

        with ready_workers(client, prepared.detector, out), client.as_current():
            yield
        return
    with (
        ThreadPoolExecutor(READ_THREADS) as pool,
        # the function, not the name "threads": to look a name up, dask imports distributed (0.25 s)
        dask.config.set(scheduler=get, pool=pool),
    ):
        yield
