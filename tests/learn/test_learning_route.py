"""As a user would: train on a simulated event, map with the weights, correct the map, learn again.

One small detector is trained by the command line; all that follows uses it.
"""

import json
import shutil

import numpy as np
import pytest
import yaml

from sarmap.cli import main


def run(*words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


@pytest.fixture(scope="module")
def trained(tmp_path_factory, event):
    folder = tmp_path_factory.mktemp("route")
    config = {
        "name": "tiny",
        "out": str(folder / "tiny"),
        "filters": 2,
        "depth": 1,
        "tile": 32,
        "epochs": 3,
        "batch": 8,
        "learning_rate": 0.02,
        "events": [{"name": "small", "simulated": str(event.path), "orbit": "ascending"}],
        "samples": {"block": 96},
    }
    (folder / "train.yaml").write_text(yaml.safe_dump(config))
    assert run("train", folder / "train.yaml") == 0
    return folder


@pytest.fixture(scope="module")
def mapped(trained, server, event):
    code = run(
        "map",
        "--area",
        ",".join(map(str, event.area)),
        "--event",
        event.event,
        "--catalog",
        server.url,
        "--orbit",
        "ascending",
        "--detector",
        trained / "tiny",
        "--threshold",
        "0.3",
        "--out",
        trained / "map.zarr",
    )
    assert code in (0, 3)
    return trained / "map.zarr"


def test_a_dry_run_counts_the_samples_and_trains_nothing(trained, tmp_path, capsys):
    config = yaml.safe_load((trained / "train.yaml").read_text()) | {"out": str(tmp_path / "dry")}
    shutil.copytree(trained / "tiny" / "samples.zarr", tmp_path / "dry" / "samples.zarr")
    (tmp_path / "dry.yaml").write_text(yaml.safe_dump(config))
    assert run("train", tmp_path / "dry.yaml", "--dry-run") == 0
    assert " for training, " in capsys.readouterr().out
    assert [one.name for one in (tmp_path / "dry").iterdir()] == ["samples.zarr"]


def test_train_again_repeats_nothing_and_says_so(trained, capsys):
    assert run("train", trained / "train.yaml") == 0
    assert "finished before" in capsys.readouterr().out


def test_samples_come_from_the_event_s_radar_and_not_from_unseen_land(trained):
    from sarmap.learn.sample_store import open_samples

    store = open_samples(trained / "tiny" / "samples.zarr")
    assert store.bands == ("vv_pre", "vv_post_1", "vv_post_2", "slope")
    assert store.attrs["simulated"]
    chosen = np.flatnonzero(store.valid)
    images, masks = store.read(chosen)
    assert images.min() == 0
    assert images.max() == 1
    assert (masks == 1).any(axis=(1, 2)).all()


def test_a_reused_folder_needs_no_catalogue(trained, tmp_path, monkeypatch):
    shutil.copytree(trained / "tiny", tmp_path / "copy")
    monkeypatch.setattr("sarmap.learn.train.open_scenes", None)
    for name in ("tiny.json", "training/result.txt"):
        (tmp_path / "copy" / name).unlink()
    (tmp_path / "copy" / "training" / "config.txt").unlink()
    config = yaml.safe_load((trained / "train.yaml").read_text())
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config | {"out": str(tmp_path / "copy")}))
    assert run("train", tmp_path / "train.yaml", "--epochs", 1) == 0


