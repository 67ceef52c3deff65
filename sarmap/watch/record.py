"""What a watch knows, kept in its folder: it is all that is needed to go on after a kill.

watch.json       what is watched, the passes that were looked at, the maps, and when to look next
latest.json      the newest map's record, its files named from the folder
feed.xml         the maps as an Atom feed
maps/            one store for each, its products beside it, what changed, and their STAC catalogue
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sarmap.acquire.pairing import SAME_PASS, TOLERANCE
from sarmap.errors import RequestError
from sarmap.regions.scan_folder import Folder
from sarmap.types import Pass

RECORD = "watch.json"


@dataclass(frozen=True)
class Look:
    """One pass after the event, as it was found; whatever its scenes are called."""

    relative_orbit: int
    """Track number."""
    datetime: str
    """UTC instant of its first scene."""
    coverage: float
    """Share of the place (0-1) that its scenes cover."""

    @staticmethod
    def of(one: Pass) -> Look:
        """What a pass is known by."""
        return Look(one.relative_orbit, one.datetime.isoformat(), round(one.coverage, 4))

    def holds(self, one: Pass) -> bool:
        """True where a pass shows no more ground than this one did, processed anew or not."""
        apart = abs(one.datetime - dt.datetime.fromisoformat(self.datetime))
        same = one.relative_orbit == self.relative_orbit and apart < SAME_PASS
        return same and one.coverage <= self.coverage + TOLERANCE


@dataclass(frozen=True)
class Product:
    """One map of a watch."""

    name: str
    """Its files' stem: day of the newest pass, orbit, and passes after the event."""
    made: str
    """UTC instant at which it was whole."""
    orbit_state: str
    """'ascending' or 'descending'."""
    relative_orbit: int
    """Track number."""
    passes: tuple[Look, ...]
    """The passes after the event that it reads, oldest first."""
    scenes: tuple[str, ...]
    """Ids of all scenes that it reads."""
    detector: str
    """What found."""
    landslides: int
    """Candidates, from the request's threshold and smallest area on."""
    km2: float
    """Their area."""
    seen_km2: float
    """Area that was seen."""
    unread: int
    """Pixels that could not be read: tried again at the next look."""
    simulated: bool
    """True where the scenes are simulated."""
    files: Mapping[str, str]
    """Product -> file, from the folder."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Beside its track's map before it (`with`): km2 `kept`, `withdrawn` and `new`; empty: it is
    the first, or both saw nothing in common."""
    warnings: tuple[str, ...] = ()
    """What a reader of the map should know."""
    told: tuple[str, ...] = ()
    """Who has been told: 'webhook', 'command'."""


@dataclass(frozen=True)
class Watch:
    """Where a watch stands."""

    id: str
    """What tells it from all others."""
    asked: Mapping[str, Any]
    """What decides whether it is this watch: place, event, catalogue, detector, orbit."""
    begun: str
    """UTC instant."""
    next_look: str
    """UTC instant at which the archive is asked again."""
    looks: int = 0
    """How often it was asked."""
    failures: int = 0
    """Looks in a row that failed."""
    sentence: str = ""
    """What the last look could not do, and why."""
    seen: tuple[Look, ...] = ()
    """Passes after the event that need not be looked at again."""
    products: tuple[Product, ...] = ()
    """The maps, oldest first."""
    ended: str = ""
    """Why it is over; empty: it is not."""

    @property
    def mapped(self) -> int:
        """Passes after the event that stand in a map."""
        days = {(one.relative_orbit, one.datetime) for map_ in self.products for one in map_.passes}
        return len(days)

    def knows(self, one: Pass) -> bool:
        """True for a pass that need not be looked at again."""
        return any(look.holds(one) for look in self.seen)

    def mapped_whole(self, one: Pass) -> bool:
        """True for a pass that stands in a map without unread pixels."""
        return any(
            look.holds(one) for map_ in self.products if not map_.unread for look in map_.passes
        )

    def with_product(self, product: Product) -> Watch:
        """With one map more, or again."""
        others = tuple(one for one in self.products if one.name != product.name)
        return replace(self, products=(*others, product))

    def record(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def begun_or_new(folder: Folder, asked: Mapping[str, Any], now: dt.datetime) -> Watch:
    """The watch that a folder holds, or a new one in a place where nothing is; RequestError where
    it holds something else, or watches something else, OutputError where it does not answer.
    """
    if folder.read_bytes(RECORD) is None:
        if not folder.empty():
            raise RequestError(
                f"{folder.shown} exists and holds no watch, so nothing is written into it: choose "
                "another `out`."
            )
        instant = now.isoformat(timespec="seconds")
        fresh = Watch(uuid.uuid4().hex, dict(asked), begun=instant, next_look=instant)
        folder.write(RECORD, fresh.record())
        return fresh
    known = read_watch(folder)
    different = [name for name in asked if known.asked.get(name) != asked[name]]
    if different:
        raise RequestError(
            f"{folder.shown} watches something else ({', '.join(different)} differ): give another "
            "`out`."
        )
    return known


def read_watch(folder: Folder) -> Watch:
    """The watch that a folder holds; RequestError where it holds none, or its record is damaged."""
    kept = folder.read(RECORD)
    if kept is None:
        raise RequestError(f"{folder.shown} holds no watch: give the folder or URL of one.")
    try:
        products = tuple(_product(one) for one in kept.pop("products"))
        return Watch(**kept | {"products": products, "seen": _looks(kept["seen"])})
    except (TypeError, KeyError, AttributeError):
        raise RequestError(
            f"{RECORD} in {folder.shown} is damaged, or of another version of sarmap: begin anew "
            "in another `out`."
        ) from None


def _product(kept: Mapping[str, Any]) -> Product:
    lists = {name: tuple(kept[name]) for name in ("scenes", "warnings", "told")}
    return Product(**{**kept, **lists, "passes": _looks(kept["passes"])})


def _looks(kept: list[dict[str, Any]]) -> tuple[Look, ...]:
    return tuple(Look(**one) for one in kept)
