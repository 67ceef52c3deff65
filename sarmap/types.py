"""The values that travel between rooms: requests, passes, plans, results, the detector protocol.

Words: a *pass* is one satellite overpass (all slices of one relative orbit on one day, mosaicked),
a *scene* is one STAC item, a *composite* is the named band stack, a *tile* is what the network
sees, a *block* is one Dask chunk. Backscatter is gamma-nought power unless a name says otherwise.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    import pystac

Orbit = Literal["ascending", "descending", "both"]
Scaling = Literal["amplitude", "power", "db"]
Kind = Literal["segment", "window", "pixel"]
Instant = str | dt.datetime | dt.date
Chunk = int | tuple[tuple[int, ...], tuple[int, ...]]
"""Block edge in pixels, or the lengths of all blocks along y and along x."""


_QUAKE = re.compile(r"usgs:.*|.*\.(?:json|geojson|xml)", re.IGNORECASE | re.DOTALL)


def names_quake(event: Any) -> bool:
    """True for text that names an earthquake, by id or by file, and no instant.

    >>> names_quake("usgs:us2000h8ty"), names_quake("a/grid.xml"), names_quake("2018-09-05")
    (True, True, False)
    """
    return isinstance(event, str) and _QUAKE.fullmatch(event.strip()) is not None


class Observation(IntEnum):
    """What is known of one pixel; the higher of two codes wins except where a function says so.

    >>> Observation.READ_FAILED.meaning
    'read_failed'
    """

    OBSERVED = 0
    NO_DATA = 1
    READ_FAILED = 2
    LAYOVER_SHADOW = 3

    @property
    def meaning(self) -> str:
        """The CF flag meaning, as written in the result store."""
        return self.name.lower()


@dataclass(frozen=True)
class Login:
    """Where a catalogue's files ask for a credential, and where the user keeps it: never itself."""

    name: str
    """What it is called, for messages."""
    variable: str
    """Environment variable with a token, sent as `Authorization: Bearer`."""
    hosts: tuple[str, ...]
    """Ends of the names of hosts that the token is sent to, over https."""
    machine: str
    """Entry of `~/.netrc` that does instead of a token."""


@dataclass(frozen=True)
class CatalogSettings:
    """Where a STAC API keeps what a map needs, and what its records call it."""

    name: str
    """Short name for messages and attributes: the preset's, or the API's host."""
    url: str
    """Root of the STAC API."""
    radar_collection: str = "sentinel-1-rtc"
    """Collection with gamma-nought power scenes."""
    grd_collection: str | None = None
    """Collection of the GRD that these are made from, asked alone for what is awaited; or None."""
    radar_assets: Mapping[str, str | tuple[str, int]] = field(
        default_factory=lambda: {"vv": "vv", "vh": "vh"}
    )
    """Band name -> asset key in a radar item, or (asset key, one-based band in that asset)."""
    scaling: Literal["power", "amplitude", "db", "dn"] | None = None
    """How radar is stored: as power, amplitude, decibel or digital numbers of amplitude ('dn');
    None: as power, and a unit that says otherwise is refused."""
    factor: float | None = None
    """Factor of stored radar values; None: the file's own, or its record's."""
    offset: float | None = None
    """Summand of radar values after the factor; None: likewise."""
    orbit_state_property: str = "sat:orbit_state"
    """Item property that says ascending or descending."""
    relative_orbit_property: str = "sat:relative_orbit"
    """Item property with the relative orbit (track) number."""
    platform_property: str = "platform"
    """Item property that names the satellite."""
    id_pattern: str | None = None
    """Regular expression with groups `relative_orbit` and `platform`, read from an item's id where
    it lacks the properties; None: the properties are required."""
    orbit_state_from_time: bool = False
    """Derive the orbit state from the local solar time where an item lacks the property."""
    projection_from_file: bool = False
    """Items say nothing of where their pixels lie, or nothing true: read it from the file's header,
    once per item. Records that contradict themselves or their footprint are never believed."""
    dem_url: str | None = None
    """Root of the STAC API with the elevation tiles; None: the same API."""
    dem_collection: str | None = "cop-dem-glo-30"
    """Collection with elevation tiles (metres); None: this catalogue has none."""
    dem_file: str | None = None
    """Raster of elevation of one's own, metres, read instead of a collection's; None: none."""
    dem_asset: str = "data"
    """Asset key in an elevation item."""
    optical_collection: str | None = "sentinel-2-l2a"
    """Collection with Sentinel-2 scenes; None: this catalogue has none."""
    optical_assets: Mapping[str, tuple[str, int]] = field(
        default_factory=lambda: {"red": ("B04", 1), "green": ("B03", 1), "blue": ("B02", 1)}
    )
    """Band name -> (asset key, one-based band in that asset)."""
    signing: str | None = None
    """Signer applied to each href when it is read: 'planetary-computer', or None."""
    signing_url: str | None = None
    """Token endpoint of the signer; None: the signer's own."""
    login: Login | None = None
    """Credential that its files ask for; None: they are open, or `signing` is enough."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Start of addresses in its records -> what they are read from, as a bucket's public address or
    a mirror."""
    look_known: bool = True
    """False: its items do not say from where the radar looked (files on disk), so that layover and
    shadow cannot be marked."""
    trusted: bool = False
    """True: its records may lead anywhere, to local files and private addresses too; see
    `sarmap.net.reach`."""
    verify: bool = False
    """True: what comes over plain HTTP without a checksum is read twice, and compared."""
    attribution: str = ""
    """Notice the data's owners ask for."""
    dem_attribution: str = ""
    """Notice for elevation, added where any is read; empty: `attribution` speaks for it too."""

    def radar_asset(self, band: str) -> tuple[str, int | None]:
        """Asset key of a radar band, and its number in that asset where one is given."""
        named = self.radar_assets[band]
        return (named, None) if isinstance(named, str) else named


