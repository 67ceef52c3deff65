"""A STAC API that fails on purpose: the same scenes, or one sentence; and always an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import dask
import pytest

import sarmap
from sarmap.errors import CatalogError

PASSING = ["429", "429-date", "500", "503", "reset", "reset-midway", "truncated", "short", "html"]


@pytest.fixture
def search(event: Any, server: Any, fault_proxy: ModuleType) -> Callable[..., Any]:
    """Search the event's API behind faults: the ids found, and the fault server."""

    def make(*faults: Any) -> tuple[list[str], Any]:
        with fault_proxy.serve_faults(upstream=server.url, faults=faults) as between:
            passes = sarmap.search_passes(
                event.grid, event.event, catalog=between.url, orbit="ascending"
            )
            return [item.id for one in passes for item in one.items], between

    return make


@pytest.fixture
def unhindered(search: Callable[..., Any]) -> list[str]:
    ids, _ = search()
    assert len(ids) >= 3
    return list(ids)


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_changes_no_answer(
    kind: str, search: Any, unhindered: list[str], fault_proxy: ModuleType
) -> None:
    ids, between = search(fault_proxy.Fault(kind, tries=1, seconds=0))
    assert ids == unhindered
    assert between.counts[kind] > 0


@pytest.mark.parametrize("kind", ["timeout", "trickle"])
def test_a_stall_that_passes_changes_no_answer(
    kind: str, search: Any, unhindered: list[str], fault_proxy: ModuleType
) -> None:
    ids, between = search(fault_proxy.Fault(kind, times=1))
    assert ids == unhindered
    assert between.counts[kind] == 1


@pytest.mark.parametrize("kind", [*PASSING, "404", "403", "timeout", "trickle"])
def test_a_fault_that_stays_is_one_sentence(
    kind: str, search: Any, fault_proxy: ModuleType
) -> None:
    with (
        dask.config.set({"sarmap.reads.attempts": 2}),
        pytest.raises(CatalogError) as raised,
    ):
        search(fault_proxy.Fault(kind, seconds=0))
    assert raised.value.exit_code == 1
    assert "catalogue 127.0.0.1" in str(raised.value)
    assert "?" not in str(raised.value)


def test_retry_after_is_honoured(
    search: Any, unhindered: list[str], fault_proxy: ModuleType, fake_time: Any
) -> None:
    ids, _ = search(fault_proxy.Fault("503", times=1, seconds=8))
    assert ids == unhindered
    assert max(fake_time.slept) == pytest.approx(8, abs=0.1)


def test_a_client_that_is_asked_to_stay_away_for_an_hour_gives_up(
    search: Any, fault_proxy: ModuleType, fake_time: Any
) -> None:
    with pytest.raises(CatalogError, match="left alone for 3600 s"):
        search(fault_proxy.Fault("429", seconds=3600))
    assert sum(fake_time.slept) < 20


def test_many_faults_at_once(search: Any, unhindered: list[str], fault_proxy: ModuleType) -> None:
    hits = 0
    with dask.config.set({"sarmap.reads.attempts": 4}):
        for _ in range(4):
            ids, between = search(*fault_proxy.usual(0.3, kinds=PASSING))
            assert ids == unhindered
            hits += between.hits
    assert threading.active_count() < 200
    assert hits >= 0
