"""One NumPy block: its tiles gathered, normalised, asked of the detector, and put back in place.

The strategy, once. A block arrives with what it borrows from its neighbours. It is laid out once
with the bands innermost, mirrored where a tile sticks out of the scene (`_lay_out`); tiles are then
a strided view of it, and one indexing operation copies as many of them as a call may hold
(`_CALL_BYTES`) into the batch that the detector gets. Batches go to the detector whole: how many it
computes at a time is its own business, and must not show in its answer.

What a missing pixel costs: itself. It is filled for the network (`sarmap.detect.normalise`) and
masked in the answer. Tiles in which no pixel can be answered are not asked at all.

At most one block per core is worked on at a time in a process, however many threads Dask runs, on
threads and on a cluster's workers alike (`sarmap.detect.hardware.allow_cores`): reads want many
threads, inference wants the cores, and the tiles of waiting blocks would fill the memory. A thread
whose block waits here holds one composite and reads nothing, so reading runs ahead by at most the
threads that there are, and memory is bounded without a scheduler's knowing (docs/speed.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sarmap.detect.hardware import CoreGate
from sarmap.detect.normalise import fill_gaps, normalise_tiles, standardise
from sarmap.detect.protocol import Detector, DetectorSpec, FixedStatistics, Sweeping
from sarmap.detect.windows import (
    Block,
    BlockedAxis,
    TileAxis,
    blend_weights,
    reflect,
    spoilt_pixels,
    touched,
)
from sarmap.errors import RequestError
from sarmap.types import Observation

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]

_CALL_BYTES = {"segment": 128 * 2**20, "window": 16 * 2**20}
"""Most bytes of tiles in one call. Windows overlap so much that gathering them fills memory far
faster than the cache: the whole scene took 2.7 s of a core at 4 MiB, 3.3 s at 32, 6.3 s at 128."""
_WHOLE_BATCHES = 256
"""Calls of more tiles than this hold a multiple of it: engines compute in batches of a power of
two, and would fill up the last one of each call."""
_TOLERANCE = 1e-3
"""How far reduced precision may carry a probability past 0 or 1 before it is an error."""

_AT_WORK = CoreGate()


@dataclass(frozen=True)
class _Job:
    """One block's question: whom to ask, and where the block lies."""

    detector: Detector
    spec: DetectorSpec
    rows: TileAxis
    columns: TileAxis
    y: Block
    x: Block

    @property
    def place(self) -> str:
        """The block's pixels, for messages."""
        return f"rows {self.y.start}-{self.y.stop - 1}, columns {self.x.start}-{self.x.stop - 1}"


def answer_block(
    values: Pixels,
    observation: NDArray[np.uint8],
    block_id: tuple[int, ...] = (),
    *,
    detector: Detector,
    spec: DetectorSpec,
    rows: BlockedAxis,
    columns: BlockedAxis,
    spoilt: bool = False,
) -> Pixels:
    """Answer for one block, as layers float32 ``[layer, y, x]`` of the block's own pixels.

    Layer 0 is the probability (NaN where not observed), layer 1 the observation code, and for
    windows layer 2 the nearest window's answer, masked only where the window holds no measured
    pixel. With `spoilt` one more layer, the last: 1 where the answer depends on unread pixels.

    `values` are float32 ``[band, y, x]``, the block with what it borrows from its neighbours; the
    codes ``[y, x]`` are of the same pixels, or without `spoilt` of the block alone; ``block_id`` is
    ``(0, row, column)``. Raises RequestError where the detector answers another shape than its kind
    has, or not 0 to 1.
    """
    y, x = rows.block(block_id[1]), columns.block(block_id[2])
    job = _Job(detector, spec, rows.axis, columns.axis, y, x)
    with _AT_WORK:
        pixels, measured = _lay_out(values, job)
        seen, codes = observation, _own_codes(observation, job) if spoilt else observation.copy()
        codes[~measured[_own(job)] & (codes == Observation.OBSERVED)] = Observation.NO_DATA
        if spec.kind == "segment":
            answers = [_segments(pixels, codes == Observation.OBSERVED, job)]
        elif spec.kind == "window":
            answers = 2 * [_windows(pixels, measured, job)]
        else:
            answers = [_pixelwise(pixels, bool((codes == Observation.OBSERVED).any()), job)]
        layers = _layers(answers, codes, job)
        return np.concatenate([layers, _spoilt(seen, job)[None]]) if spoilt else layers


