"""One pass over a block answers every window as if it had been asked alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from sarmap.detect import weights
from sarmap.detect.manifest import save_weights
from sarmap.detect.networks import build_network, get_arrays, set_arrays
from sarmap.detect.prediction import predict
from sarmap.detect.protocol import describe
from sarmap.detect.weights import load_detector
from sarmap.errors import RequestError, WeightsError

Pixels = NDArray[np.float32]
BANDS = ("vv_pre", "vv_post_1")
STATISTICS = {"vv_pre": (0.5, 0.3), "vv_post_1": (0.4, 0.2)}


@dataclass
class Last:
    """Answers with a number made of every pixel of a window; knows both ways of being asked."""

    tile: int = 5
    stride: int = 2
    dense: int = 0
    kind: str = "window"
    bands: tuple[str, ...] = BANDS
    normalisation: Any = None

    def __post_init__(self) -> None:
        self.normalisation = self.normalisation or STATISTICS

    def __call__(self, tiles: Pixels) -> Pixels:
        weight = np.arange(1, 1 + tiles[0].size, dtype=np.float64).reshape(tiles.shape[1:])
        return np.modf(np.abs((tiles * weight).sum(axis=(1, 2, 3))))[0].astype(np.float32)

    def sweep(self, patches: Pixels) -> Pixels:
        edge = (self.dense - 1) * self.stride + self.tile
        assert patches.shape[1:3] == (edge, edge)
        view = sliding_window_view(patches, (self.tile, self.tile), axis=(1, 2))
        view = np.moveaxis(view[:, :: self.stride, :: self.stride], 3, -1)
        assert view.shape[1:3] == (self.dense, self.dense)
        return self(view.reshape(-1, self.tile, self.tile, len(self.bands))).reshape(
            len(patches), self.dense, self.dense
        )


def image(values: Pixels, chunks: tuple[int, int] | None = None) -> xr.DataArray:
    made = xr.DataArray(
        values, dims=("band", "y", "x"), coords={"band": list(BANDS)}, attrs={"scaling": "power"}
    )
    return made if chunks is None else made.chunk(y=chunks[0], x=chunks[1])


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    tile=st.integers(1, 7),
    stride=st.integers(1, 3),
    dense=st.integers(1, 6),
    blocks=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    gaps=st.booleans(),
)
def test_one_pass_gives_the_bits_of_the_windows_for_every_scene_and_chunking(
    height: int,
    width: int,
    tile: int,
    stride: int,
    dense: int,
    blocks: tuple[int, int],
    gaps: bool,
) -> None:
    chunks = -(-height // blocks[0]), -(-width // blocks[1])
    rng = np.random.default_rng(height * 100 + width)
    values = rng.random((2, height, width), np.float32)
    if gaps:
        values[:, rng.random((height, width)) < 0.7] = np.nan
    stride = min(stride, tile)
    alone = predict(image(values), Last(tile, stride)).compute()
    swept = predict(image(values, chunks), Last(tile, stride, dense)).compute()
    for name in alone:
        np.testing.assert_array_equal(swept[name].values, alone[name].values)


@pytest.mark.parametrize(
    ("detector", "words"),
    [
        (Last(dense=4, kind="segment"), "kind segment"),
        (Last(dense=4, normalisation="none"), "normalisation none"),
        (Last(dense=-1), "whole number"),
    ],
)
def test_a_detector_that_cannot_be_asked_for_patches_is_refused(detector: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        describe(detector)


# --- the network in its two forms ----------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(
    clip=st.integers(18, 27),
    every=st.integers(1, 8),
    blocks=st.integers(1, 3),
    windows=st.integers(1, 6),
)
def test_patches_and_clips_agree_for_every_clip_and_step(
    clip: int, every: int, blocks: int, windows: int
) -> None:
    arguments = {"clip": clip, "filters": (3, 4, 5)[:blocks], "dense": 6}
    one = build_network("cnn-dense", 2, arguments)
    all_at_once = build_network("cnn-dense", 2, {**arguments, "every": every, "windows": windows})
    set_arrays(all_at_once, get_arrays(one))
    edge = (windows - 1) * every + clip
    patch = np.random.default_rng(clip).normal(size=(1, edge, edge, 2)).astype(np.float32)
    clips = np.array(
        [
            patch[0, i : i + clip, j : j + clip]
            for i in range(0, windows * every, every)
            for j in range(0, windows * every, every)
        ]
    )
    expected = np.asarray(one(clips)).reshape(windows, windows, 2)
    np.testing.assert_allclose(np.asarray(all_at_once(patch))[0], expected, atol=1e-5)


def test_a_clip_too_small_for_its_blocks_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"clip of 9 px is too small for 3 blocks"):
        build_network("cnn-dense", 2, {"clip": 9})


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a fresh `cnn-dense`, on disk."""
    import keras

    keras.utils.set_random_seed(3)
    model = build_network("cnn-dense", 2, {})
    return save_weights(
        get_arrays(model),
        tmp_path_factory.mktemp("weights"),
        name="fresh",
        network="cnn-dense",
        bands=BANDS,
        scaling="power",
        normalisation=STATISTICS,
        kind="window",
        tile=25,
        stride=2,
        simulated=True,
    )


