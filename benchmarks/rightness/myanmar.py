"""Real points in Myanmar: forest cleared on a known date, or stable; no landslides.

Sentinel-1 GRD of one descending orbit, 85 dates, 30 m, 120 x 120 px, 300 points
(dulvrq/ddl8s1ts, MIT). Held out from training: the eastern half from 2017.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rightness.ground import local_incidence, slope_of
from benchmarks.rightness.mapping import Answer, Detect, cube_of, terrain_of
from benchmarks.rightness.noise import Field

__all__ = ["Point", "points_called", "quiet_series"]

CRS, SPACING = "EPSG:32646", 30.0
INCIDENCE = 39.0
"""Degrees: the middle of the swath, since the file gives none."""
HELD_OUT_FROM = np.datetime64("2017-01-01", "ns")


@dataclass(frozen=True)
class Series:
    """The passes, the ground and the points."""

    power: dict[str, Field]
    times: NDArray[np.datetime64]
    dem: Field
    places: NDArray[np.intp]
    """Row and column of each point."""
    dates: NDArray[np.datetime64]
    """When each point was cleared; NaT: never."""

    def detected(self, detect: Detect, index: Sequence[int], n_pre: int) -> Answer:
        """The answer for some passes, the first `n_pre` of them before."""
        slope, down, along = slope_of(self.dem, SPACING)
        incidence = local_incidence(down, along, INCIDENCE, look_east=False)
        ground = {"dem": self.dem, "slope": slope.astype(np.float32), "incidence": incidence}
        power = {band: values[list(index)] for band, values in self.power.items()}
        cube = cube_of(power, n_pre, self.times[list(index)], SPACING, CRS)
        return detect(cube, terrain_of(ground, SPACING, CRS))


def read_series(data: Path) -> Series:
    """The series as power, rows from north to south, and the points by row and column."""
    file = data / "ddl8s1ts" / "myanmar_s1_vvvh_srtm_85dates_30m.nc"
    power = {band: 10 ** (_read(file, band)[0] / 10) for band in ("vv", "vh")}
    tags = _read(file, "vv")[1]
    start = tags["time#units"].removeprefix("seconds since ").replace(" ", "T")
    seconds = np.array([float(s) for s in tags["NETCDF_DIM_time_VALUES"].strip("{}").split(",")])
    times = np.datetime64(start, "ns") + (seconds * 1e9).astype("timedelta64[ns]")
    x, y = (_read(file, axis)[0].ravel() for axis in ("x", "y"))
    rows = list(csv.DictReader((data / "ddl8s1ts/reference_points.csv").open(encoding="utf-8")))
    places = [
        (np.abs(y - float(one["y"])).argmin(), np.abs(x - float(one["x"])).argmin()) for one in rows
    ]
    dates = np.array([one["disturbance_date"] or "NaT" for one in rows], "datetime64[ns]")
    return Series(power, times, _read(file, "elevation")[0][0], np.array(places), dates)


def _read(file: Path, variable: str) -> tuple[Field, dict[str, str]]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # the driver would turn the rows upside down: it takes them to run from south to north
        with (
            rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO"),
            rasterio.open(f"netcdf:{file}:{variable}") as source,
        ):
            raw = source.read()
            missing = raw == source.nodata if source.nodata is not None else np.zeros(1, bool)
            values = np.where(missing, np.nan, raw * source.scales[0])
            exact = variable in ("x", "y")
            return (values if exact else values.astype(np.float32)), source.tags()


@dataclass(frozen=True)
class Point:
    """One point at one date: what was known, and whether it was called."""

    stable: bool
    held_out: bool
    """Eastern half, from 2017."""
    called: bool
    """At 0.5, at the point's own pixel."""


def points_called(detect: Detect, data: Path, before: int = 6, after: int = 2) -> list[Point]:
    """Every disturbed point at its date; every stable one at each of those dates."""
    series = read_series(data)
    middle = series.dem.shape[1] // 2
    points = []
    for day in np.unique(series.dates[~np.isnat(series.dates)]):
        pre = np.flatnonzero(series.times < day)[-before:]
        post = np.flatnonzero(series.times >= day)[:after]
        if len(pre) < 2 or not len(post):
            continue
        p = series.detected(detect, [*pre, *post], len(pre)).probability
        for (row, column), date in zip(series.places, series.dates, strict=True):
            if (np.isnat(date) or date == day) and np.isfinite(p[row, column]):
                held_out = column >= middle and day >= HELD_OUT_FROM
                points.append(Point(bool(np.isnat(date)), held_out, bool(p[row, column] >= 0.5)))
    return points


def quiet_series(detect: Detect, data: Path) -> list[float]:
    """Share called in the held-out part, 180 m and more from any dated point: six passes and three.

    Other ground of that land may have been cleared, undated.
    """
    series = read_series(data)
    away = np.ones(series.dem.shape, bool)
    for row, column in series.places[~np.isnat(series.dates)]:
        away[max(row - 6, 0) : row + 7, max(column - 6, 0) : column + 7] = False
    away[:, : away.shape[1] // 2] = False
    starts = np.flatnonzero(series.times >= HELD_OUT_FROM)[:-8:4]
    return [series.detected(detect, range(first, first + 9), 6).called(away) for first in starts]
