"""Pictures of an assessment: the map of outcomes, precision and recall, reliability."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sarmap.assess.assessment import Assessment
from sarmap.assess.outcomes import COLOURS, MEANINGS, outcome_image
from sarmap.assess.scores import Confusion
from sarmap.draw.colours import painted
from sarmap.draw.panels import busiest_square, extent_of, furnish, mark_simulated

_DPI = 150
_MAX_SIZE = 1600
"""Most pixels along an edge of the outcomes."""
_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#777777"


def draw_outcomes(assessment: Assessment, image: Path, file: Path) -> None:
    """The outcomes of the whole map in the colours of `COLOURS`, with a close look."""
    from matplotlib.figure import Figure

    grid = assessment.labels.grid
    small = outcome_image(image, _MAX_SIZE)
    whole = extent_of(grid)
    slides = (small > Confusion.TRUE_NEGATIVE) & (small <= Confusion.FALSE_NEGATIVE)
    square = busiest_square(slides, whole)
    tall = 8.2
    wide = tall * whole.width / whole.height
    width = min(max(wide + (6.2 if square else 0) + 2.2, 8.0), 16.0)
    figure = Figure(figsize=(width, tall), layout="constrained", dpi=_DPI)
    ratios = [wide, 6.0] if square else [1]
    panels = np.atleast_1d(figure.subplots(1, len(ratios), width_ratios=ratios))
    colours = painted(small, COLOURS)
    for panel, shown in zip(panels, [whole, square] if square else [whole], strict=True):
        panel.imshow(colours, extent=whole.edges, interpolation="nearest")
        furnish(panel, shown, grid.crs, ticks="both" if shown is whole else "none")
        if assessment.made.simulated:
            mark_simulated(panel, 40)
    panels[0].set_title("whole map", fontsize=10)
    if square:
        panels[1].set_title("close look at the most landslides", fontsize=10)
    figure.suptitle(_title(assessment), fontsize=12)
    _legend(figure, assessment)
    figure.savefig(file, metadata=_metadata(assessment))


def _title(assessment: Assessment) -> str:
    scores = assessment.scores
    mark = "SIMULATED: " if assessment.made.simulated else ""
    return (
        f"{mark}{assessment.made.detector or 'map'} against the inventory, threshold "
        f"{scores.threshold:g}\n{scores}"
    )


def _legend(figure: Any, assessment: Assessment) -> None:
    from matplotlib.patches import Patch

    scores, unit = assessment.scores, assessment.tally.pixel_area / 1e6
    counts = {
        Confusion.TRUE_POSITIVE: scores.true_positive,
        Confusion.FALSE_POSITIVE: scores.false_positive,
        Confusion.FALSE_NEGATIVE: scores.false_negative,
        Confusion.TRUE_NEGATIVE: scores.true_negative,
        Confusion.UNSEEN: assessment.tally.unseen,
        Confusion.NOT_LABELLED: assessment.tally.unlabelled,
    }
    entries = [
        Patch(
            facecolor=COLOURS[code],
            edgecolor="black",
            label=f"{MEANINGS[code].replace('_', ' ')}: {count * unit:,.1f} km²",
        )
        for code, count in counts.items()
        if count or code < Confusion.NOT_LABELLED
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=3, fontsize=9, frameon=False)


def _metadata(assessment: Assessment) -> dict[str, str]:
    made = assessment.made
    text = {
        "Title": _title(assessment).replace("\n", "; "),
        "Simulated": "YES" if made.simulated else "NO",
        "Copyright": made.attribution,
    }
    return {key: value for key, value in text.items() if value}


def draw_curve(assessment: Assessment, file: Path) -> None:
    """Precision over recall, with the asked threshold and the one validation chose."""
    curve, scores = assessment.curve, assessment.scores
    figure, panel = _square(assessment, "Precision and recall at every threshold")
    panel.plot(curve.recall, curve.precision, color=_BLUE, linewidth=2)
    points = [(scores.threshold, _ORANGE, "asked")]
    if not np.isnan(assessment.chosen):
        points.append((assessment.chosen, "black", "validation's choice"))
    for threshold, colour, name in points:
        at = int(np.argmin(np.abs(curve.threshold - threshold)))
        label = f"{name}: threshold {threshold:.2f}, F1 {100 * curve.f1[at]:.1f} %"
        panel.plot(curve.recall[at], curve.precision[at], "o", color=colour, label=label)
    share = scores.true_positive + scores.false_negative
    base = share / scores.pixels if scores.pixels else 0.0
    panel.axhline(
        base, color=_GREY, linestyle=":", label=f"all called landslide: {100 * base:.1f} %"
    )
    panel.set_xlabel("recall")
    panel.set_ylabel("precision")
    panel.legend(fontsize=8)
    figure.savefig(file, metadata=_metadata(assessment))


def draw_reliability(assessment: Assessment, file: Path) -> None:
    """Said against true share of landslide, before and after calibration, on the test blocks."""
    figure, panel = _square(assessment, "Is 0.7 right seven times in ten?")
    panel.plot([0, 1], [0, 1], color=_GREY, linestyle=":", label="as said")
    shown = assessment.test_reliability or (assessment.reliability,)
    names = ("as the detector says", "calibrated on validation")
    for one, colour, name in zip(shown, (_ORANGE, _BLUE), names, strict=False):
        held = one.pixels > 0
        label = f"{name}: mean error {100 * one.expected_error:.1f} points, Brier {one.brier:.3f}"
        panel.plot(one.said[held], one.true[held], "o-", color=colour, label=label)
    panel.set_xlabel("probability")
    panel.set_ylabel("share that is landslide")
    panel.legend(fontsize=8, loc="upper left")
    figure.savefig(file, metadata=_metadata(assessment))


def _square(assessment: Assessment, title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 6.2), layout="constrained", dpi=_DPI)
    panel = figure.subplots()
    mark = "SIMULATED: " if assessment.made.simulated else ""
    panel.set_title(f"{mark}{title}", fontsize=11)
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)
    panel.set_aspect("equal")
    panel.grid(color="#dddddd", linewidth=0.6)
    if assessment.made.simulated:
        mark_simulated(panel, 40)
    return figure, panel
