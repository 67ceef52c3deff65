"""A plan says what a map will take before it starts, and refuses what does not fit."""

from __future__ import annotations

from typing import Any

import pytest

import sarmap
from sarmap.errors import RequestError


def make(event: Any, server: Any, **changes: Any) -> sarmap.MapRequest:
    fields: dict[str, Any] = {
        "area": event.grid,
        "event": event.event,
        "catalog": server.catalog,
        "detector": "log-ratio",
        "orbit": "ascending",
    }
    return sarmap.MapRequest(**fields | changes)


def test_a_plan_counts_blocks_scenes_and_bytes_by_hand(event: Any, server: Any) -> None:
    made = sarmap.plan(make(event, server, chunk=128))
    rows, columns = event.shape
    assert made.blocks == -(-rows // 128) * -(-columns // 128)
    assert len(made.scenes) == 2 * 2  # pre and post_1, two slices each
    full = 2 * rows * columns * 4  # two passes of one float32 band
    assert 0.8 * full < made.read_bytes < 2.2 * full  # the slices overlap
    assert made.tasks > made.blocks


def test_both_orbits_read_twice_as_much(event: Any, server: Any) -> None:
    one = sarmap.plan(make(event, server))
    both = sarmap.plan(make(event, server, orbit="both"))
    assert both.read_bytes > 1.8 * one.read_bytes


def test_what_does_not_fit_is_refused_with_the_argument_that_would(event: Any, server: Any) -> None:
    roomy = sarmap.plan(make(event, server, chunk=2048, memory="100GB"))
    with pytest.raises(RequestError, match="memory="):
        sarmap.plan(make(event, server, memory="100MB"))
    assert roomy.peak_memory < roomy.memory_limit == 100_000_000_000


def test_a_plan_reads_no_pixel(event: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import rasterio

    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a plan opened a file")

    monkeypatch.setattr(rasterio, "open", fail)
    assert sarmap.plan(make(event, server)).blocks >= 1
