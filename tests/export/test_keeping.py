"""Products are made again where their settings changed, and never over an edited file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import geopandas
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from odc.geo.geobox import GeoBox

from sarmap.cli.entry import group
from sarmap.errors import RequestError
from sarmap.export.keeping import Products, fingerprint
from sarmap.export.products import product_files
from sarmap.store.georeference import spatial_ref_attrs
from sarmap.store.result import write_zarr


@pytest.fixture
def stored(tmp_path: Path) -> str:
    """A stored map of two landslides: 0.9 (4 pixels) and 0.6 (1 pixel)."""
    probability = np.zeros((6, 8), np.float32)
    probability[1:3, 1:3], probability[4, 6] = 0.9, 0.6
    grid = GeoBox.from_bbox((500000, 4700000, 500080, 4700060), "epsg:32654", resolution=10)
    dataset = xr.Dataset(
        {
            "probability": (("y", "x"), probability),
            "observation": (("y", "x"), np.zeros((6, 8), np.uint8)),
        },
        coords={
            "y": grid.coords["y"].values,
            "x": grid.coords["x"].values,
            "spatial_ref": ((), 0, spatial_ref_attrs(grid)),
        },
    )
    return write_zarr(dataset, tmp_path / "map.zarr")


def products(out: str, *names: str, threshold: float = 0.5, **settings: Any) -> Products:
    wanted = names or ("geopackage",)
    how = {"threshold": threshold, "min_area": 0.0, "cog_dtype": "uint8", **settings}
    return Products.of(out, product_files(wanted, out), **how)


def made(out: str, *names: str, **settings: Any) -> Products:
    first = products(out, *names, **settings)
    first.write(first.files)
    return products(out, *names, **settings)


def edit(file: str) -> None:
    frame = geopandas.read_file(file)
    frame.loc[0, "detector"] = "seen by an analyst"
    frame.to_file(file, layer="landslides", driver="GPKG")


def test_what_was_made_with_the_same_settings_stays(stored: str) -> None:
    assert made(stored, "geopackage", "cog").lacking(changed=False) == set()


@pytest.mark.parametrize(
    ("settings", "lacking"),
    [
        ({"threshold": 0.7}, {"geopackage", "item"}),
        ({"min_area": 200.0}, {"geopackage", "item"}),
        ({"cog_dtype": "float32"}, {"cog", "item"}),
    ],
)
def test_what_depends_on_a_changed_setting_is_made_again(
    stored: str, settings: dict[str, Any], lacking: set[str]
) -> None:
    names = ("geopackage", "cog", "item")
    first = products(stored, *names)
    first.write({"geopackage", "cog"})
    assert products(stored, *names, **settings).lacking(changed=False) == lacking


def test_an_edited_file_is_refused_where_it_would_be_replaced(stored: str) -> None:
    file = made(stored).files["geopackage"]
    edit(file)
    before = Path(file).read_bytes()
    products(stored).refuse_edited()  # nothing changed: it stands as it is
    for attempt in (
        lambda: products(stored, threshold=0.7).refuse_edited(),
        lambda: products(stored).refuse_edited(overwrite=True, changed=True),
    ):
        with pytest.raises(RequestError, match=r"map\.gpkg was edited after sarmap wrote it"):
            attempt()
    assert Path(file).read_bytes() == before


def test_a_file_of_somebody_else_s_is_replaced_only_where_that_was_said(
    stored: str, tmp_path: Path
) -> None:
    (tmp_path / "map.gpkg").write_text("mine")
    with pytest.raises(RequestError, match=r"store does not know it, so it is not replaced"):
        products(stored).refuse_edited()
    products(stored).refuse_edited(overwrite=True)


def test_a_geopackage_that_a_program_only_opened_is_not_edited(stored: str) -> None:
    file = made(stored).files["geopackage"]
    before, content = fingerprint(file), Path(file).read_bytes()
    with sqlite3.connect(file) as base:  # as QGIS does on opening
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("CREATE TABLE qgis_projects (id INTEGER)")
    base.close()
    assert Path(file).read_bytes() != content
    assert fingerprint(file) == before


def test_what_a_killed_run_was_writing_is_ours(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("sarmap.export.keeping.fingerprint", killed)
    with pytest.raises(KeyboardInterrupt):
        products(stored).write(["geopackage"])
    monkeypatch.undo()
    products(stored, threshold=0.7).refuse_edited()


def test_the_command_outlines_a_finished_map_again(stored: str) -> None:
    file = made(stored).files["geopackage"]
    assert len(geopandas.read_file(file)) == 2
    done = CliRunner().invoke(group, ["polygons", stored, "--threshold", "0.7"])
    assert done.exit_code == 0, done.output
    frame = geopandas.read_file(file)
    assert frame[["threshold", "area_m2"]].to_numpy().tolist() == [[0.7, 400.0]]
    edit(file)
    with pytest.raises(RequestError, match="was edited"):
        CliRunner().invoke(group, ["polygons", stored], catch_exceptions=False)


def test_the_command_writes_one_file_where_it_is_told(stored: str, tmp_path: Path) -> None:
    words = ["polygons", stored, "--min-area", "200", "--out", str(tmp_path / "big.parquet")]
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    assert geopandas.read_parquet(tmp_path / "big.parquet")["area_m2"].tolist() == [400.0]
    assert not (tmp_path / "map.gpkg").exists()


def test_the_command_calibrates_first_where_it_is_asked(stored: str, tmp_path: Path) -> None:
    from sarmap.assess.calibration import Calibration

    table = np.interp(np.arange(251), [0, 225, 250], [0, 0.45, 1])  # what says 0.9 means 0.45
    Calibration(table, 10, "blocks", "", False).write(tmp_path / "calibration.json")
    words = ["polygons", stored, "--calibrated", str(tmp_path / "calibration.json")]
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    assert len(geopandas.read_file(tmp_path / "map.gpkg")) == 0


def test_a_cog_has_its_colours_beside_it_and_one_s_own_stay(stored: str) -> None:
    image = made(stored, "cog").files["cog"]
    style = Path(image).with_suffix(".qml")
    colours = ElementTree.parse(style).iter("item")
    assert [float(one.get("value", "")) for one in colours] == [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1]
    style.write_text("my own")
    made(stored, "cog", cog_dtype="float32")
    assert style.read_text() == "my own"
