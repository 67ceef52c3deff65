"""A Sentinel-1 time series with its terrain over Myanmar, 30 m: dB to power, slope and BAA_S.

Forest was lost here between dated satellite images, at 150 of 300 reference points; 47 of them
between the passes of 2015-12-18 and 2016-03-23, within one dry season.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401  (the .odc accessor)
import pytest
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy import ndimage
from sklearn.metrics import roc_auc_score

import sarmap

pytestmark = pytest.mark.real

EVENT = ("2016-01-01T00:00Z", "2016-03-10T00:00Z")
GAPPY_EVENT = ("2016-01-01T00:00Z", "2016-05-30T00:00Z")
"""Its first pass after, 2016-06-03, lacks 569 pixels."""
INNER = (slice(3, -3), slice(3, -3))
"""Without the margin, where slope and its resampling lack neighbours."""


@pytest.fixture(scope="module")
def grid(stack: Any) -> GeoBox:
    return GeoBox.from_bbox(stack.bounds, crs=32646, resolution=30)


@pytest.fixture(scope="module")
def passes(stack: Any, myanmar: Any) -> Any:
    return sarmap.search_passes(stack.footprint, EVENT, catalog=myanmar)


@pytest.fixture(scope="module")
def terrain(grid: GeoBox, myanmar: Any, passes: Any) -> xr.Dataset:
    return sarmap.open_terrain(grid, catalog=myanmar, passes=passes, chunk=50).compute()


def number_of(stack: Any, day: str) -> int:
    return [f"{when:%Y-%m-%d}" for when in stack.times].index(day)


def decibels(folder: Path, number: int) -> Any:
    """VV of one date as the file stores it: dB, not masked."""
    (file,) = folder.glob("*.nc")
    # as written, north up: by itself GDAL turns the rows of a netCDF round
    with (
        rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO"),
        rasterio.open(f"netcdf:{file}:vv") as opened,
    ):
        return opened.read(number + 1) * 0.01


def test_the_cube_holds_the_files_decibels_as_power(
    passes: Any, grid: GeoBox, stack: Any, myanmar_folder: Path
) -> None:
    cube = sarmap.open_cube(passes, grid, bands=("vv",), chunk=50).compute()
    for time, day in enumerate(("2015-12-18", "2016-03-23", "2016-04-16")):
        stored = decibels(myanmar_folder, number_of(stack, day))
        np.testing.assert_allclose(10 * np.log10(cube["vv"][time].values), stored, atol=1e-4)
    assert (cube["observation"] == 0).all()


def test_missing_measurements_are_no_data_and_cost_only_themselves(
    stack: Any, myanmar: Any, grid: GeoBox
) -> None:
    passes = sarmap.search_passes(stack.footprint, GAPPY_EVENT, catalog=myanmar)
    cube = sarmap.open_cube(passes, grid, bands=("vv",), chunk=50).compute()
    missing = np.isnan(stack.power["vv"][number_of(stack, "2016-06-03")])
    assert missing.sum() == 569
    np.testing.assert_array_equal(cube["observation"][1].values == 1, missing)
    np.testing.assert_array_equal(np.isnan(cube["vv"][1].values), missing)
    assert (cube["observation"][0] == 0).all()


def test_the_elevation_is_the_files(terrain: xr.Dataset, stack: Any) -> None:
    np.testing.assert_allclose(terrain["dem"].values[INNER], stack.elevation[INNER], atol=0.01)


def test_the_slope_is_horns(terrain: xr.Dataset, stack: Any) -> None:
    """Horn 1981 is a Sobel operator over eight pixel widths, here scipy's."""
    rise = [ndimage.sobel(stack.elevation, axis) / (8 * 30) for axis in (0, 1)]
    expected = np.degrees(np.arctan(np.hypot(*rise)))
    np.testing.assert_allclose(terrain["slope"].values[INNER], expected[INNER], atol=1e-4)


