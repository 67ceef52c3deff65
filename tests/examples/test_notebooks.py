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

FIGURES = """
import runpy, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
runpy.run_path(sys.argv[1], run_name="__main__")
for number in plt.get_fignums():
    figure = plt.figure(number)
    words = " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert "SIMULATED" in words, f"figure {number} does not say SIMULATED: {words}"
print(len(plt.get_fignums()), "figures say SIMULATED")
"""


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


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_runs_from_top_to_bottom(tool: ModuleType, name: str, tmp_path: Path) -> None:
    notebook = tool.notebook_of(ROOT / "examples" / f"{name}.py")
    if name == "01_first_map":  # a reader moves the slider: the picture follows
        notebook.cells.append(_cell("slider.value = 0.9\nprint(ax.get_title())"))
    done = tool.run(notebook, tmp_path)
    shown = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert not any(output["output_type"] == "error" for output in shown)
    if name == "01_first_map":
        assert "at 0.90" in shown[-1]["text"]
    site = tool.for_the_site(done)
    kept = [output for cell in site.cells for output in cell.get("outputs", [])]
    assert "widget-view" not in json.dumps(kept)


@pytest.mark.parametrize("name", NAMES)
def test_the_script_runs_without_a_notebook_and_its_pictures_say_simulated(
    name: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIGURES, str(ROOT / "examples" / f"{name}.py")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "figures say SIMULATED" in done.stdout
    assert not done.stdout.startswith("0 ")
    folder = next(path for path in tmp_path.iterdir() if path.is_dir())
    assert list(folder.glob("*.png"))


def _cell(source: str) -> object:
    from nbformat.v4 import new_code_cell

    return new_code_cell(source, id="added")
