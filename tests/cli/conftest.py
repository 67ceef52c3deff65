"""The command line, called as a user would, with what it answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


@pytest.fixture
def sarmap_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run `sarmap WORDS...` and give its exit code, output and errors."""
    from sarmap.cli import main

    def run(*words: object) -> Answer:
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return Answer(int(caught.value.code or 0), said.out, said.err)

    return run
