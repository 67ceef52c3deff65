"""The written radar has the statistics that were measured on real Sentinel-1 data.

Everything is computed here from the files, with NumPy and SciPy only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage, stats

from sarmap.simulate.radar import speckle


def decibel(power: Any) -> Any:
    return 10 * np.log10(power)


@pytest.fixture(scope="module")
def hills(scene: Any) -> Any:
    """Unchanged forested hillsides: steep land well away from any landslide."""
    height = ndimage.gaussian_filter(scene.height(), 1.5)
    down, east = np.gradient(height, 10.0)
    steep = np.degrees(np.arctan(np.hypot(east, down))) > 10
    away = ~ndimage.binary_dilation(scene.mask(), iterations=5)
    return steep & away & np.isfinite(scene.band(68, "2018-09-01", "vv"))


def test_forest_levels(scene: Any, hills: Any) -> None:
    # Sen12Landslides patches over Hokkaido: VV -7.3 +- 2.1 dB, VH -13.2 +- 1.9 dB
    for orbit, day in ((68, "2018-09-01"), (46, "2018-09-04")):
        vv = decibel(scene.band(orbit, day, "vv")[hills])
        vh = decibel(scene.band(orbit, day, "vh")[hills])
        assert vv.mean() == pytest.approx(-7.3, abs=0.5)
        assert vh.mean() == pytest.approx(-13.2, abs=0.5)
        assert 1.9 < vv.std() < 2.7
        assert 1.9 < vh.std() < 2.7


def test_speckle_has_the_gamma_distribution_of_4_4_looks() -> None:
    field = speckle(np.random.default_rng(5), (1200, 1200))[::5, ::5].ravel()  # uncorrelated
    assert field.mean() ** 2 / field.var() == pytest.approx(4.4, rel=0.03)
    assert stats.kstest(field, stats.gamma(4.4, scale=1 / 4.4).cdf).statistic < 0.01


def test_looks_on_homogeneous_land(scene: Any, hills: Any) -> None:
    power = np.nan_to_num(scene.band(68, "2018-09-01", "vv"))
    mean = ndimage.uniform_filter(power, 13)
    spread = ndimage.uniform_filter(power**2, 13) - mean**2
    inner = ndimage.binary_erosion(hills, iterations=6)
    looks = np.median((mean**2 / np.maximum(spread, 1e-9))[inner])
    # texture takes a little of the 4.4 looks; 169 correlated pixels scatter the estimate upwards
    assert 3.6 < looks < 5.0


def test_speckle_is_correlated_over_about_two_pixels(scene: Any, hills: Any) -> None:
    power = scene.band(46, "2018-09-04", "vv")
    flat = np.where(hills, power / power[hills].mean() - 1, 0)

    def correlation(lag: int) -> float:
        both = hills[:, :-lag] & hills[:, lag:]
        return float((flat[:, :-lag] * flat[:, lag:])[both].mean() / (flat[hills] ** 2).mean())

    assert 0.35 < correlation(1) < 0.65
    assert correlation(2) < 0.25
    assert abs(correlation(4)) < 0.12


def test_twelve_day_log_ratio_of_unchanged_land(scene: Any, hills: Any) -> None:
    before = scene.band(68, "2018-08-20", "vv")
    after = scene.band(68, "2018-09-01", "vv")
    at_10_m = decibel(after[hills]) - decibel(before[hills])
    assert at_10_m.std() == pytest.approx(3.1, abs=0.35)
    pooled = [ndimage.uniform_filter(np.nan_to_num(p, nan=0.2), 3) for p in (before, after)]
    at_30_m = decibel(pooled[1][hills]) - decibel(pooled[0][hills])
    assert 1.5 < at_30_m.std() < 2.2  # OPERA at 30 m: 1.5 to 2.0


def test_no_pass_repeats_another(scene: Any, hills: Any) -> None:
    one = decibel(scene.band(68, "2018-08-20", "vv")[hills])
    other = decibel(scene.band(68, "2018-09-01", "vv")[hills])
    crossed = decibel(scene.band(68, "2018-09-01", "vh")[hills])
    assert np.corrcoef(one, other)[0, 1] < 0.35
    assert np.corrcoef(other, crossed)[0, 1] < 0.35


def separability(scene: Any, orbit: int, days: tuple[str, str], polarisation: str) -> float:
    """Area under the ROC curve of the smoothed change against the inventory (Mann-Whitney)."""
    before, after = (scene.band(orbit, day, polarisation) for day in days)
    seen = np.isfinite(before) & np.isfinite(after)
    smooth = [ndimage.gaussian_filter(np.nan_to_num(p, nan=0.2), 1.5) for p in (before, after)]
    change = np.abs(decibel(smooth[1]) - decibel(smooth[0]))
    slide = scene.mask()
    hit, rest = change[slide & seen], change[~slide & seen]
    return float(stats.mannwhitneyu(hit, rest).statistic / hit.size / rest.size)


def test_ascending_sees_more_than_descending_and_vv_more_than_vh(scene: Any) -> None:
    ascending = ("2018-09-01", "2018-09-13")
    descending = ("2018-09-04", "2018-09-16")
    vv_ascending = separability(scene, 68, ascending, "vv")
    vv_descending = separability(scene, 46, descending, "vv")
    vh_ascending = separability(scene, 68, ascending, "vh")
    assert vv_ascending > vv_descending + 0.01
    assert vv_ascending > vh_ascending + 0.03
    assert vv_ascending > 0.6


def test_forest_loss_lowers_vh(scene: Any) -> None:
    before, after = scene.band(68, "2018-09-01", "vh"), scene.band(68, "2018-09-13", "vh")
    change = decibel(after) - decibel(before)
    slide = scene.mask()
    assert np.nanmean(change[slide]) < np.nanmean(change[~slide]) - 0.4


def test_change_does_not_heal_between_the_two_later_passes(scene: Any) -> None:
    days = ("2018-09-01", "2018-09-13", "2018-09-25")
    pre, first, second = (decibel(scene.band(68, day, "vv")) for day in days)
    slide = scene.mask()
    assert np.nanmean((first - pre)[slide]) == pytest.approx(
        np.nanmean((second - pre)[slide]), abs=0.6
    )


def test_a_smoothed_log_ratio_finds_some_and_misses_most(scene: Any) -> None:
    before, after = scene.band(68, "2018-09-01", "vv"), scene.band(68, "2018-09-13", "vv")
    seen = np.isfinite(before) & np.isfinite(after)
    smooth = [ndimage.gaussian_filter(np.nan_to_num(p, nan=0.2), 1.5) for p in (before, after)]
    change = np.abs(decibel(smooth[1]) - decibel(smooth[0]))
    down, east = np.gradient(ndimage.gaussian_filter(scene.height(), 1.5), 10.0)
    change *= np.hypot(east, down) > np.tan(np.radians(10))
    slide = scene.mask()[seen]
    scores = [
        2 * (hit & slide).sum() / (hit.sum() + slide.sum())
        for hit in (change[seen] > limit for limit in np.arange(1.0, 6.0, 0.25))
    ]
    assert 0.2 < max(scores) < 0.45


def test_open_sea_is_no_data_in_every_pass(scene: Any) -> None:
    empty = [
        np.isnan(scene.band(orbit, day, "vv"))
        for orbit, day in ((68, "2018-09-01"), (68, "2018-09-13"), (46, "2018-09-04"))
    ]
    corner = empty[0][-20:, :20]
    assert corner.all()
    assert all((found & ~empty[0]).mean() < 0.002 for found in empty)
    assert 0.005 < empty[0].mean() < 0.08


def test_slanted_borders_hold_power_that_is_none(scene: Any) -> None:
    import rasterio

    (item, _) = scene.slices(68, "2018-09-01")
    with rasterio.open(scene.event.path / item["assets"]["vv"]["href"]) as source:
        values = source.read(1)
    posing = (values <= 0) & (values != -32768)
    assert 20 < posing.sum() < 0.01 * values.size
