"""Notebooks and scripts are the same cells, run from top to bottom, and say SIMULATED."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    "01_first_map",
    "02_regional_scan",
    "03_train_and_assess",
    "04_choose_chunks",
    "05_day_7_or_day_19",
)
SHORTEST = "04_choose_chunks"

WATCH = """
import sys
drawn, silent = [], []

def look_at_figures():
    pyplot = sys.modules.get("matplotlib.pyplot")
    for number in pyplot.get_fignums() if pyplot else ():
        texts = pyplot.figure(number).findobj(lambda one: hasattr(one, "get_text"))
        words = " ".join(text.get_text() for text in texts)
        drawn.append(words)
        if "SIMULATED" not in words:
            silent.append(words)

get_ipython().events.register("post_execute", look_at_figures)
"""
"""A first cell: after each one, before its figures are shown and closed, reads what they say."""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """`tools/render_examples.py`, imported."""
    spec = importlib.util.spec_from_file_location(
        "render_examples", ROOT / "tools" / "render_examples.py"
    )
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the events of all examples are kept, for all workers of one test run."""
    return tmp_path_factory.getbasetemp().parent / "example-events"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, shared_cache: Path, _own_cache: None) -> None:
    monkeypatch.setenv("SARMAP_EXAMPLES", "small")
    monkeypatch.setenv("SARMAP_CACHE", str(shared_cache))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")


def test_every_example_is_tested(tool: ModuleType) -> None:
    assert tuple(script.stem for script in tool.scripts()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_is_made_from_the_script_and_holds_no_output(
    tool: ModuleType, name: str
) -> None:
    held = (ROOT / "examples" / f"{name}.ipynb").read_text("utf-8")
    assert held == tool.text_of(tool.notebook_of(ROOT / "examples" / f"{name}.py")), (
        "run python tools/render_examples.py --notebooks"
    )
    code = [cell for cell in json.loads(held)["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.parametrize(
    "name",
    [name if name == SHORTEST else pytest.param(name, marks=pytest.mark.nightly) for name in NAMES],
)
def test_the_notebook_runs_from_top_to_bottom_and_its_pictures_say_simulated(
    tool: ModuleType, name: str, tmp_path: Path
) -> None:
    notebook = tool.notebook_of(ROOT / "examples" / f"{name}.py")
    notebook.cells.insert(0, _cell(WATCH, "watch"))
    if name == "01_first_map":  # a reader moves the slider: the picture follows
        notebook.cells.append(_cell("slider.value = 0.9\nprint(ax.get_title())", "slide"))
    notebook.cells.append(_cell("assert drawn\nassert not silent, silent", "judge"))
    done = tool.run(notebook, tmp_path)
    shown = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert not any(output["output_type"] == "error" for output in shown)
    if name == "01_first_map":
        assert "at 0.90" in shown[-1]["text"]
    folder = next(path for path in tmp_path.iterdir() if path.is_dir())
    assert list(folder.glob("*.png"))
    site = tool.for_the_site(done)
    kept = [output for cell in site.cells for output in cell.get("outputs", [])]
    assert "widget-view" not in json.dumps(kept)


def test_a_script_runs_without_a_notebook(tmp_path: Path) -> None:
    """The shortest; all are the same cells, and ruff knows no name that a notebook alone has."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{SHORTEST}.py")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def _cell(source: str, name: str) -> object:
    from nbformat.v4 import new_code_cell

    return new_code_cell(source, id=name)
