"""Weights are found by name or path, and refused where they are not what their manifest says."""

import io
import json
import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from dask.base import tokenize

from sarmap.compose.names import EVIDENCE
from sarmap.detect.manifest import (
    Manifest,
    digest,
    read_arrays,
    read_manifest,
    save_weights,
    write_arrays,
)
from sarmap.detect.protocol import Detector, FixedStatistics, describe
from sarmap.detect.trust import MEASURES, PATCH
from sarmap.detect.weight_files import DATA, detector_names
from sarmap.detect.weights import load_detector
from sarmap.errors import WeightsError

BANDS = {
    "attention-unet": (*EVIDENCE, "slope", "incidence"),
    "cnn": ("vv_pre", "vv_post_1", "vv_post_2"),
    "cnn-baa": ("vv_pre", "vv_post_1", "vv_post_2"),
    "cnn-bah": ("vv_pre", "vv_post_1", "vh_post_1"),
    "cnn-bas": ("vv_pre", "vv_post_1", "slope"),
    "nava-2021-cnn": ("vv_pre", "vv_post_1", "vv_post_2"),
    "nava-2022-attention-unet": ("vv_pre", "vv_post_1", "vv_post_2", "slope"),
}
FIELDS = {
    "network": "cnn",
    "arguments": {"clip": 9, "size": 8, "filters": [2], "dense": 3},
    "bands": ("vv_pre", "vv_post_1"),
    "scaling": "db",
    "normalisation": {"vv_pre": (-7.0, 2.0), "vv_post_1": (-7.5, 2.5)},
    "kind": "window",
    "tile": 9,
    "stride": 2,
    "simulated": True,
}


def small_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = {
        "block1_convolution/kernel": (3, 3, 2, 2),
        "block1_convolution/bias": (2,),
        "dense/kernel": (32, 3),
        "dense/bias": (3,),
        "classes/kernel": (3, 2),
        "classes/bias": (2,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def own(tmp_path):
    """A user's own manifest and weights in a folder."""
    return save_weights(small_arrays(), tmp_path / "own", name="mine", **FIELDS)


def change(manifest, **fields):
    record = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**record, **fields}))


@pytest.mark.parametrize("name", sorted(BANDS))
def test_shipped_weights_say_all_that_prediction_needs(name):
    detector = load_detector(name, precision="f32")
    assert isinstance(detector, Detector)
    spec = describe(detector)
    assert spec.bands == BANDS[name]
    assert spec.scaling == ("db" if name.startswith("attention-unet") else "amplitude")
    if name == "attention-unet":
        assert (spec.kind, spec.tile, spec.stride, spec.halo) == ("segment", 256, 256, 16)
        assert set(detector.manifest.made_for) == set(MEASURES) - set(PATCH)
    elif "attention-unet" in name:
        assert (spec.kind, spec.tile, spec.stride) == ("segment", 64, 64)
    else:
        assert (spec.kind, spec.tile, spec.stride, spec.network_size) == ("window", 25, 2, 32)
    if name.startswith("nava-2022"):
        assert spec.normalisation == "tile-minmax"
    else:
        assert isinstance(spec.normalisation, FixedStatistics)
    assert spec.provenance["weights_sha256"] == detector.sha256
    assert spec.provenance["engine"] == "openvino"
    assert detector.manifest.training["events"] or detector.manifest.training["worlds"]
    assert detector.manifest.simulated
    assert "simulated" in detector.manifest.card.lower()


def test_shipped_weights_are_float16_and_small():
    files = list(DATA.glob("*.npz"))
    assert len(files) == 6
    assert sum(file.stat().st_size for file in files) < 20e6
    assert all(array.dtype == np.float16 for file in files for array in read_arrays(file).values())


def test_the_names_are_listed_when_one_is_unknown():
    with pytest.raises(WeightsError) as caught:
        load_detector("attention-net")
    for name in (
        "attention-unet",
        "cnn",
        "cnn-baa",
        "cnn-bah",
        "cnn-bas",
        "cnn-dense",
        "log-ratio",
        "nava-2021-cnn",
        "nava-2022-attention-unet",
    ):
        assert name in str(caught.value)
        assert name in detector_names()


def test_log_ratio_needs_no_weights():
    assert describe(load_detector("log-ratio")).kind == "pixel"


def test_own_weights_load_by_manifest_file_or_folder(own):
    for path in (own, own.with_suffix(".npz"), own.parent, str(own)):
        detector = load_detector(path, precision="f32")
        assert (detector.name, detector.bands) == ("mine", ("vv_pre", "vv_post_1"))


