"""The papers' own figures, as far as they are at hand; what is not is None, never a guess.

- Nava, Monserrat, Catani 2021, IEEE GRSL, doi:10.1109/LGRS.2021.3127073: its table of accuracy,
  precision and recall of nine composites (the table's number is not at hand).
- Nava, Bhuyan, Meena, Monserrat, Catani 2022, Remote Sensing 14, 1449, doi:10.3390/rs14061449:
  Tables 4 and 5 hold the scores of four composites with and without augmentation. Of them only the
  best row and one precision are given in its text. The precision of A_BAA_S is left out because the
  paper contradicts itself: recall 71.60 with F1 61.15 implies 53.4, its discussion 55.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """Scores a paper gives for one row, percent; None where they are not at hand."""

    table: str
    """Where in the paper."""
    accuracy: float | None = None
    """Percent."""
    precision: float | None = None
    """Percent."""
    recall: float | None = None
    """Percent."""
    f1: float | None = None
    """Percent."""
    iou: float | None = None
    """Percent."""

    @property
    def known(self) -> bool:
        """Whether any figure of the row is at hand."""
        figures = (self.accuracy, self.precision, self.recall, self.f1, self.iou)
        return any(value is not None for value in figures)


_TABLE1 = "Nava et al. 2021, table of results"
_TABLES2 = "Nava et al. 2022, Tables 4 and 5"

PAPER1: Mapping[str, Figure] = {
    "RGB": Figure(_TABLE1, 99.20, 99.60, 98.81),
    "SSD": Figure(_TABLE1, 86.63, 92.24, 80.16),
    "SSS": Figure(_TABLE1, 80.84, 82.77, 78.17),
    "BAD": Figure(_TABLE1, 89.96, 95.83, 83.47),
    "BAS": Figure(_TABLE1, 88.55, 96.58, 79.84),
    "HHH": Figure(_TABLE1, 81.87, 93.22, 68.75),
    "BAA": Figure(_TABLE1, 94.17, 97.32, 90.83),
    "BAC": Figure(_TABLE1, 90.83, 93.36, 87.92),
    "BAH": Figure(_TABLE1, 93.33, 95.22, 91.25),
}
"""Paper 1 by composite, in the paper's order."""

PAPER2: Mapping[tuple[str, bool], Figure] = {
    (composite, augmented): Figure(_TABLES2)
    for composite in ("D_BA_S", "A_BA_S", "D_BAA_S", "A_BAA_S")
    for augmented in (False, True)
} | {
    ("A_BAA_S", True): Figure(_TABLES2, recall=71.60, f1=61.15, iou=44.13),
    ("A_BA_S", False): Figure(_TABLES2, precision=57.16),
}
"""Paper 2 by composite and whether it was augmented."""


def paper2_figure(composite: str, augmented: bool) -> Figure:
    """The paper's row; empty for rows that the paper does not table, such as both orbits averaged.

    >>> paper2_figure("A_BAA_S", True).f1, paper2_figure("both BAA_S", True).f1
    (61.15, None)
    """
    none = Figure("Nava et al. 2022: said to be below the ascending orbit alone, without a figure")
    return PAPER2.get((composite, augmented), none)
