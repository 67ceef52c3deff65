"""Answers that differ are found, and said; those that agree pass."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.answers import compare
from benchmarks.tables import render

SAME = [[1.0, np.nan], [0.25, 3.0]]


def test_equal_answers_differ_nowhere():
    assert compare({"p": np.array(SAME)}, {"p": np.array(SAME)}) == (0.0, 0, 4)


def test_the_largest_difference_and_the_number_of_differing_values_are_found():
    other = np.array([[1.5, np.nan], [0.25, 3.125]])
    assert compare({"p": np.array(SAME)}, {"p": other}) == (0.5, 2, 4)


def test_an_unsigned_difference_does_not_wrap():
    assert compare({"p": np.uint8([3])}, {"p": np.uint8([5])}) == (2.0, 1, 1)


@pytest.mark.parametrize(
    "other",
    [np.array([[1.0, 2.0], [0.25, 3.0]]), np.zeros((2, 3)), np.full((2, 2), np.nan)],
    ids=["a gap filled", "another shape", "gaps everywhere"],
)
def test_other_gaps_or_shapes_never_pass_as_a_small_difference(other):
    assert compare({"p": np.array(SAME)}, {"p": other})[0] is None


def test_a_missing_layer_is_a_difference():
    assert compare({"p": np.zeros(2), "o": np.zeros(2)}, {"p": np.zeros(2)})[0] is None


def test_a_benchmark_whose_answers_agree_says_so(benchmark_of, run, play):
    record = run(benchmark_of(), play({100: SAME, 200: SAME}))
    assert record["answers"]["identical"]
    assert "bit for bit" in render(record)


def test_a_benchmark_whose_answers_differ_is_not_identical_and_says_where(benchmark_of, run, play):
    record = run(benchmark_of(), play({100: SAME, 200: [[1.0, np.nan], [0.5, 3.0]]}))
    assert not record["answers"]["identical"]
    assert "ANSWERS DIFFER: 200 px differs from 100 px in 1 of 4 values, by up to 0.25" in render(
        record
    )


def test_a_difference_within_tolerance_is_allowed_and_shown(benchmark_of, run, play):
    record = run(benchmark_of(tolerance=0.3), play({100: SAME, 200: [[1, np.nan], [0.5, 3]]}))
    assert record["answers"]["identical"]
    assert "largest difference 0.2" in render(record)
