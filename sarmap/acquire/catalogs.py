"""Where scenes are found: presets as data, settings of any STAC API, and the door to it."""

from __future__ import annotations

import dataclasses
import difflib
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pystac
import pystac_client
from pydantic import TypeAdapter, ValidationError
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.warnings import DoesNotConformTo, PystacClientWarning

from sarmap.acquire.item_files import ItemFiles, is_file, open_files
from sarmap.errors import CatalogError, RequestError, SarmapError
from sarmap.net.reach import BUCKETS, WEB, reach_of
from sarmap.net.signing import make_signer, redact, unsigned
from sarmap.net.stac_io import Refusal, StacIO
from sarmap.request_file import as_path
from sarmap.types import CatalogSettings, Login

AUTO = "auto"
"""The catalogue that stands for a list of them: see `sarmap.acquire.archives`."""

_PC_URL = "https://planetarycomputer.microsoft.com/api/stac/v1"
_SENTINEL = "Contains modified Copernicus Sentinel data"
_DEM = (
    "Elevation: Copernicus DEM GLO-30, produced using Copernicus WorldDEM-30 (c) DLR e.V. "
    "2010-2014 and (c) Airbus Defence and Space GmbH 2014-2018, provided under COPERNICUS by the "
    "European Union and ESA; all rights reserved."
)

PRESETS: Mapping[str, CatalogSettings] = {
    "planetary-computer": CatalogSettings(
        name="planetary-computer",
        url=_PC_URL,
        grd_collection="sentinel-1-grd",
        signing="planetary-computer",
        attribution=(
            f"{_SENTINEL}; Sentinel-1 RTC by Catalyst for the Microsoft Planetary Computer "
            "(CC BY 4.0)."
        ),
        dem_attribution=_DEM,
    ),
    # CMR-STAC gives OPERA's items neither orbit nor platform: both stand in the granule's name
    # (OPERA RTC-S1 product specification, JPL D-108758); and no projection: each burst's file has
    # its own UTM zone, and says so. The elevation comes from Planetary Computer.
    "opera-rtc-s1": CatalogSettings(
        name="opera-rtc-s1",
        url="https://cmr.earthdata.nasa.gov/cloudstac/ASF",
        radar_collection="OPERA_L2_RTC-S1_V1_1",
        radar_assets={"vv": "0_VV", "vh": "0_VH"},
        id_pattern=(
            r"_T(?P<relative_orbit>\d{3})-\d+-IW\d_\d{8}T\d{6}Z"
            r"_(?P<processed>\d{8}T\d{6}Z)_(?P<platform>S1[A-Z])_"
        ),
        orbit_state_from_time=True,
        projection_from_file=True,
        dem_url=_PC_URL,
        optical_collection=None,
        signing="planetary-computer",
        login=Login(
            name="Earthdata",
            variable="EARTHDATA_TOKEN",
            hosts=("earthdatacloud.nasa.gov", "asf.alaska.edu"),
            machine="urs.earthdata.nasa.gov",
        ),
        attribution=f"{_SENTINEL}; OPERA RTC-S1 by NASA JPL, distributed by ASF DAAC.",
        dem_attribution=_DEM,
    ),
    # Tiles of one degree, gamma-nought power, 20 m, no data 0; a public bucket in Cape Town, whose
    # address saves its reader an account. The elevation comes from Planetary Computer.
    "digital-earth-africa": CatalogSettings(
        name="digital-earth-africa",
        url="https://explorer.digitalearth.africa/stac",
        radar_collection="s1_rtc",
        dem_url=_PC_URL,
        optical_collection=None,
        signing="planetary-computer",
        addresses={
            "s3://deafrica-sentinel-1/": "https://deafrica-sentinel-1.s3.af-south-1.amazonaws.com/"
        },
        attribution=f"{_SENTINEL}; Sentinel-1 RTC by Digital Earth Africa (CC BY 4.0).",
        dem_attribution=_DEM,
    ),
}
"""Catalogues known by name."""

