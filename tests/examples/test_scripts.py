"""The examples run from top to bottom, as a reader would run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_first_map_is_made_and_scored(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "first_map.py", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "SIMULATED: F1" in done.stdout
    for name in ("map.zarr", "map.tif", "map.gpkg"):
        assert (tmp_path / name).exists()
