"""The committed front end is what its source builds, is small, and fetches nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from sarmap.report.shell import bundle

NAMES = ("app.js", "app.css", "LICENSES.txt")


def test_it_is_small_enough_for_a_wheel() -> None:
    assert sum(len(bundle(name).encode()) for name in NAMES) < 1_500_000


def test_the_licences_of_all_packages_are_in_it() -> None:
    text = bundle("LICENSES.txt")
    for package in ("ol 10", "fflate 0", "rbush "):
        assert f"\n{package}" in f"\n{text}"
    assert "Redistributions in binary form" in text


def test_its_style_names_no_address() -> None:
    assert not re.findall(r"url\(['\"]?(?!data:)[^)]*\)", bundle("app.css"))


def test_the_lock_file_names_no_address(front_end: Path) -> None:
    assert '"resolved"' not in (front_end / "package-lock.json").read_text()


def test_it_is_what_the_source_builds(front_end: Path, tmp_path: Path) -> None:
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=front_end, check=True, timeout=120)
    for name in NAMES:
        assert (tmp_path / name).read_text() == bundle(name), f"{name}: run npm run build"


def test_its_types_hold(front_end: Path) -> None:
    subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", "--noEmit"],
        cwd=front_end,
        check=True,
        timeout=300,
    )
