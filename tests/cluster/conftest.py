"""A small map's request, and the map that threads make of it, to compare clusters with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import pytest

import sarmap

Starter = Callable[..., AbstractContextManager[str]]
Maker = Callable[..., sarmap.MapRequest]


@pytest.fixture(scope="session")
def scheduler_here() -> Callable[[int], AbstractContextManager[str]]:
    """`with scheduler_here(workers) as address`: in this process, where none of its own counts."""

    @contextmanager
    def start(workers: int) -> Iterator[str]:
        from distributed import LocalCluster

        options: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": None}
        with LocalCluster(n_workers=workers, processes=False, protocol="tcp", **options) as cluster:
            yield str(cluster.scheduler_address)

    return start


@pytest.fixture
def request_of(request_of: Maker) -> Maker:
    """A request for the whole small event in 9 blocks, with changes."""
    return partial(request_of, chunk=128)
