"""Where samples lie follows from polygons and land cover, and from nothing else."""

import numpy as np
import pytest

from sarmap.assess.ground import LandCover
from sarmap.assess.labels import read_labels
from sarmap.errors import RequestError
from sarmap.learn import index as module
from sarmap.learn.index import ClipRule, PatchRule, find_clips, find_patches


@pytest.fixture
def labels(grid, slides):
    return read_labels(grid, slides)


def test_kept_patches_are_the_whole_tiles_with_a_landslide(labels, truth):
    found = find_patches(labels, PatchRule(tile=16, stride=16))
    expected = [
        (row, column)
        for row in range(0, 320, 16)
        for column in range(0, 256, 16)
        if truth[row : row + 16, column : column + 16].any()
    ]
    assert list(zip(found.row.tolist(), found.column.tolist(), strict=True)) == expected


def test_all_patches_are_those_of_a_plain_cut(labels):
    assert len(find_patches(labels, PatchRule(tile=64, stride=64, keep="all")).row) == 5 * 4
    assert len(find_patches(labels, PatchRule(tile=100, stride=50, keep="all")).row) == 5 * 4


@pytest.mark.parametrize("window", [64, 100, 333])
def test_windows_change_nothing(labels, monkeypatch, window):
    rules = (PatchRule(tile=16, stride=8), ClipRule(clip=9, stride=3, per_polygon=3))
    whole = find_patches(labels, rules[0]), find_clips(labels, rules[1])
    monkeypatch.setattr(module, "WINDOW", window)
    cut = find_patches(labels, rules[0]), find_clips(labels, rules[1])
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one.row, other.row)
        np.testing.assert_array_equal(one.column, other.column)


def test_clips_are_centred_on_landslides_or_clear_of_them(labels, truth):
    rule = ClipRule(clip=9, stride=3, per_polygon=4, guard=2, negatives=2)
    found = find_clips(labels, rule)
    y, x = found.row + 4, found.column + 4
    assert (truth[y[found.positive], x[found.positive]] == 1).all()
    for row, column in zip(y[~found.positive], x[~found.positive], strict=True):
        assert not truth[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3].any()
    assert (~found.positive).sum() == 2 * found.positive.sum()


def test_every_polygon_is_drawn_and_none_too_often(labels):
    rule = ClipRule(clip=9, stride=50, per_polygon=2)
    found = find_clips(labels, rule)
    numbers = labels.numbers(slice(0, 320), slice(0, 256))
    y, x = found.row[found.positive] + 4, found.column[found.positive] + 4
    drawn = np.bincount(numbers[y, x], minlength=len(labels.landslides) + 1)[1:]
    assert drawn.min() == 1
    assert drawn.max() <= 2


def test_negatives_are_spread_over_the_land_covers(labels, grid):
    codes = np.full((320, 256), 1, np.uint8)
    codes[:, 128:] = 2
    codes[:40] = 3
    covers = LandCover(grid, codes, {1: "forest", 2: "field", 3: "town"})
    found = find_clips(labels, ClipRule(clip=9, per_polygon=1, negative_stride=4), covers)
    counts = np.bincount(found.cover[~found.positive], minlength=4)[1:]
    assert counts.max() - counts.min() <= 1


def test_not_labelled_land_gives_no_sample(grid, slides):
    import geopandas
    import shapely

    west = geopandas.GeoDataFrame(
        geometry=[shapely.box(500_000, 4_796_800, 501_280, 4_800_000)], crs=32654
    )
    labels = read_labels(grid, slides, surveyed=west)
    assert find_patches(labels, PatchRule(tile=64, stride=64)).column.max() == 64
    clips = find_clips(labels, ClipRule(clip=9))
    assert clips.column.max() + 4 < 128


def test_an_area_smaller_than_a_sample_is_refused(labels):
    with pytest.raises(RequestError, match="320 x 256 px"):
        find_patches(labels, PatchRule(tile=300, stride=300))


def test_an_area_without_other_land_is_refused(grid):
    import geopandas
    import shapely

    everywhere = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1e6, 1e7)], crs=32654)
    with pytest.raises(RequestError, match="other land"):
        find_clips(read_labels(grid, everywhere), ClipRule())
