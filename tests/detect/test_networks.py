"""Fresh weights hang on the seed alone, whatever else the process draws."""

import random
import threading

import numpy as np
import pytest

from sarmap.detect.networks import build_network, draw_weights, get_arrays

SMALL = {
    "attention-unet": {"filters": 2, "depth": 2, "tile": 16},
    "dropout-unet": {"filters": 2, "depth": 3, "tile": 16},
    "cnn": {"filters": [4, 4, 4], "dense": 8},
    "cnn-dense": {"filters": [4, 4, 4], "dense": 8},
}


def drawn(name: str, seed: int) -> dict[str, np.ndarray]:
    model = build_network(name, 3, SMALL[name])
    draw_weights(model, seed)
    states = {
        f"{layer.name} state": np.asarray(layer.seed_generator.state)
        for layer in model.layers
        if getattr(layer, "seed_generator", None) is not None
    }
    return {**get_arrays(model), **states}


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_draws_the_same_and_another_seed_others(name):
    one, again, other = drawn(name, 5), drawn(name, 5), drawn(name, 6)
    for path, array in one.items():
        np.testing.assert_array_equal(array, again[path], err_msg=path)
        if "kernel" in path or "state" in path:
            assert (array != other[path]).any(), path


def test_no_two_layers_of_one_shape_draw_alike():
    arrays = drawn("attention-unet", 5)
    kernels = [array for path, array in arrays.items() if path.endswith("kernel")]
    for number, one in enumerate(kernels):
        for other in kernels[:number]:
            assert one.shape != other.shape or (one != other).any()


def test_other_threads_that_draw_as_well_change_nothing():
    quiet, over = drawn("attention-unet", 5), threading.Event()

    def draw() -> None:
        while not over.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        beside = drawn("attention-unet", 5)
    finally:
        over.set()
        thread.join()
    for path, array in quiet.items():
        np.testing.assert_array_equal(array, beside[path], err_msg=path)


def test_drawing_leaves_the_callers_own_random_numbers_alone():
    model = build_network("attention-unet", 3, SMALL["attention-unet"])
    before = random.getstate()
    draw_weights(model, 5)
    assert random.getstate() == before


def test_he_normal_kernels_have_the_spread_that_he_gives():
    # He et al. 2015: variance 2 / fan in
    model = build_network("attention-unet", 4, {"filters": 32, "depth": 2, "tile": 16})
    draw_weights(model, 5)
    kernel = get_arrays(model)["down1a/kernel"]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (3 * 3 * 32)), rel=0.05)
