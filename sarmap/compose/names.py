"""The papers' composites as data, and what follows from a list of bands alone.

Nava et al. 2021 (doi:10.1109/LGRS.2021.3127073) name nine composites, Nava et al. 2022
(doi:10.3390/rs14061449) four; the latter name the orbit too (A_ ascending, D_ descending).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sarmap.errors import RequestError


@dataclass(frozen=True)
class CompositeSpec:
    """A named composite."""

    name: str
    """As in the papers."""
    bands: tuple[str, ...]
    """Band names in order."""
    orbit: Literal["ascending", "descending"] | None = None
    """Orbit that the name fixes; None: either."""


Orbit = Literal["ascending", "descending"]

_ORBITS: Mapping[str, Orbit] = {"D": "descending", "A": "ascending"}

_BANDS: Mapping[str, tuple[str, ...]] = {
    "RGB": ("red", "green", "blue"),
    "SSD": ("vv_post_1", "vh_post_1", "dem"),
    "SSS": ("vv_post_1", "vh_post_1", "slope"),
    "BAD": ("vv_pre", "vv_post_1", "dem"),
    "BAS": ("vv_pre", "vv_post_1", "slope"),
    "HHH": ("vh_pre", "vh_post_1", "vh_post_2"),
    "BAA": ("vv_pre", "vv_post_1", "vv_post_2"),
    "BAC": ("vv_pre", "vv_post_1", "vv_change"),
    "BAH": ("vv_pre", "vv_post_1", "vh_post_1"),
    "BA_S": ("vv_pre", "vv_post_1", "slope"),
    "BAA_S": ("vv_pre", "vv_post_1", "vv_post_2", "slope"),
}

COMPOSITES: Mapping[str, CompositeSpec] = {
    **{name: CompositeSpec(name, bands) for name, bands in _BANDS.items()},
    **{
        f"{letter}_{name}": CompositeSpec(f"{letter}_{name}", _BANDS[name], orbit)
        for name in ("BA_S", "BAA_S")
        for letter, orbit in _ORBITS.items()
    },
}
"""All composites by name: paper 1's nine, paper 2's four, and those two without their orbit."""

TERRAIN_BANDS = ("slope", "dem", "incidence")
OPTICAL_BANDS = ("red", "green", "blue")
_RADAR = re.compile(r"(?P<band>[a-z]{2})_(?P<role>pre(_([2-9]|[1-9]\d+))?|post_[1-9]\d*|change)")
EVIDENCE = tuple(
    f"{band}_{what}"
    for what in ("levelled_change", "change_in_noise", "change_noise", "mean_before")
    for band in ("vv", "vh")
)
"""Bands of evidence: what all passes say together; see `sarmap.compose.evidence`."""
_PATTERNS = (
    "vv_pre, vv_pre_2, ..., vv_post_1, vv_post_2, ..., vv_change, and the same with vh; "
    "vv_levelled_change, vv_change_in_noise, vv_change_noise, vv_mean_before, and the same with "
    "vh; slope, dem, incidence; red, green, blue"
)
MOST_PASSES = (6, 4)
"""Most passes before and after an event that evidence is made from, where nobody asks for more."""


@dataclass(frozen=True)
class BandName:
    """What a band name stands for."""

    kind: Literal["radar", "change", "terrain", "optical", "evidence"]
    """Where the band comes from."""
    variable: str
    """Variable in the cube or the terrain."""
    role: str = ""
    """Role of the pass, for radar bands; which evidence it is."""


def parse_band(name: str) -> BandName:
    """What a band name stands for; RequestError where it is none.

    >>> parse_band("vh_post_2")
    BandName(kind='radar', variable='vh', role='post_2')
    """
    if name in TERRAIN_BANDS:
        return BandName("terrain", name)
    if name in OPTICAL_BANDS:
        return BandName("optical", name)
    if name in EVIDENCE:
        return BandName("evidence", *name.split("_", 1))
    match = _RADAR.fullmatch(name)
    if match is None or match["band"] not in ("vv", "vh", "hh", "hv"):
        raise RequestError(f"Band {name!r} is unknown: bands are {_PATTERNS}.")
    if match["role"] == "change":
        return BandName("change", match["band"])
    return BandName("radar", match["band"], match["role"])


def composite_bands(name_or_bands: str | Sequence[str]) -> tuple[str, ...]:
    """Band names of a composite, or the given band names once they are known to be valid.

    Raises
    ------
    RequestError
        Unknown composite or band, or none at all.

    >>> composite_bands("A_BAA_S")
    ('vv_pre', 'vv_post_1', 'vv_post_2', 'slope')
    """
    if isinstance(name_or_bands, str):
        return composite_named(name_or_bands).bands
    bands = tuple(name_or_bands)
    if not bands:
        raise RequestError(f"A composite needs at least one band: bands are {_PATTERNS}.")
    twice = sorted({band for band in bands if bands.count(band) > 1})
    if twice:
        raise RequestError(f"Band {twice[0]!r} is named twice: name each band of a composite once.")
    for band in bands:
        parse_band(band)
    return bands


def composite_named(name: str) -> CompositeSpec:
    """The composite of that name; RequestError where there is none."""
    if name not in COMPOSITES:
        close = difflib.get_close_matches(name.upper(), COMPOSITES, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise RequestError(
            f"Composite {name!r} is unknown: {hint}choose from {', '.join(COMPOSITES)}, or give "
            "a sequence of band names."
        )
    return COMPOSITES[name]


def required_passes(bands: Sequence[str]) -> tuple[int, int]:
    """How many passes before and after the event the bands read.

    >>> required_passes(("vv_pre_2", "vv_post_1", "slope"))
    (2, 1)
    """
    pre = post = 0
    for band in map(parse_band, bands):
        both = ("pre", "post_1")
        roles = {"radar": (band.role,), "change": both, "evidence": both}.get(band.kind, ())
        for role in roles:
            stem, _, number = role.partition("_")
            if stem == "pre":
                pre = max(pre, int(number or 1))
            else:
                post = max(post, int(number))
    return pre, post


def reads_evidence(bands: Sequence[str]) -> bool:
    """True where the bands are evidence, made from all passes that there are.

    >>> reads_evidence(("vv_levelled_change", "slope")), reads_evidence(("vv_pre", "slope"))
    (True, False)
    """
    return any(parse_band(band).kind == "evidence" for band in bands)


def wanted_passes(bands: Sequence[str]) -> tuple[int, int]:
    """How many passes before and after the event the bands read where there are so many.

    >>> wanted_passes(("vv_levelled_change",)), wanted_passes(("vv_pre", "vv_post_1"))
    ((6, 4), (1, 1))
    """
    return MOST_PASSES if reads_evidence(bands) else required_passes(bands)


def required_radar_bands(bands: Sequence[str]) -> tuple[str, ...]:
    """Radar bands that the cube must hold, VV first; evidence copes without VH.

    >>> required_radar_bands(("vh_post_1", "vv_change", "dem"))
    ('vv', 'vh')
    """
    parsed = [parse_band(band) for band in bands]
    used = {b.variable for b in parsed if b.kind in ("radar", "change")}
    used |= {"vv"} if reads_evidence(bands) else set()
    return tuple(band for band in ("vv", "vh", "hh", "hv") if band in used)


STANDS_IN = {"vv": "hh", "vh": "hv"}
"""The polarisation that evidence is made from where the first is not there."""


def as_held(bands: Sequence[str], radar: Sequence[str], held: Container[str]) -> tuple[str, ...]:
    """Radar bands as they are held: HH and HV stand in for VV and VH where evidence is read.

    >>> as_held(("vv_levelled_change",), ("vv", "vh"), ("hh",)), as_held(("vv_pre",), ("vv",), ())
    (('hh', 'vh'), ('vv',))
    """
    if not reads_evidence(bands):
        return tuple(radar)
    pairs = [(one, STANDS_IN.get(one, one)) for one in radar]
    return tuple(other if one not in held and other in held else one for one, other in pairs)


def wanted_radar_bands(bands: Sequence[str]) -> tuple[str, ...]:
    """Radar bands that are read where the catalogue has them, VV first.

    >>> wanted_radar_bands(("vv_levelled_change", "vh_levelled_change"))
    ('vv', 'vh')
    """
    used = {b.variable for b in map(parse_band, bands) if b.kind in ("radar", "change", "evidence")}
    return tuple(band for band in ("vv", "vh", "hh", "hv") if band in used)


def needs_terrain(bands: Sequence[str]) -> bool:
    """True where a band comes from the terrain.

    >>> needs_terrain(COMPOSITES["BAA"].bands), needs_terrain(COMPOSITES["BAS"].bands)
    (False, True)
    """
    return any(parse_band(band).kind == "terrain" for band in bands)


def needs_optical(bands: Sequence[str]) -> bool:
    """True where a band is optical.

    >>> needs_optical(COMPOSITES["RGB"].bands)
    True
    """
    return any(parse_band(band).kind == "optical" for band in bands)
