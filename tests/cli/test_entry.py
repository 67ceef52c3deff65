"""Every command explains itself, and a mistake is one sentence with exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMANDS = ["demo", "simulate", "serve", "search", "plan", "map", "assess"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(sarmap_cli: Callable[..., Any], command: str) -> None:
    answer = sarmap_cli(command, "--help")
    assert answer.code == 0
    assert f"Example: sarmap {command} " in answer.out


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
