"""Records that contradict their footprints, themselves or their files: the file decides."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint

from sarmap.acquire import header
from sarmap.acquire.cube import open_cube
from sarmap.errors import CatalogError, RequestError

NO_DATA = 1
LEFT, BOTTOM, RIGHT, TOP = 600_000.0, 4_737_000.0, 602_600.0, 4_740_000.0  # of 300 x 260 pixels
CONTRADICTS = "The record of item 'a' contradicts its file on where the pixels lie"
MUTE = "The record of item 'a' does not say where the pixels lie"

LIES: dict[str, tuple[dict[str, Any], str]] = {
    # As the Planetary Computer's records of October to December 2024.
    "pixels-northwards": ({"proj:transform": [10, 0, LEFT, 0, 10, BOTTOM]}, CONTRADICTS),
    "box-upside-down": (
        {"proj:bbox": [LEFT, TOP, RIGHT, BOTTOM], "proj:transform": None},
        CONTRADICTS,
    ),
    "box-in-degrees": (
        {"proj:bbox": [142.2, 42.7, 142.3, 42.8], "proj:transform": None},
        CONTRADICTS,
    ),
    "next-zone": ({"proj:epsg": 32655}, CONTRADICTS),
    "pixels-too-small": ({"proj:transform": [1, 0, LEFT, 0, -1, TOP]}, CONTRADICTS),
    "pixels-a-tenth-too-small": ({"proj:transform": [9, 0, LEFT, 0, -9, TOP]}, CONTRADICTS),
    "order-of-gdal": ({"proj:transform": [LEFT, 10, 0, TOP, 0, -10]}, CONTRADICTS),
    "another-place": ({"proj:transform": [10, 0, LEFT + 9e4, 0, -10, TOP]}, CONTRADICTS),
    "rows-for-columns": ({"proj:shape": [2600, 300]}, CONTRADICTS),
    "no-shape": ({"proj:shape": None}, MUTE),
    "no-projection": ({"proj:epsg": None}, MUTE),
    "unknown-projection": ({"proj:epsg": 1}, MUTE),
}


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "_places", {})


@pytest.fixture
def cube_of(kit: Any) -> Callable[..., Any]:
    """The cube of one scene, before and after."""

    def make(item: Any, *, grid: Any = None, chunk: int = 1024) -> Any:
        passes = kit.passes({"pre": [item], "post_1": [item]})
        return open_cube(passes, grid or kit.box(300, 260), bands=("vv",), chunk=chunk)

    return make


@pytest.mark.parametrize("lie", LIES)
def test_the_file_is_believed_and_the_map_says_so(
    kit: Any, tmp_path: Path, power: Any, cube_of: Any, lie: str
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    said, note = LIES[lie]
    cube = cube_of(kit.item("a", {"vv": tmp_path / "a.tif"}, properties=said), chunk=100)
    np.testing.assert_array_equal(cube.vv.values[0], power)
    assert json.loads(cube.attrs["notes"]) == [f"{note}: the file was believed."]


def test_a_true_record_is_not_checked(
    kit: Any, tmp_path: Path, power: Any, cube_of: Any, files_server: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    asset = {"href": f"{files_server.url}/a.tif"}
    cube = cube_of(kit.item("a", {"vv": asset, "file": tmp_path / "a.tif"}))
    assert files_server.requests == []
    assert json.loads(cube.attrs["notes"]) == []


def test_a_footprint_a_tenth_inside_of_its_file_is_no_contradiction(
    kit: Any, tmp_path: Path, power: Any, cube_of: Any, files_server: Any
) -> None:
    """As of the Planetary Computer's scenes: data slants through a file whose edges do not."""
    kit.cog(tmp_path / "a.tif", power)
    item = kit.item("a", {"vv": {"href": f"{files_server.url}/a.tif"}, "f": tmp_path / "a.tif"})
    west, south, east, north = item.bbox
    item.bbox = [west + 0.1 * (east - west), south, east, north - 0.1 * (north - south)]
    item.geometry = None
    cube_of(item)
    assert files_server.requests == []


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("chunk", [64, 1024])
def test_files_whose_rows_run_northwards(
    kit: Any, tmp_path: Path, power: Any, cube_of: Any, stated: bool, chunk: int
) -> None:
    profile = {"driver": "GTiff", "count": 1, "height": 300, "width": 260, "dtype": "float32"}
    lattice = Affine(10, 0, LEFT, 0, 10, BOTTOM)
    tiles = {"tiled": True, "blockxsize": 128, "blockysize": 128}
    with rasterio.open(
        tmp_path / "a.tif", "w", crs="EPSG:32654", transform=lattice, **profile, **tiles
    ) as made:
        made.write(power[::-1], 1)
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    if not stated:
        item.properties |= {"proj:transform": [10, 0, LEFT, 0, -10, TOP], "proj:shape": [30, 26]}
    cube = cube_of(item, grid=kit.box(310, 260, row=-5), chunk=chunk)
    expected = np.full((310, 260), np.nan, np.float32)
    expected[5:305] = power
    np.testing.assert_array_equal(cube.vv.values[0], expected)
    assert (json.loads(cube.attrs["notes"]) == []) is stated


