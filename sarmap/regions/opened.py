"""A scan opened for reading: its maps, a picture of it, and its pages that open offline.

There is a page for each zone, and a first page where there are several. A zone is one
grid, as a map is, so its page is a map's page. Units are read where they lie: nothing is put
together first, and memory does not grow with the region.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError
from sarmap.export.polygons import pixel_area
from sarmap.export.vector_files import write_frame
from sarmap.regions.merging import landslides, outlined
from sarmap.regions.mosaic import Mosaic, ZoneMap, read_mosaic
from sarmap.regions.picture import draw_overview, overview_of, plot_scan
from sarmap.regions.scan_folder import Folder, State
from sarmap.regions.scan_record import places_of
from sarmap.regions.unit_map import PICTURE as PIXELS
from sarmap.report.downloads import Download
from sarmap.report.facts import attribution_words, heading_words
from sarmap.report.features import NothingHereError, read_vectors
from sarmap.report.folder import is_single, opened
from sarmap.report.shell import PICTURE, Start, ZoneRow, write_start
from sarmap.report.strips import Source
from sarmap.report.writing import Report, write_report
from sarmap.request_file import as_path
from sarmap.store.provenance import Provenance
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame

_RADAR = "_db"
MOST_FAILURES = 5
"""Failed units that a page tells of one by one."""


def write_scan_report(
    scan: Mosaic,
    out: str | Path,
    *,
    threshold: float | None = None,
    min_area: float | None = None,
    **options: Any,
) -> Report:
    """Write all mapped units of a scan, finished or not, as a page; what is not mapped yet reads as
    *no data*.

    `out` is a folder; of a scan in one UTM zone also a file ending in ``.html``. With several zones
    there is a page in a folder for each, and a first page, the `index` of what is returned, that
    leads to them. `threshold` and `min_area` (None: the scan's own) and all other options are those
    of `sarmap.report.writing.write_report`; where there are several zones, one that no feature of
    ``districts``, ``exposure`` or ``background`` touches does without.

    Raises RequestError where nothing is mapped yet, an argument is wrong, or `out` is taken;
    OutputError where pages cannot be written, or the scan's store does not answer.
    """
    if not scan.zones:
        raise RequestError("No unit of this scan is mapped yet, so there is nothing to show.")
    asked = options | {
        "threshold": scan.record["threshold"] if threshold is None else threshold,
        "min_area": scan.record["min_area"] if min_area is None else min_area,
    }
    if len(scan.zones) == 1:
        (zone,) = scan.zones.values()
        return write_report(_source(scan, zone), out, **asked)
    place = as_path(out).absolute()
    if is_single(place):
        raise RequestError(
            f"The scan lies in {len(scan.zones)} UTM zones, and each has a page: give --out a "
            "folder."
        )
    return _write_zones(scan, place, asked)


def _write_zones(scan: Mosaic, place: Path, asked: dict[str, Any]) -> Report:
    """A page for each zone in a folder of its own, and the first page."""
    started = time.perf_counter()
    heading = asked.pop("title", None) or heading_words(_provenance(scan))
    overwrite = asked.pop("overwrite", False)
    files = _touching(
        scan, {name: asked.pop(name, ()) for name in ("districts", "exposure", "background")}
    )
    with opened(place, overwrite=overwrite) as (_, scratch):
        root = scratch.parent
        pages = {
            name: write_report(
                _source(scan, zone),
                root / name,
                title=f"{heading}, zone {name}",
                **asked,
                **files[name],
            )
            for name, zone in scan.zones.items()
        }
        frame, gaps = outlined(scan, threshold=asked["threshold"], min_area=asked["min_area"])
        write_start(root, _start(scan, pages, frame, heading, _merged(scan, frame, gaps, scratch)))
        draw_overview(scan, root / PICTURE)
    return Report(
        str(place),
        str(place / "index.html"),
        sum(file.stat().st_size for file in place.rglob("*") if file.is_file()),
        sum(one.tiles for one in pages.values()),
        time.perf_counter() - started,
        len(frame),
        float(frame["area_m2"].sum()) / 1e6,
        tuple(dict.fromkeys(sentence for one in pages.values() for sentence in one.missing)),
    )


def _provenance(scan: Mosaic) -> Provenance:
    """How the scan was pages: event, owners and SIMULATED are the same in all its zones."""
    return next(iter(scan.zones.values())).reader().provenance


def _source(scan: Mosaic, zone: ZoneMap) -> Source:
    """A zone as the page of a map reads one."""
    alone = replace(
        scan,
        record={**scan.record, "zones": {zone.zone: scan.record["zones"][zone.zone]}},
        zones={zone.zone: zone},
    )
    radar = [name for name in zone.layers if name.startswith(("vv_", "vh_"))]
    return Source(
        reader=zone.reader(),
        radar={
            name.removesuffix(_RADAR): zone.canvas(name)
            for name in sorted(radar, key=lambda name: ("_pre" not in name, name))
        },
        name=zone.zone if len(scan.zones) > 1 else Path(scan.path).name,
        notes=_unfinished(scan),
        outlined=lambda threshold, min_area: landslides(
            alone, threshold=threshold, min_area=min_area
        ),
    )


def _unfinished(scan: Mosaic) -> tuple[str, ...]:
    """That some of the region is not mapped, where that is so."""
    counts = _counted(scan)
    left = {status: counts[status] for status in _WORDS if counts[status]}
    if not left:
        return ()
    words = ", ".join(f"{number} {_WORDS[status]}" for status, number in left.items())
    places = places_of(scan.record)
    failed = [
        f"The unit at {places[name]} failed: {state.sentence}"
        for name, state in scan.states.items()
        if state.status == "failed"
    ]
    return (
        f"This scan is not whole: of {sum(counts.values())} units {words}. They are shown as "
        "ground without data, which is not ground without landslides.",
        *failed[:MOST_FAILURES],
    )


_WORDS = {"waiting": "still to come", "running": "at work", "failed": "failed"}


def _counted(scan: Mosaic) -> Counter[str]:
    """Units of the whole region by what became of them."""
    return Counter(scan.states.get(name, State()).status for name in scan.record["units"])


def _touching(scan: Mosaic, files: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each zone the vector files, by argument, that have something in it."""
    single = {name for name, given in files.items() if isinstance(given, str | Path)}
    given = [
        (name, file)
        for name, many in files.items()
        for file in ([many] if name in single else many or ())
    ]
    held: dict[str, dict[str, Any]] = {}
    found: set[tuple[str, str]] = set()
    for zone_name, zone in scan.zones.items():
        held[zone_name] = {name: None if name == "districts" else [] for name in files}
        for name, file in given:
            try:
                read_vectors(file, zone.grid, f"--{name}")
            except NothingHereError:
                continue
            found.add((name, str(file)))
            if name == "districts":
                held[zone_name][name] = file
            else:
                held[zone_name][name].append(file)
    for name, file in given:
        if (name, str(file)) not in found:
            raise NothingHereError(
                f"--{name} {Path(file).name!r} has no feature in any zone: is it of this place?"
            )
    return held


def _merged(scan: Mosaic, frame: GeoDataFrame, gaps: GeoDataFrame, folder: Path) -> list[Download]:
    """The landslides of all zones as files, one that crosses zones once."""
    folder.mkdir(parents=True, exist_ok=True)
    note = "landslides of all zones in degrees, each once"
    kinds = {
        ".gpkg": ("GeoPackage", f"{note}, for QGIS and ArcGIS", "application/geopackage+sqlite3"),
        ".parquet": ("GeoParquet", f"{note}, for data frames", "application/vnd.apache.parquet"),
    }
    pages = []
    for ending, (name, words, media) in kinds.items():
        file = folder / f"{Path(scan.path).name}{ending}"
        write_frame(frame, file, layer="landslides", kind="MultiPolygon", overwrite=True, gaps=gaps)
        pages.append(Download(file.name, name, words, media, file.stat().st_size))
    return pages


def _start(
    scan: Mosaic,
    pages: Mapping[str, Report],
    frame: GeoDataFrame,
    heading: str,
    downloads: Sequence[Download],
) -> Start:
    """The words of the first page."""
    counts = _counted(scan)
    mapped = counts["done"] + counts["unread"]
    return Start(
        title=heading,
        units=f"{mapped} of {sum(counts.values())} units mapped, in {len(scan.zones)} UTM zones",
        simulated=scan.simulated,
        attribution=attribution_words(_provenance(scan)),
        missing=_unfinished(scan),
        zones=[
            ZoneRow(name, one.landslides, one.mapped_km2, _seen_km2(scan.zones[name], scan))
            for name, one in pages.items()
        ],
        landslides=len(frame),
        mapped_km2=float(frame["area_m2"].sum()) / 1e6,
        downloads=downloads,
        version=f"sarmap {scan.record['sarmap:version']}",
    )


def _seen_km2(zone: ZoneMap, scan: Mosaic) -> float:
    observed = str(Observation.OBSERVED.meaning)
    pixels = sum(scan.states[unit.name].observation.get(observed, 0) for unit in zone.placed)
    return pixels * pixel_area(zone.grid) / 1e6


class Scan(Mosaic):
    """A scan, finished or under way, opened for reading."""

    def overview(self, size: int = PIXELS) -> xr.Dataset:
        """The whole scan across its zones in longitude and latitude, at low resolution.

        Parameters
        ----------
        size
            Pixels along its longer edge.

        Returns
        -------
        Dataset (latitude, longitude), float32 of `probability`, the greatest under each pixel, NaN
        where nothing was seen; `landslide`, the share of what was seen that reaches the scan's
        threshold; and `observed`, the share that was seen, NaN where nothing is mapped. Longitudes
        run past 180 where the scan lies across the antimeridian.
        """
        return overview_of(self, size)

    def write_report(self, out: str | Path, **options: Any) -> Report:
        """All that is mapped as a page that opens offline, what is not yet as *no data*.

        A scan in several UTM zones gets a page for each, in a folder of its own, and a first page.

        Parameters
        ----------
        out
            Folder; of a scan in one zone also a file ending in ``.html``.
        options
            As of `sarmap.report.writing.write_report`.

        Raises
        ------
        RequestError
            Nothing is mapped yet, an argument is wrong, or `out` is taken.
        OutputError
            The pages cannot be written, or the store does not answer.
        """
        return write_scan_report(self, out, **options)

    def plot(self, **options: Any) -> Any:
        """The scan at a glance; see `sarmap.regions.picture.plot_scan`."""
        return plot_scan(self, **options)


def open_scan(path: str | Path) -> Scan:
    """Open a scan, finished or not, from its folder or URL.

    Raises
    ------
    RequestError
        No scan is there.
    OutputError
        The store does not answer.
    """
    return Scan(**vars(read_mosaic(Folder(path))))
