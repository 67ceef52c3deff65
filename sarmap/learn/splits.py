"""Which samples train, choose and test: the papers' random split, and two honest ones.

random
    Paper 2's: shuffled, 20 % test, 20 % of the rest validation. Neighbouring samples share speckle
    and slope, so its scores are too good.
blocks
    Whole squares of the scene go to one part. A sample that lies in squares of two parts is left
    out, so no pixel is in two parts.
events
    Whole events are held out; validation is by blocks of the others, unless events are given for
    it.

Integers only: nothing here reads a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sarmap.errors import RequestError

Split = Literal["random", "blocks", "events"]
Codes = NDArray[np.uint8]
Places = NDArray[np.int64]

PARTS = ("training", "validation", "test", "held_out", "left_out")
"""Parts by their code; `held_out` are samples of events that train nothing."""
TRAINING, VALIDATION, TEST, HELD_OUT, LEFT_OUT = range(5)


def describe_parts(codes: Codes, *, test: float, validation: float) -> str:
    """How many samples each part got, in words, and whether that is far from the share that was to
    test (0 for a split by events), and that of the rest that was to validate.

    >>> describe_parts(np.repeat([0, 1, 2], [6, 2, 2]).astype(np.uint8), test=0.2, validation=0.2)
    '6 for training, 2 for validation, 2 for test'
    >>> describe_parts(np.repeat([0, 1, 2], [1, 7, 2]).astype(np.uint8), test=0.2, validation=0.2)
    '1 for training, 7 for validation, 2 for test; 10 % train where 64 % were asked for: smaller \
blocks (block=) deal more evenly'
    """
    counts = np.bincount(codes, minlength=len(PARTS))
    words = {HELD_OUT: "held out", LEFT_OUT: "left out"}
    text = ", ".join(
        f"{count:,} {words.get(code, f'for {PARTS[code]}')}"
        for code, count in enumerate(counts)
        if count
    )
    dealt = counts[: TEST + 1]
    share, asked = counts[TRAINING] / max(dealt.sum(), 1), (1 - test) * (1 - validation)
    if share >= asked / 2:
        return text
    return (
        f"{text}; {share:.0%} train where {asked:.0%} were asked for: smaller blocks (block=) deal "
        "more evenly".replace("%", " %")
    )


def assign_parts(
    split: Split,
    *,
    event: Places,
    row: Places,
    column: Places,
    edge: int,
    roles: Sequence[str],
    seed: int,
    test: float = 0.2,
    validation: float = 0.2,
    block: int = 512,
) -> Codes:
    """Part of each sample, as an index into `PARTS`, under the split 'random', 'blocks' or
    'events', from the number of its event and its first pixel on the event's grid.

    A test event, by `roles` ('training', 'validation' or 'test'), is held out whole. Of the samples
    of training events the share `test` tests, and `validation` of the others validates; `block` is
    the edge of a square, pixels. Raises RequestError where a share is not possible, or a split asks
    for events or blocks that are not there.

    >>> import numpy as np
    >>> at = np.arange(10) * 64
    >>> parts = assign_parts("random", event=at * 0, row=at, column=at * 0, edge=64,
    ...                      roles=["training"], seed=0)
    >>> np.bincount(parts).tolist()
    [6, 2, 2]
    """
    _check(split, roles, test, validation, block, edge)
    role = np.asarray([("training", "validation", "test").index(one) for one in roles])[event]
    codes = np.choose(role, [TRAINING, VALIDATION, HELD_OUT]).astype(np.uint8)
    inside = np.flatnonzero(role == 0)
    if not len(inside):
        raise RequestError("No sample belongs to an event that trains: check the events' roles.")
    test = 0.0 if split == "events" else test
    validation = 0.0 if "validation" in roles else validation
    rng = np.random.default_rng([seed, 20])
    if split == "random":
        codes[inside] = split_randomly(len(inside), test, validation, rng)
        return codes
    first, last = (
        blocks_of(event, row + shift, column + shift, block)[inside] for shift in (0, edge - 1)
    )
    codes[inside] = split_blocks(
        first, last, _more_corners(event, row, column, edge, block, inside), test, validation, rng
    )
    return codes


def split_randomly(count: int, test: float, validation: float, rng: Generator) -> Codes:
    """Parts of shuffled samples: `test` of them test, `validation` of the others validate."""
    codes = np.full(count, TRAINING, np.uint8)
    order = rng.permutation(count)
    tested = round(count * test)
    validated = round((count - tested) * validation)
    codes[order[:tested]] = TEST
    codes[order[tested : tested + validated]] = VALIDATION
    return codes


def split_blocks(
    first: Places,
    last: Places,
    others: Places,
    test: float,
    validation: float,
    rng: Generator,
) -> Codes:
    """Parts of samples by the squares they lie in, of each sample's first pixel, of its last, and
    (2, n) of its other two corners; whole squares are dealt out, shuffled, so that shares are
    reached as nearly as they allow. RequestError where there are fewer squares than parts.
    """
    squares, counts = np.unique(first, return_counts=True)
    wanted = [(TEST, test), (VALIDATION, (1 - test) * validation)]
    if len(squares) < 1 + sum(share > 0 for _, share in wanted):
        raise RequestError(
            f"The samples lie in {len(squares)} spatial blocks, too few for training, validation "
            "and test: make block= smaller, or give a larger area."
        )
    order = rng.permutation(len(squares))
    part = np.full(len(squares), TRAINING, np.uint8)
    at = 0
    for code, share in wanted:
        taken = 0
        # at least one square to each part, and one left to train on
        while (
            share > 0
            and at < len(squares) - 1
            and (taken == 0 or taken + counts[order[at]] / 2 < share * len(first))
        ):
            part[order[at]] = code
            taken += counts[order[at]]
            at += 1
    by_square = dict(zip(squares.tolist(), part.tolist(), strict=True))
    codes = np.asarray([by_square[one] for one in first.tolist()], np.uint8)
    for corner in (last, *others):
        there = np.asarray([by_square.get(one, LEFT_OUT) for one in corner.tolist()], np.uint8)
        codes[(corner != first) & (there != codes)] = LEFT_OUT
    return codes


def blocks_of(event: Places, row: Places, column: Places, block: int) -> Places:
    """Number of the spatial block of each pixel; unique over events up to 2**20 blocks across.

    >>> import numpy as np
    >>> one = np.array([0, 0, 1])
    >>> blocks_of(one, np.array([0, 600, 0]), one * 0, 512).tolist()
    [0, 1048576, 1099511627776]
    """
    numbers: Places = (event.astype(np.int64) << 40) + ((row // block) << 20) + column // block
    return numbers


def _more_corners(
    event: Places, row: Places, column: Places, edge: int, block: int, inside: NDArray[np.intp]
) -> Places:
    """Squares of the upper right and the lower left pixel of each sample."""
    return np.stack(
        [
            blocks_of(event, row, column + edge - 1, block)[inside],
            blocks_of(event, row + edge - 1, column, block)[inside],
        ]
    )


def _check(
    split: str, roles: Sequence[str], test: float, validation: float, block: int, edge: int
) -> None:
    if split not in ("random", "blocks", "events"):
        raise RequestError(f"A split is random, blocks or events, not {split!r}: set split=.")
    if not (0 <= test < 1 and 0 <= validation < 1):
        raise RequestError(
            f"Shares of a split lie from 0 to below 1, not test={test:g}, "
            f"validation={validation:g}."
        )
    if split == "events" and "test" not in roles:
        raise RequestError(
            "The split 'events' needs an event that is held out: give one of the events the role "
            "'test'."
        )
    if split != "random" and block < edge:
        raise RequestError(
            f"A spatial block of {block} px holds no sample of {edge} px: set block=."
        )
