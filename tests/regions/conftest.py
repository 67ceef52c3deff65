"""What tests of regions share: events that lie across borders, and scans of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sarmap


@pytest.fixture(scope="session")
def border_event(simulated: Callable[..., Any]) -> Any:
    """A simulated event on the meridian between UTM zones 53 and 54; its files are in zone 54."""
    place = {"rows": 288, "columns": 384, "center": (138.0, 37.0)}
    return simulated("border", seed=5, earlier=0, optical=False, **place)


@pytest.fixture(scope="session")
def border_server(border_event: Any) -> Iterator[Any]:
    """That event behind a STAC API and a file server on loopback."""
    from sarmap.simulate.serve import serve_event

    with serve_event(border_event) as running:
        yield running


@pytest.fixture(scope="session")
def border_fields(border_event: Any, border_server: Any) -> dict[str, Any]:
    """What a scan of the event across the border asks for, but its place."""
    return {
        "area": (137.986, 36.991, 138.014, 37.009),
        "event": border_event.event,
        "catalog": border_server.catalog,
        "detector": "log-ratio",
        "orbit": "ascending",
        "unit": 256,
        "chunk": 128,
        "products": (),
    }


@pytest.fixture(scope="session")
def finished(border_fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A scan with all its products, to be read and not changed."""
    more: dict[str, Any] = {
        "out": str(tmp_path_factory.mktemp("scans") / "finished"),
        "products": ("geopackage", "geoparquet", "quicklook"),
        "epicentre": (138.01, 37.0),
        "threshold": 0.3,
    }
    return sarmap.scan(sarmap.ScanRequest(**border_fields | more))


@pytest.fixture
def scan_request(
    border_fields: dict[str, Any], tmp_path: Path
) -> Callable[..., sarmap.ScanRequest]:
    """A request for a scan of the event across the border, with changes."""

    def make(**changes: Any) -> sarmap.ScanRequest:
        return sarmap.ScanRequest(**border_fields | {"out": str(tmp_path / "scan")} | changes)

    return make