def test_own_weights_answer(own):
    clips = np.random.default_rng(0).normal(size=(5, 9, 9, 2)).astype(np.float32)
    fast = load_detector(own, engine="openvino", precision="f32")(clips)
    assert fast.shape == (5,)
    reference = load_detector(own, engine="tensorflow", precision="f32")(clips)
    np.testing.assert_allclose(fast, reference, atol=1e-5)


def test_changed_weights_are_refused(own):
    file = own.with_suffix(".npz")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match="changed after their manifest was written"):
        load_detector(own)


@pytest.mark.parametrize("keep", [0, 100, -40])
def test_truncated_weights_are_refused_even_with_a_matching_digest(own, keep):
    file = own.with_suffix(".npz")
    file.write_bytes(file.read_bytes()[:keep])
    change(own, sha256=digest(file))
    with pytest.raises(WeightsError, match="truncated or corrupt"):
        load_detector(own, engine="tensorflow")(np.zeros((1, 9, 9, 2), np.float32))


def test_an_array_that_claims_terabytes_is_refused(own):
    head = io.BytesIO()
    claimed = {"descr": "<f4", "fortran_order": False, "shape": (2**39,)}
    np.lib.format.write_array_header_1_0(head, claimed)
    with zipfile.ZipFile(own.with_suffix(".npz"), "w") as packed:
        packed.writestr("kernel.npy", head.getvalue())
    with pytest.raises(WeightsError, match="truncated or corrupt"):
        read_arrays(own.with_suffix(".npz"))