_NONSENSE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    pystac.STACError,
    ClientTypeError,
    DoesNotConformTo,
)
"""What the client raises on an answer that is no STAC."""

_FIELDS = tuple(one.name for one in dataclasses.fields(CatalogSettings))


def resolve_catalog(
    catalog: str | CatalogSettings | Mapping[str, Any],
    *,
    trusted: bool = False,
    verify: bool = False,
) -> CatalogSettings:
    """Settings of a catalogue.

    Parameters
    ----------
    catalog
        A preset's name; the URL of a STAC API, or the path or address of a catalogue's file
        (`sarmap.acquire.item_files`), that names things as the defaults of CatalogSettings do; or a
        mapping of CatalogSettings' fields, which may start from a `preset`. In
        `optical_assets`, an asset key alone means its first band; in `radar_assets`, the band that
        is called so, else the first.
    trusted, verify
        Set `trusted`, or `verify`, whatever the catalogue's settings say of it.

    Raises
    ------
    RequestError
        Unknown preset or field, or a value of the wrong kind.

    >>> resolve_catalog("http://127.0.0.1:7822").radar_collection
    'sentinel-1-rtc'
    >>> resolve_catalog({"preset": "planetary-computer", "url": "http://127.0.0.1:1"}).signing
    'planetary-computer'
    """
    if isinstance(catalog, CatalogSettings):
        settings = catalog
    elif isinstance(catalog, Mapping):
        settings = _from_mapping(catalog)
    elif isinstance(catalog, str | Path):
        settings = _from_text(str(catalog))
    else:
        raise RequestError(
            f"catalog cannot be a {type(catalog).__name__}: give a preset ({_names()}), the URL of "
            "a STAC API, or a mapping of settings."
        )
    make_signer(settings)
    _check_pattern(settings)
    _check_bands(settings)
    asked: dict[str, Any] = {
        name: True for name, on in (("trusted", trusted), ("verify", verify)) if on
    }
    return dataclasses.replace(settings, **asked) if asked else settings


def open_catalog(
    settings: CatalogSettings, *, url: str | None = None
) -> pystac_client.Client | ItemFiles:
    """A connection to the catalogue's STAC API (or to `url`, e.g. `settings.dem_url`), or its file.

    Requests are tried again, and held to the catalogue's reach, by `sarmap.net.stac_io`. Raises
    CatalogError where it cannot be reached, is no STAC API, or offers no item search.
    """
    address = url or settings.url
    if is_file(address):
        with catalog_errors(settings, address):
            return open_files(settings, address)
    reading = StacIO(reach_of(settings, address))
    with catalog_errors(settings, address), warnings.catch_warnings():
        warnings.simplefilter("ignore", PystacClientWarning)
        client = pystac_client.Client.open(address, stac_io=reading)
    if not client.conforms_to("ITEM_SEARCH"):
        raise CatalogError(
            f"catalogue {settings.name} at {redact(address)} is a STAC catalogue without item "
            "search: give the root of a STAC API, or a static catalogue's file (.../catalog.json)."
        )
    return client


@contextmanager
def catalog_errors(settings: CatalogSettings, url: str | None = None) -> Iterator[None]:
    """Turn what a STAC client raises inside the block into one CatalogError."""
    where = f"catalogue {settings.name} at {redact(url or settings.url)}"
    try:
        yield
    except SarmapError:
        raise
    except APIError as error:
        words = error.words if isinstance(error, Refusal) else "did not answer as a STAC API"
        raise CatalogError(f"{where} {words}: check catalog and the network.") from None
    except (*_NONSENSE, OSError):
        raise CatalogError(
            f"{where} did not answer as a STAC API: give the root of a STAC API as catalog."
        ) from None


