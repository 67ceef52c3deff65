"""The list of protections that `tools/mutations.py` takes out one by one is of this tree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = tomllib.loads((ROOT / "tools" / "protections.toml").read_text())["protection"]


def test_the_text_of_each_protection_is_found_once() -> None:
    found = {one["name"]: (ROOT / one["file"]).read_text().count(one["old"]) for one in LIST}
    assert {name: count for name, count in found.items() if count != 1} == {}
    assert len(found) == len(LIST) > 50


def test_the_test_of_each_protection_is_there() -> None:
    for one in LIST:
        for named in one["test"].split(" -k ")[0].split():
            file, *inside = named.split("::")
            source = (ROOT / file).read_text()
            last = re.sub(r"\[.*", "", inside[-1]).rsplit(".", 1)[-1] if inside else ""
            assert not last or re.search(rf"(def|class) {last}\b", source), one["name"]
