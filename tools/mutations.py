"""Take one protection out after another, and see that its test fails.

    python tools/mutations.py                 # all of tools/protections.toml, as a table
    python tools/mutations.py --only redirect # those whose name holds a word
    python tools/mutations.py --journal FILE  # keep each answer in FILE, and ask only what it lacks

Works in a copy of the tree, which is thrown away. Each protection is text of one file and what
stands in its place when it is gone; its test must pass with it and fail without. Leaves with 1
where a test does not notice: nor does one that fails of the text that stands instead (a name that
is not there, an argument too few), or that does not end with the protection either. An answer in
the journal counts as long as the protection's text, what stands without it and the file of its test
are the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tools" / "protections.toml"
LONGEST = 300.0
"""Seconds after which a test that does not end has failed: some protections are against that."""
BROKEN = re.compile(
    r"(Syntax|Indentation|Name|UnboundLocal|Import|ModuleNotFound)Error:"
    r"|TypeError: .*(missing \d+ required|unexpected keyword|takes \d+ positional)"
)
"""What a test says that fails of the text itself, not for want of what stood there."""
LENGTH = 100
"""Characters of what a test says that are shown."""
PARTS = ("sarmap", "tests", "tools", "deploy", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Protection:
    """One thing that keeps a fault from doing harm."""

    name: str
    """What it protects, for the table."""
    file: str
    """Where it stands."""
    old: str
    """Its text, found once in the file."""
    new: str
    """What stands there without it."""
    test: str
    """What pytest is told to run; must fail without it."""
    doctest: bool = False
    """Whether the test is an example in a docstring."""


@dataclass(frozen=True)
class Answer:
    """What became of a test without its protection."""

    noticed: bool
    """Whether the test failed."""
    said: str
    """What it complained of; or why the trial does not count."""


def read_list(path: Path = LIST) -> list[Protection]:
    """All protections."""
    return [Protection(**one) for one in tomllib.loads(path.read_text())["protection"]]


def tried(one: Protection, tree: Path) -> Answer:
    """Run the test without a protection."""
    file = tree / one.file
    whole = file.read_text()
    if whole.count(one.old) != 1:
        return Answer(False, f"its text is found {whole.count(one.old)} times in {one.file}")
    file.write_text(whole.replace(one.old, one.new))
    try:
        answer = _outcome(one, tree)
    finally:
        file.write_text(whole)
    if answer == ENDLESS and _outcome(one, tree) == ENDLESS:  # a busy machine, or a broken test
        return Answer(False, "does not end with it either")
    return answer


def _outcome(one: Protection, tree: Path) -> Answer:
    flags = ["--doctest-modules"] if one.doctest else []
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "-p", "no:cacheprovider"),
        *("-m", ""),  # nightly ones, too
        *flags,
        *one.test.split(),
    ]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as running:
        try:
            said = running.communicate(timeout=LONGEST)[0]
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, 9)
            return ENDLESS
    if running.returncode != 1:  # 0: passed; others: no test, or pytest itself failed
        return Answer(False, f"pytest left with {running.returncode}")
    words = _sentence(said)
    noticed = BROKEN.search(words) is None
    return Answer(noticed, words if len(words) <= LENGTH else f"{words[:LENGTH]} ...")


def _sentence(said: str) -> str:
    """What a failed test complains of, on one line."""
    lines = [line.strip() for line in said.splitlines() if line.startswith(("E ", "Got:"))]
    words = re.sub(r"\s+", " ", " ".join(line.removeprefix("E") for line in lines)).strip()
    return words.removeprefix("AssertionError:").replace("|", "/").strip() or "fails"


ENDLESS = Answer(True, "does not end")


class Journal:
    """Answers of earlier runs, one line of JSON each; without a file it only holds this run's."""

    def __init__(self, file: Path | None, tree: Path) -> None:
        self._file = file
        self._tree = tree
        self._known: dict[str, Answer] = {}
        if file is not None and file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                told = json.loads(line)
                self._known[told["asked"]] = Answer(told["noticed"], told["said"])

    def find(self, one: Protection) -> Answer | None:
        """The answer for exactly this protection."""
        return self._known.get(_asked(one, self._tree))

    def keep(self, one: Protection, answer: Answer) -> None:
        """Add an answer."""
        asked = _asked(one, self._tree)
        self._known[asked] = answer
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"asked": asked, **asdict(answer)}) + "\n")


def _asked(one: Protection, tree: Path) -> str:
    """A protection and its tests as they are in the copy: other ones have other answers."""
    files = [tree / word.split("::")[0] for word in one.test.split() if ".py" in word]
    tests = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return json.dumps({**asdict(one), "tests": tests}, sort_keys=True)


@contextmanager
def copied_tree() -> Iterator[Path]:
    """A copy of what the tests need of this tree, thrown away with the block."""
    with tempfile.TemporaryDirectory(prefix="sarmap-mutations-") as folder:
        tree = Path(folder)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                leave = shutil.ignore_patterns("__pycache__", "node_modules")
                shutil.copytree(source, tree / part, ignore=leave)
            else:
                shutil.copy(source, tree / part)
        yield tree


def main() -> int:
    """Try all, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", help="word in the names of those to be tried")
    parser.add_argument("--journal", type=Path, help="file of answers, continued where it is there")
    given = parser.parse_args()
    chosen = [one for one in read_list() if given.only in one.name]
    unnoticed = 0
    print("| protection | test | without it |\n| --- | --- | --- |")
    with copied_tree() as tree:
        journal = Journal(given.journal, tree)
        for one in chosen:
            answer = journal.find(one)
            if answer is None:
                answer = tried(one, tree)
                journal.keep(one, answer)
            unnoticed += not answer.noticed
            mark = "" if answer.noticed else "**NOT NOTICED**: "
            print(f"| {one.name} | `{one.test}` | {mark}{answer.said} |", flush=True)
    print(f"\n{len(chosen)} protections taken out, {unnoticed} not noticed", flush=True)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
