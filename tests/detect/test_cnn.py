"""The CNN is paper 1's: 25 x 25 in, 32 x 32 inside, three blocks, two classes."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
import keras

from sarmap.detect.cnn import bilinear_weights, build_cnn
from sarmap.errors import RequestError


def test_every_parameter_is_accounted_for():
    blocks = (9 * 3 * 16 + 16) + (9 * 16 * 32 + 32) + (9 * 32 * 64 + 64)
    assert build_cnn(3).count_params() == blocks + (4 * 4 * 64 * 128 + 128) + (128 * 2 + 2)


def test_answers_are_two_class_probabilities_of_each_clip():
    answer = np.asarray(build_cnn(("a", "b"))(np.random.default_rng(0).random((7, 25, 25, 2))))
    assert answer.shape == (7, 2)
    np.testing.assert_allclose(answer.sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(25, 32), (5, 3), (1, 4), (7, 7), (2, 9)])
def test_resampling_weights_are_those_of_bilinear_interpolation(source, target):
    samples = np.random.default_rng(1).normal(size=source)
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    np.testing.assert_allclose(
        bilinear_weights(source, target) @ samples,
        np.interp(centres, np.arange(source), samples),
        atol=1e-6,
    )


def test_the_graph_resamples_as_tensorflow_does():
    import tensorflow

    model = build_cnn(3)
    first = model.get_layer("block1_convolution")
    seen = keras.Model(model.input, first.input)
    clips = np.random.default_rng(2).random((2, 25, 25, 3), np.float32)
    np.testing.assert_allclose(
        np.asarray(seen(clips)), tensorflow.image.resize(clips, (32, 32)).numpy(), atol=1e-6
    )


def test_too_small_an_input_is_refused():
    with pytest.raises(RequestError, match="at least 8"):
        build_cnn(3, size=7)
