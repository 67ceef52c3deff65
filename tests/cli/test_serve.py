"""`sarmap serve`: a simulated event as a STAC API, until it is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sarmap


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_searches_until_it_is_told_to_end(event: Any, ending: signal.Signals) -> None:
    command = [sys.executable, "-c", "from sarmap.cli import main; main()", "serve", event.path]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            while not said.rstrip().endswith("}"):
                said += process.stdout.readline()
            told = json.loads(said)
            area = tuple(float(degrees) for degrees in told["area"].split(","))
            passes = sarmap.search_passes(area, told["event"], catalog=told["catalog"])
            assert passes.simulated
            assert len(passes.post) == 2
        finally:
            process.send_signal(ending)
            code = process.wait(timeout=30)
    assert code == 0


def test_it_takes_the_port_that_it_is_told_or_says_that_it_is_taken(event: Any) -> None:
    from sarmap.errors import CatalogError
    from sarmap.simulate.host import free_port
    from sarmap.simulate.serve import serve_event

    port = free_port()
    with serve_event(event, port) as server:
        assert server.url.rstrip("/").endswith(f":{port}")
        with pytest.raises(CatalogError, match=f"port {port} is taken"), serve_event(event, port):
            pass


def test_a_folder_without_an_event_is_refused(
    sarmap_cli: Callable[..., Any], tmp_path: Path
) -> None:
    answer = sarmap_cli("serve", tmp_path)
    assert answer.code == 2
    assert "simulate" in answer.err
