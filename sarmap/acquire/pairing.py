"""From scenes to passes, and from passes to the ones before and after an event.

A pass is all scenes of one satellite on one relative orbit within minutes, mosaicked. Passes of
different relative orbits, of the two orbit directions, or of two instrument modes, are never put
together: their viewing geometry differs, and with it the backscatter of every slope.

How an orbit's passes are chosen: a pass *covers* the place when its footprints cover as much of it
as the orbit's best pass, less two hundredths. The nearest covering passes are taken; only where
they are too few does a partial pass stand in, the fuller one first, and never one that covers less
than half of what the best does.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from shapely.geometry.base import BaseGeometry

from sarmap.acquire.area import share_covered
from sarmap.acquire.scenes import Scene, newest_of_each, versions
from sarmap.types import Pass

SAME_PASS = dt.timedelta(minutes=10)
"""Scenes of one satellite and track closer in time than this are one pass."""
TOLERANCE = 0.02
"""Coverage by which two passes, or two tracks, count as equally covered."""
USABLE = 0.5
"""Part of the best pass's coverage below which a partial pass is of no use."""
REPEAT = dt.timedelta(days=12)
"""Repeat cycle of one Sentinel-1 satellite."""
LONG_PAST = dt.timedelta(days=90)
"""An event whose next pass was due longer ago is not being waited for."""


