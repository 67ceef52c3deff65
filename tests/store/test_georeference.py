"""A map lies where its pixel centres say, to the last half pixel."""

import numpy as np
import pyproj
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from sarmap.errors import RequestError
from sarmap.store.georeference import coordinate_attrs, geobox_of, spatial_ref_attrs


def dataset(y, x, crs="EPSG:32654", transform=None):
    attrs = {"crs_wkt": crs} | ({"GeoTransform": transform} if transform else {})
    return xr.Dataset(coords={"y": y, "x": x, "spatial_ref": ((), 0, attrs)})


@given(
    rows=st.integers(2, 5000),
    columns=st.integers(2, 5000),
    west=st.integers(-1000, 90000),
    north=st.integers(-1000, 90000),
    step=st.sampled_from([10, 30, 2.5, 0.3]),
)
def test_the_corner_is_half_a_pixel_out_from_the_first_centre(rows, columns, west, north, step):
    x = west * step + step * (np.arange(columns) + 0.5)
    y = north * step - step * (np.arange(rows) + 0.5)
    transform = geobox_of(dataset(y, x)).transform
    assert transform.a == pytest.approx(step)
    assert transform.e == pytest.approx(-step)
    assert transform.c == pytest.approx(west * step, abs=1e-6 * step)
    assert transform.f == pytest.approx(north * step, abs=1e-6 * step)


def test_one_pixel_takes_its_size_from_the_geotransform():
    with pytest.raises(RequestError, match="GeoTransform"):
        geobox_of(dataset([5.0], [5.0]))
    one = geobox_of(dataset([15.0], [25.0], transform="0 10 0 100 0 -10"))
    assert (one.transform.c, one.transform.f) == (20, 20)


def test_a_stale_geotransform_does_not_move_a_part_of_a_map():
    part = dataset([85.0, 75.0], [25.0, 35.0], transform="0 10 0 100 0 -10")
    assert (geobox_of(part).transform.c, geobox_of(part).transform.f) == (20, 90)


def test_uneven_missing_or_unreferenced_coordinates_are_refused():
    with pytest.raises(RequestError, match="evenly"):
        geobox_of(dataset([0.0, 1.0, 5.0], [0.0, 1.0]))
    with pytest.raises(RequestError, match="'x'"):
        geobox_of(xr.Dataset(coords={"y": [1.0, 2.0]}))
    with pytest.raises(RequestError, match="reference system"):
        geobox_of(xr.Dataset(coords={"y": [1.0, 2.0], "x": [1.0, 2.0]}))


@pytest.mark.parametrize("epsg", [32654, 32733, 4326, 2225])
def test_the_cf_record_gives_back_the_reference_system(epsg):
    grid = geobox_of(dataset([2.0, 1.0], [1.0, 2.0], crs=f"EPSG:{epsg}"))
    attrs = spatial_ref_attrs(grid)
    assert pyproj.CRS.from_cf(attrs) == pyproj.CRS.from_epsg(epsg)
    assert pyproj.CRS.from_wkt(attrs["spatial_ref"]).to_epsg() == epsg
    units = {32654: "m", 32733: "m", 4326: "degrees_east", 2225: "US survey foot"}
    assert coordinate_attrs(grid, "x")["units"] == units[epsg]
