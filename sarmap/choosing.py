"""Which detector maps a place: the one asked for, or one that it names for where it cannot.

A recipe that reads more passes, or VH, finds more, and serves fewer places. Its manifest may name
others (`otherwise`) for those, in order: an analyst gets a map, and is told which detector made it
and why.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

from sarmap.compose.names import needs_optical, required_passes
from sarmap.detect.change import Change, LogRatio
from sarmap.detect.protocol import Detector, DetectorSpec
from sarmap.detect.weight_files import CHANGE, DATA, LOG_RATIO
from sarmap.errors import RequestError, SarmapError
from sarmap.mapping import DEFAULT, WITHOUT_WEIGHTS
from sarmap.types import CatalogSettings, MapRequest, Passes

if TYPE_CHECKING:
    from sarmap.detect.protocol import DetectorSpec


@dataclass(frozen=True)
class Chosen:
    """A detector and the passes it maps from."""

    detector: Detector
    """Ready to be asked."""
    spec: DetectorSpec
    """What it reads and how it is tiled."""
    passes: tuple[Passes, ...]
    """One entry per orbit to be mapped."""
    warnings: tuple[str, ...] = ()
    """Why it is not the one that was asked for."""


def choose_detector(request: MapRequest, catalog: CatalogSettings, *, warm: bool = False) -> Chosen:
    """The request's detector with its passes, or the one it names where it cannot map; with `warm`
    the network is made ready on a thread while the catalogue is asked.

    Raises RequestError where the request cannot be served as given, CatalogError where the
    catalogue cannot be reached.
    """
    first, names = eligible(request)
    try:
        check_bands(first, catalog)
        return _chosen(request, first, catalog, warm)
    except RequestError as error:
        if not names or not lacks_data(error):
            raise
        return _instead(error, first, each(names, request), request, catalog, warm)


def eligible(request: MapRequest) -> tuple[Detector, tuple[str, ...]]:
    """The detector that is asked for, and the names of those for places where it lacks data.

    A composite asks for the detector that reads it, and for no other.
    """
    first = load(request)
    names = tuple(getattr(first, "otherwise", None) or ())
    if request.composite is None:
        return first, names
    asked = (other for other in each(names, request) if _is_asked_for(other, request))
    return next(asked, first), ()


def _instead(
    lack: RequestError,
    first: Detector,
    others: Iterator[Detector],
    request: MapRequest,
    catalog: CatalogSettings,
    warm: bool,
) -> Chosen:
    """The first of the others that can map; where none can, what the first lacks is raised."""
    from sarmap.detect.protocol import describe

    for other in others:
        try:
            check_bands(other, catalog)
            found = _chosen(request, other, catalog, warm)
        except RequestError as error:
            if not lacks_data(error):
                raise
            continue
        sentence = instead(found.spec.name, describe(first).name, str(lack.__cause__ or lack))
        return Chosen(found.detector, found.spec, found.passes, (sentence,))
    raise lack


def instead(other: str, first: str, why: str) -> str:
    """What a map says that another detector than the one asked for has made."""
    return f"Mapped with {other!r} instead of {first!r}, which finds more: {why}"


def load(request: MapRequest) -> Detector:
    """The request's detector: its own object, or one loaded by name or path."""
    from sarmap.detect.weights import load_detector

    if callable(request.detector):
        own: Detector = request.detector
        return own
    name = DEFAULT if request.detector == "auto" else request.detector
    return load_detector(
        name, engine=request.engine, precision=request.precision, dense=request.dense
    )


def each(names: Sequence[str], request: MapRequest) -> Iterator[Detector]:
    """The detectors of these names, loaded one by one."""
    return (load(request.model_copy(update={"detector": name})) for name in names)