def _own_codes(observation: NDArray[np.uint8], job: _Job) -> NDArray[np.uint8]:
    """Codes of the block alone, of those that it was given."""
    rows, columns = (slice(at.start - at.offset, at.stop - at.offset) for at in (job.y, job.x))
    return observation[rows, columns].copy()


def _spoilt(observation: NDArray[np.uint8], job: _Job) -> Pixels:
    """1 where a pixel's answer depends on one that could not be read, else 0."""
    unread = observation == Observation.READ_FAILED
    if unread.any():
        at_y, at_x = _laid_out(job)
        unread = unread[np.ix_(at_y, at_x)]
    spoilt = spoilt_pixels(unread, ((job.rows, job.y), (job.columns, job.x)))
    return spoilt.astype(np.float32)


def _layers(answers: list[Pixels], codes: NDArray[np.uint8], job: _Job) -> Pixels:
    """Probability, observation and further answers stacked, the probability masked."""
    layers = np.empty((1 + len(answers), *codes.shape), np.float32)
    layers[0], layers[1] = answers[0], codes
    for index, answer in enumerate(answers[1:], start=2):
        layers[index] = answer
    if job.spec.kind == "pixel":  # the others never answer NaN where something was measured
        layers[1][np.isnan(layers[0]) & (codes == Observation.OBSERVED)] = Observation.NO_DATA
    layers[0][layers[1] != Observation.OBSERVED] = np.nan
    return layers


# --- the block laid out --------------------------------------------------------------------------


def _lay_out(values: Pixels, job: _Job) -> tuple[Pixels, Mask]:
    """All pixels the block's answer is computed from, ``[y, x, band]``, and where all are measured.

    Missing values are NaN, except in windows of fixed statistics: there are too many of them to
    mirror each.
    """
    fixed = job.spec.normalisation
    values = np.asarray(values, np.float32)
    if isinstance(fixed, FixedStatistics):
        values = standardise(values, fixed)
    at_y, at_x = _laid_out(job)
    pixels = np.empty((len(at_y), len(at_x), len(values)), np.float32)
    for band, plane in enumerate(values):
        _mirror(plane, at_y, at_x, pixels[..., band])
    fill = isinstance(fixed, FixedStatistics) and job.spec.kind == "window"
    return pixels, _mark_missing(pixels, fill=fill)


def _spans(job: _Job) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last-plus-one scene row and column laid out."""
    return job.rows.span(job.y.start, job.y.stop), job.columns.span(job.x.start, job.x.stop)


def _laid_out(job: _Job) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of what the block was given, in the order they are laid out."""
    (top, bottom), (left, right) = _spans(job)
    at_y = reflect(np.arange(top, bottom), job.rows.size) - job.y.offset
    return at_y, reflect(np.arange(left, right), job.columns.size) - job.x.offset


def _mirror(
    plane: Pixels, at_y: NDArray[np.intp], at_x: NDArray[np.intp], out: NDArray[np.float32]
) -> None:
    """``out[...] = plane[at_y][:, at_x]``, by slices where the indices run straight."""
    y0, y1 = _straight(at_y)
    x0, x1 = _straight(at_x)
    source = plane[:, at_x[x0] : at_x[x0] + x1 - x0]
    out[y0:y1, x0:x1] = source[at_y[y0] : at_y[y0] + y1 - y0]
    for rows in (slice(0, y0), slice(y1, None)):
        out[rows, x0:x1] = source[at_y[rows]]
    for columns in (slice(0, x0), slice(x1, None)):
        out[:, columns] = plane[np.ix_(at_y, at_x[columns])]


def _straight(index: NDArray[np.intp]) -> tuple[int, int]:
    """Longest run of `index` that goes up in steps of one, as (start, stop)."""
    breaks = np.flatnonzero(np.diff(index) != 1) + 1
    edges = np.concatenate([[0], breaks, [len(index)]])
    longest = int(np.argmax(np.diff(edges)))
    return int(edges[longest]), int(edges[longest + 1])


def _mark_missing(pixels: Pixels, *, fill: bool) -> Mask:
    """Where every band is finite; what is not becomes NaN (or 0) in `pixels`."""
    finite = np.isfinite(pixels)
    if finite.all():
        return np.broadcast_to(np.True_, pixels.shape[:2])
    pixels[~finite] = 0 if fill else np.nan
    measured = finite[..., 0].copy()
    for band in range(1, finite.shape[-1]):
        measured &= finite[..., band]
    return measured


