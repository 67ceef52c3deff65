"""A small map's request, and the map that threads make of it, to compare clusters with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
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
def request_of(event: Any, server: Any, tmp_path: Path) -> Maker:
    """A request for the whole small event in 9 blocks, with changes."""

    def make(**changes: Any) -> sarmap.MapRequest:
        fields: dict[str, Any] = {
            "area": event.grid,
            "event": event.event,
            "catalog": server.catalog,
            "detector": "log-ratio",
            "orbit": "ascending",
            "chunk": 128,
            "out": str(tmp_path / "map.zarr"),
        }
        return sarmap.MapRequest(**fields | changes)

    return make