def orbit_of(request: MapRequest, spec: DetectorSpec) -> Any:
    """The orbit to map; checks that a composite asked for is the one the detector reads."""
    from sarmap.compose.names import COMPOSITES, composite_bands

    if request.composite is None:
        return request.orbit
    bands = composite_bands(request.composite)
    if bands != tuple(spec.bands):
        raise RequestError(
            f"composite {request.composite!r} has the bands {', '.join(bands)}, but detector "
            f"{spec.name!r} reads {', '.join(spec.bands)}: leave out composite=, or choose a "
            "detector trained for it."
        )
    fixed = COMPOSITES[request.composite].orbit if isinstance(request.composite, str) else None
    if fixed and request.orbit not in (None, fixed):
        raise RequestError(
            f"composite {request.composite!r} is of the {fixed} orbit, but orbit="
            f"{request.orbit!r} was asked for: leave out one of the two."
        )
    return fixed or request.orbit


def _is_asked_for(detector: Detector, request: MapRequest) -> bool:
    """True where the composite that was asked for is the detector's."""
    from sarmap.compose.names import composite_bands

    return request.composite is not None and composite_bands(request.composite) == tuple(
        detector.bands
    )


class _NoBandError(RequestError):
    """The catalogue can never serve a detector."""


def check_bands(detector: Detector, catalog: CatalogSettings) -> None:
    """Raises `_NoBandError` where the catalogue names no asset for a band."""
    from sarmap.compose.names import as_held, required_radar_bands
    from sarmap.detect.protocol import describe

    held = catalog.radar_assets
    needed = required_radar_bands(detector.bands)
    lacking = [band for band in as_held(detector.bands, needed, held) if band not in held]
    name = describe(detector).name
    others_alone = "hh" in held and not {"vv", "vh"} & set(held)
    if needed and others_alone and name != WITHOUT_WEIGHTS:
        raise _NoBandError(
            f"There is {' and '.join(held).upper()}, and {name!r} reads "
            f"{' and '.join(needed).upper()}: other polarisations are mapped by "
            f"{WITHOUT_WEIGHTS!r} alone (--detector {WITHOUT_WEIGHTS})."
        )
    if lacking:
        raise _NoBandError(
            f"catalogue {catalog.name} names no asset for {' and '.join(map(repr, lacking))}: add "
            f"it to radar_assets (it has {', '.join(held)})."
        )


def lacks_data(error: RequestError) -> bool:
    """True where scenes, passes or bands are what lacks."""
    from sarmap.acquire.shortfall import NoSceneError, PassError

    return isinstance(error, (NoSceneError, PassError, _NoBandError))


def _chosen(
    request: MapRequest, detector: Detector, catalog: CatalogSettings, warm: bool
) -> Chosen:
    """A detector with the passes it reads.

    Raises `RequestError` where they are not there.
    """
    from sarmap.compose.names import as_held, required_radar_bands, wanted_radar_bands
    from sarmap.detect.protocol import describe

    if warm:
        # Not a daemon: a process that ends while the engine compiles would abort inside it.
        Thread(target=_warm, args=(detector,)).start()
    spec = describe(detector)
    held = catalog.radar_assets
    least = as_held(spec.bands, required_radar_bands(spec.bands), held)
    read = as_held(spec.bands, wanted_radar_bands(spec.bands), held)
    wanted = tuple(band for band in read if band in held)
    try:
        return Chosen(detector, spec, _search(request, spec, catalog, wanted))
    except RequestError as error:
        if wanted == least or not lacks_data(error):
            raise
        return Chosen(detector, spec, _search(request, spec, catalog, least))


def passes_asked(request: MapRequest, bands: Sequence[str]) -> tuple[int, int]:
    """Passes before and after that a map is to be made from, where there are so many.

    What the request gives counts; evidence otherwise takes what there is (`wanted_passes`), and
    other bands what they read.
    """
    from sarmap.compose.names import reads_evidence, required_passes, wanted_passes

    needed, wanted = required_passes(bands), wanted_passes(bands)
    given = request.model_fields_set
    if not reads_evidence(bands):
        return max(needed[0], request.pre), max(needed[1], request.post or 1)
    pre = request.pre if "pre" in given else wanted[0]
    return max(needed[0], pre), max(needed[1], request.post or wanted[1])


