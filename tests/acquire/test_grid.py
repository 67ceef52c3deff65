"""The grid covers its place and lies on whole multiples of the resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info

from sarmap.acquire.area import parse_area
from sarmap.acquire.grid import make_grid, utm_epsg
from sarmap.errors import RequestError

IBURI = (141.84, 42.60, 142.13, 42.88)
EVENT_GRID = GeoBox.from_bbox(
    (564000, 4714000, 564000 + 23460, 4714000 + 38420),
    "EPSG:32654",
    shape=(3842, 2346),
    tight=True,
)


@given(
    west=st.floats(-179, 178),
    south=st.floats(-79, 82),
    width=st.floats(1e-4, 1),
    height=st.floats(1e-4, 1),
    resolution=st.sampled_from([5, 10, 20, 30, 12.5]),
)
@settings(max_examples=100, deadline=None)
def test_grid_is_snapped_and_covers_every_edge(
    west: float, south: float, width: float, height: float, resolution: float
) -> None:
    bbox = (west, south, west + width, south + height)
    grid = make_grid(bbox, resolution=resolution)
    box = grid.boundingbox
    for edge in box:
        assert edge / resolution == pytest.approx(round(edge / resolution), abs=1e-6)
    assert min(grid.shape) >= 1
    assert (box.right - box.left) / resolution == pytest.approx(grid.shape.x)
    to_grid = Transformer.from_crs("EPSG:4326", str(grid.crs), always_xy=True)
    edge = shapely.segmentize(shapely.box(*bbox), max(width, height) / 20)
    for x, y in shapely.get_coordinates(edge):
        px, py = to_grid.transform(x, y)
        assert box.left - 0.1 <= px <= box.right + 0.1
        assert box.bottom - 0.1 <= py <= box.top + 0.1


@given(
    left=st.integers(-3000, 3000),
    bottom=st.integers(100_000, 800_000),
    columns=st.integers(1, 500),
    rows=st.integers(1, 500),
)
@settings(max_examples=50, deadline=None)
def test_place_in_the_grids_own_crs_comes_back_exactly(
    left: int, bottom: int, columns: int, rows: int
) -> None:
    bounds = (
        500_000 + left * 10,
        bottom * 10,
        500_000 + (left + columns) * 10,
        (bottom + rows) * 10,
    )
    geobox = GeoBox.from_bbox(bounds, "EPSG:32654", shape=(rows, columns), tight=True)
    assert make_grid(parse_area(geobox), crs=32654) == geobox


@given(thousandths=st.tuples(st.integers(-180_000, 179_999), st.integers(-79_000, 79_000)))
@settings(max_examples=15, deadline=None)
def test_zone_is_one_that_proj_knows_for_the_point(thousandths: tuple[int, int]) -> None:
    longitude, latitude = (value / 1000 for value in thousandths)
    known = query_utm_crs_info(
        datum_name="WGS 84",
        area_of_interest=AreaOfInterest(longitude, latitude, longitude, latitude),
    )
    assert str(utm_epsg(longitude, latitude)) in {info.code for info in known}


def test_default_is_the_utm_zone_of_iburi() -> None:
    grid = make_grid(IBURI)
    assert grid.crs.epsg == 32654
    assert grid.resolution.xy == (10, -10)


def test_a_geobox_is_a_grid_already() -> None:
    assert make_grid(EVENT_GRID) is EVENT_GRID
    assert make_grid(EVENT_GRID, crs="EPSG:32654") is EVENT_GRID
    with pytest.raises(RequestError, match=r"GeoBox in EPSG:32654 while crs is 32653"):
        make_grid(EVENT_GRID, crs=32653)


def test_vector_file_in_the_grids_crs_gives_that_grid(tmp_path: Path) -> None:
    import geopandas

    path = tmp_path / "extent.gpkg"
    extent = shapely.box(*EVENT_GRID.boundingbox)
    geopandas.GeoDataFrame(geometry=[extent], crs="EPSG:32654").to_file(path)
    assert make_grid(path) == EVENT_GRID


def test_rounding_adds_no_row_or_column() -> None:
    left, bottom, right, top = EVENT_GRID.boundingbox
    nearly = shapely.box(left - 1e-6, bottom + 1e-6, right + 1e-6, top + 1e-6)
    crs = {"type": "name", "properties": {"name": "EPSG:32654"}}
    assert make_grid(shapely.geometry.mapping(nearly) | {"crs": crs}) == EVENT_GRID


def test_place_smaller_than_a_pixel_gets_one() -> None:
    grid = make_grid((142.000001, 42.7, 142.000002, 42.700001), resolution=30)
    assert grid.shape.yx in {(1, 1), (1, 2), (2, 1), (2, 2)}


@pytest.mark.parametrize("crs", [32654, "32654", "EPSG:32654", CRS.from_epsg(32654).to_wkt()])
def test_crs_in_any_form(crs: Any) -> None:
    assert make_grid(IBURI, crs=crs) == make_grid(IBURI)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crs": 4326}, "not projected in metres"),
        ({"crs": 2263}, "not projected in metres"),
        ({"crs": "nonsense"}, "not a known coordinate reference system"),
        ({"crs": "+proj=laea +lat_0=42 +lon_0=142"}, "has no EPSG code"),
        ({"resolution": 0}, "resolution is 0"),
        ({"resolution": -10}, "resolution is -10"),
        ({"resolution": float("nan")}, "resolution is nan"),
        ({"resolution": "ten"}, "resolution is 'ten'"),
        ({"resolution": 0.01}, "more than 200,000 along an edge"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_grid(IBURI, **arguments)


@pytest.mark.parametrize("bbox", [(100, 10, 130, 40), (-80, -10, -30, 10), (10, 84.5, 11, 85)])
def test_place_too_wide_or_too_far_north_for_utm(bbox: tuple[float, ...]) -> None:
    with pytest.raises(RequestError, match="does not fit into one UTM zone"):
        make_grid(bbox)


def test_wide_place_is_mapped_in_a_crs_that_suits_it() -> None:
    assert make_grid((100, 10, 130, 40), crs=6933, resolution=1000).crs.epsg == 6933


def test_geographic_geobox_is_refused() -> None:
    geobox = GeoBox.from_bbox(IBURI, "EPSG:4326", resolution=0.001)
    with pytest.raises(RequestError, match="not projected in metres"):
        make_grid(geobox)


@pytest.mark.real
def test_inventory_fits_its_grid(real_data: Path) -> None:
    grid = make_grid(real_data / "inventory" / "handoku_Area.geojson")
    area = parse_area(real_data / "inventory" / "handoku_Area.geojson")
    assert grid.crs.epsg == 32654
    assert grid.geographic_extent.geom.buffer(1e-4).contains(area.geometry)
