"""Make the example notebooks from their scripts, and run them for the documentation.

    python tools/render_examples.py              # run all, outputs into docs/examples/*.ipynb
    python tools/render_examples.py --notebooks  # rewrite examples/*.ipynb, without outputs

The scripts in `examples/` (cells after `# %%`, as jupytext reads them) are what is edited; the
notebooks are made from them, and a test holds that they agree.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
SITE = ROOT / "docs" / "examples"
LIVE = ("application/javascript", "application/vnd.holoviews", "application/vnd.jupyter.widget")
"""Kinds of output that do nothing without a kernel."""
LOADER = "esms-options"
"""In the HTML by which HoloViews loads its scripts: it shows nothing, and weighs megabytes."""
CHATTER = re.compile(
    r"^(I\d{4} [\d:.]+ +\d+ |WARNING: All log messages before absl::InitializeLog).*\n?", re.M
)
"""What TensorFlow says when it is loaded, of this machine."""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def scripts() -> list[Path]:
    """The example scripts, in order."""
    return sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))


def notebook_of(script: Path) -> Any:
    """The notebook of a script, without outputs; the same bytes every time."""
    import jupytext

    made = jupytext.read(script, fmt="py:percent")
    for number, cell in enumerate(made.cells):
        cell["id"] = f"{script.stem[:2]}-{number:02d}"
    made.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    made.nbformat, made.nbformat_minor = 4, 5
    return made


def text_of(notebook: Any) -> str:
    """A notebook as its file holds it."""
    import nbformat

    return str(nbformat.writes(notebook)) + "\n"


def run(notebook: Any, folder: Path, *, seconds: int = 1800) -> Any:
    """Run all cells from top to bottom in a folder; raises where one fails."""
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook,
        timeout=seconds,
        startup_timeout=600,  # a busy machine starts kernels slowly
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,  # a line that is renewed in place is one line
        record_timing=False,
        store_widget_state=False,
    )
    return client.execute()


def for_the_site(notebook: Any) -> Any:
    """What a page without a kernel can show: no widgets, no colour codes, no machine's paths."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            data = output.get("data", {})
            if any(kind.startswith(LIVE) for kind in data) or LOADER in data.get("text/html", ""):
                continue
            if output["output_type"] == "display_data" and not data:
                continue
            if "text" in output:
                output["text"] = _plain(output["text"])
                if not output["text"].strip():
                    continue
            if "text/plain" in data:
                data["text/plain"] = _plain(data["text/plain"])
            kept.append(output)
        cell.outputs = kept
    return notebook


def _plain(text: str) -> str:
    """Without colour codes and chatter, and of lines renewed in place the last state."""
    lines = CHATTER.sub("", re.sub(r"\x1b\[[0-9;]*m", "", text)).split("\n")
    return "\n".join(line.rsplit("\r", 1)[-1] for line in lines)


def render(chosen: Sequence[Path], out: Path) -> None:
    """Run the notebooks of scripts and write them, with what they showed, into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory(prefix="sarmap-examples-") as scratch:
        for script in chosen:
            started = time.perf_counter()
            done = run(notebook_of(script), Path(scratch))
            (out / f"{script.stem}.ipynb").write_text(text_of(for_the_site(done)), "utf-8")
            print(f"{script.stem}: {time.perf_counter() - started:.0f} s", flush=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--notebooks", action="store_true", help="rewrite examples/*.ipynb")
    parser.add_argument("--small", action="store_true", help="the small event, as the tests do")
    parser.add_argument("--only", nargs="+", metavar="NN", help="e.g. 01 05")
    parser.add_argument("--out", type=Path, default=SITE, help="default: docs/examples")
    given = parser.parse_args()
    chosen = [one for one in scripts() if not given.only or one.name[:2] in given.only]
    if given.notebooks:
        for script in chosen:
            script.with_suffix(".ipynb").write_text(text_of(notebook_of(script)), "utf-8")
        return 0
    if given.small:
        os.environ["SARMAP_EXAMPLES"] = "small"
    render(chosen, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
