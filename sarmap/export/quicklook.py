"""One picture of a map: radar before and after, the landslides on it, and their probability.

Left the whole map in false colour (the pass before the event is red, the one after it cyan), in the
middle its probability (and, for a map fused from several orbits, their disagreement), right a close
look at the busiest square, with and without the outlines.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.draw.colours import (
    AT_EDGE,
    BLUE,
    UNSEEN,
    WARNING,
    YELLOW,
    display_bands,
    draw_probability,
    hatched,
)
from sarmap.draw.panels import (
    Extent,
    Image,
    at_edge,
    busiest_square,
    draw_image,
    draw_outlines,
    extent_of,
    furnish,
    mark_simulated,
    mark_square,
    radar_image,
)
from sarmap.draw.shrink import MAX_SIZE, Decimated, decimate
from sarmap.errors import RequestError
from sarmap.export.control_words import described
from sarmap.export.polygons import polygonise
from sarmap.store.delivery import check_file, replacing
from sarmap.store.encoding import FILL, threshold_level, unpack_probability
from sarmap.store.provenance import Provenance
from sarmap.store.reading import MapReader, open_reader
from sarmap.vectors import read_vector

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame

LINE = 110
"""Characters of a line under the title."""

_DPI = 150


@dataclass(frozen=True)
class _Picture:
    """All that a figure shows."""

    reader: MapReader
    small: Decimated
    radar: Image | None
    bands: tuple[str, ...]
    unseen: Image
    polygons: GeoDataFrame
    threshold: float
    whole: Extent
    square: Extent | None

    @property
    def made(self) -> Provenance:
        return self.reader.provenance


def write_quicklook(
    source: xr.Dataset | str | Path,
    out: str | Path,
    *,
    overview: xr.DataArray | None = None,
    polygons: GeoDataFrame | str | Path | None = None,
    threshold: float = 0.5,
    overwrite: bool = False,
) -> str:
    """Draw a map, stored (the fastest) or a Dataset, as a PNG; returns the file.

    `overview` is the radar picture that `composite_overview` made, best already computed;
    `polygons` are landslides, or their file, to be outlined, None makes them at `threshold`, from
    which a pixel is landslide. Raises RequestError where the file exists, has another ending, or
    `source` is no map; OutputError where it cannot be written.
    """
    file = Path(out).expanduser()
    if file.suffix.lower() != ".png":
        raise RequestError(f"{file.name} must end in .png.")
    check_file(file, overwrite=overwrite)
    reader = open_reader(source, "disagreement")
    outlines = _outlines(source, polygons, threshold)
    small, whole = decimate(reader, MAX_SIZE), extent_of(reader.grid)
    level = threshold_level(threshold)
    hits = (small.probability >= level) & (small.probability != FILL)
    picture = _Picture(
        reader=reader,
        small=small,
        radar=None if overview is None else radar_image(overview),
        bands=() if overview is None else display_bands(overview["band"].values.tolist()),
        unseen=Image(hatched(small.observation), whole),
        polygons=outlines,
        threshold=threshold,
        whole=whole,
        square=busiest_square(hits, whole),
    )
    figure = _draw(picture)
    with replacing(file, overwrite=overwrite) as fresh:
        # Level 6, the default, takes three times as long for speckle and saves a twentieth.
        options = {"compress_level": 2}
        metadata = _metadata(picture.made)
        figure.savefig(fresh, dpi=_DPI, metadata=metadata, pil_kwargs=options)
    return str(file)


def _outlines(
    source: xr.Dataset | str | Path, polygons: GeoDataFrame | str | Path | None, threshold: float
) -> GeoDataFrame:
    if polygons is None:
        return polygonise(source, threshold=threshold)
    if not isinstance(polygons, str | Path):
        return polygons
    return read_vector(Path(polygons), "polygons=")


def _draw(picture: _Picture) -> Any:
    """The whole figure, panel by panel."""
    figure, panels = _layout(picture)
    if picture.radar is not None:
        _radar(panels["radar"], picture.radar, picture)
    _probability(figure, panels, picture)
    if picture.small.disagreement is not None:
        _disagreement(panels["disagreement"], picture, picture.small.disagreement)
    if picture.radar is not None and picture.square is not None:
        _close_look(panels, picture.radar, picture, picture.square)
    _legends(panels, picture)
    _title(figure, picture.made)
    if picture.made.simulated:
        for name, panel in panels.items():
            if name != "scale":
                mark_simulated(panel, 30 if name.startswith("close") else 44)
    return figure


def _layout(picture: _Picture) -> tuple[Any, dict[str, Any]]:
    """A figure whose panels keep the map's shape; inches are turned into figure shares."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole = picture.whole
    scale = min(9.0 / whole.height, 7.5 / whole.width)
    width, height = max(whole.width * scale, 3.0), max(whole.height * scale, 3.0)
    left, gap, bottom, top = 0.85, 0.45, 1.75, 0.73 + 0.21 * _lines(picture.made)
    shown = {
        "radar": picture.radar is not None,
        "disagreement": picture.small.disagreement is not None,
        "probability": True,
    }
    names = [name for name, wanted in shown.items() if wanted]
    places = {
        name: (left + number * (width + gap), bottom, width, height)
        for number, name in enumerate(names)
    }
    edge = left + len(names) * (width + gap) - gap
    places["scale"] = (edge + 0.15, bottom, 0.18, height)
    full = edge + 1.15
    if picture.radar is not None and picture.square is not None:
        side = (height - 0.35) / 2
        places["close"] = (edge + 1.2, bottom + side + 0.35, side, side)
        places["close_outlined"] = (edge + 1.2, bottom, side, side)
        full = edge + 1.2 + side + 0.3
    size = (full, bottom + height + top)
    figure = Figure(figsize=size, facecolor="white")
    FigureCanvasAgg(figure)
    panels = {
        name: figure.add_axes((x / size[0], y / size[1], w / size[0], h / size[1]))
        for name, (x, y, w, h) in places.items()
    }
    return figure, panels


