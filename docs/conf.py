"""How the site is made: `sphinx-build -W -c docs . build/docs`, without a network.

The source folder is the repository itself, so that every page is one file with one set of links:
what leads from page to page on the site does so in a checkout and on a code host too, and the pages
of `deploy/`, `benchmarks/` and the root are shown where they lie instead of being copied.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# keras chooses its backend when it is first imported, which autodoc does for docstrings alone
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from sphinx.application import Sphinx

import sarmap

project = "sarmap"
author = "The sarmap developers"
copyright = "The sarmap developers, Apache-2.0"
version = release = sarmap.__version__

extensions = [
    "myst_nb",
    "request_fields",
    "shipped_weights",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]

root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "docs/examples/**.ipynb",
    "deploy/**.md",
    "benchmarks/README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [
    ".*",
    "build",
    "dist",
    "sarmap",
    "tests",
    "tools",
    "**/__pycache__",
    "**/.ipynb_checkpoints",
    "**.zarr",
    "**/node_modules",
    "docs/_*",
    "benchmarks/results",
]

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # `tools/render_examples.py` runs them
suppress_warnings = ["mystnb.unknown_mime_type"]  # what only a running notebook can show

default_role = "py:obj"  # `name` in a docstring: a link where there is such a name, else plain code
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
maximum_signature_line_length = 80
napoleon_use_rtype = False
add_module_names = False
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

smartquotes = False  # a quoted value stays what is typed

html_theme = "pydata_sphinx_theme"
html_title = "sarmap"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["sarmap.css"]
html_additional_pages = {"index": "to_start.html"}
html_show_sourcelink = False
html_copy_source = False
html_domain_indices = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "sarmap"},
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "navigation_depth": 3,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


COLON = "\ue000"
"""Stands for a colon while napoleon reads."""


def list_notebooks(app: Sphinx, docname: str, source: list[str]) -> None:
    """The notebooks that were run before, below the page that tells of them; maybe none."""
    if docname == "docs/examples/index":
        found = sorted(file.stem for file in (Path(app.srcdir) / "docs/examples").glob("*.ipynb"))
        app.env.note_reread()  # they come and go without a change of this page
        source[0] += "\n".join(["", "```{toctree}", ":maxdepth: 1", "", *found, "```", ""])


def hide_colons(*event: Any) -> None:
    """Keep napoleon from taking what stands before a colon for an attribute's type."""
    _, what, *_, lines = event
    if what in ("attribute", "data", "property"):
        lines[:] = [line.replace(":", COLON) for line in lines[:1]] + lines[1:]


def show_colons(*event: Any) -> None:
    """Undo `hide_colons`, after napoleon."""
    lines = event[-1]
    lines[:] = [line.replace(COLON, ":") for line in lines]


def setup(app: Sphinx) -> None:
    """Extend Sphinx by what is this site's own."""
    app.connect("autodoc-process-docstring", hide_colons, priority=400)
    app.connect("autodoc-process-docstring", show_colons, priority=600)
    app.connect("source-read", list_notebooks)
