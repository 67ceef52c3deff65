"""What a detector says about itself: read, completed with the documented defaults, and checked.

A detector is anything with `bands` that can be called on tiles (`sarmap.Detector`). What else
it says in attributes is optional; `describe` reads them all into one frozen `DetectorSpec`, so
that the rest of the package never asks an unknown object twice.

==================  =========================================  ====================================
attribute           meaning                                    default
==================  =========================================  ====================================
``bands``           band names, in the order of the last axis  none: it must be there
``scaling``         ``amplitude``, ``power`` or ``db``         ``power``
``normalisation``   ``tile-minmax``, ``none``, or statistics   ``none``
``kind``            ``segment``, ``window`` or ``pixel``       ``segment``
``tile``            edge of a tile or window, pixels           64 (``window``: 25)
``stride``          step from tile to tile, pixels             the tile (``window``: 2)
``halo``            context around a tile, pixels              0
``network_size``    edge the network resamples a tile to       the tile with its halo
``dense``           windows along each edge of a patch that    0: the detector knows no such call
                    ``sweep`` answers in one call
``name``            short name for messages and attributes     the function's or the class's name
``provenance``      what made it: weights, sha256, engine ...  nothing
==================  =========================================  ====================================

What a detector is called with, by kind:

- ``segment``: float32 ``[n, s, s, band]`` with ``s = tile + 2 * halo``; answers ``[n, s, s]``, of
  which the inner ``tile x tile`` pixels are kept. Normalised, never NaN.
- ``window``: float32 ``[n, tile, tile, band]``, normalised, never NaN, **not** resampled: a network
  of another input size resamples in its own graph. Answers ``[n]``.
  With ``dense``, a number ``w``, it has another call, ``sweep``: float32 ``[n, e, e, band]`` with
  ``e = (w - 1) * stride + tile``, to the answers ``[n, w, w]`` of all windows in each patch, the
  same as one by one. It needs fixed statistics: a tile's own would differ from window to window.
- ``pixel``: float32 ``[1, y + 2 * halo, x + 2 * halo, band]``, a whole block of any shape with the
  halo it looks across; NaN where nothing was measured. Answers ``[1, y + 2 * halo, x + 2 * halo]``;
  the answer at a pixel may depend on nothing farther away than the halo.

Answers are float32, 0 to 1. Tiles belong to the detector for the length of the call only: their
memory is used again. Several threads may call at once, at most one per core
(`sarmap.detect.block`). A detector that says ``__dask_tokenize__`` gets stable task names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal, Protocol, cast, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.types import Kind, Scaling

Normalisation = Literal["tile-minmax", "none"]


@runtime_checkable
class Detector(Protocol):
    """Anything that turns tiles into landslide probability.

    A user's own detector needs only `bands` and `__call__`; for the rest
    `sarmap.detect.protocol.describe` fills in documented defaults (scaling 'power', normalisation
    'none', kind 'segment', tile 64, stride = tile, halo 0).
    """

    bands: tuple[str, ...]

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, y, x, band] to probability: [n, y, x] (segment, pixel) or [n] (window)."""
        ...


@dataclass(frozen=True)
class FixedStatistics:
    """Fixed normalisation: ``(value - offset) / scale``, one pair per band.

    >>> FixedStatistics(offset=(0.2, 15.0), scale=(0.1, 10.0)).scale
    (0.1, 10.0)
    """

    offset: tuple[float, ...]
    """Subtracted, in the units of each band; what a missing pixel is filled with."""
    scale: tuple[float, ...]
    """Divided by, in the units of each band; positive."""


