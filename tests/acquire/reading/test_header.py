"""Items that say nothing of their projection: their files' headers do, read once per item."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from sarmap.acquire import header
from sarmap.acquire.cube import open_cube
from sarmap.acquire.source import item_source
from sarmap.errors import CatalogError, RequestError
from sarmap.net.reach import Reach

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")

OBSERVED, NO_DATA, READ_FAILED = 0, 1, 2


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "_places", {})


@pytest.fixture
def bare(kit: Any, files_server: Any) -> Any:
    """`bare(name, vv=file, ...)`: an item of files behind the server, without any `proj:*`."""

    def make(name: str, *, bbox: Any = None, **files: str) -> Any:
        assets = {band: {"href": f"{files_server.url}/{file}"} for band, file in files.items()}
        item = kit.item(name, assets)
        assert not [key for key in item.properties if key.startswith("proj:")]
        if bbox is not None:
            item.bbox, item.geometry = list(bbox), None
        return item

    return make


@pytest.fixture
def passes_of(kit: Any) -> Any:
    """Passes of a catalogue whose files are to say where they lie."""
    catalog = replace(kit.settings, projection_from_file=True)
    return lambda scenes: kit.passes(scenes, settings=catalog)


def opened(server: Any) -> set[str]:
    """Files the server was asked for."""
    return {path for _, path, _ in server.requests}


def test_a_cube_without_proj_is_the_cube_with_it(
    bare: Any, passes_of: Any, kit: Any, tmp_path: Path, power: Any, files_server: Any
) -> None:
    kit.cog(tmp_path / "pre.tif", power)
    kit.cog(tmp_path / "post.tif", power * 2)
    scenes = {role: [bare(role, vv=f"{role[:4].rstrip('_')}.tif")] for role in ("pre", "post_1")}
    grid = kit.box(320, 300, row=-10, column=-20)
    cube = open_cube(passes_of(scenes), grid, bands=("vv",), chunk=128).compute()
    expected = np.full((320, 300), np.nan, np.float32)
    expected[10:310, 20:280] = power
    np.testing.assert_array_equal(cube.vv.values[0], expected)
    np.testing.assert_array_equal(cube.vv.values[1], expected * 2)
    np.testing.assert_array_equal(cube.observation.values[0] == OBSERVED, np.isfinite(expected))
    assert set(np.unique(cube.observation.values)) == {OBSERVED, NO_DATA}


def test_one_header_per_item_is_read_and_only_once(
    bare: Any, passes_of: Any, kit: Any, tmp_path: Path, power: Any, files_server: Any
) -> None:
    for name in ("a", "b"):
        for band in ("vv", "vh"):
            kit.cog(tmp_path / f"{name}_{band}.tif", power)
    items = [bare(n, vv=f"{n}_vv.tif", vh=f"{n}_vh.tif") for n in ("a", "b")]
    passes = passes_of({"pre": items, "post_1": items})
    open_cube(passes, kit.box(9, 9))
    assert opened(files_server) == {"/a_vv.tif", "/b_vv.tif"}
    files_server.requests.clear()
    open_cube(passes, kit.box(9, 9))
    assert files_server.requests == []


def test_items_that_say_it_themselves_are_believed_unless_told_otherwise(
    passes_of: Any, kit: Any, tmp_path: Path, power: Any, files_server: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    asset = {"href": f"{files_server.url}/a.tif"}
    item = kit.item("a", {"vv": asset, "file": tmp_path / "a.tif"})
    open_cube(kit.passes({"pre": [item], "post_1": [item]}), kit.box(9, 9), bands=("vv",))
    assert files_server.requests == []
    item.properties["proj:transform"] = [10.0, 0.0, 600_010.0, 0.0, -10.0, 4_740_000.0]
    cube = open_cube(passes_of({"pre": [item], "post_1": [item]}), kit.box(9, 9), bands=("vv",))
    assert opened(files_server) == {"/a.tif"}
    np.testing.assert_array_equal(cube.vv.values[0], power[:9, :9])


def test_half_a_projection_is_none(
    bare: Any, passes_of: Any, kit: Any, tmp_path: Path, power: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    item = bare("a", vv="a.tif")
    item.properties["proj:code"] = "EPSG:32601"  # and no extent
    passes = passes_of({"pre": [item], "post_1": [item]})
    cube = open_cube(passes, kit.box(9, 9), bands=("vv",))
    np.testing.assert_array_equal(cube.vv.values[0], power[:9, :9])


def test_scenes_of_a_pass_may_lie_in_different_zones(
    bare: Any, passes_of: Any, kit: Any, tmp_path: Path
) -> None:
    # 0.3 in zone 54 up to column 60 of the grid; 0.7 of the same ground and more in zone 53.
    kit.cog(tmp_path / "own.tif", np.full((100, 60), 0.3, np.float32))
    grid = kit.box(100, 140)
    there = transform_bounds("EPSG:32654", "EPSG:32653", *grid.boundingbox.bbox)
    wide = np.full((200, 260), 0.7, np.float32)
    left, top = round(there[0], -1) - 300, round(there[3], -1) + 300
    kit.cog(tmp_path / "next.tif", wide, left=left, top=top, crs="EPSG:32653")
    slices = [bare("own", vv="own.tif"), bare("next", vv="next.tif")]
    cube = open_cube(passes_of({"pre": slices, "post_1": slices}), grid, bands=("vv",)).compute()
    assert (cube.observation.values == OBSERVED).all()
    np.testing.assert_array_equal(cube.vv.values[0, :, :60], np.float32(0.3))
    np.testing.assert_allclose(cube.vv.values[0, :, 60:], 0.7, rtol=1e-5)


class Tokens:
    """A signer whose first token the storage refuses."""

    number = 1

    def __call__(self, href: str) -> str:
        return f"{href}?sig=secret{self.number}"

    def headers(self, _href: str) -> dict[str, str]:
        return {}

    def forget(self, _href: str) -> None:
        self.number += 1


def test_headers_are_read_signed_and_again_when_refused(
    bare: Any, kit: Any, tmp_path: Path, power: Any, files_server: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power, block=512)
    files_server.refuse = lambda path, _range, _count: None if "secret2" in path else 403
    item = bare("a", vv="a.tif")
    source = item_source(
        item, "vv", setting="radar_assets", projection_from_file=True, reach=Reach(trusted=True)
    )
    assert (source.crs, source.bounds, source.placed) == (
        "EPSG:4326",
        (140.0, 42.0, 143.0, 44.0),
        False,
    )
    signer: Any = Tokens()
    ((scene,),), notes = header.place_scenes([[{"vv": source}]], kit.settings, signer)
    placed = scene["vv"]
    assert notes == ()
    assert placed.crs == "EPSG:32654"
    assert placed.bounds == (600_000.0, 4_737_000.0, 602_600.0, 4_740_000.0)
    assert placed.placed
    assert "secret" not in repr(placed)


class TestUnreadHeaders:
    """A scene whose place is not known is read_failed on its footprint, never dropped."""

    @pytest.fixture
    def half_gone(self, bare: Any, passes_of: Any, kit: Any, tmp_path: Path, power: Any) -> Any:
        """A slice over columns 0-99, and one that is gone, with a footprint over 80-179."""
        kit.cog(tmp_path / "here.tif", power[:100, :100])
        ground = kit.box(100, 100, column=80).boundingbox.bbox
        footprint = transform_bounds("EPSG:32654", "EPSG:4326", *ground)
        slices = [bare("here", vv="here.tif"), bare("lost", vv="gone.tif", bbox=footprint)]
        return passes_of({"pre": slices, "post_1": slices[:1]})

    def test_its_footprint_is_read_failed_where_nothing_else_is_seen(
        self, half_gone: Any, kit: Any, power: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            cube = open_cube(half_gone, kit.box(100, 260), bands=("vv",), chunk=64).compute()
        codes = cube.observation.values[0]
        np.testing.assert_array_equal(cube.vv.values[0, :, :100], power[:100, :100])
        assert (codes[:, :100] == OBSERVED).all()
        assert (codes[:, 100:180] == READ_FAILED).all()
        assert (codes[:, 186:] == NO_DATA).all()  # degrees are not quite parallel to the grid
        assert (cube.observation.values[1, :, 100:] == NO_DATA).all()
        assert "1 of 2 scenes could not be opened" in caplog.text
        assert "'lost'" in caplog.text
        assert "127.0.0.1" not in caplog.text

    def test_it_is_read_once_it_is_there(
        self, half_gone: Any, kit: Any, tmp_path: Path, power: Any
    ) -> None:
        cube = open_cube(half_gone, kit.box(100, 180), bands=("vv",))
        kit.cog(tmp_path / "gone.tif", power[:100, 80:180] + 1, left=600_800.0)
        codes = cube.observation.values[0]
        assert (codes == OBSERVED).all()
        np.testing.assert_array_equal(cube.vv.values[0, :, 100:], power[:100, 100:180] + 1)

    @pytest.mark.parametrize("status", [401, 404, 500])
    def test_no_file_at_all_is_one_sentence(
        self, bare: Any, passes_of: Any, kit: Any, files_server: Any, status: int
    ) -> None:
        files_server.refuse = lambda _path, _range, _count: status
        scenes = {"pre": [bare("S1_x", vv="a.tif")], "post_1": [bare("S1_y", vv="b.tif")]}
        with pytest.raises(CatalogError, match=rf"Not one of 2 files.*'S1_x'.*{status}") as caught:
            open_cube(passes_of(scenes), kit.box(9, 9), bands=("vv",))
        assert "login" in str(caught.value)
        assert files_server.url not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_file_that_does_not_say_either(
        self, bare: Any, passes_of: Any, kit: Any, tmp_path: Path
    ) -> None:
        import rasterio

        shape = {"driver": "GTiff", "count": 1, "height": 9, "width": 9, "dtype": "float32"}
        with rasterio.open(tmp_path / "a.tif", "w", **shape) as made:
            made.write(np.ones((1, 9, 9), np.float32))
        item = bare("S1_x", vv="a.tif")
        passes = passes_of({"pre": [item], "post_1": [item]})
        with pytest.raises(RequestError, match=r"item 'S1_x', asset 'vv' names a coordinate"):
            open_cube(passes, kit.box(9, 9), bands=("vv",))


def test_without_the_setting_such_an_item_is_refused_unread(
    bare: Any, kit: Any, tmp_path: Path, power: Any, files_server: Any
) -> None:
    kit.cog(tmp_path / "a.tif", power)
    item = bare("S1_x", vv="a.tif")
    with pytest.raises(RequestError, match=r"'S1_x' has no proj:code.*projection_from_file"):
        open_cube(kit.passes({"pre": [item], "post_1": [item]}), kit.box(9, 9), bands=("vv",))
    assert files_server.requests == []


def test_a_footprint_across_the_antimeridian_stays_where_it_is(
    bare: Any, passes_of: Any, kit: Any, tmp_path: Path, power: Any
) -> None:
    grid = GeoBox((50, 50), Affine(1000, 0, 150_000, 0, -1000, 8_030_000), "EPSG:32701")
    kit.cog(tmp_path / "here.tif", power, left=150_000.0, top=8_030_000.0, crs="EPSG:32701")
    slices = [
        bare("here", vv="here.tif"),
        bare("lost", vv="gone.tif", bbox=(179.6, -18.1, -179.9, -17.9)),
    ]
    cube = open_cube(passes_of({"pre": slices, "post_1": slices}), grid, bands=("vv",)).compute()
    failed = np.argwhere(cube.observation.values[0] == READ_FAILED)
    # 179.9 W lies 2.9 degrees, 307 km, west of the zone's meridian at x = 500 km: column 43; and
    # 179.6 E beyond the grid's left edge. 0.2 degrees of latitude are 22 km.
    assert failed[:, 1].min() == 0
    assert 41 <= failed[:, 1].max() <= 45
    assert 20 <= np.ptp(failed[:, 0]) <= 26
