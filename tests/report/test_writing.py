"""`write_report` and `sarmap report`: what is written, what is refused, what is said."""

from __future__ import annotations

import csv
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr

from sarmap.assess.control import ControlFigures
from sarmap.assess.intervals import Interval
from sarmap.cli import main
from sarmap.errors import CatalogError, RequestError
from sarmap.export.polygons import polygonise
from sarmap.report import writing
from sarmap.report.interval import from_assessment, from_control, from_threshold
from sarmap.report.writing import write_report
from sarmap.store.result import write_zarr


def text_of(folder: Path) -> str:
    return (folder / "index.html").read_text()


def test_a_page_has_all_its_words_before_any_script_runs(page: Path) -> None:
    text = text_of(page)
    for words in (
        "S1A_pre",
        "Contains modified Copernicus Sentinel data &lt;2018&gt;",
        "How the map was made",
        "Model card",
        "SIMULATED",
        "05 September 2018, 18:08 UTC",
        "layover or shadow",
    ):
        assert words in text


def test_a_background_is_drawn_in_tenths_of_a_pixel(page: Path, put: Any) -> None:
    """The long road runs half a pixel within both borders, 300.5 rows down."""
    assert put(page / "data" / "places.js")["background"][0] == [[5, 3005, 6190, 0]]


def test_a_background_of_points_is_refused(map_store: Path, tmp_path: Path) -> None:
    here = geopandas.GeoSeries([shapely.Point(573_000, 4_737_000)], crs="EPSG:32654")
    here.to_file(tmp_path / "towns.gpkg")
    with pytest.raises(RequestError, match=r"'towns\.gpkg' has no lines or areas on the map"):
        write_report(map_store, tmp_path / "page", background=[tmp_path / "towns.gpkg"])
    assert not (tmp_path / "page").exists()


def test_a_page_may_fetch_nothing(page: Path) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text_of(page))
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "connect-src 'none'" in policy[1]
    assert "http" not in policy[1]
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text_of(page))


def test_the_downloads_are_the_exports(page: Path, map_store: Path) -> None:
    truth = polygonise(map_store)
    folder = page / "downloads"
    for name in ("small.gpkg", "small.parquet", "small.geojson"):
        file = folder / name
        read = geopandas.read_parquet if name.endswith("parquet") else geopandas.read_file
        frame = read(file)
        assert frame["id"].tolist() == truth["id"].tolist()
        assert frame["area_m2"].tolist() == truth["area_m2"].tolist()
        assert frame["simulated"].all()
    degrees = geopandas.read_file(folder / "small.geojson")
    assert degrees.crs.to_epsg() == 4326
    assert degrees.to_crs(truth.crs).area.sum() == pytest.approx(truth.area.sum(), rel=1e-4)
    with rasterio.open(folder / "small.tif") as image:
        assert image.shape == (700, 620)
        assert image.tags()["SIMULATED"] == "YES"


def test_the_index_of_tiles_is_true(page: Path, put: Any) -> None:
    record = put(page / "data" / "page.js")
    for layer, levels in record["tiles"].items():
        ending = "js" if layer == "value" else "webp"
        for level, bits in enumerate(levels):
            files = list((page / "tiles" / layer / str(level)).rglob(f"*.{ending}"))
            assert bits.count("1") == len(files)
    assert record["radar"] == ["vv_pre", "vv_post_1"]
    assert record["threshold"] == 125


def test_the_place_of_a_pixel_is_known_to_a_metre(page: Path, put: Any) -> None:
    from pyproj import Transformer

    grid = put(page / "data" / "page.js")["lonlat"]
    move = Transformer.from_crs("EPSG:32654", "EPSG:4326", always_xy=True)
    lon = np.reshape(grid["lon"], (grid["number"], -1))
    lat = np.reshape(grid["lat"], (grid["number"], -1))
    middle = lon[10:12, 20:22].mean(), lat[10:12, 20:22].mean()
    x, y = 570_000 + 6200 * 20.5 / 32, 4_740_000 - 7000 * 10.5 / 32
    assert middle == pytest.approx(move.transform(x, y), abs=1e-5)


