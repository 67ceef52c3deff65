"""A detector held to what is quiet at a place: how much it may call between passes before."""

import numpy as np
import pytest
import xarray as xr

from sarmap.acquire.arrays import make_cube
from sarmap.detect.quiet import CALLED, MOST, QuietGround, hold_to_quiet
from sarmap.detect.squares import squares
from sarmap.mapping import judge, map_cube

SIZE = 512


class Loud:
    """Calls where VV darkened by 1 dB, which speckle alone often does."""

    bands = ("vv_levelled_change",)
    scaling = "db"
    normalisation = "none"
    kind = "pixel"

    def __init__(self, quiet=None):
        self.quiet = quiet

    def __call__(self, tiles):
        lowered = self.quiet.lowered if self.quiet else 0.0
        odds = -2 * (tiles[..., 0] + 1) - lowered
        return (1 / (1 + np.exp(-odds))).astype(np.float32)

    def held_to(self, quiet):
        return Loud(quiet)


def passes(count, seed, landslide=1.0, size=SIZE):
    made = []
    for number in range(count):
        power = np.random.default_rng([seed, number]).gamma(60, 0.19 / 60, (size, size))
        power[40:60, 30:50] *= landslide
        made.append(xr.Dataset({"vv": (("y", "x"), power.astype("f4"))}))
    return made


def test_a_thousandth_of_other_quiet_ground_is_called():
    quiet = map_cube(make_cube(passes(6, 1), passes(2, 2)), detector=Loud())
    assert CALLED / 5 < (quiet.probability.values >= 0.5).mean() < 1.5 * CALLED


def test_with_five_passes_the_answers_stay_as_they_are():
    cube = make_cube(passes(5, 1), passes(2, 2))
    assert judge(cube, None).pair is None
    assert (map_cube(cube, detector=Loud()).probability.values >= 0.5).mean() > 5 * CALLED


def test_what_is_quiet_is_counted_on_ground_that_did_not_set_it():
    cube = make_cube(passes(6, 1), passes(2, 2))
    pair = judge(cube, None).pair
    held = hold_to_quiet(Loud(), [(pair, lambda r, c: (cube.isel(y=r, x=c), None))], 10.0)
    assert 0 < held.quiet.lowered < MOST
    assert held.quiet.area == pytest.approx(4 * 256**2 * 100 / 1e6)
    assert held.quiet.called == pytest.approx(100 * CALLED, rel=0.6)


def test_a_place_that_is_never_quiet_does_not_silence_the_detector():
    restless = [one * np.float32(0.2 if n > 3 else 1) for n, one in enumerate(passes(6, 1))]
    cube = make_cube(restless, passes(2, 2))
    pair = judge(cube, None, level=False).pair
    held = hold_to_quiet(Loud(), [(pair, lambda r, c: (cube.isel(y=r, x=c), None))], 10.0)
    assert held.quiet.lowered == MOST
    assert held.quiet.called > 50


def test_of_one_square_a_half_sets_and_the_other_is_counted():
    cube = make_cube(passes(6, 1, size=104), passes(2, 2, size=104))
    pair = judge(cube, None).pair
    held = hold_to_quiet(Loud(), [(pair, lambda r, c: (cube.isel(y=r, x=c), None))], 30.0)
    assert 0 < held.quiet.lowered < MOST
    assert held.quiet.area == pytest.approx(104**2 * 900 / 1e6)
    assert held.quiet.called < 1


def test_a_scene_of_few_pixels_says_nothing():
    cube = make_cube(passes(6, 1, size=64), passes(2, 2, size=64))
    pair = judge(cube, None).pair
    loud = Loud()
    assert hold_to_quiet(loud, [(pair, lambda r, c: (cube.isel(y=r, x=c), None))], 10.0) is loud


def test_squares_lie_in_the_scene_on_whole_cells():
    found = list(squares((3842, 2346)))
    assert len(found) == 9
    for rows, columns in found:
        assert rows.start % 8 == columns.start % 8 == 0
        assert 0 <= rows.start < rows.stop <= 3842
        assert 0 <= columns.start < columns.stop <= 2346


def test_the_network_lowers_its_odds():
    from sarmap.detect.weights import load_detector

    network = load_detector("attention-unet")
    tiles = np.zeros((1, *network.manifest.input_shape), "f4")
    held = network.held_to(QuietGround(1.0, 0.1, 2.0, 40.0))
    plain, lowered = network(tiles), held(tiles)
    odds = [np.log(one / (1 - one)) for one in (plain, lowered)]
    assert np.median(odds[0] - odds[1]) == pytest.approx(1.0, abs=0.01)
    assert held.provenance["quiet_odds_lowered"] == 1.0


def test_odds_that_a_manifest_adds_raise_every_answer():
    from sarmap.detect.weights import NetworkDetector, load_detector

    network = load_detector("attention-unet")
    odds = []
    for added in (0.0, 1.0):
        manifest = network.manifest.model_copy(update={"odds_added": added})
        other = NetworkDetector(manifest, network.folder, "attention-unet", "openvino", "f32")
        answer = other(np.zeros((1, *manifest.input_shape), "f4"))
        odds.append(np.log(answer / (1 - answer)))
    assert np.median(odds[1] - odds[0]) == pytest.approx(1.0, abs=0.01)
