"""The directive `request-fields`: the fields of a request as a table, from the model itself."""

from __future__ import annotations

import importlib
from typing import Any

from docutils import nodes
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["rows", "setup"]

HEADINGS = ("field", "default", "what it is")


def rows(model: type[BaseModel]) -> list[tuple[str, str, str]]:
    """Name, default and description of each field that a model adds to its parent, or changes.

    >>> from sarmap.types import MapRequest
    >>> rows(MapRequest)[0][:2]
    ('area', 'needed')
    """
    found = []
    inherited = getattr(model.__mro__[1], "model_fields", {})
    for name, field in model.model_fields.items():
        if name in inherited and _told(field) == _told(inherited[name]):
            continue
        default = "needed" if field.default is PydanticUndefined else repr(field.default)
        found.append((name, default, field.description or ""))
    return found


def _told(field: FieldInfo) -> tuple[Any, str | None]:
    return field.default, field.description


class RequestFields(SphinxDirective):
    """A table of a model's fields; the argument is its full name, `sarmap.types.MapRequest`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table."""
        module, _, name = self.arguments[0].rpartition(".")
        model = getattr(importlib.import_module(module), name)
        self.env.note_dependency(str(importlib.import_module(module).__file__))
        table = nodes.table(classes=["request-fields"])
        group = nodes.tgroup(cols=len(HEADINGS))
        table += group
        group += [nodes.colspec(colwidth=width) for width in (20, 25, 55)]
        group += nodes.thead("", _row(HEADINGS))
        group += nodes.tbody("", *(_row(row, code=2) for row in rows(model)))
        return [table]


def _row(texts: tuple[str, ...], *, code: int = 0) -> nodes.row:
    """One row, its first `code` entries set as code."""
    entries = []
    for number, text in enumerate(texts):
        shown = nodes.literal(text, text) if number < code else nodes.Text(text)
        entries.append(nodes.entry("", nodes.paragraph("", "", shown)))
    return nodes.row("", *entries)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("request-fields", RequestFields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
