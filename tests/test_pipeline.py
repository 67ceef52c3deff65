"""One call maps an event: from a STAC search to a store, by the route of a real map."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from numpy.typing import NDArray

import sarmap
from sarmap.errors import RequestError


def test_the_map_covers_the_grid_and_opens_with_plain_xarray(
    event: Any, request_of: Callable[..., sarmap.MapRequest]
) -> None:
    result = sarmap.map_landslides(request_of())
    assert len(repr(result)) < 1000
    stored = xr.open_zarr(result.path)
    assert stored.probability.shape == event.shape
    assert result.pixels == event.shape[0] * event.shape[1]
    seen = stored.observation.values == 0
    assert np.isfinite(stored.probability.values[seen]).all()
    assert np.isnan(stored.probability.values[~seen]).all()
    first = float(stored.x[0]), float(stored.y[0])
    assert first == (event.transform[2] + 5, event.transform[5] - 5)


def test_each_scene_is_read_once(
    request_of: Callable[..., sarmap.MapRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its passes are levelled, and then compared, by one reading."""
    from sarmap.acquire.scene_reader import SceneReader

    asked: list[tuple[str, str]] = []
    read = SceneReader.read

    def counted(self: SceneReader, window: Any, **more: Any) -> Any:
        asked.append((self.source.href, str(window)))
        return read(self, window, **more)

    monkeypatch.setattr(SceneReader, "read", counted)
    sarmap.map_landslides(request_of(detector="change"))
    assert len(asked) == len(set(asked)) > 10


def test_a_map_is_a_folder_not_a_file(request_of: Callable[..., sarmap.MapRequest]) -> None:
    with pytest.raises(RequestError, match=r"give out='map.zarr'"):
        sarmap.map_landslides(request_of(out="map.tif"))


def test_every_chunk_size_gives_the_same_map(
    event: Any, request_of: Callable[..., sarmap.MapRequest], tmp_path: Path
) -> None:
    """The whole route, block borders anywhere: terrain, layover, tiles and all."""
    maps = []
    for chunk in (37, 128, 1024):
        request = request_of(
            area=event.grid[90:240, 60:200],
            chunk=chunk,
            out=str(tmp_path / f"{chunk}.zarr"),
            detector="attention-unet",
        )
        maps.append(xr.open_zarr(sarmap.map_landslides(request).path).load())
    for other in maps[1:]:
        for name in ("probability", "observation", "slope"):
            np.testing.assert_array_equal(maps[0][name].values, other[name].values)


def test_a_dask_cluster_gives_the_same_map(
    request_of: Callable[..., sarmap.MapRequest], local_workers: Any, tmp_path: Path
) -> None:
    alone = sarmap.map_landslides(request_of(chunk=128))
    with local_workers(2, threads=2) as client:
        request = request_of(chunk=128, out=str(tmp_path / "cluster.zarr"))
        together = sarmap.map_landslides(request, client=client)
    np.testing.assert_array_equal(
        alone.dataset.probability.values, together.dataset.probability.values
    )


def test_attributes_say_how_it_was_made_and_hold_no_place_of_this_machine(
    event: Any, server: Any, request_of: Callable[..., sarmap.MapRequest], tmp_path: Path
) -> None:
    attrs = xr.open_zarr(sarmap.map_landslides(request_of(name="Atsuma")).path).attrs
    scenes = json.loads(attrs["scenes"])
    assert json.loads(attrs["sarmap:request"])["name"] == "Atsuma"
    assert {scene["relative_orbit"] for scene in scenes} == {68}
    assert {scene["role"] for scene in scenes} == {"pre", "post_1"}
    assert json.loads(attrs["detector"])["name"] == "log-ratio"
    assert attrs["simulated"] == 1
    assert "SIMULATED" in attrs["title"]
    text = json.dumps({key: str(value) for key, value in attrs.items()})
    for secret in (str(tmp_path), str(event.path), server.url, "sig="):
        assert secret not in text


def test_both_orbits_are_fused_and_show_where_they_disagree(
    request_of: Callable[..., sarmap.MapRequest],
) -> None:
    result = sarmap.map_landslides(request_of(orbit="both"))
    stored = result.dataset.load()
    both = stored.observed_by.values == 2
    assert both.any()
    assert np.isfinite(stored.disagreement.values[both]).all()
    assert len(result.plan.passes) == 2


def test_every_product_opens_in_its_own_program(
    event: Any, request_of: Callable[..., sarmap.MapRequest]
) -> None:
    products = ("cog", "geopackage", "geoparquet", "quicklook", "item")
    result = sarmap.map_landslides(request_of(products=products, threshold=0.3))
    assert set(result.files) == set(products)
    with rasterio.open(result.files["cog"]) as raster:
        assert raster.shape == event.shape
        assert raster.tags()["SIMULATED"] == "YES"
    polygons = gpd.read_file(result.files["geopackage"])
    assert len(polygons) == len(gpd.read_parquet(result.files["geoparquet"])) > 0
    above = (result.dataset.probability.values >= 0.3).sum()
    assert polygons.area.sum() == pytest.approx(above * 100)
    item = pystac.Item.from_file(result.files["item"])
    assert "SIMULATED" in str(item.properties["title"])
    assert Path(result.files["quicklook"]).read_bytes().startswith(b"\x89PNG")


class Brightness:
    """A user's own detector: bright pixels after the event."""

    bands = ("vv_post_1",)

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.clip(tiles[..., 0], 0, 1)


def test_a_detector_of_ones_own_needs_bands_and_a_call(
    request_of: Callable[..., sarmap.MapRequest],
) -> None:
    result = sarmap.map_landslides(request_of(detector=Brightness()))
    seen = result.dataset.observation.values == 0
    assert np.nanmax(result.dataset.probability.values[seen]) > 0.2


def test_a_map_is_not_made_without_a_place_to_write_it(
    request_of: Callable[..., sarmap.MapRequest],
) -> None:
    with pytest.raises(ValueError, match="out="):
        sarmap.map_landslides(request_of(out=None))
