"""An assessment as a folder: what a person reads, and what a program reads.

``assessment.md`` and ``assessment.json``; ``confusion.tif``, ``confusion.zarr``, ``confusion.png``;
``precision_recall.csv`` and ``.png``; ``reliability.csv`` and ``.png``; ``landslides.gpkg`` (how
much of each landslide was found); ``calibration.json``. The folder appears whole or not at all.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sarmap.assess.assessment import Assessment, assess_map, require_counted
from sarmap.assess.intervals import Interval
from sarmap.assess.outcomes import write_outcome_zarr, writing_outcomes
from sarmap.assess.slides import HitRow
from sarmap.errors import OutputError, RequestError
from sarmap.store.reading import open_reader

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame


def assess_into(
    source: xr.Dataset | str | Path,
    inventory: GeoDataFrame | str | Path,
    out: str | Path,
    *,
    overwrite: bool = False,
    **options: Any,
) -> Assessment:
    """Assess a map and write all that was found to a folder.

    Parameters
    ----------
    source, inventory
        As in `sarmap.assess.assessment.assess_map`, as are `options`.
    out
        Folder.
    overwrite
        Replace an earlier assessment; a folder that is none is never replaced.

    Raises
    ------
    RequestError
        As `assess_map`; the folder exists; or no pixel counts.
    OutputError
        The folder cannot be written.
    """
    from sarmap.assess.pictures import draw_curve, draw_outcomes, draw_reliability

    reader = open_reader(source)
    with _folder(Path(out).expanduser(), overwrite) as folder:
        image = folder / "confusion.tif"
        with writing_outcomes(image, reader.grid, reader.provenance) as sink:
            found = assess_map(source, inventory, sink=sink, **options)
        require_counted(found)
        write_outcome_zarr(image, folder / "confusion.zarr", reader.grid, found.made)
        draw_outcomes(found, image, folder / "confusion.png")
        draw_curve(found, folder / "precision_recall.png")
        draw_reliability(found, folder / "reliability.png")
        _write_tables(found, folder)
        _write_landslides(found, folder / "landslides.gpkg")
        if found.calibration is not None:
            found.calibration.write(folder / "calibration.json")
    return found


@contextmanager
def _folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder beside `out` that takes its place when all went well."""
    if out.exists() and not (overwrite and (out / "assessment.json").is_file()):
        hint = "it is no earlier assessment" if overwrite else "give --overwrite to replace it"
        raise RequestError(f"{out.name} exists already ({hint}), or choose another --out.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sarmap-", dir=out.parent) as place:
            fresh = Path(place) / out.name
            fresh.mkdir()
            yield fresh
            if out.exists():
                shutil.rmtree(out)
            fresh.rename(out)
    except OSError as error:
        raise OutputError(
            f"{out.name} cannot be written ({error.strerror or type(error).__name__}): choose "
            "another --out."
        ) from error


def _write_tables(found: Assessment, folder: Path) -> None:
    record = json.dumps(found.record(), indent=1, allow_nan=False)
    (folder / "assessment.json").write_text(record + "\n", encoding="utf-8")
    (folder / "assessment.md").write_text(markdown(found), encoding="utf-8")
    curve, bins = found.curve, found.reliability
    _write_csv(
        folder / "precision_recall.csv",
        ("threshold", "precision", "recall", "f1"),
        zip(curve.threshold, curve.precision, curve.recall, curve.f1, strict=True),
    )
    _write_csv(
        folder / "reliability.csv",
        ("from", "to", "probability", "share", "pixels"),
        zip(bins.edges[:-1], bins.edges[1:], bins.said, bins.true, bins.pixels, strict=True),
    )


def _write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Numbers with six digits; undefined ones empty."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for row in rows:
            writer.writerow(["" if math.isnan(value) else f"{value:.6g}" for value in row])


def _write_landslides(found: Assessment, file: Path) -> None:
    """The inventory with what was found of each landslide."""
    import pyogrio

    tally = found.tally
    frame = found.labels.landslides[[found.labels.landslides.geometry.name]].copy()
    frame["area_m2"] = found.labels.landslides.area
    frame["pixels"], frame["pixels_seen"] = tally.slide_pixels, tally.slide_seen
    with np.errstate(invalid="ignore", divide="ignore"):
        frame["share_found"] = tally.slide_called / tally.slide_seen
    frame["simulated"] = found.made.simulated
    pyogrio.write_dataframe(frame, file, layer="landslides")


