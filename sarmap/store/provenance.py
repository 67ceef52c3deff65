"""How a map was made, as its attributes tell it: written once, read by every other product.

Attributes are public: a last guard strips what must never be in them (signatures, user names,
folders), whoever put it there.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'<>\\]+", re.IGNORECASE)
WHOLE_DAY = dt.timedelta(days=1) - dt.timedelta(microseconds=1)
"""Length of an event that was given as a date alone."""
_PATH = re.compile(r"^(~|/[^/\s]|[A-Za-z]:[\\/]|\\\\|\.\.?[\\/])")


def public_attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as the store keeps them: strings and numbers, nested values as JSON.

    Queries and user names are cut from URLs, folders from local paths, at every depth.

    >>> public_attributes({"scenes": [{"id": "S1A", "href": "https://u:p@host/a.tif?sig=secret"}]})
    {'scenes': '[{"id": "S1A", "href": "https://host/a.tif"}]'}
    >>> public_attributes({"weights": "/home/me/net.keras", "bands": ("vv", "vh")})
    {'weights': 'net.keras', 'bands': '["vv", "vh"]'}
    """
    return {str(key): _flat(_public(value)) for key, value in attrs.items()}


def _flat(value: Any) -> Any:
    """Nested values as JSON text, as NetCDF could hold them, too."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return int(value)
    return "" if value is None else value


def _public(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _public(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_public(part) for part in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, str):
        return _public_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return _public_text(str(value))


def _public_text(text: str) -> str:
    if text[:1] in ("{", "["):
        try:
            return json.dumps(_public(json.loads(text)), ensure_ascii=False)
        except ValueError:
            pass
    if _PATH.match(text) and "://" not in text:
        return PureWindowsPath(text).name if "\\" in text else PurePosixPath(text).name
    return _URL.sub(_public_url, text)


def _public_url(match: re.Match[str]) -> str:
    parts = urllib.parse.urlsplit(match.group())
    if parts.scheme.lower() == "file":
        return PurePosixPath(parts.path).name
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


@dataclass(frozen=True)
class Provenance:
    """What a map's attributes say of its making; empty where they say nothing."""

    scenes: tuple[Mapping[str, Any], ...]
    """One record per scene: id, datetime, role, orbit_state, relative_orbit, platform."""
    detector: str
    """Name of the detector."""
    composite: str
    """Name of the composite, or its bands."""
    event: tuple[dt.datetime, dt.datetime] | None
    """Start and end of the event, UTC."""
    attribution: str
    """Notice of the data's owners."""
    simulated: bool
    """True where the scenes are simulated."""
    version: str
    """sarmap version that made the map."""
    control: Mapping[str, Any] = field(default_factory=dict)
    """What its control says (`sarmap.assess.control`); empty where it has none."""
    doubts: tuple[str, ...] = ()
    """Why its detector is not to be trusted with this input, a sentence each."""
    limits: tuple[str, ...] = ()
    """What its passes let anyone see, and how often it is wrong on quiet ground, in words."""
    name: str = ""
    """What the place or event is called; empty where nobody said."""

    @property
    def scene_ids(self) -> tuple[str, ...]:
        """Ids of the scenes, each once, in order."""
        return tuple(dict.fromkeys(str(scene["id"]) for scene in self.scenes if "id" in scene))

    @property
    def orbits(self) -> tuple[str, ...]:
        """Orbit states, each once."""
        return tuple(
            dict.fromkeys(str(s["orbit_state"]) for s in self.scenes if s.get("orbit_state"))
        )

    @property
    def relative_orbits(self) -> tuple[int, ...]:
        """Track numbers, each once."""
        return tuple(
            dict.fromkeys(int(s["relative_orbit"]) for s in self.scenes if s.get("relative_orbit"))
        )

    def times(self, role: str) -> tuple[dt.datetime, ...]:
        """Instants of the scenes whose role starts with `role` ('pre' or 'post'), in order."""
        chosen = (s for s in self.scenes if str(s.get("role", "")).startswith(role))
        return tuple(sorted({_instant(str(s["datetime"])) for s in chosen if s.get("datetime")}))

    def days(self, role: str) -> str:
        """Days of those scenes, UTC, as text: '2018-09-13, 2018-09-25'."""
        return ", ".join(dict.fromkeys(f"{moment:%Y-%m-%d}" for moment in self.times(role)))

    @property
    def event_text(self) -> str:
        """The event in words; of a day alone, that its hour is not known."""
        if self.event is None:
            return ""
        start, end = self.event
        if end - start == WHOLE_DAY:
            return f"{start:%Y-%m-%d} (no hour was given: the whole day, UTC)"
        ends = [f"{moment:%Y-%m-%d %H:%M}" for moment in dict.fromkeys(self.event)]
        return f"{' to '.join(ends)} UTC"


