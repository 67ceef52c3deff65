"""A simulated event is a folder that any STAC and GDAL reader understands, whole or not there."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pystac_client
import pytest
import rasterio
import shapely
from rasterio.warp import transform_geom

from sarmap.errors import OutputError, RequestError
from sarmap.simulate import event as module
from sarmap.simulate.event import open_event, simulate_event
from sarmap.simulate.serve import serve_event

TINY: dict[str, Any] = {"rows": 96, "columns": 80, "earlier": 0, "optical": False, "decoy": False}


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.tif*"))
    }


def test_passes_are_those_of_the_papers(scene: Any) -> None:
    times = {
        (item["properties"]["sat:orbit_state"], item["properties"]["datetime"][:13])
        for item in scene.of("sentinel-1-rtc")
        if item["properties"]["sat:relative_orbit"] in (68, 46)
    }
    assert times == {
        ("ascending", "2018-08-20T08"),
        ("ascending", "2018-09-01T08"),
        ("ascending", "2018-09-13T08"),
        ("ascending", "2018-09-25T08"),
        ("descending", "2018-08-23T20"),
        ("descending", "2018-09-04T20"),
        ("descending", "2018-09-16T20"),
        ("descending", "2018-09-28T20"),
    }


def test_every_pass_has_two_slices_that_together_cover_the_scene(scene: Any) -> None:
    slices = scene.slices(68, "2018-09-01")
    assert len(slices) == 2
    outlines = [shapely.geometry.shape(item["geometry"]) for item in slices]
    area = shapely.box(*scene.event.area)
    assert (
        shapely.union_all(outlines).intersection(area).area
        > 0.99 * outlines[0].union(outlines[1]).area
    )
    assert 0.02 < outlines[0].intersection(outlines[1]).area / area.area < 0.2


def test_slices_hold_the_same_values_where_they_overlap(scene: Any) -> None:
    pixels = []
    for item in scene.slices(46, "2018-09-16"):
        with rasterio.open(scene.event.path / item["assets"]["vh"]["href"]) as source:
            whole = np.full(scene.event.shape, np.nan, np.float32)
            row = round((scene.event.transform[5] - source.transform.f) / 10)
            whole[row : row + source.height] = source.read(1)
            pixels.append(np.where(whole > 0, whole, np.nan))
    both = np.isfinite(pixels[0]) & np.isfinite(pixels[1])
    assert both.sum() > 0.03 * both.size
    np.testing.assert_array_equal(pixels[0][both], pixels[1][both])


def test_items_say_of_their_rasters_what_the_rasters_are(scene: Any) -> None:
    for item in scene.items:
        fields = item["properties"]
        for asset in item["assets"].values():
            with rasterio.open(scene.event.path / asset["href"]) as source:
                place = asset if "proj:shape" in asset else fields
                assert list(source.shape) == place["proj:shape"]
                assert list(source.transform)[:6] == pytest.approx(place["proj:transform"][:6])
                assert source.crs.to_epsg() == fields["proj:epsg"]
                assert source.tags()["SIMULATED"] == "YES"
                assert source.block_shapes[0][1] == min(512, source.width) or (
                    source.block_shapes[0] == (512, 512)
                )
                for band in asset.get("raster:bands", []):
                    assert source.nodata == band["nodata"]
                    assert source.dtypes[0] == band["data_type"]


def test_footprints_outline_the_pixels_with_data(scene: Any) -> None:
    for item in scene.slices(68, "2018-09-13"):
        outline = transform_geom("EPSG:4326", scene.event.crs, item["geometry"])
        with rasterio.open(scene.event.path / item["assets"]["vv"]["href"]) as source:
            values = source.read(1)
            inside = rasterio.features.geometry_mask(
                [outline], values.shape, source.transform, invert=True
            )
        assert ((values != -32768) & ~inside).mean() < 0.01


def test_records_look_like_the_recorded_ones(scene: Any, real_data: Path) -> None:
    recorded = json.loads((real_data / "stac" / "sentinel-1-rtc-pc.json").read_text())[0]
    ours = scene.of("sentinel-1-rtc")[0]
    theirs = recorded["properties"]
    missing = set(theirs) - set(ours["properties"])
    assert missing <= {"s1:product_timeliness", "s1:instrument_configuration_ID"}
    for name in set(theirs) & set(ours["properties"]):
        assert type(ours["properties"][name]) is type(theirs[name]), name
    assert ours["assets"]["vv"]["raster:bands"] == recorded["assets"]["vv"]["raster:bands"]


def test_orbit_numbers_agree_with_each_other(scene: Any) -> None:
    # ESA: relative orbit = (absolute - 73) mod 175 + 1 for S1A, (absolute - 27) mod 175 + 1 for S1B
    first = {"SENTINEL-1A": 73, "SENTINEL-1B": 27}
    for item in scene.of("sentinel-1-rtc"):
        fields = item["properties"]
        turns = fields["sat:absolute_orbit"] - first[fields["platform"]]
        assert turns % 175 + 1 == fields["sat:relative_orbit"]


def test_the_decoy_covers_only_part_of_the_place(scene: Any) -> None:
    outlines = [
        shapely.geometry.shape(item["geometry"])
        for item in scene.of("sentinel-1-rtc")
        if item["properties"]["sat:relative_orbit"] == 141
    ]
    area = shapely.box(*scene.event.area)
    assert len(outlines) == 6
    assert 0.3 < shapely.union_all(outlines).intersection(area).area / area.area < 0.6


def test_records_are_valid_stac(scene: Any) -> None:
    ids = [pystac.Item.from_dict(item).id for item in scene.items]
    assert len(set(ids)) == len(ids)
    for record in json.loads(scene.event.collections.read_text()):
        assert pystac.Collection.from_dict(record).title.startswith("SIMULATED")


def test_everything_says_that_it_is_simulated(scene: Any) -> None:
    assert (scene.event.path / "README.md").read_text().splitlines()[0].startswith("SIMULATED")
    for item in scene.items:
        assert item["properties"]["sarmap:simulated"] is True
        assert item["properties"]["title"].startswith("SIMULATED")
    assert (scene.landslides()["simulated"] == 1).all()


def test_a_stac_client_finds_what_was_made(scene: Any) -> None:
    with serve_event(scene.event) as server:
        client = pystac_client.Client.open(server.url)
        west, south, east, north = scene.event.area
        middle = ((west + east) / 2, (south + north) / 2)
        found = client.search(
            collections=[server.catalog.radar_collection],
            intersects={"type": "Point", "coordinates": middle},
            datetime="2018-09-05T18:08:00Z/2018-09-21T00:00:00Z",
        )
        items = list(found.items())
        assert {i.properties["sat:orbit_state"] for i in items} == {"ascending", "descending"}
        with rasterio.open(items[0].assets["vv"].href) as source:
            assert source.read(1).shape == source.shape
        tiles = client.search(collections=[server.catalog.dem_collection], bbox=scene.event.area)
        assert "Copernicus_DSM_COG_10_N42_00_E141_00_DEM" in {t.id for t in tiles.items()}
        assert "SIMULATED" in server.catalog.attribution


def test_opening_a_folder_gives_the_event_back(scene: Any) -> None:
    assert open_event(str(scene.event.path)) == scene.event


SHARES: list[float] = []
"""What the event of seed 11 told of its progress."""


@pytest.fixture(scope="module")
def eleven(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny event of seed 11."""
    folder = tmp_path_factory.mktemp("eleven") / "event"
    return simulate_event(folder, seed=11, progress=lambda _, share: SHARES.append(share), **TINY)


