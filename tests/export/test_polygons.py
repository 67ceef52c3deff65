"""Polygons are whole components, the same however the map is cut, with exact areas."""

import contextlib
import json
import re
import sqlite3
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pandas as pd
import pyarrow.parquet
import pyogrio
import pytest
import rasterio.features
import shapely
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from odc.geo.geobox import GeoBox
from scipy import ndimage

from sarmap.assess.inventory import read_inventory
from sarmap.errors import OutputError, RequestError
from sarmap.export.polygons import polygonise, write_polygons
from sarmap.store.georeference import spatial_ref_attrs
from sarmap.store.reading import MapReader
from sarmap.store.result import write_zarr
from sarmap.types import Observation
from sarmap.vectors import open_vectors

SCENES = [
    {"id": "S1B_PRE", "datetime": "2018-09-01T08:34:00Z", "role": "pre",
     "orbit_state": "ascending", "relative_orbit": 68},
    {"id": "S1B_POST", "datetime": "2018-09-13T08:34:00Z", "role": "post_1",
     "orbit_state": "ascending", "relative_orbit": 68},
]  # fmt: skip

masks = hnp.arrays(
    bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24), elements=st.booleans()
)


def make_map(probability, observation=None, slope=None, epsg=32654, resolution=10):
    """A map Dataset from arrays, upper left corner at (500000, 4800000)."""
    probability = np.asarray(probability, np.float32)
    rows, columns = probability.shape
    grid = GeoBox.from_bbox(
        (500000, 4800000 - rows * resolution, 500000 + columns * resolution, 4800000),
        f"epsg:{epsg}",
        shape=(rows, columns),
    )
    codes = np.isnan(probability).astype(np.uint8) if observation is None else observation
    layers = {"probability": probability, "observation": codes}
    if slope is not None:
        layers["slope"] = np.asarray(slope, np.float32)
    return xr.Dataset(
        {name: (("y", "x"), layer) for name, layer in layers.items()},
        coords={
            "y": 4800000 - resolution * (np.arange(rows) + 0.5),
            "x": 500000 + resolution * (np.arange(columns) + 0.5),
            "spatial_ref": ((), 0, spatial_ref_attrs(grid)),
        },
        attrs={"scenes": SCENES, "detector": "log-ratio", "simulated": 1, "attribution": "ESA"},
    )


def random_map(shape=(120, 90), seed=3):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), 2)
    probability = 1 / (1 + np.exp(-20 * field))
    probability[rng.random(shape) < 0.01] = np.nan
    return make_map(probability, slope=rng.uniform(0, 60, shape))


def pixels_of(polygon, shape=(120, 90)):
    """Mask of the pixels inside a polygon, by GDAL's rasteriser."""
    return rasterio.features.rasterize(
        [polygon], shape, transform=rasterio.transform.from_origin(500000, 4800000, 10, 10)
    ).astype(bool)


@settings(max_examples=150, deadline=None)
@given(mask=masks, rows=st.integers(1, 25), connectivity=st.sampled_from([4, 8]))
def test_identical_for_every_strip_height(mask, rows, connectivity):
    dataset = make_map(np.where(mask, 0.8, 0.1))
    whole = polygonise(dataset, connectivity=connectivity)
    cut = polygonise(dataset, connectivity=connectivity, strip_rows=rows)
    assert list(whole.geometry.to_wkb()) == list(cut.geometry.to_wkb())
    assert whole.drop(columns="geometry").equals(cut.drop(columns="geometry"))


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    blocks=st.tuples(st.integers(9, 130), st.integers(9, 100)),
    chunk=st.integers(30, 64),
    rows=st.integers(15, 130) | st.none(),
)
def test_identical_for_every_chunking_of_map_and_store(tmp_path, blocks, chunk, rows):
    dataset = random_map()
    expected = polygonise(dataset)
    lazy = dataset.chunk({"y": blocks[0], "x": blocks[1]})
    store = write_zarr(lazy, tmp_path / "map.zarr", chunk=chunk, overwrite=True)
    for source in (lazy, store, xr.open_zarr(store)):
        found = polygonise(source, strip_rows=rows)
        assert list(found.geometry.to_wkb()) == list(expected.geometry.to_wkb())
        assert found.drop(columns="geometry").equals(expected.drop(columns="geometry"))


