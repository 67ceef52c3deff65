"""Archives asked one after the other, the default: a map comes from the first that has its passes.

An archive may lag for weeks, lack a place, or be down. Which are asked, and in which order, says a
file that the user may edit (`archives.yaml` beside this one is what it is without). A map is one
archive's alone: two makers' scenes differ by more than a landslide does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_config_path

from sarmap.acquire.catalogs import AUTO, resolve_catalog
from sarmap.acquire.instants import utc_now
from sarmap.acquire.pairing import LONG_PAST
from sarmap.acquire.shortfall import PassError
from sarmap.errors import RequestError, SarmapError
from sarmap.net.signing import check_login
from sarmap.request_file import read_yaml
from sarmap.types import CatalogSettings, Pass

VARIABLE = "SARMAP_ARCHIVES"
"""Environment variable that names the user's own list."""
T = TypeVar("T")


def archives_of(
    catalog: Any, *, trusted: bool = False, verify: bool = False
) -> tuple[CatalogSettings, ...]:
    """The archives that may serve a request, in the order in which they are asked: of 'auto' those
    of the list, of anything else that `resolve_catalog` takes that one.

    `trusted` and `verify` are set whatever the settings say of them. Raises RequestError where the
    list cannot be read or the catalogue is none.

    >>> [one.name for one in archives_of("opera-rtc-s1")]
    ['opera-rtc-s1']
    """
    listed = _listed() if isinstance(catalog, str) and catalog == AUTO else [catalog]
    return tuple(resolve_catalog(one, trusted=trusted, verify=verify) for one in listed)


def _listed() -> list[Any]:
    """The entries of the list: of the user's own, or else of the one that comes with sarmap."""
    named = os.environ.get(VARIABLE)
    own = Path(named).expanduser() if named else user_config_path("sarmap") / "archives.yaml"
    file = own if named or own.is_file() else Path(__file__).with_suffix(".yaml")
    try:
        entries = read_yaml(file.read_text(encoding="utf-8"), f"List of archives {file.name}")
    except (OSError, UnicodeDecodeError):
        raise RequestError(
            f"List of archives {file.name} cannot be read: check {VARIABLE}, or unset it."
        ) from None
    if not isinstance(entries, list) or not entries or AUTO in entries:
        raise RequestError(
            f"List of archives {file.name} must hold a list, with a preset, a URL or settings in "
            "each entry."
        )
    return entries


def from_first(
    archives: Sequence[CatalogSettings], ask: Callable[[CatalogSettings], T]
) -> tuple[T, tuple[str, ...]]:
    """What the first archive that can gives, and a sentence on those before it that could not.

    One archive alone is asked whatever it lacks; of several, one whose credential the user does not
    keep is passed over. `ask` raises SarmapError for one that cannot; where none can, what each
    lacks is raised, or the one thing that is wrong with the request.
    """
    if len(archives) == 1:
        return ask(archives[0]), ()
    lacking: list[tuple[str, SarmapError]] = []
    for settings in archives:
        try:
            check_login(settings)
            found = ask(settings)
        except SarmapError as error:
            lacking.append((settings.name, error))
        else:
            whys = [f"{name} was not taken: {why_not(error)}" for name, error in lacking]
            said = f"The passes are those of {settings.name}; {'; '.join(whys)}."
            return found, (said,) if whys else ()
    raise _none(lacking)


def _none(lacking: Sequence[tuple[str, SarmapError]]) -> SarmapError:
    """What to raise where no archive serves: the one fault of all, or each one's own."""
    errors = [error for _, error in lacking]
    if len({str(error) for error in errors}) == 1:  # what is wrong with the request itself
        return errors[0]
    first = next((one for one in errors if isinstance(one, RequestError)), errors[0])
    first.args = (f"no archive has what this needs: {'; '.join(f'{n}: {e}' for n, e in lacking)}",)
    return first


@dataclass(frozen=True)
class Looked:
    """One archive beside others: what it has of a place, and whether a map would come from it."""

    name: str
    """Its name."""
    taken: bool
    """True for the one that a map would be made from."""
    newest: Pass | None
    """The newest pass over the place; None: it has none, or could not be asked."""
    sentence: str
    """That pass with its age and coverage, and why the archive is taken or not."""


def compared(
    archives: Sequence[CatalogSettings], ask: Callable[[CatalogSettings], tuple[T, Pass]]
) -> tuple[tuple[Looked, ...], T | None]:
    """All archives side by side, asked at once, in order of preference: an entry for each, and what
    the one that would be taken gives; None where none can be read.

    `ask` gives what is wanted of one and its newest pass, or raises SarmapError; RequestError or
    CatalogError is raised where none has what is wanted.
    """

    def answer(settings: CatalogSettings) -> tuple[T, Pass] | SarmapError:
        try:
            return ask(settings)
        except SarmapError as error:
            return error

    with ThreadPoolExecutor(len(archives)) as pool:
        answers = list(zip(archives, pool.map(answer, archives), strict=True))
    lacking = [(one.name, found) for one, found in answers if isinstance(found, SarmapError)]
    if len(lacking) == len(archives):
        raise lacking[0][1] if len(lacking) == 1 else _none(lacking)
    looked, taken = [], None
    for settings, found in answers:
        if isinstance(found, SarmapError):
            newest = found.passes[-1] if isinstance(found, PassError) and found.passes else None
            looked.append(Looked(settings.name, False, newest, f"not taken: {why_not(found)}"))
            continue
        locked = _locked(settings) if len(archives) > 1 else ""
        mine = taken is None and not locked
        taken = found[0] if mine else taken
        why = "taken" if mine else f"not taken: {locked}" if locked else "not needed"
        sentence = f"{why}; its {_in_words(found[1])}"
        looked.append(Looked(settings.name, mine, found[1], sentence))
    return tuple(looked), taken


def _locked(settings: CatalogSettings) -> str:
    """Why an archive's files cannot be read, as a clause; empty where they can."""
    try:
        check_login(settings)
    except RequestError as error:
        return str(error).rstrip(".")
    return ""


def why_not(error: SarmapError) -> str:
    """Why an archive was not taken, as a clause, with the newest pass that it has."""
    if isinstance(error, PassError) and error.passes:
        cause = f"its {_in_words(error.passes[-1])}, and {str(error).partition(': ')[0]}"
        return f"{cause}; {error.awaited}".rstrip("; .")
    return str(error).rstrip(".")


def _in_words(newest: Pass) -> str:
    """The newest pass over a place in words, with its age where that still matters."""
    age = utc_now() - newest.datetime
    old = f", {age.total_seconds() / 86400:.1f} days ago" if age < LONG_PAST else ""
    when = f"{newest.datetime:%Y-%m-%d %H:%M} UTC{old}"
    return f"newest pass over the place is of {when}, {newest.coverage:.0%} covered"
