"""Which detector maps a place: the one asked for, or the one it names for where it cannot.

A recipe that reads more passes, or VH, finds more, and serves fewer places. Its manifest may name
another (`otherwise`) for those: an analyst gets a map, and is told which detector made it and why.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError, SarmapError
from sarmap.types import CatalogSettings, Detector, MapRequest, Passes

if TYPE_CHECKING:
    from sarmap.acquire.shortfall import TooFewPassesError
    from sarmap.detect.protocol import DetectorSpec

__all__ = ["Chosen", "choose_detector", "load", "orbit_of"]


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
    """The request's detector with its passes, or the one it names where it cannot map.

    With `warm` the network is made ready on a thread while the catalogue is asked.

    Raises:
        RequestError: the request cannot be served as given.
        CatalogError: the catalogue cannot be reached.
    """
    from sarmap.detect.protocol import describe

    first = load(request)
    other = getattr(first, "otherwise", None)
    if other is None:
        return _chosen(request, first, catalog, warm)
    second = load(request.model_copy(update={"detector": other}))
    if _is_asked_for(second, request):
        return _chosen(request, second, catalog, warm)
    reason = _unserved(first, catalog)
    if not reason:
        try:
            return _chosen(request, first, catalog, warm)
        except RequestError as error:
            if not _lacks_passes(error):
                raise
            try:
                found = _chosen(request, second, catalog, warm)
            except RequestError:
                raise error from None  # what the detector that was asked for lacks
            reason = str(error.__cause__ or error)
    else:
        found = _chosen(request, second, catalog, warm)
    names = [describe(one).name for one in (second, first)]
    sentence = f"Mapped with {names[0]!r} instead of {names[1]!r}, which finds more: {reason}"
    return Chosen(found.detector, found.spec, found.passes, (sentence,))


def load(request: MapRequest) -> Detector:
    """The request's detector: its own object, or one loaded by name or path."""
    from sarmap.detect.weights import load_detector

    if callable(request.detector):
        own: Detector = request.detector
        return own
    return load_detector(
        request.detector,
        engine=request.engine,
        precision=request.precision,
        dense=request.dense,
    )


def orbit_of(request: MapRequest, spec: DetectorSpec) -> Any:
    """The orbit to map; checks that a composite asked for is the one the detector reads."""
    from sarmap.compose.composites import COMPOSITES, composite_bands

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
    from sarmap.compose.composites import composite_bands

    return request.composite is not None and composite_bands(request.composite) == tuple(
        detector.bands
    )


def _unserved(detector: Detector, catalog: CatalogSettings) -> str:
    """Why the catalogue can never serve a detector; empty where it may."""
    from sarmap.compose.composites import required_radar_bands

    lacking = [b for b in required_radar_bands(detector.bands) if b not in catalog.radar_assets]
    if not lacking:
        return ""
    return f"catalogue {catalog.name} names no asset for {' and '.join(lacking)} (radar_assets)."


def _lacks_passes(error: RequestError) -> bool:
    """True where scenes or passes are what lacks."""
    from sarmap.acquire.shortfall import NoSceneError, PassError

    return isinstance(error, (NoSceneError, PassError))


def _chosen(
    request: MapRequest, detector: Detector, catalog: CatalogSettings, warm: bool
) -> Chosen:
    """A detector with the passes it reads.

    Raises `RequestError` where they are not there.
    """
    from sarmap.acquire.area import parse_area
    from sarmap.acquire.search import search_orbits
    from sarmap.acquire.shortfall import TooFewPassesError
    from sarmap.compose.composites import needs_optical, required_passes, required_radar_bands
    from sarmap.detect.protocol import describe

    if warm:
        # Not a daemon: a process that ends while the engine compiles would abort inside it.
        Thread(target=_warm, args=(detector,)).start()
    spec = describe(detector)
    orbit = orbit_of(request, spec)
    pre, post = required_passes(spec.bands)
    try:
        passes = search_orbits(
            parse_area(request.area),
            request.event,
            catalog=catalog,
            orbit=orbit,
            pre=max(pre, request.pre),
            post=max(post, request.post or 1),
            optical=needs_optical(spec.bands),
            bands=required_radar_bands(spec.bands),
            before_days=request.before_days,
            after_days=request.after_days,
        )
    except TooFewPassesError as error:
        raise _with_offer(error, spec) from error
    return Chosen(detector, spec, passes)


def _warm(detector: Detector) -> None:
    """Make a shipped network ready; what goes wrong is raised again by the first block."""
    from sarmap.detect.weights import NetworkDetector

    if isinstance(detector, NetworkDetector):
        with contextlib.suppress(SarmapError):
            detector.prepare()


def _with_offer(error: TooFewPassesError, spec: DetectorSpec) -> TooFewPassesError:
    """What lacks, and what maps today with what there is."""
    from sarmap.detect.offers import offer

    text = f"{error} {offer(spec, error.available)}".strip()
    return type(error)(text, error.passes, error.due, error.available)
