"""What is looked for: a place, a time, and which passes of it, said once for every archive."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pystac

from sarmap.acquire.area import Area, parse_area
from sarmap.acquire.instants import parse_event
from sarmap.acquire.pairing import Choice, Track, choose
from sarmap.acquire.scenes import is_simulated, left_out
from sarmap.errors import RequestError
from sarmap.types import CatalogSettings, Pass, Passes

DAYS = 60.0
"""Days searched on either side of the event, at least."""
CYCLE_DAYS = 14.0
"""Further days for each pass asked for beyond the first: a repeat of 12 and some slack."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A place, an event, and the passes that are wanted of them.

    >>> str(Search.of((141.8, 42.6, 142.1, 42.9), "2018-09-05T18:08Z").window[0])
    '2018-07-07 18:08:00+00:00'
    """

    area: Area
    """The place."""
    event: tuple[dt.datetime, dt.datetime]
    """Start and end, UTC."""
    orbit: str | None = None
    """'ascending', 'descending', 'both', or None for the best covered."""
    relative_orbit: int | None = None
    """Number of the one track; None: any."""
    pre: int = 1
    """Passes before the event."""
    post: int = 2
    """Passes after the event."""
    least: tuple[int, int] | None = None
    """Passes before and after that suffice where there are no more; None: all of them."""
    earlier: int = 0
    """Passes before the event that a control reads, the map's own included; 0: no control."""
    bands: tuple[str, ...] = ("vv",)
    """Bands every scene must have."""
    optical: bool = False
    """Whether the clearest Sentinel-2 scenes after the event are wanted, too."""
    before_days: float | None = None
    """Days searched before the event; None: 60, or more for many passes."""
    after_days: float | None = None
    """Days searched after the event; None: likewise."""

    def __post_init__(self) -> None:
        if self.orbit not in (None, "both", "ascending", "descending"):
            raise RequestError(
                f"orbit {self.orbit!r} is not known: give 'ascending', 'descending', 'both' or "
                "None."
            )
        for name, count in (("pre", self.pre), ("post", self.post)):
            if count < 1:
                raise RequestError(f"{name} is {count}: give at least 1 pass.")
        for name, days in (("before_days", self.before_days), ("after_days", self.after_days)):
            if days is not None and not 0 < days < 20_000:
                raise RequestError(f"{name} is {days}: give a number of days from 0 to 20,000.")

    @classmethod
    def of(cls, area: Any, event: Any, **wanted: Any) -> Search:
        """A search of a place and an event as anybody writes them; RequestError as in `parse_area`
        and `parse_event`, or where a word is of another kind than its field.
        """
        return cls(event=parse_event(event), area=parse_area(area), **wanted)

    @property
    def enough(self) -> tuple[int, int]:
        """Passes before and after that suffice."""
        return self.least or (self.pre, self.post)

    @property
    def window(self) -> tuple[dt.datetime, dt.datetime]:
        """First and last instant searched, UTC."""
        after = self.after_days or max(DAYS, CYCLE_DAYS * self.post)
        return self._since(max(self.pre, self.earlier)), self.event[1] + dt.timedelta(days=after)

    @property
    def own_since(self) -> dt.datetime:
        """First instant of a pass that the map itself may be made from, UTC."""
        return self._since(self.pre)

    def choose(self, tracks: Iterable[Track]) -> Choice | None:
        """The best of these tracks and its passes, as `pairing.choose`."""
        return choose(tracks, self.event, pre=self.pre, post=self.post, least=self.least)

    def served_by(self, choice: Choice | None) -> bool:
        """True where a choice has enough passes."""
        pre, post = self.enough
        return choice is not None and len(choice.pre) >= pre and len(choice.post) >= post

    def _since(self, passes: int) -> dt.datetime:
        days = self.before_days or max(DAYS, CYCLE_DAYS * passes)
        return self.event[0] - dt.timedelta(days=days)


@dataclass(frozen=True, kw_only=True)
class Sought(Search):
    """A search of one archive and what it left out, for messages."""

    settings: CatalogSettings
    """The archive."""
    lacking: tuple[str, ...] = ()
    """Ids of scenes left out because they lack an asset for one of `bands`."""
    odd: tuple[str, ...] = ()
    """What is wrong with records left out because they cannot be used, a sentence each."""

    def __str__(self) -> str:
        """Collection, catalogue, place and dates in words."""
        first, last = self.window
        return (
            f"collection {self.settings.radar_collection!r} of {self.settings.name} for "
            f"{self.area} between {first:%Y-%m-%d} and {last:%Y-%m-%d}"
        )

    @property
    def left_out(self) -> str:
        """A clause on scenes without the bands, or with odd records; empty where there are none."""
        said = []
        if self.lacking:
            named = (self.settings.radar_assets.get(band, band) for band in self.bands)
            keys = " and ".join(repr(one if isinstance(one, str) else one[0]) for one in named)
            count = len(self.lacking)
            said.append(
                f"{count} scene{'s' * (count > 1)} left out for want of asset {keys}, such as "
                f"{self.lacking[0]}"
            )
        if self.odd:
            said.append(left_out(self.odd).rstrip("."))
        return f" ({'; '.join(said)})" if said else ""

    def passes(
        self,
        pre: Iterable[Pass],
        post: Iterable[Pass],
        optical: tuple[pystac.Item, ...],
        notes: Iterable[str] = (),
    ) -> Passes:
        """Passes before and after the event as those of this archive."""
        pre, post = tuple(pre), tuple(post)
        items = [item for one in (*pre, *post) for item in one.items]
        return Passes(
            pre=pre,
            post=post,
            catalog=self.settings,
            event=self.event,
            optical=optical,
            simulated=any(is_simulated(item) for item in (*items, *optical)),
            notes=tuple(notes),
        )
