"""An assessment's folder holds what its record says, and every file opens in common programs."""

import csv
import json
import math

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.transform
import shapely
import xarray as xr
from matplotlib import image as pictures
from sklearn import metrics

from sarmap.assess.assessment import assess_map
from sarmap.assess.report import assess_into, markdown
from sarmap.assess.scores import Confusion
from sarmap.cli.entry import main
from sarmap.errors import RequestError
from sarmap.store.result import write_zarr

ROWS, COLUMNS = 192, 240
LEFT, TOP = 500_000, 4_800_000
ATTRS = {
    "simulated": 1,
    "attribution": "SIMULATED by nobody",
    "detector": "net",
    "scenes": json.dumps([{"id": "a", "orbit_state": "ascending", "role": "pre"}]),
}


def box(row, column, rows, columns):
    west, north = LEFT + 10 * column, TOP - 10 * row
    return shapely.box(west, north - 10 * rows, west + 10 * columns, north)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A stored map, an inventory, a surveyed area, land cover and elevation."""
    folder = tmp_path_factory.mktemp("assessed")
    rng = np.random.default_rng(0)
    slides = [box(r, c, 8, 6) for r in range(4, 180, 16) for c in range(4, 230, 12)]
    inventory = geopandas.GeoDataFrame(
        {"name": "地すべり"}, geometry=slides, crs=32654, index=range(len(slides))
    )
    truth = np.zeros((ROWS, COLUMNS), bool)
    for r in range(4, 180, 16):
        for c in range(4, 230, 12):
            truth[r : r + 8, c : c + 6] = True
    probability = np.clip(truth * 0.3 + rng.normal(0.35, 0.18, truth.shape), 0, 1)
    probability = probability.astype(np.float32)
    codes = np.zeros(truth.shape, np.uint8)
    codes[:10, :20] = 3
    codes[10:14, :20] = 2
    probability[codes > 0] = np.nan
    dataset = xr.Dataset(
        {"probability": (("y", "x"), probability), "observation": (("y", "x"), codes)},
        coords={
            "y": TOP - 10 * (np.arange(ROWS) + 0.5),
            "x": LEFT + 10 * (np.arange(COLUMNS) + 0.5),
        },
        attrs=ATTRS,
    )
    dataset.coords["spatial_ref"] = (
        (),
        0,
        {"crs_wkt": "EPSG:32654", "GeoTransform": f"{LEFT} 10 0 {TOP} 0 -10"},
    )
    write_zarr(dataset, folder / "map.zarr", chunk=64)
    inventory.to_crs(4326).to_file(folder / "slides.gpkg")
    surveyed = geopandas.GeoDataFrame(geometry=[box(0, 0, ROWS, 200)], crs=32654)
    surveyed.to_file(folder / "surveyed.geojson", driver="GeoJSON")
    transform = rasterio.transform.from_origin(LEFT, TOP, 10, 10)
    profile = {
        "driver": "GTiff",
        "height": ROWS,
        "width": COLUMNS,
        "count": 1,
        "crs": 32654,
        "transform": transform,
    }
    cover = np.full((ROWS, COLUMNS), 10, np.uint8)
    cover[:, 100:] = 40
    with rasterio.open(folder / "cover.tif", "w", dtype="uint8", **profile) as image:
        image.write(cover, 1)
    plane = np.broadcast_to(3.0 * np.arange(COLUMNS, dtype=np.float32), (ROWS, COLUMNS))
    with rasterio.open(folder / "dem.tif", "w", dtype="float32", **profile) as image:
        image.write(plane, 1)
    return folder, probability, truth, codes, cover


@pytest.fixture(scope="module")
def written(place):
    folder, *_ = place
    found = assess_into(
        folder / "map.zarr",
        folder / "slides.gpkg",
        folder / "scores",
        surveyed=folder / "surveyed.geojson",
        land_cover=folder / "cover.tif",
        elevation=[folder / "dem.tif"],
        block=16,
    )
    return found, folder / "scores"


def test_scores_are_scikit_learns_of_the_pixels_that_count(place, written):
    _, probability, truth, codes, _ = place
    found, out = written
    counts = codes == 0
    counts[:, 200:] = False
    called = probability >= 0.5
    record = json.loads((out / "assessment.json").read_text())["scores"]
    assert record["f1"] == pytest.approx(metrics.f1_score(truth[counts], called[counts]), abs=2e-3)
    assert found.scores.pixels == counts.sum()
    assert found.tally.unseen == (codes > 0).sum()
    assert found.tally.unlabelled == 40 * ROWS


def test_false_alarms_by_land_cover_add_up(place, written):
    _, _, truth, codes, cover = place
    found, _ = written
    counts = (codes == 0) & ~truth
    counts[:, 200:] = False
    by_name = {row.name: row for row in found.covers}
    assert by_name["tree cover"].km2 == pytest.approx((counts & (cover == 10)).sum() * 1e-4)
    assert by_name["cropland"].km2 == pytest.approx((counts & (cover == 40)).sum() * 1e-4)
    total = sum(row.false_km2 for row in found.covers)
    assert total == pytest.approx(found.scores.false_positive * 1e-4)


def test_a_slope_that_rises_eastwards_faces_an_ascending_radar(written):
    # An ascending Sentinel-1 looks to the east; ground that falls to the west faces it.
    found, _ = written
    towards, across, away = found.facings["ascending"]
    assert towards.landslides == found.sizes[0].landslides
    assert (across.landslides, away.landslides) == (0, 0)


def test_landslides_are_counted_once_in_one_size_class(written):
    found, out = written
    assert sum(row.landslides for row in found.sizes[1:]) == found.sizes[0].landslides
    assert sum(row.hit for row in found.sizes[1:]) == found.sizes[0].hit
    frame = geopandas.read_file(out / "landslides.gpkg")
    assert (frame.share_found > 0).sum() == found.sizes[0].hit
    assert frame.area_m2.iloc[0] == pytest.approx(4800, rel=1e-3)


def test_outcomes_open_in_rasterio_and_xarray_and_agree(written):
    found, out = written
    with rasterio.open(out / "confusion.tif") as image:
        outcome = image.read(1)
        assert image.tags()["SIMULATED"] == "YES"
        assert image.colormap(1)[Confusion.TRUE_POSITIVE] == (0, 158, 115, 255)
        assert image.crs.to_epsg() == 32654
    counts = np.bincount(outcome.ravel(), minlength=256)
    assert counts[Confusion.TRUE_POSITIVE] == found.scores.true_positive
    assert counts[Confusion.FALSE_NEGATIVE] == found.scores.false_negative
    assert counts[Confusion.UNSEEN] == found.tally.unseen
    assert counts[Confusion.NOT_LABELLED] == found.tally.unlabelled
    stored = xr.open_zarr(out / "confusion.zarr", decode_coords="all")
    np.testing.assert_array_equal(stored.outcome, outcome)
    assert stored.rio.crs.to_epsg() == 32654
    assert stored.outcome.attrs["flag_meanings"].split()[1] == "true_positive"
    assert stored.attrs["simulated"] == 1


def test_tables_and_pictures_are_there_and_say_simulated(written):
    found, out = written
    text = (out / "assessment.md").read_text()
    assert text == markdown(found)
    assert text.startswith("# SIMULATED")
    with (out / "precision_recall.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 250
    assert float(rows[124]["recall"]) == pytest.approx(found.scores.recall, abs=1e-5)
    for name in ("confusion", "precision_recall", "reliability"):
        assert pictures.imread(out / f"{name}.png").shape[0] > 500


def test_the_calibration_helps_where_it_was_not_fitted(written):
    found, out = written
    before, after = found.test_reliability
    assert after.expected_error < before.expected_error / 2
    assert json.loads((out / "calibration.json").read_text())["simulated"] is True


def test_few_blocks_give_no_interval_and_say_so(place):
    folder, *_ = place
    found = assess_map(folder / "map.zarr", folder / "slides.gpkg")
    assert math.isnan(found.intervals["f1"].low)
    assert "too few blocks" in markdown(found)


def test_an_earlier_assessment_is_replaced_only_when_asked_and_other_folders_never(place):
    folder, *_ = place
    arguments = (folder / "map.zarr", folder / "slides.gpkg")
    out = folder / "again"
    assess_into(*arguments, out)
    with pytest.raises(RequestError, match="exists already"):
        assess_into(*arguments, out)
    assess_into(*arguments, out, overwrite=True)
    (folder / "precious").mkdir()
    with pytest.raises(RequestError, match="no earlier assessment"):
        assess_into(*arguments, folder / "precious", overwrite=True)


def test_a_failed_assessment_leaves_nothing_behind(place):
    folder, *_ = place
    far = geopandas.GeoDataFrame(geometry=[box(9000, 9000, 5, 5)], crs=32654)
    with pytest.raises(RequestError, match="does not lie on the composite"):
        assess_into(folder / "map.zarr", folder / "slides.gpkg", folder / "none", surveyed=far)
    assert not (folder / "none").exists()
    assert not list(folder.glob(".sarmap-*"))


def test_the_command_prints_the_table_and_json(place, capsys):
    folder, *_ = place
    arguments = ["assess", str(folder / "map.zarr"), "--inventory", str(folder / "slides.gpkg")]
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--elevation", str(folder / "dem.tif"), "--block", "16"])
    assert left.value.code == 0
    assert "| F1 |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*arguments, "--json"])
    assert json.loads(capsys.readouterr().out)["simulated"] is True


@pytest.mark.parametrize(
    ("flag", "name", "sentence"),
    [
        ("--land-cover", "dem.tif", "not codes from 0 to 255"),
        ("--land-cover", "slides.gpkg", "not a raster that GDAL reads"),
        ("--elevation", "absent.tif", "not a raster that GDAL reads"),
        ("--surveyed", "absent.gpkg", "does not exist"),
    ],
)
def test_bad_files_are_named_in_one_sentence(place, capsys, flag, name, sentence):
    folder, *_ = place
    arguments = ["assess", str(folder / "map.zarr"), "--inventory", str(folder / "slides.gpkg")]
    with pytest.raises(SystemExit) as left:
        main([*arguments, flag, str(folder / name)])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
