"""Which passes each unit is read from: decided for the region, so that neighbours agree.

How, once. Every track's passes are chosen over all that it sees of the region, and units keep to
that choice wherever it serves them as well as any other pass of the track would. Tracks are ranked
by how much of the region each serves as well as any other; a unit takes the first in that ranking
that covers it as well as its best does, and where part of it stays uncovered, the next that add to
it. Where several tracks of a unit see a pixel, the ranking decides again, so that on both sides of
a border the same track wins.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pystac
import shapely
from shapely.geometry.base import BaseGeometry

from sarmap.acquire.area import Area, share_covered
from sarmap.acquire.instants import utc_now
from sarmap.acquire.pairing import TOLERANCE, USABLE, Choice, Track, group_passes, tracks_of
from sarmap.acquire.scenes import Scene, footprint_of
from sarmap.acquire.shortfall import shortfall
from sarmap.acquire.sought import Sought
from sarmap.types import Pass, Passes

GAIN = 0.01
"""Share of a unit that a further track must add to be read too."""
ROUGH = 0.1
"""Degrees by which a footprint may be rough: scenes nearer to a unit than this are read for it."""


@dataclass(frozen=True)
class Decision:
    """What one unit is read from, or why it cannot be."""

    takes: tuple[str, ...] = ()
    """Keys into `Decisions.takes`, the preferred first."""
    coverage: float = 0.0
    """Share of the unit's part of the region that they cover, 0-1."""
    sentence: str = ""
    """Why there are none; empty where there are."""
    no_radar: bool = False
    """True where no scene at all lies over the unit: an answer, not a failure."""
    detector: str = ""
    """Name of the detector that maps it."""
    why: str = ""
    """What the detector that was asked for lacks here; empty where it maps the unit itself."""


@dataclass(frozen=True)
class Decisions:
    """What all units are read from."""

    takes: Mapping[str, Passes]
    """Key such as '068A-1' -> passes of that track over the whole region."""
    units: Mapping[str, Decision]
    """Unit's name -> its decision."""
    scant: Mapping[str, str] = field(default_factory=dict)
    """Unit that is read from tracks which a map of it would pass over, since another covers more
    than twice as much -> what that one lacks."""


@dataclass(frozen=True)
class _Seen:
    """One pass over the region, with what it covers."""

    one: Pass
    footprint: BaseGeometry

    def over(self, piece: BaseGeometry) -> float:
        """Share of a unit's piece that it covers."""
        if not shapely.box(*self.footprint.bounds).intersects(piece):
            return 0.0
        return share_covered(piece, [self.footprint])


@dataclass(frozen=True)
class _Candidate:
    """One track as one unit may use it."""

    track: tuple[int, str]
    choice: Choice
    passes: tuple[Pass, ...]

    @property
    def coverage(self) -> float:
        """Least coverage of the unit by the chosen passes."""
        return self.choice.coverage

    @property
    def key(self) -> tuple[Any, ...]:
        """What sets one choice of passes apart from another of the same track."""
        return (*self.track, *((one.role, one.datetime) for one in self.passes))


def decide(
    pieces: Mapping[str, BaseGeometry],
    scenes: Sequence[Scene],
    sought: Sought,
    *,
    optical: tuple[pystac.Item, ...] = (),
) -> Decisions:
    """Choose the passes of every unit (name -> what of the region lies in it, degrees) among all
    scenes found over the region.
    """
    board = _Board(pieces, scenes, sought)
    states = ("ascending", "descending") if sought.orbit == "both" else (sought.orbit,)
    ranked = {state: board.ranking(state) for state in states}
    keys: dict[tuple[Any, ...], str] = {}
    takes: dict[str, Passes] = {}
    units: dict[str, Decision] = {}
    scant: dict[str, str] = {}
    for name in pieces:
        chosen: list[_Candidate] = []
        for state in states:
            found = board.choice(name, state, ranked[state])
            if isinstance(found, Decision):
                units[name] = found
                break
            chosen += found
        else:
            for one in chosen:
                if one.key not in keys:
                    keys[one.key] = _name(one.track, keys)
                    takes[keys[one.key]] = board.passes(one, optical)
            covered = board.covered(name, chosen)
            units[name] = Decision(tuple(keys[one.key] for one in chosen), covered)
            passed_over = [state for state in states if not board.serves(name, state)]
            if passed_over:
                scant[name] = board.why_not(name, passed_over[0]).sentence
    return Decisions(takes, units, scant)


