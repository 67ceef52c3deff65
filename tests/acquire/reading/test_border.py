"""Noise along the outer edge of a scene, where no other slice lies: no data, and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sarmap.acquire.border import MARGIN, without_noise
from sarmap.acquire.cube import open_cube

ROWS, COLUMNS = 300, 260
SLANTED = np.add.outer(np.arange(ROWS) * 5, np.arange(COLUMNS)) / 5
"""Rows from a corner, along an edge that is not square to the grid."""


@pytest.fixture
def ground() -> Any:
    """Power of ordinary ground with speckle, -14 dB."""
    made = 0.04 * np.random.default_rng(4).gamma(4.4, 1 / 4.4, (ROWS, COLUMNS))
    return made.astype(np.float32)


def noisy(ground: Any, where: Any, level: float = 1e-3) -> Any:
    noise = np.abs(np.random.default_rng(5).normal(0, level, ground.shape)) + 2e-5
    return np.where(where, noise, ground).astype(np.float32)


def read(kit: Any, folder: Path, power: Any, grid: Any, chunk: int) -> Any:
    kit.cog(folder / "a.tif", power)
    item = kit.item("a", {"vv": folder / "a.tif"})
    passes = kit.passes({"pre": [item], "post_1": [item]})
    return open_cube(passes, grid, bands=("vv",), chunk=chunk).vv[0].values


@pytest.mark.parametrize("chunk", [150, 1000])
def test_a_strip_at_the_end_of_a_file_is_no_data(
    kit: Any, tmp_path: Path, ground: Any, chunk: int
) -> None:
    power = ground.copy()
    rows = np.arange(ROWS)[:, np.newaxis] * np.ones(COLUMNS)
    seen = read(kit, tmp_path, noisy(power, rows >= 280), kit.box(ROWS, COLUMNS), chunk)
    np.testing.assert_array_equal(seen[:279], ground[:279])
    assert np.isfinite(seen[279]).mean() > 0.9  # its darkest speckle goes with the strip
    assert np.isnan(seen[280:]).mean() > 0.999


def test_a_strip_along_a_slanted_edge_goes_however_a_scene_is_cut_or_resampled(
    kit: Any, tmp_path: Path, ground: Any
) -> None:
    power = np.where(SLANTED < 60, np.nan, noisy(ground, SLANTED < 85)).astype(np.float32)
    whole, cut = (read(kit, tmp_path, power, kit.box(ROWS, COLUMNS), n) for n in (1000, 128))
    np.testing.assert_array_equal(whole, cut)
    assert np.isnan(whole[SLANTED < 84]).mean() > 0.999
    np.testing.assert_array_equal(whole[SLANTED > 86], ground[SLANTED > 86])
    apart = read(kit, tmp_path, power, kit.box(ROWS - 1, COLUMNS - 1, row=0.4, column=0.3), 1000)
    assert np.isnan(apart[SLANTED[1:, 1:] < 84]).mean() > 0.999
    assert np.isfinite(apart[SLANTED[1:, 1:] > 88]).all()


@pytest.mark.parametrize("seed", [0, 5, 7])
def test_water_and_holes_beside_a_strip_are_told_alike_however_a_scene_is_cut(
    kit: Any, tmp_path: Path, ground: Any, seed: int
) -> None:
    """A block is read with a margin on those sides alone beyond which something may decide."""
    rng = np.random.default_rng(seed)
    width = rng.integers(5, 60)
    power = np.where(SLANTED < 60, np.nan, noisy(ground, width > SLANTED - 60))
    down, along = np.ogrid[:ROWS, :COLUMNS]
    for edge in rng.integers(8, 60, 3):
        row, column = rng.integers(0, 260, 2)
        lake = (down - row) ** 2 + (along - column) ** 2 < edge**2
        power = np.where(lake & np.isfinite(power), noisy(ground, True), power)
        power[column : column + edge // 5, row : row + edge // 5] = np.nan
    power = power.astype(np.float32)
    box = kit.box(ROWS, COLUMNS)
    whole, cut = (read(kit, tmp_path, power, box, chunk) for chunk in (1000, 128))
    np.testing.assert_array_equal(whole, cut)
    assert np.isnan(whole).sum() > np.isnan(power).sum()


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(slice(200, 300), slice(0, 260)), (slice(294, 300), slice(100, 106))],
    ids=["sea", "pond"],
)
def test_dark_ground_that_is_no_strip_stays(
    kit: Any, tmp_path: Path, ground: Any, rows: slice, columns: slice
) -> None:
    there = np.zeros(ground.shape, bool)
    there[rows, columns] = True
    power = noisy(ground, there)
    np.testing.assert_array_equal(read(kit, tmp_path, power, kit.box(ROWS, COLUMNS), 100), power)


@pytest.mark.parametrize("seed", range(4))
def test_what_hangs_on_unread_pixels_is_unread_and_all_else_as_if_they_were_there(
    ground: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    power = np.where(SLANTED < 130, np.nan, noisy(ground, SLANTED < 145)).astype(np.float32)
    row, column = rng.integers(0, 200, 2)
    part = np.s_[row : row + 60, column : column + 60]
    unread = power.copy()
    unread[part] = -np.inf
    found = without_noise(unread)
    known = np.isfinite(found) | np.isnan(found)
    assert np.isneginf(found[part]).all()
    for there in (power[part], np.nan, np.float32(1e-3), np.float32(0.1)):
        whole = power.copy()
        whole[part] = there
        np.testing.assert_array_equal(found[known], without_noise(whole)[known])


def test_pixels_beyond_the_margin_decide_nothing(ground: Any) -> None:
    power = np.where(SLANTED < 60, np.nan, noisy(ground, SLANTED < 85)).astype(np.float32)
    wide = np.pad(power, MARGIN, mode="reflect")
    part = without_noise(wide)[MARGIN : MARGIN + 40, MARGIN : MARGIN + 40]
    own = without_noise(wide[: 2 * MARGIN + 40, : 2 * MARGIN + 40])
    np.testing.assert_array_equal(part, own[MARGIN : MARGIN + 40, MARGIN : MARGIN + 40])
