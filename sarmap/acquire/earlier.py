"""Passes before those of a map, on the same track: what a control map is made from.

A control asks the same detector of the same place while nothing happened: the passes before the
event stand in for those after it, and still earlier ones for those before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sarmap.acquire.pairing import choose, group_passes, tracks_of
from sarmap.acquire.scenes import is_simulated
from sarmap.acquire.search import search_scenes
from sarmap.acquire.shortfall import TooFewPassesError
from sarmap.types import Pass, Passes

__all__ = ["with_earlier"]


def with_earlier(
    passes: Passes,
    area: Any,
    count: int,
    *,
    bands: tuple[str, ...] = ("vv",),
    before_days: float | None = None,
) -> Passes:
    """The same passes with as many before the event as a control needs; those there stay as they
    are.

    Parameters
    ----------
    passes
        The passes of one orbit, as a map reads them.
    area
        Anything `parse_area` takes.
    count
        Passes before the event, those that are there included.
    bands
        Bands that every scene must have an asset for.
    before_days
        Days searched before the event; None: 60, or more for many passes.

    Raises
    ------
    TooFewPassesError
        The track has fewer passes before the event.
    CatalogError
        The catalogue cannot be reached.
    """
    lacking = count - len(passes.pre)
    if lacking <= 0:
        return passes
    oldest = passes.pre[-1]
    scenes, sought = search_scenes(
        area,
        passes.event,
        catalog=passes.catalog,
        orbit=passes.orbit_state,  # type: ignore[arg-type]  # never 'both' for one track
        pre=count,
        bands=bands,
        before_days=before_days,
    )
    own = [
        track
        for track in tracks_of(group_passes(scenes, sought.area.geometry))
        if (track.relative_orbit, track.mode) == (passes.relative_orbit, oldest.mode)
    ]
    found = choose(own, (oldest.datetime, passes.event[1]), pre=lacking, post=1)
    earlier = found.pre if found is not None else ()
    if len(earlier) < lacking:
        raise _too_few(passes, earlier, count, f"{sought.window[0]:%Y-%m-%d}")
    further = tuple(
        replace(one, role=f"pre_{number}")
        for number, one in enumerate(earlier, start=len(passes.pre) + 1)
    )
    items = [item for one in further for item in one.items]
    simulated = passes.simulated or any(map(is_simulated, items))
    return replace(passes, pre=(*passes.pre, *further), simulated=simulated)


def _too_few(
    passes: Passes, earlier: tuple[Pass, ...], count: int, since: str
) -> TooFewPassesError:
    known = (*passes.pre, *earlier)
    days = ", ".join(f"{one.datetime:%Y-%m-%d}" for one in reversed(known))
    return TooFewPassesError(
        f"A control map with this detector needs {count} passes before the event, and "
        f"{passes.orbit_state} orbit {passes.relative_orbit} has {len(known)} since {since} "
        f"({days}): search further back with before_days= (--before-days), or leave out control= "
        "(--control).",
        known,
        {},
    )
