"""Regions of any kind: across zones, the equator and the antimeridian, in every form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from odc.geo.geobox import GeoBox

from sarmap.errors import RequestError
from sarmap.regions.region import in_crs, outline, parse_region, zones_of

FIJI = (177.0, -19.5, -178.5, -16.0)
CUT = shapely.MultiPolygon(
    [shapely.box(177, -19.5, 180, -16), shapely.box(-180, -19.5, -178.5, -16)]
)


def _geojson(geometry: Any) -> dict[str, Any]:
    return json.loads(shapely.to_geojson(geometry))


FORMS = {
    "bbox": FIJI,
    "text": "177.0, -19.5, -178.5, -16.0",
    "cut at 180": CUT,
    "beyond 180": shapely.box(177, -19.5, 181.5, -16),
    "jumping": shapely.Polygon([(177, -19.5), (-178.5, -19.5), (-178.5, -16), (177, -16)]),
    "geojson": _geojson(CUT),
    "feature": {"type": "Feature", "properties": {}, "geometry": _geojson(CUT)},
    "geojson text": json.dumps(_geojson(CUT)),
    "frame": gpd.GeoDataFrame(geometry=[CUT], crs="EPSG:4326"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_place_across_the_antimeridian_is_the_same_in_every_form(form: str) -> None:
    region = parse_region(FORMS[form])
    assert region.bbox == pytest.approx(FIJI)
    assert shapely.symmetric_difference(region.geometry, CUT).area < 1e-9


def test_a_file_across_the_antimeridian_is_read(tmp_path: Path) -> None:
    file = tmp_path / "fiji.gpkg"
    gpd.GeoDataFrame(geometry=[CUT], crs="EPSG:4326").to_file(file)
    assert parse_region(str(file)).bbox == pytest.approx(FIJI)
    moved = gpd.GeoDataFrame(geometry=[shapely.box(177, -19, 181, -17)], crs="EPSG:4326")
    projected = tmp_path / "projected.gpkg"
    moved.to_crs("EPSG:3832").to_file(projected)  # Pacific-centred: no jump at 180 degrees
    west, south, east, north = parse_region(str(projected)).bbox
    assert (west, east) == pytest.approx((177, -179), abs=1e-6)
    assert (south, north) == pytest.approx((-19, -17), abs=1e-6)


def test_holes_are_kept_on_both_sides() -> None:
    ring = shapely.box(178, -19, 182, -15).difference(shapely.box(179, -18, 181, -16))
    region = parse_region(ring)
    assert region.geometry.area == pytest.approx(16 - 4)


@pytest.mark.parametrize(
    ("area", "sentence"),
    [
        ((10.0, 50.0, 5.0, 40.0), "south above its north"),
        ((142.0, 40.0, 142.0, 41.0), "no extent"),
        ("nowhere.gpkg", "does not exist"),
        ("", "empty"),
    ],
)
def test_what_is_no_place_is_refused_in_words(area: Any, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        parse_region(area)


def test_a_region_is_split_into_utm_zones_without_loss() -> None:
    region = parse_region((35.5, -1.0, 42.5, 1.0))
    zones = zones_of(region)
    assert [zone.epsg for zone in zones] == [32636, 32736, 32637, 32737, 32638, 32738]
    assert sum(zone.geometry.area for zone in zones) == pytest.approx(region.geometry.area)


def test_fiji_lies_in_the_first_and_the_last_zone() -> None:
    zones = {zone.name: zone for zone in zones_of(parse_region(FIJI))}
    assert set(zones) == {"1S", "60S"}
    for zone in zones.values():
        moved = in_crs(zone.geometry, zone.epsg)
        left, _, right, _ = moved.bounds
        assert right - left < 400_000  # not around the globe


def test_zones_without_area_are_not_made() -> None:
    islands = shapely.union_all([shapely.box(1, 1, 1.1, 1.1), shapely.box(30.5, 1, 30.6, 1.1)])
    assert [zone.name for zone in zones_of(parse_region(islands))] == ["31N", "36N"]


def test_beyond_utm_a_crs_must_be_given() -> None:
    far = parse_region((10.0, 83.0, 20.0, 85.0))
    with pytest.raises(RequestError, match="give crs="):
        zones_of(far)
    assert [zone.epsg for zone in zones_of(far, 3995)] == [3995]


def test_the_outline_of_a_grid_across_the_antimeridian_is_in_one_piece() -> None:
    grid = GeoBox.from_bbox((800_000, 8_100_000, 830_000, 8_120_000), "EPSG:32760", resolution=100)
    west, _, east, _ = outline(grid).bounds
    assert west < 180 < east
    assert east - west < 1


def test_a_polygon_keeps_its_edges_when_it_is_projected() -> None:
    moved = in_crs(shapely.box(141, 42, 142, 43), 32654)
    corners = shapely.get_coordinates(moved)
    assert len(corners) > 100  # the parallel bends in the projection
    assert np.isfinite(corners).all()