class Sweeping(Protocol):
    """A window detector with `dense`: it answers all windows of a patch in one call."""

    def sweep(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, edge, edge, band] to probability [n, dense, dense]."""
        ...


@dataclass(frozen=True)
class DetectorSpec:
    """All that tiling, normalisation and provenance need to know of one detector."""

    name: str
    """Short name for messages and attributes."""
    bands: tuple[str, ...]
    """Band names in the order of the tiles' last axis."""
    scaling: Scaling
    """Scaling of the radar bands it was made for."""
    normalisation: Normalisation | FixedStatistics
    """What is done to each tile before the call."""
    kind: Kind
    """'segment', 'window' or 'pixel'."""
    tile: int
    """Edge of a tile (segment) or window, pixels."""
    stride: int
    """Step from tile to tile, pixels."""
    halo: int
    """Context given around a tile or block, and cropped from the answer, pixels."""
    network_size: int
    """Edge of the network's own input, pixels; the detector resamples to it."""
    dense: int = 0
    """Windows along each edge of a patch that the detector's `sweep` answers at once; 0: none."""
    provenance: Mapping[str, str | int | float] = field(default_factory=dict)
    """What made it (weights, sha256, engine, precision ...), for the result's attributes."""

    @property
    def attributes(self) -> dict[str, str | int | float]:
        """The same as flat attributes for a result store: strings and numbers only."""
        return {
            **self.provenance,
            "detector": self.name,
            "kind": self.kind,
            "tile": self.tile,
            "stride": self.stride,
            "halo": self.halo,
            "network_size": self.network_size,
            "scaling": self.scaling,
            "normalisation": normalisation_text(self),
        }


def normalisation_text(spec: DetectorSpec) -> str:
    """The normalisation as one string: its name, or JSON of band -> [offset, scale].

    >>> def detector(tiles): ...
    >>> detector.bands, detector.normalisation = ("vv_pre",), {"vv_pre": (0.2, 0.1)}
    >>> normalisation_text(describe(detector))
    '{"vv_pre": [0.2, 0.1]}'
    """
    fixed = spec.normalisation
    if not isinstance(fixed, FixedStatistics):
        return fixed
    return json.dumps(
        dict(zip(spec.bands, zip(fixed.offset, fixed.scale, strict=True), strict=True))
    )


def describe(detector: Detector) -> DetectorSpec:
    """Read a detector's attributes, fill in the defaults, refuse what cannot be served.

    Raises `RequestError`, one sentence that names the detector and the attribute.

    >>> def bright(tiles):
    ...     return tiles[..., 0]
    >>> bright.bands = ("vv_post_1",)
    >>> spec = describe(bright)
    >>> spec.name, spec.kind, spec.scaling, spec.normalisation, spec.tile, spec.stride, spec.halo
    ('bright', 'segment', 'power', 'none', 64, 64, 0)
    """
    own = getattr(detector, "__name__", type(detector).__name__)
    name = str(getattr(detector, "name", None) or own)
    if not callable(detector):
        raise RequestError(f"detector {name} cannot be called; give it __call__(tiles)")
    bands = _bands(detector, name)
    kind = cast(Kind, _choice(detector, name, "kind", get_args(Kind), "segment"))
    tile = _whole(detector, name, "tile", 25 if kind == "window" else 64, least=1)
    halo = _whole(detector, name, "halo", 0, least=0)
    spec = DetectorSpec(
        name=name,
        bands=bands,
        scaling=cast(Scaling, _choice(detector, name, "scaling", get_args(Scaling), "power")),
        normalisation=_normalisation(detector, name, bands),
        kind=kind,
        tile=tile,
        stride=_whole(
            detector, name, "stride", min(2, tile) if kind == "window" else tile, least=1
        ),
        halo=halo,
        network_size=_whole(detector, name, "network_size", _seen(kind, tile, halo), least=1),
        dense=_whole(detector, name, "dense", 0, least=0),
        provenance=dict(getattr(detector, "provenance", None) or {}),
    )
    _check_together(spec)
    if spec.dense:
        _check_dense(spec, detector)
    return spec


def _seen(kind: Kind, tile: int, halo: int) -> int:
    """Edge of what one call sees of one tile; a window's halo lies within the window."""
    return tile if kind == "window" else tile + 2 * halo


