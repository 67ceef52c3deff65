"""Passes in files on disk as a catalogue of their own: found, dated, put together and placed.

A file's name says what its maker knows: polarisation, instant, satellite, sometimes the track.
Files that differ in the polarisation alone are one scene, scenes of one overflight are one pass.
From here on they take the route of any catalogue's scenes: the same reader, the same map.

Names as makers write them::

    HyP3          S1A_IW_20180901T084000_DVP_RTC10_G_gpuned_1A2B_VV.tif, ..._VH.tif
    OPERA RTC-S1  OPERA_L2_RTC-S1_T137-292319-IW2_20211119T015858Z_..._S1A_30_v1.0_VV.tif
    pyroSAR       S1A__IW___A_20180901T084000_VV_gamma0-rtc.tif
    SNAP          S1A_IW_GRDH_1SDV_20180901T084000_20180901T084025_..._TC.tif (two bands)
    NISAR GCOV    NISAR_L2_PR_GCOV_024_033_A_017_4005_DHDH_A_20260628T112725_....h5 (HDF5)
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pystac
import shapely
from rasterio.crs import CRS
from shapely.geometry.base import BaseGeometry

from sarmap.acquire.area import Area, share_covered
from sarmap.acquire.files import POLARISATIONS, band_files, opened, radar_band, source_of
from sarmap.acquire.hdf5 import HDF5_ENDINGS, TAKEN, is_hdf5
from sarmap.acquire.instants import parse_event
from sarmap.acquire.pairing import SAME_PASS
from sarmap.acquire.scenes import state_at
from sarmap.errors import RequestError
from sarmap.request_file import as_path
from sarmap.types import CatalogSettings, Pass, Passes

RASTERS = (".tif", ".tiff", *HDF5_ENDINGS)
"""Endings of rasters looked for in a folder."""
_BESIDE = re.compile(
    r"(?:^|[_-])(dem|inc_map\w*|ls_map|rgb|area|mask|shape|flat\w*)$", re.IGNORECASE
)
"""Ends of the names of what makers put beside the radar: elevation, angles, masks, pictures."""
_POLARISATION = re.compile(r"(?<![A-Za-z])(vv|vh|hh|hv)(?![A-Za-z])", re.IGNORECASE)
_INSTANT = re.compile(r"(?<!\d)((?:19|20)\d{6})T(\d{6})(?!\d)")
_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})([-_]?)([01]\d)\2([0-3]\d)(?!\d)")
_SATELLITE = re.compile(r"(?<![A-Za-z0-9])S1([A-D])(?![A-Za-z0-9])")
_TRACK = re.compile(r"(?:RTC-S1_T|NISAR_L2_.._GCOV_\d{3}_)(\d{3})[-_]")
ATTRIBUTION = "Contains modified Copernicus Sentinel data."


@dataclass(frozen=True)
class OwnScene:
    """Files of one instant: a band each, or several in one."""

    name: str
    """What they share of their names; never a folder's path."""
    files: dict[str, tuple[Path, int]]
    """Polarisation -> file and one-based band."""
    after: bool
    """Given as after the event."""
    when: dt.datetime | None = None
    """UTC, as the names say; midnight where they say the day alone; None: they say nothing."""

    @property
    def satellite(self) -> str:
        """As catalogues name it; 'UNKNOWN' where the name does not say."""
        found = _SATELLITE.search(self.name)
        return f"SENTINEL-1{found[1]}" if found else "UNKNOWN"

    @property
    def track(self) -> int:
        """Relative orbit, where the name says it; else 0."""
        found = _TRACK.search(self.name)
        return int(found[1]) if found else 0

    @property
    def dated(self) -> dt.datetime:
        """When it was taken, once that is known."""
        assert self.when is not None
        return self.when


def own_scenes(
    pre: Sequence[Any], post: Sequence[Any], times: Sequence[Any] | None
) -> tuple[OwnScene, ...]:
    """The scenes in files and folders before and after the event, in order of time: dated by
    `times`, those before and then those after, or by their names.

    Raises RequestError where a file or folder cannot be read, two are one band of one scene, or a
    date is not known.
    """
    found = [
        scene
        for side, given in ((False, pre), (True, post))
        for scene in _scenes(_given(given, "post" if side else "pre"), after=side)
    ]
    if times is not None:
        if len(times) != len(found):
            raise RequestError(
                f"times has {len(times)} instants for {len(found)} passes "
                f"({', '.join(one.name for one in found)}): give one for each, those before the "
                "event first."
            )
        found = [
            replace(one, when=parse_event(when)[0]) for one, when in zip(found, times, strict=True)
        ]
    return _in_order(found)


def dated_scenes(given: Sequence[Any]) -> tuple[OwnScene, ...]:
    """The scenes in files and folders of any number of passes, dated by their names; RequestError
    as `own_scenes` raises it.
    """
    return _in_order(_scenes(radar_files(given), after=False))


