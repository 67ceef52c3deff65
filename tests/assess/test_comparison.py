"""Day 7's map and day 19's: what is kept, withdrawn and new, from counts that are known."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr
from sklearn.metrics import f1_score, precision_score, recall_score

from sarmap.assess.comparison import changed_polygons, compare_maps
from sarmap.cli import main
from sarmap.errors import RequestError
from sarmap.store.result import write_zarr


def a_map(probability: np.ndarray, x: float = 5.0) -> xr.Dataset:
    rows, columns = probability.shape
    codes = np.where(np.isnan(probability), 1, 0).astype(np.uint8)
    made = xr.Dataset(
        {
            "probability": (("y", "x"), probability.astype(np.float32)),
            "observation": (("y", "x"), codes),
        },
        coords={"y": -5.0 - 10.0 * np.arange(rows), "x": x + 10.0 * np.arange(columns)},
    )
    made.coords["spatial_ref"] = ((), 0, {"crs_wkt": "EPSG:32654"})
    return made


@pytest.fixture
def maps() -> tuple[xr.Dataset, xr.Dataset]:
    first, second = np.zeros((40, 60)), np.zeros((40, 60))
    first[0:10, 0:10] = 0.9  # kept on the upper half
    second[0:5, 0:10] = 0.9
    first[20:24, 20:30] = 0.6  # withdrawn
    second[30:33, 40:50] = 0.7  # new
    second[39, :] = np.nan  # seen by the first alone
    return a_map(first), a_map(second)


@pytest.fixture
def inventory() -> geopandas.GeoDataFrame:
    """A landslide that both find, and one that only the second does."""
    shapes = [shapely.box(0, -100, 100, 0), shapely.box(400, -330, 450, -300)]
    return geopandas.GeoDataFrame(geometry=shapes, crs=32654)


def test_areas_are_those_of_what_both_saw(maps: Any) -> None:
    found = compare_maps(*maps)
    assert found.seen_km2 == pytest.approx(39 * 60 / 1e4)
    areas = {name: part.km2 for name, part in found.parts.items()}
    assert areas == pytest.approx({"kept": 0.005, "withdrawn": 0.009, "new": 0.003})
    assert math.isnan(found.parts["kept"].precision)
    assert found.scores == {}


def test_scores_are_those_of_scikit_learn_and_the_gain_is_of_the_same_blocks(
    maps: Any, inventory: Any
) -> None:
    found = compare_maps(*maps, inventory=inventory)
    truth = np.zeros((40, 60), int)
    truth[0:10, 0:10] = truth[30:33, 40:45] = 1
    for which, one in zip(("first", "second"), maps, strict=True):
        called = (one.probability.values >= 0.5)[:39].ravel()
        for name, score in (
            ("f1", f1_score),
            ("precision", precision_score),
            ("recall", recall_score),
        ):
            assert found.scores[which][name] == pytest.approx(score(truth[:39].ravel(), called))
    assert found.parts["kept"].precision == 1
    assert found.parts["withdrawn"].true_km2 == pytest.approx(0.005)
    assert found.parts["new"].precision == pytest.approx(0.5)
    assert found.found == {"of": 2, "first": 1, "second": 2, "both": 1}
    assert math.isnan(found.intervals["gain"]["f1"].low)  # one block tells of no spread


def test_many_blocks_give_an_interval_of_the_gain() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((1100, 1100)) < 0.1
    shapes = [
        shapely.box(10 * c, -10 * r - 10, 10 * c + 10, -10 * r)
        for r, c in np.argwhere(truth)[::200].tolist()
    ]
    frame = geopandas.GeoDataFrame(geometry=shapes, crs=32654)
    marked = np.zeros(truth.shape, bool)
    for r, c in np.argwhere(truth)[::200].tolist():
        marked[r, c] = True
    noisy = marked | (rng.random(truth.shape) < 0.002)
    found = compare_maps(a_map(noisy * 0.9), a_map(marked * 0.9), inventory=frame)
    low, high = found.intervals["gain"]["f1"].low, found.intervals["gain"]["f1"].high
    gain = found.scores["second"]["f1"] - found.scores["first"]["f1"]
    assert 0 < low < gain < high


def test_polygons_say_what_became_of_them(maps: Any) -> None:
    frame = changed_polygons(*maps)
    by = frame.area.groupby(frame["change"]).sum().to_dict()
    assert by == pytest.approx({"kept": 5000.0, "withdrawn": 4000.0, "new": 3000.0})
    assert frame["id"].tolist() == [1, 2, 3]


def test_other_grids_are_refused(maps: Any) -> None:
    with pytest.raises(RequestError, match="different grids"):
        compare_maps(maps[0], a_map(np.zeros((40, 60)), x=15.0))
    with pytest.raises(RequestError, match="nothing to compare"):
        compare_maps(maps[0], a_map(np.full((40, 60), np.nan)))


def test_the_command_prints_and_writes_what_changed(
    maps: Any, inventory: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stores = [write_zarr(one, tmp_path / f"{n}.zarr") for n, one in enumerate(maps)]
    inventory.to_file(tmp_path / "slides.gpkg")
    words = ["compare", *stores, "--inventory", str(tmp_path / "slides.gpkg")]

    def run(*more: str) -> int:
        with pytest.raises(SystemExit) as caught:
            main([*words, *more])
        return int(caught.value.code or 0)

    file = str(tmp_path / "changes.gpkg")
    assert run("--out", file) == 0
    text = capsys.readouterr().out
    assert "kept      0.01 km², 100 % of it true" in text
    assert "1 landslides in both, of 2" in text
    assert set(geopandas.read_file(file)["change"]) == {"kept", "withdrawn", "new"}
    assert run("--out", file) == 2  # it is there already
    assert "overwrite" in capsys.readouterr().err
    assert run("--out", str(tmp_path / "changes.csv")) == 2
    capsys.readouterr()
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out)["found"]["of"] == 2