def test_one_pass_equals_the_windows_in_tensorflow(
    untrained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "SWEEP", 16)
    values = np.random.default_rng(1).random((2, 75, 90), np.float32)
    values[:, 20:30, 40:44] = np.nan
    options: Any = {"engine": "tensorflow", "precision": "f32"}
    dense: Any = load_detector(untrained, **options)
    windowed: Any = load_detector(untrained, **options, dense=False)
    assert (dense.dense, windowed.dense) == (16, 0)
    one = predict(image(values), dense).compute()
    each = predict(image(values), windowed).compute()
    for name in ("probability", "window_probability"):
        np.testing.assert_allclose(one[name].values, each[name].values, atol=1e-5)


def test_the_shipped_network_answers_alike_both_ways_in_openvino(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "SWEEP", 16)
    dense: Any = load_detector("cnn-dense", engine="openvino", precision="f32")
    windowed: Any = load_detector("cnn-dense", engine="openvino", precision="f32", dense=False)
    amplitude = np.random.default_rng(2).gamma(4.4, 0.1, (3, 60, 71)).astype(np.float32)
    amplitude[1:, 15:45, 20:50] *= 0.4  # the ground has changed here
    scene = xr.DataArray(
        amplitude,
        dims=("band", "y", "x"),
        coords={"band": list(dense.bands)},
        attrs={"scaling": "amplitude"},
    )
    one = predict(scene, dense).window_probability.values
    each = predict(scene, windowed).window_probability.values
    assert np.ptp(each) > 0.1
    np.testing.assert_allclose(one, each, atol=1e-5)
    in_blocks = predict(scene.chunk(y=31, x=40), dense).window_probability.values
    np.testing.assert_array_equal(in_blocks, one)


def test_the_way_of_asking_is_recorded_and_travels(untrained: Path) -> None:
    import pickle

    dense: Any = load_detector(untrained, dense=True)
    windowed: Any = load_detector(untrained, dense=False)
    assert dense.provenance["windows_in_one_pass"] == 1
    assert "windows_in_one_pass" not in windowed.provenance
    for detector in (dense, windowed):
        assert pickle.loads(pickle.dumps(detector)).dense == detector.dense
    assert dense.__dask_tokenize__() != windowed.__dask_tokenize__()


@pytest.mark.parametrize("name", ["cnn", "attention-unet"])
def test_one_pass_is_refused_where_it_would_not_be_the_same(name: str) -> None:
    with pytest.raises(RequestError, match=r"cannot answer all windows in one pass.*cnn-dense"):
        load_detector(name, dense=True)
