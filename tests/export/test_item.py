"""The item is valid STAC, lies where the map lies, and leads to its files."""

import json
from pathlib import Path

import numpy as np
import pyproj
import pystac
import pytest
import shapely
import xarray as xr
from pystac.validation import validate_dict

from sarmap.errors import RequestError
from sarmap.export.item import write_item
from sarmap.store.result import write_zarr

SCENES = [
    {"id": "S1B_PRE", "datetime": "2018-09-01T08:34:00+00:00", "role": "pre",
     "orbit_state": "ascending", "relative_orbit": 68, "platform": "SENTINEL-1B",
     "item": "https://stac.example.org/items/S1B_PRE"},
    {"id": "S1B_POST_2", "datetime": "2018-09-25T08:34:00+00:00", "role": "post_2",
     "orbit_state": "ascending", "relative_orbit": 68, "platform": "SENTINEL-1B"},
    {"id": "S1B_POST_1", "datetime": "2018-09-13T08:34:00+00:00", "role": "post_1",
     "orbit_state": "ascending", "relative_orbit": 68, "platform": "SENTINEL-1B"},
]  # fmt: skip
ATTRS = {
    "scenes": SCENES,
    "simulated": 1,
    "detector": {"name": "attention-unet", "bands": ["vv_pre"]},
    "sarmap:event": ["2018-09-05T18:08:00+00:00", "2018-09-05T18:08:00+00:00"],
    "attribution": "Contains modified Copernicus Sentinel data 2018",
}


def make_map(attrs=ATTRS):
    dataset = xr.Dataset(
        {
            "probability": (("y", "x"), np.full((30, 20), 0.5, np.float32)),
            "observation": (("y", "x"), np.zeros((30, 20), np.uint8)),
        },
        coords={"y": 4750000 - 100 * (np.arange(30) + 0.5), "x": 580050 + 100.0 * np.arange(20)},
        attrs=attrs,
    )
    dataset.coords["spatial_ref"] = ((), 0, {"crs_wkt": "EPSG:32654"})
    return dataset


@pytest.fixture
def item_file(tmp_path):
    store = write_zarr(make_map(), tmp_path / "map.zarr")
    (tmp_path / "products").mkdir()
    assets = {"cog": str(tmp_path / "map.tif"), "quicklook": str(tmp_path / "map.png")}
    return write_item(store, tmp_path / "products" / "iburi.json", assets=assets)


def test_pystac_opens_it_and_its_time_is_the_first_look_after_the_event(item_file):
    item = pystac.Item.from_file(item_file)
    assert item.id == "iburi"
    assert item.datetime.isoformat() == "2018-09-13T08:34:00+00:00"
    assert item.properties["start_datetime"] == "2018-09-01T08:34:00Z"
    assert item.properties["end_datetime"] == "2018-09-25T08:34:00Z"
    assert item.properties["sarmap:simulated"] is True
    assert "SIMULATED" in item.properties["title"]
    assert item.properties["sat:relative_orbit"] == 68


def test_its_title_has_the_places_name(tmp_path):
    named = make_map({**ATTRS, "sarmap:request": '{"name": "Atsuma"}'})
    item = pystac.Item.from_file(write_item(named, tmp_path / "a.json"))
    assert item.properties["title"] == "SIMULATED landslide probability at Atsuma, attention-unet"


def test_its_footprint_is_the_maps(item_file):
    item = pystac.Item.from_file(item_file)
    to_degrees = pyproj.Transformer.from_crs(32654, 4326, always_xy=True)
    corners = [(580000, 4747000), (582000, 4747000), (582000, 4750000), (580000, 4750000)]
    expected = shapely.Polygon([to_degrees.transform(*corner) for corner in corners])
    found = shapely.geometry.shape(item.geometry)
    assert found.symmetric_difference(expected).area < 1e-4 * expected.area
    np.testing.assert_allclose(item.bbox, expected.bounds, atol=2e-6)
    assert item.properties["proj:code"] == "EPSG:32654"
    assert item.properties["proj:shape"] == [30, 20]
    assert item.properties["proj:transform"] == [100, 0, 580000, 0, -100, 4750000]


def test_it_has_what_the_stac_specification_requires(item_file):
    record = json.loads(Path(item_file).read_text())
    assert record["type"] == "Feature"
    assert record["stac_version"] == "1.1.0"
    assert {"id", "geometry", "bbox", "properties", "links", "assets"} <= set(record)
    used = {key.split(":")[0] for key in record["properties"] if ":" in key} - {"sarmap"}
    assert used == {"proj", "sat", "processing"}
    declared = " ".join(record["stac_extensions"])
    for name in ("projection", "sat", "processing", "raster"):
        assert f"/{name}/" in declared