def _furnish(panel: Any, picture: _Picture, ticks: str) -> None:
    furnish(panel, picture.whole, picture.reader.grid.crs, ticks=ticks, aspect="auto")


def _radar(panel: Any, radar: Image, picture: _Picture) -> None:
    draw_image(panel, radar, smooth=True)
    draw_image(panel, picture.unseen)
    draw_outlines(panel, picture.polygons, YELLOW, 0.4)
    panel.set_title("radar before and after, landslides outlined", fontsize=9)
    if picture.square is not None:
        mark_square(panel, picture.square)
    _furnish(panel, picture, "both")


def _probability(figure: Any, panels: Mapping[str, Any], picture: _Picture) -> None:
    panel = panels["probability"]
    image = _draw_packed(panel, picture.small.probability, picture.whole)
    draw_image(panel, picture.unseen)
    panel.set_title("landslide probability", fontsize=9)
    alone = picture.radar is None
    if alone:
        draw_outlines(panel, picture.polygons, BLUE, 0.8)
    elif picture.square is not None:
        mark_square(panel, picture.square)
    leftmost = alone and "disagreement" not in panels
    _furnish(panel, picture, "both" if leftmost else "x")
    bar = figure.colorbar(image, cax=panels["scale"], ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.axhline(picture.threshold, color="white", linewidth=1.5)
    bar.set_label("probability", fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _draw_packed(panel: Any, packed: NDArray[np.uint8], whole: Extent) -> Any:
    return draw_probability(panel, unpack_probability(packed), extent=whole.edges)


def _disagreement(panel: Any, picture: _Picture, packed: NDArray[np.uint8]) -> None:
    _draw_packed(panel, packed, picture.whole)
    draw_image(panel, picture.unseen)
    panel.set_title("disagreement: highest less lowest of the orbits", fontsize=9)
    ticks = "both" if picture.radar is None else "x"
    _furnish(panel, picture, ticks)


def _close_look(panels: Mapping[str, Any], radar: Image, picture: _Picture, square: Extent) -> None:
    for name in ("close", "close_outlined"):
        panel = panels[name]
        draw_image(panel, radar.part(square), smooth=True)
        draw_image(panel, picture.unseen.part(square))
        furnish(panel, square, picture.reader.grid.crs, ticks="none", aspect="auto")
    near = picture.polygons.cx[square.west : square.east, square.south : square.north]
    draw_outlines(panels["close_outlined"], near, "black", 2.0)
    draw_outlines(panels["close_outlined"], near, YELLOW, 1.1)
    panels["close"].set_title("the marked square", fontsize=9)
    panels["close_outlined"].set_title("the same with the landslides mapped", fontsize=9)


def _legends(panels: Mapping[str, Any], picture: _Picture) -> None:
    """Under each panel, what its colours mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    polygons = picture.polygons
    area = float(polygons["area_m2"].sum()) / 1e6 if "area_m2" in polygons else 0.0
    label = f"{len(polygons):,} landslides at probability ≥ {picture.threshold:g}, {area:.2f} km²"
    unseen: list[Any] = [
        Patch(facecolor=ground, edgecolor=line, hatch=hatch, label=f"not seen: {name}")
        for code, (ground, line, hatch, name) in UNSEEN.items()
        if (picture.small.observation == code).any()
    ]
    colour = BLUE if picture.radar is None else "#d6b800"
    outlines = [Line2D([], [], color=colour, linewidth=1.8, label=label)]
    if count := int(at_edge(polygons).sum()):
        label = f"{count:,} of them at the edge of what was seen, where many are false"
        outlines.append(Line2D([], [], color=AT_EDGE, linewidth=1.8, label=label))
    place = {"loc": "upper left", "fontsize": 8.5, "frameon": False, "borderaxespad": 0.0}
    panel = panels["probability"]
    inches = panel.get_position().height * panel.figure.get_size_inches()[1]
    place["bbox_to_anchor"] = (0, -0.55 / inches)
    if picture.radar is None:
        panels["probability"].legend(handles=[*outlines, *unseen], **place)
        return
    panels["radar"].legend(handles=[*outlines, *_band_handles(picture.bands)], **place)
    if unseen:
        panels["probability"].legend(handles=unseen, **place)


def _band_handles(shown: tuple[str, ...]) -> list[Any]:
    from matplotlib.patches import Patch

    if len(shown) == 1 or shown[0] == "red":
        name = shown[0].replace("_", " ") if len(shown) == 1 else "red, green, blue"
        return [Patch(facecolor="#7f7f7f", label=name)]
    polarisation = shown[0].split("_")[0].upper()
    return [
        Patch(facecolor="#e02020", label=f"{polarisation} brighter before the event"),
        Patch(facecolor="#20c8c8", label=f"{polarisation} brighter after the event"),
    ]


def _span(start: dt.datetime, end: dt.datetime) -> str:
    """An instant, or both ends of an interval."""
    texts = [f"{moment:%Y-%m-%d %H:%M}" for moment in (start, end)]
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def _title(figure: Any, made: Provenance) -> None:
    """Headline, the lines of sources, and the owners' notice at the foot."""
    height = figure.get_size_inches()[1]
    word = "SIMULATED landslide map" if made.simulated else "Landslide map"
    at = f" of {textwrap.shorten(made.name, 40)}" if made.name else ""
    when = f", event of {_span(*made.event)} UTC" if made.event else ""
    middle = {"ha": "center", "va": "center"}
    colour = WARNING if made.simulated else "black"
    headline = {"fontsize": 14, "fontweight": "bold", "color": colour}
    figure.text(0.5, 1 - 0.32 / height, word + at + when, **headline, **middle)
    for number, line in enumerate(_source_lines(made)):
        colour = WARNING if line in _doubt_lines(made) else "black"
        at = 1 - (0.62 + 0.21 * number) / height
        figure.text(0.5, at, line, fontsize=9, color=colour, **middle)
    maker = f"sarmap {made.version}".strip()
    foot = f"{made.attribution}  ·  {maker}" if made.attribution else maker
    figure.text(0.5, 0.14 / height, foot, fontsize=7.5, color="#404040", wrap=True, **middle)


def _source_lines(made: Provenance) -> list[str]:
    """'Sentinel-1 ascending, relative orbit 68: before 2018-09-01, after ...', and the detector."""
    tracks = ", ".join(map(str, made.relative_orbits))
    days = [
        ", ".join(dict.fromkeys(f"{moment:%Y-%m-%d}" for moment in made.times(role)))
        for role in ("pre", "post")
    ]
    lines = []
    if made.orbits:
        dates = f": before {days[0]}, after {days[1]}" if all(days) else ""
        lines.append(f"Sentinel-1 {' and '.join(made.orbits)}, relative orbit {tracks}{dates}")
    if made.detector:
        reads = f" on {made.composite}" if made.composite else ""
        lines.append(f"detector {made.detector}{reads}")
    if made.control:
        lines.append(f"Control: {described(made.control)}")
    return lines + _doubt_lines(made)


def _lines(made: Provenance) -> int:
    """Lines that the title has room for: two, or as many as there are."""
    return max(2, len(_source_lines(made)))


def _doubt_lines(made: Provenance) -> list[str]:
    """Why the map is not to be trusted, in lines that fit the page."""
    return [line for doubt in made.doubts for line in textwrap.wrap(doubt, LINE)]


def _metadata(made: Provenance) -> dict[str, str]:
    """PNG text chunks."""
    return {
        "Title": "SIMULATED landslide map" if made.simulated else "Landslide map",
        "Software": f"sarmap {made.version}".strip(),
        "Copyright": made.attribution,
        "SIMULATED": "YES" if made.simulated else "NO",
        "Source": ", ".join(made.scene_ids),
    }
