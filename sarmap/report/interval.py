"""How sure the mapped area is, at every threshold of the page, and in words what that means.

With an assessment (`sarmap assess --out FOLDER`) the true area is estimated from how the map erred
there: the interval is that of the share mapped / true, by resampled blocks. A map with a control
(`sarmap map --control`) tells the area beyond what its detector calls landslide anyway. Without
either there is no error to go by, and the page says so: it shows how far the area moves when the
threshold does.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.export.control_words import described
from sarmap.report.cells import LEVELS
from sarmap.request_file import as_path
from sarmap.store.encoding import PROBABILITY_STEP, threshold_level

if TYPE_CHECKING:
    from sarmap.assess.control import ControlFigures

_SPAN = 0.1
Values = NDArray[np.float64]


@dataclass(frozen=True)
class AreaInterval:
    """Factors by which the mapped area is multiplied, one per packed threshold 0 to 250."""

    kind: str
    """'assessment', 'control' or 'threshold'."""
    low: Values
    """Lower end; NaN where unknown."""
    high: Values
    """Upper end; NaN where unknown."""
    best: Values
    """Estimate of the true area; NaN where there is none."""
    short: str
    """What the ends are, in a few words."""
    text: str
    """What the interval is and is not, in sentences."""

    def record(self) -> dict[str, Any]:
        """For the page; undefined numbers as None."""
        return {
            "kind": self.kind,
            "low": _plain(self.low),
            "high": _plain(self.high),
            "best": _plain(self.best),
            "short": self.short,
            "text": self.text,
        }


def _plain(values: Values) -> list[float | None]:
    return [round(float(v), 5) if np.isfinite(v) else None for v in values]


def from_threshold(histogram: NDArray[np.int64]) -> AreaInterval:
    """The area at thresholds a tenth higher and lower, from the map's own probabilities.

    >>> counts = np.zeros(251, int)
    >>> counts[[100, 125, 150]] = 10, 20, 30
    >>> found = from_threshold(counts)
    >>> float(found.low[125]), float(found.high[125])
    (0.6, 1.2)
    """
    above = histogram[::-1].cumsum()[::-1].astype(np.float64)
    level = np.arange(LEVELS)
    span = round(_SPAN / PROBABILITY_STEP)
    with np.errstate(invalid="ignore", divide="ignore"):
        low = above[np.minimum(level + span, LEVELS - 1)] / above
        high = above[np.maximum(level - span, 1)] / above
    return AreaInterval(
        "threshold",
        np.where(above > 0, low, np.nan),
        np.where(above > 0, high, np.nan),
        np.full(LEVELS, np.nan),
        "area at thresholds 0.1 higher and lower",
        "This map was not compared with an inventory, so nothing is known of its errors. The range "
        "only shows how far the mapped area moves when the threshold is 0.1 higher or lower: it is "
        "no confidence interval. Where the radar could not see, nothing was mapped.",
    )


def from_control(
    figures: ControlFigures, histogram: NDArray[np.int64], control: NDArray[np.int64]
) -> AreaInterval:
    """The area beyond what the same detector calls landslide before the event, from pixels by
    probability (251) of the map and of its control.

    At the threshold of `figures` the interval is theirs (95 %, by resampled blocks); at others the
    area is that of the counts, and the interval keeps its width relative to it.
    """
    mapped, false = (one[::-1].cumsum()[::-1].astype(np.float64) for one in (histogram, control))
    with np.errstate(invalid="ignore", divide="ignore"):
        best = np.clip(1 - false / false[0] * mapped[0] / mapped, 0, None)
        low, high = (
            best * end / figures.beyond_km2 for end in (figures.interval.low, figures.interval.high)
        )
    return AreaInterval(
        "control",
        np.clip(low, 0, None),
        high,
        best,
        "95 % interval beyond what is called landslide before the event too",
        f"{described(figures.record())} The interval comes from resampled blocks at threshold "
        f"{figures.threshold:g} and keeps its relative width at others. It says nothing of "
        "landslides that were missed, nor of changes that came with the event but are no "
        "landslides; where the radar could not see, nothing was mapped.",
    )


def from_assessment(folder: str | Path) -> AreaInterval:
    """Estimate and 95 % interval of the true area, from how a map erred where it was assessed, in
    the folder that `sarmap assess --out` wrote.

    Mapped area is divided by the share mapped / true. The share is known with its interval at the
    assessed threshold; at others it follows the precision-recall curve, and the interval keeps its
    relative width. RequestError where it is no such folder, or had too few blocks for an interval.
    """
    path = as_path(folder)
    path = path.parent if path.name == "assessment.json" else path
    try:
        record = json.loads((path / "assessment.json").read_text(encoding="utf-8"))
        low, high = record["intervals"]["mapped_share"]
        scores = record["scores"]
        share = float(record["mapped_km2"]) / float(record["true_km2"])
        assessed = float(scores["threshold"])
        curve = _curve(path / "precision_recall.csv")
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise RequestError(
            f"--assessment {path.name!r} is no folder that `sarmap assess --out` wrote."
        ) from error
    if low is None or high is None or low <= 0:
        raise RequestError(
            f"--assessment {path.name!r} had too few blocks for an interval: assess a larger area."
        )
    relative = curve / curve[threshold_level(assessed)]
    with np.errstate(invalid="ignore", divide="ignore"):
        best = 1 / (share * relative)
    simulated = "a SIMULATED event" if record.get("simulated") else "a real event"
    return AreaInterval(
        "assessment",
        best * share / high,
        best * share / low,
        best,
        "95 % interval of the true area",
        f"The true area, if this map errs as the map of {simulated} by detector "
        f"{record.get('detector') or 'unknown'!r} did that was assessed against an inventory at "
        f"threshold {assessed:g}: mapped area divided by mapped / true = {share:.2f} "
        f"({low:.2f} to {high:.2f}, 95 % block bootstrap). At other thresholds the share follows "
        "that map's precision-recall curve and the interval keeps its relative width. It does not "
        "cover ground that the radar could not see.",
    )


def _curve(file: Path) -> Values:
    """Mapped / true at each packed threshold: recall over precision."""
    share = np.full(LEVELS, np.nan)
    with file.open(newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            precision, recall = row["precision"], row["recall"]
            if precision and recall and float(precision) > 0 and float(recall) > 0:
                share[threshold_level(float(row["threshold"]))] = float(recall) / float(precision)
    if not np.isfinite(share).any():
        raise ValueError("an empty curve")
    return share
