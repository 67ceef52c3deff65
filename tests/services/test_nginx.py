"""Scenes read from nginx, as from any web server: by byte range, block after block."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sarmap
from sarmap.simulate.serve import absolute_hrefs, serve_catalog


@pytest.fixture
def make_map(event: Any, tmp_path: Path) -> Callable[[Any, str], xr.Dataset]:
    """The map of the small event through a catalogue."""

    def make(catalog: sarmap.CatalogSettings, name: str) -> xr.Dataset:
        request = sarmap.MapRequest(
            area=event.grid,
            event=event.event,
            catalog=catalog,
            orbit="descending",
            detector="log-ratio",
            out=str(tmp_path / f"{name}.zarr"),
        )
        return xr.open_zarr(sarmap.map_landslides(request).path).load()

    return make


def test_a_map_through_nginx_is_the_map_through_any_other_server(
    event: Any, server: Any, nginx: Any, make_map: Callable[[Any, str], xr.Dataset]
) -> None:
    files = nginx(event.path)
    items = json.loads(event.items.read_text(encoding="utf-8"))["features"]
    collections = json.loads(event.collections.read_text(encoding="utf-8"))
    hrefs = [absolute_hrefs(item, files.url) for item in items]
    with serve_catalog(hrefs, collections, event.path) as catalogued:
        through_nginx = make_map(catalogued.catalog, "nginx")
    through_aiohttp = make_map(server.catalog, "aiohttp")
    for name in ("probability", "observation", "slope"):
        np.testing.assert_array_equal(through_nginx[name].values, through_aiohttp[name].values)

    asked = [one for one in files.requests() if one[0] == "GET" and one[4].endswith(".tiff")]
    assert asked
    assert all(status == 206 and span.startswith("bytes=") for _, status, _, span, _ in asked)
    # each scene that was used was asked for by name, and no byte of the others was
    read = {path.split("/")[-2] for *_, path in asked}
    radar = {item["id"] for item in items if item["collection"] == "sentinel-1-rtc"}
    assert read < radar
