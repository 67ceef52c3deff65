"""Whoever runs a network answers the same, however many tiles were asked at once."""

import itertools
import os
import subprocess
import sys
import threading
from functools import lru_cache
from importlib.util import find_spec

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import sarmap
from sarmap.detect import conversion, engines, hardware
from sarmap.detect.batches import batch_size
from sarmap.detect.hardware import Gpu
from sarmap.detect.keras_engine import keras_on
from sarmap.detect.manifest import read_manifest
from sarmap.detect.weight_files import DATA
from sarmap.detect.weights import load_detector
from sarmap.errors import RequestError, SarmapError, WeightsError

EACH_NETWORK = {read_manifest(path).network: path.stem for path in sorted(DATA.glob("*.json"))}
"""Of each shipped network one set of weights."""


def tiles_for(detector, count: int, seed: int = 0) -> np.ndarray:
    """Tiles as prediction normalises them: about 0-1, or standardised."""
    rng = np.random.default_rng(seed)
    shape = (count, *detector.manifest.input_shape)
    if detector.normalisation == "tile-minmax":
        return rng.random(shape, np.float32)
    return rng.normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def unet():
    return load_detector("nava-2022-attention-unet", engine="openvino", precision="f32")


@pytest.mark.parametrize("name", EACH_NETWORK.values())
def test_openvino_f32_agrees_with_tensorflow_f32(name):
    fast = load_detector(name, engine="openvino", precision="f32")
    reference = load_detector(name, engine="tensorflow", precision="f32")
    tiles = tiles_for(fast, 9)
    np.testing.assert_allclose(fast(tiles), reference(tiles), atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def map_at(event, server, tmp_path_factory):
    """Ascending map of the small event at a precision: probability and observation codes."""

    @lru_cache
    def answer(engine, precision):
        request = sarmap.MapRequest(
            area=event.grid,
            event=event.event,
            catalog=server.catalog,
            detector="nava-2022-attention-unet",
            orbit="ascending",
            engine=engine,
            precision=precision,
            out=str(tmp_path_factory.mktemp("map") / "map.zarr"),
        )
        made = xr.open_zarr(sarmap.map_landslides(request).path).load()
        assert (made.attrs["engine"], made.attrs["precision"]) == (engine, precision)
        return made.probability.values, made.observation.values == 0

    return answer


def f1_score(found, truth):
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


@pytest.mark.skipif(not engines.native_bf16(), reason="this processor has no native bf16")
@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_native_bf16_moves_hardly_a_pixel_across_one_half_and_f1_not_at_all(event, map_at, engine):
    # Of a scene, not of noise, where the network is undecided thrice as often. Over the papers'
    # whole extent 0.08 % (OpenVINO) and 0.09 % (TensorFlow) of the pixels change sides.
    exact, seen = map_at("openvino", "f32")
    short, also = map_at(engine, "bf16")
    np.testing.assert_array_equal(seen, also)
    exact, short = exact[seen] > 0.5, short[seen] > 0.5
    slides = gpd.read_file(event.inventory).to_crs(event.crs)
    truth = rasterize(slides.geometry, event.shape, transform=event.grid.affine) == 1
    assert exact.sum() > 100
    assert np.mean(exact != short) <= 0.0015
    assert abs(f1_score(exact, truth[seen]) - f1_score(short, truth[seen])) <= 0.005


def test_emulated_bf16_gives_probabilities_close_to_f32():
    manifest = read_manifest(DATA / "nava-2022-attention-unet.json")
    exact = load_detector("nava-2022-attention-unet", engine="tensorflow", precision="f32")
    short = engines.make_engine(manifest, DATA, "tensorflow", "bf16")
    tiles = tiles_for(exact, 4)
    assert np.abs(exact(tiles) - short(tiles)).mean() < 0.01


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(0, 23), max_size=4), shift=st.integers(0, 22))
def test_an_answer_does_not_depend_on_the_batch_or_the_place_in_it(unet, cuts, shift):
    tiles = tiles_for(unet, 23)
    whole = unet(tiles)
    parts = np.split(np.roll(tiles, shift, axis=0), sorted(cuts))
    answers = np.concatenate([unet(part) for part in parts])
    np.testing.assert_array_equal(np.roll(answers, -shift, axis=0), whole)