@dataclass(frozen=True)
class Track:
    """All passes of one relative orbit over a place, in order of time."""

    relative_orbit: int
    """Track number."""
    orbit_state: str
    """'ascending' or 'descending'."""
    passes: tuple[Pass, ...]
    """Passes with role '', each covering some of the place."""
    mode: str = "IW"
    """Instrument mode of all of them: another mode looks at the ground from elsewhere."""

    @property
    def coverage(self) -> float:
        """Coverage of the best pass, 0-1."""
        return max(one.coverage for one in self.passes)

    @property
    def repeat(self) -> dt.timedelta | None:
        """Shortest time between two passes seen, to the day; None where only one was seen."""
        times = [one.datetime for one in self.passes]
        steps = [_whole_days(b - a) for a, b in pairwise(times)]
        return min((step for step in steps if step), default=None)

    def next_after(self, instant: dt.datetime) -> dt.datetime:
        """When this track is next due after `instant`, from each satellite's own repeats.

        A satellite not seen for more than three repeats is taken to have ceased.
        """
        latest = self.passes[-1].datetime
        due: list[dt.datetime] = []
        for platform in {one.platform for one in self.passes}:
            times = [one.datetime for one in self.passes if one.platform == platform]
            steps = [_whole_days(b - a) for a, b in pairwise(times)]
            step = min((one for one in steps if one), default=REPEAT)
            if latest - times[-1] <= 3 * step:
                ahead = max(1, (instant - times[-1]) // step + 1)
                due.append(times[-1] + ahead * step)
        return min(due)


@dataclass(frozen=True)
class Choice:
    """The passes chosen of one track; fewer than asked for where there are no more."""

    track: Track
    """The track they belong to."""
    pre: tuple[Pass, ...]
    """Passes before the event, nearest first."""
    post: tuple[Pass, ...]
    """Passes after the event, nearest first."""
    post_available: int
    """Usable passes after the event."""

    @property
    def coverage(self) -> float:
        """The least coverage of the chosen passes, 0-1."""
        return min((one.coverage for one in (*self.pre, *self.post)), default=0.0)


def next_due(passes: Iterable[Pass], now: dt.datetime) -> dt.datetime | None:
    """When the track of some passes is next due after `now`.

    None where the track is not known, or its last pass is long past: nobody waits for the next.
    """
    known = tuple(sorted(passes, key=lambda one: one.datetime))
    if not known or not known[0].relative_orbit or now - known[-1].datetime > LONG_PAST:
        return None
    track = Track(known[0].relative_orbit, known[0].orbit_state, known)
    return track.next_after(max(now, known[-1].datetime))


def group_passes(scenes: Iterable[Scene], area: BaseGeometry) -> list[Pass]:
    """Passes of all tracks, by time, whatever the order of the scenes; role ''. Versions of one
    scene are reduced to the newest, passes that miss the area (degrees) left out.
    """
    satellites: dict[tuple[int, str, str, str], list[Scene]] = defaultdict(list)
    over = (scene for scene in scenes if scene.footprint.intersection(area).area > 0)
    for scene in newest_of_each(over):
        key = (scene.relative_orbit, scene.orbit_state, scene.platform, scene.mode)
        satellites[key].append(scene)
    found = [
        _pass_of(slices, area)
        for ordered in satellites.values()
        for slices in _split_at_gaps(ordered)
    ]
    return sorted(
        found, key=lambda p: (p.datetime, p.relative_orbit, p.orbit_state, p.platform, p.mode)
    )


def tracks_of(passes: Iterable[Pass]) -> list[Track]:
    """Passes sorted into tracks of one instrument mode each, by track number."""
    sorted_in: dict[tuple[int, str, str], list[Pass]] = defaultdict(list)
    for one in passes:
        sorted_in[one.relative_orbit, one.orbit_state, one.mode].append(one)
    return [
        Track(number, state, tuple(sorted(members, key=lambda p: (p.datetime, p.platform))), mode)
        for (number, state, mode), members in sorted(sorted_in.items())
    ]


def choose(
    tracks: Iterable[Track],
    event: tuple[dt.datetime, dt.datetime],
    *,
    pre: int,
    post: int,
    least: tuple[int, int] | None = None,
) -> Choice | None:
    """The best track and its passes; None where there is no track.

    Tracks that cover less than half of what the best does are passed over. Of the others, those
    that have every pass asked for (or as many as `least` before and after) go first; then the best
    covered; then the one with more passes after the event; then the one that came back soonest;
    then the lower track number.
    """
    enough = least or (pre, post)
    known = list(tracks)
    if not known:
        return None
    widest = max(track.coverage for track in known)
    fair = [track for track in known if track.coverage >= USABLE * widest]
    choices = [_choose_in(track, event, pre, post) for track in fair]

    def held(choice: Choice) -> tuple[int, int]:
        return min(len(choice.post), enough[1]), min(len(choice.pre), enough[0])

    fullest = max(map(held, choices))
    complete = [c for c in choices if held(c) == fullest]
    best = max(c.coverage for c in complete)
    equal = [c for c in complete if c.coverage >= best - TOLERANCE]

    def rank(choice: Choice) -> tuple[int, float, int, str, str]:
        after = choice.post[0].datetime - event[1] if choice.post else dt.timedelta.max
        track = choice.track
        return (
            -choice.post_available,
            after.total_seconds(),
            track.relative_orbit,
            track.orbit_state,
            track.mode,
        )

    return min(equal, key=rank)


def _choose_in(track: Track, event: tuple[dt.datetime, dt.datetime], pre: int, post: int) -> Choice:
    usable = [one for one in track.passes if one.coverage >= USABLE * track.coverage]
    before = [one for one in reversed(usable) if _last(one) < event[0]]
    after = [one for one in usable if one.datetime > event[1]]
    floor = track.coverage - TOLERANCE
    return Choice(
        track,
        _named("pre", _nearest(before, pre, floor), first="pre"),
        _named("post", _nearest(after, post, floor), first="post_1"),
        len(after),
    )


def _nearest(candidates: Sequence[Pass], count: int, floor: float) -> list[Pass]:
    """`count` passes of candidates that stand nearest first: covering ones, then the fullest."""
    covering = [one for one in candidates if one.coverage >= floor][:count]
    partial = [one for one in candidates if one.coverage < floor]
    fullest = sorted(partial, key=lambda p: -p.coverage)[: count - len(covering)]
    chosen = {id(one) for one in (*covering, *fullest)}
    return [one for one in candidates if id(one) in chosen]


def _named(stem: str, passes: Sequence[Pass], *, first: str) -> tuple[Pass, ...]:
    """Passes with their roles: 'pre', 'pre_2', ...; 'post_1', 'post_2', ..."""
    return tuple(
        replace(one, role=first if number == 1 else f"{stem}_{number}")
        for number, one in enumerate(passes, 1)
    )


def _pass_of(slices: Sequence[Scene], area: BaseGeometry) -> Pass:
    first = slices[0]
    return Pass(
        role="",
        datetime=first.datetime,
        orbit_state=first.orbit_state,
        relative_orbit=first.relative_orbit,
        platform=first.platform,
        items=tuple(one.item for one in _newest_first(slices)),
        coverage=share_covered(area, [one.footprint for one in slices]),
        mode=first.mode,
    )


def _newest_first(slices: Sequence[Scene]) -> list[Scene]:
    """Scenes in the order of time, but each before the older versions of its ground."""
    ordered: list[Scene] = []
    for scene in slices:
        older = (
            place
            for place, other in enumerate(ordered)
            if scene.version > other.version and versions(scene, other)
        )
        ordered.insert(next(older, len(ordered)), scene)
    return ordered


def _split_at_gaps(ordered: Sequence[Scene]) -> list[list[Scene]]:
    """Scenes of one satellite and track, by time, cut wherever it was away: so that a pass over
    midnight UTC stays one."""
    runs: list[list[Scene]] = []
    for scene in ordered:
        if runs and scene.datetime - runs[-1][-1].datetime <= SAME_PASS:
            runs[-1].append(scene)
        else:
            runs.append([scene])
    return runs


def _last(one: Pass) -> dt.datetime:
    """Instant of a pass's last scene."""
    times = [item.datetime for item in one.items if item.datetime is not None]
    return max([one.datetime, *(t if t.tzinfo else t.replace(tzinfo=dt.UTC) for t in times)])


def _whole_days(step: dt.timedelta) -> dt.timedelta:
    return dt.timedelta(days=round(step / dt.timedelta(days=1)))
