"""One block: what the detector is given, how much of it at once, and what is refused of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Lock
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sarmap.detect import block as block_module
from sarmap.detect.block import answer_block
from sarmap.detect.normalise import normalise_tiles
from sarmap.detect.protocol import FixedStatistics, describe
from sarmap.detect.windows import TileAxis, plan_blocks
from sarmap.errors import RequestError
from sarmap.types import Observation

Pixels = NDArray[np.float32]


class Recorder:
    """Keeps copies of what it was given; answers one half everywhere."""

    bands = ("vv_pre", "slope")
    scaling = "power"
    normalisation: Any = "none"
    tile = 4

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)
        self.calls: list[Pixels] = []

    def __call__(self, tiles: Pixels) -> Pixels:
        self.calls.append(tiles.copy())
        shape = tiles.shape[:1] if getattr(self, "kind", "") == "window" else tiles.shape[:3]
        return np.full(shape, 0.5, np.float32)


def answer(detector: Any, values: Pixels, observation: NDArray[np.uint8] | None = None) -> Pixels:
    """The whole scene as one block."""
    spec = describe(detector)
    rows, columns = (
        plan_blocks(TileAxis(spec.kind, size, spec.tile, spec.stride, spec.halo), (size,))
        for size in values.shape[1:]
    )
    codes = np.zeros(values.shape[1:], np.uint8) if observation is None else observation
    return answer_block(
        values, codes, (0, 0, 0), detector=detector, spec=spec, rows=rows, columns=columns
    )


def scene(height: int = 8, width: int = 12) -> Pixels:
    return np.random.default_rng(1).random((2, height, width), np.float32)


# --- what the detector is given ------------------------------------------------------------------


def test_tiles_hold_the_scene_with_the_bands_last() -> None:
    detector, values = Recorder(), scene()
    answer(detector, values)
    (tiles,) = detector.calls
    assert (tiles.shape, tiles.dtype, tiles.flags.c_contiguous) == ((6, 4, 4, 2), np.float32, True)
    np.testing.assert_array_equal(tiles[4], np.moveaxis(values[:, 4:8, 4:8], 0, -1))


def test_tile_minmax_stretches_each_band_over_its_own_measured_pixels() -> None:
    detector, values = Recorder(normalisation="tile-minmax"), scene(4, 4)
    values[0] = 7  # constant
    values[1] = np.arange(16).reshape(4, 4) * 2.5
    values[1, 0, 0] = np.nan  # so that the least measured value is 2.5, the mean 20
    answer(detector, values)
    tile = detector.calls[0][0]
    np.testing.assert_array_equal(tile[..., 0], 0)
    np.testing.assert_allclose(tile[..., 1].ravel()[1:], np.arange(15) / 14, rtol=1e-6)
    assert tile[0, 0, 1] == tile[2, 0, 1]  # the pixel as far behind the seen one below it


@pytest.mark.parametrize("kind", ["segment", "window"])
def test_fixed_statistics_are_applied_per_band(kind: str) -> None:
    values = scene(4, 4)
    values[1, :, 3] = np.nan
    statistics = {"slope": (10.0, 4.0), "vv_pre": (0.5, 0.25)}
    detector = Recorder(normalisation=statistics, kind=kind)
    answer(detector, values)
    tile = detector.calls[0][0]
    assert tile[1, 1].tolist() == pytest.approx(
        [(values[0, 1, 1] - 0.5) / 0.25, (values[1, 1, 1] - 10) / 4]
    )
    # a gap in a window says what the training data say on average; a tile's mirrors its neighbours
    gap = [(values[0, 1, 3] - 0.5) / 0.25, 0] if kind == "window" else tile[1, 1]
    assert tile[1, 3].tolist() == pytest.approx(list(gap))


def test_without_normalisation_a_gap_mirrors_its_own_tile_in_all_bands() -> None:
    values = scene(4, 8)
    values[0, :, 2:4] = np.nan
    detector = Recorder()
    answer(detector, values)
    first, second = detector.calls[0]
    whole = np.moveaxis(values[:, :, :2], 0, -1)
    np.testing.assert_array_equal(first, np.concatenate([whole, whole[:, [0, 1]]], axis=1))
    np.testing.assert_array_equal(second, np.moveaxis(values[:, :, 4:], 0, -1))


def test_a_pixel_detector_is_given_gaps_and_its_halo() -> None:
    values = scene(5, 6)
    values[0, 2, 3] = np.nan
    detector = Recorder(kind="pixel", halo=2)
    answer(detector, values)
    expected = np.pad(values, [(0, 0), (2, 2), (2, 2)], mode="reflect")
    np.testing.assert_array_equal(detector.calls[0][0], np.moveaxis(expected, 0, -1))


def test_training_and_mapping_normalise_alike() -> None:
    """Tiles normalised by themselves, as training does, have the bits that predict gives."""
    values = scene(4, 4)
    values[0, 0, 0] = np.nan
    for normalisation in ("none", "tile-minmax", {"vv_pre": (0.5, 0.2), "slope": (0.1, 3.0)}):
        detector = Recorder(normalisation=normalisation)
        answer(detector, values)
        tiles = np.moveaxis(values, 0, -1)[None].copy()
        normalise_tiles(tiles, describe(detector).normalisation)
        np.testing.assert_array_equal(tiles, detector.calls[0])


def test_what_is_no_normalisation_is_refused() -> None:
    """Such as a detector's own mapping, not yet in the order of its bands."""
    with pytest.raises(ValueError, match="use tile-minmax, none, or the FixedStatistics"):
        normalise_tiles(np.ones((1, 2, 2, 1), np.float32), {"vv_pre": (0.5, 0.2)})  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 2, 7, 500])
