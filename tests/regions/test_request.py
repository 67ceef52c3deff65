"""The most urgent unit goes first."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from sarmap.errors import RequestError
from sarmap.regions.request import ScanRequest, check_request, distance, in_order

PIECES = {
    "a": shapely.box(10, 40, 11, 41),
    "b": shapely.box(11, 40, 12, 41),
    "c": shapely.box(12, 40, 13, 41),
}


def request(**given: object) -> ScanRequest:
    return ScanRequest(area=(10, 40, 13, 41), event="2018-09-05", **given)  # type: ignore[arg-type]


def test_nearest_the_epicentre_first() -> None:
    order = in_order(PIECES, request(epicentre=(12.2, 40.5)))
    assert list(order) == ["c", "b", "a"]
    assert order["c"] == 0
    # 0.2 degrees of longitude at 40.5 N: 111.32 km x cos(40.5) x 0.2 = 16.9 km
    assert order["b"] == pytest.approx(16.9, abs=0.2)


def test_distances_go_across_the_antimeridian() -> None:
    piece = shapely.box(-180, -18, -179, -17)
    # 0.5 degrees of longitude at 17.5 S: 111.32 km x cos(17.5) x 0.5 = 53.1 km
    assert distance(piece, (179.5, -17.5)) / 1000 == pytest.approx(53.1, abs=0.3)


def test_a_raster_says_what_matters(tmp_path: Path) -> None:
    file = tmp_path / "shaking.tif"
    values = np.zeros((10, 30), np.float32)
    values[5, 15], values[2, 2] = 9.0, 7.0
    with rasterio.open(
        file, "w", driver="GTiff", width=30, height=10, count=1, dtype="float32",
        crs="EPSG:4326", transform=Affine(0.1, 0, 10, 0, -0.1, 41),
    ) as target:  # fmt: skip
        target.write(values, 1)
    assert in_order(PIECES, request(priority=str(file))) == {"b": 9.0, "a": 7.0, "c": 0.0}
    assert request(priority=str(file)).order == "raster"


def test_polygons_say_what_matters(tmp_path: Path) -> None:
    file = tmp_path / "priority.gpkg"
    shapes = [shapely.box(12.1, 40.1, 12.2, 40.2), shapely.box(10.1, 40.1, 11.5, 40.2)]
    gpd.GeoDataFrame({"priority": [5.0, 2.0]}, geometry=shapes, crs="EPSG:4326").to_file(file)
    assert in_order(PIECES, request(priority=str(file))) == {"c": 5.0, "a": 2.0, "b": 2.0}


def test_without_either_the_order_is_that_of_the_lattice() -> None:
    assert list(in_order(PIECES, request())) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"order": "epicentre"}, "--epicentre"),
        ({"order": "raster"}, "--priority"),
        ({"epicentre": (200.0, 10.0)}, "longitude and latitude"),
        ({"out": None}, "out="),
        ({"products": ("cog",)}, "does not make cog"),
        ({"relative_orbit": 68}, "--relative-orbit"),
    ],
)
def test_what_lacks_something_is_refused_in_words(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        check_request(request(**given))


def test_a_priority_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"'absent\.tif' does not exist"):
        in_order(PIECES, request(priority=str(tmp_path / "absent.tif")))
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(RequestError, match=r"'text\.tif' cannot be read"):
        in_order(PIECES, request(priority=str(tmp_path / "text.tif")))