def _name(track: tuple[int, str], keys: Mapping[tuple[Any, ...], str]) -> str:
    """Track, direction and number of its choice, such as '068A-1'."""
    same = sum(key[:2] == track for key in keys)
    return f"{track[0]:03d}{track[1][0].upper()}-{same + 1}"


class _Board:
    """All tracks against all units, each question answered once."""

    def __init__(
        self, pieces: Mapping[str, BaseGeometry], scenes: Sequence[Scene], sought: Sought
    ) -> None:
        self.pieces, self.sought = pieces, sought
        region = shapely.union_all(list(pieces.values())) if pieces else shapely.Polygon()
        self.seen = _seen(scenes, region)
        self.region = region
        self.own = {name: self._tracks(piece) for name, piece in pieces.items()}
        self.candidates = {name: self._candidates(name) for name in pieces}

    def _tracks(self, piece: BaseGeometry) -> list[Track]:
        """Tracks over one unit, their passes with the share of it that they cover."""
        passes = []
        for several in self.seen.values():
            for seen in several:
                coverage = seen.over(piece)
                if coverage > 0:
                    passes.append(replace(seen.one, coverage=coverage))
        return tracks_of(passes)

    @cached_property
    def regional(self) -> dict[tuple[int, str], Choice]:
        """Each track's choice over all that it sees of the region."""
        choices = {}
        for track, several in self.seen.items():
            whole = shapely.union_all([seen.footprint for seen in several])
            reach = whole.intersection(self.region)
            passes = [replace(s.one, coverage=s.over(reach)) for s in several]
            choice = self.sought.choose(tracks_of(passes))
            if choice is not None and self.sought.served_by(choice):
                choices[track] = choice
        return choices

    def _candidates(self, name: str) -> dict[tuple[int, str], _Candidate]:
        """Tracks that have all passes asked for over one unit."""
        found = {}
        for track in self.own[name]:
            key = (track.relative_orbit, track.orbit_state)
            choice = self._shared(track, key) or self.sought.choose([track])
            if choice is not None and self.sought.served_by(choice):
                found[key] = _Candidate(key, choice, (*choice.pre, *choice.post))
        return found

    def _shared(self, track: Track, key: tuple[int, str]) -> Choice | None:
        """The region's choice as this unit sees it; None where it would serve the unit worse."""
        whole = self.regional.get(key)
        if whole is None:
            return None
        here = {one.datetime: one for one in track.passes}
        floor = track.coverage - TOLERANCE
        sides = []
        for side in (whole.pre, whole.post):
            pairs = [(one, here.get(one.datetime)) for one in side]
            if any(mine is None or mine.coverage < floor for _, mine in pairs):
                return None
            sides.append(tuple(replace(mine, role=one.role) for one, mine in pairs if mine))
        return Choice(track, sides[0], sides[1], whole.post_available)

    def ranking(self, state: str | None) -> list[tuple[int, str]]:
        """Tracks of a direction, the one that serves most of the region first."""
        votes: dict[tuple[int, str], float] = defaultdict(float)
        after: dict[tuple[int, str], tuple[int, dt.timedelta]] = {}
        for name, found in self.candidates.items():
            mine = {key: one for key, one in found.items() if state in (None, key[1])}
            best = max((one.coverage for one in mine.values()), default=0.0)
            for key, one in mine.items():
                votes[key] += self.pieces[name].area * (one.coverage >= best - TOLERANCE)
                delay = one.choice.post[0].datetime - self.sought.event[1]
                after.setdefault(key, (-one.choice.post_available, delay))
        return sorted(votes, key=lambda key: (-round(votes[key], 9), *after[key], *key))

    def choice(
        self, name: str, state: str | None, ranked: Sequence[tuple[int, str]]
    ) -> list[_Candidate] | Decision:
        """The tracks one unit is read from, in order of the ranking; or why there is none."""
        mine = {key: one for key, one in self.candidates[name].items() if state in (None, key[1])}
        if not mine:
            return self.why_not(name, state)
        floor = max(one.coverage for one in mine.values()) - TOLERANCE
        first = next(key for key in ranked if key in mine and mine[key].coverage >= floor)
        taken = [first]
        for key in ranked:
            if key in mine and key not in taken:
                before = self.covered(name, [mine[k] for k in taken])
                if self.covered(name, [mine[k] for k in (*taken, key)]) > before + GAIN:
                    taken.append(key)
        return [mine[key] for key in ranked if key in taken]

    def covered(self, name: str, chosen: Sequence[_Candidate]) -> float:
        """Share of a unit's piece that all passes of at least one of the tracks cover."""
        areas = [
            shapely.intersection_all([self._footprint(one.track, p) for p in one.passes])
            for one in chosen
        ]
        return share_covered(self.pieces[name], areas)

    def _footprint(self, track: tuple[int, str], one: Pass) -> BaseGeometry:
        return next(s.footprint for s in self.seen[track] if s.one.items == one.items)

    def serves(self, name: str, state: str | None) -> bool:
        """True where a map of the unit would be made from one of its tracks (`pairing.choose`)."""
        tracks = [track for track in self.own[name] if state in (None, track.orbit_state)]
        widest = max(track.coverage for track in tracks)
        return any(
            one.choice.track.coverage >= USABLE * widest
            for key, one in self.candidates[name].items()
            if state in (None, key[1])
        )

    def why_not(self, name: str, state: str | None) -> Decision:
        """What the tracks over a unit lack, and whether there is none at all."""
        tracks = self.own[name]
        asked_for = [track for track in tracks if state in (None, track.orbit_state)]
        choice = self.sought.choose(asked_for)
        piece = self.pieces[name]
        asked = replace(self.sought, area=Area(piece, piece), orbit=state)
        error = shortfall(choice, tracks, asked, now=utc_now())
        return Decision(sentence=str(error), no_radar=not tracks)

    def passes(self, one: _Candidate, optical: tuple[pystac.Item, ...]) -> Passes:
        """A candidate's passes with all their scenes over the region."""
        whole = {
            seen.one.datetime: replace(seen.one, coverage=seen.over(self.region))
            for seen in self.seen[one.track]
        }
        pre, post = (
            [replace(whole[p.datetime], role=p.role) for p in side]
            for side in (one.choice.pre, one.choice.post)
        )
        return self.sought.passes(pre, post, optical)