@pytest.mark.parametrize("normalisation", ["none", "tile-minmax", FixedStatistics((1,), (2,))])
def test_a_tile_is_normalised_alike_in_any_company(count: int, normalisation: Any) -> None:
    rng = np.random.default_rng(2)
    tiles = rng.random((count, 25, 25, 1), np.float32)
    tiles[:, 3, 4] = np.nan
    alone = tiles[-1:].copy()
    normalise_tiles(tiles, normalisation)
    normalise_tiles(alone, normalisation)
    np.testing.assert_array_equal(tiles[-1:], alone)


# --- how much at once ----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "tile", "stride"), [("segment", 4, 4), ("window", 5, 2)])
def test_calls_are_bounded_and_their_size_does_not_show(
    monkeypatch: pytest.MonkeyPatch, kind: str, tile: int, stride: int
) -> None:
    class Mean(Recorder):
        def __call__(self, tiles: Pixels) -> Pixels:
            super().__call__(tiles)
            mean = tiles[..., 0].reshape(len(tiles), -1).sum(axis=1) / tile**2
            return mean if kind == "window" else tiles[..., 0] * mean[:, None, None]

    values = scene(40, 33)
    whole = Mean(kind=kind, tile=tile, stride=stride)
    small = Mean(kind=kind, tile=tile, stride=stride)
    expected = answer(whole, values)
    monkeypatch.setattr(block_module, "_CALL_BYTES", dict.fromkeys(("segment", "window"), 1000))
    np.testing.assert_array_equal(answer(small, values), expected)
    assert len(whole.calls) == 1
    assert len(small.calls) > 10
    assert max(call.nbytes for call in small.calls) <= 1000


def test_no_more_blocks_are_worked_on_at_once_than_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sarmap.detect.hardware.usable_cores", lambda: 2)
    two_meet, three_meet, lock, inside, most = Barrier(2), Barrier(3), Lock(), [0], [0]

    class Meeting(Recorder):
        def __call__(self, tiles: Pixels) -> Pixels:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            two_meet.wait(timeout=30)  # two callers at once are possible ...
            with suppress(BrokenBarrierError):
                three_meet.wait(timeout=0.2)  # ... and three are not
            with lock:
                inside[0] -= 1
            return super().__call__(tiles)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: answer(Meeting(), scene()), range(6)))
    assert most[0] == 2


# --- what is answered ----------------------------------------------------------------------------


def test_layers_are_probability_observation_and_for_windows_their_answer() -> None:
    values = scene(9, 9)
    values[0, 4, 4] = np.nan
    codes = np.zeros((9, 9), np.uint8)
    codes[0, 0] = Observation.LAYOVER_SHADOW
    layers = answer(Recorder(kind="window", tile=3), values, codes)
    assert layers.shape == (3, 9, 9)
    assert (layers[1, 4, 4], layers[1, 0, 0]) == (Observation.NO_DATA, Observation.LAYOVER_SHADOW)
    assert np.isnan(layers[0]).sum() == 2
    assert (layers[2] == 0.5).all()


def test_a_window_without_a_measured_pixel_has_no_answer() -> None:
    values = scene(9, 9)
    values[1, :, :5] = np.nan
    detector = Recorder(kind="window", tile=3, stride=2)
    layers = answer(detector, values)
    # windows begin at columns 0, 2, 4, 6; the first holds columns 0 to 2 only, as does the second
    np.testing.assert_array_equal(np.isnan(layers[2][4]), [True] * 5 + [False] * 4)
    assert len(detector.calls[0]) == 4 * 2


def test_the_callers_arrays_are_left_as_they_were() -> None:
    values, codes = scene(), np.zeros((8, 12), np.uint8)
    values[0, 0, 0] = np.nan
    before = values.copy()
    values.flags.writeable = codes.flags.writeable = False
    answer(Recorder(normalisation="tile-minmax"), values, codes)
    np.testing.assert_array_equal(values, before)
    assert not codes.any()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["segment", "window", "pixel"])
def test_an_answer_of_another_shape_is_refused(kind: str) -> None:
    class Logits(Recorder):
        def __call__(self, tiles: Pixels) -> Pixels:
            return np.zeros((*tiles.shape[:3], 2), np.float32)

    with pytest.raises(RequestError, match=rf"Logits answered shape .*kind {kind} answers"):
        answer(Logits(kind=kind), scene())


def test_an_answer_with_a_last_axis_of_one_class_is_taken() -> None:
    class Classes(Recorder):
        def __call__(self, tiles: Pixels) -> Pixels:
            return super().__call__(tiles)[..., np.newaxis]

    np.testing.assert_array_equal(answer(Classes(), scene()), answer(Recorder(), scene()))


@pytest.mark.parametrize("value", [-0.5, 1.5, np.nan, np.inf])
def test_an_answer_outside_0_to_1_is_refused_with_its_place(value: float) -> None:
    class Wild(Recorder):
        def __call__(self, tiles: Pixels) -> Pixels:
            return np.full(tiles.shape[:3], value, np.float32)

    with pytest.raises(RequestError, match=r"Wild answered .* \(rows 0-7, columns 0-11\)"):
        answer(Wild(), scene())


def test_the_rounding_of_reduced_precision_is_clipped() -> None:
    class Rounded(Recorder):
        def __call__(self, tiles: Pixels) -> Pixels:
            return np.where(tiles[..., 0] > 0.5, np.float32(1.0004), np.float32(-0.0004))

    layers = answer(Rounded(), scene())
    np.testing.assert_array_equal(np.unique(layers[0]), [0, 1])
