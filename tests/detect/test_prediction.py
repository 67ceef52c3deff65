"""`predict` against one plain NumPy answer that knows nothing of blocks, and against itself."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sarmap.detect.change import LogRatio
from sarmap.detect.normalise import fill_gaps
from sarmap.detect.prediction import predict
from sarmap.errors import RequestError
from sarmap.types import Observation

Pixels = NDArray[np.float32]


@dataclass
class Hash:
    """Answers with a hash of each tile's bytes: one other bit of one pixel shows everywhere."""

    kind: str = "segment"
    tile: int = 8
    stride: int | None = None
    halo: int = 0
    normalisation: Any = "none"
    bands: tuple[str, ...] = ("vv_pre", "vv_post_1")

    def __call__(self, tiles: Pixels) -> Pixels:
        assert np.isfinite(tiles).all()
        hashed = np.array([zlib.crc32(tile.tobytes()) for tile in tiles], np.uint32)
        if self.kind == "window":
            return (hashed % 65521 / 65521).astype(np.float32)
        size = tiles.shape[1] * tiles.shape[2]
        each = hashed[:, None] + np.arange(size, dtype=np.uint32) * np.uint32(2654435761)
        return (each % 65521 / 65521).astype(np.float32).reshape(tiles.shape[:3])


def composite(
    values: Pixels,
    chunks: tuple[int, int] | None = None,
    observation: NDArray[np.uint8] | None = None,
    bands: tuple[str, ...] = ("vv_pre", "vv_post_1"),
    **attrs: Any,
) -> xr.DataArray:
    data = values if chunks is None else da.from_array(values, chunks=(1, *chunks))
    height, width = values.shape[1:]
    coords: dict[str, Any] = {
        "band": list(bands),
        "y": 4_700_005.0 - 10 * np.arange(height),
        "x": 500_005.0 + 10 * np.arange(width),
    }
    if observation is not None:
        codes = da.from_array(observation, chunks=chunks) if chunks else observation
        coords["observation"] = (("y", "x"), codes)
    return xr.DataArray(
        data, dims=("band", "y", "x"), coords=coords, attrs={"scaling": "power", **attrs}
    )


# --- the plain answer ----------------------------------------------------------------------------


def plain_tile(tile: Pixels, normalisation: Any, kind: str = "segment") -> Pixels:
    """One tile [y, x, band] normalised band by band, and filled."""
    ready = tile.copy()
    for band in range(tile.shape[-1]):
        plane = ready[..., band]
        if isinstance(normalisation, dict):
            offset, scale = np.float32(list(normalisation.values())[band])
            plane[...] = (plane - offset) / scale
            if kind == "window":
                plane[np.isnan(plane)] = 0
            continue
        if normalisation == "tile-minmax":
            low, high = np.nanmin(plane), np.nanmax(plane)
            plane[...] = (plane - low) / (high - low) if high > low else plane - low
    fill_gaps(ready[None])
    return ready


