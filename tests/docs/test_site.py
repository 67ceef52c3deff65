"""The site builds without a warning, loads nothing from the web, and tells of sarmap as it is."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest

import sarmap
from sarmap.cli.entry import group

ROOT = Path(__file__).resolve().parents[2]
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
NOT_LOADED = {"canonical", "next", "prev", "index", "search", "author", "copyright"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site: where SARMAP_SITE says it was built already, or built here."""
    if "SARMAP_SITE" in os.environ:
        return Path(os.environ["SARMAP_SITE"])
    pytest.importorskip("sphinx", reason="install the extra `docs`")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "2", "-c", "docs"]
    done = subprocess.run(
        [*command, "-d", str(out / "trees"), ".", str(out / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out / "html"


def _text(page: Path) -> str:
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


class _Loaded(HTMLParser):
    """Addresses of what a browser loads with a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADING and given.get("rel") not in NOT_LOADED:
            self.found.append(given.get(LOADING[tag]) or "")


def test_no_page_loads_anything_from_the_web(site: Path) -> None:
    """No font, no script, no picture: the site can be read where there is no network."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    loaded = _Loaded()
    for page in pages:
        loaded.feed(page.read_text(encoding="utf-8"))
    assert len(loaded.found) > 100
    assert [one for one in loaded.found if re.match(r"(https?:)?//", one)] == []
    styles = "".join(file.read_text(encoding="utf-8") for file in site.rglob("*.css"))
    assert re.findall(r"(?:@import\s+|url\()[\"']?(?:https?:)?//[^)\s]+", styles) == []


def test_the_front_page_leads_to_the_site(site: Path) -> None:
    target = re.search(r"url=([^\"]+)\"", (site / "index.html").read_text(encoding="utf-8"))
    assert target is not None
    assert (site / target.group(1)).is_file()


def _commands() -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield name, command


def test_every_command_and_flag_is_in_the_reference(site: Path) -> None:
    page = _text(site / "docs" / "reference" / "cli.html")
    commands = list(_commands())
    assert len(commands) > 10
    for name, command in commands:
        assert f"sarmap {name}" in page
        flags = [flag for one in command.params for flag in one.opts if flag.startswith("--")]
        assert [flag for flag in flags if flag not in page] == [], name


@pytest.mark.parametrize("name", [name for name in sarmap.__all__ if not name.startswith("_")])
def test_every_public_name_is_in_the_reference(site: Path, name: str) -> None:
    pages = (site / "docs" / "reference").rglob("*.html")
    marks = (f'id="sarmap.{name}"', f'id="{getattr(sarmap, name).__module__}.{name}"')
    assert any(mark in page.read_text(encoding="utf-8") for page in pages for mark in marks)


def test_every_field_of_a_request_is_in_the_reference(site: Path) -> None:
    page = _text(site / "docs" / "reference" / "requests.html")
    for field, about in sarmap.ScanRequest.model_fields.items():
        assert field in page
        told = html.unescape(page).translate({0x2019: "'", 0x201C: '"', 0x201D: '"'})
        assert about.description is None or about.description in told
