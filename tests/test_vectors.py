"""A vector file's ending chooses its driver; archives are bounded; attributes never stop a read."""

from __future__ import annotations

import errno
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from odc.geo.geobox import GeoBox

from sarmap import vectors
from sarmap.acquire.area import parse_area
from sarmap.assess.inventory import read_inventory
from sarmap.errors import RequestError
from sarmap.report.features import read_vectors
from sarmap.vectors import read_vector

SQUARE = shapely.box(141.9, 42.6, 141.91, 42.61)
GRID = GeoBox.from_bbox((141.8, 42.5, 142.0, 42.7), "epsg:4326", resolution=0.01)


def frame(**columns: Any) -> Any:
    return geopandas.GeoDataFrame(columns, geometry=[SQUARE], crs=4326)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A file that nobody named."""
    file = tmp_path / "private" / "secret.gpkg"
    file.parent.mkdir()
    frame().to_file(file, layer="secret")
    return file


def descriptions(source: Path) -> dict[str, str]:
    """What GDAL takes for a description of other sources, by whatever name."""
    vrt = (
        f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{source}</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    return {
        "vrt": vrt,
        "vrt in a kml": f'<kml xmlns="http://www.opengis.net/kml/2.2">{vrt}</kml>',
        "wfs": "<OGRWFSDataSource><URL>http://127.0.0.1:9/</URL></OGRWFSDataSource>",
        "pipeline": json.dumps(
            {"type": "gdal_streamed_alg", "command_line": f"gdal vector pipeline ! read {source}"}
        ),
    }


@pytest.mark.parametrize("suffix", ["geojson", "json", "gpkg", "kml", "gml", "shp", "fgb", "csv"])
@pytest.mark.parametrize("what", ["vrt", "vrt in a kml", "wfs", "pipeline"])
def test_no_file_is_a_description_of_others(
    what: str, suffix: str, elsewhere: Path, tmp_path: Path
) -> None:
    file = tmp_path / f"looks.{suffix}"
    file.write_text(descriptions(elsewhere)[what])
    for read in (
        lambda: read_inventory(file),
        lambda: parse_area(str(file)),
        lambda: read_vectors(file, GRID, "--districts"),
    ):
        with pytest.raises(RequestError) as caught:
            read()
        assert str(tmp_path) not in str(caught.value)


def test_a_file_of_another_kind_is_refused_with_the_kinds_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.vrt").write_text(descriptions(tmp_path / "x")["vrt"])
    with pytest.raises(RequestError, match=r"'a\.vrt' is no vector file that is read: .*\.gpkg"):
        read_inventory(tmp_path / "a.vrt")


def test_a_full_disk_is_not_blamed_on_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.geojson", "{}")
    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        read_inventory(tmp_path / "a.zip")


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "LARGEST", 2**20)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.geojson", bytes(2**20 + 1))
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("a.geojson", bytes(2**20 + 1), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "nested.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    for name in ("plain.zip", "nested.zip"):
        with pytest.raises(RequestError, match="unpacks to more than"):
            read_inventory(tmp_path / name)


def test_an_archive_inside_itself_ends(tmp_path: Path) -> None:
    content = b""
    for _ in range(4):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("again.zip", content)
        content = packed.getvalue()
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(RequestError, match="holds no vector file"):
        read_inventory(tmp_path / "a.zip")


def test_attributes_that_cannot_be_read_leave_the_polygons(tmp_path: Path) -> None:
    file = tmp_path / "x.shp"
    frame(name=["厚真町"]).to_file(file, encoding="cp932")
    (tmp_path / "x.cpg").write_text("UTF-8")
    with pytest.warns(UserWarning, match=r"attributes of 'x\.shp' cannot be read"):
        found = read_vector(file, "Inventory")
    assert found.geometry[0].normalize().equals_exact(SQUARE.normalize(), 1e-9)


def test_a_shapefile_without_its_index_is_read_and_none_is_left_beside_it(tmp_path: Path) -> None:
    frame(name=["a"]).to_file(tmp_path / "x.shp")
    (tmp_path / "x.shx").unlink()
    before = sorted(tmp_path.iterdir())
    assert list(read_vector(tmp_path / "x.shp", "Inventory")["name"]) == ["a"]
    assert sorted(tmp_path.iterdir()) == before
    assert pyogrio.get_gdal_config_option("SHAPE_RESTORE_SHX") is None


def test_a_box_in_degrees_chooses_features_of_a_projected_file(tmp_path: Path) -> None:
    far = shapely.box(143, 44, 143.1, 44.1)
    both = geopandas.GeoDataFrame(geometry=[SQUARE, far], crs=4326).to_crs(32654)
    both.to_file(tmp_path / "two.gpkg")
    found = read_vector(tmp_path / "two.gpkg", "--districts", box=(141.8, 42.5, 142, 42.7))
    assert len(found) == 1
    np.testing.assert_allclose(found.to_crs(4326).total_bounds, SQUARE.bounds, atol=1e-6)


def test_areas_come_in_archives_too(tmp_path: Path) -> None:
    frame().to_file(tmp_path / "a.geojson")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.geojson", "folder/a.geojson")
    assert parse_area(str(tmp_path / "a.zip")).bbox == pytest.approx(SQUARE.bounds)