@given(mask=masks, connectivity=st.sampled_from([4, 8]))
@settings(max_examples=150, deadline=None)
def test_components_areas_and_union_agree_with_scipy_and_gdal(mask, connectivity):
    dataset = make_map(np.where(mask, 0.8, 0.1))
    found = polygonise(dataset, connectivity=connectivity)
    structure = np.ones((3, 3)) if connectivity == 8 else None
    labels, count = ndimage.label(mask, structure)
    assert len(found) == count
    np.testing.assert_array_equal(found["area_m2"], np.bincount(labels.ravel())[1:] * 100.0)
    np.testing.assert_allclose(found.area, found["area_m2"], rtol=0, atol=1e-6)
    assert found.is_valid.all()
    transform = rasterio.transform.from_origin(500000, 4800000, 10, 10)
    if count:
        burnt = rasterio.features.rasterize(
            zip(found.geometry, range(1, count + 1), strict=True), mask.shape, transform=transform
        )
        np.testing.assert_array_equal(burnt, labels)


def test_outlines_are_those_of_gdal_without_needless_corners():
    dataset = random_map()
    mask = np.nan_to_num(dataset["probability"].values) >= 0.5
    transform = rasterio.transform.from_origin(500000, 4800000, 10, 10)
    expected = [
        shapely.geometry.shape(geometry)
        for geometry, value in rasterio.features.shapes(mask.astype(np.uint8), transform=transform)
        if value
    ]
    found = polygonise(dataset)
    by_point = {shapely.normalize(shape).wkt for shape in expected}
    assert {shapely.normalize(shape).wkt for shape in found.geometry} == by_point


def test_statistics_are_those_of_each_polygons_pixels():
    dataset = random_map()
    found = polygonise(dataset)
    assert len(found) > 10
    for one in found.itertuples():
        mine = pixels_of(one.geometry)
        probability = dataset["probability"].to_numpy()[mine]
        assert one.mean_probability == pytest.approx(probability.mean(), abs=0.004)
        assert one.max_probability == pytest.approx(probability.max(), abs=0.004)
        slope = dataset["slope"].to_numpy()[mine]
        assert one.mean_slope_deg == pytest.approx(slope.mean(), abs=0.21)
        assert one.area_m2 == 100 * mine.sum()


def test_each_polygon_says_what_it_was_made_from():
    found = polygonise(make_map([[0.9]]), threshold=0.4)
    only = found.iloc[0]
    assert found.attrs["scenes"] == "S1B_PRE, S1B_POST"
    assert (only["passes_before"], only["passes_after"]) == ("2018-09-01", "2018-09-13")
    assert (only["lon"], only["lat"]) == pytest.approx((141.000062, 43.35281), abs=2e-6)
    assert (only["orbit"], only["relative_orbit"]) == ("ascending", "68")
    assert (only["detector"], only["threshold"], only["simulated"]) == ("log-ratio", 0.4, True)
    assert np.isnan(only["mean_slope_deg"])
    assert "SIMULATED" in found.attrs["title"]
    assert found.crs.to_epsg() == 32654


def test_a_hole_and_a_diagonal_have_the_corners_drawn_by_hand():
    ring = polygonise(make_map([[0.9, 0.9, 0.9], [0.9, 0.1, 0.9], [0.9, 0.9, 0.9]]))
    x, y = 500000, 4800000
    expected = shapely.box(x, y - 30, x + 30, y).difference(
        shapely.box(x + 10, y - 20, x + 20, y - 10)
    )
    assert ring.geometry[0].equals(expected)
    assert shapely.get_num_coordinates(ring.geometry[0]) == 10
    diagonal = make_map([[0.9, 0.1], [0.1, 0.9]])
    assert len(polygonise(diagonal)) == 2
    joined = polygonise(diagonal, connectivity=8)
    assert joined.geom_type.tolist() == ["MultiPolygon"]
    assert joined["area_m2"].tolist() == [200.0]


