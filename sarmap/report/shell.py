"""The page's HTML: all words are there before any script runs."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from sarmap.report.downloads import Download
from sarmap.report.facts import Fact


def bundle(name: str) -> str:
    """A built file of the front end."""
    return (files("sarmap.report") / "bundle" / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Shell:
    """All words of a page."""

    title: str
    place: str
    simulated: bool
    attribution: str
    passes: str
    missing: Sequence[str]
    scenes: Sequence[tuple[str, ...]]
    card: str
    model: Sequence[Fact]
    facts: Sequence[Fact]
    seen: Sequence[Fact]
    downloads: Sequence[Download]
    version: str
    addresses: dict[str, str]
    """Download's name -> its address."""


def render(shell: Shell, data: str | None = None) -> str:
    """The HTML of a page; `data`: all of its data, for one file that needs no other."""
    code, style = bundle("app.js"), bundle("app.css")
    if data is None:
        head = '<link rel="stylesheet" href="assets/app.css">'
        foot = '<script src="assets/app.js"></script>\n<script src="data/page.js"></script>'
        allowed = policy("'self' file:", "'self' file:")
    else:
        foot = f"{data}\n<script>{code}</script>"
        head = f"<style>{style}</style>"
        allowed = policy(_hash(code), _hash(style))
    template = Template((files("sarmap.report") / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        policy=allowed,
        head=head,
        foot=foot,
        title=escaped(f"SIMULATED: {shell.title}" if shell.simulated else shell.title),
        heading=escaped(shell.title),
        place=escaped(shell.place),
        passes=escaped(shell.passes),
        mark='class="is-simulated"' if shell.simulated else "",
        banner=banner(shell.simulated),
        missing="".join(
            f'<p class="missing" role="note">{escaped(one)}</p>' for one in shell.missing
        ),
        scenes=_rows(shell.scenes),
        card=_markdown(shell.card) or _NO_CARD,
        model=_list(shell.model),
        facts=_list(shell.facts),
        seen=_list(shell.seen),
        downloads="".join(download_line(one, shell.addresses[one.name]) for one in shell.downloads),
        attribution=escaped(shell.attribution),
        version=escaped(shell.version),
    )


def policy(script: str, style: str) -> str:
    """Nothing is ever fetched from anywhere: images, scripts and styles of the page's own only."""
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; "
        "img-src 'self' file: data: blob:; connect-src 'none'; form-action 'none'; base-uri 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def escaped(value: object) -> str:
    """Text that is never taken for HTML."""
    return html.escape(str(value))


def banner(simulated: bool) -> str:
    """What a page of simulated data says first, and keeps in view."""
    if not simulated:
        return ""
    return (
        '<aside class="simulated" aria-label="Simulated data"><strong>SIMULATED</strong> No '
        "satellite measured this; no landslide on this page is real.</aside>"
    )


def _rows(rows: Iterable[Sequence[str]]) -> str:
    lines = []
    for row in rows:
        cells = "".join(f"<td>{escaped(cell)}</td>" for cell in row[:-1])
        lines.append(f"<tr>{cells}<td><code>{escaped(row[-1])}</code></td></tr>")
    return "\n".join(lines) or '<tr><td colspan="5">This map names no scenes.</td></tr>'


def _list(facts: Iterable[Fact]) -> str:
    return "\n".join(
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in facts
    )


def download_line(file: Download, address: str) -> str:
    """One file of the list of downloads."""
    name, note = escaped(file.name), escaped(file.note)
    return (
        f'<li><a href="{escaped(address)}" download="{name}" type="{escaped(file.media)}">'
        f"{escaped(file.title)}</a> <span>{name}, {_size(file.size)}: {note}</span></li>"
    )


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{max(size / 1e3, 0.1):.1f} kB"


_NO_CARD = (
    "<p>The detector has no card on the machine that made this page; what the map itself says of "
    "it stands beside.</p>"
)


def _markdown(text: str) -> str:
    """Markdown as HTML, its headings below the page's own; raw HTML in it stays text."""
    if not text.strip():
        return ""
    from markdown_it import MarkdownIt

    made: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    made = re.sub(r"<(/?)h([1-6])>", lambda m: f"<{m[1]}h{min(int(m[2]) + 2, 6)}>", made)
    made = re.sub(r"<a href=[^>]*>|</a>", "", made)  # nothing on this page leads elsewhere
    return made.replace(
        "<table>",
        '<div class="scroll" tabindex="0" role="group" '
        'aria-label="Table of the model card"><table>',
    ).replace("</table>", "</table></div>")


# --- the first page of several --------------------------------------------------------------------


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