def _from_text(text: str) -> CatalogSettings:
    if text in PRESETS:
        return PRESETS[text]
    if text == AUTO:
        raise RequestError(
            f"catalog {AUTO!r} stands for several archives, and one is needed here: give a preset "
            f"({_names()}), the catalogue of the passes, or another STAC API."
        )
    place = _place(text)
    if place is None:
        raise RequestError(
            f"catalog {redact(text)!r} is not known: give a preset ({_names()}), the URL of a STAC "
            "API, or a catalogue's file or folder."
        )
    for preset in PRESETS.values():
        if text.rstrip("/") == preset.url:
            return preset
    return CatalogSettings(name=_host(place), url=place)


def _place(text: str) -> str | None:
    """An address as it is, a path on this machine whole; None where nothing is there."""
    scheme, mark, _ = text.partition("://")
    if mark and scheme.lower() in (*WEB, *BUCKETS):
        return text
    try:
        path = as_path(text)
        return str(path.resolve()) if path.exists() else None
    except (OSError, ValueError):  # text that can be no path
        return None


def _from_mapping(given: Mapping[str, Any]) -> CatalogSettings:
    values = {str(key): value for key, value in given.items()}
    base: dict[str, Any] = {}
    preset = values.pop("preset", None)
    if preset is not None:
        if not isinstance(preset, str) or preset not in PRESETS:
            raise RequestError(f"catalog preset {preset!r} is not known: give one of {_names()}.")
        base = {name: getattr(PRESETS[preset], name) for name in _FIELDS}
    for key in values:
        if key not in _FIELDS:
            near = difflib.get_close_matches(key, _FIELDS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise RequestError(
                f"catalog has no setting {key!r}: {hint}valid are preset, {', '.join(_FIELDS)}."
            )
    merged = base | values
    if not merged.get("url"):
        raise RequestError("catalog settings lack url: give the root of a STAC API, or a preset.")
    for key in ("url", "dem_url"):
        if isinstance(merged.get(key), str | Path):
            merged[key] = _place(str(merged[key])) or str(merged[key])
    merged.setdefault("name", _host(str(merged["url"])))
    if isinstance(merged.get("optical_assets"), Mapping):
        merged["optical_assets"] = {
            band: (asset, 1) if isinstance(asset, str) else asset
            for band, asset in merged["optical_assets"].items()
        }
    return _validated(merged)


def _validated(values: dict[str, Any]) -> CatalogSettings:
    try:
        return TypeAdapter(CatalogSettings).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RequestError(
            f"catalog setting {field} is not valid ({first['msg']}): see CatalogSettings."
        ) from None


def _check_pattern(settings: CatalogSettings) -> None:
    try:
        re.compile(settings.id_pattern or "")
    except re.error as error:
        raise RequestError(
            f"id_pattern of catalogue {settings.name} is not a regular expression ({error.msg}): "
            "mend it, or leave it out."
        ) from None


def _check_bands(settings: CatalogSettings) -> None:
    """Refuse two radar bands that are one band of one asset."""
    taken: dict[tuple[str, int], str] = {}
    for name in settings.radar_assets:
        asset, number = settings.radar_asset(name)
        other = taken.setdefault((asset, number or 1), name)
        if other != name:
            raise RequestError(
                f"radar_assets of catalogue {settings.name} gives {other} and {name} the same band "
                f"of asset {asset!r}: number its bands, {{{other}: [{asset}, 1], "
                f"{name}: [{asset}, 2]}}."
            )


def _host(url: str) -> str:
    """What a catalogue is called: its host, or of a file its name."""
    try:
        parts = urlsplit(unsigned(url))
        file = PurePosixPath(parts.path).name if is_file(url) else ""
        return file or parts.netloc or "catalog"
    except ValueError:
        raise RequestError(
            "catalog holds an address that is no URL (its host cannot be read): write it like "
            "https://host/path."
        ) from None


def _names() -> str:
    return ", ".join(PRESETS)
