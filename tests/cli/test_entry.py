"""Every command explains itself, and a mistake is one sentence with exit code 2."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed.comm.core import CommClosedError

from sarmap.cli import main
from sarmap.cli.entry import group
from sarmap.progress import progress_bar


@pytest.mark.parametrize("command", sorted(group.commands))
def test_help_ends_with_an_example(sarmap_cli: Callable[..., Any], command: str) -> None:
    answer = sarmap_cli(command, "--help")
    assert answer.code == 0
    assert re.search(rf"\n  Examples?: sarmap {command} ", answer.out)


def test_the_options_of_a_map_stand_under_headings_with_their_defaults(
    sarmap_cli: Callable[..., Any],
) -> None:
    told = sarmap_cli("map", "--help").out
    headings = ["Where and when", "What finds", "Resources", "Output", "Others"]
    assert re.findall(r"^(\w.*):$", told, re.MULTILINE) == headings
    assert re.findall(r"--\w+", told.split("Others:")[1]) == ["--help", "--area", "--event", *(
        "--out", "--products", "--pre", "--post"
    )]  # fmt: skip
    assert re.search(r"makes a landslide\.\s+Default: 0\.5\.", told)


def test_verbose_and_quiet_set_what_is_said(
    sarmap_cli: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    logger = logging.getLogger("sarmap")
    request.addfinalizer(lambda: logger.setLevel(logging.NOTSET))
    for flag, level in (("-v", logging.DEBUG), ("-q", logging.ERROR)):
        with warnings.catch_warnings():
            sarmap_cli(flag, "plan", "nowhere.yaml")
        assert logger.level == level
    with progress_bar() as progress:
        assert progress.__name__ == "<lambda>"
    assert "give one of them" in sarmap_cli("-v", "-q", "plan").err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fly"], "No such command 'fly'"),
        (["map", "--wings", "2"], "No such option"),
        (["map", "--orbit", "sideways"], "sideways"),
        (["map"], "The request lacks area (--area): bbox (west, south, east, north)"),
        (["map", "--area", "1,2,3,4"], "The request lacks event (--event): UTC instant"),
        (["plan", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["assess", "nowhere.zarr", "--inventory", "x.gpkg"], "nowhere.zarr is not a map"),
        (["simulate", "x", "--center", "here"], "must be longitude,latitude"),
    ],
)
def test_a_mistake_is_one_sentence(
    sarmap_cli: Callable[..., Any], words: list[str], sentence: str
) -> None:
    answer = sarmap_cli(*words)
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ZeroDivisionError("https://host/a.tif?sig=SECRET"), "unexpected ZeroDivisionError; run"),
        (CommClosedError("https://host/a.tif?sig=SECRET"), "the Dask cluster failed (CommClosed"),
        (
            FileNotFoundError(2, "No usable temporary directory found in ['SECRET']"),
            "make room in TMPDIR",
        ),
    ],
)
def test_an_error_that_nobody_expected_is_a_sentence_without_its_words(
    sarmap_cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    sentence: str,
) -> None:
    def raising(*_: object) -> None:
        raise error

    monkeypatch.setattr("sarmap.request_file.read_request_file", raising)
    answer = sarmap_cli("train", "anything.yaml")
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert sentence in answer.err
    assert "SECRET" not in answer.err
    with pytest.raises(type(error)):
        main(["--debug", "train", "anything.yaml"])


def test_without_a_command_the_commands_are_listed_line_by_line(
    sarmap_cli: Callable[..., Any],
) -> None:
    answer = sarmap_cli()
    assert answer.code == 2
    assert "\n  map " in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--out", "file"], 1, "folder file for the results cannot be made"),
        (["--detector", "crystal-ball"], 2, "no detector 'crystal-ball'"),
    ],
)
def test_the_demo_refuses_before_it_simulates(
    sarmap_cli: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    import sarmap.cli.events as module

    def simulate(*_: object) -> None:
        raise AssertionError("it has simulated first")

    monkeypatch.setattr(module, "_cached_event", simulate)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    answer = sarmap_cli("demo", *words)
    assert sentence in answer.err
    assert answer.code == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_libraries_are_imported_ends_without_a_traceback(
    number: signal.Signals, code: int
) -> None:
    """The command line is told to end by the first import that it makes."""
    program = (
        "import os, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'sarmap.cli.entry':\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from sarmap.cli import main\n"
        "main(['--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "sarmap: Interrupted.\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
def test_a_full_disk_under_standard_output_is_a_sentence() -> None:
    program = "from sarmap.cli import main; main(['map', '--help'])"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("sarmap: a disk is full (No space left on device): the one that")
    assert done.stderr.count("\n") == 1