def _own(job: _Job) -> tuple[slice, slice]:
    """The block's own pixels in an array laid out with its surroundings."""
    (top, _), (left, _) = _spans(job)
    return (
        slice(job.y.start - top, job.y.stop - top),
        slice(job.x.start - left, job.x.stop - left),
    )


# --- the three kinds of answer -------------------------------------------------------------------


def _pixelwise(pixels: Pixels, wanted: bool, job: _Job) -> Pixels:
    """Answer of a `pixel` detector, asked for the block as one tile."""
    own = _own(job)
    if not wanted:
        return np.full((own[0].stop - own[0].start, own[1].stop - own[1].start), np.nan, np.float32)
    answer: Pixels = _ask(pixels[None], job)[0][own]
    return answer


def _windows(pixels: Pixels, measured: Mask, job: _Job) -> Pixels:
    """Answer of a `window` detector at each pixel: that of the nearest window."""
    top, bottom = job.rows.tiles(job.y.start, job.y.stop)
    left, right = job.columns.tiles(job.x.start, job.x.stop)
    edge, stride = job.spec.tile, job.rows.stride
    wanted = touched(
        measured, np.arange(bottom - top) * stride, np.arange(right - left) * stride, edge
    )
    if job.spec.dense:
        answers = _swept(pixels, wanted, (top, left), job)
    else:
        answers = _answers(_tiles(pixels, edge, stride), wanted, job, ())
    down = job.rows.nearest(np.arange(job.y.start, job.y.stop)) - top
    along = job.columns.nearest(np.arange(job.x.start, job.x.stop)) - left
    nearest: Pixels = answers[down][:, along]
    return nearest


