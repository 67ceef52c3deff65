"""Every command and every block of Python on a page is run, or the page says why it is not.

Pages run against a small simulated event behind a real STAC API. It stands in for the catalogues
that pages name: the Planetary Computer, an OPERA-like one (records as poor as CMR-STAC's), and one
that calls things otherwise; the area of the pages becomes the event's. A YAML or TOML block whose
first line is `# name` is the file of that name. The reason stands in an HTML comment right before a
block that is not run: `<!-- not run: why -->`.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
RUN = ("sh", "python")
FILES = ("yaml", "toml")
AREA = re.compile(r"141\.96(,\s*)42\.71,\s*142\.04,\s*42\.75")
SIMULATED = "http://127.0.0.1:40123"
RENAMED = "https://stac.example.org"
REASON = re.compile(r"<!-- not run: (\S.*) -->")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, with the reason of each that is not run."""
    found: list[Block] = []
    reason = None
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "fence" and token.map is not None:
            language = token.info.split(" ")[0]
            found.append(Block(page, token.map[0] + 1, language, token.content, reason))
        matched = REASON.search(token.content) if token.type == "html_block" else None
        reason = matched.group(1) if matched else None
    return found


def lines_of(block: Block) -> list[str]:
    """The commands of a shell block, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def _lies_in(block: Block) -> bool:
    return block.language in FILES and block.text.startswith("# ")


# --- the catalogues that pages name


def _as_opera(record: dict[str, Any], number: int) -> dict[str, Any]:
    """A radar record as CMR-STAC would give it: orbit and platform in the id, no projection."""
    told = record["properties"]
    when = re.sub(r"[-:]|\.\d+", "", told["datetime"])
    satellite = f"S1{told['platform'][-1].upper()}"
    orbit = told["sat:relative_orbit"]
    name = f"T{orbit:03d}-{number:06d}-IW2_{when}_20250830T000000Z_{satellite}_30_v1.0"
    kept = {key: told[key] for key in told if key.startswith(("datetime", "sarmap"))}
    assets = {f"0_{band.upper()}": record["assets"][band] for band in ("vv", "vh")}
    return record | {
        "id": f"OPERA_L2_RTC-S1_{name}",
        "collection": "OPERA_L2_RTC-S1_V1_1",
        "properties": kept,
        "assets": assets,
    }


def _as_renamed(record: dict[str, Any]) -> dict[str, Any]:
    """A radar record of an institute that has names of its own."""
    assets = {f"gamma0-{band}": record["assets"][band] for band in ("vv", "vh")}
    return record | {"collection": "s1-gamma0", "assets": assets}


@pytest.fixture(scope="module")
def others(event: Any) -> Iterator[Any]:
    """A STAC API with the event's radar under other names."""
    from sarmap.simulate.serve import serve_catalog

    items = json.loads(event.items.read_text(encoding="utf-8"))["features"]
    collections = json.loads(event.collections.read_text(encoding="utf-8"))
    radar = [item for item in items if item["collection"] == "sentinel-1-rtc"]
    (like,) = [one for one in collections if one["id"] == "sentinel-1-rtc"]
    records = [_as_opera(item, number) for number, item in enumerate(radar)]
    records += [_as_renamed(item) for item in radar]
    named = [like | {"id": name} for name in ("OPERA_L2_RTC-S1_V1_1", "s1-gamma0")]
    with serve_catalog(records, named, event.path) as running:
        yield running


@pytest.fixture
def reader(
    event: Any,
    server: Any,
    others: Any,
    own_files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], str]:
    """A folder as the reader of a page has it; gives a block's text with addresses that answer."""
    from sarmap.acquire import catalogs

    home, opera = catalogs.PRESETS["planetary-computer"], catalogs.PRESETS["opera-rtc-s1"]
    there = {"url": others.url, "dem_url": server.url, "signing": None, "login": None}
    presets = {
        **catalogs.PRESETS,
        "planetary-computer": replace(home, url=server.url, signing=None),
        "opera-rtc-s1": replace(opera, **there),
    }
    monkeypatch.setattr(catalogs, "PRESETS", presets)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-event").symlink_to(event.path)
    shutil.copy(event.inventory, tmp_path / "landslides.gpkg")
    for name in ("before", "after", "dem.tif"):
        (tmp_path / name).symlink_to(own_files / name)
    west, south, east, north = event.area

    def told(text: str) -> str:
        text = AREA.sub(rf"{west}\g<1>{south}\g<1>{east}\g<1>{north}", text)
        return text.replace(SIMULATED, server.url.rstrip("/")).replace(RENAMED, others.url)

    return told


# --- what is run


def _run_shell(line: str) -> None:
    """One command: sarmap's in this process, any other in one of its own."""
    from sarmap.cli import main

    words = shlex.split(line, comments=True)
    if words[:2] == ["sarmap", "simulate"]:
        assert Path(words[2]).is_dir(), "the event of the tests is given another name"
    elif words[0] == "sarmap":
        with pytest.raises(SystemExit) as caught:
            main(words[1:])
        assert not caught.value.code, f"{line} left with {caught.value.code}"
    else:
        words[0] = sys.executable if words[0] == "python" else words[0]
        subprocess.run(words, check=True)


HOW_TO = [
    page
    for page in PAGES
    if page.parent.name != "results"  # what was measured there took hours
    and any(block.language in RUN and not block.reason for block in blocks_of(page))
]
ALIKE = ("maps", "own-stac-api", "pictures", "planetary-computer", "resume")
"""Pages that map as others do: nightly; that their commands and flags exist is tried always."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.nightly) if p.stem in ALIKE else p for p in HOW_TO],
    ids=lambda page: page.stem,
)
def test_a_page_does_what_it_says(page: Path, reader: Callable[[str], str]) -> None:
    import matplotlib

    matplotlib.use("agg")
    names: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks_of(page):
        if block.reason:
            continue
        if _lies_in(block):
            name = block.text.splitlines()[0].removeprefix("# ")
            Path(name).write_text(reader(block.text), encoding="utf-8")
        elif block.language == "python":
            exec(compile(reader(block.text), block.place, "exec"), names)
        elif block.language == "sh":
            for line in lines_of(block):
                _run_shell(reader(line))


# --- what holds of every page

ALL = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [
    (block, line.removeprefix("$ "))
    for block in ALL
    if block.language in ("sh", "console")
    for line in lines_of(block)
    if line.removeprefix("$ ").startswith("sarmap ")
]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_a_page_leads_to_files_that_are_there(page: Path) -> None:
    named = re.findall(r"\]\((?![a-z]+:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (page.parent / path).exists()] == []


@pytest.mark.parametrize("block", [b for b in ALL if b.language in FILES], ids=lambda b: b.place)
def test_a_file_on_a_page_can_be_read(block: Block) -> None:
    import tomllib

    import yaml

    parse: Any = tomllib.loads if block.language == "toml" else yaml.safe_load
    assert isinstance(parse(block.text), dict | list)


@pytest.mark.parametrize(("block", "line"), COMMANDS, ids=lambda v: getattr(v, "place", ""))
def test_a_command_on_a_page_exists_with_all_its_flags(block: Block, line: str) -> None:
    """Also where the page does not run it."""
    from sarmap.cli.entry import group

    words = shlex.split(line, comments=True)[1:]
    if "..." in words:
        pytest.skip("an outline")
    command = group.get_command(click.Context(group), words[0])
    assert command is not None, words[0]
    if not words[1:] or words[1].startswith("-") or command.params:
        command.make_context(words[0], words[1:], resilient_parsing=False)