def _search(
    request: MapRequest, spec: DetectorSpec, catalog: CatalogSettings, radar: tuple[str, ...]
) -> tuple[Passes, ...]:
    """The passes of the orbits asked for, whose scenes hold these bands."""
    from sarmap.acquire.search import search_orbits
    from sarmap.acquire.shortfall import TooFewPassesError
    from sarmap.acquire.sought import Search
    from sarmap.compose.control_cube import control_passes
    from sarmap.compose.names import needs_optical, reads_evidence, required_passes

    pre, post = passes_asked(request, spec.bands)
    try:
        if request.from_files:
            return (_in_files(request, spec),)
        search = Search.of(
            request.area,
            request.event,
            orbit=orbit_of(request, spec),
            relative_orbit=request.relative_orbit,
            pre=pre,
            post=post,
            least=required_passes(spec.bands) if reads_evidence(spec.bands) else None,
            earlier=control_passes(spec.bands) if request.control else 0,
            optical=needs_optical(spec.bands),
            bands=radar,
            before_days=request.before_days,
            after_days=request.after_days,
        )
        return search_orbits(search, catalog)
    except TooFewPassesError as error:
        text = f"{error} {offer(spec, error.available)}".strip()
        raise type(error)(text, error.passes, error.due, error.available) from error


def _in_files(request: MapRequest, spec: DetectorSpec) -> Passes:
    """The passes in the files of a request: all for evidence, else the nearest that are read."""
    from sarmap.acquire.own_request import passes_in_files
    from sarmap.acquire.shortfall import TooFewPassesError
    from sarmap.compose.control_cube import control_passes
    from sarmap.compose.names import needs_optical, reads_evidence, required_passes

    if needs_optical(spec.bands):
        raise RequestError(
            f"Detector {spec.name!r} reads optical scenes, and the passes were given as files: "
            "choose a detector of radar alone (--detector)."
        )
    orbit = orbit_of(request, spec)
    pre, post = required_passes(spec.bands)
    if request.control:
        pre = max(pre, control_passes(spec.bands))
    most = (None, None) if reads_evidence(spec.bands) else (pre, post)
    passes = passes_in_files(request, pre=most[0], post=most[1])
    if orbit is not None and passes.orbit_state not in ("", orbit):
        raise RequestError(
            f"composite {request.composite!r} is of the {orbit} orbit, and the files are "
            f"{passes.orbit_state}: leave out composite=."
        )
    there = (len(passes.pre), len(passes.post))
    if there[0] < pre or there[1] < post:
        raise TooFewPassesError(
            f"Detector {spec.name!r} reads {pre} before and {post} after the event, and the files "
            f"hold {there[0]} and {there[1]}: give more passes (--pre, --post).",
            (*passes.pre, *passes.post),
            {},
            there,
        )
    return passes


def _warm(detector: Detector) -> None:
    """Make a shipped network ready; what goes wrong is raised again by the first block."""
    from sarmap.detect.weights import NetworkDetector

    if isinstance(detector, NetworkDetector):
        with contextlib.suppress(SarmapError):
            detector.prepare()


def detectors_for(pre: int, post: int) -> tuple[str, ...]:
    """Names of shipped detectors that read radar of no more passes before and after an event.

    >>> "change" in detectors_for(1, 1), "nava-2022-attention-unet" in detectors_for(1, 1)
    (True, False)
    """
    known = {
        path.stem: tuple(json.loads(path.read_text(encoding="utf-8"))["bands"])
        for path in sorted(DATA.glob("*.json"))
    } | {CHANGE: Change.bands, LOG_RATIO: LogRatio.bands}
    return tuple(
        name
        for name, bands in known.items()
        if not needs_optical(bands)
        and all(
            asked <= there for asked, there in zip(required_passes(bands), (pre, post), strict=True)
        )
    )


def offer(spec: DetectorSpec, available: tuple[int, int]) -> str:
    """What maps today with `available` passes before and after the event, in a sentence; empty
    where the detector itself does, or none does."""
    pre, post = required_passes(spec.bands)
    if pre <= available[0] and post <= available[1]:
        return ""
    others = detectors_for(*available)
    if not others:
        return ""
    return (
        f"Detector {spec.name!r} reads {pre} before and {post} after; with what there is, map now "
        f"with {' or '.join(repr(name) for name in others)} (--detector {others[0]}), and again "
        "when the next pass is there."
    )