def test_the_seed_decides_whatever_the_threads(
    eleven: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    again = simulate_event(tmp_path / "again", seed=11, **TINY)
    assert hashes(again.path) == hashes(eleven.path)


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(what: str, share: float) -> None:
        if what == "radar" and share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_event(tmp_path / "event", progress=interrupt, **TINY)
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_one(eleven: Any) -> None:
    assert sorted(SHARES) == SHARES
    assert SHARES[-1] == 1.0


def test_a_finished_folder_is_not_replaced_unless_told(eleven: Any, tmp_path: Path) -> None:
    made = shutil.copytree(eleven.path, tmp_path / "event")
    with pytest.raises(RequestError, match="overwrite=True"):
        simulate_event(made, seed=2, **TINY)
    assert open_event(made).seed == 11
    simulate_event(made, seed=2, overwrite=True, **TINY)
    assert open_event(made).seed == 2
    assert hashes(made) != hashes(eleven.path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="'event'"):
        simulate_event(tmp_path / "file" / "event", **TINY)


def test_an_unfinished_or_damaged_folder_is_refused(scene: Any, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no finished simulated event"):
        open_event(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(scene.event.path, copy)
    gone = scene.of("sentinel-1-rtc")[3]["assets"]["vh"]["href"]
    (copy / gone).unlink()
    with pytest.raises(RequestError, match=gone):
        open_event(copy)
    (copy / "items.json").write_text("{")
    with pytest.raises(RequestError, match="damaged"):
        open_event(copy)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rows": 10}, "rows=10"),
        ({"orbits": ("sideways",)}, "orbits="),
        ({"polarisations": ()}, "polarisations="),
        ({"earlier": -1}, "earlier=-1"),
        ({"event": "yesterday"}, "'yesterday'"),
        ({"center": (42.7, 142.0)}, "center="),
        ({"crs": 4326}, "crs=4326"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words.replace("(", r"\(")):
        simulate_event(tmp_path / "event", **{**TINY, **wrong})
    assert list(tmp_path.iterdir()) == []


def test_another_place_and_one_polarisation(tmp_path: Path) -> None:
    made = simulate_event(
        tmp_path / "event",
        center=(-71.999, -33.002),
        event="2020-02-01T00:30:00Z",
        orbits=("descending",),
        polarisations=("vv",),
        **TINY,
    )
    assert made.crs == "EPSG:32719"
    items = json.loads(made.items.read_text())["features"]
    tiles = {item["id"] for item in items if item["collection"] == "cop-dem-glo-30"}
    # the scene reaches over 33 degrees south and over 72 degrees west
    assert tiles == {
        f"Copernicus_DSM_COG_10_{south}_00_{west}_00_DEM"
        for south in ("S33", "S34")
        for west in ("W072", "W073")
    }
    radar = [item for item in items if item["collection"] == "sentinel-1-rtc"]
    assert {tuple(item["assets"]) for item in radar} == {("vv",)}
    days = sorted({item["properties"]["datetime"][:10] for item in radar})
    assert days == ["2020-01-31", "2020-02-12", "2020-02-24"]
