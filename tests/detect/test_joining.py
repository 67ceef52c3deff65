"""A network's answer and that of `change` beside it."""

import numpy as np
import pytest

from sarmap.detect.change import Change
from sarmap.detect.fusion import join, log_odds
from sarmap.detect.weights import load_detector


def test_change_alone_neither_silences_a_clear_answer_nor_calls_a_landslide():
    clear, none = np.float32([2.0, -2.0]), np.float32([-9.2, 9.2])
    found = join(clear, none, 0.3)
    assert found[0] > 0 > found[1]


def test_what_both_call_stands():
    both = np.float32([-4.0, 0.5, 4.0])
    assert np.array_equal(np.sign(join(both, both, 0.4)), np.sign(both))


def test_log_odds_undo_a_probability():
    odds = np.float32([-3.0, 0.0, 5.0])
    assert log_odds(1 / (1 + np.exp(-odds))) == pytest.approx(odds, abs=1e-3)


def test_a_network_is_not_silenced_where_change_is_fitted_to_its_most():
    network = load_detector("attention-unet", precision="f32", engine="openvino")
    rng = np.random.default_rng(2)
    edge = network.tile + 2 * network.halo
    tiles = rng.normal(0, 1, (1, edge, edge, len(network.bands))).astype(np.float32)
    restless = network.fitted(np.full(2000, 9, np.float32), np.full(2000, 9, np.float32), 2)
    assert restless.beside.threshold == 5.0
    share = network.manifest.change_share
    calm = network._at_place(Change(threshold=3.2), None, None)
    apart = log_odds(calm(tiles)) - log_odds(restless(tiles))
    assert 0 < apart.max() <= 2 * 3.0 * share + 0.01
