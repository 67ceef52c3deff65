"""Are the answers the same? Every benchmark asks before it shows a figure.

A task saves what it computed (`save`); the first configuration of a family is the reference, and
all others are compared with it, bit for bit or within their tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "Judge", "compare", "save"]


@dataclass(frozen=True)
class Comparison:
    """How an answer differs from its family's reference."""

    family: str
    """What both answer."""
    label: str
    """Configuration that was compared."""
    reference: str
    """Configuration it was compared with."""
    identical: bool
    """True where it differs by no more than its tolerance."""
    tolerance: float
    """Largest difference allowed."""
    largest: float | None
    """Largest difference found; None where the answers have not the same shape or gaps."""
    differing: int
    """Values that differ at all."""
    values: int
    """Values compared."""

    def record(self) -> dict[str, Any]:
        """For the result file."""
        return asdict(self)


def save(path: str | Path, **layers: NDArray[Any]) -> None:
    """Keep an answer: named arrays; not a number stands for *no answer*."""
    np.savez(path, **layers)


def compare(
    one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]
) -> tuple[float | None, int, int]:
    """Largest difference, values that differ, and values compared.

    The largest difference is None where shapes, names or gaps differ.
    """
    values = sum(layer.size for layer in one.values())
    if {name: layer.shape for name, layer in one.items()} != {
        name: layer.shape for name, layer in other.items()
    }:
        return None, values, values
    largest, differing, gaps = 0.0, 0, False
    for name, layer in one.items():
        a, b = layer.astype(np.float64), other[name].astype(np.float64)
        same_gap = np.isnan(a) & np.isnan(b)
        unequal = (a != b) & ~same_gap
        differing += int(unequal.sum())
        gaps = gaps or bool((np.isnan(a) != np.isnan(b)).any())
        if unequal.any() and not gaps:
            largest = max(largest, float(np.nanmax(np.abs(a - b)[unequal])))
    return (None if gaps else largest), differing, values


@dataclass
class Judge:
    """Compares answers as they come, keeping one reference per family."""

    references: dict[str, tuple[str, Path]] = field(default_factory=dict)
    """Family -> label and file of its reference."""
    found: list[Comparison] = field(default_factory=list)
    """Every comparison made."""

    def hear(self, family: str, label: str, path: Path, tolerance: float) -> Comparison | None:
        """Compare an answer with its family's reference; None for the reference itself."""
        if family not in self.references:
            self.references[family] = (label, path)
            return None
        reference, kept = self.references[family]
        with np.load(kept) as first, np.load(path) as answer:
            largest, differing, values = compare(dict(first), dict(answer))
        same = largest is not None and largest <= tolerance
        made = Comparison(family, label, reference, same, tolerance, largest, differing, values)
        self.found.append(made)
        if path != kept:
            path.unlink()
        return made

    def remember(self, record: Mapping[str, Any]) -> None:
        """Take over a comparison of an interrupted run."""
        self.found.append(Comparison(**record))

    @property
    def identical(self) -> bool:
        """True where no answer differed by more than its tolerance."""
        return all(one.identical for one in self.found)

    def record(self) -> dict[str, Any]:
        """For the result file."""
        return {"identical": self.identical, "compared": [one.record() for one in self.found]}
