"""The page's HTML: all words are there before any script runs."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from sarmap.report.downloads import Download
from sarmap.report.facts import Fact

__all__ = ["Shell", "bundle", "render"]


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
        policy = _policy("'self' file:", "'self' file:")
    else:
        foot = f"{data}\n<script>{code}</script>"
        head = f"<style>{style}</style>"
        policy = _policy(_hash(code), _hash(style))
    template = Template((files("sarmap.report") / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        policy=policy,
        head=head,
        foot=foot,
        title=_text(f"SIMULATED: {shell.title}" if shell.simulated else shell.title),
        heading=_text(shell.title),
        place=_text(shell.place),
        passes=_text(shell.passes),
        mark='class="is-simulated"' if shell.simulated else "",
        banner=_banner(shell.simulated),
        missing="".join(
            f'<p class="missing" role="note">{_text(one)}</p>' for one in shell.missing
        ),
        scenes=_rows(shell.scenes),
        card=_markdown(shell.card) or _no_card(shell),
        model=_list(shell.model),
        facts=_list(shell.facts),
        seen=_list(shell.seen),
        downloads="".join(_download(one, shell.addresses[one.name]) for one in shell.downloads),
        attribution=_text(shell.attribution or "This map carries no notice of its data's owners."),
        version=_text(shell.version),
    )


def _policy(script: str, style: str) -> str:
    """Nothing is ever fetched from anywhere: images, scripts and styles of the page's own only."""
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; "
        "img-src 'self' file: data: blob:; connect-src 'none'; form-action 'none'; base-uri 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _text(value: object) -> str:
    return html.escape(str(value))


def _banner(simulated: bool) -> str:
    if not simulated:
        return ""
    return (
        '<aside class="simulated" aria-label="Simulated data"><strong>SIMULATED</strong> No '
        "satellite measured this; no landslide on this page is real.</aside>"
    )


def _rows(rows: Iterable[Sequence[str]]) -> str:
    lines = []
    for row in rows:
        cells = "".join(f"<td>{_text(cell)}</td>" for cell in row[:-1])
        lines.append(f"<tr>{cells}<td><code>{_text(row[-1])}</code></td></tr>")
    return "\n".join(lines) or '<tr><td colspan="5">This map names no scenes.</td></tr>'


def _list(facts: Iterable[Fact]) -> str:
    return "\n".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts
    )


def _download(file: Download, address: str) -> str:
    name = _text(file.name)
    return (
        f'<li><a href="{_text(address)}" download="{name}" type="{_text(file.media)}">'
        f"{_text(file.title)}</a> <span>{name}, {_size(file.size)}: {_text(file.note)}</span></li>"
    )


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{max(size / 1e3, 0.1):.1f} kB"


def _no_card(shell: Shell) -> str:
    return (
        "<p>The detector has no card on the machine that made this page; what the map itself "
        "says of it stands beside.</p>"
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