def test_a_file_that_names_no_projection_takes_its_records(
    kit: Any, tmp_path: Path, power: Any, cube_of: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=1, height=300, width=260, dtype="float32",
        transform=Affine(10, 0, LEFT, 0, -10, TOP),
    ) as made:  # fmt: skip
        made.write(power, 1)
    np.testing.assert_array_equal(cube_of(item).vv.values[0], power)
    item.properties["proj:transform"] = [10, 0, LEFT, 0, 10, BOTTOM]
    np.testing.assert_array_equal(cube_of(item).vv.values[0], power)


@pytest.mark.parametrize("code", [None, "EPSG:4326"])
def test_radar_geometry_is_named_as_that(
    kit: Any, tmp_path: Path, power: Any, cube_of: Any, code: str | None
) -> None:
    """GRD, with the place that some catalogues make up for it."""
    kit.cog(tmp_path / "a.tif", power)
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    west, south, east, north = item.bbox
    corners = [(0, 0, east, north), (0, 260, west, north), (300, 0, east, south)]
    points = [GroundControlPoint(row, column, x, y, 0) for row, column, x, y in corners]
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=1, height=300, width=260, dtype="float32",
        crs="EPSG:4326", gcps=points,
    ) as made:  # fmt: skip
        made.write(power, 1)
    lattice = [(east - west) / 260, 0, west, 0, -(north - south) / 300, north]
    item.properties |= {"proj:code": code, "proj:transform": lattice}
    with pytest.raises(RequestError, match=r"item 'a', asset 'vv' is in radar geometry, as GRD"):
        cube_of(item).compute()


def test_a_pass_that_lies_elsewhere_by_its_file_is_an_error(
    kit: Any, tmp_path: Path, power: Any, cube_of: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power, left=700_000.0)
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    item.bbox, item.geometry = [142.2, 42.7, 142.3, 42.9], None
    with pytest.raises(CatalogError, match=r"item 'a' covers 100% of the place, and by its file"):
        cube_of(item, grid=kit.box(20, 20))


def test_a_false_record_whose_file_is_gone_stays_on_its_footprint(
    kit: Any, tmp_path: Path, power: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    false = kit.item("b", {"vv": tmp_path / "a.tif"}, properties=LIES["next-zone"][0])
    false.assets["vv"].href = str(tmp_path / "gone.tif")
    passes = kit.passes({"pre": [item], "post_1": [false]})
    with caplog.at_level(logging.WARNING):
        cube = open_cube(passes, kit.box(300, 260), bands=("vv",))
    assert "'b', asset 'vv', whose record lies elsewhere than its footprint" in caplog.text
    assert (cube.observation.values[1] != NO_DATA).mean() > 0.99  # read_failed, not dropped
