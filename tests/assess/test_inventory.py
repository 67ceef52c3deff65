"""An inventory reads whatever its packaging, and burns by pixel centres."""

import json
import os
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from odc.geo.geobox import GeoBox

from sarmap.assess.inventory import rasterise_inventory, read_inventory
from sarmap.errors import RequestError

REAL = (
    Path(os.environ.get("SARMAP_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "inventory"
)
SQUARES = [shapely.box(141.9, 42.6, 141.91, 42.61), shapely.box(142.0, 42.7, 142.01, 42.72)]


def frame(geometry=SQUARES, crs=4326, **columns):
    return geopandas.GeoDataFrame(columns, geometry=list(geometry), crs=crs)


def shapefile_zip(folder, *, code_page, cpg=False, prj=True, inside="地図/崩壊"):
    """A zipped shapefile as Japanese agencies publish them: raw code page 932, no .cpg."""
    frame(名称=["厚真町", "むかわ町"]).to_file(folder / "x.shp", encoding=code_page)
    target = folder / "inventory.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for part in folder.glob("x.*"):
            if (part.suffix == ".cpg" and not cpg) or (part.suffix == ".prj" and not prj):
                continue
            archive.writestr(zipfile.ZipInfo(f"{inside}{part.suffix}"), part.read_bytes())
    return target


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb", "parquet"])
def test_every_format_gives_the_same_polygons(tmp_path, suffix):
    file = tmp_path / f"one.{suffix}"
    if suffix == "parquet":
        frame().to_parquet(file)
    else:
        frame().to_file(file)
    read = read_inventory(file)
    assert read.crs.to_epsg() == 4326
    assert {shapely.normalize(g).wkt for g in read.geometry} == {
        shapely.normalize(g).wkt for g in SQUARES
    }


@pytest.mark.parametrize("code_page", ["cp932", "utf-8"])
@pytest.mark.parametrize("cpg", [True, False])
def test_zipped_shapefile_in_folders_with_japanese_attributes(tmp_path, code_page, cpg):
    read = read_inventory(shapefile_zip(tmp_path, code_page=code_page, cpg=cpg))
    assert list(read["名称"]) == ["厚真町", "むかわ町"]
    assert read.attrs["layer"] == "地図/崩壊.shp"


def test_latin_attributes_that_are_not_utf8_stay_latin(tmp_path):
    frame(name=["Sch\u00f6n", "\u00c5 \u00e9"]).to_file(tmp_path / "x.shp", encoding="ISO-8859-1")
    (tmp_path / "x.cpg").unlink()
    assert list(read_inventory(tmp_path / "x.shp")["name"]) == ["Sch\u00f6n", "\u00c5 \u00e9"]


def test_missing_reference_system_is_asked_for_and_accepted(tmp_path):
    file = shapefile_zip(tmp_path, code_page="cp932", prj=False)
    with pytest.raises(RequestError, match="`crs`"):
        read_inventory(file)
    assert read_inventory(file, crs=4326).crs.to_epsg() == 4326


def test_invalid_outlines_are_repaired_and_others_dropped_and_both_counted(tmp_path):
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    shapes = [bow_tie, shapely.box(5, 5, 6, 6), shapely.Point(1, 1), None, shapely.Polygon()]
    frame(shapes, 32654).to_file(tmp_path / "one.gpkg")
    read = read_inventory(tmp_path / "one.gpkg")
    assert (read.attrs["repaired"], read.attrs["dropped"], len(read)) == (1, 3, 2)
    assert read.is_valid.all()
    assert read.area.sum() == pytest.approx(2 + 1)


def test_of_several_layers_the_fullest_is_read_with_a_warning(tmp_path):
    file = tmp_path / "two.gpkg"
    frame(SQUARES[:1]).to_file(file, layer="clouds")
    frame().to_file(file, layer="slides")
    with pytest.warns(UserWarning, match=r"'slides'.*clouds.*`layer`"):
        assert len(read_inventory(file)) == 2
    assert len(read_inventory(file, layer="clouds")) == 1
    with pytest.raises(RequestError, match="clouds, slides"):
        read_inventory(file, layer="slips")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent.gpkg", None, "does not exist"),
        ("text.gpkg", b"not a database", "cannot be read as a vector file"),
        ("broken.zip", b"PK\x03\x04 nonsense", "not a readable zip"),
        ("broken.parquet", b"PAR1 nonsense", "not a GeoParquet"),
    ],
)
def test_unreadable_files_are_refused_in_one_sentence(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=says) as caught:
        read_inventory(tmp_path / name)
    assert str(tmp_path) not in str(caught.value)


KML = '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{}</Document></kml>'


def placemark(shape):
    corners = " ".join(f"{x},{y},0" for x, y in shape.exterior.coords)
    return (
        "<Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>"
        f"{corners}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>"
    )


def test_of_a_kml_all_folders_are_read_or_the_one_of_a_name(tmp_path):
    folders = [
        f"<Folder><name>{n}</name>{placemark(s)}</Folder>"
        for n, s in zip("ab", SQUARES, strict=True)
    ]
    again = f"<Folder><name>b</name>{placemark(shapely.box(142.1, 42.7, 142.2, 42.8))}</Folder>"
    (tmp_path / "x.kml").write_text(KML.format("".join([*folders, again])))
    with zipfile.ZipFile(tmp_path / "x.kmz", "w") as archive:
        archive.write(tmp_path / "x.kml", "doc.kml")
    for name in ("x.kml", "x.kmz"):
        assert len(read_inventory(tmp_path / name)) == 3
        assert len(read_inventory(tmp_path / name, layer="b")) == 1