def test_polygons_come_in_the_order_of_their_first_pixel():
    found = polygonise(make_map([[0.1, 0.1, 0.9], [0.9, 0.1, 0.9], [0.9, 0.1, 0.1]]))
    assert found.geometry[0].bounds[0] > found.geometry[1].bounds[0]


def test_a_polygon_is_named_by_its_most_probable_pixel():
    found = polygonise(make_map([[0.6, 0.1, 0.7], [0.9, 0.1, 0.8], [0.9, 0.1, 0.8]]))
    assert found["id"].tolist() == [4, 6]  # places of the first 0.9 and the first 0.8


@given(seed=st.integers(0, 10_000), low=st.sampled_from([0.3, 0.5]), rows=st.integers(1, 30))
@settings(max_examples=8, deadline=None)
def test_ids_stay_as_the_threshold_rises(seed, low, rows):
    dataset = random_map((30, 24), seed)
    below = polygonise(dataset, threshold=low, strip_rows=rows)
    above = polygonise(dataset, threshold=0.7)
    assert below["id"].is_unique
    kept = below[below["max_probability"] >= 0.7].set_index("id")
    assert set(kept.index) <= set(above["id"])
    for one in above[above["id"].isin(kept.index)].itertuples():
        assert kept.geometry[one.id].covers(one.geometry)


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 30))
@settings(max_examples=8, deadline=None)
def test_polygons_at_the_edge_of_what_was_seen_say_so(seed, rows):
    dataset = random_map((30, 24), seed)
    found = polygonise(dataset, strip_rows=rows)
    unseen = np.isnan(dataset["probability"].values)
    near = ndimage.binary_dilation(unseen, np.ones((5, 5)))
    expected = [bool(near[pixels_of(shape, near.shape)].mean() >= 0.5) for shape in found.geometry]
    assert found["at_edge"].tolist() == expected


@pytest.mark.parametrize(("smallest", "left"), [(0, 3), (100, 3), (101, 2), (300, 1), (301, 0)])
def test_polygons_smaller_than_the_minimum_area_are_left_out(smallest, left):
    dataset = make_map([[0.9, 0.1, 0.9, 0.9, 0.1, 0.9], [0.1, 0.1, 0.1, 0.1, 0.9, 0.9]])
    assert len(polygonise(dataset, min_area=smallest)) == left


def test_area_follows_the_pixel_size_and_unit():
    assert polygonise(make_map([[0.9]], resolution=30))["area_m2"][0] == 900
    feet = polygonise(make_map([[0.9]], epsg=2225))["area_m2"][0]
    assert feet == pytest.approx(100 * (1200 / 3937) ** 2)


def test_the_threshold_includes_its_own_value_and_unseen_pixels_never_count():
    dataset = make_map([[0.5, 0.4999, np.nan, 1.0]])
    dataset["observation"][0, 3] = 3
    assert polygonise(dataset, threshold=0.5)["area_m2"].tolist() == [100.0]


def test_geopackage_and_geoparquet_open_in_geopandas(tmp_path):
    dataset = random_map()
    files = write_polygons(dataset, [tmp_path / "a.gpkg", tmp_path / "a.parquet"])
    expected = polygonise(dataset)
    for file, read in zip(files, (geopandas.read_file, geopandas.read_parquet), strict=True):
        frame = read(file)
        assert frame.crs.to_epsg() == 32654
        assert frame.geometry.to_wkb().tolist() == expected.geometry.to_wkb().tolist()
        assert frame["area_m2"].tolist() == expected["area_m2"].tolist()
        assert list(frame.columns) == list(expected.columns)
        assert frame["simulated"].all()


