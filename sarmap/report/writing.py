"""`sarmap report`: a finished map as a page, made in one pass over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sarmap.errors import CatalogError, RequestError
from sarmap.report.cells import LOWEST, Cells, Histogram, SeenGrid
from sarmap.report.downloads import Download, write_downloads
from sarmap.report.exposure import Places
from sarmap.report.facts import (
    attribution_words,
    card_of,
    facts_of,
    heading_words,
    place_words,
    scene_rows,
    unseen_words,
)
from sarmap.report.folder import Place, is_single, opened
from sarmap.report.interval import AreaInterval, from_assessment, from_control, from_threshold
from sarmap.report.pyramid import TILE, Pyramid, levels_of, reopen_radar, shown_bands
from sarmap.report.shell import Shell
from sarmap.report.strips import Source, open_source, stretch_of
from sarmap.request_file import as_path
from sarmap.store.encoding import PROBABILITY_STEP, threshold_level
from sarmap.store.provenance import settings_of
from sarmap.store.reading import with_edges
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame

LARGEST_FILE = 20_000_000
"""Pixels of a map that still goes into one file."""
_THREADS = 4
_LATTICE = 5000.0
"""Metres between corners of the page's lattice of degrees: between them, straight to 0.5 m."""


@dataclass(frozen=True)
class Report:
    """A page that was written."""

    path: str
    """Folder, or the one file."""
    index: str
    """What to open in a browser."""
    bytes: int
    """Size of all its files."""
    tiles: int
    """Tiles of all zoom levels."""
    seconds: float
    """Wall time."""
    landslides: int
    """Polygons of the downloads."""
    mapped_km2: float
    """Their area."""
    missing: tuple[str, ...]
    """What the page could not show, a sentence each."""


