"""`sarmap map --control`: how much the same detector calls landslide before the event."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pystac
import pytest
import shapely
import xarray as xr

import sarmap
from sarmap.errors import Interrupted, RequestError


@pytest.fixture
def request_of(request_of: Callable[..., sarmap.MapRequest]) -> Callable[..., sarmap.MapRequest]:
    return partial(request_of, control=True)


def test_the_map_itself_stays_to_the_bit_and_the_control_lies_beside_it(
    request_of: Callable[..., sarmap.MapRequest], tmp_path: Path
) -> None:
    result = sarmap.map_landslides(request_of(products=("item", "quicklook")))
    plain = sarmap.map_landslides(request_of(control=False, out=str(tmp_path / "plain.zarr")))
    stored, alone = xr.open_zarr(result.path).load(), xr.open_zarr(plain.path).load()
    for name in alone.data_vars:
        np.testing.assert_array_equal(stored[name].values, alone[name].values)
    assert "control_probability" not in alone
    assert plain.control is None
    seen = stored.control_observation.values == 0
    assert np.isfinite(stored.control_probability.values[seen]).all()
    assert np.isnan(stored.control_probability.values[~seen]).all()

    assert result.control is not None
    assert json.loads(stored.attrs["sarmap:control"]) == result.control
    called = (stored.control_probability.values >= 0.5).sum()
    assert result.control["false_m2_per_km2"] == pytest.approx(called / seen.sum() * 1e6, rel=1e-3)
    assert [one["as_after"] for one in result.control["passes"]] == [["2018-09-01"]]
    assert [one["as_before"] for one in result.control["passes"]] == [["2018-08-20"]]
    item = pystac.Item.from_file(result.files["item"])
    assert item.properties["sarmap:control"] == result.control
    roles = [scene["role"] for scene in json.loads(stored.attrs["scenes"])]
    assert sorted(set(roles)) == ["control_pre_2", "post_1", "pre"]


def test_the_control_is_what_the_earlier_passes_alone_would_give(
    event: Any, request_of: Callable[..., sarmap.MapRequest], tmp_path: Path
) -> None:
    """Known from outside: a map of an event that lies before the last pass before the event."""
    result = sarmap.map_landslides(request_of())
    before = request_of(
        event="2018-08-25T00:00:00Z", control=False, out=str(tmp_path / "before.zarr")
    )
    alone = sarmap.map_landslides(before)
    np.testing.assert_array_equal(
        result.dataset.control_probability.values, alone.dataset.probability.values
    )
    np.testing.assert_array_equal(
        result.dataset.control_observation.values, alone.dataset.observation.values
    )


def test_every_chunk_size_gives_the_same_control_of_both_orbits(
    request_of: Callable[..., sarmap.MapRequest], tmp_path: Path
) -> None:
    maps = [
        xr.open_zarr(
            sarmap.map_landslides(
                request_of(chunk=chunk, orbit="both", out=str(tmp_path / f"{chunk}.zarr"))
            ).path
        ).load()
        for chunk in (64, 150, 1024)
    ]
    assert len(json.loads(maps[0].attrs["sarmap:control"])["passes"]) == 2
    for other in maps[1:]:
        for name in ("probability", "control_probability", "control_observation"):
            np.testing.assert_array_equal(maps[0][name].values, other[name].values)


def test_a_request_is_resolved_once_and_its_catalogue_searched_once(
    request_of: Callable[..., sarmap.MapRequest],
    event: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The area's file is read, the catalogue's settings are made out and the scenes are asked for
    once each, although a control needs passes of its own."""
    west, south, east, north = event.grid.geographic_extent.boundingbox.bbox
    place = tmp_path / "place.gpkg"
    geopandas.GeoSeries([shapely.box(west, south, east, north)], crs=4326).to_file(place)
    asked: list[str] = []

    def counted(where: str, name: str) -> None:
        module = importlib.import_module(where)
        plain = getattr(module, name)

        def call(*given: Any, **words: Any) -> Any:
            asked.append(name)
            return plain(*given, **words)

        monkeypatch.setattr(module, name, call)

    counted("sarmap.acquire.area", "read_vector")
    counted("sarmap.acquire.archives", "resolve_catalog")
    counted("sarmap.acquire.terrain", "resolve_catalog")
    counted("sarmap.acquire.search", "search_items")
    made = sarmap.map_landslides(request_of(area=place))
    assert made.control is not None
    assert sorted(asked) == ["read_vector", "resolve_catalog", "search_items"]


class Stopping:
    """A change detector that ends the run when it is asked for the `at`-th time."""

    bands = ("vv_pre", "vv_post_1")
    kind = "pixel"
    name = "stopping"

    def __init__(self, at: int | None = None) -> None:
        self.at, self.asked = at, 0

    def __call__(self, tiles: Any) -> Any:
        self.asked += 1
        if self.asked == self.at:
            time.sleep(1.5)  # the blocks that are done meanwhile are stored
            raise KeyboardInterrupt
        change = np.abs(np.log10(tiles[..., 1] / tiles[..., 0]))
        return np.clip(change, 0, 1).astype(np.float32)


def test_an_interrupted_map_goes_on_with_its_control_and_with_no_other(
    event: Any, request_of: Callable[..., sarmap.MapRequest], tmp_path: Path
) -> None:
    fine = {"area": event.area, "resolution": 4, "chunk": 512}  # four blocks, asked of twice
    whole = sarmap.map_landslides(
        request_of(**fine, detector=Stopping(), out=str(tmp_path / "whole.zarr"))
    )
    blocks = whole.plan.blocks
    with pytest.raises(Interrupted, match="blocks are kept"):
        sarmap.map_landslides(request_of(**fine, detector=Stopping(at=2 * blocks)))
    with pytest.raises(RequestError, match="control"):
        sarmap.map_landslides(request_of(**fine, detector=Stopping(), control=False, resume=True))
    resumed = sarmap.map_landslides(request_of(**fine, detector=Stopping(), resume=True))
    assert 0 < (resumed.computed or 0) < blocks
    np.testing.assert_array_equal(
        resumed.dataset.control_probability.values, whole.dataset.control_probability.values
    )
    assert resumed.control == whole.control


def test_too_few_passes_before_the_event_are_one_sentence(
    request_of: Callable[..., sarmap.MapRequest], tmp_path: Path
) -> None:
    """The paper's network reads one pass before and two after: three before, and there are two."""
    request = request_of(detector="nava-2022-attention-unet")
    with pytest.raises(RequestError, match=r"needs 3 passes before the event, and ascending orbit"):
        sarmap.map_landslides(request)
    assert not Path(str(request.out)).exists()


def test_assessing_a_map_with_a_control_says_what_lies_beyond_it(
    event: Any, request_of: Callable[..., sarmap.MapRequest], tmp_path: Path
) -> None:
    from sarmap.assess.report import assess_into

    result = sarmap.map_landslides(request_of())
    found = assess_into(result.path, event.inventory, tmp_path / "assessed", block=32)
    assert found.beyond_control is not None
    value, interval = found.beyond_control
    assert interval.low < value < interval.high
    assert value < found.mapped_km2
    record = json.loads((tmp_path / "assessed" / "assessment.json").read_text())
    assert record["beyond_control_km2"] == pytest.approx(value)
    text = (tmp_path / "assessed" / "assessment.md").read_text()
    assert "Beyond what its control calls landslide" in text
