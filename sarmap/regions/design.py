"""What every unit is read from: the catalogue is asked, once for each zone, and passes are decided.

What an earlier run of the same scan decided is kept, so that a unit mapped tomorrow agrees with its
neighbour of today. Units for which the detector that was asked for lacks passes or bands go to the
next one it names, as a map of the unit alone would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sarmap.regions.desk import Desk
from sarmap.regions.survey import Survey
from sarmap.regions.tracks import Decision
from sarmap.types import Passes

__all__ = ["Design", "design"]


@dataclass(frozen=True)
class Design:
    """All units with what they are read from."""

    survey: Survey
    """Where they lie and what is asked."""
    takes: Mapping[str, Passes]
    """Key -> passes of one track over the region."""
    decisions: Mapping[str, Decision]
    """Unit's name -> what it is read from, and by which detector."""
    searches: int
    """Searches of the catalogue for radar scenes that it took."""


def design(known: Survey, record: Mapping[str, Any] | None = None) -> Design:
    """What every unit is read from and by which detector, with one search for each zone; one more
    where a unit falls to a detector that reads other bands.

    A zone whose search fails fails its units, and no others.

    Args:
        known: the survey.
        record: `scan.json` of the run that is continued; its decisions are kept.

    Raises:
        RequestError: a detector that decided units of that run is another today.
    """
    desk = Desk(known, frozenset(record["takes"]) if record is not None else frozenset())
    if record is not None:
        desk.keep(record)
    desk.decide()
    decisions = {name: desk.decisions[name] for name in known.works}
    return Design(known, desk.takes, decisions, desk.searches)