def _in_order(scenes: Sequence[OwnScene]) -> tuple[OwnScene, ...]:
    """Scenes before the event and then those after it, by time; refused without a date."""
    for one in scenes:
        if one.when is None:
            raise RequestError(
                f"The name of {one.name} gives no date (such as 20180901T084000): give times= "
                "(--times), one instant for each pass, those before the event first."
            )
    return tuple(sorted(scenes, key=lambda one: (one.after, one.dated, one.name)))


def _given(given: Sequence[Any], side: str) -> list[Path]:
    """The files of one side of the event."""
    found = radar_files(given)
    if not found:
        raise RequestError(
            f"No file of a pass {'after' if side == 'post' else 'before'} the event was given: "
            f"give one with {side}_files= (--{side} FILE)."
        )
    return found


def radar_files(given: Sequence[Any]) -> list[Path]:
    """The files that are given, and the radar files of folders that are."""
    found: list[Path] = []
    for one in given:
        path = as_path(one)
        if not path.is_dir():
            found.append(path)
            continue
        inside = _images([p for p in path.rglob("*") if p.suffix.lower() in RASTERS])
        named = [p for p in inside if is_hdf5(p) or _POLARISATION.search(p.stem)]
        radar = named or [p for p in inside if not _BESIDE.search(p.stem)]
        if not radar:
            raise RequestError(
                f"Folder {path.name} holds no raster ({', '.join(RASTERS)}): give the folder or "
                "the files of the passes."
            )
        found += radar
    return found


def _images(found: Sequence[Path]) -> list[Path]:
    """Files in order, without HDF5 whose images lie beside it, and what is the same on all days."""
    beside = [p.stem for p in found if not is_hdf5(p)]
    return sorted(
        p
        for p in found
        if not is_hdf5(p)
        or not ("RTC-S1-STATIC" in p.name or any(stem.startswith(p.stem) for stem in beside))
    )


def _scenes(paths: Sequence[Path], *, after: bool) -> list[OwnScene]:
    """Files that differ in the polarisation alone, together."""
    together: dict[str, dict[str, tuple[Path, int]]] = {}
    for number, path in enumerate(paths, start=1):
        name = _name(path)
        bands = together.setdefault(name, {})
        for band, where in band_files(path, number).items():
            if band in bands:
                raise RequestError(
                    f"{bands[band][0].name} and {path.name} are both {band.upper()} of {name}: "
                    "give each once, or name the files by polarisation (_VV, _VH) and date."
                )
            bands[band] = where
    return [
        OwnScene(name, bands, after, _when(name) or _when_inside(next(iter(bands.values()))[0]))
        for name, bands in together.items()
    ]


def _name(path: Path) -> str:
    """A file's name without its polarisation; its folder's where nothing else is left.

    >>> _name(Path("a/S1A_IW_20180901T084000_DVP_RTC10_VH.tif")), _name(Path("2018-09-01/vv.tif"))
    ('S1A_IW_20180901T084000_DVP_RTC10', '2018-09-01')
    """
    bare = _POLARISATION.sub("", path.stem)
    return re.sub(r"([_-])[_-]+", r"\1", bare).strip("_- ") or path.parent.name or path.stem


def _when(name: str) -> dt.datetime | None:
    """The first instant in a name, else its first day.

    >>> str(_when("S1A_IW_GRDH_1SDV_20180901T084000_20180901T084025")), str(_when("2018-09-01"))
    ('2018-09-01 08:40:00+00:00', '2018-09-01 00:00:00+00:00')
    """
    found = _INSTANT.search(name)
    text, form = (f"{found[1]}{found[2]}", "%Y%m%d%H%M%S") if found else ("", "")
    if not found and (day := _DAY.search(name)):
        text, form = f"{day[1]}{day[3]}{day[4]}", "%Y%m%d"
    try:
        return dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC) if text else None
    except ValueError:  # 20189999: a number, no date
        return None


def _when_inside(path: Path) -> dt.datetime | None:
    """The instant that OPERA and NISAR write into a file, to the second."""
    with opened(path) as file:
        text = file.tags().get(TAKEN, "")
    try:
        return dt.datetime.fromisoformat(text[:19]).replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def own_passes(
    scenes: Sequence[OwnScene],
    area: Area,
    event: Any,
    catalog: CatalogSettings,
    *,
    pre: int | None = None,
    post: int | None = None,
) -> Passes:
    """The passes of scenes, nearest to the event first, so many before and after; None: all.

    `event` is anything `parse_event` takes; None: between the last pass before and the first after.
    Raises RequestError where passes are not on their side of the event, of two orbits, or beside
    the area.
    """
    flown = _overflights(scenes)
    before = [slices for slices in flown if not slices[0].after]
    behind = [slices for slices in flown if slices[0].after]
    span = _event(before, behind, event)
    _refuse_two_orbits(scenes, area)
    nearest = [
        *((f"pre_{n}" if n > 1 else "pre", one) for n, one in enumerate(reversed(before), 1)),
        *((f"post_{n}", one) for n, one in enumerate(behind, 1)),
    ]
    made = [_pass(role, slices, area) for role, slices in nearest]
    return Passes(
        pre=tuple(made[: len(before)][:pre]),
        post=tuple(made[len(before) :][:post]),
        catalog=catalog,
        event=span,
        simulated=any(item.properties["sarmap:simulated"] for one in made for item in one.items),
    )


