"""A detector fitted to what the landslides of an event do to the echo."""

import numpy as np
import pytest
import xarray as xr

from sarmap.acquire.arrays import make_cube
from sarmap.detect.signature import (
    CLASSES,
    MOST,
    RAISED,
    SHARE,
    Signature,
    change_classes,
    count_classes,
    find_signature,
    fit_signature,
)
from sarmap.detect.weights import load_detector
from sarmap.mapping import map_cube

MIDDLE = CLASSES // 2
BRIGHT, DARK = MIDDLE + 4, MIDDLE - 4


def classes_of(vv, vh, count):
    return np.full(count, vv * CLASSES + vh)


def usual():
    """Landslides that darken as often as they brighten, on ground that mostly stays as it is."""
    counts = np.zeros((2, CLASSES, CLASSES))
    counts[1, MIDDLE, MIDDLE] = 1e6
    counts[0, BRIGHT, BRIGHT] = counts[0, DARK, DARK] = 1e4
    counts[1, BRIGHT, BRIGHT] = counts[1, DARK, DARK] = 2e4
    return counts


def event(bright, dark):
    """Log-odds and classes of so many likely landslides, on ground that changed both ways."""
    parts = [
        (3.0, classes_of(BRIGHT, BRIGHT, bright)),
        (3.0, classes_of(DARK, DARK, dark)),
        (-3.0, classes_of(BRIGHT, BRIGHT, 10_000)),
        (-3.0, classes_of(DARK, DARK, 10_000)),
        (-6.0, classes_of(MIDDLE, MIDDLE, 500_000)),
    ]
    odds = [np.full(len(classes), value, np.float32) for value, classes in parts]
    return np.concatenate(odds), np.concatenate([classes for _, classes in parts])


def test_what_the_landslides_of_an_event_do_is_raised_and_what_they_do_not_is_lowered():
    found = np.array(find_signature(*event(20_000, 100), usual()).odds) - RAISED
    assert found[BRIGHT, BRIGHT] > 0.2
    assert found[DARK, DARK] < -0.4
    assert np.abs(found).max() <= SHARE * MOST + 1e-9


def test_of_few_landslides_little_is_learnt():
    many, few = (
        find_signature(*event(*counts), usual()).odds[DARK][DARK] - RAISED
        for counts in ((20_000, 100), (200, 1))
    )
    assert 0.3 * many < few < 0


def test_slight_doubts_over_much_ground_are_no_landslides():
    odds = np.full(100_000, -4.0, np.float32)
    counts = count_classes(odds, classes_of(DARK, DARK, 100_000))
    assert counts[0].sum() < 50  # the answers themselves add up to 1,799
    assert counts.sum() == pytest.approx(100_000)


def test_without_vh_the_usual_is_that_of_vv_alone():
    odds, classes = event(10_000, 10_000)
    vv_alone = classes // CLASSES * CLASSES + MIDDLE
    found = np.array(find_signature(odds, vv_alone, usual()).odds) - RAISED
    assert abs(found[BRIGHT, MIDDLE] - found[DARK, MIDDLE]) < 0.02
    assert np.abs(found[:, 0]).max() < 1e-9


def test_a_change_counts_as_the_mean_of_its_surroundings_and_none_where_it_is_missing():
    vv = np.zeros((9, 9), np.float32)
    vv[4, 4] = 9 * 1.6  # two classes when it is spread over nine pixels
    found = change_classes(vv, np.full((9, 9), np.nan, np.float32))
    assert found[4, 4] == found[3, 3] == (MIDDLE + 2) * CLASSES + MIDDLE
    assert found[0, 0] == MIDDLE * CLASSES + MIDDLE


def test_the_network_adds_the_signature_to_its_odds_where_it_saw_that_change():
    network = load_detector("attention-unet")
    mean, spread = network.manifest.normalisation["vv_change_in_noise"]
    tiles = np.zeros((1, *network.manifest.input_shape), "f4")
    tiles[0, :, 100:, network.bands.index("vv_change_in_noise")] = (-3.2 - mean) / spread
    table = np.zeros((CLASSES, CLASSES))
    table[DARK, MIDDLE] = 1.0
    fitted = network.with_signature(Signature(tuple(map(tuple, table.tolist())), 5000.0))
    plain, added = (np.log(p / (1 - p)) for p in (network(tiles), fitted(tiles)))
    assert np.median((added - plain)[0, :, 104:]) == pytest.approx(1.0, abs=0.01)
    assert np.abs((added - plain)[0, :, :96]).max() < 0.01
    assert fitted.provenance["signature_odds_highest"] == 1.0


def test_a_detector_that_knows_no_usual_signature_stays_as_it_is():
    network = load_detector("nava-2022-attention-unet")
    assert fit_signature(network, []) is network


def passes(count, seed, factor=1.0, size=256):
    made = []
    for number in range(count):
        power = np.random.default_rng([seed, number]).gamma(20, 0.1 / 20, (2, size, size))
        power[:, 40:120, 60:130] *= factor
        made.append(xr.Dataset({b: (("y", "x"), power[n]) for n, b in enumerate(("vv", "vh"))}))
    return made


def test_a_map_of_arrays_is_fitted_to_its_event_whatever_its_chunks():
    maps = [
        map_cube(
            make_cube(passes(3, 1), passes(2, 2, 0.25), chunk=chunk), detector="attention-unet"
        )
        for chunk in (256, 100)
    ]
    np.testing.assert_array_equal(*(one.probability.values for one in maps))
    assert maps[0].attrs["signature_landslide_pixels"] > 500
    assert maps[0].attrs == maps[1].attrs


def test_a_small_scene_is_not_fitted():
    cube = make_cube(passes(3, 1, size=128), passes(2, 2, 0.25, size=128))
    answer = map_cube(cube, detector="attention-unet")
    assert "signature_odds_highest" not in answer.attrs
