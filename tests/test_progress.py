"""How far a map is: a bar in a terminal and in a notebook, a line now and then in a log."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from sarmap.progress import progress_bar

CELL = """
from sarmap.progress import progress_bar
with progress_bar() as progress:
    for done in range(1, 5):
        progress(done, 4)
"""


def test_a_log_gets_a_line_every_half_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 40.0, 50.0, 80.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress_bar() as progress:
        for done in range(4):
            progress(done, 4)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "sarmap: mapping 1/4 blocks, 0.025 blocks/s, 120 s left",
        "sarmap: mapping 3/4 blocks, 0.037 blocks/s, 27 s left",
    ]


def test_a_terminal_shows_a_bar_on_standard_error() -> None:
    ours, theirs = pty.openpty()
    cell = CELL.replace("progress(done, 4)", "progress(done, 4); import time; time.sleep(0.3)")
    done = subprocess.run(
        [sys.executable, "-c", cell], stderr=theirs, stdout=subprocess.PIPE, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.stdout == b""
    assert "mapping" in shown
    assert "/4 blocks" in shown
    assert "None" not in shown


def test_a_notebook_shows_one_bar_below_the_cell_and_renews_it() -> None:
    """In a real kernel, without ipywidgets."""
    shown: list[dict[str, Any]] = []
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        reply = client.execute_interactive(
            "import sys; sys.modules['ipywidgets'] = None\n" + CELL,
            output_hook=shown.append,
            timeout=60,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok"
    shown = [message for message in shown if message["msg_type"].endswith("display_data")]
    kinds = [message["msg_type"] for message in shown]
    assert kinds == ["display_data", *["update_display_data"] * 4]
    assert 'value="4" max="4"' in shown[-1]["content"]["data"]["text/html"]
    names = {message["content"]["transient"]["display_id"] for message in shown}
    assert len(names) == 1