@dataclass(frozen=True)
class Pass:
    """One overpass: the scenes of one relative orbit on one day, to be mosaicked."""

    role: str
    """'pre', 'pre_2', ... (counted back from the event) or 'post_1', 'post_2', ..."""
    datetime: dt.datetime
    """UTC instant of the first scene."""
    orbit_state: str
    """'ascending' or 'descending'."""
    relative_orbit: int
    """Track number, 1-175 for Sentinel-1."""
    platform: str
    """Satellite, as the catalogue names it (upper case)."""
    items: tuple[pystac.Item, ...] = field(repr=False)
    """The scenes, unsigned, in the order they are mosaicked (first valid pixel wins)."""
    coverage: float
    """Share of the area (0-1) that the scenes' footprints cover."""
    mode: str = "IW"
    """Instrument mode: 'IW', 'EW', 'SM' or 'WV'."""


@dataclass(frozen=True)
class Passes:
    """The passes of one orbit that a map is made from, before and after the event."""

    pre: tuple[Pass, ...]
    """Passes before the event, nearest first: roles 'pre', 'pre_2', ..."""
    post: tuple[Pass, ...]
    """Passes after the event, nearest first: roles 'post_1', 'post_2', ..."""
    catalog: CatalogSettings = field(repr=False)
    """Where they were found."""
    event: tuple[dt.datetime, dt.datetime]
    """Start and end of the event, UTC; equal for an instant."""
    optical: tuple[pystac.Item, ...] = field(default=(), repr=False)
    """Sentinel-2 scenes for the optical composite, clearest first; empty unless asked for."""
    simulated: bool = False
    """True where any scene says that it is simulated."""
    notes: tuple[str, ...] = ()
    """What a reader of the map should know of the search, one sentence each."""

    @property
    def orbit_state(self) -> str:
        """'ascending' or 'descending'."""
        return self.post[0].orbit_state

    @property
    def relative_orbit(self) -> int:
        """Track number shared by all passes."""
        return self.post[0].relative_orbit

    def __iter__(self) -> Any:
        """Passes in order of time."""
        return iter(sorted((*self.pre, *self.post), key=lambda p: p.datetime))


