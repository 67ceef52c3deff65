"""Passes before those of a map, on the same track: what a control map is made from.

A control asks the same detector of the same place while nothing happened: the passes before the
event stand in for those after it, and still earlier ones for those before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sarmap.acquire.pairing import choose, tracks_of
from sarmap.acquire.scenes import is_simulated
from sarmap.acquire.shortfall import TooFewPassesError
from sarmap.acquire.sought import Sought
from sarmap.types import Pass, Passes


def with_earlier(passes: Passes, seen: Sequence[Pass], sought: Sought) -> Passes:
    """Passes of one orbit with as many before the event as a control needs (`sought.earlier`) of
    all that were seen over the place; those there stay as they are. TooFewPassesError where the
    track has fewer.
    """
    lacking = sought.earlier - len(passes.pre)
    if lacking <= 0:
        return passes
    oldest = passes.pre[-1]
    own = [
        track
        for track in tracks_of(seen)
        if (track.relative_orbit, track.mode) == (passes.relative_orbit, oldest.mode)
        and track.orbit_state == passes.orbit_state
    ]
    found = choose(own, (oldest.datetime, passes.event[1]), pre=lacking, post=1)
    earlier = found.pre if found is not None else ()
    if len(earlier) < lacking:
        raise _too_few(passes, earlier, sought)
    further = tuple(
        replace(one, role=f"pre_{number}")
        for number, one in enumerate(earlier, start=len(passes.pre) + 1)
    )
    items = [item for one in further for item in one.items]
    simulated = passes.simulated or any(map(is_simulated, items))
    return replace(passes, pre=(*passes.pre, *further), simulated=simulated)


def _too_few(passes: Passes, earlier: tuple[Pass, ...], sought: Sought) -> TooFewPassesError:
    known = (*passes.pre, *earlier)
    days = ", ".join(f"{one.datetime:%Y-%m-%d}" for one in reversed(known))
    return TooFewPassesError(
        f"A control map with this detector needs {sought.earlier} passes before the event, and "
        f"{passes.orbit_state} orbit {passes.relative_orbit} has {len(known)} since "
        f"{sought.window[0]:%Y-%m-%d} ({days}): search further back with "
        "before_days= (--before-days), or leave out control= (--control).",
        known,
        {},
    )
