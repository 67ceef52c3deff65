"""Names of a package that load when first used, listed once: in the stub beside it."""

from __future__ import annotations

import ast
from pathlib import Path


def homes_of(package: str) -> dict[str, str]:
    """Name -> module, of all ``from module import name as name`` in the ``__init__.pyi`` of a
    package's ``__file__``.
    """
    stub = ast.parse(Path(package).with_name("__init__.pyi").read_text("utf-8"))
    lines = [line for line in stub.body if isinstance(line, ast.ImportFrom)]
    return {one.name: str(line.module) for line in lines for one in line.names}
