"""A scan as a page: a zone as a map is, several with a first page; an unfinished one says so."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

import sarmap
from sarmap.cli.entry import main
from sarmap.errors import RequestError
from sarmap.regions.merging import landslides
from sarmap.regions.opened import Scan


def text_of(page: Path) -> str:
    return (page / "index.html").read_text()


def record_of(page: Path) -> dict[str, Any]:
    text = (page / "data" / "page.js").read_text()
    return dict(json.loads(text[text.index(",") + 1 : text.rindex(")")]))


@pytest.fixture(scope="module")
def scan(border_fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """A finished scan of two zones that keeps its radar."""
    out = str(tmp_path_factory.mktemp("pages") / "coast")
    result = sarmap.scan(
        sarmap.ScanRequest(**border_fields, out=out, threshold=0.3, keep_radar=True)
    )
    return sarmap.open_scan(result.path)


@pytest.fixture(scope="module")
def alone(scan: Scan) -> Scan:
    """The part of it that lies in one zone."""
    units = {name: u for name, u in scan.record["units"].items() if u["zone"] == "54N"}
    zones = {"54N": scan.record["zones"]["54N"]}
    return replace(
        scan,
        record={**scan.record, "units": units, "zones": zones},
        zones={"54N": scan.zones["54N"]},
    )


@pytest.fixture(scope="module")
def report(alone: Scan, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The page of that part, to be read and not changed."""
    return alone.write_report(tmp_path_factory.mktemp("alone") / "page")


@pytest.fixture(scope="module")
def reports(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The pages of both zones, to be read and not changed."""
    return scan.write_report(tmp_path_factory.mktemp("both") / "pages", title="Coast & hills")


def test_a_zone_is_shown_as_a_map_is(alone: Scan, report: Any) -> None:
    made, page = report, Path(report.index).parent
    truth = landslides(alone, threshold=0.3, min_area=0.0)
    assert made.landslides == len(truth) > 5
    assert made.mapped_km2 == pytest.approx(truth["area_m2"].sum() / 1e6)
    assert made.missing == ()
    files = geopandas.read_file(page / "downloads" / "coast.gpkg")
    assert files["id"].tolist() == truth["id"].tolist()
    assert set(files["unit"]) <= set(alone.record["units"])
    record = record_of(page)
    assert record["radar"] == ["vv_pre", "vv_post_1"]
    assert record["threshold"] == 75
    with rasterio.open(page / "downloads" / "coast.tif") as image:
        packed = alone.zones["54N"].canvas("probability")[:, :]
        np.testing.assert_array_equal(image.read(1), packed)
        assert record["observation"][0] == (packed != 255).sum()


def test_a_page_names_the_scenes_that_its_units_read(alone: Scan, report: Any) -> None:
    text = text_of(Path(report.index).parent)
    read = {
        scene["id"]
        for unit in alone.zones["54N"].placed
        for scene in json.loads(
            sarmap.open_map(f"{alone.path}/units/{unit.name}/map.zarr").attrs["scenes"]
        )
    }
    assert read
    assert set(re.findall(r"<code>([^<]+)</code></td></tr>", text)) == read
    assert "log-ratio (pixel)" in text
    assert "SIMULATED" in text


def test_several_zones_have_a_page_each_and_a_first_page(scan: Scan, reports: Any) -> None:
    made, pages = reports, Path(reports.index).parent
    first = text_of(pages)
    truth = landslides(scan, threshold=0.3, min_area=0.0)
    assert made.landslides == len(truth)
    assert f"<td>{len(truth):,}</td>" in first
    assert "<title>SIMULATED: Coast &amp; hills</title>" in first
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', first)
    for name, zone in scan.zones.items():
        page = pages / name
        assert f'href="{name}/index.html"' in first
        assert (record_of(page)["rows"], record_of(page)["columns"]) == zone.grid.shape
        assert f"zone {name}" in text_of(page)
    for kept, how in ((geopandas.read_file, "gpkg"), (geopandas.read_parquet, "parquet")):
        frame = kept(pages / "downloads" / f"coast.{how}")
        assert frame.crs.to_epsg() == 4326
        assert len(frame) == len(truth)
    assert (pages / "overview.png").read_bytes().startswith(b"\x89PNG")
    assert str(made.index).endswith("pages/index.html")


def test_pages_are_replaced_only_where_asked(scan: Scan, reports: Any, tmp_path: Path) -> None:
    shutil.copytree(Path(reports.index).parent, tmp_path / "pages")
    with pytest.raises(RequestError, match="--overwrite"):
        scan.write_report(tmp_path / "pages")
    scan.write_report(tmp_path / "pages", overwrite=True, title="Again")
    assert "Again" in text_of(tmp_path / "pages")
    assert [one.name for one in tmp_path.iterdir()] == ["pages"]


def test_several_zones_do_not_go_into_one_file(scan: Scan, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="give --out a folder"):
        scan.write_report(tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_what_lies_in_one_zone_only_is_counted_there(scan: Scan, tmp_path: Path) -> None:
    west, south, east, north = scan.record["bbox"]
    east_of = geopandas.GeoDataFrame(
        {"name": ["East"]},
        geometry=[shapely.box(138.008, south, east, north)],  # beyond what zone 53 maps
        crs="EPSG:4326",
    )
    roads = geopandas.GeoDataFrame(
        geometry=[shapely.LineString([(west, 37.0), (east, 37.0)])], crs="EPSG:4326"
    )
    east_of.to_file(tmp_path / "towns.gpkg")
    roads.to_file(tmp_path / "roads.gpkg")
    scan.write_report(
        tmp_path / "pages", districts=tmp_path / "towns.gpkg", exposure=[tmp_path / "roads.gpkg"]
    )
    places = {
        name: (tmp_path / "pages" / name / "data" / "places.js").read_text() for name in scan.zones
    }
    assert "East" in places["54N"]
    assert '"districts": null' in places["53N"]
    assert all("roads" in text for text in places.values())
    far = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    far.to_file(tmp_path / "far.gpkg")
    with pytest.raises(RequestError, match=r"far.gpkg' has no feature in any zone"):
        scan.write_report(tmp_path / "more", districts=tmp_path / "far.gpkg")


def test_an_interrupted_scan_says_what_is_kept_and_its_page_what_is_not_there(
    scan_request: Callable[..., sarmap.ScanRequest],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def pull_the_plug(where: Any) -> None:
        if where.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"Interrupted. 1 of \d+ units are mapped and kept"):
        sarmap.scan(scan_request(), progress=pull_the_plug)
    with pytest.raises(SystemExit) as end:
        main(["report", str(tmp_path / "scan"), "--json"])
    assert end.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert "This scan is not whole" in said["missing"][0]
    assert "is not whole" in Path(said["open"]).read_text()


def test_a_scan_without_a_mapped_unit_has_nothing_to_show(scan: Scan, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="nothing to show"):
        replace(scan, zones={}).write_report(tmp_path / "page")
