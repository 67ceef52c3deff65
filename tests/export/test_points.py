"""Hits of a window classifier become points at the exact window centres."""

import geopandas
import numpy as np
import pytest
import xarray as xr

from sarmap.errors import RequestError
from sarmap.export.points import window_points, write_points
from sarmap.store.result import write_zarr


def make_map():
    y, x = 4800000 - 10 * (np.arange(9) + 0.5), 500005 + 10.0 * np.arange(8)
    windows = np.array([[0.1, 0.5, np.nan], [0.9, 0.499, 0.2], [0.3, 0.3, 1.0]], np.float32)
    dataset = xr.Dataset(
        {
            "probability": (("y", "x"), np.full((9, 8), 0.5, np.float32)),
            "observation": (("y", "x"), np.zeros((9, 8), np.uint8)),
            "window_probability": (("window_y", "window_x"), windows),
        },
        coords={"y": y, "x": x, "window_y": y[[1, 4, 7]], "window_x": x[[1, 4, 6]]},
        attrs={"simulated": 1, "detector": "cnn", "scenes": [{"id": "S1B"}]},
    )
    dataset.coords["spatial_ref"] = ((), 0, {"crs_wkt": "EPSG:32654"})
    return dataset


def test_points_lie_on_the_centres_of_the_windows_that_hit():
    found = window_points(make_map())
    places = [(point.x, point.y) for point in found.geometry]
    assert places == [(500045, 4799985), (500015, 4799955), (500065, 4799925)]
    assert found["probability"].tolist() == [0.5, 0.9, 1.0]
    assert found["id"].tolist() == [1, 2, 3]
    assert found.crs.to_epsg() == 32654
    assert len(window_points(make_map(), threshold=0.6)) == 2


@pytest.mark.parametrize("suffix", ["gpkg", "parquet"])
def test_files_open_in_geopandas_from_a_stored_map(tmp_path, suffix):
    store = write_zarr(make_map().chunk(2), tmp_path / "map.zarr")
    file = write_points(store, tmp_path / f"a.{suffix}")
    frame = geopandas.read_file(file) if suffix == "gpkg" else geopandas.read_parquet(file)
    assert frame["simulated"].all()
    assert frame["detector"].tolist() == ["cnn"] * 3
    expected = window_points(make_map())
    assert frame.geometry.to_wkb().tolist() == expected.geometry.to_wkb().tolist()


def test_no_hit_gives_an_empty_file_with_all_columns(tmp_path):
    dataset = make_map()
    dataset["window_probability"] = dataset["window_probability"] * 0
    frame = geopandas.read_file(write_points(dataset, tmp_path / "a.gpkg"))
    assert len(frame) == 0
    assert "probability" in frame.columns


def test_a_map_without_windows_has_no_points():
    with pytest.raises(RequestError, match="maps pixels"):
        window_points(make_map().drop_vars("window_probability"))
