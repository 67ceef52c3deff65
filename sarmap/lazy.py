"""Names of a package that load when first used, listed once: in the stub beside it."""

from __future__ import annotations

import os
import re


def homes_of(package: str) -> dict[str, str]:
    """Name -> module, of all ``from module import name as name`` in the ``__init__.pyi`` of a
    package's ``__file__``.
    """
    # neither ast nor pathlib: to import them takes half of what `import sarmap` then takes
    with open(os.path.splitext(package)[0] + ".pyi", encoding="utf-8") as stub:  # noqa: PTH122, PTH123
        return {name: home for home, name in re.findall(r"from (\S+) import (\w+) as", stub.read())}
