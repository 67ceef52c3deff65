"""A split deals every sample out once, and an honest one keeps parts apart on the ground."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarmap.errors import RequestError
from sarmap.learn.splits import PARTS, assign_parts

TRAINING, VALIDATION, TEST, HELD_OUT, LEFT_OUT = range(len(PARTS))


def lattice(step: int, size: int, events: int = 1):
    row, column = (
        a.ravel() for a in np.meshgrid(np.arange(0, size, step), np.arange(0, size, step))
    )
    event = np.repeat(np.arange(events), len(row))
    return {"event": event, "row": np.tile(row, events), "column": np.tile(column, events)}


def test_the_papers_split_is_20_percent_test_and_20_percent_of_the_rest_validation():
    at = lattice(64, 64 * 30)
    parts = assign_parts("random", **at, edge=64, roles=["training"], seed=3)
    assert np.bincount(parts).tolist() == [576, 144, 180]


def test_the_same_seed_deals_alike_and_another_does_not():
    at = lattice(64, 64 * 10)

    def deal(seed):
        return assign_parts("random", **at, edge=64, roles=["training"], seed=seed)

    np.testing.assert_array_equal(deal(1), deal(1))
    assert (deal(1) != deal(2)).any()


@settings(max_examples=25)
@given(
    edge=st.integers(5, 40),
    step=st.integers(9, 60),
    block=st.integers(40, 150),
    seed=st.integers(0, 5),
)
def test_no_pixel_lies_in_two_parts_of_a_block_split(edge, step, block, seed):
    size = 400
    at = lattice(step, size)
    parts = assign_parts("blocks", **at, edge=edge, roles=["training"], seed=seed, block=block)
    owner = np.full((size + edge, size + edge), LEFT_OUT, np.uint8)
    for part, row, column in zip(parts, at["row"], at["column"], strict=True):
        if part == LEFT_OUT:
            continue
        here = owner[row : row + edge, column : column + edge]
        assert np.isin(here, [LEFT_OUT, part]).all()
        here[...] = part


def test_block_shares_come_near_what_was_asked():
    at = lattice(64, 64 * 80)
    parts = assign_parts("blocks", **at, edge=64, roles=["training"], seed=0, block=512)
    shares = np.bincount(parts, minlength=3) / len(parts)
    np.testing.assert_allclose(shares[:3], [0.64, 0.16, 0.2], atol=0.02)


def test_a_test_event_is_held_out_whole_whatever_the_split():
    at = lattice(64, 64 * 16, events=2)
    for split in ("random", "blocks", "events"):
        roles = ["training", "test"]
        parts = assign_parts(split, **at, edge=64, roles=roles, seed=0, block=256)
        assert set(parts[at["event"] == 1].tolist()) == {HELD_OUT}
        assert HELD_OUT not in parts[at["event"] == 0]
        assert (TEST in parts) == (split != "events")


def test_a_validation_event_leaves_all_others_to_training():
    at = lattice(64, 64 * 8, events=3)
    roles = ["training", "validation", "test"]
    parts = assign_parts("events", **at, edge=64, roles=roles, seed=0, block=256)
    assert [set(parts[at["event"] == e].tolist()) for e in range(3)] == [
        {TRAINING},
        {VALIDATION},
        {HELD_OUT},
    ]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"split": "guess"}, "random, blocks or events"),
        ({"split": "random", "test": 1.0}, "test=1"),
        ({"split": "events"}, "held out"),
        ({"split": "blocks", "block": 10}, "block="),
        ({"split": "blocks", "block": 10_000}, "too few"),
        ({"split": "random", "roles": ["test"]}, "roles"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_way_out(how, said):
    at = lattice(64, 640)
    with pytest.raises(RequestError, match=said):
        assign_parts(**{"roles": ["training"], **at, "edge": 64, "seed": 0, **how})