def _bands(detector: Any, name: str) -> tuple[str, ...]:
    bands = getattr(detector, "bands", None)
    if isinstance(bands, str) or not bands or not all(isinstance(b, str) and b for b in bands):
        raise RequestError(f"detector {name} has bands {bands!r}; name at least one in a tuple")
    if len(set(bands)) < len(bands):
        raise RequestError(f"detector {name} names a band twice in {tuple(bands)}")
    return tuple(bands)


def _choice(detector: Any, name: str, what: str, allowed: tuple[str, ...], default: str) -> str:
    value = getattr(detector, what, default)
    if value not in allowed:
        raise RequestError(f"detector {name} has {what} {value!r}; use one of {', '.join(allowed)}")
    return str(value)


def _whole(detector: Any, name: str, what: str, default: int, *, least: int) -> int:
    value = getattr(detector, what, None)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise RequestError(f"detector {name} has {what} {value!r}; use a whole number >= {least}")
    return int(value)


def _normalisation(
    detector: Any, name: str, bands: tuple[str, ...]
) -> Normalisation | FixedStatistics:
    value = getattr(detector, "normalisation", "none")
    if value in get_args(Normalisation):
        return cast(Normalisation, value)
    if isinstance(value, Mapping):
        missing = [band for band in bands if band not in value]
        if missing:
            raise RequestError(f"detector {name} has no statistics for band {', '.join(missing)}")
        value = FixedStatistics(*zip(*(value[band] for band in bands), strict=True))
    if not isinstance(value, FixedStatistics):
        raise RequestError(
            f"detector {name} has normalisation {value!r}; use tile-minmax, none, "
            "FixedStatistics or a mapping of band to (offset, scale)"
        )
    return _checked_statistics(value, name, bands)


def _checked_statistics(
    value: FixedStatistics, name: str, bands: tuple[str, ...]
) -> FixedStatistics:
    offset, scale = (tuple(float(v) for v in pair) for pair in (value.offset, value.scale))
    if not len(offset) == len(scale) == len(bands):
        raise RequestError(
            f"detector {name} has {len(offset)} offsets and {len(scale)} scales for "
            f"{len(bands)} bands; give one of each per band"
        )
    if not all(map(math.isfinite, (*offset, *scale))) or min(scale) <= 0:
        raise RequestError(f"detector {name} needs finite offsets and positive scales: {value}")
    return FixedStatistics(offset, scale)


def _check_dense(spec: DetectorSpec, detector: Any) -> None:
    """Refuse a detector that cannot answer all windows of a patch, though it says so."""
    if spec.kind != "window" or not isinstance(spec.normalisation, FixedStatistics):
        raise RequestError(
            f"detector {spec.name} has dense {spec.dense}, which is for windows of fixed "
            f"statistics, and is of kind {spec.kind} with normalisation "
            f"{normalisation_text(spec)}; leave dense at 0"
        )
    if not callable(getattr(detector, "sweep", None)):
        raise RequestError(
            f"detector {spec.name} has dense {spec.dense} and no sweep(patches); give it one, or "
            "leave dense at 0"
        )


def _check_together(spec: DetectorSpec) -> None:
    """Refuse attributes that are sound alone and not together."""
    if spec.stride > spec.tile:
        raise RequestError(
            f"detector {spec.name} has stride {spec.stride} above its tile {spec.tile}, "
            "which would leave pixels unvisited; use a stride of at most the tile"
        )
    if spec.kind == "pixel" and spec.normalisation == "tile-minmax":
        raise RequestError(
            f"detector {spec.name} is of kind pixel, which has no tiles for tile-minmax; "
            "use normalisation none or fixed statistics"
        )
    if spec.kind == "window" and spec.halo not in (0, spec.tile // 2):
        raise RequestError(
            f"detector {spec.name} is of kind window and has halo {spec.halo}; a window is its "
            f"own context, so leave halo at 0 (or {spec.tile // 2}, half the window)"
        )
