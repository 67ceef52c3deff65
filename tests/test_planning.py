"""A plan says what a map will take before it starts, and refuses what does not fit."""

from __future__ import annotations

from typing import Any

import pytest

import sarmap
from sarmap.errors import RequestError


def test_a_plan_counts_blocks_scenes_and_bytes_by_hand(event: Any, request_of: Any) -> None:
    made = sarmap.plan(request_of(chunk=128))
    rows, columns = event.shape
    assert made.blocks == -(-rows // 128) * -(-columns // 128)
    assert len(made.scenes) == 2 * 2  # pre and post_1, two slices each
    full = 2 * rows * columns * 4  # two passes of one float32 band
    assert 0.8 * full < made.read_bytes < 2.2 * full  # the slices overlap
    assert made.tasks > made.blocks


def test_both_orbits_read_twice_as_much(request_of: Any) -> None:
    one = sarmap.plan(request_of())
    both = sarmap.plan(request_of(orbit="both"))
    assert both.read_bytes > 1.8 * one.read_bytes


def test_what_does_not_fit_is_refused_with_the_argument_that_would(request_of: Any) -> None:
    roomy = sarmap.plan(request_of(chunk=2048, memory="100GB"))
    with pytest.raises(RequestError, match="memory="):
        sarmap.plan(request_of(memory="100MB"))
    assert roomy.peak_memory < roomy.memory_limit == 100_000_000_000


def test_a_plan_reads_no_pixel(monkeypatch: pytest.MonkeyPatch, request_of: Any) -> None:
    import rasterio

    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a plan opened a file")

    monkeypatch.setattr(rasterio, "open", fail)
    assert sarmap.plan(request_of()).blocks >= 1
