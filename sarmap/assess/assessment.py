"""Everything one asks of a map beside an inventory, from one pass over it.

Half of the map's blocks, in a chequerboard, are *validation*: the threshold and the calibration are
chosen there. The other half, *test*, says what that choice gives where it was not made. The scores
at the asked threshold are of the whole map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sarmap.assess.calibration import (
    Calibration,
    Curve,
    Reliability,
    fit_calibration,
    precision_recall,
    reliability,
)
from sarmap.assess.control import beyond_control
from sarmap.assess.counting import Sink, Tally, tally_map
from sarmap.assess.ground import LandCover, open_gradients, open_land_cover
from sarmap.assess.intervals import Interval, defined, score_intervals
from sarmap.assess.labels import Labels, read_labels
from sarmap.assess.scores import Scores
from sarmap.assess.slides import HitRow, hits_by_facing, hits_by_size
from sarmap.errors import RequestError
from sarmap.store.provenance import Provenance
from sarmap.store.reading import MapReader, open_reader

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame


@dataclass(frozen=True)
class CoverRow:
    """False alarms on one land cover."""

    name: str
    """The land cover."""
    km2: float
    """Square kilometres of it that count and hold no landslide."""
    false_km2: float
    """Square kilometres of those that were called landslide."""

    @property
    def share(self) -> float:
        """False alarms in square metres per square metre; NaN for none of that cover."""
        return self.false_km2 / self.km2 if self.km2 else math.nan


@dataclass(frozen=True)
class Objects:
    """Mapped polygons."""

    mapped: int
    """All of them that lie on labelled ground."""
    false: int
    """Those that touch no landslide of the inventory."""
    false_per_km2: float
    """False ones per square kilometre that counts."""


@dataclass(frozen=True)
class Assessment:
    """How well a map agrees with an inventory."""

    tally: Tally
    """The counts behind all else."""
    scores: Scores
    """At the asked threshold, of all pixels that count."""
    intervals: Mapping[str, Interval]
    """95 % intervals of the scores, by resampled blocks."""
    curve: Curve
    """Precision and recall at every threshold, of all pixels that count."""
    reliability: Reliability
    """Of all pixels that count, uncalibrated."""
    chosen: float
    """The threshold that validation chooses; NaN where it cannot."""
    chosen_scores: Scores | None
    """At that threshold, of the test blocks; None where validation could not choose."""
    chosen_intervals: Mapping[str, Interval]
    """Their intervals."""
    calibration: Calibration | None
    """Fitted on validation; None where that was not possible."""
    test_reliability: tuple[Reliability, Reliability] | None
    """Of the test blocks, before and after the calibration."""
    sizes: tuple[HitRow, ...]
    """Landslides found: all, then by size."""
    facings: Mapping[str, tuple[HitRow, ...]]
    """Landslides found by orbit and by how they face the radar; empty without elevation."""
    covers: tuple[CoverRow, ...]
    """False alarms by land cover; empty without land cover."""
    objects: Objects | None
    """Mapped polygons; None for maps without an area in metres."""
    beyond_control: tuple[float, Interval] | None
    """Square kilometres mapped beyond what the map's control calls landslide, with their 95 %
    interval: an estimate of the true area that needs no inventory; None: it has no control."""
    labels: Labels
    """What it was compared with."""
    made: Provenance
    """How the map was made."""

    @property
    def mapped_km2(self) -> float:
        """Area called landslide, of pixels that count."""
        called = self.scores.true_positive + self.scores.false_positive
        return called * self.tally.pixel_area / 1e6

    @property
    def true_km2(self) -> float:
        """Area of landslide, of pixels that count."""
        true = self.scores.true_positive + self.scores.false_negative
        return true * self.tally.pixel_area / 1e6

    @property
    def mapped_interval(self) -> Interval:
        """Square kilometres between which the mapped area lies, of a true area as it is."""
        share = self.intervals["mapped_share"]
        return Interval(share.low * self.true_km2, share.high * self.true_km2)

    def record(self) -> dict[str, Any]:
        """All of it for JSON, undefined numbers as None."""
        return {
            "simulated": self.made.simulated,
            "detector": self.made.detector,
            "split": "whole map; threshold and calibration chosen on a chequerboard of blocks",
            "scores": self.scores.record(),
            "not_labelled": self.tally.unlabelled,
            "intervals": {name: one.record() for name, one in self.intervals.items()},
            "blocks": {"edge_pixels": self.tally.block, "rows_columns": self.tally.block_shape},
            "average_precision": defined(self.curve.average_precision),
            "chosen_threshold": defined(self.chosen),
            "chosen_scores": None if self.chosen_scores is None else self.chosen_scores.record(),
            "chosen_intervals": {n: one.record() for n, one in self.chosen_intervals.items()},
            "brier": defined(self.reliability.brier),
            "expected_calibration_error": defined(self.reliability.expected_error),
            "expected_calibration_error_test": None
            if self.test_reliability is None
            else [defined(one.expected_error) for one in self.test_reliability],
            "mapped_km2": self.mapped_km2,
            "mapped_km2_interval": self.mapped_interval.record(),
            "true_km2": self.true_km2,
            "beyond_control_km2": None
            if self.beyond_control is None
            else defined(self.beyond_control[0]),
            "beyond_control_km2_interval": None
            if self.beyond_control is None
            else self.beyond_control[1].record(),
            "landslides": [_hits(row) for row in self.sizes],
            "facing": {state: [_hits(row) for row in rows] for state, rows in self.facings.items()},
            "false_alarms_by_cover": [
                {**asdict(row), "share": defined(row.share)} for row in self.covers
            ],
            "objects": None if self.objects is None else asdict(self.objects),
            "inventory": {"repaired": self.labels.repaired, "dropped": self.labels.dropped},
        }


def _hits(row: HitRow) -> dict[str, Any]:
    return {
        "class": row.name,
        "landslides": row.landslides,
        "hit": row.hit,
        "half_mapped": row.half,
        "without_a_pixel": row.too_small,
        "share": defined(row.share),
        "interval": row.interval.record(),
    }


def assess_map(
    source: xr.Dataset | str | Path,
    inventory: GeoDataFrame | str | Path,
    *,
    threshold: float = 0.5,
    surveyed: GeoDataFrame | str | Path | None = None,
    clouds: GeoDataFrame | str | Path | None = None,
    land_cover: str | Path | None = None,
    elevation: Sequence[str | Path] = (),
    layer: str | None = None,
    crs: Any = None,
    block: int | None = None,
    sink: Sink | None = None,
) -> Assessment:
    """Assess a map against an inventory, in bounded memory.

    Pixels that were not seen, or of which the inventory knows nothing, never count.

    Parameters
    ----------
    source
        A map (``probability``, ``observation`` (y, x)), or the path or URL of a stored one.
    inventory
        Landslide polygons in any reference system, or their file.
    threshold
        Probability from which a pixel is called landslide.
    surveyed
        Polygons of the area that was looked at; what lies outside does not count.
    clouds
        Polygons that were clouded when it was looked at; what lies inside does not count.
    land_cover
        Raster of land cover codes (ESA WorldCover, or any whose band tags CLASS_<code> name them).
    elevation
        Rasters of elevation in metres, to say which way landslides face.
    layer, crs
        Layer of the inventory's file, and reference system of files that do not say theirs.
    block
        Edge in pixels of the blocks that are resampled for intervals; by default 256.
    sink
        Given every row's outcomes from top to bottom.

    Raises
    ------
    RequestError
        The map, the inventory or a raster cannot be read, or they do not overlap.
    """
    reader = open_reader(source, "control_probability")
    labels = read_labels(
        reader.grid, inventory, surveyed=surveyed, clouds=clouds, layer=layer, crs=crs
    )
    cover = None if land_cover is None else open_land_cover(land_cover, reader.grid)
    gradients = open_gradients(elevation, reader.grid) if elevation else None
    tally = tally_map(
        reader,
        labels,
        threshold=threshold,
        block=block,
        cover=cover,
        gradients=gradients,
        sink=sink,
    )
    return _conclude(reader, labels, tally, cover, _objects(source, labels, tally))


def _conclude(
    reader: MapReader,
    labels: Labels,
    tally: Tally,
    cover: LandCover | None,
    objects: Objects | None,
) -> Assessment:
    """All tables from the counts."""
    made, scores = reader.provenance, tally.scores()
    rows, columns = np.indices(tally.block_shape)
    validation = ((rows + columns) % 2 == 0).ravel()  # a chequerboard of blocks
    chosen, calibration = _choose(tally, validation, made)
    undefined = math.isnan(chosen)
    test = tally.counts[~validation].sum(axis=0)
    box = reader.grid.extent.to_crs("EPSG:4326").boundingbox
    return Assessment(
        tally=tally,
        scores=scores,
        intervals=score_intervals(tally.confusion()),
        curve=precision_recall(tally.whole),
        reliability=reliability(tally.whole),
        chosen=chosen,
        chosen_scores=None if undefined else tally.scores(chosen, ~validation),
        chosen_intervals={} if undefined else score_intervals(tally.confusion(chosen)[~validation]),
        calibration=calibration,
        test_reliability=None
        if calibration is None
        else (reliability(test), reliability(test, calibration.probability)),
        sizes=hits_by_size(tally, labels.landslides.area.to_numpy()),
        facings=hits_by_facing(tally, (box.bottom + box.top) / 2, made.orbits),
        covers=_covers(tally, cover),
        objects=objects,
        beyond_control=_beyond_control(tally),
        labels=labels,
        made=made,
    )


def _beyond_control(tally: Tally) -> tuple[float, Interval] | None:
    """Mapped area beyond the control's, of pixels that count, square kilometres."""
    if tally.control is None:
        return None
    return beyond_control(tally.control * (tally.pixel_area / 1e6))