def test_a_map_without_radar_says_so_and_shows_the_rest(
    map_data: xr.Dataset, tmp_path: Path
) -> None:
    bare = map_data.drop_vars(["vv_pre_db", "vv_post_1_db"])
    made = write_report(bare, tmp_path / "page")
    assert len(made.missing) == 1
    assert "The radar before and after the event is not shown" in made.missing[0]
    text = text_of(tmp_path / "page")
    assert "this map keeps no images of it" in text
    assert "--keep-radar" not in text  # what a maker of pages needs is no reader's concern
    assert "--assessment" not in text


def test_a_catalogue_that_is_gone_costs_the_radar_only(
    map_data: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> Any:
        raise CatalogError("The catalogue at old.example does not answer.")

    monkeypatch.setattr(writing, "reopen_radar", gone)
    bare = map_data.drop_vars(["vv_pre_db", "vv_post_1_db"])
    made = write_report(bare, tmp_path / "page", catalog="https://old.example/")
    assert "is not shown: The catalogue at old.example does not answer." in made.missing[0]
    assert (tmp_path / "page" / "data" / "cells.js").exists()


def test_the_radar_is_read_again_from_its_catalogue(
    server: Any, event: Any, tmp_path: Path
) -> None:
    import sarmap

    store = str(tmp_path / "map.zarr")
    asked = {"area": event.grid, "event": event.event, "catalog": server.catalog}
    request = sarmap.MapRequest(
        **asked, detector="log-ratio", orbit="ascending", out=store, keep_radar=True
    )
    sarmap.map_landslides(request)
    kept = xr.open_zarr(store)
    again = writing.reopen_radar(writing.open_source(store).reader, server.catalog)
    for band, image in again.items():
        stored = kept[f"{band}_db"].values
        seen = ~np.isnan(stored)
        assert seen.mean() > 0.5
        assert np.abs(np.clip(image.values, -35, 15) - stored)[seen].max() < 0.11


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("threshold=2", {"threshold": 2.0}),
        ("must not be negative", {"min_area": -1.0}),
        ("--assessment", {"assessment": "nowhere"}),
        ("does not exist", {"exposure": ["roads.gpkg"]}),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_left(
    map_store: Path, tmp_path: Path, words: str, given: dict[str, Any]
) -> None:
    with pytest.raises(RequestError, match=words):
        write_report(map_store, tmp_path / "page", **given)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_page_is_never_replaced(map_store: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"dear")
    with pytest.raises(RequestError, match="never replaced"):
        write_report(map_store, tmp_path / "holiday", overwrite=True)
    assert (tmp_path / "holiday" / "photo.jpg").exists()


def test_a_page_is_replaced_only_where_asked(map_data: xr.Dataset, tmp_path: Path) -> None:
    small = map_data.isel(y=slice(0, 60), x=slice(0, 50))
    write_report(small, tmp_path / "page")
    with pytest.raises(RequestError, match="--overwrite"):
        write_report(small, tmp_path / "page")
    write_report(small, tmp_path / "page", overwrite=True, title="Second <title>")
    assert "Second &lt;title&gt;" in text_of(tmp_path / "page")
    assert [one.name for one in tmp_path.iterdir()] == ["page"]


def test_a_map_too_large_for_one_file_is_refused(
    map_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LARGEST_FILE", 1000)
    with pytest.raises(RequestError, match="give --out a folder"):
        write_report(map_store, tmp_path / "page.html")


def test_a_map_of_too_many_likely_pixels_says_so_and_what_it_holds(
    map_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: Any
) -> None:
    monkeypatch.setattr(writing, "Cells", partial(writing.Cells, most=2000))
    made = write_report(map_store, tmp_path / "page")
    record = put(tmp_path / "page" / "data" / "page.js")
    seen = xr.open_zarr(map_store)["probability"].values
    assert record["threshold"] == record["lowest"] > 125  # the map's own
    assert (seen >= record["lowest"] / 250 - 1e-6).sum() <= 2000
    assert (seen >= (record["lowest"] - 1) / 250 - 1e-6).sum() > 2000
    truth = polygonise(map_store)
    (note,) = made.missing
    assert f"starts at probability {record['lowest'] / 250:g}" in note
    assert f"{len(truth)} landslides and {truth['area_m2'].sum() / 1e6:.2f} km²" in note
    assert note in text_of(tmp_path / "page")


def test_a_map_without_a_landslide_has_a_page(map_data: xr.Dataset, tmp_path: Path) -> None:
    calm = map_data.isel(y=slice(0, 40), x=slice(0, 30)).copy(deep=True)
    calm["probability"] = calm["probability"] * 0
    write_report(calm, tmp_path / "page", districts=None)
    assert '"runs": 0' in (tmp_path / "page" / "data" / "cells.js").read_text()


def test_the_command_says_what_to_open(
    map_data: xr.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = map_data.isel(y=slice(0, 60), x=slice(0, 50))
    store = write_zarr(small, tmp_path / "m.zarr", attrs=map_data.attrs)
    with pytest.raises(SystemExit) as end:
        main(["report", store, "--json"])
    assert end.value.code == 0
    made = json.loads(capsys.readouterr().out)
    assert made["open"] == str(tmp_path / "m_report" / "index.html")
    assert Path(made["open"]).exists()
    with pytest.raises(SystemExit) as end:
        main(["report", str(tmp_path / "none.zarr")])
    assert end.value.code == 2
    assert "none.zarr is not a map" in capsys.readouterr().err


def assessed(folder: Path, share: float, low: float, high: float) -> Path:
    folder.mkdir()
    record = {
        "simulated": True,
        "detector": "log-ratio",
        "scores": {"threshold": 0.5},
        "intervals": {"mapped_share": [low, high]},
        "mapped_km2": share,
        "true_km2": 1.0,
    }
    (folder / "assessment.json").write_text(json.dumps(record))
    with (folder / "precision_recall.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["threshold", "precision", "recall", "f1"])
        for level in range(1, 251):
            table.writerow([level / 250, 0.5, share * 0.5 * 125 / level, ""])
    return folder


def test_an_assessment_gives_the_true_area_its_interval(tmp_path: Path) -> None:
    found = from_assessment(assessed(tmp_path / "scores", 1.25, 1.0, 2.0))
    assert found.best[125] == pytest.approx(1 / 1.25)
    assert (found.low[125], found.high[125]) == pytest.approx((0.5, 1.0))
    assert found.best[250] == pytest.approx(2 / 1.25)  # half as much is mapped there
    assert "SIMULATED" in found.text


def test_a_control_takes_off_what_is_called_landslide_anyway() -> None:
    mapped, control = np.zeros(251, int), np.zeros(251, int)
    mapped[[10, 140, 200]] = 900, 60, 40
    control[[10, 140]] = 450, 50
    figures = ControlFigures(0.5, 0.1, 0.01, 0.05, 0.005, 3, 0.005, Interval(0.004, 0.0055))
    found = from_control(figures, mapped, control)
    assert found.best[125] == pytest.approx((100 - 100) / 100)
    assert found.best[200] == pytest.approx(1.0)  # the control says nothing that sure
    assert found.low[200] == pytest.approx(0.8)
    assert "False alarms before the event" in found.text


def test_without_an_assessment_the_threshold_is_moved_and_the_page_says_so() -> None:
    counts = np.zeros(251, int)
    counts[[90, 130, 160]] = 5, 10, 20
    found = from_threshold(counts)
    assert float(found.low[125]) == pytest.approx(20 / 30)
    assert float(found.high[125]) == pytest.approx(30 / 30)
    assert np.isnan(found.best).all()
    assert "no confidence interval" in found.text
