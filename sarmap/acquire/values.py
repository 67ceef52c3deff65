"""From the numbers in a file to power: which of its bands, its scale and offset, and its unit.

What the file says of itself goes before what a record says of it, and what the catalogue's settings
say before both. Numbers that are no power by their own unit are refused where nobody told how to
read them: decibel, read as power, empty a map or turn it upside down.
"""

from __future__ import annotations

import logging
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from sarmap.acquire.handles import Handle
from sarmap.acquire.source import Source
from sarmap.errors import RequestError

FLOOR = np.float32(1e-5)
"""Power below which nothing is measured: 25 dB under Sentinel-1's noise (-22 to -25 dB). Where a
slice ends, its file may hold such values instead of no data."""

CEILING = np.float32(1e10)
"""Value of radar, heights or reflectance that nothing measures: it stands for no data undeclared,
as the largest of float32 often does."""

_SCALINGS = {
    "db": re.compile(r"(?:^|[^a-z])db(?:[^a-z]|$)|decibel", re.IGNORECASE),
    "amplitude": re.compile(r"amplitude", re.IGNORECASE),
    "dn": re.compile(r"^\s*(?:dn|digital[ _]numbers?)\s*$", re.IGNORECASE),
}
_POLARISATION = re.compile(r"(?:^|[^a-z])(vv|vh|hh|hv)(?:[^a-z]|$)", re.IGNORECASE)
_METRES = {"ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "us survey foot": 1200 / 3937}
_METRES |= {"cm": 0.01, "centimetre": 0.01, "centimeter": 0.01, "dm": 0.1, "decimetre": 0.1}

logger = logging.getLogger(__name__)
_warned: set[tuple[str, str]] = set()


def scaling_of(text: str) -> str | None:
    """The scaling that a unit or a band's description names, other than power.

    >>> scaling_of("dB"), scaling_of("Gamma0_VV_db"), scaling_of("m2/m2")
    ('db', 'db', None)
    """
    return next((name for name, words in _SCALINGS.items() if words.search(text)), None)


def check_unit(source: Source, *texts: str) -> None:
    """Refuse (RequestError) a radar band one of whose texts, or whose record's unit, names another
    scaling than power, where nobody told how to read it.
    """
    if source.scaling is not None:
        return
    for text in (source.unit, *texts):
        named = scaling_of(text)
        if named is not None:
            words = {"db": "decibel", "amplitude": "amplitude", "dn": "digital numbers"}[named]
            raise RequestError(
                f"The values of {source.label}, are {words} by their own account ({text!r}), not "
                f"power: set scaling: {named} in the catalogue's settings (--scaling {named}) to "
                "have them converted, or scaling: power if they are power all the same."
            )


def band_of(source: Source, handle: Handle) -> int:
    """The one-based band of an open file that holds what a source names; RequestError where it has
    fewer, or says itself that another one is meant.
    """
    names = [_polarisation(text) for text in handle.descriptions]
    if source.band > len(names):
        raise RequestError(
            f"The file of {source.label} has {len(names)} bands, not {source.band}: correct the "
            "band number in the catalogue settings (radar_assets or optical_assets)."
        )
    mine, wanted = names[source.band - 1], source.name
    if not wanted or len(names) == 1 or mine == wanted:
        return source.band
    if wanted in names and not source.numbered:
        return names.index(wanted) + 1
    if wanted in names:
        raise RequestError(
            f"Band {source.band} of {source.label} was named as {wanted.upper()}, but its file "
            f"calls band {names.index(wanted) + 1} that: correct radar_assets in the catalogue's "
            "settings."
        )
    if not source.numbered and (source.asset, wanted) not in _warned:
        _warned.add((source.asset, wanted))
        logger.warning(
            "The file of %s has %d bands, and band 1 is read as %s: name the band in radar_assets, "
            "%s: [%s, 1]",
            source.label,
            len(names),
            wanted.upper(),
            wanted,
            source.asset,
        )
    return source.band


def measured(
    pixels: NDArray[np.float32],
    source: Source,
    handle: Handle,
    band: int,
    window: Window,
    *,
    positive: bool,
) -> NDArray[np.float32]:
    """Stored numbers (y, x) as physical values, written over, NaN where they are no measurement;
    RequestError where they are no power, and nobody told how to read them.

    `positive` is radar, to be made power; values that are none (`FLOOR`, `CEILING`) are no data.
    """
    scaling = "power"
    if positive:
        check_unit(source, handle.units[band - 1], handle.descriptions[band - 1])
        scaling = source.scaling or scaling
    scale, offset = _scale(source, handle, band)
    if scaling == "dn" and scale == 1.0:
        raise RequestError(
            f"The values of {source.label}, are to be read as digital numbers (scaling: dn), and "
            "neither its file nor its record says by what factor: set factor in the catalogue's "
            "settings."
        )
    plain = scaling == "power" and scale == 1.0 and offset == 0.0
    valid = np.isfinite(pixels)
    nodata = source.nodata if handle.nodata is None else handle.nodata
    if nodata is not None and math.isfinite(nodata) and not (plain and positive and nodata <= 0):
        valid &= pixels != np.float32(nodata)
    if handle.masked:
        valid &= handle.dataset.read_masks(band, window=window) != 0
    if scaling == "db":
        valid &= pixels != 0  # what surrounds the data in files of decibel, and 0 dB is rare
    if not plain:
        pixels = pixels * np.float32(scale) + np.float32(offset)
    if positive and source.scaling is None:
        refuse_decibel(pixels, f"The file of {source.label},", valid)
    if positive:
        pixels = _power(pixels, scaling)
        valid &= pixels >= FLOOR
    else:
        valid &= pixels > -CEILING
    valid &= pixels < CEILING
    np.copyto(pixels, np.float32(np.nan), where=~valid)
    return pixels


def metres_of(source: Source, handle: Handle) -> float:
    """Metres to one unit of an elevation file; a scale of 0.3048 has made metres of feet."""
    text = (handle.units[source.band - 1] or source.unit).strip().lower()
    factor = _METRES.get(text, 1.0)
    scale, _ = _scale(source, handle, source.band)
    return 1.0 if math.isclose(scale, factor, rel_tol=1e-4) else factor


def _polarisation(text: str) -> str:
    """The polarisation that a band's description names; empty where it names none, or several."""
    found = {name.lower() for name in _POLARISATION.findall(text)}
    return found.pop() if len(found) == 1 else ""


def _scale(source: Source, handle: Handle, band: int) -> tuple[float, float]:
    """Factor and summand from stored to physical values."""
    scale, offset = source.scale, source.offset
    if not source.told:
        scale = handle.scales[band - 1] if handle.scales[band - 1] != 1.0 else scale
        offset = handle.offsets[band - 1] if handle.offsets[band - 1] != 0.0 else offset
    return (1.0 if scale is None else scale), (0.0 if offset is None else offset)


def _power(pixels: NDArray[np.float32], scaling: str) -> NDArray[np.float32]:
    """Power of physical values; what is none is not above zero."""
    if scaling == "db":
        with np.errstate(over="ignore"):
            return (10.0 ** (pixels.astype(np.float64) / 10)).astype(np.float32)
    if scaling in ("amplitude", "dn"):
        return np.where(pixels > 0, pixels * pixels, np.float32(0))
    return pixels


# --- decibel --------------------------------------------------------------------------------------


LOW, HIGH = -60.0, -1.0
"""Where decibel of land and water lie; power, noise taken off, falls little below zero."""
ENOUGH = 64
"""Numbers below which nothing can be said."""


def refuse_decibel(stored: NDArray[Any], what: str, valid: NDArray[np.bool_] | None = None) -> None:
    """Refuse (RequestError) stored numbers of a block that are to be read as power and are decibel
    by their signs: most of what is no filling (zero, -60 and below) lies between -60 and -1.

    `what` says where they come from; `valid` which of them count, None: all.

    >>> refuse_decibel(np.full(100, -9999.0), "Pass 1")
    >>> refuse_decibel(np.linspace(-25, 1, 100), "Pass 1")
    Traceback (most recent call last):
    ...
    sarmap.errors.RequestError: Pass 1 cannot be power: 92 % of its numbers are negative, down to \
-25.0. They are likely decibel: give scaling='db' (--scaling db; a catalogue's setting scaling).
    """
    likely = stored < HIGH
    if 2 * np.count_nonzero(likely) < ENOUGH:  # too few of whatever there is: power, in most blocks
        return
    likely &= stored > LOW
    if valid is not None:
        likely &= valid
    share = np.count_nonzero(likely)
    known = np.isfinite(stored) & (stored > LOW) & (stored != 0)
    if valid is not None:
        known &= valid
    count = np.count_nonzero(known)
    if count < ENOUGH or 2 * share <= count:
        return
    raise RequestError(
        f"{what} cannot be power: {100 * share / count:.0f} % of its numbers are negative, down to "
        f"{float(stored[likely].min()):.1f}. They are likely decibel: give scaling='db' "
        "(--scaling db; a catalogue's setting scaling)."
    )
