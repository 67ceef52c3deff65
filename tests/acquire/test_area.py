"""Every way of naming a place, and every way of getting it wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import shapely
from odc.geo.geobox import GeoBox

from sarmap.acquire.area import Area, parse_area
from sarmap.errors import RequestError

BOX = (141.8, 42.6, 142.1, 42.9)
POLYGON = shapely.geometry.mapping(shapely.box(*BOX))
FEATURE = {"type": "Feature", "properties": {}, "geometry": POLYGON}


class TestForms:
    @pytest.mark.parametrize(
        "area",
        [
            BOX,
            list(BOX),
            ["141.8", "42.6", "142.1", "42.9"],
            "141.8,42.6,142.1,42.9",
            " 141.8, 42.6, 142.1, 42.9 ",
            "[141.8, 42.6, 142.1, 42.9]",
            POLYGON,
            FEATURE,
            {"type": "FeatureCollection", "features": [FEATURE]},
            json.dumps(FEATURE),
            shapely.box(*BOX),
        ],
    )
    def test_same_place_in_any_form(self, area: Any) -> None:
        assert parse_area(area).bbox == BOX

    def test_an_area_stays_itself(self) -> None:
        area = parse_area(BOX)
        assert parse_area(area) is area

    def test_multipolygon_keeps_its_parts(self) -> None:
        parts = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1)])
        area = parse_area(shapely.geometry.mapping(parts))
        assert area.geometry.geom_type == "MultiPolygon"
        assert area.geometry.area == pytest.approx(2)

    def test_features_are_dissolved(self) -> None:
        overlapping = [shapely.box(0, 0, 2, 1), shapely.box(1, 0, 3, 1)]
        features = [
            {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(one)}
            for one in overlapping
        ]
        none = {"type": "Feature", "properties": {}, "geometry": None}
        area = parse_area({"type": "FeatureCollection", "features": [*features, none]})
        assert area.geometry.equals(shapely.box(0, 0, 3, 1))

    def test_geojson_of_2008_with_its_own_crs(self) -> None:
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32654"}}
        box = shapely.geometry.mapping(shapely.box(560000, 4710000, 585000, 4750000))
        area = parse_area(box | {"crs": crs})
        assert area.bbox == pytest.approx((141.728, 42.538, 142.04, 42.903), abs=0.01)

    @pytest.mark.parametrize(
        "name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326"]
    )
    def test_names_of_longitude_and_latitude(self, name: str) -> None:
        crs = {"type": "name", "properties": {"name": name}}
        assert parse_area(POLYGON | {"crs": crs}).crs == "EPSG:4326"
        swapped = shapely.geometry.mapping(shapely.box(42.6, 141.8, 42.9, 142.1))
        with pytest.raises(RequestError, match="look swapped"):
            parse_area(swapped | {"crs": crs})

    def test_bow_tie_is_mended(self) -> None:
        tie = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}
        area = parse_area(tie)
        assert area.geometry.is_valid
        assert area.geometry.area == pytest.approx(2)

    def test_heights_are_dropped(self) -> None:
        area = parse_area(shapely.Polygon([(0, 0, 5), (1, 0, 5), (1, 1, 5)]))
        assert not shapely.has_z(area.geometry)

    def test_geobox(self) -> None:
        geobox = GeoBox.from_bbox((560000, 4710000, 585000, 4750000), "EPSG:32654", resolution=10)
        area = parse_area(geobox)
        assert area.crs == "EPSG:32654"
        assert area.source.bounds == (560000, 4710000, 585000, 4750000)

    def test_text_of_an_area_is_its_bounds(self) -> None:
        assert str(parse_area((-71, -33, -70, 1))) == "33.000 S to 1.000 N, 71.000 W to 70.000 W"


class TestFiles:
    def write(self, path: Path, crs: str | None, bounds: tuple[float, ...]) -> Path:
        import geopandas

        frame = geopandas.GeoDataFrame(geometry=[shapely.box(*bounds)], crs=crs)
        frame.to_file(path)
        return path

    @pytest.mark.parametrize("name", ["place.gpkg", "place.geojson", "place.shp"])
    def test_vector_file(self, tmp_path: Path, name: str) -> None:
        path = self.write(tmp_path / name, "EPSG:4326", BOX)
        assert parse_area(path).bbox == pytest.approx(BOX)
        assert parse_area(str(path)).bbox == pytest.approx(BOX)

    def test_projected_file_keeps_its_own_coordinates(self, tmp_path: Path) -> None:
        bounds = (560000.0, 4710000.0, 585000.0, 4750000.0)
        area = parse_area(self.write(tmp_path / "utm.gpkg", "EPSG:32654", bounds))
        assert area.source.bounds == bounds
        assert area.bbox == pytest.approx((141.728, 42.538, 142.04, 42.903), abs=0.01)

    def test_geodataframe(self) -> None:
        import geopandas

        frame = geopandas.GeoDataFrame(geometry=[shapely.box(*BOX)], crs="EPSG:4326")
        assert parse_area(frame).bbox == BOX
        assert parse_area(frame.to_crs(3857)).bbox == pytest.approx(BOX)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match=r"'nowhere\.gpkg' does not exist") as caught:
            parse_area(tmp_path / "nowhere.gpkg")
        assert str(tmp_path) not in str(caught.value)

    def test_unreadable_file(self, tmp_path: Path) -> None:
        path = tmp_path / "broken.gpkg"
        path.write_bytes(b"no geopackage")
        with pytest.raises(RequestError, match="cannot be read as a vector file") as caught:
            parse_area(path)
        assert str(tmp_path) not in str(caught.value)

    def test_table_without_geometry(self, tmp_path: Path) -> None:
        path = tmp_path / "table.csv"
        path.write_text("a,b\n1,2\n")
        with pytest.raises(RequestError, match="table without geometries"):
            parse_area(path)

    def test_file_without_crs_that_is_not_in_degrees(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "bare.shp", None, (560000, 4710000, 585000, 4750000))
        with pytest.raises(RequestError, match="names no coordinate reference system"):
            parse_area(path)

    @pytest.mark.real
    def test_surveyed_area_of_iburi(self, real_data: Path) -> None:
        area = parse_area(real_data / "inventory" / "handoku_Area.geojson")
        assert area.bbox == pytest.approx((141.817, 42.550, 142.150, 42.913), abs=0.001)

    @pytest.mark.real
    def test_zipped_shapefile(self, real_data: Path) -> None:
        area = parse_area(real_data / "inventory" / "iburi_sanpuku_shp_original.zip")
        assert area.bbox == pytest.approx((141.832, 42.589, 142.139, 42.882), abs=0.001)


class TestRefusals:
    @pytest.mark.parametrize(
        ("area", "message"),
        [
            ((42.6, 141.8, 42.9, 142.1), "look swapped"),
            (shapely.box(42.6, 141.8, 42.9, 142.1), "look swapped"),
            ((141.8, 142.1, 42.6, 42.9), "no degree"),
            ((560000, 4710000, 585000, 4750000), "no degree"),
            ((170.0, -20.0, -170.0, -10.0), "antimeridian is not supported"),
            (
                shapely.MultiPolygon([shapely.box(-180, 0, -179, 1), shapely.box(179, 0, 180, 1)]),
                "spans 360 degrees.*antimeridian",
            ),
            ((141.8, 42.9, 142.1, 42.6), "south above its north"),
            ((141.8, 42.6, 141.8, 42.9), "has no extent"),
            (shapely.Point(142, 42.7), "has no extent"),
            (shapely.LineString([(142, 42.7), (143, 42.7)]), "has no extent"),
            (shapely.Polygon(), "empty geometry"),
            (shapely.from_wkt("POLYGON ((0 0, 1 nan, 1 1, 0 0))"), "not finite"),
            ((141.8, 42.6, math.nan, 42.9), "four finite numbers"),
            ((141.8, 42.6, 142.1), "four finite numbers"),
            ((141.8, 42.6, 142.1, "north"), "four finite numbers"),
            ("", "area is empty"),
            ("141.8,42.6,142.1", "four finite numbers"),
            ("{broken", "not valid GeoJSON"),
            ({"type": "Polygon"}, "not a valid GeoJSON Polygon"),
            ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "not a valid GeoJSON"),
            ({"type": "FeatureCollection", "features": []}, "no features"),
            ({"nonsense": 1}, "not a valid GeoJSON"),
            (None, "cannot be a NoneType"),
            (42, "cannot be a int"),
        ],
    )
    def test_one_sentence(self, area: Any, message: str) -> None:
        with pytest.raises(RequestError, match=message) as caught:
            parse_area(area)
        text = str(caught.value)
        assert text.endswith(".")
        assert "\n" not in text

    def test_unknown_crs(self) -> None:
        crs = {"type": "name", "properties": {"name": "EPSG:999999"}}
        with pytest.raises(RequestError, match="PROJ does not know"):
            parse_area(POLYGON | {"crs": crs})

    def test_coordinates_outside_their_crs(self) -> None:
        crs = {"type": "name", "properties": {"name": "EPSG:32654"}}
        far = shapely.geometry.mapping(shapely.box(1e12, 1e12, 2e12, 2e12))
        with pytest.raises(RequestError, match="outside the domain"):
            parse_area(far | {"crs": crs})


def test_areas_are_values() -> None:
    assert parse_area(BOX) == parse_area(list(BOX))
    assert isinstance(parse_area(BOX), Area)
