"""One call from a request to a finished map: plan, run, write, describe."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sarmap.assembly import (
    Assembly,
    Prepared,
    assemble,
    levelled,
    levels_record,
    pin_scenes,
    prepare,
)
from sarmap.continuing import identity_of
from sarmap.errors import (
    ClusterError,
    Interrupted,
    OutputError,
    RequestError,
    SarmapError,
    UnreadDataError,
)
from sarmap.planning import READ_THREADS, Machine, make_plan, refuse_too_large
from sarmap.progress import Progress
from sarmap.types import MapRequest, MapResult, Plan
from sarmap.unseen import slopes_unseen, too_much, unseen, why_nothing
from sarmap.version import __version__

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client

    from sarmap.export.keeping import Products

__all__ = ["map_landslides"]

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


def map_landslides(
    request: MapRequest,
    client: Client | None = None,
    *,
    progress: Progress | None = None,
    prepared: Prepared | None = None,
) -> MapResult:
    """Map landslides from radar: search, read, predict and write, in blocks.

    Args:
        request: what to map and how.
        client: a Dask client to run on; None runs on threads of this process.
        progress: called with the numbers of blocks done and of all blocks.
        prepared: the decisions that the request leaves open, where they have been taken already, as
            a scan does for all its units at once; None: they are taken now.

    Returns:
        The finished map; its dataset is opened lazily from the result store.

    Raises:
        RequestError: the request or its input cannot be served as given.
        CatalogError: the catalogue cannot be reached.
        OutputError: the result cannot be written; what was stored by then can be continued.
        ClusterError: the client's workers do not fit, or are lost again and again.
        Interrupted: by the keyboard or a signal; what was stored by then can be continued.
        UnreadDataError: `strict` was asked for, and some data could not be read or nothing was
            observed; the map is kept.
    """
    from sarmap.draw.shrink import composite_overview
    from sarmap.net.tally import Meter
    from sarmap.store.filling import store_map, tidy
    from sarmap.store.result import annotate, check_writable, count_observations, open_map

    started = time.perf_counter()
    out = _out(request)
    targets = _targets(request, out)
    check_writable(out, overwrite=request.overwrite, resume=request.resume)
    products = _products(request, out, targets)
    prepared = levelled(prepared or prepare(request, warm=client is None))
    _check_products(prepared)
    pin_scenes(prepared)
    assembly = _with_radar(request, assemble(prepared))
    machine = _smallest(client)
    made = make_plan(prepared, assembly, machine)
    refuse_too_large(made, machine)
    overview = composite_overview(assembly.composite) if "quicklook" in targets else None
    meter = Meter(client)
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
            identity=identity_of(prepared),
            spoilt=assembly.spoilt,
        )
        lacking = products.lacking(changed=bool(stored.computed))
        if overview is not None and "quicklook" in lacking:
            overview.load()  # where an earlier run has finished the map, it is read again
    stored_map = open_map(out)
    doubts = (*slopes_unseen(stored_map), *too_much(stored_map, request.threshold))
    warnings = (*assembly.warnings, *doubts)
    annotate(
        out,
        {
            "sarmap:request": json.dumps(describe_request(prepared)),
            "warnings": json.dumps(list(warnings)),
        },
    )
    control = _control(request, prepared, out) if request.control else None
    files = products.write(lacking, overview=overview)
    tidy(out)
    finished = open_map(out)
    observation = count_observations(finished)
    partly_read = _partly_read(finished)
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
    if request.strict and nothing:
        raise UnreadDataError(f"{nothing[0]} The request is strict; the map is kept.")
    if request.strict and result.read_failed:
        raise UnreadDataError(
            f"{observation['read_failed'] + partly_read:,} of {result.pixels:,} pixels could not "
            "be read, and the request is strict; the map is kept, with those marked read_failed."
        )
    return result


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


def _products(request: MapRequest, out: str, targets: Mapping[str, str]) -> Products:
    """What goes beside the map; refuses to replace what was edited there."""
    from sarmap.export.keeping import Products

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
    """Blocks that an interrupted run has stored, in a sentence; empty where there are none."""
    from sarmap.store.block_progress import read_progress

    advice = "run the same again with resume=True (--resume) to continue."
    try:
        progress = read_progress(out)
    except SarmapError:
        return f"What was stored is kept: {advice}"
    if progress.status != "unfinished" or not progress.done:
        return ""
    return f"{progress.done} of {progress.total} blocks are kept: {advice}"


def _with_radar(request: MapRequest, assembly: Assembly) -> Assembly:
    """With the images that were asked to be kept as further layers of the map."""
    if not request.keep_radar:
        return assembly
    from sarmap.export.backscatter import kept_radar

    dataset = assembly.dataset.assign(kept_radar(assembly.composite))
    return dataclasses.replace(assembly, dataset=dataset)


def _control(request: MapRequest, prepared: Prepared, out: str) -> dict[str, Any]:
    """What the control of a stored map says, kept in its attributes, too."""
    from sarmap.assess.control import read_control
    from sarmap.store.result import annotate

    figures = read_control(out, threshold=request.threshold, min_area=request.min_area)
    record = {**figures.record(), "passes": _control_passes(prepared)}
    annotate(out, {"sarmap:control": json.dumps(record)})
    return record


def _control_passes(prepared: Prepared) -> list[dict[str, Any]]:
    """Days of the passes that a control reads, in the roles that they take."""
    from sarmap.compose.control_cube import control_roles

    roles = control_roles(prepared.spec.bands)
    found = []
    for passes in prepared.passes:
        taken = [(roles[one.role], one) for one in reversed(passes.pre) if one.role in roles]
        found.append(
            {
                "orbit_state": passes.orbit_state,
                "relative_orbit": passes.relative_orbit,
                **{
                    stem: [f"{one.datetime:%Y-%m-%d}" for role, one in taken if role[:3] == key]
                    for stem, key in (("as_before", "pre"), ("as_after", "pos"))
                },
            }
        )
    return found


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

    Raises:
        ClusterError: a worker does not fit: which, and why.
        RequestError: the detector or the result cannot be shared with workers.
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


def provenance(prepared: Prepared, made: Plan, assembly: Assembly) -> dict[str, Any]:
    """How the map is made, for the result store's attributes: no path, no token, no signed URL.

    Scenes that only its control reads have roles of their own: ``control_pre_2`` and so on.
    """
    own = _own_roles(prepared)
    scenes = [
        {
            "id": item.id,
            "datetime": one.datetime.isoformat(),
            "role": one.role if one.role in own else f"control_{one.role}",
            "orbit_state": one.orbit_state,
            "relative_orbit": one.relative_orbit,
            "platform": one.platform,
            **({} if passes.simulated else {"item": item.get_self_href()}),
        }
        for passes in prepared.passes
        for one in passes
        for item in one.items
    ]
    start, end = prepared.passes[0].event
    return {
        "sarmap:version": __version__,
        "sarmap:created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "sarmap:request": json.dumps(describe_request(prepared)),
        "sarmap:event": json.dumps([start.isoformat(), end.isoformat()]),
        "sarmap:orbits": json.dumps(sorted({p.orbit_state for p in prepared.passes} - {""})),
        "scenes": json.dumps(scenes),
        "detector": json.dumps(dict(made.detector)),
        "tiling": json.dumps({"overlap": prepared.request.overlap, "chunk": made.chunk}),
        "attribution": assembly.dataset.attrs["attribution"],
        **_judgement(prepared),
        "simulated": int(any(passes.simulated for passes in prepared.passes)),
        "warnings": json.dumps(list(assembly.warnings)),
    }


def _judgement(prepared: Prepared) -> dict[str, str]:
    """Levels of the passes and how far the default network is to be trusted, per orbit."""
    if not prepared.judged:
        return {}
    orbits = [passes.orbit_state for passes in prepared.passes]
    trust = [
        {"orbit_state": orbit, **known.trust.record()}
        for orbit, known in zip(orbits, prepared.judged, strict=True)
    ]
    return {
        "sarmap:levels": json.dumps(levels_record(prepared)),
        "sarmap:trust": json.dumps(trust),
        "sarmap:doubts": json.dumps(list(prepared.doubts)),
    }


def _own_roles(prepared: Prepared) -> frozenset[str]:
    """Roles of the passes that the map itself was asked to be made from."""
    from sarmap.choosing import passes_asked

    pre = passes_asked(prepared.request, prepared.spec.bands)[0]
    numbered = (
        (one.role, number)
        for passes in prepared.passes
        for number, one in enumerate(passes.pre, start=1)
    )
    before = {role for role, number in numbered if number <= pre or not prepared.request.control}
    return frozenset(before | {one.role for passes in prepared.passes for one in passes.post})


def describe_request(prepared: Prepared) -> Mapping[str, Any]:
    """The request as a record that may be published: places as coordinates, never paths."""
    request = prepared.request
    kept = request.model_dump(
        mode="json",
        include={"orbit", "pre", "post", "overlap", "threshold", "min_area", "strict", "control"},
    )
    bounds = prepared.grid.extent.to_crs("EPSG:4326").boundingbox
    composite = request.composite
    track = request.relative_orbit
    return {
        "area": [round(value, 6) for value in bounds.bbox],
        "crs": str(prepared.grid.crs),
        "resolution": request.resolution,
        "catalog": prepared.catalog.name,
        "detector": prepared.spec.name,
        "composite": composite if composite is None or isinstance(composite, str) else [*composite],
        **({} if track is None else {"relative_orbit": track}),
        **kept,
    }


def _partly_read(finished: xr.Dataset) -> int:
    """Pixels with an answer that hangs on unread data too: of another orbit, or beyond the map."""
    from sarmap.store.ledger import PARTLY

    return int(finished.attrs.get(PARTLY, 0))
