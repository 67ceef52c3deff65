"""Results as a picture: one bar per configuration, with spread and floor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["draw"]


def draw(record: Mapping[str, Any], path: Path) -> Path:
    """A PNG of the benchmark's first metric."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    column = record["columns"][0]
    rows = [row for row in record["rows"] if column["key"] in row["metrics"]]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.28 * (len(rows) + len(groups))))
    ticks, labels, place = [], [], 0.0
    for group in groups:
        if group:
            ticks.append(place)
            labels.append(group.upper())
            place += 1
        for row in (row for row in rows if row["group"] == group):
            _bar(axes, row, column, place)
            ticks.append(place)
            labels.append(row["label"])
            place += 1
    axes.set_yticks(ticks, labels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(f"{column['heading']}   (bar: median; line: spread; red: floor)", fontsize=8)
    told = ["simulated scene"] * record["simulated"] + ["quick sizes"] * record["quick"]
    axes.set_title(record["title"] + (f" ({', '.join(told)})" if told else ""), fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)
    return path


def _bar(axes: Any, row: Mapping[str, Any], column: Mapping[str, Any], place: float) -> None:
    measured, scale = row["metrics"][column["key"]], column["scale"]
    middle, low, high = (measured[key] / scale for key in ("median", "low", "high"))
    axes.barh(place, middle, height=0.7, color="#4477aa")
    axes.plot([low, high], [place, place], color="black", linewidth=1.2)
    axes.text(max(high, middle), place, f" {middle:.{column['digits']}f}", va="center", fontsize=6)
    if row["floor"] and row["floor"].get("value"):
        floor = row["floor"]["value"] / scale
        axes.plot([floor, floor], [place - 0.4, place + 0.4], color="#cc3311", linewidth=1.6)
