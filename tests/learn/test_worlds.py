"""Drawn worlds as events to learn from, and the ranges that weights are trusted in."""

import json
import shutil

import numpy as np
import pytest
from pydantic import ValidationError

from sarmap.compose.names import EVIDENCE
from sarmap.detect.trust import MEASURES, PATCH
from sarmap.errors import RequestError
from sarmap.learn.config import TrainingConfig
from sarmap.learn.index import PatchRule, find_patches
from sarmap.learn.kept_evidence import measured_ranges
from sarmap.learn.worlds import WorldSource, kept_worlds, open_worlds
from sarmap.simulate.physics import Physics
from sarmap.simulate.worlds import draw_world

BANDS = (*EVIDENCE, "slope", "incidence")
SOURCE = WorldSource(first=4, count=2, size=64, without_vh=0, without_terrain=0)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    return open_worlds([SOURCE], BANDS, folder), folder


def test_a_world_is_a_scene_of_evidence_with_the_outlines_of_its_landslides(drawn):
    scene = drawn[0][0]
    assert scene.simulated
    assert scene.composite.shape == (10, 64, 64)
    truth = draw_world(4, (64, 64), Physics.draw(4)).truth
    assert np.array_equal(scene.labels.mask(slice(None), slice(None)), truth)


def test_worlds_that_are_there_are_not_drawn_again(drawn, monkeypatch):
    scenes, folder = drawn
    monkeypatch.setattr("sarmap.learn.worlds._draw", lambda *job: pytest.fail("drawn again"))
    again = open_worlds([SOURCE], BANDS, folder)
    assert np.array_equal(again[1].composite.values, scenes[1].composite.values, equal_nan=True)


@pytest.mark.parametrize("ending", [".json", ".codes.npy", ".evidence.npy"])
def test_evidence_that_is_cut_short_says_so(drawn, tmp_path, ending):
    _, folder = drawn
    copied = shutil.copytree(folder, tmp_path / "worlds")
    file = next(path for path in copied.iterdir() if path.name.endswith(ending))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(RequestError, match="in folder worlds is damaged: remove its files"):
        open_worlds([SOURCE], BANDS, copied)


def test_ranges_come_from_worlds_that_train(drawn):
    _, folder = drawn
    records = [json.loads(path.read_text())["measures"] for path in folder.glob("*.json")]
    ranges = measured_ranges(one for one, _, _ in kept_worlds([SOURCE], BANDS, folder))
    assert set(ranges) <= set(MEASURES) - set(PATCH)
    low, high = ranges["level"]
    assert min(r["level"] for r in records) <= low <= high <= max(r["level"] for r in records)
    held_out = SOURCE.model_copy(update={"role": "validation"})
    assert measured_ranges(one for one, _, _ in kept_worlds([held_out], BANDS, folder)) == {}


def test_without_vh_and_terrain_their_bands_are_neutral(tmp_path):
    source = WorldSource(first=4, count=1, size=64, without_vh=1, without_terrain=1)
    (scene,) = open_worlds([source], BANDS, tmp_path)
    assert np.unique(scene.composite.sel(band="vh_change_in_noise")).tolist() == [0.0]
    assert len(np.unique(scene.composite.sel(band="slope"))) == 1


def test_the_same_seeds_twice_and_unknown_physics_are_refused(tmp_path):
    with pytest.raises(RequestError, match="draw the same seeds"):
        open_worlds([SOURCE, SOURCE], BANDS, tmp_path)
    coloured = WorldSource(first=1, count=1, size=64, physics={"colour": 1})
    with pytest.raises(RequestError, match="no field of Physics"):
        open_worlds([coloured], BANDS, tmp_path)
    without = WorldSource(first=1, count=1, size=64, without={"colour": [1]})
    with pytest.raises(RequestError, match="'colour' is no field of Physics"):
        open_worlds([without], BANDS, tmp_path)


def test_worlds_of_a_family_or_a_spacing_are_left_out(tmp_path):
    every = {seed: Physics.draw(seed) for seed in range(40)}

    def kept(without):
        source = WorldSource(first=0, count=40, without=without)
        return [seed for _, _, seed in kept_worlds([source], BANDS, tmp_path)]

    assert kept({"spacing": [30]}) == [n for n, law in every.items() if law.spacing != 30]
    left = kept({"family": ["both_up"]})
    assert 0 < len(left) < 40
    # of mixed worlds those, too, in which more than a twentieth are of it
    assert left == [n for n, law in every.items() if law.mix[1] <= 0.05]
    assert len(kept({"spacing": [30], "family": ["both_up"]})) < len(left)


def test_a_share_of_the_patches_without_landslides_is_kept(drawn):
    labels = drawn[0][0].labels
    every = find_patches(labels, PatchRule(tile=16, stride=16, keep="all"))
    few = find_patches(labels, PatchRule(tile=16, stride=16, keep="all", empty=0.0))
    assert len(every.row) == 16
    assert few.positive.all()
    assert few.positive.sum() == every.positive.sum()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "nothing to learn from"),
        ({"worlds": [SOURCE], "scaling": "amplitude"}, "with scaling 'db'"),
        ({"worlds": [SOURCE], "network": "cnn", "scaling": "db"}, "by a U-Net"),
    ],
)
def test_a_configuration_of_worlds_is_checked(fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        TrainingConfig(name="mine", **fields)


def test_a_network_maps_with_larger_tiles_than_it_trained_on():
    config = TrainingConfig(
        name="mine", scaling="db", worlds=(SOURCE,), tile=64, map_tile=256, halo=16, filters=2
    )
    assert config.network_arguments["tile"] == 64
    assert config.map_arguments["tile"] == 288