def _seen(scenes: Iterable[Scene], region: BaseGeometry) -> dict[tuple[int, str], list[_Seen]]:
    """Passes of every track with their footprints, track by track."""
    tracks: dict[tuple[int, str], list[Scene]] = defaultdict(list)
    for scene in scenes:
        tracks[scene.relative_orbit, scene.orbit_state].append(scene)
    return {
        track: [
            _Seen(one, shapely.union_all([footprint_of(item) for item in one.items]))
            for one in group_passes(tracks[track], region)
        ]
        for track in sorted(tracks)
    }


def narrowed(passes: Passes, piece: BaseGeometry) -> Passes:
    """Passes over the whole region with only the scenes that a unit (what is read, degrees) may
    need; a pass never loses all of them.
    """
    near = piece.buffer(ROUGH)

    def narrow(one: Pass) -> Pass:
        kept = tuple(item for item in one.items if footprint_of(item).intersects(near))
        covered = share_covered(piece, [footprint_of(item) for item in kept]) if kept else 0.0
        return replace(one, items=kept or one.items[:1], coverage=covered)

    optical = tuple(item for item in passes.optical if footprint_of(item).intersects(near))
    return replace(
        passes,
        pre=tuple(map(narrow, passes.pre)),
        post=tuple(map(narrow, passes.post)),
        optical=optical,
    )
