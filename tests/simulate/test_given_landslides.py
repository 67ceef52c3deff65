"""Landslides from a file: the ground is made to fit them, whatever form the file has."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely

from sarmap.errors import RequestError
from sarmap.simulate.event import simulate_event

SMALL: dict[str, Any] = {
    "rows": 220,
    "columns": 240,
    "earlier": 0,
    "orbits": ("ascending",),
    "polarisations": ("vv",),
    "optical": False,
    "decoy": False,
}


def strips(crs: str) -> geopandas.GeoDataFrame:
    """Nine strips of 60 x 180 m around 142.1 E 42.75 N, turned this way and that."""
    place = geopandas.GeoSeries(geopandas.points_from_xy([142.1], [42.75]), crs=4326).to_crs(32654)
    shapes = []
    for number in range(9):
        x = place.x[0] + 500 * (number % 3 - 1)
        y = place.y[0] + 500 * (number // 3 - 1)
        box = shapely.box(x - 30, y - 90, x + 30, y + 90)
        shapes.append(shapely.affinity.rotate(box, 40 * number))
    frame = geopandas.GeoDataFrame({"出典": ["手描き"] * 9}, geometry=shapes, crs=32654)
    return frame.to_crs(crs)


@pytest.mark.parametrize("form", ["gpkg", "zip", "geojson"])
def test_the_ground_fits_given_landslides(tmp_path: Path, form: str) -> None:
    frame = strips("EPSG:2454" if form != "geojson" else "EPSG:4326")
    file = tmp_path / f"slides.{form if form != 'zip' else 'shp'}"
    frame.to_file(file, **({"encoding": "cp932"} if form == "zip" else {}))
    if form == "zip":
        (tmp_path / "slides.cpg").unlink(missing_ok=True)
        packed = tmp_path / "slides.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            for part in tmp_path.glob("slides.*"):
                if part != packed:
                    archive.write(part, f"folder/{part.name}")
        file = packed
    made = simulate_event(tmp_path / "event", inventory=file, seed=2, **SMALL)
    slides = geopandas.read_file(made.inventory)
    assert len(slides) == 9
    np.testing.assert_allclose(slides.area, 60 * 180, rtol=2e-3)
    middle = shapely.box(*made.area).centroid
    assert (middle.x, middle.y) == pytest.approx((142.1, 42.75), abs=0.003)
    assert (slides["slope_deg"].between(20, 35)).mean() > 0.75
    # falls along the long side, up or down
    along = (-40.0 * np.arange(9) - slides["aspect_deg"].to_numpy() + 90) % 180 - 90
    assert np.median(np.abs(along)) < 20


@pytest.mark.parametrize("name", ["iburi_sanpuku_shp_original.zip", "iburi_geojson_original.zip"])
@pytest.mark.filterwarnings("ignore:Inventory .* holds several layers")
def test_the_real_iburi_inventories(tmp_path: Path, real_data: Path, name: str) -> None:
    made = simulate_event(tmp_path / "event", inventory=real_data / "inventory" / name, **SMALL)
    slides = geopandas.read_file(made.inventory)
    assert made.landslides == len(slides) > 20
    large = slides[slides.area > 2_500]
    assert (large["slope_deg"].between(20, 36)).mean() > 0.6
    west, south, east, north = made.area
    assert 141.8 < west < east < 142.2
    assert 42.5 < south < north < 42.9


def test_a_place_without_landslides_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "slides.gpkg"
    strips("EPSG:32654").to_file(file)
    with pytest.raises(RequestError, match="center"):
        simulate_event(tmp_path / "event", inventory=file, center=(141.0, 42.0), **SMALL)
    assert not (tmp_path / "event").exists()


def test_the_sea_keeps_off_given_landslides(tmp_path: Path) -> None:
    place = geopandas.GeoSeries(geopandas.points_from_xy([142.1], [42.75]), crs=4326).to_crs(32654)
    corner = shapely.box(-1100, -1000, -1000, -900)
    moved = shapely.affinity.translate(corner, place.x[0], place.y[0])
    file = tmp_path / "corner.gpkg"
    geopandas.GeoDataFrame(geometry=[moved], crs=32654).to_file(file)
    made = simulate_event(tmp_path / "event", inventory=file, center=(142.1, 42.75), **SMALL)
    slides = geopandas.read_file(made.inventory)
    assert (slides["slope_deg"] > 15).all()
