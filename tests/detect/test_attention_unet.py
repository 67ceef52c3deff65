"""The Attention U-Net is the papers': its shapes, its size, and what a gate computes."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import keras

from sarmap.detect.attention_unet import attention_gate, build_attention_unet
from sarmap.errors import RequestError


def convolution(edge: int, into: int, out: int, bias: bool) -> int:
    return edge * edge * into * out + out * bias


def double(into: int, out: int) -> int:
    """Two 3 x 3 convolutions without bias, each normalised (four numbers a channel)."""
    return convolution(3, into, out, False) + convolution(3, out, out, False) + 2 * 4 * out


def parameters_by_hand(bands: int, filters: int, depth: int, gated: bool) -> int:
    widths = [filters * 2**level for level in range(depth + 1)]
    total = sum(double(a, b) for a, b in zip([bands, *widths], widths, strict=False))
    for width in widths[:-1]:
        total += convolution(2, 2 * width, width, True) + double(2 * width, width)
        if gated:
            total += convolution(2, width, width, False)
            total += convolution(1, 2 * width, width, True) + convolution(1, width, 1, True)
    return total + convolution(1, filters, 2, True)


@pytest.mark.parametrize(
    ("bands", "filters", "depth", "variant"),
    [(4, 32, 4, "attention"), (3, 8, 4, "attention"), (5, 2, 2, "plain"), (4, 4, 3, "dropout")],
)
def test_every_parameter_is_accounted_for(bands, filters, depth, variant):
    model = build_attention_unet(bands, filters=filters, depth=depth, variant=variant)
    assert model.count_params() == parameters_by_hand(bands, filters, depth, variant == "attention")


def test_the_papers_size_is_8_3_million_parameters_and_1_56_gflop_a_tile():
    model = build_attention_unet(("vv_pre", "vv_post_1", "vv_post_2", "slope"))
    assert round(model.count_params() / 1e6, 1) == 8.3
    flop = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            # the whole kernel meets each output pixel; of a transposed one, each input pixel
            transposed = isinstance(layer, keras.layers.Conv2DTranspose)
            _, y, x, _ = (layer.input if transposed else layer.output).shape
            flop += 2 * y * x * int(np.prod(layer.kernel.shape))
    assert flop / 1e9 == pytest.approx(1.56, abs=0.03)


@pytest.mark.parametrize("variant", ["attention", "plain", "dropout"])
def test_answers_are_two_class_probabilities_of_each_pixel(variant):
    model = build_attention_unet(3, filters=2, depth=2, tile=16, variant=variant)
    answer = np.asarray(model(np.random.default_rng(0).random((5, 16, 16, 3), np.float32)))
    assert answer.shape == (5, 16, 16, 2)
    np.testing.assert_allclose(answer.sum(axis=-1), 1, atol=1e-6)


def test_only_the_attention_variant_has_gates_and_only_dropout_has_three_dropouts():
    for variant, gates, dropouts in [("attention", 3, 0), ("plain", 0, 0), ("dropout", 0, 3)]:
        model = build_attention_unet(2, filters=2, depth=3, tile=8, variant=variant)
        assert sum(layer.name.endswith("_psi") for layer in model.layers) == gates
        kinds = [type(layer).__name__ for layer in model.layers]
        assert kinds.count("Dropout") == dropouts


def test_a_gate_weighs_the_skip_by_one_value_per_two_by_two_pixels():
    skip, coarse = keras.Input((2, 4, 1)), keras.Input((1, 2, 1))
    model = keras.Model([skip, coarse], attention_gate(skip, coarse, 1, "gate"))
    model.get_layer("gate_theta").set_weights([np.full((2, 2, 1, 1), 0.5)])
    model.get_layer("gate_phi").set_weights([np.full((1, 1, 1, 1), 2.0), np.array([-1.0])])
    model.get_layer("gate_psi").set_weights([np.full((1, 1, 1, 1), 3.0), np.array([0.25])])
    fine = np.array([[1.0, 2.0, -4.0, 0.0], [3.0, 4.0, -2.0, 1.0]], np.float32)
    gated = np.asarray(model([fine[None, ..., None], np.float32([[[[0.1], [1.0]]]])]))[0, ..., 0]
    # theta: half the sum of four; phi: 2 g - 1
    added = [0.5 * 10 + 2 * 0.1 - 1, 0.5 * -5 + 2 * 1.0 - 1]
    attention = [1 / (1 + np.exp(-(3 * max(value, 0) + 0.25))) for value in added]
    expected = fine * np.repeat(attention, 2)
    np.testing.assert_allclose(gated, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tile": 60}, "multiple of 16"),
        ({"variant": "gated"}, "attention, plain, dropout"),
        ({"filters": 0}, "at least one filter"),
    ],
)
def test_an_impossible_network_is_refused_with_what_would_do(arguments, words):
    with pytest.raises(RequestError, match=words):
        build_attention_unet(4, **arguments)