def write_report(
    source: xr.Dataset | Source | str | Path,
    out: str | Path,
    *,
    threshold: float | None = None,
    min_area: float | None = None,
    districts: str | Path | None = None,
    district_name: str | None = None,
    exposure: Sequence[str | Path] = (),
    background: Sequence[str | Path] = (),
    assessment: str | Path | None = None,
    catalog: Any = None,
    title: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Write a finished map as a page that opens offline in any browser.

    The map is read once, in strips of rows, so that memory does not grow with it.

    Parameters
    ----------
    source
        A finished map: path or URL of its store (the fastest), or a Dataset. A scan is shown by
        `Scan.write_report`.
    out
        Folder; or a file ending in ``.html``, which then holds everything (maps of up to 20 Mpx).
    threshold, min_area
        Probability, and smallest landslide in square metres, that the page starts with and the
        downloads are made at; None: those that the map was asked with.
    districts, district_name
        Polygons of any vector file to count landslides by, and the column that names them.
    exposure
        Vector files of roads, buildings or anything else that may have been touched.
    background
        Vector files of a coast, roads or rivers to be drawn below the landslides.
    assessment
        Folder that `sarmap assess --out` wrote: the area gets the interval that follows from it.
    catalog
        Where the map's scenes are, to read the radar again for a map that keeps none (see
        ``keep_radar`` of `sarmap.MapRequest`); None: such a page has no radar, and says so.
    title
        Heading; None: made from the name and the event.
    overwrite
        Replace an earlier page.
    progress
        Called with the strips done and all strips.

    Raises
    ------
    RequestError
        There is no finished map, an argument or a file is wrong, or `out` is taken.
    OutputError
        The page cannot be written.
    """
    started = time.perf_counter()
    place = as_path(out).absolute()
    made, missing = _opened(source, catalog)
    if is_single(place) and np.prod(made.shape) > LARGEST_FILE:
        raise RequestError(
            f"The map has {np.prod(made.shape) / 1e6:,.0f} Mpx, too many for one file (up to "
            f"{LARGEST_FILE / 1e6:.0f}): give --out a folder."
        )
    asked = settings_of(made.reader.attrs)
    chosen = asked[0] if threshold is None else threshold
    smallest = asked[1] if min_area is None else min_area
    lowest = min(LOWEST, threshold_level(chosen))
    if smallest < 0:
        raise RequestError(f"min_area={smallest:g} must not be negative.")
    places = Places.opened(made.reader.grid, lowest, districts, district_name, exposure, background)
    interval = None if assessment is None else from_assessment(assessment)
    with opened(place, overwrite=overwrite) as (page, scratch):
        survey = _survey(made, page, places, lowest, progress)
        page.data("cells", survey.cells.record())
        page.data("places", places.record())
        interval = interval or _own_interval(source, made, survey, chosen)
        page.data("page", _record(made, survey, chosen, smallest, interval, bool(places)))
        frame = made.landslides(chosen, smallest)
        if survey.cells.level > lowest:
            missing.append(_too_many(survey.cells, chosen, frame))
        files = write_downloads(made, frame, scratch, chosen, smallest)
        shell = _shell(made, survey, missing, files, title)
        page.finish(shell, {one.name: one for one in files}, scratch)
    index = place if is_single(place) else place / "index.html"
    size = sum(file.stat().st_size for file in _files(place))
    return Report(
        str(place),
        str(index),
        size,
        len(survey.tiles),
        time.perf_counter() - started,
        len(frame),
        float(frame["area_m2"].sum()) / 1e6,
        tuple(missing),
    )


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else [one for one in place.rglob("*") if one.is_file()]


def _opened(source: xr.Dataset | Source | str | Path, catalog: Any) -> tuple[Source, list[str]]:
    """The map with its radar, and what is missing of it in sentences."""
    made = open_source(source)
    notes = list(made.notes)
    wanted = shown_bands(made.reader)
    lacking = [band for band in wanted if band not in made.radar]
    if not lacking:
        return made, notes if made.radar else [*notes, _NO_RADAR_READ]
    names = " and ".join("before" if "pre" in one else "after" for one in lacking)
    if catalog is None:
        return made, [
            *notes,
            f"The radar {names} the event is not shown: this map keeps no images of it.",
        ]
    try:
        return open_source(source, reopen_radar(made.reader, catalog)), notes
    except (CatalogError, RequestError) as error:
        return made, [*notes, f"The radar {names} the event is not shown: {error}"]


_NO_RADAR_READ = "The radar is not shown: the map does not say which bands its detector read."


@dataclass(frozen=True)
class _Survey:
    """What one pass over the map found."""

    cells: Cells
    histogram: Histogram
    seen: SeenGrid
    tiles: set[str]
    levels: int


def _survey(
    made: Source,
    page: Place,
    places: Places,
    lowest: int,
    progress: Callable[[int, int], None] | None,
) -> _Survey:
    """Read the map once: tiles, likely pixels and all counts."""
    height, width = made.shape
    edge = max(round(1000 / made.pixel_area**0.5), 1)
    cells, histogram, seen = Cells(width, lowest), Histogram(), SeenGrid(made.shape, edge)
    with ThreadPoolExecutor(_THREADS) as pool:
        pyramid = Pyramid(made.shape, stretch_of(made), page.tile, page.image, pool)
        for number, (rows, near) in enumerate(with_edges(made.strips(TILE)), start=1):
            pyramid.add(rows)
            histogram.add(rows)
            seen.add(rows)
            cells.add(rows, near, places.districts.add(rows) if places.districts else None)
            for thing in places.exposure:
                thing.add(rows)
            if progress is not None:
                progress(number, -(-height // TILE))
        pyramid.finish()
    cells.settle()
    return _Survey(cells, histogram, seen, pyramid.written, pyramid.levels)


def _own_interval(
    source: xr.Dataset | Source | str | Path, made: Source, survey: _Survey, threshold: float
) -> AreaInterval:
    """What the map itself tells of its area: by its control where it has one."""
    if "control_probability" not in made.reader.layers or not survey.histogram.control.any():
        return from_threshold(survey.histogram.probability)
    from sarmap.assess.control import read_control

    whole = made.reader if isinstance(source, Source) else source
    figures = read_control(whole, threshold=threshold)
    return from_control(figures, survey.histogram.probability, survey.histogram.control)


def _too_many(cells: Cells, threshold: float, frame: GeoDataFrame) -> str:
    """Why the slider does not go as low as it might, and what there is at the map's threshold."""
    why = (
        f"The slider starts at probability {cells.level * PROBABILITY_STEP:g}: at lower thresholds "
        f"the map has more than {cells.most:,} pixels of landslide."
    )
    if cells.level <= threshold_level(threshold):
        return why
    area = frame["area_m2"].sum() / 1e6
    return (
        f"{why} At its own threshold, {threshold:g}, it has {len(frame):,} landslides and "
        f"{area:,.2f} km²: they are in the downloads."
    )


