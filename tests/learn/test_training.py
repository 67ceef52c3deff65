"""From scenes to weights that map: files, card, honest scores, and no work done twice."""

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

import sarmap
from sarmap.assess.ground import LandCover
from sarmap.errors import RequestError
from sarmap.learn.config import read_config
from sarmap.learn.tune import tune

CONFIG = {
    "name": "squares",
    "composite": ["vv_pre", "vv_post_1", "slope"],
    "tile": 32,
    "filters": 4,
    "depth": 1,
    "epochs": 6,
    "batch": 8,
    "learning_rate": 0.03,
    "seed": 7,
    "events": [{"name": "made-up", "simulated": "nowhere"}],
    "samples": {"block": 64, "keep": "all"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, grid, slides, make_composite):
    from sarmap.assess.labels import read_labels
    from sarmap.learn.scene import Scene

    codes = np.full((320, 256), 2, np.uint8)
    codes[:160] = 3
    covers = LandCover(grid, codes, {2: "forest", 3: "field"})
    labels = read_labels(grid, slides)
    scenes = [
        Scene("made-up", make_composite(), labels, covers, simulated=True),
        Scene("elsewhere", make_composite(seed=5), labels, None, "test", simulated=True),
    ]
    out = tmp_path_factory.mktemp("trained")
    config = {**CONFIG, "out": str(out)}
    return sarmap.train(config, scenes=scenes), config, scenes


@pytest.mark.parametrize("verb", [sarmap.train, tune])
def test_without_tensorflow_nothing_is_searched_or_written(verb, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(RequestError, match=r'pip install "sarmap\[train\]"'):
        verb({**CONFIG, "out": str(tmp_path / "out")})
    assert not (tmp_path / "out").exists()


def test_what_is_plain_to_see_is_learnt_and_scored_on_each_split(trained):
    result, _, _ = trained
    assert set(result.scores) == {"validation", "test", "event elsewhere"}
    assert result.scores["test"]["split"] == "blocks"
    assert result.scores["event elsewhere"]["split"] == "events"
    assert result.scores["test"]["f1"] > 0.8
    assert result.scores["event elsewhere"]["f1"] > 0.8


def test_the_folder_loads_as_a_detector_and_maps_as_well_as_it_says(trained, truth, make_composite):
    result, _, _ = trained
    detector = sarmap.load_detector(result.folder, precision="f32")
    assert detector.bands == ("vv_pre", "vv_post_1", "slope")
    mapped = sarmap.predict(make_composite(seed=5), detector).compute()
    found = mapped.probability.values >= 0.5
    f1 = 2 * (found & (truth == 1)).sum() / (found.sum() + truth.sum())
    assert f1 == pytest.approx(result.scores["event elsewhere"]["f1"], abs=0.02)


def test_the_card_says_what_a_user_must_know(trained):
    result, _, _ = trained
    card = result.card.read_text()
    for said in (
        "SIMULATED",
        "elsewhere | simulated | test",
        "spatial blocks",
        "whole event held out",
        "| forest |",
        "| field |",
        "It must not be used",
        "Seed 7",
        json.loads(result.manifest.read_text())["sha256"],
    ):
        assert said in card


def test_curves_and_manifest_tell_the_training(trained):
    result, _, _ = trained
    with (result.folder / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == [e["val_loss"] for e in result.history]
    assert (result.folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    manifest = json.loads(result.manifest.read_text())
    assert manifest["simulated"] is True
    assert manifest["training"]["recipe"]["seed"] == 7
    assert manifest["training"]["sample_settings"]["split"] == "blocks"
    assert manifest["scores"] == result.scores


def test_a_band_that_is_the_same_everywhere_is_refused(trained, tmp_path):
    _, config, scenes = trained
    flat = [
        replace(one, composite=one.composite.where(one.composite.band != "slope", 0.3))
        for one in scenes
    ]
    with pytest.raises(RequestError, match="slope is the same in all training samples"):
        sarmap.train({**config, "normalisation": "fixed", "out": str(tmp_path)}, scenes=flat)


def test_nothing_in_manifest_or_card_names_a_local_folder(trained):
    result, config, _ = trained
    for file in (result.manifest, result.card):
        assert config["out"] not in file.read_text()


def test_a_finished_training_is_not_repeated(trained, monkeypatch):
    result, config, scenes = trained
    monkeypatch.setattr("sarmap.learn.train.settle", None)
    again = sarmap.train(config, scenes=scenes)
    assert again.reused
    assert again.scores == result.scores


def test_another_training_in_the_same_folder_is_refused(trained):
    result, config, scenes = trained
    before = result.manifest.read_bytes()
    with pytest.raises(RequestError, match="--overwrite"):
        sarmap.train({**config, "seed": 8}, scenes=scenes)
    assert result.manifest.read_bytes() == before


def test_a_cnn_trains_on_clips_and_loads(make_scene, tmp_path):
    config = {
        **CONFIG,
        "name": "clips",
        "out": str(tmp_path),
        "network": "cnn",
        "tile": 9,
        "arguments": {"size": 8, "filters": [4], "dense": 8},
        "samples": {"block": 64, "negative_stride": 4},
        "epochs": 8,
        "learning_rate": 0.01,
    }
    for name in ("filters", "depth"):
        config.pop(name)
    result = sarmap.train(config, scenes=[make_scene()])
    assert result.scores["test"]["accuracy"] > 0.85
    detector = sarmap.load_detector(tmp_path, precision="f32")
    assert (detector.kind, detector.tile, detector.network_size) == ("window", 9, 8)
    manifest = json.loads(result.manifest.read_text())
    assert list(manifest["normalisation"]) == ["vv_pre", "vv_post_1", "slope"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"network": "transformer"}, "network"),
        ({"events": []}, "events"),
        ({"colour": "red"}, "colour"),
        ({"network": "cnn"}, "filters and depth"),
        ({"events": [{"name": "real"}]}, "lacks area, event, inventory"),
        ({"samples": {"split": "guess"}}, "samples.split"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(change, said):
    with pytest.raises(RequestError, match=said) as caught:
        read_config({**CONFIG, **change})
    assert "\n" not in str(caught.value)


def test_half_precision_is_refused_where_the_machine_lacks_it(make_scene, tmp_path, monkeypatch):
    monkeypatch.setattr("sarmap.detect.hardware.native_bf16", lambda: False)
    with pytest.raises(RequestError, match="bf16"):
        sarmap.train({**CONFIG, "out": str(tmp_path), "precision": "bf16"}, scenes=[make_scene()])


def test_mixed_precision_keeps_weights_in_float32(tmp_path, make_scene, monkeypatch):
    import keras

    monkeypatch.setattr("sarmap.detect.hardware.native_bf16", lambda: True)
    result = sarmap.train({**CONFIG, "out": str(tmp_path), "epochs": 1}, scenes=[make_scene()])
    assert json.loads(result.manifest.read_text())["training"]["precision"] == "bf16"
    assert keras.config.dtype_policy().name == "float32"


def test_a_training_is_known_by_what_it_is_made_from_and_not_by_where_that_lies(tmp_path):
    from sarmap.learn.config import events_of

    def config(folder, content, **change):
        folder.mkdir(exist_ok=True)
        (folder / "event.json").write_text(content)
        event = {"name": "a", "simulated": str(folder), **change}
        return read_config({**CONFIG, "events": [event]})

    one = events_of(config(tmp_path / "one", "seed 1"))
    assert events_of(config(tmp_path / "two", "seed 1")) == one
    assert events_of(config(tmp_path / "two", "seed 2")) != one
    assert events_of(config(tmp_path / "one", "seed 1", role="test")) != one
    slides = tmp_path / "slides.gpkg"
    slides.write_text("first")
    before = events_of(config(tmp_path / "one", "seed 1", inventory=str(slides)))
    slides.write_text("edited")
    assert events_of(config(tmp_path / "one", "seed 1", inventory=str(slides))) != before