def test_clips_too_are_independent_of_their_batch():
    detector = load_detector("cnn", engine="openvino", precision="f32")
    clips = tiles_for(detector, 700)
    whole = detector(clips)
    assert whole.shape == (700,)
    np.testing.assert_array_equal(np.concatenate([detector(clips[:1]), detector(clips[1:])]), whole)


def test_several_threads_may_ask_at_once(unet):
    tiles = tiles_for(unet, 30)
    expected, found = unet(tiles), {}

    def ask(number: int) -> None:
        found[number] = unet(tiles[number:])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for number in range(8):
        np.testing.assert_array_equal(found[number], expected[number:])


def test_no_tiles_give_no_answers(unet):
    assert unet(tiles_for(unet, 0)).shape == (0, 64, 64)


def test_the_stream_count_does_not_show(unet, monkeypatch):
    monkeypatch.setattr(engines, "usable_cores", lambda: 1)
    manifest = read_manifest(DATA / "nava-2022-attention-unet.json")
    single = engines.make_engine(manifest, DATA, "openvino", "f32")
    tiles = tiles_for(unet, 6)
    np.testing.assert_array_equal(single(tiles), unet(tiles))


def test_tensorflow_that_is_not_installed_is_refused_before_a_map_begins(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(RequestError, match="TensorFlow is not installed here"):
        engines.choose_engine("tensorflow", "f32")


def test_a_warm_start_imports_neither_tensorflow_nor_keras(unet):
    unet(tiles_for(unet, 1))  # the converted model is in the cache now
    script = (
        "import sys, numpy as np; from sarmap.detect.weights import load_detector;"
        "d = load_detector('nava-2022-attention-unet', engine='openvino', precision='f32');"
        "print(d(np.zeros((1, 64, 64, 4), np.float32)).shape, 'tensorflow' in sys.modules,"
        " 'keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["(1,", "64,", "64)", "False", "False"]


def test_the_conversion_itself_loads_no_tensorflow(tmp_path):
    manifest = DATA / "cnn-baa.json"
    script = (
        "import sys; from sarmap.detect import conversion; from pathlib import Path;"
        f"conversion._export(Path({str(manifest)!r}), Path({str(DATA)!r}), "
        f"Path({str(tmp_path / 'model.xml')!r})); print('tensorflow' in sys.modules)"
    )
    environment = {**os.environ, "KERAS_BACKEND": "openvino"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["False"]


def test_openvino_may_not_tell_others_that_it_is_used(unet, tmp_path):
    """Imported plainly it opens a connection to a third party; engine and conversion do not."""
    unet(tiles_for(unet, 1))  # the converted model is in the cache now
    script = (
        "import sys, numpy as np; from pathlib import Path;"
        "from sarmap.detect import conversion; from sarmap.detect.weights import load_detector;"
        "d = load_detector('nava-2022-attention-unet', engine='openvino', precision='f32');"
        "d.prepare();"
        f"conversion._export(Path({str(DATA / 'cnn-baa.json')!r}), Path({str(DATA)!r}), "
        f"Path({str(tmp_path / 'model.xml')!r}));"
        "print('openvino.tools.ovc' in sys.modules, 'openvino_telemetry.main' in sys.modules)"
    )
    environment = {**os.environ, "KERAS_BACKEND": "openvino", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["True", "False"]
    assert not (tmp_path / "intel").exists()


def test_a_damaged_cache_entry_is_made_again(unet, monkeypatch, caplog, tmp_path):
    manifest = read_manifest(DATA / "nava-2022-attention-unet.json")
    xml, binary = conversion.openvino_ir(manifest, DATA)
    monkeypatch.setenv("SARMAP_CACHE", str(tmp_path))
    monkeypatch.setattr(conversion, "_convert", lambda *_: (xml, binary))
    assert conversion.openvino_ir(manifest, DATA) == (xml, binary)
    (entry,) = (tmp_path / "models").glob(f"{conversion._cache_key(manifest)}.zip")
    whole = entry.read_bytes()
    for damaged in (whole[:1000], whole[:5000] + b"?" + whole[5001:], b""):
        entry.write_bytes(damaged)
        caplog.clear()
        assert conversion.openvino_ir(manifest, DATA) == (xml, binary)
        assert "damaged" in caplog.text
        assert entry.read_bytes()[:1000] == whole[:1000] or len(entry.read_bytes()) == len(whole)


def test_no_flipped_bit_of_a_cache_entry_ends_a_run_or_passes(tmp_path):
    entry, held = tmp_path / "model.zip", (b"<net/>", bytes(range(40)))
    conversion._write(entry, *held)
    whole = entry.read_bytes()
    for at, bit in itertools.product(range(len(whole)), (1, 8)):
        flipped = bytearray(whole)
        flipped[at] ^= bit
        entry.write_bytes(flipped)
        assert conversion._read(entry) in (None, held), (at, bit)


def test_a_cache_that_cannot_be_written_is_reported_and_done_without(tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("SARMAP_CACHE", str(blocked))
    monkeypatch.setattr(conversion, "_convert", lambda *_: (b"<net/>", b"0"))
    manifest = read_manifest(DATA / "cnn-baa.json")
    assert conversion.openvino_ir(manifest, DATA) == (b"<net/>", b"0")
    assert "SARMAP_CACHE" in caplog.text


def test_the_cache_key_hangs_on_weights_versions_and_shape(monkeypatch):
    manifest = read_manifest(DATA / "cnn-baa.json")
    key = conversion._cache_key(manifest)
    assert conversion._cache_key(manifest.model_copy(update={"sha256": "0" * 64})) != key
    assert conversion._cache_key(manifest.model_copy(update={"tile": 27})) != key
    monkeypatch.setattr(conversion.metadata, "version", lambda name: "0")
    assert conversion._cache_key(manifest) != key


def test_a_conversion_that_fails_says_which_weights_and_what_else_would_run_them(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("SARMAP_CACHE", str(tmp_path))
    manifest = read_manifest(DATA / "cnn-baa.json")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SarmapError, match=r"cnn-baa could not be converted.*tensorflow"):
        conversion.openvino_ir(manifest, DATA)


NEW_GPU, OLD_GPU = Gpu("GPU 9", 2**37, (9, 0)), Gpu("GPU 7", 2**33, (7, 5))


@pytest.mark.parametrize(
    ("native", "gpu", "backend", "engine", "precision", "expected"),
    [
        (False, None, None, "auto", "auto", ("openvino", "f32")),
        (True, None, None, "auto", "auto", ("openvino", "bf16")),
        (True, None, None, "tensorflow", "f32", ("tensorflow", "f32")),
        (True, None, None, "openvino", "bf16", ("openvino", "bf16")),
        (False, NEW_GPU, "jax", "auto", "auto", ("keras", "bf16")),
        (True, OLD_GPU, "tensorflow", "auto", "auto", ("keras", "f32")),
        (False, NEW_GPU, "tensorflow", "tensorflow", "auto", ("tensorflow", "bf16")),
        (False, NEW_GPU, "jax", "tensorflow", "auto", ("tensorflow", "f32")),
        (False, NEW_GPU, "jax", "openvino", "auto", ("openvino", "f32")),
        (False, NEW_GPU, None, "auto", "auto", ("openvino", "f32")),
    ],
)
def test_auto_is_settled_from_the_hardware(
    monkeypatch, native, gpu, backend, engine, precision, expected
):
    monkeypatch.setattr(engines, "native_bf16", lambda: native)
    monkeypatch.setattr(engines, "find_gpu", lambda: gpu)
    monkeypatch.setattr(engines, "gpu_backend", lambda: backend)
    chosen = engines.choose_engine(engine, precision)
    assert (chosen.engine, chosen.precision) == expected
    assert gpu is None or engine != "auto" or gpu.name in chosen.reason


@pytest.mark.parametrize(
    ("installed", "expected"),
    [(("openvino", "tensorflow"), "openvino"), (("tensorflow",), "tensorflow"), ((), "keras")],
)
def test_auto_takes_what_is_installed(monkeypatch, installed, expected):
    monkeypatch.setattr(engines, "find_gpu", lambda: None)
    monkeypatch.setattr(engines, "find_spec", lambda name: name in installed or None)
    assert engines.choose_engine().engine == expected


def test_the_choice_and_its_reason_are_kept_with_the_answers():
    detector = load_detector("nava-2022-attention-unet", engine="openvino", precision="f32")
    assert detector.provenance["engine"] == "openvino"
    assert detector.provenance["precision"] == "f32"
    assert detector.provenance["engine_reason"] == "engine as asked"


def test_threads_are_set_in_one_place(monkeypatch):
    monkeypatch.setattr(hardware, "_ALLOWED", [])
    everything = hardware.usable_cores()
    hardware.allow_cores(1)
    assert hardware.usable_cores() == 1
    hardware.allow_cores(10**6)
    assert hardware.usable_cores() == everything


def test_a_hidden_gpu_is_not_found(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    hardware.find_gpu.cache_clear()
    assert hardware.find_gpu() is None
    hardware.find_gpu.cache_clear()


@pytest.mark.parametrize("memory", [2**30, 2**34, 2**37])
def test_batches_on_a_gpu_grow_with_its_memory_and_divide_a_block(memory):
    unet = read_manifest(DATA / "nava-2022-attention-unet.json")
    size = batch_size(unet, "bf16", Gpu("one", memory, (9, 0)))
    assert 1 <= size <= 128
    assert 256 % size == 0
    assert size * 64 * 64 * 4096 <= memory
    assert 2048 % batch_size(read_manifest(DATA / "cnn-baa.json"), "f32", NEW_GPU) == 0


def test_the_keras_engine_is_the_reference_on_its_own_backend():
    tiles = tiles_for(load_detector("cnn", precision="f32"), 300)
    own = load_detector("cnn", engine="keras", precision="f32")
    reference = load_detector("cnn", engine="tensorflow", precision="f32")
    np.testing.assert_array_equal(own(tiles), reference(tiles))


@pytest.mark.parametrize("backend", ["jax", "torch", "openvino"])
def test_keras_answers_alike_on_every_backend(backend, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed here")
    reference = load_detector("cnn", engine="tensorflow", precision="f32")
    tiles = tiles_for(reference, 300)
    np.save(tmp_path / "tiles.npy", tiles)
    script = (
        "import sys, numpy as np; from sarmap.detect.weights import load_detector;"
        "d = load_detector('cnn', engine='keras', precision='f32');"
        f"np.save({str(tmp_path / 'answers.npy')!r}, d(np.load({str(tmp_path / 'tiles.npy')!r})));"
        "print(d.prepare().backend, 'tensorflow' in sys.modules)"
    )
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == [backend, "False"]
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), reference(tiles), atol=1e-5)


def test_another_backend_than_the_imported_one_is_refused():
    with pytest.raises(RequestError, match=r"Keras already runs on .* KERAS_BACKEND=jax"):
        keras_on("jax")


@pytest.mark.parametrize(
    ("engine", "precision", "words"),
    [
        ("torch", "auto", "auto, openvino, tensorflow, keras"),
        ("auto", "f16", "auto, f32, bf16, int8"),
        ("auto", "bf16", "no native bf16"),
    ],
)
def test_what_cannot_be_served_is_refused(monkeypatch, engine, precision, words):
    monkeypatch.setattr(engines, "native_bf16", lambda: False)
    monkeypatch.setattr(engines, "find_gpu", lambda: None)
    with pytest.raises(RequestError, match=words):
        engines.choose_engine(engine, precision)


def test_tiles_of_another_shape_are_refused_by_name(unet):
    with pytest.raises(RequestError, match=r"nava-2022-attention-unet takes tiles .* 64, 64, 4"):
        unet(np.zeros((1, 64, 64, 3), np.float32))


def test_weights_of_another_shape_are_refused_by_the_conversion(tmp_path, monkeypatch):
    monkeypatch.setenv("SARMAP_CACHE", str(tmp_path))
    manifest = read_manifest(DATA / "cnn-baa.json")
    other = manifest.model_copy(update={"arguments": {"dense": 64}, "sha256": "1" * 64})
    with pytest.raises(WeightsError, match="dense/"):
        conversion.openvino_ir(other, DATA)
