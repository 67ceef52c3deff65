"""Networks beside those that did not see a family: what they learn from, and how they compare."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.cases.landslides import FAMILIES
from benchmarks.tasks import landslides, rightness
from sarmap.detect.weight_files import DATA
from sarmap.learn.config import read_config


@pytest.fixture
def trained(monkeypatch):
    """Configurations that were trained; each gives the shipped weights."""
    asked = []

    def train(config):
        asked.append(read_config(config))
        return SimpleNamespace(manifest=DATA / "attention-unet.json")

    monkeypatch.setattr("sarmap.learn.train.train", train)
    return asked


@pytest.mark.parametrize(("alone", "share"), [(False, 0.5), (True, 0.0)])
def test_one_network_has_seen_the_family_and_one_has_not(trained, monkeypatch, alone, share):
    mapped = []

    def scores(detectors, seed, physics, edge):
        mapped.append((seed, physics, [one.manifest.change_share for one in detectors.values()]))
        return [(0.5, 0.6), (0.4, 0.6)]

    monkeypatch.setattr(landslides, "_scores", scores)
    figures = landslides.left_out(*FAMILIES[0], alone, worlds=2)["metrics"]
    assert [one.worlds[0].without for one in trained] == [{}, {"family": ("both_up",)}]
    assert trained[0].name == "all" != trained[1].name
    assert mapped == [(seed, {"family": "both_up"}, [share] * 2) for seed in (28_000, 28_001)]
    assert (figures["gap"], figures["gap_best"]) == pytest.approx((-0.1, 0.0))


def test_networks_are_scored_on_the_worlds_that_are_drawn_for_all():
    ((f1, best),) = landslides._scores({"one": "change"}, 26_000, {}, 96)
    drawn = rightness.drawn("change", 26_000, 1, 0.01, 0.1, edge=96)["metrics"]
    assert (f1, best) == (drawn["f1"], drawn["f1_best_cut"])


def test_networks_are_compared_world_by_world():
    figures = landslides._compared(np.array([[0.5, 0.4], [0.3, 0.2], [0.7, 0.6]]), "_best")
    assert figures["saw_best"] == pytest.approx(0.5)
    assert [figures[f"gap{end}_best"] for end in ("", "_low", "_high")] == pytest.approx([-0.1] * 3)