def plain_segments(values: Pixels, detector: Hash) -> Pixels:
    tile, halo = detector.tile, detector.halo
    _, height, width = values.shape
    rows, columns = -(-height // tile), -(-width // tile)
    margins = [(0, 0), (halo, rows * tile - height + halo), (halo, columns * tile - width + halo)]
    padded = np.moveaxis(np.pad(values, margins, mode="reflect"), 0, -1)
    answer = np.full((rows * tile, columns * tile), np.nan, np.float32)
    measured = np.isfinite(values).all(axis=0)
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            if measured[y : y + tile, x : x + tile].any():
                seen = padded[y : y + tile + 2 * halo, x : x + tile + 2 * halo]
                given = detector(plain_tile(seen, detector.normalisation)[None])[0]
                answer[y : y + tile, x : x + tile] = given[halo : halo + tile, halo : halo + tile]
    return np.where(measured, answer[:height, :width], np.float32(np.nan))


def plain_windows(values: Pixels, detector: Hash) -> tuple[Pixels, Pixels]:
    edge, step = detector.tile, detector.stride or 2
    origins, pads = [], []
    for size in values.shape[1:]:
        if size < edge:
            origins.append([(size - edge) // 2])
        else:
            origins.append(list(range(0, size - edge + step, step)))
        pads.append((-min(0, origins[-1][0]), max(0, origins[-1][-1] + edge - size)))
    padded = np.moveaxis(np.pad(values, [(0, 0), *pads], mode="reflect"), 0, -1)
    windows = np.full(tuple(map(len, origins)), np.nan, np.float32)
    for row, y in enumerate(origins[0]):
        for column, x in enumerate(origins[1]):
            top, left = y + pads[0][0], x + pads[1][0]
            seen = padded[top : top + edge, left : left + edge]
            if np.isfinite(seen).all(axis=-1).any():
                ready = plain_tile(seen, detector.normalisation, "window")
                windows[row, column] = detector(ready[None])[0]
    answer = np.full(values.shape[1:], np.nan, np.float32)
    for y, x in np.argwhere(np.isfinite(values).all(axis=0)):
        row = np.argmin([abs(y - (o + (edge - 1) / 2)) for o in origins[0]])
        column = np.argmin([abs(x - (o + (edge - 1) / 2)) for o in origins[1]])
        answer[y, x] = windows[row, column]
    return answer, windows


# --- what is tried -------------------------------------------------------------------------------

NORMALISATIONS: list[Any] = [
    "none",
    "tile-minmax",
    {"vv_pre": (0.3, 0.25), "vv_post_1": (0.4, 0.5)},
]


@st.composite
def scenes(draw: st.DrawFn) -> Pixels:
    """Two bands of 1 x 1 to 30 x 30 pixels, with single gaps, gaps in blocks, or none."""
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.random((2, height, width), np.float32)
    if draw(st.booleans()):
        values[rng.random(values.shape) < draw(st.sampled_from([0.02, 0.6]))] = np.nan
    if draw(st.booleans()):
        y, x = draw(st.integers(0, height)), draw(st.integers(0, width))
        values[:, y : y + 15, x : x + 15] = np.nan
    return values


chunkings = st.tuples(st.integers(5, 35), st.integers(5, 35))


@st.composite
def detectors(draw: st.DrawFn) -> tuple[Hash, int]:
    """A segment or window detector, and an overlap it can be asked for."""
    kind = draw(st.sampled_from(["segment", "window"]))
    tile = draw(st.integers(1, 16))
    normalisation = draw(st.sampled_from(NORMALISATIONS))
    if kind == "window":
        return Hash(kind, tile, draw(st.integers(1, tile)), 0, normalisation), 0
    overlap = draw(st.integers(0, tile - 1))
    return Hash(kind, tile, None, draw(st.integers(0, 5)), normalisation), overlap


# --- the same map, whatever the chunks -----------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(values=scenes(), chunks=chunkings, asked=detectors())
def test_any_chunking_gives_the_bits_of_one_block(
    values: Pixels, chunks: tuple[int, int], asked: tuple[Hash, int]
) -> None:
    detector, overlap = asked
    whole = predict(composite(values, values.shape[1:]), detector, overlap=overlap)
    cut = predict(composite(values, chunks), detector, overlap=overlap)
    with dask.config.set(scheduler="sync"):
        xr.testing.assert_identical(cut.compute(), whole.compute())


@settings(max_examples=25, deadline=None)
@given(
    values=scenes(),
    chunks=chunkings,
    tile=st.integers(1, 16),
    halo=st.integers(0, 5),
    normalisation=st.sampled_from(NORMALISATIONS),
)
def test_tiles_side_by_side_are_those_of_the_padded_scene(
    values: Pixels, chunks: tuple[int, int], tile: int, halo: int, normalisation: Any
) -> None:
    detector = Hash("segment", tile, None, halo, normalisation)
    found = predict(composite(values, chunks), detector).compute(scheduler="sync")
    np.testing.assert_array_equal(found.probability, plain_segments(values, detector))


@settings(max_examples=25, deadline=None)
@given(
    values=scenes(),
    chunks=chunkings,
    tile=st.integers(1, 13),
    data=st.data(),
    normalisation=st.sampled_from(NORMALISATIONS),
)
def test_windows_are_those_of_a_naive_loop(
    values: Pixels, chunks: tuple[int, int], tile: int, data: st.DataObject, normalisation: Any
) -> None:
    detector = Hash("window", tile, data.draw(st.integers(1, tile)), 0, normalisation)
    found = predict(composite(values, chunks), detector).compute(scheduler="sync")
    answer, windows = plain_windows(values, detector)
    np.testing.assert_array_equal(found.window_probability, windows)
    np.testing.assert_array_equal(found.probability, answer)


@settings(max_examples=15, deadline=None)
@given(values=scenes(), chunks=chunkings)
def test_a_pixel_detector_sees_its_halo_and_no_block(
    values: Pixels, chunks: tuple[int, int]
) -> None:
    detector = LogRatio(smoothing=1.0)
    flat = np.concatenate([values + np.float32(0.1), np.full_like(values[:1], 20)])
    cut = predict(composite(flat, chunks, bands=detector.bands), detector)
    whole = predict(composite(flat, values.shape[1:], bands=detector.bands), detector)
    with dask.config.set(scheduler="sync"):
        xr.testing.assert_identical(cut.compute(), whole.compute())


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 6)])
@pytest.mark.parametrize("kind", ["segment", "window"])
def test_blocks_of_one_pixel_give_the_bits_of_one_block(shape: tuple[int, int], kind: str) -> None:
    values = np.random.default_rng(2).random((2, *shape), np.float32)
    for overlap in (0, 2) if kind == "segment" else (0,):
        detector = Hash(kind, tile=3, normalisation="tile-minmax")
        whole = predict(composite(values, shape), detector, overlap=overlap).compute()
        cut = predict(composite(values, (1, 1)), detector, overlap=overlap).compute()
        xr.testing.assert_identical(cut, whole)
        assert np.isfinite(cut.probability).all()


