"""A watch: the archive is asked, what has landed is mapped, and who waits is told; until it ends.

Every track over the place is mapped by itself, as its passes come: the first after the event, then
two, then more. When the archive is asked again: while a pass is overdue, or something failed, every
`every` hours (after failures ever more rarely); else when the next pass is due by its track's own
repeats, and once a day, for what comes late. Each wait is up to a fifth longer, by chance, so that
many watches do not ask at once.

Everything known stands in the folder before the next thing is begun, and one process at a time owns
it: a watch that is killed goes on where it was, and a second one does not start.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sarmap.acquire.area import parse_area
from sarmap.acquire.instants import parse_event, utc_now
from sarmap.acquire.pairing import Track
from sarmap.acquire.quakes import from_quake
from sarmap.assembly import prepare
from sarmap.assess.comparison import changed_polygons, compare_maps
from sarmap.choosing import lacks_data
from sarmap.errors import CatalogError, RequestError
from sarmap.export.polygons import count_landslides, pixel_area
from sarmap.export.vector_files import write_frame
from sarmap.pipeline import MapResult, map_landslides
from sarmap.prepared import Prepared
from sarmap.regions.scan_folder import Folder
from sarmap.store.owner import check_free, check_ours, owning
from sarmap.types import names_quake
from sarmap.watch.looking import Found, looked_at, require_radar
from sarmap.watch.record import RECORD, Look, Product, Watch, begun_or_new, read_watch
from sarmap.watch.request import WatchRequest, check_request
from sarmap.watch.telling import headline, publish, tell

if TYPE_CHECKING:
    from distributed import Client

    from sarmap.progress import Progress

LONGEST = dt.timedelta(days=1)
"""Longest wait between two looks."""
GIVEN_UP = dt.timedelta(days=5)
"""A pass due longer ago is not waited for any more, but taken where it comes."""
SLACK = dt.timedelta(hours=1)
"""Of a search beyond the newest pass, so that all its scenes are within."""


@dataclass(frozen=True)
class Clock:
    """Time, and chance."""

    now: Callable[[], dt.datetime] = utc_now
    """The present, UTC."""
    sleep: Callable[[float], None] = time.sleep
    """Wait for so many seconds."""
    spread: Callable[[float, float], float] = random.uniform
    """A number between two."""


def watch_event(
    request: WatchRequest,
    client: Client | None = None,
    *,
    once: bool = False,
    clock: Clock | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Watch:
    """Keep a folder current with maps of an event, a new one whenever the radar has passed.

    Where the folder holds this watch already, it goes on.

    Parameters
    ----------
    request
        What to map, when to end, and who is told.
    client
        A Dask client to map on; None: threads of this process.
    once
        Look once, and return.
    clock
        Time, for tests; None: the machine's.
    progress
        Called with the numbers of blocks done and of all blocks of the map being made.
    say
        Called with one line for each map, and for what a look could not do.

    Returns
    -------
    Where the watch stands.

    Raises
    ------
    RequestError
        The request cannot be served as given, the folder holds something else, or another process
        watches with it.
    CatalogError
        The catalogue cannot be reached as a new watch begins; later that is waited for.
    OutputError
        The folder cannot be written.
    """
    check_request(request)
    folder, clock = Folder(str(request.out)), clock or Clock()
    named, request = request.event, _settled(request, folder)
    if folder.read_bytes(RECORD) is None:
        require_radar(request)
    asked = _asked(request)
    if names_quake(named):  # which says whose the kept area is
        asked["quake"] = str(named)
    watch = begun_or_new(folder, asked, clock.now())
    if watch.ended:
        return watch
    check_free(
        folder.store, folder.shown, overwrite=False, advice="one watch to a folder is enough"
    )
    with owning(folder.store, folder.shown) as run:
        watch = read_watch(folder)
        look = _Look(request, client, folder, run, clock, progress, say or (lambda line: None))
        while True:
            wait = dt.datetime.fromisoformat(watch.next_look) - clock.now()
            if not once and wait > dt.timedelta(0):
                clock.sleep(wait.total_seconds())
            watch = look.taken(watch)
            if once or watch.ended:
                return watch


def _settled(request: WatchRequest, folder: Folder) -> WatchRequest:
    """An earthquake's request with instant and area, as its watch began: a ShakeMap grows for days,
    and maps are compared on one grid."""
    if not names_quake(request.event):
        return from_quake(request)
    kept = folder.read(RECORD)
    asked = _asked(from_quake(request)) if kept is None else kept["asked"]
    changes = {"event": tuple(asked["event"])}
    if request.area is None:
        changes["area"] = tuple(asked["area"])
    return request.model_copy(update=changes)


def _asked(request: WatchRequest) -> dict[str, Any]:
    """What makes two watches the same, as JSON values."""
    own = request.model_dump(mode="json", include={"orbit", "relative_orbit", "resolution", "crs"})
    return {
        "area": [round(float(edge), 6) for edge in parse_area(request.area).bbox],
        "event": [instant.isoformat() for instant in parse_event(request.event)],
        "detector": str(getattr(request.detector, "name", request.detector)),
        **own,
    }


@dataclass(frozen=True)
class _Look:
    """One look after another, each from what is known to what is known then."""

    request: WatchRequest
    client: Client | None
    folder: Folder
    run: str
    clock: Clock
    progress: Progress | None
    say: Callable[[str], None]

    def taken(self, watch: Watch) -> Watch:
        """Ask the archive, map what is new, tell who waits, and say when to look next."""
        check_ours(self.folder.store, self.run, self.folder.shown)
        watch = replace(watch, looks=watch.looks + 1, failures=watch.failures + 1, sentence="")
        found: list[Found] = []
        try:
            found = looked_at(self.request)
            news = [one for one in found if not all(map(watch.knows, one.passes))]
            for one in sorted(news, key=lambda one: one.passes[-1].datetime):
                watch = self._mapped(watch, one)
            watch = replace(watch, failures=0)
        except CatalogError as error:
            watch = replace(watch, sentence=str(error))
        if watch.products:
            publish(self.folder, watch)
        watch = self._told(watch)
        if watch.sentence:
            self.say(watch.sentence)
        watch = replace(watch, ended=self._ended(watch))
        watch = replace(
            watch, next_look=self._next_look(watch, [one.track for one in found]).isoformat()
        )
        self._keep(watch)
        return watch

    def _keep(self, watch: Watch) -> None:
        check_ours(self.folder.store, self.run, self.folder.shown)
        self.folder.write(RECORD, watch.record())

    @property
    def _event(self) -> tuple[dt.datetime, dt.datetime]:
        return parse_event(self.request.event)

    def _mapped(self, watch: Watch, found: Found) -> Watch:
        """With a map of a track's passes, where the detector reads one that no map has yet."""
        request = self._request_for(watch, found)
        try:
            prepared = prepare(request, warm=self.client is None)
        except RequestError as error:
            if not lacks_data(error):
                raise
            return replace(watch, sentence=str(error))
        read = [one for orbit in prepared.passes for one in orbit.post]
        if not all(watch.mapped_whole(one) for one in read):
            product = self._product(watch, prepared)
            watch = watch.with_product(product)
            self.say(f"{product.files['zarr']}: {headline(product)}")
            if product.unread:
                sentence = f"{product.name}: {product.unread:,} pixels could not be read."
                watch = replace(watch, sentence=sentence)
                self._keep(watch)
                return watch
        watch = replace(watch, seen=(*watch.seen, *map(Look.of, found.passes)))
        self._keep(watch)
        return watch

    def _request_for(self, watch: Watch, found: Found) -> WatchRequest:
        """The request of one map: this archive and track, up to its newest pass."""
        track, passes = found.track, found.passes
        newest = passes[-1].datetime
        name = f"{newest:%Y-%m-%d}_{track.orbit_state}_{track.relative_orbit}_{len(passes)}"
        whole = {one.name for one in watch.products if not one.unread}
        again = next(n for n in range(1, len(whole) + 2) if f"{name}{_number(n)}" not in whole)
        changes = {
            "catalog": found.archive,
            "orbit": track.orbit_state,
            "relative_orbit": track.relative_orbit,
            "after_days": (newest + SLACK - self._event[1]) / dt.timedelta(days=1),
            "out": self.folder.path(f"maps/{name}{_number(again)}.zarr"),
            "resume": True,
            "overwrite": True,  # what a killed watch began with scenes that are others now
        }
        return self.request.model_copy(update=changes)

    def _product(self, watch: Watch, prepared: Prepared) -> Product:
        """A finished map, and what it changes beside the one before it."""
        result = map_landslides(
            prepared.request, self.client, progress=self.progress, prepared=prepared
        )
        name = str(prepared.request.out).rpartition("/")[2].removesuffix(".zarr")
        (orbit,) = result.plan.passes
        known = next((one for one in watch.products if one.name == name), None)
        before = [
            one
            for one in watch.products
            if one.name != name and one.relative_orbit == orbit.relative_orbit
        ]
        changes, file, why = self._changes(before[-1], result, name) if before else ({}, {}, ())
        count, area = count_landslides(
            result.path, threshold=self.request.threshold, min_area=self.request.min_area
        )
        seen = result.observation["observed"] * pixel_area(result.plan.grid) / 1e6
        unread = result.observation["read_failed"] + result.partly_read
        named = {"zarr": result.path, **result.files, **file}
        return Product(
            name=name,
            made=self.clock.now().isoformat(timespec="seconds"),
            orbit_state=orbit.orbit_state,
            relative_orbit=orbit.relative_orbit,
            passes=tuple(Look.of(one) for one in orbit.post),
            scenes=result.plan.scenes,
            detector=str(result.plan.detector["name"]),
            landslides=count,
            km2=round(area, 4),
            seen_km2=round(seen, 4),
            unread=unread,
            simulated=orbit.simulated,
            files={key: one.removeprefix(f"{self.folder.out}/") for key, one in named.items()},
            changes=changes,
            warnings=(*result.warnings, *why),
            told=known.told if known is not None and known.unread == unread else (),
        )

    def _changes(
        self, before: Product, result: MapResult, name: str
    ) -> tuple[Mapping[str, Any], Mapping[str, str], tuple[str, ...]]:
        """What was kept, withdrawn and is new, in km2 and as polygons; or why none can be told."""
        maps = self.folder.path(before.files["zarr"]), result.path
        least = self.request.min_area
        try:
            found = compare_maps(*maps, threshold=self.request.threshold)
            frame = changed_polygons(*maps, threshold=self.request.threshold, min_area=least)
        except RequestError as error:
            return {}, {}, (f"Not compared with {before.name}: {error}",)
        file = f"maps/{name}_changes.gpkg"
        with self.folder.file(file) as fresh:
            write_frame(frame, fresh, layer="changes", kind="Polygon", overwrite=False)
        areas = {part: round(one.km2, 4) for part, one in found.parts.items()}
        return {"with": before.name, **areas}, {"changes": self.folder.path(file)}, ()

    def _told(self, watch: Watch) -> Watch:
        """With every map told to who is to be told."""
        for product in watch.products:
            failed, told = tell(self.request, watch, product, self.clock.now().timestamp())
            if tuple(told) != product.told:
                others = [
                    one if one != product else replace(one, told=tuple(told))
                    for one in watch.products
                ]
                watch = replace(watch, products=tuple(others))
                self._keep(watch)
            if failed:
                watch = replace(watch, sentence=f"{watch.sentence} {failed}".strip())
        return watch

    def _ended(self, watch: Watch) -> str:
        """Why it is over; empty where it is not."""
        if self.clock.now() >= self._event[1] + dt.timedelta(days=self.request.days):
            return f"{self.request.days:g} days have passed since the event"
        if self.request.passes and watch.mapped >= self.request.passes and not watch.sentence:
            return f"{watch.mapped} passes after the event are mapped"
        return ""

    def _next_look(self, watch: Watch, tracks: Sequence[Track]) -> dt.datetime:
        """When to ask again."""
        now = self.clock.now()
        often = dt.timedelta(hours=self.request.every)
        due = [
            track.next_after(max(self._event[1], track.passes[-1].datetime, now - GIVEN_UP))
            for track in tracks
        ]
        if watch.sentence:
            wait = often * 2 ** min(max(watch.failures - 1, 0), 4)
        elif any(one <= now for one in due):
            wait = often
        else:
            wait = min([one - now for one in due] + [LONGEST])
        later: dt.datetime = now + min(wait, LONGEST) * self.clock.spread(1.0, 1.2)
        return min(later, max(now, self._event[1] + dt.timedelta(days=self.request.days)))


def _number(n: int) -> str:
    """What tells a name that is given again from the first."""
    return "" if n == 1 else f"_again{n}"