def test_the_slope_agrees_with_the_files_own(
    terrain: xr.Dataset, stack: Any, record_property: Any
) -> None:
    """The file's slope is in whole degrees, cut off, and from two neighbours instead of eight."""
    ours, theirs = terrain["slope"].values[INNER].ravel(), stack.slope[INNER].ravel()
    correlation = np.corrcoef(ours, theirs)[0, 1]
    difference = ours - (theirs + 0.5)
    record_property("slope_correlation", float(correlation))
    record_property("slope_median_absolute_difference", float(np.median(np.abs(difference))))
    print(
        f"slope: r {correlation:.3f}, mean difference {difference.mean():+.2f}, "
        f"median absolute difference {np.median(np.abs(difference)):.2f} degrees"
    )
    assert correlation > 0.95
    assert np.median(np.abs(difference)) < 1


def test_baa_s_is_three_amplitudes_and_the_slope(
    passes: Any, grid: GeoBox, terrain: xr.Dataset, stack: Any
) -> None:
    cube = sarmap.open_cube(passes, grid, bands=("vv",), chunk=50)
    composite = sarmap.make_composite(cube, terrain, "BAA_S").compute()
    assert list(composite["band"].values) == ["vv_pre", "vv_post_1", "vv_post_2", "slope"]
    for band, day in zip(composite, ("2015-12-18", "2016-03-23", "2016-04-16"), strict=False):
        expected = np.sqrt(stack.power["vv"][number_of(stack, day)])
        np.testing.assert_allclose(band.values, expected, rtol=1e-5)
    np.testing.assert_array_equal(composite.sel(band="slope").values, terrain["slope"].values)


def test_the_attention_unet_maps_the_gappy_stack_and_leaves_its_gaps_open(
    stack: Any, myanmar: Any, grid: GeoBox, tmp_path: Path
) -> None:
    request = sarmap.MapRequest(
        area=grid,
        event=GAPPY_EVENT,
        catalog=myanmar,
        detector="nava-2022-attention-unet",
        composite="BAA_S",
        resolution=30,
        out=str(tmp_path / "map.zarr"),
    )
    result = sarmap.map_landslides(request)
    stored = xr.open_zarr(result.path)
    probability, observation = stored["probability"].values, stored["observation"].values
    missing = np.isnan(
        stack.power["vv"][[number_of(stack, d) for d in ("2016-06-03", "2016-06-27")]]
    )
    gaps = missing.any(axis=0)
    assert (observation[gaps] == sarmap.Observation.NO_DATA).all()
    np.testing.assert_array_equal(np.isnan(probability), observation != 0)
    # only layover, shadow and the margin of the elevation take more than the gaps
    unseen = (observation != 0) & ~gaps
    assert unseen[INNER].mean() < 0.05
    assert not result.read_failed


def test_the_log_ratio_tells_lost_forest_from_standing_forest(
    stack: Any,
    myanmar: Any,
    grid: GeoBox,
    myanmar_stack: ModuleType,
    myanmar_folder: Path,
    tmp_path: Path,
    record_property: Any,
) -> None:
    request = sarmap.MapRequest(
        area=grid,
        event=EVENT,
        catalog=myanmar,
        detector="log-ratio",
        resolution=30,
        out=str(tmp_path / "map.zarr"),
    )
    stored = xr.open_zarr(sarmap.map_landslides(request).path)
    first, last = dt.date(2016, 1, 1), dt.date(2016, 3, 10)
    points = [
        (x, y, when is not None)
        for x, y, when in myanmar_stack.read_points(myanmar_folder)
        if when is None or first <= when <= last
    ]
    x, y, lost = (np.array(values) for values in zip(*points, strict=True))
    found = stored["probability"].sel(
        x=xr.DataArray(x, dims="point"), y=xr.DataArray(y, dims="point"), method="nearest"
    )
    seen = np.isfinite(found.values)
    area = roc_auc_score(lost[seen], found.values[seen])
    record_property("log_ratio_auc", float(area))
    print(f"log-ratio: AUC {area:.3f} at {seen.sum()} points, {lost[seen].sum()} of them lost")
    assert lost.sum() == 47
    assert seen.mean() > 0.85  # the margin has no slope
    assert area > 0.5
