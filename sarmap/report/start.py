"""The first page of a region that lies in several zones: a picture, and the way to each page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from sarmap.report.downloads import Download
from sarmap.report.shell import banner, bundle, download_line, escaped, policy

PICTURE = "overview.png"
"""File of the picture."""


@dataclass(frozen=True)
class ZoneRow:
    """One page of several."""

    name: str
    """Zone, and the folder of its page."""
    landslides: int
    """Polygons at the pages' threshold."""
    mapped_km2: float
    """Their area."""
    seen_km2: float
    """Area that the radar saw."""


@dataclass(frozen=True)
class Start:
    """All words of a first page; its picture and downloads lie in its folder."""

    title: str
    units: str
    """How far the region is mapped."""
    simulated: bool
    attribution: str
    missing: Sequence[str]
    zones: Sequence[ZoneRow]
    landslides: int
    """Polygons of all zones, one that crosses zones once."""
    mapped_km2: float
    """Their area."""
    downloads: Sequence[Download]
    version: str


def write_start(folder: Path, start: Start) -> None:
    """Write ``index.html`` and its style beside the pages of the zones."""
    assets = folder / "assets"
    assets.mkdir()
    (assets / "app.css").write_text(bundle("app.css"), encoding="utf-8")
    template = Template((files("sarmap.report") / "start.html").read_text(encoding="utf-8"))
    heading = escaped(start.title)
    text = template.substitute(
        policy=policy("'none'", "'self' file:"),
        title=f"SIMULATED: {heading}" if start.simulated else heading,
        heading=heading,
        mark='class="is-simulated"' if start.simulated else "",
        banner=banner(start.simulated),
        units=escaped(start.units),
        missing="".join(f'<p class="missing" role="note">{escaped(s)}</p>' for s in start.missing),
        picture=PICTURE,
        rows="\n".join(_row(zone) for zone in start.zones),
        total=f'<tr><th scope="row">All zones, each landslide once</th>'
        f"<td>{start.landslides:,}</td><td>{start.mapped_km2:,.2f}</td><td></td></tr>",
        downloads="".join(download_line(one, f"downloads/{one.name}") for one in start.downloads),
        attribution=escaped(start.attribution),
        version=escaped(start.version),
    )
    (folder / "index.html").write_text(text, encoding="utf-8")


def _row(zone: ZoneRow) -> str:
    name = escaped(zone.name)
    return (
        f'<tr><td><a href="{name}/index.html">Zone {name}</a></td><td>{zone.landslides:,}</td>'
        f"<td>{zone.mapped_km2:,.2f}</td><td>{zone.seen_km2:,.1f}</td></tr>"
    )
