"""Pictures for notebooks and papers: one function per thing one looks at.

They load when first used; ``__init__.pyi`` lists them.
"""

from __future__ import annotations

import importlib
from typing import Any

from sarmap.lazy import homes_of

_HOMES = homes_of(__file__)
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sarmap.plot' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
