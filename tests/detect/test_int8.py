"""Precision int8: whole numbers of 8 bits inside, the same landslides outside."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sarmap.detect.int8 import STEPS, hold_to_ranges, round_kernels
from sarmap.detect.networks import build_network
from sarmap.detect.weights import load_detector
from sarmap.errors import RequestError, WeightsError


@pytest.fixture(scope="module")
def quantised():
    return load_detector("attention-unet", precision="int8")


def slides(detector) -> np.ndarray:
    """One normalised tile: noise in every band, and patches darker in both polarisations."""
    rng = np.random.default_rng(3)
    _, edge, bands = detector.manifest.input_shape
    tile = rng.normal(0, 0.5, (edge, edge, bands))
    patches = gaussian_filter(rng.normal(size=(edge, edge)), 6)
    tile[..., :4] -= 3 * (patches > 2 * patches.std())[..., None]
    return tile[None].astype(np.float32)


def test_int8_calls_what_f32_calls(quantised):
    exact = load_detector("attention-unet", engine="openvino", precision="f32")
    tile = slides(exact)
    called, short = exact(tile) >= 0.5, quantised(tile) >= 0.5
    assert 1_000 < called.sum() < 20_000
    assert 0 < (called != short).sum() <= 0.02 * called.sum()


def test_every_convolution_reads_8_bits(quantised):
    nodes = [
        {name: info[name].value for name in ("layerType", "runtimePrecision")}
        for node in quantised.prepare()._compiled.get_runtime_model().get_ops()
        if "Convolution" in (info := node.get_rt_info())["layerType"].value
    ]
    assert len(nodes) == 31
    assert {node["runtimePrecision"] for node in nodes} == {"u8"}


def test_a_map_of_it_says_so(quantised):
    assert quantised.provenance["precision"] == "int8"
    assert quantised.provenance["engine"] == "openvino"
    exact = load_detector("attention-unet", engine="openvino", precision="f32")
    assert quantised.__dask_tokenize__() != exact.__dask_tokenize__()


def test_kernels_keep_their_sums_and_two_products_fit_into_16_bits():
    kernels = np.random.default_rng(0).normal(0.02, 1, (8, 5, 3, 3))
    rounded, step = round_kernels(kernels)
    assert np.abs(rounded * step - kernels).max() < step.max()
    error = (rounded - kernels / step).sum(axis=(2, 3))
    assert np.abs(error).max() <= 0.5
    assert np.array_equal(rounded, np.round(rounded))
    assert 2 * np.abs(rounded).max() * 255 <= np.iinfo(np.int16).max
    assert np.abs(rounded).max() == STEPS


def test_ranges_of_other_layers_are_refused():
    model = build_network("plain-unet", 2, {"filters": 2, "depth": 1, "tile": 8})
    with pytest.raises(WeightsError, match=r"int8.*down0a_relu.*measure"):
        hold_to_ranges(model, {"tiles": (-1, 1)})


@pytest.mark.parametrize(
    ("name", "engine", "words"),
    [
        ("nava-2022-attention-unet", "auto", "nava-2022-attention-unet was not measured for int8"),
        ("change", "auto", "change was not measured for int8"),
        ("attention-unet", "keras", "int8 runs on OpenVINO alone"),
    ],
)
def test_int8_is_refused_where_there_is_none(name, engine, words):
    with pytest.raises(RequestError, match=words):
        load_detector(name, engine=engine, precision="int8")