def test_an_archive_that_unpacks_to_more_than_a_network_is_refused(own, monkeypatch):
    monkeypatch.setattr("sarmap.detect.manifest.LARGEST", 2**20)
    with zipfile.ZipFile(own.with_suffix(".npz"), "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("kernel.npy", bytes(2**21))
    with pytest.raises(WeightsError, match="more than 1 MiB"):
        read_arrays(own.with_suffix(".npz"))


def test_pickled_objects_are_never_read(own):
    file = own.with_suffix(".npz")
    np.savez(file, evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(WeightsError, match="truncated or corrupt"):
        read_arrays(file)


def test_an_array_beyond_float16_keeps_its_values(tmp_path):
    arrays = {"norm/moving_variance": np.float32([70_000, 3]), "norm/gamma": np.float32([1, 2])}
    write_arrays(arrays, tmp_path / "x.npz")
    again = read_arrays(tmp_path / "x.npz")
    np.testing.assert_array_equal(again["norm/moving_variance"], arrays["norm/moving_variance"])
    assert again["norm/gamma"].dtype == np.float16


def test_numbers_that_are_not_finite_are_refused(own, tmp_path):
    with pytest.raises(WeightsError, match="dense/kernel holds a value that is no number"):
        write_arrays({"dense/kernel": np.array([np.inf])}, tmp_path / "x.npz")
    np.savez(own.with_suffix(".npz"), a=np.array([np.nan], np.float16))
    with pytest.raises(WeightsError, match="no finite numbers at a"):
        read_arrays(own.with_suffix(".npz"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"arguments": {"clip": 9, "size": 8, "filters": [4], "dense": 3}}, "has shape"),
        ({"network": "plain-unet", "arguments": {"tile": 16, "depth": 1}, "tile": 16}, "lack"),
        ({"network": "transformer"}, "none of attention-unet"),
        ({"arguments": {"layers": 3}}, "cannot be built"),
        ({"tile": 11}, r"tiles of shape \(9, 9, 2\)"),
    ],
)
def test_a_manifest_for_another_network_is_refused(own, fields, words):
    change(own, **fields)
    detector = load_detector(own, engine="tensorflow")
    with pytest.raises(WeightsError, match=words):
        detector.prepare()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"weights": "../other.npz"}, "file name in the manifest's own folder"),
        ({"bands": []}, "bands"),
        ({"scaling": "decibel"}, "scaling"),
        ({"normalisation": {"vv_pre": [0, 1]}}, "one pair for each band"),
        ({"surprise": 1}, "surprise"),
        ({"sha256": "abc"}, "sha256"),
        ({"network": None}, r"only for a \.keras file"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused_by_field(own, fields, words):
    change(own, **fields)
    with pytest.raises(WeightsError, match=words):
        load_detector(own)


def test_what_is_missing_is_named(own, tmp_path):
    with pytest.raises(WeightsError, match=r"no weights gone\.npz"):
        load_detector(tmp_path / "gone.npz")
    with pytest.raises(WeightsError, match=r"no manifest gone\.json"):
        load_detector(tmp_path / "gone.json")
    with pytest.raises(WeightsError, match="holds 0 manifests"):
        load_detector(tmp_path)
    own.with_suffix(".npz").unlink()
    with pytest.raises(WeightsError, match=r"mine\.npz.*are missing"):
        load_detector(own)
    own.write_text("not json")
    with pytest.raises(WeightsError, match=r"mine\.json is not valid"):
        load_detector(own)


def test_no_local_folder_reaches_an_error(own):
    own.with_suffix(".npz").write_bytes(b"")
    with pytest.raises(WeightsError) as caught:
        load_detector(own)
    assert str(own.parent) not in str(caught.value)


def test_a_detector_pickles_as_a_light_handle_and_loads_once_per_process(own):
    detector = load_detector(own, engine="openvino", precision="f32")
    data = pickle.dumps(detector)
    assert len(data) < 2000
    first, second = pickle.loads(data), pickle.loads(data)
    assert first is second
    assert (first.sha256, first.engine, first.precision) == (detector.sha256, "openvino", "f32")
    assert tokenize(first) == tokenize(detector)


def test_a_worker_with_other_weights_refuses(own):
    data = pickle.dumps(load_detector(own, precision="f32"))
    arrays = {name: array + 1 for name, array in small_arrays().items()}
    save_weights(arrays, own.parent, name="mine", **FIELDS)
    with pytest.raises(WeightsError, match="not those the map was started with"):
        pickle.loads(data).prepare()


def test_unpickling_needs_no_weights_since_dask_s_scheduler_does_it_too(own):
    data = pickle.dumps(load_detector(own, precision="f32"))
    own.unlink()
    assert pickle.loads(data).name == "mine"


def test_a_worker_that_lacks_the_weights_says_how_to_send_them(own):
    data = pickle.dumps(load_detector(own, precision="f32"))
    own.unlink()
    with pytest.raises(WeightsError, match="not on this worker: give their URL"):
        pickle.loads(data).find_weights()


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    first = write_arrays(small_arrays(), tmp_path / "a.npz")
    assert write_arrays(dict(reversed(small_arrays().items())), tmp_path / "b.npz") == first


def keras_file(folder, layers):
    """A user's own `.keras` file with its manifest."""
    import keras

    inputs = keras.Input((8, 8, 2))
    output = inputs
    for layer in layers:
        output = layer(output)
    file = folder / "theirs.keras"
    keras.Model(inputs, output).save(file)
    fields = {**FIELDS, "network": None, "arguments": {}, "kind": "segment", "tile": 8, "stride": 8}
    manifest = Manifest(name="theirs", weights=file.name, sha256=digest(file), **fields)
    path = folder / "theirs.json"
    path.write_text(manifest.model_dump_json())
    return path


def test_a_users_keras_file_loads_in_safe_mode(tmp_path):
    import keras

    path = keras_file(tmp_path, [keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")])
    tiles = np.random.default_rng(0).random((3, 8, 8, 2), np.float32)
    reference = load_detector(path, engine="tensorflow", precision="f32")(tiles)
    assert reference.shape == (3, 8, 8)
    fast = load_detector(path, engine="openvino", precision="f32")(tiles)
    np.testing.assert_allclose(fast, reference, atol=1e-5)


def test_code_in_a_keras_file_is_never_run(tmp_path):
    import keras

    path = keras_file(tmp_path, [keras.layers.Lambda(lambda x: x[..., :1])])
    with pytest.raises(WeightsError, match=r"theirs\.keras cannot be loaded safely"):
        load_detector(path, engine="tensorflow").prepare()


def test_shipped_names_win_over_folders_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DATA, tmp_path / "cnn")
    assert load_detector("cnn").name == "cnn-baa"


@pytest.mark.parametrize("manifest", sorted(DATA.glob("*.json")), ids=lambda path: path.stem)
def test_weights_that_ship_have_a_card_that_says_what_they_are(manifest):
    card = manifest.with_suffix(".md").read_text(encoding="utf-8")
    told = read_manifest(manifest)
    assert card.startswith(f"# {told.name}\n")
    assert "SIMULATED" in card
    assert told.sha256 in card
    assert "## It must not be used" in card
    held_out = [name for name in told.scores if name.startswith("event ")]
    assert held_out
    for name in held_out:
        assert f"| {name} | whole event held out |" in card
    assert "Clips are counted" not in card  # the scores are of whole maps