@pytest.mark.parametrize("ending", ["geojson", "fgb", "kmz"])
def test_files_for_the_field_hold_the_same_landslides(tmp_path, ending):
    dataset = random_map()
    (file,) = write_polygons(dataset, tmp_path / f"a.{ending}")
    expected = polygonise(dataset)
    with open_vectors(Path(file), "Polygons") as opened:
        layers = [opened[0].read(number) for number in range(len(opened[0].layers))]
    if ending == "kmz":  # a folder for each class of certainty
        mean = expected["mean_probability"]
        assert [len(one) for one in layers] == [
            int((mean >= 0.9).sum()), int(((mean >= 0.7) & (mean < 0.9)).sum()),
            int((mean < 0.7).sum()),
        ]  # fmt: skip
    found = pd.concat(layers).to_crs(32654).sort_values("id", key=lambda ids: ids.astype(int))
    expected = expected.sort_values("id")
    assert found["id"].astype(int).tolist() == expected["id"].tolist()
    np.testing.assert_allclose(found.area, expected["area_m2"], rtol=1e-3)
    assert found.geometry.iloc[0].distance(expected.geometry.iloc[0].centroid) < 100


def test_geojson_is_in_degrees_with_seven_decimals_and_rings_that_turn_left(tmp_path):
    (file,) = write_polygons(make_map([[0.9]]), tmp_path / "a.geojson")
    record = json.loads(Path(file).read_text())
    assert "crs" not in record
    ring = record["features"][0]["geometry"]["coordinates"][0]
    assert shapely.LinearRing(ring).is_ccw
    assert max(len(str(value).partition(".")[2]) for corner in ring for value in corner) == 7


def test_a_geopackage_opens_drawn_and_a_geoparquet_is_packed(tmp_path):
    files = write_polygons(random_map(), [tmp_path / "a.gpkg", tmp_path / "a.parquet"])
    style = pyogrio.read_dataframe(files[0], layer="layer_styles").iloc[0]
    assert (style["f_table_name"], style["f_geometry_column"]) == ("landslides", "geom")
    renderer = ElementTree.fromstring(style["styleQML"]).find("renderer-v2")
    assert renderer.get("attr") in geopandas.read_file(files[0], layer="landslides").columns
    used = {one.get("symbol") for one in renderer.find("ranges")}
    assert used == {one.get("name") for one in renderer.find("symbols")}
    packed = pyarrow.parquet.read_metadata(files[1]).row_group(0).column(0)
    assert packed.compression == "ZSTD"


@pytest.mark.parametrize("rows", [None, 3, 7])
def test_a_geopackage_shows_what_was_not_seen(tmp_path, monkeypatch, rows):
    """Gaps of ten pixels, 1,000 m², or more, whole whatever strips the map is read in."""
    codes = np.zeros((20, 30), np.uint8)
    codes[2:9, 4:8] = Observation.NO_DATA
    codes[9, 4:8] = Observation.LAYOVER_SHADOW  # four pixels beside it, and a strip of ten
    codes[12, 10:20] = Observation.LAYOVER_SHADOW
    codes[15:17, 25:28] = Observation.READ_FAILED
    dataset = make_map(np.where(codes, np.nan, 0.9), codes)
    if rows is not None:
        monkeypatch.setattr(MapReader, "strip_rows", lambda self: rows)
    file = tmp_path / "a.gpkg"
    write_polygons(dataset, file)
    gaps = geopandas.read_file(file, layer="not_seen")
    assert dict(zip(gaps["why"], gaps["area_m2"], strict=True)) == {
        "no data": 2800.0,
        "layover or shadow": 1000.0,
    }
    assert gaps.area.tolist() == gaps["area_m2"].tolist()
    assert gaps.crs.to_epsg() == 32654
    assert gaps.total_bounds.tolist() == [500040, 4799870, 500200, 4799980]
    styles = pyogrio.read_dataframe(file, layer="layer_styles")
    assert styles["f_table_name"].tolist() == ["landslides", "not_seen"]
    for style in styles["styleQML"]:
        assert ElementTree.fromstring(style).find("renderer-v2") is not None
    with contextlib.closing(sqlite3.connect(file)) as tables:  # as GeoPackage 1.4, table 1 asks
        ((made,), *_) = tables.execute("SELECT update_time FROM layer_styles")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made)