# --- a constant model, to the last border pixel --------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    chunks=chunkings,
    tile=st.integers(1, 16),
    data=st.data(),
    constant=st.floats(0, 1, width=32),
)
def test_a_constant_model_gives_a_constant_map(
    shape: tuple[int, int],
    chunks: tuple[int, int],
    tile: int,
    data: st.DataObject,
    constant: float,
) -> None:
    def model(tiles: Pixels) -> Pixels:
        return np.full(tiles.shape[:3], constant, np.float32)

    model.bands, model.tile = ("vv_pre", "vv_post_1"), tile  # type: ignore[attr-defined]
    overlap = data.draw(st.integers(0, tile - 1))
    values = np.ones((2, *shape), np.float32)
    found = predict(composite(values, chunks), model, overlap=overlap)  # type: ignore[arg-type]
    probability = found.probability.compute(scheduler="sync").values
    np.testing.assert_array_equal(probability, np.full(shape, constant, np.float32))


@settings(max_examples=25, deadline=None)
@given(values=scenes(), chunks=chunkings, tile=st.integers(2, 12), data=st.data())
def test_overlapping_tiles_are_a_weighted_mean(
    values: Pixels, chunks: tuple[int, int], tile: int, data: st.DataObject
) -> None:
    """Against a plain weighted mean with squared-sine weights, in two dimensions at once."""
    overlap = data.draw(st.integers(1, tile - 1))
    detector, step = Hash(tile=tile), tile - overlap
    ends = [max(0, -(-(size - tile) // step)) * step + tile for size in values.shape[1:]]
    margins = [(0, 0), *((0, end - size) for end, size in zip(ends, values.shape[1:], strict=True))]
    padded = np.moveaxis(np.pad(values, margins, mode="reflect"), 0, -1)
    taper = np.sin(np.pi * (np.arange(tile) + 0.5) / tile) ** 2
    measured = np.isfinite(padded).all(axis=-1)
    total, weight = np.zeros(padded.shape[:2]), np.zeros(padded.shape[:2])
    for y in range(0, ends[0] - tile + 1, step):
        for x in range(0, ends[1] - tile + 1, step):
            at = (slice(y, y + tile), slice(x, x + tile))
            if measured[at].any():
                total[at] += (
                    np.outer(taper, taper) * detector(plain_tile(padded[at], "none")[None])[0]
                )
                weight[at] += np.outer(taper, taper)
    height, width = values.shape[1:]
    seen = measured[:height, :width]
    found = predict(composite(values, chunks), detector, overlap=overlap).probability
    expected = (total[:height, :width][seen] / weight[:height, :width][seen]).astype(np.float32)
    np.testing.assert_allclose(found.compute(scheduler="sync").values[seen], expected, rtol=1e-5)


def test_overlapping_tiles_blend_smoothly() -> None:
    """Tiles that answer 0, 1, 0, 1 ...: no step between neighbours is left."""

    class Alternating(Hash):
        def __call__(self, tiles: Pixels) -> Pixels:
            number = np.round(tiles[:, 0, 0, 0] * 100).astype(int)
            return np.broadcast_to((number // 16 % 2)[:, None, None], tiles.shape[:3])

    ramp = np.broadcast_to(np.arange(128, dtype=np.float32) / 100, (2, 8, 128)).copy()
    asked = composite(ramp, (8, 50))
    sharp = predict(asked, Alternating(tile=16)).probability.values[0]
    blended = predict(asked, Alternating(tile=32), overlap=16).probability.values[0]
    assert np.abs(np.diff(sharp)).max() == 1
    assert np.abs(np.diff(blended)).max() < 0.11  # slope of sin^2 over 16 px: pi / 32


# --- what was not seen ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["segment", "window"])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_one_missing_pixel_costs_that_pixel(kind: str, normalisation: Any) -> None:
    values = np.random.default_rng(3).random((2, 40, 40), np.float32)
    values[1, 17, 23] = np.nan
    detector = Hash(kind, tile=8, normalisation=normalisation)
    found = predict(composite(values, (16, 16)), detector).compute()
    missing = np.zeros((40, 40), bool)
    missing[17, 23] = True
    np.testing.assert_array_equal(np.isnan(found.probability), missing)
    np.testing.assert_array_equal(found.observation == Observation.NO_DATA, missing)
    np.testing.assert_array_equal(found.observation == Observation.OBSERVED, ~missing)


def test_tiles_without_a_measured_pixel_are_never_asked() -> None:
    asked: list[int] = []

    class Counting(Hash):
        def __call__(self, tiles: Pixels) -> Pixels:
            asked.append(len(tiles))
            return super().__call__(tiles)

    values = np.random.default_rng(4).random((2, 32, 32), np.float32)
    values[:, :16] = np.nan  # the upper two rows of tiles
    values[0, 16:24, :16] = np.nan  # one band of two more
    found = predict(composite(values, (16, 32)), Counting(tile=8)).compute()
    assert sum(asked) == 6
    assert np.isnan(found.probability[:16]).all()
    assert np.isfinite(found.probability[24:]).all()


def test_an_unseen_scene_asks_nothing_and_answers_nothing() -> None:
    def never(tiles: Pixels) -> Pixels:
        raise AssertionError("asked of an empty scene")

    for kind in ("segment", "window", "pixel"):
        never.bands, never.kind = ("vv_pre", "vv_post_1"), kind  # type: ignore[attr-defined]
        nothing = np.full((2, 30, 30), np.nan, np.float32)
        found = predict(composite(nothing, (8, 8)), never).compute()  # type: ignore[arg-type]
        assert np.isnan(found.probability).all()
        assert (found.observation == Observation.NO_DATA).all()


@pytest.mark.parametrize("code", [c for c in Observation if c is not Observation.OBSERVED])
def test_what_was_not_observed_never_has_a_probability(code: Observation) -> None:
    values = np.random.default_rng(5).random((2, 20, 20), np.float32)
    codes = np.zeros((20, 20), np.uint8)
    codes[4:9, 3:12] = code
    values[0, 4, 3] = np.nan  # the reason that is known stays
    found = predict(composite(values, (7, 9), codes), Hash(tile=4)).compute()
    np.testing.assert_array_equal(found.observation, codes)
    np.testing.assert_array_equal(np.isnan(found.probability), codes != Observation.OBSERVED)


def test_infinite_values_are_missing_values() -> None:
    values = np.random.default_rng(6).random((2, 16, 16), np.float32)
    with_gap, with_infinity = values.copy(), values.copy()
    with_gap[0, 5, 5], with_infinity[0, 5, 5] = np.nan, -np.inf
    gap, infinity = (predict(composite(v), Hash()).compute() for v in (with_gap, with_infinity))
    xr.testing.assert_identical(gap, infinity)


def test_a_pixel_detector_without_an_answer_is_no_data() -> None:
    def undecided(tiles: Pixels) -> Pixels:
        return np.where(tiles[..., 0] > 0.5, tiles[..., 1], np.nan)

    undecided.bands, undecided.kind = ("vv_pre", "vv_post_1"), "pixel"  # type: ignore[attr-defined]
    values = np.random.default_rng(7).random((2, 9, 9), np.float32)
    found = predict(composite(values), undecided).compute()  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.observation == Observation.NO_DATA, values[0] <= 0.5)


# --- the dataset ---------------------------------------------------------------------------------


def test_window_centres_are_projected_coordinates_of_their_centre_pixels() -> None:
    values = np.ones((2, 41, 30), np.float32)
    found = predict(composite(values, (20, 20)), Hash("window", 25, 2))
    y, x = composite(values).y.values, composite(values).x.values
    np.testing.assert_array_equal(found.window_y, y[12:30:2])
    # 30 columns: the fourth window is the first to reach the border, by one mirrored pixel
    np.testing.assert_array_equal(found.window_x, x[[12, 14, 16, 18]])


def test_coordinates_crs_and_provenance_are_kept() -> None:
    import rioxarray

    assert rioxarray
    image = composite(np.ones((2, 20, 20), np.float32), (8, 8), scenes="[]", simulated=1)
    image = image.rio.write_crs(32654)
    found = predict(image, Hash(tile=8), overlap=4)
    assert found.probability.rio.crs.to_epsg() == 32654
    assert found.attrs["scenes"] == "[]"
    assert found.attrs["simulated"] == 1
    assert {k: found.attrs[k] for k in ("detector", "kind", "tile", "stride", "overlap")} == {
        "detector": "Hash",
        "kind": "segment",
        "tile": 8,
        "stride": 4,
        "overlap": 4,
    }
    assert (found.attrs["scaling"], found.attrs["normalisation"]) == ("power", "none")
    assert found.probability.dtype == np.float32
    assert found.observation.dtype == np.uint8


@pytest.mark.parametrize("chunks", [(16, 16), (16, 24), (48, 8)])
def test_chunks_on_the_tile_grid_are_the_results_chunks(chunks: tuple[int, int]) -> None:
    """Also where the last one is so small that it was computed with its neighbour."""
    image = composite(np.ones((2, 50, 50), np.float32), chunks)
    found = predict(image, Hash(tile=8))
    assert found.probability.chunks == image.chunks[1:]
    assert found.observation.chunks == image.chunks[1:]


def test_a_composite_in_memory_is_mapped_lazily_too() -> None:
    values = np.random.default_rng(8).random((2, 20, 20), np.float32)
    found = predict(composite(values), Hash())
    assert found.probability.chunks is not None
    xr.testing.assert_identical(
        found.compute(), predict(composite(values, (8, 8)), Hash()).compute()
    )


# --- the graph -----------------------------------------------------------------------------------


def test_a_large_scene_makes_few_tasks() -> None:
    edge, chunk = 50_000, 2048
    image = composite_of_zeros(edge, chunk)
    blocks = (-(-edge // chunk)) ** 2
    (side_by_side,) = dask.optimize(predict(image, Hash(tile=64)))
    # the block's answer and its two variables; and the zeros that stand for the reads
    assert len(dict(side_by_side.__dask_graph__())) <= 5 * blocks
    (blended,) = dask.optimize(predict(image, Hash(tile=64), overlap=32))
    assert len(dict(blended.__dask_graph__())) <= 18 * blocks


def composite_of_zeros(edge: int, chunk: int) -> xr.DataArray:
    zeros = da.zeros((2, edge, edge), chunks=(2, chunk, chunk), dtype=np.float32)
    bands = ["vv_pre", "vv_post_1"]
    return xr.DataArray(
        zeros, dims=("band", "y", "x"), coords={"band": bands}, attrs={"scaling": "power"}
    )


def test_the_detector_is_one_entry_of_the_graph() -> None:
    class Heavy(Hash):
        weights = "x" * 200_000

        def __reduce__(self) -> Any:
            return (str, (self.weights,))

    image = composite_of_zeros(4096, 512)
    heavy = dict(predict(image, Heavy(tile=8)).__dask_graph__())
    sizes = [len(pickle.dumps(task)) for task in heavy.values()]
    assert sorted(size > 200_000 for size in sizes) == [False] * (len(sizes) - 1) + [True]


def test_a_detector_with_a_token_gives_stable_task_names() -> None:
    class Named(Hash):
        def __dask_tokenize__(self) -> tuple[str, ...]:
            return ("named", "sha256")

    def task_name(detector: Any) -> str:
        return str(predict(composite_of_zeros(64, 32), detector).probability.data.name)

    assert task_name(Named()) == task_name(Named())
    assert task_name(Hash()) != task_name(Hash())


def hashing_detector() -> Any:
    """A detector whose class travels with it, as one defined in a notebook does."""

    class Travelling:
        bands = ("vv_pre", "vv_post_1")
        tile = 16
        normalisation = "tile-minmax"

        def __call__(self, tiles: Pixels) -> Pixels:
            hashed = np.array([zlib.crc32(tile.tobytes()) for tile in tiles], np.uint32)
            spread = np.arange(tiles.shape[1] * tiles.shape[2], dtype=np.uint32)
            each = (hashed[:, None] + spread * np.uint32(40503)) % 65521 / 65521
            return each.astype(np.float32).reshape(tiles.shape[:3])

    return Travelling()


def test_threads_and_a_cluster_of_processes_give_the_same_bits(local_workers: Any) -> None:
    values = np.random.default_rng(9).random((2, 90, 70), np.float32)
    values[0, 30:40, 20:60] = np.nan
    lazy: list[Callable[[], xr.Dataset]] = [
        lambda: predict(composite(values, (32, 32)), hashing_detector()),
        lambda: predict(composite(values, (32, 32)), hashing_detector(), overlap=5),
    ]
    one_thread = [make().compute(scheduler="sync") for make in lazy]
    threads = [make().compute(scheduler="threads", num_workers=8) for make in lazy]
    with local_workers(2):
        workers = [make().compute() for make in lazy]
    for expected, *others in zip(one_thread, threads, workers, strict=True):
        for other in others:
            xr.testing.assert_identical(expected, other)


# --- what is refused -----------------------------------------------------------------------------


def test_other_bands_are_refused_by_name() -> None:
    image = composite(np.ones((2, 4, 4), np.float32), bands=("vv_post_1", "vv_pre"))
    with pytest.raises(RequestError, match=r"vv_post_1, vv_pre, and detector Hash reads vv_pre, "):
        predict(image, Hash())


@pytest.mark.parametrize("scaling", ["amplitude", None])
def test_another_scaling_is_refused_by_name(scaling: str | None) -> None:
    image = composite(np.ones((2, 4, 4), np.float32), scaling=scaling)
    with pytest.raises(RequestError, match=r"(amplitude|not given), and detector Hash reads power"):
        predict(image, Hash())


def test_a_composite_without_band_names_or_pixels_is_refused() -> None:
    image = composite(np.ones((2, 4, 4), np.float32))
    with pytest.raises(RequestError, match="no coordinate band"):
        predict(image.drop_vars("band"), Hash())
    with pytest.raises(RequestError, match="empty"):
        predict(image[:, :0], Hash())
    with pytest.raises(RequestError, match="dims band, y, x"):
        predict(image.rename(y="latitude"), Hash())


@pytest.mark.parametrize(("kind", "overlap"), [("segment", 8), ("segment", -1), ("window", 4)])
def test_an_overlap_that_cannot_be_is_refused(kind: str, overlap: int) -> None:
    with pytest.raises(RequestError, match=f"overlap={overlap}"):
        predict(composite(np.ones((2, 4, 4), np.float32)), Hash(kind, tile=8), overlap=overlap)