def test_scenes_are_named_by_their_items_and_files_are_relative(item_file):
    item = pystac.Item.from_file(item_file)
    assert item.properties["sarmap:scenes"] == ["S1B_PRE", "S1B_POST_2", "S1B_POST_1"]
    scenes = [link.href for link in item.get_links("derived_from")]
    assert scenes == ["https://stac.example.org/items/S1B_PRE"]
    raw = json.loads(Path(item_file).read_text())["assets"]
    assert raw["zarr"]["href"] == "../map.zarr"
    assert raw["cog"]["href"] == "../map.tif"
    assert raw["cog"]["bands"][0]["raster:scale"] == 0.004
    assert raw["quicklook"]["roles"] == ["overview"]


def test_files_have_their_size_and_checksum(item_file, tmp_path):
    """file v2.1.0: a multihash in hexadecimal; that of "abc" is in FIPS 180-2, appendix B.1."""
    assert "file:size" not in json.dumps(json.loads(Path(item_file).read_text())["assets"])
    (tmp_path / "map.png").write_bytes(b"abc")
    made = write_item(make_map(), tmp_path / "a.json", assets={"quicklook": f"{tmp_path}/map.png"})
    record = json.loads(Path(made).read_text())
    picture = record["assets"]["quicklook"]
    assert picture["file:size"] == 3
    assert picture["file:checksum"] == (
        "1220ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert "https://stac-extensions.github.io/file/v2.1.0/schema.json" in record["stac_extensions"]


@pytest.mark.parametrize(
    ("stored", "nodata", "greatest"), [("uint8", 255, 250.0), ("float32", "nan", 1.0)]
)
def test_a_tile_server_is_told_how_to_draw_it(tmp_path, stored, nodata, greatest):
    """render v2.0.0, in the values that the file holds: 1 is 250 steps of 0.004."""
    attrs = {**ATTRS, "sarmap:products": json.dumps({"cog": {"cog_dtype": stored}})}
    assets = {"cog": str(tmp_path / "map.tif")}
    made = write_item(make_map(attrs), tmp_path / "a.json", assets=assets)
    record = json.loads(Path(made).read_text())
    (drawn,) = record["properties"]["renders"].values()
    assert drawn["assets"] == ["cog"]
    assert drawn["rescale"] == [[0.0, greatest]]
    (band,) = record["assets"]["cog"]["bands"]
    assert (band["data_type"], band["nodata"]) == (stored, nodata)
    declared = any("/raster/" in one for one in record["stac_extensions"])
    assert declared == ("raster:scale" in band) == (stored == "uint8")


def test_a_folder_of_maps_is_a_catalogue(tmp_path):
    for name in ("a", "b", "b"):
        write_item(make_map(), tmp_path / f"{name}.json", overwrite=True)
    found = pystac.Collection.from_file(str(tmp_path / "collection.json"))
    assert [item.id for item in found.get_items()] == ["a", "b"]
    assert {item.get_collection().id for item in found.get_items()} == {found.id}
    for one in (found, *found.get_items()):
        assert validate_dict(one.to_dict(), extensions=[]) is not None
    assert found.extent.spatial.bboxes[0] == next(found.get_items()).bbox


def test_a_collection_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "collection.json").write_text('{"id": "theirs"}')
    item = pystac.Item.from_file(write_item(make_map(), tmp_path / "a.json"))
    assert item.collection_id is None
    assert (tmp_path / "collection.json").read_text() == '{"id": "theirs"}'


def test_real_data_keeps_its_owners_notice_and_is_not_called_simulated(tmp_path):
    dataset = make_map({**ATTRS, "simulated": 0})
    item = pystac.Item.from_file(write_item(dataset, tmp_path / "a.json"))
    assert "SIMULATED" not in json.dumps(item.to_dict())
    assert item.properties["sarmap:simulated"] is False
    assert any("Copernicus" in p.get("description", "") for p in item.properties["providers"])
    assert item.assets == {}


def test_a_map_of_both_orbits_names_both():
    from sarmap.export.item import _orbit
    from sarmap.store.provenance import read_provenance

    descending = {**SCENES[0], "id": "S1B_D", "orbit_state": "descending", "relative_orbit": 46}
    properties = _orbit(read_provenance({"scenes": [*SCENES, descending]}))
    assert properties == {"sarmap:orbits": ["ascending", "descending"]}


def test_what_has_no_date_or_exists_is_refused(tmp_path):
    with pytest.raises(RequestError, match="no date"):
        write_item(make_map({}), tmp_path / "a.json")
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(RequestError, match="overwrite=True"):
        write_item(make_map(), tmp_path / "b.json")
    with pytest.raises(RequestError, match=r"\.json"):
        write_item(make_map(), tmp_path / "b.yaml")