def _choose(tally: Tally, validation: Any, made: Provenance) -> tuple[float, Calibration | None]:
    """Threshold and calibration of the validation blocks, where they and the others allow one."""
    counts = tally.counts[validation].sum(axis=0)
    rest = tally.counts[~validation].sum()
    if counts[0].sum() == 0 or counts[1].sum() == 0 or rest == 0:
        return math.nan, None
    fitted = fit_calibration(
        counts,
        fitted_on=f"every other block of {tally.block} px of one assessed map",
        detector=made.detector,
        simulated=made.simulated,
    )
    return precision_recall(counts).best, fitted


def _covers(tally: Tally, cover: LandCover | None) -> tuple[CoverRow, ...]:
    if tally.cover is None or cover is None:
        return ()
    unit = tally.pixel_area / 1e6
    rows = [
        CoverRow(
            cover.name(code),
            float(tally.cover[code, 0].sum()) * unit,
            float(tally.cover[code, 0, 1]) * unit,
        )
        for code in np.flatnonzero(tally.cover[:, 0].sum(axis=1)).tolist()
    ]
    return tuple(sorted(rows, key=lambda row: -row.false_km2))


def _objects(source: Any, labels: Labels, tally: Tally) -> Objects | None:
    """Mapped polygons, and those of them that touch no landslide."""
    from sarmap.export.polygons import polygonise

    if tally.pixel_area == 0 or not labels.grid.crs.projected:
        return None
    mapped = polygonise(source, threshold=tally.threshold)
    inside = mapped.geometry.representative_point()
    known = np.ones(len(mapped), bool)
    for frame, wanted in ((labels.surveyed, True), (labels.clouds, False)):
        if frame is not None and len(mapped):
            within = np.zeros(len(mapped), bool)
            within[frame.sindex.query(inside.array, predicate="intersects")[0]] = True
            known &= within == wanted
    touching = np.zeros(len(mapped), bool)
    if len(mapped):
        found = labels.landslides.sindex.query(mapped.geometry.array, predicate="intersects")
        touching[found[0]] = True
    false = int((known & ~touching).sum())
    km2 = tally.counts.sum() * tally.pixel_area / 1e6
    return Objects(int(known.sum()), false, false / km2 if km2 else math.nan)


def require_counted(assessment: Assessment) -> None:
    """Refuse (RequestError) an assessment in which nothing that was seen is labelled."""
    if assessment.scores.pixels == 0:
        raise RequestError(
            "No pixel counts: nothing of the surveyed area was seen by the radar; give another "
            "surveyed area or another map."
        )
