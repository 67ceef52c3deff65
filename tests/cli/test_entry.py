"""Every command explains itself, and a mistake is one sentence with exit code 2."""

from __future__ import annotations

from collections.abc import Callable
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
        (["map"], "The request lacks area."),
        (["map", "--area", "1,2,3,4"], "The request lacks event."),
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
