"""The papers' figures are theirs, and an absent one is absent."""

from sarmap.compose.names import COMPOSITES
from sarmap.papers.table import PAPER1, PAPER2, paper2_figure


def test_the_rows_are_the_papers_composites():
    assert list(PAPER1) == ["RGB", "SSD", "SSS", "BAD", "BAS", "HHH", "BAA", "BAC", "BAH"]
    assert {name for name, _ in PAPER2} == {"D_BA_S", "A_BA_S", "D_BAA_S", "A_BAA_S"}
    assert {*PAPER1, *(name for name, _ in PAPER2)} <= set(COMPOSITES)


def test_figures_that_the_abstracts_repeat():
    assert PAPER1["RGB"].accuracy == 99.20
    assert max(PAPER1, key=lambda name: (name != "RGB", PAPER1[name].accuracy)) == "BAA"
    assert paper2_figure("A_BAA_S", True).f1 == 61.15


def test_what_is_not_at_hand_is_none():
    given = {
        (row, name)
        for row, figure in PAPER2.items()
        for name in ("accuracy", "precision", "recall", "f1", "iou")
        if getattr(figure, name) is not None
    }
    best = ("A_BAA_S", True)
    assert {row for row, figure in PAPER2.items() if figure.known} == {row for row, _ in given}
    assert given == {
        (best, "recall"),
        (best, "f1"),
        (best, "iou"),
        (("A_BA_S", False), "precision"),
    }
