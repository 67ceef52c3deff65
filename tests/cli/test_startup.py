"""The lean start of the command line: less is imported, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys

LEAN = "import sys; from sarmap.cli.startup import import_libraries; import_libraries();"


def _run(code: str) -> list[str]:
    """What a fresh interpreter prints after a lean start."""
    done = subprocess.run(
        [sys.executable, "-c", LEAN + code], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_unused_libraries_stay_away() -> None:
    unused = ("scipy", "aiohttp", "distributed", "tensorflow", "keras")
    assert _run(f"print(*(name for name in {unused!r} if name in sys.modules))") == []
    needed = ("xarray", "dask.array", "stackstac", "rasterio")
    assert _run(f"print(*(name for name in {needed!r} if name in sys.modules))") == [*needed]


def test_left_out_libraries_can_still_be_imported() -> None:
    assert _run("import scipy.ndimage; print(scipy.ndimage.__name__)") == ["scipy.ndimage"]


def test_a_second_start_changes_nothing() -> None:
    assert _run("first = set(sys.modules); import_libraries(); print(first == set(sys.modules))")[
        0
    ] == str(True)


def test_help_waits_for_no_library_but_clicks() -> None:
    code = "import sys, sarmap.cli.entry; print(*(n for n in NAMES if n in sys.modules))"
    heavy = ("numpy", "pydantic", "xarray", "dask", "rasterio", "pystac", "yaml", "click")
    done = subprocess.run(
        [sys.executable, "-c", f"NAMES = {heavy!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["click"]