def _swept(pixels: Pixels, wanted: Mask, corner: tuple[int, int], job: _Job) -> Pixels:
    """Answers of all `wanted` windows from passes over whole patches, NaN for the others.

    Patches lie on one grid of the scene, so that a window has the same place in its patch, and its
    answer the same bits, in every block; what a patch has beyond the block is 0 and in no window.
    """
    edge, stride, across = job.spec.tile, job.rows.stride, job.spec.dense
    above = (corner[0] - job.rows.anchor) % across
    beside = (corner[1] - job.columns.anchor) % across
    down = -(-(above + wanted.shape[0]) // across)
    along = -(-(beside + wanted.shape[1]) // across)
    own = slice(above, above + wanted.shape[0]), slice(beside, beside + wanted.shape[1])
    asked = np.zeros((down * across, along * across), np.bool_)
    asked[own] = wanted
    patches = np.logical_or.reduce(asked.reshape(down, across, along, across), axis=(1, 3))
    height, width = ((windows - 1) * stride + edge for windows in asked.shape)
    padded = np.zeros((height, width, pixels.shape[-1]), np.float32)
    top, left = above * stride, beside * stride
    padded[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    view = _tiles(padded, (across - 1) * stride + edge, across * stride)
    answers = _answers(view, patches, job, (across, across)).transpose(0, 2, 1, 3)
    found: Pixels = answers.reshape(asked.shape)[own]
    return np.where(wanted, found, np.float32(np.nan))


def _segments(pixels: Pixels, answerable: Mask, job: _Job) -> Pixels:
    """Answer of a `segment` detector: its tiles side by side, or blended where they overlap."""
    top, bottom = job.rows.tiles(job.y.start, job.y.stop)
    left, right = job.columns.tiles(job.x.start, job.x.stop)
    edge, stride = job.spec.tile, job.rows.stride
    at_y = (np.arange(top, bottom) * stride) - job.y.start
    at_x = (np.arange(left, right) * stride) - job.x.start
    wanted = touched(answerable, at_y, at_x, edge)
    view = _tiles(pixels, edge + 2 * job.spec.halo, stride)
    side_by_side = stride == edge
    height, width = ((n - 1) * stride + edge for n in wanted.shape)
    canvas = np.zeros((height, width), np.float32 if side_by_side else np.float64)
    step = max(1, _CALL_BYTES["segment"] // view[0].nbytes)
    for start in range(0, bottom - top, step):
        part = slice(start, min(start + step, bottom - top))
        answers = _answers(view[part], wanted[part], job, (edge, edge))
        target = canvas[part.start * stride : (part.stop - 1) * stride + edge]
        if side_by_side:
            target.reshape(len(answers), edge, -1, edge)[...] = answers.transpose(0, 2, 1, 3)
        else:
            weights_y = blend_weights(job.rows, top + part.start, top + part.stop)
            _blend(answers, weights_y, blend_weights(job.columns, left, right), stride, target)
    own = canvas[-at_y[0] :, -at_x[0] :][: answerable.shape[0], : answerable.shape[1]]
    return own.astype(np.float32)


def _blend(
    answers: Pixels,
    weights_y: NDArray[np.float64],
    weights_x: NDArray[np.float64],
    stride: int,
    canvas: NDArray[np.float64],
) -> None:
    """Add weighted tiles ``[row, column, y, x]`` to `canvas`, in an order that is the scene's.

    In float64, so that weights that sum to one leave a constant as it is once rounded to float32.
    """
    rows, columns, edge, _ = answers.shape
    strips = np.zeros((rows, edge, canvas.shape[1]))
    for column in range(columns):
        at = column * stride
        strips[:, :, at : at + edge] += answers[:, column] * weights_x[column]
    for row in range(rows):
        at = row * stride
        canvas[at : at + edge] += strips[row] * weights_y[row][:, None]


# --- tiles and calls -----------------------------------------------------------------------------


def _tiles(pixels: Pixels, edge: int, stride: int) -> Pixels:
    """All tiles as a view ``[row, column, y, x, band]`` of the pixels; nothing is copied."""
    view = sliding_window_view(pixels, (edge, edge), axis=(0, 1))[::stride, ::stride]
    return np.moveaxis(view, 2, -1)


def _answers(view: Pixels, wanted: Mask, job: _Job, shape: tuple[int, ...]) -> Pixels:
    """The detector's answers ``[row, column, *shape]``; 0 (window: NaN) for tiles not wanted."""
    answers = np.full((*wanted.shape, *shape), np.nan if shape == () else 0, np.float32)
    down, along = np.nonzero(wanted)
    for part in _parts(len(down), view[0, 0].nbytes, job):
        tiles = np.ascontiguousarray(view[down[part], along[part]])
        if not isinstance(job.spec.normalisation, FixedStatistics):
            normalise_tiles(tiles, job.spec.normalisation)
        elif job.spec.kind == "segment":
            fill_gaps(tiles)
        given = _ask(tiles, job)
        if job.spec.kind == "segment" and job.spec.halo:
            given = given[:, job.spec.halo : -job.spec.halo, job.spec.halo : -job.spec.halo]
        answers[down[part], along[part]] = given
    return answers


def _parts(count: int, tile_bytes: int, job: _Job) -> Iterator[slice]:
    """Slices of `count` tiles that each fit into one call."""
    step = max(1, _CALL_BYTES["segment" if job.spec.dense else job.spec.kind] // tile_bytes)
    if step > _WHOLE_BATCHES:
        step -= step % _WHOLE_BATCHES
    return (slice(start, start + step) for start in range(0, count, step))


def _ask(tiles: Pixels, job: _Job) -> Pixels:
    """Call the detector and check its answer: the shape of its kind, values 0 to 1.

    Raises `RequestError`.
    """
    spec = job.spec
    if spec.dense:
        expected: tuple[int, ...] = (len(tiles), spec.dense, spec.dense)
        answer = np.asarray(cast(Sweeping, job.detector).sweep(tiles), np.float32)
    else:
        expected = tiles.shape[:1] if spec.kind == "window" else tiles.shape[:3]
        answer = np.asarray(job.detector(tiles), np.float32)
    if answer.shape == (*expected, 1):  # as networks end, with one class
        answer = answer[..., 0]
    if answer.shape != expected:
        raise RequestError(
            f"detector {spec.name} answered shape {answer.shape} to tiles of shape {tiles.shape} "
            f"({job.place}); a detector of kind {spec.kind} answers {expected}"
        )
    judged = answer[~np.isnan(answer)] if spec.kind == "pixel" else answer
    low, high = (judged.min(), judged.max()) if judged.size else (0, 0)
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # so phrased, NaN is refused too
        raise RequestError(
            f"detector {spec.name} answered {low} to {high} ({job.place}); probabilities are "
            "0 to 1: end it with a sigmoid or softmax, and check its weights"
        )
    return np.clip(answer, 0, 1) if low < 0 or high > 1 else answer
