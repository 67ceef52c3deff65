"""A scan from request to collection: kept unit by unit, continued, told of at any time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import pystac
import pytest
import shapely
import xarray as xr

import sarmap
from sarmap.errors import CatalogError, OutputError, RequestError
from sarmap.regions import scanning
from sarmap.regions.forecast import plan_scan
from sarmap.regions.status import scan_status
from sarmap.store.block_progress import read_progress
from sarmap.store.result import open_map

Make = Callable[..., sarmap.ScanRequest]


def arrays(path: str) -> dict[str, dict[str, Any]]:
    """Zone -> layer -> packed pixels of a scan."""
    scan = sarmap.open_scan(path)
    return {
        name: {layer: zone.canvas(layer)[:, :] for layer in zone.layers}
        for name, zone in scan.zones.items()
    }


def assert_same(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> None:
    assert {zone: set(layers) for zone, layers in one.items()} == {
        zone: set(layers) for zone, layers in other.items()
    }
    for zone, layers in one.items():
        for layer, values in layers.items():
            np.testing.assert_array_equal(values, other[zone][layer], err_msg=f"{zone} {layer}")


SMALL = (138.001, 36.999, 138.004, 37.001)
"""A region in one unit."""
STRIP = (138.001, 36.998, 138.014, 37.002)
"""A region in some units of 128 px."""


def test_a_finished_scan_is_a_collection_with_an_item_per_unit(finished: Any) -> None:
    assert not finished.incomplete
    assert finished.simulated
    catalog = pystac.Collection.from_file(finished.files["collection"])
    items = {item.id: item for item in catalog.get_items()}
    mapped = [name for name, state in finished.states.items() if state.status == "done"]
    assert set(items) == set(mapped)
    assert len(mapped) >= 4
    assert "SIMULATED" in str(catalog.title)
    for item in items.values():
        assert item.properties["sarmap:simulated"]
        zarr = Path(finished.path) / "units" / item.id / item.assets["zarr"].href
        assert xr.open_zarr(zarr).attrs["sarmap:status"] == "complete"
    records = {p.name: p.read_text() for p in Path(finished.path).rglob("*.json")}
    assert finished.path not in "".join(records.values())
    assert "http://" not in records["scan.json"] + records["progress.json"]


def test_units_are_mapped_nearest_the_epicentre_first(finished: Any) -> None:
    record = json.loads((Path(finished.path) / "scan.json").read_text())
    ranks = [record["units"][name]["rank"] for name in finished.states]
    assert ranks == sorted(ranks)
    times = [s.started for s in finished.states.values() if s.started]
    assert times == sorted(times)


def test_landslides_across_borders_are_one_polygon(finished: Any) -> None:
    frame = gpd.read_file(finished.files["geopackage"])
    assert len(frame) == len(gpd.read_parquet(finished.files["geoparquet"])) > 5
    assert frame["simulated"].all()
    assert set(frame["relative_orbit"]) == {"68"}
    assert (frame["unit"] != "").all()
    across = frame[frame["zone"].str.contains(",")]
    assert len(across) >= 1
    for shape in across.geometry:
        assert shape.bounds[0] < 138 < shape.bounds[2]
        assert len(shapely.get_parts(shape)) == 1
    # no two polygons touch along an edge: they would be one
    tree = shapely.STRtree(frame.geometry.to_numpy())
    a, b = tree.query(frame.geometry.to_numpy(), predicate="intersects")
    shapes = frame.geometry.to_numpy()
    shared = shapely.length(shapely.intersection(shapes[a], shapes[b]))[a < b]
    assert (shared < 1e-6).all()


def test_a_zone_opens_lazily_as_one_map(finished: Any) -> None:
    scan = sarmap.open_scan(finished.path)
    dataset = scan["54N"]
    assert dataset.probability.chunks is not None
    assert dataset.probability.dtype == np.float32
    assert "32654" in dataset.spatial_ref.attrs["crs_wkt"]
    loaded = dataset.load()
    seen = loaded.observation.values == 0
    assert np.isfinite(loaded.probability.values[seen]).all()
    assert np.isnan(loaded.probability.values[~seen]).all()
    assert set(np.unique(loaded.orbit.values[seen])) == {68}
    assert (loaded.orbit.values[~seen] == 0).all()
    unit = next(iter(scan.zones["54N"].placed))
    stored = open_map(f"{finished.path}/units/{unit.name}/map.zarr").load()
    part = loaded.sel(x=stored.x, y=stored.y)
    np.testing.assert_array_equal(part.probability.values, stored.probability.values)


def lies_in(zone: xr.Dataset, scan: Any) -> xr.DataArray:
    """Which pixels lie in the region asked for; units reach a little beyond it."""
    west, south, east, north = scan.record["bbox"]
    move = pyproj.Transformer.from_crs(zone.spatial_ref.attrs["crs_wkt"], 4326, always_xy=True)
    lon, lat = move.transform(*np.meshgrid(zone.x.values, zone.y.values))
    return xr.DataArray(
        (lon > west) & (lon < east) & (lat > south) & (lat < north), dims=("y", "x")
    )


def test_the_overview_shows_the_same_landslides(finished: Any) -> None:
    scan = sarmap.open_scan(finished.path)
    overview = scan.overview(size=300)
    assert float(overview.landslide.max()) == 1.0  # at this scale a pixel is one of the map's
    zones = scan.datasets.values()
    most = max(float(zone.probability.where(lies_in(zone, scan)).max()) for zone in zones)
    assert float(overview.probability.max()) == pytest.approx(most, abs=1e-6)
    assert Path(finished.files["quicklook"]).read_bytes().startswith(b"\x89PNG")


def test_status_tells_all_from_the_folder_alone(finished: Any) -> None:
    found = scan_status(finished.path)
    assert found.finished
    assert found.units == {"done": len(finished.states)}
    assert found.blocks["left"] == found.blocks["failed"] == 0
    maps = [f"{finished.path}/units/{name}/map.zarr" for name in finished.states]
    assert found.blocks["done"] == sum(read_progress(one).total for one in maps)
    assert found.blocks["done"] == sum(state.blocks for state in finished.states.values())
    assert all(state.computed == state.pixels for state in finished.states.values())
    assert found.pixels["done"] == sum(state.pixels for state in finished.states.values())
    assert found.rate is not None
    assert found.rate.pixels_per_second > 0
    assert found.seconds_left == 0


def test_one_unit_that_fails_does_not_stop_the_rest(
    scan_request: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = scan_request()
    real, tried = scanning.map_unit, []

    def failing(work: Any, *rest: Any) -> Any:
        tried.append(work.unit.name)
        if len(tried) == 2:
            raise CatalogError("the catalogue does not answer")
        return real(work, *rest)

    monkeypatch.setattr(scanning, "map_unit", failing)
    result = sarmap.scan(request)
    assert result.incomplete
    assert result.count("failed") == 1
    assert result.states[tried[1]].sentence == "the catalogue does not answer"
    assert result.count("done") == len(tried) - 1
    found = scan_status(result.path)
    assert found.failures == {tried[1]: "the catalogue does not answer"}

    begun = len(tried)
    again = sarmap.scan(request.model_copy(update={"resume": True}))
    assert not again.incomplete
    assert tried[begun:] == [tried[1]]  # what was done stays


def test_an_interrupted_scan_is_useful_and_goes_on(finished: Any, scan_request: Make) -> None:
    request = scan_request()
    seen: list[Any] = []

    def stop(at: Any) -> None:
        seen.append(at)
        if at.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sarmap.scan(request, progress=stop)
    found = scan_status(str(request.out))
    assert found.units["done"] == 2
    assert not found.finished
    assert found.seconds_left is not None
    assert found.seconds_left > 0
    partial = sarmap.open_scan(str(request.out))
    assert sum(len(zone.placed) for zone in partial.zones.values()) == 2

    result = sarmap.scan(request.model_copy(update={"resume": True}))
    assert not result.incomplete
    assert_same(arrays(result.path), arrays(finished.path))


def test_a_finished_scan_is_not_done_again(
    scan_request: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = scan_request(area=SMALL)
    sarmap.scan(request)

    def never(*_: Any) -> Any:
        raise AssertionError("a finished unit was mapped again")

    monkeypatch.setattr(scanning, "map_unit", never)
    assert not sarmap.scan(request.model_copy(update={"resume": True})).incomplete


def test_another_request_is_refused_and_says_what_differs(scan_request: Make) -> None:
    sarmap.scan(scan_request(area=SMALL))
    with pytest.raises(RequestError, match="--resume"):
        sarmap.scan(scan_request())
    with pytest.raises(RequestError, match="scan was made with bbox 138"):
        sarmap.scan(scan_request(resume=True))
    with pytest.raises(RequestError, match=r"detector log-ratio, .*overlap.* differ, too"):
        sarmap.scan(scan_request(area=SMALL, resume=True, overlap=8, detector="attention-unet"))


def test_a_folder_of_something_else_is_left_alone(scan_request: Make, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear reader")
    with pytest.raises(RequestError, match="holds no scan"):
        sarmap.scan(scan_request(out=str(tmp_path / "mine"), overwrite=True))
    assert (tmp_path / "mine" / "letter.txt").exists()
    with pytest.raises(RequestError, match="holds no scan"):
        scan_status(tmp_path / "mine")


def test_overwrite_starts_anew(scan_request: Make) -> None:
    request = scan_request(area=SMALL)
    sarmap.scan(request)
    mark = Path(str(request.out)) / "units" / "left-over" / "x.json"
    mark.parent.mkdir()
    mark.write_text("{}")
    result = sarmap.scan(scan_request(area=SMALL, overlap=0, overwrite=True))
    assert not result.incomplete
    assert not mark.exists()


def test_no_radar_is_an_answer(scan_request: Make) -> None:
    """A region far wider than the scenes: its outer units are told of, and nothing failed."""
    result = sarmap.scan(scan_request(area=(138.0, 36.99, 138.2, 37.01), unit=512))
    assert result.count("no_radar") > 0
    assert result.count("done") > 0
    assert not result.incomplete
    empty = next(state for state in result.states.values() if state.status == "no_radar")
    assert "no radar scene covers the place" in empty.sentence


def test_a_full_store_stops_the_scan_cleanly(
    scan_request: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = scan_request(area=SMALL)

    def full(*_: Any) -> Any:
        raise OutputError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(scanning, "map_unit", full)
        with pytest.raises(OutputError, match="full"):
            sarmap.scan(request)
    assert set(scan_status(str(request.out)).units) == {"waiting"}
    assert not sarmap.scan(request.model_copy(update={"resume": True})).incomplete


def test_the_plan_tells_of_scenes_and_work_and_invents_no_hours(scan_request: Make) -> None:
    request = scan_request()
    plan = plan_scan(request)
    assert plan.rate is None
    assert plan.core_hours is None
    assert plan.zones.keys() == {"53N", "54N"}
    assert plan.tasks is not None
    assert plan.tasks > plan.unit_tasks > 0
    assert set(plan.orbits) == {"ascending 68, 2018-09-01 to 2018-09-13"}
    assert not Path(str(request.out)).exists()  # a dry plan leaves nothing

    result = sarmap.scan(request)
    assert plan.pixels == sum(state.pixels for state in result.states.values())
    assert plan.blocks == sum(state.blocks for state in result.states.values())
    record = json.loads((Path(result.path) / "scan.json").read_text())
    named = {s for take in record["takes"].values() for p in take["passes"] for s in p["scenes"]}
    assert set(plan.scenes) == named
    after = plan_scan(request)
    assert after.rate is not None
    assert after.core_hours == 0
    assert "finished units of scan" in after.rate.source


def test_a_rate_may_be_measured_on_a_piece(scan_request: Make) -> None:
    plan = plan_scan(scan_request(), calibrate=True)
    assert plan.rate is not None
    assert plan.core_hours is not None
    assert plan.core_hours > 0
    assert "mapped for this plan" in plan.rate.source


def test_pixels_that_cannot_be_read_are_read_again_by_resuming(
    border_event: Any, scan_request: Make, tmp_path: Path
) -> None:
    """One file is away for a while: its units are `unread`, the rest done; then all are."""
    from sarmap.simulate.serve import serve_event

    folder = tmp_path / "event"
    shutil.copytree(border_event.path, folder)
    items = json.loads((folder / "items.json").read_text())["features"]
    after = [item for item in items if "_20180913T" in item["id"]]
    file = folder / min(after, key=lambda item: item["id"])["assets"]["vv"]["href"]
    away = file.with_suffix(".away")
    with serve_event(folder) as server:
        file.rename(away)
        request = scan_request(area=STRIP, catalog=server.catalog)
        first = sarmap.scan(request)
        assert first.incomplete
        assert first.count("unread") > 0
        assert first.count("failed") == 0
        found = scan_status(first.path)
        assert found.blocks["failed"] >= first.count("unread")
        away.rename(file)
        again = sarmap.scan(request.model_copy(update={"resume": True}))
    assert not again.incomplete
    whole = sarmap.scan(scan_request(area=STRIP, out=str(tmp_path / "whole")))
    assert_same(arrays(again.path), arrays(whole.path))


@pytest.mark.parametrize("fault", ["catalogue", "unit"])
def test_a_unit_with_unread_pixels_stays_on_the_map_while_they_cannot_be_tried_again(
    fault: str, scan_request: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sarmap.acquire.scene_reader import SceneReader
    from sarmap.regions import decisions, scanning

    request, real = scan_request(area=SMALL), SceneReader.read

    def holed(self: Any, window: Any, **more: Any) -> Any:
        pixels = real(self, window, **more).copy()
        pixels[:9, :9] = -np.inf
        return pixels

    with monkeypatch.context() as patched:
        patched.setattr(SceneReader, "read", holed)
        first = sarmap.scan(request)
    unread = {name for name, state in first.states.items() if state.status == "unread"}
    assert unread

    def silent(*_: Any, **__: Any) -> Any:
        raise CatalogError("the catalogue does not answer")

    for _ in range(2):
        with monkeypatch.context() as patched:
            if fault == "catalogue":
                patched.setattr(decisions, "search_scenes", silent)
            else:
                patched.setattr(scanning, "map_unit", silent)
            again = sarmap.scan(request.model_copy(update={"resume": True}))
        assert {name for name, one in again.states.items() if one.status == "unread"} == unread
        assert again.count("failed") == 0
        assert again.incomplete
        for name in unread:
            said = again.states[name].sentence
            assert said.count("Not tried again: the catalogue does not answer") == 1
            assert again.states[name].observation == first.states[name].observation
    last = sarmap.scan(request.model_copy(update={"resume": True}))
    assert last.count("done") + last.count("no_radar") == len(last.states)
    assert not any("Not tried again" in state.sentence for state in last.states.values())


def test_a_unit_that_looks_at_unread_ground_beyond_its_border_is_done_again_too(
    scan_request: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its own pixels are there, but its answers are not those of an undisturbed scan."""
    from sarmap.acquire.scene_reader import SceneReader
    from sarmap.regions.survey import make_survey

    request = scan_request(area=STRIP, unit=128)
    units = {
        name: work.unit
        for name, work in make_survey(request).works.items()
        if work.unit.lattice.zone == "54N"
    }
    border = sorted({unit.columns[0] for unit in units.values()})[1]
    edge = next(unit for unit in units.values() if unit.columns[0] == border).grid.affine.c
    real, away = SceneReader.read, True

    def holed(self: Any, window: Any, **more: Any) -> Any:
        pixels = real(self, window, **more).copy()
        easting = self.transform.c + self.transform.a * (
            window.col_off + np.arange(pixels.shape[1]) + 0.5
        )
        if away and self.crs.to_epsg() == 32654:
            lost = np.isfinite(pixels) & (easting > edge) & (easting < edge + 30)
            pixels[lost] = -np.inf
        return pixels

    monkeypatch.setattr(SceneReader, "read", holed)
    first = sarmap.scan(request)
    beside = [n for n, unit in units.items() if unit.columns[1] == border and n in first.states]
    beside = [name for name in beside if first.states[name].status != "no_radar"]
    assert beside
    for name in beside:
        assert first.states[name].status == "unread"
        assert first.states[name].observation.get("read_failed", 0) == 0
    away = False
    again = sarmap.scan(request.model_copy(update={"resume": True}))
    assert not again.incomplete
    whole = sarmap.scan(scan_request(area=STRIP, out=str(tmp_path / "whole"), unit=128))
    assert_same(arrays(again.path), arrays(whole.path))


