"""What correcting one part of a map gives in the rest of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.tasks.requests import make_request

__all__ = ["corrected"]

SCORED_FROM = 0.5
"""Share of the columns west of what is scored: no correction may reach there."""


def corrected(detector: str, share: float, inventory: str, **place: Any) -> dict[str, Any]:
    """Map, correct a western strip, fine-tune, map anew; both scored in the eastern half.

    Parameters
    ----------
    detector
        Shipped weights by name.
    share
        Of the event's width, corrected: up to 0.5.
    inventory
        The event's polygons: what an analyst would draw in the strip.
    place
        Of `make_request`.
    """
    import geopandas

    import sarmap
    from sarmap.assess.comparison import compare_maps
    from sarmap.learn.corrections import learn_corrections

    if share > SCORED_FROM:
        raise ValueError(f"share={share:g} would correct what is scored")
    with tempfile.TemporaryDirectory(prefix="sarmap-bench-") as folder:
        work = Path(folder)
        first = make_request(out=str(work / "first.zarr"), detector=detector, **place)
        sarmap.map_landslides(first)
        reviewed = _strip(first.area, 0.0, share, work / "reviewed.gpkg")
        polygons = geopandas.read_file(inventory, mask=geopandas.read_file(reviewed))
        polygons.to_file(work / "corrected.gpkg")
        result = learn_corrections(
            work / "corrected.gpkg",
            first.out,
            out=work / "weights",
            catalog=place["catalog"],
            reviewed=reviewed,
        )
        weights = str(work / "weights")
        second = make_request(out=str(work / "second.zarr"), detector=weights, **place)
        sarmap.map_landslides(second)
        scored = _strip(first.area, SCORED_FROM, 1.0, work / "scored.gpkg")
        found = compare_maps(first.out, second.out, inventory=inventory, surveyed=scored)
    before, after = found.scores["first"], found.scores["second"]
    gain, held = found.intervals["gain"]["f1"], result.gain
    return {
        "metrics": {
            "f1_before": before["f1"],
            "f1_after": after["f1"],
            "gain": after["f1"] - before["f1"],
            "gain_low": gain.low,
            "gain_high": gain.high,
            "precision_after": after["precision"],
            "recall_after": after["recall"],
            "held_out": held.after - held.before,
            "polygons": len(polygons),
            "minutes": sum(one["seconds"] for one in result.training.history) / 60,
        }
    }


def _strip(grid: Any, start: float, end: float, out: Path) -> Path:
    """A file with the columns between two shares of a grid's width."""
    import geopandas
    import shapely

    rows, columns = grid.shape
    left, top = grid.transform * (round(start * columns), 0)
    right, bottom = grid.transform * (round(end * columns), rows)
    box = shapely.box(min(left, right), min(top, bottom), max(left, right), max(top, bottom))
    geopandas.GeoDataFrame(geometry=[box], crs=grid.crs.to_wkt()).to_file(out)
    return out
