"""The detectors that may map a scan's units, and what a reader is told of which one did.

The detector that was asked for goes first. Those that it names for places where it lacks data
(`sarmap.choosing`) follow in its order, and are loaded only where a unit comes to need one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sarmap.choosing import each, eligible
from sarmap.compose.composites import required_passes
from sarmap.compose.control import control_passes
from sarmap.detect.prediction import stride_of
from sarmap.detect.protocol import DetectorSpec, describe
from sarmap.errors import RequestError
from sarmap.regions.request import ScanRequest
from sarmap.regions.tracks import Decision
from sarmap.types import Detector

if TYPE_CHECKING:
    from sarmap.regions.ledger import State

__all__ = ["Maker", "Makers", "decisions_of", "made_by", "mapped_only", "told"]

MAPPED = ("done", "unread")
"""Statuses of units that a map lies in."""


@dataclass(frozen=True)
class Maker:
    """One detector, ready to map units."""

    key: str
    """Its name in the scan's records: its own."""
    detector: Detector
    """The loaded detector."""
    spec: DetectorSpec
    """What it reads and how it is tiled."""
    stride: int
    """Step from tile to tile, pixels."""

    @property
    def sha256(self) -> str | None:
        """Hash of its weights; None where it has none."""
        found = getattr(self.detector, "sha256", None)
        return None if found is None else str(found)

    def passes(self, request: ScanRequest, *, control: bool) -> tuple[int, int]:
        """Passes before and after the event that it or the request asks for.

        Raises:
            RequestError: a control is asked for, and it can have none.
        """
        pre, post = required_passes(self.spec.bands)
        if control:
            pre = control_passes(self.spec.bands)
        return max(pre, request.pre), max(post, request.post or 1)


class Makers:
    """The detectors of one scan, in order of preference."""

    def __init__(self, request: ScanRequest) -> None:
        self._request = request
        first, names = eligible(request)
        self._known = [self._maker(first)]
        self._others = each(names, request)

    @property
    def first(self) -> Maker:
        """The one that was asked for."""
        return self._known[0]

    def __iter__(self) -> Iterator[Maker]:
        """All of them, the next loaded when it is asked for.

        Raises:
            SarmapError: one cannot be loaded, or is none for this request.
        """
        number = 0
        while number < len(self._known) or self._load():
            yield self._known[number]
            number += 1

    def named(self, key: str) -> Maker:
        """The one of that name.

        Raises:
            RequestError: there is none.
        """
        for maker in self:
            if maker.key == key:
                return maker
        raise RequestError(
            f"Units of this scan are of detector {key!r}, which {self.first.key!r} no longer names "
            "(`otherwise` of its manifest): name it again, or give another `out`."
        )

    def _load(self) -> bool:
        """The next one, loaded; False where there is none."""
        for detector in self._others:
            self._known.append(self._maker(detector))
            return True
        return False

    def _maker(self, detector: Detector) -> Maker:
        spec = describe(detector)
        same = sum(known.spec.name == spec.name for known in getattr(self, "_known", ()))
        key = f"{spec.name} ({same + 1})" if same else spec.name
        return Maker(key, detector, spec, stride_of(spec, self._request.overlap))


def decisions_of(record: Mapping[str, Any]) -> dict[str, Decision]:
    """Unit -> its decision, of `scan.json`."""
    first = record["identity"]["detector"]
    return {
        name: Decision(**({"detector": first} | kept | {"takes": tuple(kept["takes"])}))
        for name, kept in ((name, unit["decision"]) for name, unit in record["units"].items())
    }


def made_by(decisions: Mapping[str, Decision]) -> dict[str, tuple[str, ...]]:
    """Detector -> the units that are its to map, in their order; those of most units go first."""
    units: dict[str, list[str]] = {}
    for name, one in decisions.items():
        if one.takes:
            units.setdefault(one.detector, []).append(name)
    ordered = sorted(units.items(), key=lambda pair: -len(pair[1]))
    return {detector: tuple(names) for detector, names in ordered}


def told(decisions: Mapping[str, Decision], first: str, verb: str = "") -> tuple[str, ...]:
    """A sentence for each detector that maps units instead of the one asked for.

    >>> other = Decision(("068A-2",), detector="other", why="it lacks VH.")
    >>> told({"a": Decision(("068A-1",), detector="asked"), "b": other}, "asked")[0]
    "1 of 2 units was mapped with 'other' instead of 'asked', which finds more. Of b: it lacks VH."
    """
    sentences = []
    units = made_by(decisions)
    total = sum(map(len, units.values()))
    for detector, names in units.items():
        whys = [name for name in names if decisions[name].why]
        if not whys:
            continue
        done = verb or ("was mapped" if len(names) == 1 else "were mapped")
        sentences.append(
            f"{len(names)} of {total} units {done} with {detector!r} instead of "
            f"{first!r}, which finds more. Of {whys[0]}: {decisions[whys[0]].why}"
        )
    return tuple(sentences)


def mapped_only(
    decisions: Mapping[str, Decision], states: Mapping[str, State]
) -> dict[str, Decision]:
    """Those of the units that a map lies in."""
    return {
        name: one
        for name, one in decisions.items()
        if name in states and states[name].status in MAPPED
    }