def _overflights(scenes: Sequence[OwnScene]) -> list[list[OwnScene]]:
    """Scenes of one satellite within minutes, together; in order of time on each side."""
    together: list[list[OwnScene]] = []
    for one in scenes:
        last = together[-1][-1] if together else None
        near = last is not None and last.after == one.after and last.satellite == one.satellite
        if last is not None and near and one.dated - last.dated <= SAME_PASS:
            together[-1].append(one)
        else:
            together.append([one])
    return together


def _event(
    before: Sequence[Sequence[OwnScene]], behind: Sequence[Sequence[OwnScene]], event: Any
) -> tuple[dt.datetime, dt.datetime]:
    """Start and end of the event; what is given as before it ends before it starts."""
    last, first = before[-1][-1], behind[0][0]
    start, end = (last.dated, first.dated) if event is None else parse_event(event)
    for scene, wrong, side in (
        (last, event is not None and last.dated >= start, "before"),
        (first, event is not None and first.dated <= end, "after"),
        (first, first.dated <= last.dated, "after"),
    ):
        if wrong:
            other = f"{last.name} is of {_day(last.dated)}"
            known = other if event is None else f"the event is of {_day(start)}"
            raise RequestError(
                f"{scene.name} ({_day(scene.dated)}) was given as {side} the event, and {known}: "
                "check the dates (--times), the event, and which files are before and after it."
            )
    return start, end


def _refuse_two_orbits(scenes: Sequence[OwnScene], area: Area) -> None:
    """A change shows only between passes that look from one side."""
    known: dict[str, OwnScene] = {}
    for one in scenes:
        if state := _orbit_state(one, area.centre[0]):
            known.setdefault(f"{state} (by the hour of the pass)", one)
    tracks = {f"of relative orbit {one.track}": one for one in scenes if one.track}
    for several in (known, tracks):
        if len(several) > 1:
            said = [f"{scene.name} is {orbit}" for orbit, scene in several.items()]
            raise RequestError(
                f"{' and '.join(said)}: a change shows only between passes of one orbit; map each "
                "orbit by itself."
            )


def _orbit_state(scene: OwnScene, longitude: float) -> str:
    """'ascending' or 'descending'; empty where satellite or hour is not known."""
    if scene.satellite == "UNKNOWN" or scene.dated.time() == dt.time():
        return ""
    return state_at(longitude, scene.dated)


def _pass(role: str, slices: Sequence[OwnScene], area: Area) -> Pass:
    items = [_item(one) for one in slices]
    footprints = [shapely.geometry.shape(item.geometry) for item in items]
    coverage = share_covered(area.geometry, footprints)
    if coverage == 0:
        raise RequestError(
            f"{slices[0].name} does not meet the place to be mapped ({area}): give files of one "
            "place, or another area."
        )
    first = slices[0]
    state = _orbit_state(first, area.centre[0])
    return Pass(
        role, first.dated, state, first.track, first.satellite, tuple(items), round(coverage, 6)
    )


def _item(scene: OwnScene) -> pystac.Item:
    """A scene as a STAC item whose assets are its bands."""
    shape = footprint(scene)
    path, _ = next(iter(scene.files.values()))
    with opened(path) as file:
        tags = file.tags()
    simulated = tags.get("SIMULATED") == "YES"
    radar = radar_band(scene.name, path)
    item = pystac.Item(
        scene.name,
        dict(shapely.geometry.mapping(shape)),
        list(shape.bounds),
        scene.dated,
        {"platform": scene.satellite, "sarmap:simulated": simulated}
        | ({"sar:frequency_band": radar} if radar != "C" else {}),
    )
    for band in (one for one in POLARISATIONS if one in scene.files):
        path, number = scene.files[band]
        bands = [{"name": band if n == number else f"{n}"} for n in range(1, number + 1)]
        item.add_asset(band, pystac.Asset(str(path.resolve()), extra_fields={"bands": bands}))
    return item


def footprint(scene: OwnScene) -> BaseGeometry:
    """Extent of a scene's first file, degrees."""
    band, (path, number) = next(iter(scene.files.items()))
    bounds = source_of(path, number, band).bounds_in(CRS.from_epsg(4326))
    if bounds is None:
        raise RequestError(f"{path.name} lies nowhere in degrees: check its projection.")
    return shapely.box(*bounds)


def _day(when: dt.datetime) -> str:
    return f"{when:%Y-%m-%d}"