def test_collections_are_opened_for_their_polygons(tmp_path):
    label = shapely.Point(141.9, 42.6)
    inner = shapely.GeometryCollection([shapely.GeometryCollection([SQUARES[1]])])
    shapes = [shapely.GeometryCollection([SQUARES[0], label]), inner, label]
    frame(shapes).to_file(tmp_path / "x.geojson")
    read = read_inventory(tmp_path / "x.geojson")
    assert (len(read), read.attrs["dropped"]) == (2, 1)
    assert read.union_all().equals(shapely.union_all(SQUARES))


def test_a_reference_system_that_is_given_overrides_the_file_s_with_a_warning(tmp_path):
    metres = [shapely.box(500000, 4700000, 500100, 4700100)]
    frame(metres, 32654).to_crs(32654).to_file(tmp_path / "x.gpkg")
    features = {
        "type": "Feature",
        "properties": {},
        "geometry": shapely.geometry.mapping(metres[0]),
    }
    collection = {"type": "FeatureCollection", "features": [features]}
    (tmp_path / "x.geojson").write_text(json.dumps(collection))
    with pytest.warns(UserWarning, match=r"says EPSG:4326; it is read as EPSG:32655"):
        read = read_inventory(tmp_path / "x.geojson", crs=32655)
    assert (read.crs.to_epsg(), read.area.sum()) == (32655, pytest.approx(10_000))
    with pytest.warns(UserWarning, match=r"says EPSG:32654"):
        assert read_inventory(tmp_path / "x.gpkg", crs=32655).crs.to_epsg() == 32655
    assert read_inventory(tmp_path / "x.gpkg", otherwise=32655).crs.to_epsg() == 32654
    with pytest.raises(RequestError, match="no reference system"):
        read_inventory(tmp_path / "x.gpkg", crs="nonsense")


@pytest.mark.parametrize("inside", ["x.gdb", "x.json", "x.kmz"])
def test_zips_hold_geodatabases_json_and_kmz(tmp_path, inside):
    import pyogrio

    file = tmp_path / inside
    if inside == "x.gdb":
        pyogrio.write_dataframe(frame(), file, driver="OpenFileGDB", layer="slides")
    elif inside == "x.json":
        frame().to_file(file, driver="GeoJSON")
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("doc.kml", KML.format("".join(map(placemark, SQUARES))))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for part in [file] if file.is_file() else file.iterdir():
            archive.write(part, part.relative_to(tmp_path))
        archive.writestr("metadata.json", '{"licence": "CC-BY"}')
    assert len(read_inventory(tmp_path / "x.zip")) == 2


def test_zip_without_a_vector_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with pytest.raises(RequestError, match="no vector file"):
        read_inventory(tmp_path / "x.zip")


def test_lines_and_points_are_not_an_inventory(tmp_path):
    frame([shapely.LineString([(0, 0), (1, 1)])]).to_file(tmp_path / "x.gpkg")
    with pytest.raises(RequestError, match="no polygons"):
        read_inventory(tmp_path / "x.gpkg")


def test_swapped_latitude_and_longitude_is_refused(tmp_path):
    swapped = [shapely.box(42.6, 141.9, 42.61, 141.91)]
    frame(swapped).to_file(tmp_path / "x.gpkg")
    with pytest.raises(RequestError, match="swapped"):
        read_inventory(tmp_path / "x.gpkg")


def test_mask_follows_pixel_centres_like_a_point_in_polygon_test():
    rng = np.random.default_rng(5)
    blobs = [shapely.Point(*rng.uniform(0, 400, 2)).buffer(rng.uniform(8, 60)) for _ in range(12)]
    grid = GeoBox.from_bbox((0, 0, 400, 300), "epsg:32654", resolution=10)
    x, y = np.meshgrid(np.arange(5, 400, 10), np.arange(295, 0, -10))
    inside = shapely.contains_xy(shapely.union_all(blobs), x, y)
    mask = rasterise_inventory(frame(blobs, 32654), grid)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, inside)


def test_mask_reprojects_and_is_empty_away_from_the_polygons():
    near = GeoBox.from_bbox((500000, 4715000, 503000, 4718000), "epsg:32654", resolution=10)
    far = GeoBox.from_bbox((600000, 4715000, 600300, 4715300), "epsg:32654", resolution=10)
    square = geopandas.GeoSeries([shapely.box(501000, 4716000, 502000, 4717000)], crs=32654)
    degrees = geopandas.GeoDataFrame(geometry=square.to_crs(4326))
    assert abs(int(rasterise_inventory(degrees, near).sum()) - 10_000) <= 100
    assert not rasterise_inventory(degrees, far).any()


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "layer", "count"),
    [
        ("iburi_sanpuku_shp_original.zip", None, 6116),
        ("iburi_taiseki_shp_original.zip", None, 1512),
        ("iburi_geojson_original.zip", "iburitoubu_sanpuku", 6116),
        ("handoku_Area.geojson", None, 18),
    ],
)
def test_the_real_iburi_inventory_reads(name, layer, count):
    if not REAL.exists():
        pytest.skip("the real inventory is not at ../shared/data or SARMAP_REAL_DATA")
    read = read_inventory(REAL / name, layer=layer)
    assert len(read) == count
    if "sanpuku" in f"{name}{layer}":
        assert read.to_crs(32654).area.sum() / 1e6 == pytest.approx(43.80, abs=0.01)
        assert "地理院地図" in read.iloc[0]["出典"]
