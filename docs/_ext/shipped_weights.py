"""The directive `shipped-weights`: what the manifests in the package say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import sarmap

__all__ = ["rows", "setup"]

HEADINGS = ("weights", "bands", "trained on", "scored on", "precision", "recall", "F1", "IoU")
DATA = Path(sarmap.__file__).parent / "detect" / "data"


def rows() -> list[tuple[str, ...]]:
    """One row per score of each shipped network."""
    found = []
    for file in sorted(DATA.glob("*.json")):
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        kind = "simulated events" if manifest["simulated"] else "real events"
        told = [manifest["name"], ", ".join(manifest["bands"]), kind]
        for what, scores in manifest["scores"].items():
            shares = [f"{scores[key]:.2f}" for key in ("precision", "recall", "f1", "iou")]
            found.append((*told, what, *shares))
            told = ["", "", ""]
    return found


class ShippedWeights(SphinxDirective):
    """A table of the weights in the package, with their scores."""

    def run(self) -> list[nodes.Node]:
        """The table."""
        table = nodes.table()
        group = nodes.tgroup(cols=len(HEADINGS))
        table += group
        group += [nodes.colspec(colwidth=1) for _ in HEADINGS]
        group += nodes.thead("", _row(HEADINGS))
        group += nodes.tbody("", *map(_row, rows()))
        return [table]


def _row(texts: tuple[str, ...]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in texts))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("shipped-weights", ShippedWeights)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
