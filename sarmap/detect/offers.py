"""Which shipped detectors can map with the passes that there are."""

from __future__ import annotations

import json

from sarmap.compose.names import needs_optical, required_passes
from sarmap.detect.change import Change
from sarmap.detect.log_ratio import LogRatio
from sarmap.detect.protocol import DetectorSpec
from sarmap.detect.weights import CHANGE, DATA, LOG_RATIO


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