def test_corrections_fine_tune_and_say_by_how_much_it_helped(
    trained, mapped, event, server, capsys
):
    capsys.readouterr()
    code = run(
        "train",
        "--corrections",
        event.inventory,
        "--map",
        mapped,
        "--detector",
        trained / "tiny",
        "--catalog",
        server.url,
        "--out",
        trained / "mended",
        "--epochs",
        "2",
        "--block",
        "64",
        "--json",
    )
    assert code == 0
    said = json.loads(capsys.readouterr().out)
    gain = said["gain"]
    assert gain["patches"] > 0
    assert gain["before"] == pytest.approx(said["scores"]["test, before"]["f1"], abs=1e-3)
    assert gain["after"] == pytest.approx(said["scores"]["test"]["f1"], abs=1e-3)
    manifest = json.loads((trained / "mended" / "tiny-corrected.json").read_text())
    parent = json.loads((trained / "tiny" / "tiny.json").read_text())
    assert manifest["training"]["fine_tuned_from"]["sha256"] == parent["sha256"]
    card = (trained / "mended" / "tiny-corrected.md").read_text()
    assert "What the corrections gave" in card
    assert "held-out samples" in card


def test_only_tiles_that_a_polygon_touches_are_taken_for_looked_at(trained, mapped, event):
    from sarmap.assess.inventory import rasterise_inventory, read_inventory
    from sarmap.learn.corrections import corrected_labels
    from sarmap.store.reading import open_reader

    reader = open_reader(mapped)
    labels = corrected_labels(reader, event.inventory, None, None, 32)
    mask = labels.mask(slice(0, reader.shape[0]), slice(0, reader.shape[1]))
    called = reader.strip(0, reader.shape[0]).probability
    drawn = rasterise_inventory(read_inventory(event.inventory), reader.grid)
    touched = ((called >= 75) & (called < 255)) | (drawn == 1)
    for row in range(0, reader.shape[0], 32):
        for column in range(0, reader.shape[1], 32):
            tile = np.s_[row : row + 32, column : column + 32]
            assert (mask[tile] != 255).all() == touched[tile].any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--corrections", "x.gpkg"], "--map"),
        ([], "configuration"),
        (["nowhere.yaml"], "cannot be read"),
        (["nowhere.yaml", "--detector", "cnn"], "--corrections"),
        (["nowhere.yaml", "--corrections", "x.gpkg"], "CONFIG"),
    ],
)
def test_a_wrong_call_is_one_sentence(words, said, capsys):
    assert run("train", *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_detector_without_weights_cannot_learn(mapped, event, capsys):
    words = ["--corrections", event.inventory, "--map", mapped, "--detector", "log-ratio"]
    assert run("train", *words) == 2
    assert "no weights" in capsys.readouterr().err


@pytest.fixture
def bad_inventory(tmp_path, event):
    """Files of labels that cannot be used, by what is wrong with them."""
    import geopandas
    import shapely

    def write(name):
        path = tmp_path / f"{name}.gpkg"
        left, bottom, right, top = event.grid.boundingbox.bbox
        box = shapely.box(left, bottom, right, top)
        frames = {
            "elsewhere": geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 9, 9)], crs=event.crs),
            "empty": geopandas.GeoDataFrame(geometry=[], crs=event.crs),
            "without crs": geopandas.GeoDataFrame(geometry=[box]),
            "local system": geopandas.GeoDataFrame(
                geometry=[shapely.box(0, 0, 9, 9)],
                crs='ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],'
                'LENGTHUNIT["metre",1]]',
            ),
        }
        frames[name].to_file(path, layer="slides")
        return path

    return write


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("elsewhere", "lies on the composite"),
        ("empty", "no polygons"),
        ("without crs", "reference system"),
        ("local system", "reference system"),
    ],
)
def test_bad_labels_are_one_sentence_and_lose_nothing(
    bad_inventory, event, tmp_path, capsys, name, said
):
    config = {
        "name": "tiny",
        "out": str(tmp_path / "out"),
        "events": [
            {
                "name": "bad",
                "simulated": str(event.path),
                "orbit": "ascending",
                "inventory": str(bad_inventory(name)),
            }
        ],
    }
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    assert run("train", tmp_path / "train.yaml") == 2
    error = capsys.readouterr().err
    assert "Event bad" in error
    assert said in error
    assert str(tmp_path) not in error
    assert error.count("\n") == 1
