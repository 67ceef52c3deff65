"""Why a search cannot be served, each in one sentence that says what to change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sarmap.acquire.pairing import LONG_PAST, Choice, Track
from sarmap.acquire.sought import Sought
from sarmap.errors import RequestError
from sarmap.types import Pass


class NoSceneError(RequestError):
    """The catalogue has no scene of the place within the dates."""


class OutsideCoverageError(NoSceneError):
    """The collection has no scene of the place at any time."""


class PassError(RequestError):
    """Passes were found, but not the ones a map needs."""

    def __init__(
        self,
        message: str,
        passes: tuple[Pass, ...],
        due: dict[str, dt.datetime],
        available: tuple[int, int] = (0, 0),
    ):
        super().__init__(message)
        self.available = available
        """Passes before and after the event of the best track."""
        self.passes = passes
        """The passes that exist, by time; role ''."""
        self.due = due
        """Orbit ('ascending orbit 68') -> when it is next due, UTC."""
        self.awaited = ""
        """What is known of passes that nobody has corrected yet, a sentence."""

    def add(self, awaited: str) -> None:
        """Say what is known of passes that nobody has corrected yet, too."""
        self.awaited = awaited
        self.args = (f"{self} {awaited}".strip(),)


class NoPostPassError(PassError):
    """No pass after the event yet."""


class NoPrePassError(PassError):
    """No pass before the event."""


class TooFewPassesError(PassError):
    """Fewer passes than asked for."""


def shortfall(
    choice: Choice | None, tracks: Sequence[Track], sought: Sought, *, now: dt.datetime
) -> RequestError | None:
    """The error of a choice that lacks passes; None where it has enough."""
    pre, post = sought.enough
    if choice is None:
        return _no_track(tracks, sought)
    passes = tuple(sorted((p for t in tracks for p in t.passes), key=lambda p: p.datetime))
    due = {_orbit(track): track.next_after(sought.event[1]) for track in tracks}
    track = _orbit(choice.track)
    if not choice.post:
        return NoPostPassError(_no_post(choice, tracks, sought, now), passes, due)
    if not choice.pre:
        first = choice.track.passes[0].datetime
        return NoPrePassError(
            f"no pass before the event ({_day(sought.event[0])}) in {sought}: the first of {track} "
            f"is of {_day(first)}{sought.left_out}; check event, or search further back with "
            "before_days.",
            passes,
            due,
        )
    if len(choice.post) < post:
        return TooFewPassesError(
            f"{post} passes after the event were asked for, but {track} has {len(choice.post)} "
            f"({_days(choice.post)}){sought.left_out}; {_due(choice.track, sought, now)}; ask for "
            f"that many (post={len(choice.post)}, --post {len(choice.post)}) with a composite that "
            "reads no more, or wait.",
            passes,
            due,
            (len(choice.pre), len(choice.post)),
        )
    if len(choice.pre) < pre:
        return TooFewPassesError(
            f"{pre} passes before the event were asked for, but {track} has {len(choice.pre)} "
            f"({_days(choice.pre)}) since {_day(sought.window[0])}{sought.left_out}; ask for "
            f"that many (pre={len(choice.pre)}, --pre {len(choice.pre)}), or search further back "
            "with before_days (--before-days).",
            passes,
            due,
            (len(choice.pre), len(choice.post)),
        )
    return None


def _no_track(tracks: Sequence[Track], sought: Sought) -> RequestError:
    """No track of the orbit that was asked for."""
    if not tracks:
        return NoSceneError(
            f"no radar scene covers the place in {sought}{sought.left_out}: check area, event, "
            "catalog and bands."
        )
    passes = tuple(sorted((p for t in tracks for p in t.passes), key=lambda p: p.datetime))
    due = {_orbit(track): track.next_after(sought.event[1]) for track in tracks}
    others = ", ".join(_orbit(track) for track in tracks)
    asked = "" if sought.relative_orbit is None else f" of relative orbit {sought.relative_orbit}"
    return PassError(
        f"no {sought.orbit or 'radar'} pass{asked} in {sought}{sought.left_out}: there is "
        f"{others}; change or leave out orbit{' or relative_orbit' if asked else ''}.",
        passes,
        due,
    )


def _no_post(choice: Choice, tracks: Sequence[Track], sought: Sought, now: dt.datetime) -> str:
    seen = "; ".join(
        f"{_orbit(track)} passed on {_days(track.passes[-3:])}, {_due(track, sought, now)}"
        for track in tracks
    )
    after = [track for track in tracks if track.passes[-1].datetime > sought.event[1]]
    fix = "map again when it is in the catalogue"
    if after and sought.orbit is not None:
        fix = f"{fix}, or change orbit"
    return (
        f"no pass of {_orbit(choice.track)} after the event ({_day(sought.event[1])}) in "
        f"{sought}{sought.left_out}: {seen}; {fix}."
    )


def _due(track: Track, sought: Sought, now: dt.datetime) -> str:
    """When a track comes next, and from what that is known."""
    last = max(track.passes[-1].datetime, sought.event[1])
    expected = track.next_after(last)
    ahead = track.next_after(max(last, now))
    days = f"seen every {track.repeat.days} days" if track.repeat else "one pass seen, 12-day cycle"
    if expected < now:
        overdue = f"the next was due {_day(expected)} and is not in the catalogue"
        if now - expected > LONG_PAST:
            return f"{overdue} ({days})"
        return f"{overdue}, the one after is due {_day(ahead)} ({days})"
    return f"the next is due {_day(expected)} ({days})"


def _orbit(track: Track) -> str:
    other = "" if track.mode == "IW" else f" in mode {track.mode}"
    return f"{track.orbit_state} orbit {track.relative_orbit}{other}"


def _day(instant: dt.datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _days(passes: Sequence[Pass]) -> str:
    return ", ".join(
        f"{one.datetime:%Y-%m-%d} ({one.coverage:.0%})"
        for one in sorted(passes, key=lambda p: p.datetime)
    )