def read_provenance(attrs: Mapping[Any, Any]) -> Provenance:
    """The making of a map from its attributes (JSON text or plain values).

    >>> made = read_provenance({"scenes": '[{"id": "S1B_1", "orbit_state": "ascending"}]'})
    >>> made.scene_ids, made.orbits, made.simulated
    (('S1B_1',), ('ascending',), False)
    """
    scenes = _value(attrs.get("scenes")) or []
    detector = _value(attrs.get("detector") or attrs.get("sarmap:detector") or "")
    composite = _value(attrs.get("composite") or "")
    if isinstance(detector, Mapping):
        composite = composite or detector.get("composite") or detector.get("bands") or ""
        detector = detector.get("name", "")
    detector, composite = _listed(detector), _listed(composite)
    event = _value(attrs.get("sarmap:event") or attrs.get("event"))
    ends = [event] if isinstance(event, str) else list(event or [])
    instants = tuple(_instant(str(end)) for end in ends)
    return Provenance(
        scenes=tuple(scene if isinstance(scene, Mapping) else {"id": scene} for scene in scenes),
        detector=detector,
        composite=composite,
        event=(instants[0], instants[-1]) if instants else None,
        attribution=str(attrs.get("attribution", "")),
        simulated=str(attrs.get("simulated", 0)).lower() in ("1", "true", "yes"),
        version=str(attrs.get("sarmap:version", "")),
        control=_value(attrs.get("sarmap:control")) or {},
        doubts=tuple(map(str, _value(attrs.get("sarmap:doubts")) or ())),
        limits=(*_levelled(attrs), *_smallest(attrs), *_quiet(attrs)),
        name=str((_value(attrs.get("sarmap:request")) or {}).get("name") or ""),
    )


CLEAR_LEVEL = 0.3
"""dB by which a pass lies off the others that is worth telling."""
SHOWN, SURE = 3.0, 4.5
"""Change of a usual landslide, dB, and how many times its noise shows beyond doubt."""
CELL_PIXELS = 64
"""Pixels whose mean the measured noise is of."""


def _levelled(attrs: Mapping[Any, Any]) -> list[str]:
    """Passes that lay clearly above or off those before the event, and what was done to them."""
    told = []
    for one in _value(attrs.get("sarmap:levels")) or []:
        when = str(one.get("datetime") or one.get("time"))[:10]
        which = f"The {one.get('orbit_state', '')} pass of {when}"
        if "moved" in one:
            told.append(f"{which} lay {math.hypot(*one['moved']):.1f} px off, and was shifted.")
        if "left_out" in one:
            told.append(f"{which}, or part of it, lay {one['left_out']:.1f} px off: left out.")
        bands = [b for b in ("vv", "vh", "hh", "hv") if abs(one.get(b, 0)) >= CLEAR_LEVEL]
        if bands:
            levels = ", ".join(f"{band.upper()} {one[band]:+.1f} dB" for band in bands)
            told.append(f"{which} was levelled: {levels}.")
    return [text.replace("  ", " ") for text in told]


def _smallest(attrs: Mapping[Any, Any]) -> list[str]:
    """The smallest landslide that the noise of the passes lets anyone see."""
    trust = _value(attrs.get("sarmap:trust")) or []
    known = [one["measures"] for one in ([trust] if isinstance(trust, Mapping) else trust)]
    areas = [
        max(CELL_PIXELS * (SURE * one["noise"] / SHOWN) ** 2, 4) * one["spacing"] ** 2
        for one in known
        if "noise" in one and "spacing" in one
    ]
    if not areas:
        return []
    area = float(f"{min(areas):.2g}")
    return [f"With these passes a change of {SHOWN:g} dB shows from about {area:,.0f} m2 on."]


def _quiet(attrs: Mapping[Any, Any]) -> list[str]:
    """What the detector calls between passes before the event."""
    if "quiet_called_percent" not in attrs:
        return []
    lowered = float(attrs["quiet_odds_lowered"])
    raised = f", with its threshold raised for this place by {lowered:.1f} in log-odds"
    return [
        f"Between passes before the event it calls {float(attrs['quiet_called_percent']):.2g} % of "
        f"{float(attrs['quiet_km2']):.0f} km2{raised if lowered else ''}: expect about "
        f"{float(attrs['quiet_polygons_per_100_km2']):.0f} false candidates per 100 km2."
    ]


def settings_of(attrs: Mapping[str, Any]) -> tuple[float, float]:
    """Threshold and smallest area (m²) that the map was asked with.

    >>> settings_of({"sarmap:request": '{"threshold": 0.7}'})
    (0.7, 0.0)
    """
    value = attrs.get("sarmap:request")
    try:
        asked = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        asked = None
    asked = asked if isinstance(asked, Mapping) else {}
    return float(asked.get("threshold", 0.5)), float(asked.get("min_area", 0.0))


def _listed(value: Any) -> str:
    """Several names (a map fused from several orbits, or bands) as one line, each once."""
    several = isinstance(value, list | tuple)
    return ", ".join(dict.fromkeys(map(str, value))) if several else str(value)


def _value(value: Any) -> Any:
    """JSON text decoded; anything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    return value


def _instant(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