def test_what_was_not_seen_is_no_inventory(tmp_path, recwarn):
    """Even where it has more polygons than there are landslides."""
    codes = np.zeros((40, 40), np.uint8)
    codes[::8, :20] = Observation.NO_DATA
    write_polygons(make_map(np.where(codes, np.nan, 0.9), codes), tmp_path / "a.gpkg")
    assert len(geopandas.read_file(tmp_path / "a.gpkg", layer="not_seen")) == 5
    recwarn.clear()
    inventory = read_inventory(tmp_path / "a.gpkg")
    assert inventory.attrs["layer"] == "landslides"
    assert len(inventory) == 1
    assert not [one for one in recwarn if "several layers" in str(one.message)]
    assert len(read_inventory(tmp_path / "a.gpkg", layer="not_seen")) == 5


def test_files_say_that_they_are_simulated_and_whose_data_they_hold(tmp_path):
    write_polygons(random_map(), [tmp_path / "a.gpkg", tmp_path / "a.parquet"])
    metadata = pyogrio.read_info(tmp_path / "a.gpkg")["layer_metadata"]
    assert metadata["SIMULATED"] == "YES"
    assert metadata["ATTRIBUTION"] == "ESA"
    assert metadata["SCENES"] == "S1B_PRE, S1B_POST"
    assert geopandas.read_parquet(tmp_path / "a.parquet").attrs["simulated"] == "YES"


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_map_without_landslides_gives_empty_files_with_all_columns(tmp_path, connectivity):
    nothing = make_map(np.full((4, 5), 0.1))
    files = write_polygons(
        nothing, [tmp_path / "a.gpkg", tmp_path / "a.parquet"], connectivity=connectivity
    )
    columns = list(polygonise(random_map()).columns)
    for file, read in zip(files, (geopandas.read_file, geopandas.read_parquet), strict=True):
        frame = read(file)
        assert len(frame) == 0
        assert list(frame.columns) == columns
        assert frame.crs.to_epsg() == 32654


def test_existing_files_are_kept_unless_overwrite_says_so(tmp_path):
    file = tmp_path / "a.gpkg"
    file.write_text("mine")
    with pytest.raises(RequestError, match="overwrite=True"):
        write_polygons(random_map(), file)
    assert file.read_text() == "mine"
    write_polygons(random_map(), file, overwrite=True)
    assert len(geopandas.read_file(file)) > 10
    assert [one.name for one in tmp_path.iterdir()] == ["a.gpkg"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"threshold": 0}, "threshold="),
        ({"min_area": -1}, "min_area="),
        ({"connectivity": 6}, "connectivity="),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, says):
    with pytest.raises(RequestError, match=says):
        polygonise(random_map(), **arguments)


def test_a_name_that_gdal_takes_apart_is_written(tmp_path):
    (file,) = write_polygons(random_map(), tmp_path / "a;b\tc.gpkg")
    assert Path(file).read_bytes().startswith(b"SQLite format 3")


def test_other_endings_degrees_and_unwritable_places_are_refused(tmp_path):
    with pytest.raises(RequestError, match=r"\.gpkg"):
        write_polygons(random_map(), tmp_path / "a.shp")
    with pytest.raises(RequestError, match="projected"):
        polygonise(make_map([[0.9]], epsg=4326, resolution=0.0001))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_polygons(random_map(), tmp_path / "file" / "a.gpkg")
