"""The passes and the detector of every unit: the catalogue is asked, once for each zone.

How, once. Every detector decides for all units left to it together, so that neighbours share their
passes (`tracks`); units for which it lacks passes or bands are left to the next, as a map of the
unit alone would. A unit that an earlier run has decided is not decided again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pystac

from sarmap.acquire.archives import from_first
from sarmap.acquire.area import Area
from sarmap.acquire.scenes import Scene
from sarmap.acquire.search import search_optical, search_scenes
from sarmap.acquire.sought import Search, Sought
from sarmap.choosing import check_bands, lacks_data, orbit_of
from sarmap.compose.names import needs_optical, required_radar_bands
from sarmap.errors import RequestError, SarmapError
from sarmap.net.signing import check_login
from sarmap.regions.region import Zone, sides
from sarmap.regions.scan_record import decisions_of, restored_takes
from sarmap.regions.survey import Design, LoadedDetector, Survey
from sarmap.regions.tracks import Decision, Decisions, decide
from sarmap.types import CatalogSettings, Passes

Answer = list[tuple[list[Scene], Sought]]


@dataclass
class Decider:
    """What the catalogue has said and what is decided, so far."""

    survey: Survey
    """What is asked."""
    reserved: frozenset[str]
    """Keys of takes that an earlier run gave away."""
    takes: dict[str, Passes] = field(default_factory=dict)
    """Key -> passes of one track."""
    decisions: dict[str, Decision] = field(default_factory=dict)
    """Units that are decided."""
    searches: int = 0
    """Searches for radar scenes."""
    answers: dict[Any, Answer | SarmapError] = field(default_factory=dict)
    """Zone, bands and dates -> what the catalogue said, or why it did not."""

    @property
    def undecided(self) -> list[str]:
        """Units that are not decided yet."""
        return [name for name in self.survey.works if name not in self.decisions]

    def scenes_for(
        self, loaded: LoadedDetector, names: Iterable[str]
    ) -> tuple[dict[str, Scene], Sought] | None:
        """Scenes for a detector in the zones of these units; None where no zone has answered.

        Units of a zone that has not are decided: they fail.
        """
        names = set(names)
        scenes: dict[str, Scene] = {}
        sought: Sought | None = None
        for zone in self.survey.zones:
            own = [name for name in names if self.survey.works[name].unit.lattice.zone == zone.name]
            if not own:
                continue
            try:
                answers = self._answer(loaded, zone)
            except SarmapError as error:
                self.decisions |= {name: Decision(sentence=str(error)) for name in own}
                continue
            scenes |= {scene.item.id: scene for found, _ in answers for scene in found}
            lacking = sum((one.lacking for _, one in answers), sought.lacking if sought else ())
            area = Area(self.survey.region.geometry, self.survey.region.geometry)
            sought = replace(answers[0][1], area=area, lacking=lacking)
        return None if sought is None else (scenes, sought)

    def _answer(self, loaded: LoadedDetector, zone: Zone) -> Answer:
        """What the catalogue says of a zone; asked once for the same bands and dates."""
        request = self.survey.request
        pre, post = loaded.passes(request, control=request.control)
        searches = [
            Search.of(
                place,
                request.event,
                orbit=orbit_of(request, loaded.spec),
                pre=pre,
                post=post,
                bands=required_radar_bands(loaded.spec.bands),
                before_days=request.before_days,
                after_days=request.after_days,
            )
            for place in sides(zone.geometry)
        ]
        key = zone.name, searches[0].bands, searches[0].window
        if key not in self.answers:
            self.answers[key] = self._search(searches)
        answer = self.answers[key]
        if isinstance(answer, SarmapError):
            raise answer
        return answer

    def _search(self, searches: list[Search]) -> Answer | SarmapError:
        """The answer, or what went wrong: a zone that has not answered is not asked again."""
        try:
            answer = [search_scenes(one, self.survey.catalog) for one in searches]
        except SarmapError as error:
            return error
        self.searches += len(answer)
        return answer

    def assign(self, loaded: LoadedDetector, decided: Decisions, whys: Mapping[str, str]) -> None:
        """Decide units (and why another detector does not map them), under keys of their own."""
        units = {name: decided.units[name] for name in whys}
        used = dict.fromkeys(key for one in units.values() for key in one.takes)
        renamed = _free_keys({key: decided.takes[key] for key in used}, self.takes, self.reserved)
        self.takes |= {renamed[key]: decided.takes[key] for key in used}
        for name, one in units.items():
            keys = tuple(renamed[key] for key in one.takes)
            self.decisions[name] = replace(one, takes=keys, detector=loaded.key, why=whys[name])

    def restore(self, record: Mapping[str, Any]) -> None:
        """What an earlier run decided, where its scenes are still there; RequestError where a
        detector of that run is another today, or is not named any more.
        """
        mine: dict[str, dict[str, Decision]] = {}
        for name, one in decisions_of(record).items():
            if one.takes and name in self.survey.works:
                mine.setdefault(one.detector, {})[name] = one
        for key, kept in mine.items():
            loaded = self.survey.detectors.named(key)
            _check_weights(loaded, record)
            found = self.scenes_for(loaded, kept)
            if found is not None:
                open_units = {name: one for name, one in kept.items() if name in self.undecided}
                optical = _optical_scenes(loaded, found[1])
                takes, units = restored_takes(record, open_units, *found, optical)
                self.takes |= takes
                self.decisions |= units

    def decide_all(self) -> None:
        """Decide all units that are left: each by the first detector that finds what it reads.

        A detector whose tracks cover less than half of what another track of the unit does is
        passed over, as in `pairing.choose`; where all are, the first of them takes what there is.
        """
        lacking: dict[str, Decision] = {}
        scant: dict[str, tuple[LoadedDetector, Decisions]] = {}
        detectors, trouble = iter(self.survey.detectors), ""
        while self.undecided:
            try:
                loaded = next(detectors)
            except StopIteration:
                break
            except SarmapError as error:
                trouble = f" {error}"
                break
            decided = self._decide_with(loaded)
            served = [n for n, one in decided.units.items() if one.takes and n not in decided.scant]
            self.assign(
                loaded, decided, {n: lacking[n].sentence if n in lacking else "" for n in served}
            )
            for name in self.undecided:
                found = decided.units[name]
                if found.takes:
                    scant.setdefault(name, (loaded, decided))
                    found = Decision(sentence=decided.scant[name])
                empty = found.no_radar and (name not in lacking or lacking[name].no_radar)
                lacking[name] = replace(lacking.get(name, found), no_radar=empty)
        for name in self.undecided:
            if name in scant:
                loaded, decided = scant[name]
                first = loaded is self.survey.detectors.first
                self.assign(loaded, decided, {name: "" if first else lacking[name].sentence})
            else:
                sentence = f"{lacking[name].sentence}{trouble}"
                self.decisions[name] = replace(lacking[name], sentence=sentence)

    def _decide_with(self, loaded: LoadedDetector) -> Decisions:
        """What one detector would map the units left from, or what it lacks for each.

        Units that nothing can be said of are decided here: they fail.
        """
        request = self.survey.request
        try:
            check_bands(loaded.detector, self.survey.catalog)
            found = self.scenes_for(loaded, self.undecided)
            optical = () if found is None else _optical_scenes(loaded, found[1])
        except RequestError as error:
            if not lacks_data(error):
                raise
            return Decisions({}, {name: Decision(sentence=str(error)) for name in self.undecided})
        if found is None:
            return Decisions({}, {})
        scenes, sought = list(found[0].values()), found[1]

        def choose(names: Iterable[str], control: bool) -> Decisions:
            pieces = {name: self.survey.works[name].piece for name in names}
            pre, post = loaded.passes(request, control=control)
            least = loaded.least(request, control=control)
            asked = replace(sought, pre=pre, post=post, least=least)
            return decide(pieces, scenes, asked, optical=optical)

        decided = choose(self.undecided, request.control)
        lacking = [name for name, one in decided.units.items() if not one.takes]
        if request.control and lacking:
            # what lacks for the control alone is no reason for another detector's map
            alone = choose(lacking, False)
            own = [n for n in lacking if alone.units[n].takes and n not in alone.scant]
            self.decisions |= {name: decided.units[name] for name in own}
        return decided


def _optical_scenes(loaded: LoadedDetector, sought: Sought) -> tuple[pystac.Item, ...]:
    return search_optical(sought) if needs_optical(loaded.spec.bands) else ()


def _check_weights(loaded: LoadedDetector, record: Mapping[str, Any]) -> None:
    """Refuse to continue units of a detector with other weights than theirs."""
    was = record.get("detectors", {}).get(loaded.key, loaded.sha256)
    if was != loaded.sha256:
        raise RequestError(
            f"This scan was begun with other weights of detector {loaded.key!r} (sha256 {was}, now "
            f"{loaded.sha256}): give those it was begun with, or another `out`."
        )


def _free_keys(
    new: Mapping[str, Passes], old: Mapping[str, Passes], reserved: frozenset[str]
) -> dict[str, str]:
    """New keys -> keys that clash with no old or reserved one; an old one where the passes are the
    same."""
    names: dict[str, str] = {}
    for key, passes in new.items():
        same = [name for name, other in old.items() if _ids(other) == _ids(passes)]
        free = key
        number = 1
        while not same and free in (*old, *reserved, *names.values()):
            number += 1
            free = f"{key.partition('-')[0]}-{number}"
        names[key] = same[0] if same else free
    return names


def _ids(passes: Passes) -> list[tuple[str, str]]:
    read = [(one.role, item.id) for one in passes for item in one.items]
    return [*read, *(("optical", item.id) for item in passes.optical)]


def make_design(survey: Survey, record: Mapping[str, Any] | None = None) -> Design:
    """What every unit is read from and by which detector, with one search for each zone; one more
    where a unit falls to a detector that reads other bands.

    A zone whose search fails fails its units, and no others. Of several archives the first that
    serves any unit serves all. The decisions in `record` (`scan.json` of the run that is continued)
    are kept, so that a unit mapped tomorrow agrees with its neighbour of today. Raises RequestError
    where a detector that decided units of that run is another today, no archive serves any unit, or
    reading asks for a credential that is not kept.
    """
    archives = survey.archives or (survey.catalog,)

    def ask(catalog: CatalogSettings) -> Design:
        check_login(catalog)
        design = _design(replace(survey, catalog=catalog), record)
        if len(archives) > 1 and not design.takes:
            said = (one.sentence for one in design.decisions.values() if one.sentence)
            raise RequestError(next(said, "the region has no unit to be mapped."))
        return design

    design, whys = from_first(archives, ask)
    return replace(design, notes=whys)


def _design(survey: Survey, record: Mapping[str, Any] | None) -> Design:
    """What every unit is read from in one archive."""
    decider = Decider(survey, frozenset(record["takes"]) if record is not None else frozenset())
    if record is not None:
        decider.restore(record)
    decider.decide_all()
    decisions = {name: decider.decisions[name] for name in survey.works}
    return Design(survey, decider.takes, decisions, decider.searches)