def _record(
    made: Source,
    survey: _Survey,
    threshold: float,
    min_area: float,
    interval: AreaInterval,
    places: bool,
) -> dict[str, Any]:
    """What the page's script must know before anything else."""
    rows, columns = made.shape
    metres = made.pixel_area**0.5
    counted = survey.histogram.probability
    return {
        "name": made.name,
        "rows": rows,
        "columns": columns,
        "tile": TILE,
        "levels": survey.levels,
        "metres": metres,
        "pixelArea": made.pixel_area,
        "simulated": made.made.simulated,
        "threshold": max(threshold_level(threshold), survey.cells.level),
        "lowest": survey.cells.level,
        "minArea": min_area,
        "radar": list(made.radar),
        "tiles": _index(survey.tiles, made.shape, ["value", *made.radar]),
        "histogram": counted.tolist(),
        "observation": survey.histogram.observation.tolist(),
        "lonlat": _lonlat(made),
        "interval": interval.record(),
        "grid": survey.seen.record(survey.seen.edge * metres / 1000),
        "hasSlope": "slope" in made.reader.layers,
        "places": places,
    }


def _index(
    written: set[str], shape: tuple[int, int], layers: Sequence[str]
) -> dict[str, list[str]]:
    """Which tiles are there: per layer and level, one 0 or 1 for each, row by row."""
    index: dict[str, list[str]] = {}
    for layer in layers:
        index[layer] = []
        for level in range(levels_of(*shape)):
            shrink = TILE << (levels_of(*shape) - 1 - level)
            down, across = -(-shape[0] // shrink), -(-shape[1] // shrink)
            index[layer].append(
                "".join(
                    str(int(f"{layer}/{level}/{row}/{column}" in written))
                    for row in range(down)
                    for column in range(across)
                )
            )
    return index


def _lonlat(made: Source) -> dict[str, Any]:
    """Longitude and latitude of a coarse lattice over the map, for the pointer's place."""
    from pyproj import Transformer

    grid = made.reader.grid
    assert grid.crs is not None
    rows, columns = made.shape
    number = min(max(round(max(rows, columns) * made.pixel_area**0.5 / _LATTICE) + 1, 33), 257)
    across, down = np.linspace(0, columns, number), np.linspace(0, rows, number)
    column, row = np.meshgrid(across, down)
    x = grid.transform.c + column * grid.transform.a
    y = grid.transform.f + row * grid.transform.e
    move = Transformer.from_crs(grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    lon, lat = move.transform(x.ravel(), y.ravel())
    return {
        "number": number,
        "lon": [round(float(value), 6) for value in lon],
        "lat": [round(float(value), 6) for value in lat],
    }


def _shell(
    made: Source,
    survey: _Survey,
    missing: Sequence[str],
    files: Sequence[Download],
    title: str | None,
) -> Shell:
    """The page's words."""
    card, model = card_of(made)
    counts: Mapping[Observation, int] = {
        code: int(survey.histogram.observation[code]) for code in Observation
    }
    return Shell(
        title=title or heading_words(made.made),
        place=place_words(made),
        simulated=made.made.simulated,
        attribution=attribution_words(made.made),
        passes=_passes(made),
        missing=missing,
        scenes=scene_rows(made.made),
        card=card,
        model=model,
        facts=facts_of(made),
        seen=unseen_words(counts),
        downloads=files,
        version=f"sarmap {made.made.version}".strip(),
        addresses={},
    )


def _passes(made: Source) -> str:
    """When the radar passed, before and after."""
    parts = []
    for role, word in (("pre", "before"), ("post", "after")):
        days = dict.fromkeys(f"{time:%d %b %Y}" for time in made.made.times(role))
        if days:
            parts.append(f"{word}: {', '.join(days)}")
    return f"Sentinel-1 radar {'; '.join(parts)}" if parts else "Sentinel-1 radar"