class MapRequest(BaseModel):
    """Everything one map is made from; the same from Python, flags, YAML or TOML.

    >>> MapRequest(area=(141.8, 42.6, 142.1, 42.9), event="2018-09-05T18:08:00Z").detector
    'auto'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    area: Any = Field(
        description="bbox (west, south, east, north), GeoJSON geometry or vector file; of files "
        "may be left out: all that the first pass covers, and of an earthquake: where it shook"
    )
    event: Instant | tuple[Instant, Instant] | None = Field(
        description="UTC instant, or (start, end) for a storm; an earthquake as usgs:ID, or its "
        "GeoJSON or ShakeMap grid.xml; of files may be left out: between the last pass before and "
        "the first after"
    )
    mmi: float = Field(
        default=6.0, ge=1, le=12, description="shaking that makes the area of an earthquake (MMI)"
    )
    name: str | None = Field(
        default=None, max_length=200, description="what the place or event is called, for titles"
    )
    pre_files: tuple[str | Path, ...] = Field(
        default=(),
        description="passes before the event of one's own: files, or folders of files, instead of "
        "a catalogue's",
    )
    post_files: tuple[str | Path, ...] = Field(
        default=(), description="passes after the event, likewise"
    )
    times: tuple[Instant, ...] | None = Field(
        default=None,
        description="UTC instants of the files' passes, before and then after; None: as their "
        "names say",
    )
    scaling: Literal["power", "amplitude", "db", "dn"] | None = Field(
        default=None,
        description="how radar is stored; None: as power, and what cannot be power is refused",
    )
    dem: str | Path | None = Field(
        default=None, description="raster of elevation of one's own, metres; None: the catalogue's"
    )
    catalog: Any = Field(
        default="auto",
        description="auto: the first archive of a list that has the passes; or a preset, STAC API "
        "URL or settings",
    )
    trust_catalog: bool = Field(
        default=False, description="let its records lead to local files and private addresses"
    )
    verify: bool = Field(
        default=False,
        description="read twice, and compare, what comes over plain HTTP without a checksum",
    )
    orbit: Orbit | None = Field(default=None, description="None: the best covered")
    relative_orbit: int | None = Field(
        default=None, ge=1, description="number of the track; None: the best covered"
    )
    detector: Any = Field(
        default="auto",
        description="auto: the default network, or `change` where it is not to be trusted; or a "
        "name, path to weights, or a Detector",
    )
    composite: str | tuple[str, ...] | None = Field(
        default=None, description="None: the detector's own"
    )
    out: str | None = Field(default="map.zarr", description="result store: path or URL")
    pre: int = Field(default=1, ge=1, description="passes before the event")
    post: int | None = Field(
        default=None, ge=1, description="passes after; None: as many as needed"
    )
    before_days: float | None = Field(
        default=None, gt=0, description="days searched before the event; None: 60 or more"
    )
    after_days: float | None = Field(
        default=None, gt=0, description="days searched after the event; None: 60 or more"
    )
    crs: str | int | None = Field(default=None, description="None: the UTM zone of the area")
    resolution: float = Field(default=10.0, gt=0, description="metres")
    overlap: int = Field(
        default=0, ge=0, description="pixels by which tiles overlap; 0: the papers' cut"
    )
    level: bool = Field(
        default=True, description="bring all passes to one level before they are compared"
    )
    threshold: float = Field(
        default=0.5, gt=0, lt=1, description="probability that makes a landslide"
    )
    min_area: float = Field(default=0.0, ge=0, description="smallest polygon kept, square metres")
    cog_dtype: Literal["uint8", "float32"] = Field(
        default="uint8", description="how the COG holds probability: in steps of 0.004, or as it is"
    )
    chunk: int | None = Field(default=None, ge=1, description="block edge in pixels; None: planned")
    engine: str = Field(default="auto", description="auto, openvino, tensorflow or keras")
    precision: str = Field(default="auto", description="auto, f32, bf16 or int8")
    dense: bool | None = Field(
        default=None,
        description="window classifiers: all windows in one pass; None: where the network can",
    )
    memory: str | float | None = Field(default=None, description="memory limit, e.g. '2.5GB'")
    products: tuple[str, ...] = Field(
        default=(),
        description="beside the store: cog, geopackage, geoparquet, geojson, flatgeobuf, kmz, "
        "points, quicklook, item",
    )
    overwrite: bool = Field(default=False, description="replace an existing result")
    resume: bool = Field(
        default=False, description="continue an unfinished result; do nothing where all is done"
    )
    strict: bool = Field(
        default=False, description="fail where data could not be read, or nothing was observed"
    )
    keep_radar: bool = Field(
        default=False, description="keep the images before and after the event in the store"
    )
    control: bool = Field(
        default=False, description="also map dates before the event, to measure false alarms"
    )

    @model_validator(mode="before")
    @classmethod
    def _others_say_it(cls, given: Any) -> Any:
        """Files say where they lie and when, an earthquake where it shook: what they say may be
        left out."""
        if isinstance(given, Mapping) and (given.get("pre_files") or given.get("post_files")):
            return {"area": None, "event": None, **given}
        if isinstance(given, Mapping) and names_quake(given.get("event")):
            return {"area": None, **given}
        return given

    @property
    def from_files(self) -> bool:
        """True where the passes are files of one's own."""
        return bool(self.pre_files or self.post_files)


@dataclass(frozen=True)
class Plan:
    """What a request will read, compute and write, known before it starts."""

    request: MapRequest = field(repr=False)
    """The request this plan serves."""
    passes: tuple[Passes, ...] = field(repr=False)
    """One entry per orbit to be mapped."""
    grid: Any
    """odc-geo GeoBox of the result."""
    detector: Mapping[str, Any] = field(repr=False)
    """Name, bands, scaling, kind, tile, stride, halo, engine and precision."""
    composite: tuple[str, ...]
    """Band names read by the detector."""
    chunk: int
    """Block edge, pixels."""
    blocks: int
    """Number of blocks."""
    tasks: int
    """Dask tasks."""
    read_bytes: int
    """Bytes of uncompressed pixels to be read."""
    write_bytes: int
    """Bytes of uncompressed pixels to be written."""
    peak_memory: int
    """Projected peak memory of the process, bytes."""
    memory_limit: int
    """Allowed peak, bytes."""
    levels: tuple[Mapping[str, Any], ...] = ()
    """Per pass its role, datetime and orbit, and what it lay above those before the event, dB by
    polarisation; empty for detectors that compare passes as they are."""
    warnings: tuple[str, ...] = ()
    """What a reader of the map should know of these decisions, one sentence each."""

    @property
    def scenes(self) -> tuple[str, ...]:
        """Ids of all radar scenes to be read."""
        return tuple(item.id for p in self.passes for one in p for item in one.items)