def markdown(found: Assessment) -> str:
    """An assessment for a person, as Markdown."""
    parts = [_head(found), _scores(found), _choice(found), _landslides(found), _alarms(found)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(found: Assessment) -> str:
    made = found.made
    lines = [f"# {'SIMULATED: ' if made.simulated else ''}A map against an inventory", ""]
    if made.simulated:
        lines += [
            "**The event is simulated: nothing here happened, nothing here was measured.**",
            "",
        ]
    km2 = found.scores.pixels * found.tally.pixel_area / 1e6
    unit = found.tally.pixel_area / 1e6
    lines.append(
        f"Detector {made.detector or 'unknown'}; {km2:,.1f} km² count, "
        f"{found.tally.unseen * unit:,.1f} km² were not seen and "
        f"{found.tally.unlabelled * unit:,.1f} km² are not labelled, and count nowhere."
    )
    repaired = found.labels.repaired
    if repaired or found.labels.dropped:
        lines.append(
            f"Of the inventory {repaired:,} outlines were repaired and {found.labels.dropped:,} "
            "geometries that are no polygons left out."
        )
    return "\n".join(lines)


def _scores(found: Assessment) -> str:
    scores, rows = found.scores, []
    for name, text in (
        ("f1", "F1"),
        ("iou", "IoU"),
        ("precision", "precision"),
        ("recall", "recall"),
        ("accuracy", "accuracy"),
    ):
        value = getattr(scores, name)
        rows.append((text, _percent(value), _percents(found.intervals[name])))
    area = found.mapped_interval
    size = found.tally.block * math.sqrt(found.tally.pixel_area) / 1000
    return "\n".join(
        [
            f"## Scores at threshold {scores.threshold:g}",
            "",
            _table(("score", "value", "95 % interval"), rows),
            "",
            f"Intervals: blocks of {size:.2g} km redrawn 1,000 times. Split: the whole map.",
            "",
            f"Mapped {found.mapped_km2:,.2f} km² ({_range(area, '{:,.2f}')}); the inventory has "
            f"{found.true_km2:,.2f} km².",
            *_beyond(found),
        ]
    )


def _beyond(found: Assessment) -> list[str]:
    """What the control leaves of the mapped area, beside the truth."""
    if found.beyond_control is None:
        return []
    value, interval = found.beyond_control
    if math.isnan(value):
        return ["", "The map's control saw none of the ground that counts."]
    side = "within" if interval.low <= found.true_km2 <= interval.high else "outside"
    verdict = "" if math.isnan(interval.low) else f"; the true area lies {side} it"
    return [
        "",
        f"Beyond what its control calls landslide: {value:,.2f} km² "
        f"({_range(interval, '{:,.2f}')}){verdict}.",
    ]


def _choice(found: Assessment) -> str:
    if found.chosen_scores is None:
        return "## Threshold and calibration\n\nThe map is too small to choose either honestly."
    scores, lines = found.chosen_scores, ["## Threshold and calibration", ""]
    lines.append(
        f"Half of the blocks (a chequerboard) choose threshold {found.chosen:.3f}; on the other "
        f"half it gives {scores} (F1 {_percents(found.chosen_intervals['f1'])}). Average precision "
        f"of the whole map {_percent(found.curve.average_precision)}."
    )
    if found.test_reliability is not None:
        before, after = (100 * one.expected_error for one in found.test_reliability)
        lines.append("")
        lines.append(
            f"A probability is off by {before:.1f} points in the mean on the other half, by "
            f"{after:.1f} after an isotonic calibration (`calibration.json`)."
        )
    return "\n".join(lines)


def _landslides(found: Assessment) -> str:
    header = ("landslides", "number", "hit", "share", "95 % interval", "half mapped", "no pixel")
    parts = ["## Landslides found", "", _table(header, map(_hit_cells, found.sizes))]
    for state, rows in found.facings.items():
        parts += ["", f"By the way the slope faces, {state} orbit:", ""]
        parts.append(_table(header, map(_hit_cells, rows)))
    return "\n".join(
        [*parts, "", "Hit: at least one pixel mapped. No pixel: too small, not seen, not labelled."]
    )


def _hit_cells(row: HitRow) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.landslides:,}",
        f"{row.hit:,}",
        _percent(row.share),
        _percents(row.interval),
        f"{row.half:,}",
        f"{row.too_small:,}",
    )


def _alarms(found: Assessment) -> str:
    lines = ["## False alarms", ""]
    if found.objects is not None:
        lines.append(
            f"{found.objects.false:,} of {found.objects.mapped:,} mapped polygons touch no "
            f"landslide: {found.objects.false_per_km2:.2f} per km²."
        )
    unit = found.tally.pixel_area / 1e6
    land = (found.scores.false_positive + found.scores.true_negative) * unit
    alarms = found.scores.false_positive * unit
    lines.append(
        f"{alarms:,.2f} km² of {land:,.1f} km² without landslide "
        f"({1e6 * alarms / land if land else math.nan:,.0f} m² per km²)."
    )
    if found.covers:
        header = ("land cover", "km² without landslide", "false km²", "false m² per km²")
        rows = [
            (row.name, f"{row.km2:,.1f}", f"{row.false_km2:,.2f}", f"{1e6 * row.share:,.0f}")
            for row in found.covers
        ]
        lines += ["", _table(header, rows)]
    return "\n".join(lines)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{100 * value:.1f} %"


def _percents(interval: Interval) -> str:
    scaled = Interval(100 * interval.low, 100 * interval.high)
    return _range(scaled, "{:.1f}") + ("" if math.isnan(scaled.low) else " %")


def _range(interval: Interval, form: str) -> str:
    if math.isnan(interval.low):
        return "no interval: too few blocks"
    return f"{form.format(interval.low)} to {form.format(interval.high)}"