def test_a_catalogue_that_is_silent_later_costs_what_is_left_and_no_more(
    scan_request: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What mapped units were read from stays known, and goes on being told."""
    from sarmap.regions import decisions

    request = scan_request(products=("geopackage",))

    def stop(at: Any) -> None:
        if at.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sarmap.scan(request, progress=stop)

    def silent(*_: Any, **__: Any) -> Any:
        raise CatalogError("the catalogue does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(decisions, "search_scenes", silent)
        result = sarmap.scan(request.model_copy(update={"resume": True}))
    assert result.count("done") == 2
    assert result.count("failed") == len(result.states) - 2
    assert {s.sentence for s in result.states.values() if s.status == "failed"} == {
        "the catalogue does not answer"
    }
    file = Path(result.files["geopackage"])
    assert set(gpd.read_file(file, layer="landslides")["relative_orbit"]) == {"68"}
    gaps = gpd.read_file(file, layer="not_seen")
    assert gaps["why"].tolist().count("not mapped") == result.count("failed")
    written = file.read_bytes()
    file.write_bytes(b"mine")
    with pytest.raises(RequestError, match=r"landslides\.gpkg was edited after sarmap wrote it"):
        sarmap.scan(request.model_copy(update={"resume": True}))
    file.write_bytes(written)
    again = sarmap.scan(request.model_copy(update={"resume": True}))
    assert again.count("done") == len(again.states)
    assert "not mapped" not in gpd.read_file(file, layer="not_seen")["why"].to_numpy()
