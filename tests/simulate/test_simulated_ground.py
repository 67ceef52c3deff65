"""The simulated ground: hills with connected valleys, and landslides where and as large as real."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sarmap.simulate.erosion import carve, drain, way_to_sea, without_cliffs
from sarmap.simulate.noise import fractal_noise
from sarmap.simulate.terrain import make_relief


@pytest.fixture(scope="module")
def slope(scene: Any) -> Any:
    """Slope of the elevation tiles on the scene, degrees, by Horn's filter."""
    height = scene.height()
    east = ndimage.sobel(height, axis=1) / 80
    down = ndimage.sobel(height, axis=0) / 80
    return np.degrees(np.arctan(np.hypot(east, down)))


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 30), st.integers(3, 30), st.integers(0, 1000))
def test_every_cell_drains_to_the_sea(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sea = np.zeros((rows, columns), bool)
    sea[-1, 0] = True
    start = way_to_sea(rng.uniform(0.2, 2, (rows, columns)), sea)
    height, _ = carve(start, sea, np.ones((rows, columns)), critical_slope=0.6, rounds=3)
    tree = drain(height, sea)
    pits = (tree.receiver == np.arange(sea.size)) & ~sea.ravel()
    assert not pits.any()
    assert tree.area[sea.ravel()].sum() == rows * columns


def test_no_slope_is_steeper_than_told() -> None:
    height = np.random.default_rng(1).uniform(0, 9, (40, 50))
    smooth = without_cliffs(height, 0.5)
    assert np.abs(np.diff(smooth, axis=0)).max() <= 0.5 + 1e-9
    assert np.abs(np.diff(smooth, axis=1)).max() <= 0.5 + 1e-9
    assert (smooth <= height).all()


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_noise_has_the_spectrum_asked_for(exponent: float) -> None:
    field = fractal_noise(np.random.default_rng(2), (512, 512), slope=exponent)
    power = np.abs(np.fft.fft2(field)) ** 2
    rows, columns = np.fft.fftfreq(512)[:, None], np.fft.fftfreq(512)[None, :]
    distance = np.hypot(rows, columns)
    low = power[(distance > 0.04) & (distance < 0.06)].mean()
    high = power[(distance > 0.16) & (distance < 0.24)].mean()
    assert np.log2(low / high) / 2 == pytest.approx(2 * exponent, rel=0.1)


def test_a_full_scene_has_the_relief_of_eastern_iburi() -> None:
    relief = make_relief(np.random.default_rng(4), (0.0, 0.0, 12_000.0, 18_000.0))
    height = relief.height
    land = height > 0
    assert height.min() >= 0
    assert 90 < height[land].mean() < 240
    assert 350 < height.max() < 800
    assert (relief.floor[land] > 0.5).mean() > 0.05
    assert len(relief.rivers) > 100


def test_the_sea_lies_in_the_south_western_corner(scene: Any) -> None:
    height = scene.height()
    assert height[-5:, :5].max() < 1
    assert height[: len(height) // 2].min() > 0


def test_elevation_tiles_share_their_seam(scene: Any) -> None:
    import rasterio

    assert {item["id"] for item in scene.of("cop-dem-glo-30")} == {
        "Copernicus_DSM_COG_10_N42_00_E141_00_DEM",
        "Copernicus_DSM_COG_10_N42_00_E142_00_DEM",
    }
    sides = {}
    for item in scene.of("cop-dem-glo-30"):
        with rasterio.open(scene.event.path / item["assets"]["data"]["href"]) as source:
            assert source.shape == (3600, 3600)
            values = source.read(1)
            sides[item["id"]] = (values[:, 0], values[:, -1])
            # Copernicus: pixel centres on whole arc-seconds
            assert (source.transform.c + source.transform.a / 2) % 1 == pytest.approx(0, abs=1e-9)
    west = sides["Copernicus_DSM_COG_10_N42_00_E141_00_DEM"][1]
    east = sides["Copernicus_DSM_COG_10_N42_00_E142_00_DEM"][0]
    # neighbouring columns, one arc-second apart: steep ground, but no step
    assert np.abs(west - east).max() < 35
    assert np.corrcoef(west, east)[0, 1] > 0.99


def test_landslide_sizes(scene: Any) -> None:
    slides = scene.landslides()
    scale = np.prod(scene.event.shape) / (3842 * 2346)
    assert len(slides) == pytest.approx(7_837 * scale, rel=0.05)
    assert slides.area.median() == pytest.approx(3_900, rel=0.12)
    assert slides.area.mean() == pytest.approx(7_900, rel=0.15)
    assert 0.055 < scene.mask().mean() < 0.08


def test_landslides_do_not_overlap(scene: Any) -> None:
    shapes = scene.landslides().geometry.to_numpy()
    assert shapely.is_valid(shapes).all()
    together = shapely.union_all(shapes).area
    assert together == pytest.approx(shapely.area(shapes).sum(), rel=1e-6)


def test_landslides_lie_on_hillsides_of_25_to_30_degrees(scene: Any, slope: Any) -> None:
    slides = scene.landslides()
    counts, edges = np.histogram(slides["slope_deg"], np.arange(0, 60, 5))
    assert edges[counts.argmax()] == 25
    assert counts[4:7].sum() > 0.75 * len(slides)
    height = scene.height()
    assert (height[scene.mask()] < 300).mean() > 0.8
    # the elevation tiles, 30 m and noisy, tell the same of the ground under them
    assert 20 < np.median(slope[scene.mask()]) < 32


def test_landslides_are_longer_downhill_than_across(scene: Any) -> None:
    slides = scene.landslides()
    slides = slides[slides.area.between(2_000, 60_000)]
    turns, ratios = [], []
    for shape, aspect in zip(slides.geometry, slides["aspect_deg"], strict=True):
        ring = shapely.get_coordinates(shapely.oriented_envelope(shape))
        sides = ring[1:3] - ring[:2]
        lengths = np.linalg.norm(sides, axis=1)
        east, north = sides[lengths.argmax()]
        turns.append((np.degrees(np.arctan2(east, north)) - aspect + 90) % 180 - 90)
        ratios.append(lengths.max() / lengths.min())
    assert np.median(ratios) > 1.5
    assert np.median(np.abs(turns)) < 30  # 45 by chance


def test_one_in_six_landslides_has_no_clear_change(scene: Any) -> None:
    unchanged = (scene.landslides()["changed"] == 0).mean()
    assert 0.08 < unchanged < 0.27


def test_the_drawn_outline_is_near_the_true_one_but_not_it(scene: Any) -> None:
    before, after = scene.band(68, "2018-09-01", "vv"), scene.band(68, "2018-09-13", "vv")
    change = 10 * np.log10(after / before)
    slide = scene.mask()
    rim = slide & ~ndimage.binary_erosion(slide)
    core = ndimage.binary_erosion(slide, iterations=2)
    just_outside = ndimage.binary_dilation(slide) & ~slide
    assert np.nanmean(change[core]) < np.nanmean(change[rim]) - 0.2
    assert np.nanmean(change[just_outside]) < np.nanmean(change[~slide]) - 0.1


def test_optical_shows_bare_landslides_in_green_forest(scene: Any) -> None:
    import rasterio

    (item,) = scene.of("sentinel-2-l2a")
    assert item["properties"]["datetime"].startswith("2018-10-20")
    bands = []
    for name in ("B04", "B03", "B02"):
        with rasterio.open(scene.event.path / item["assets"][name]["href"]) as source:
            assert source.dtypes == ("uint16",)
            bands.append(source.read(1).astype(float))
    red, green, _ = bands
    core = ndimage.binary_erosion(scene.mask(), iterations=2)
    away = ~ndimage.binary_dilation(scene.mask(), iterations=5)
    assert np.median(red[core]) > 2 * np.median(red[away])
    assert np.median((green / red)[away]) > 1.1
    assert np.median((green / red)[core]) < 1.0
