"""GDAL's block cache: bounded, in bytes, while pixels are read or written, and then as it was."""

from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.transform import from_origin

from sarmap.acquire.handles import lease
from sarmap.export.cog import write_cog
from sarmap.gdal import gdal


def cache() -> int:
    return int(get_gdal_config("GDAL_CACHEMAX"))


@pytest.fixture
def image(tmp_path: Path) -> str:
    file = str(tmp_path / "image.tif")
    profile = {"driver": "GTiff", "width": 16, "height": 16, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        file, "w", crs="EPSG:32654", transform=from_origin(0, 160, 10, 10), **profile
    ) as out:
        out.write(np.ones((1, 16, 16), "uint8"))
    return file


def test_a_read_has_megabytes_of_cache_and_no_twentieth_of_the_machine(image: str) -> None:
    with lease(image):
        assert 2**24 <= cache() <= 2**28


def test_the_caller_s_cache_is_as_it_was_also_inside_an_environment_of_theirs(image: str) -> None:
    before = cache()
    with rasterio.Env():
        with lease(image):
            pass
        assert cache() == before
    assert cache() == before


def test_reads_that_overlap_on_two_threads_leave_the_cache_as_it_was(image: str) -> None:
    before = cache()
    first_in, second_in, first_out = Event(), Event(), Event()

    def first() -> None:
        with lease(image):
            first_in.set()
            second_in.wait(10)
        first_out.set()

    def second() -> None:
        first_in.wait(10)
        with lease(image):
            second_in.set()
            first_out.wait(10)

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache() == before


def test_a_failed_read_leaves_the_cache_as_it_was(tmp_path: Path) -> None:
    before = cache()
    with rasterio.Env(), pytest.raises(rasterio.errors.RasterioIOError), lease(str(tmp_path / "x")):
        pass
    assert cache() == before


def test_a_caller_s_smaller_cache_is_kept() -> None:
    before = cache()
    try:
        set_gdal_config("GDAL_CACHEMAX", 2**22)
        with gdal():
            assert cache() == 2**22
        assert cache() == 2**22
    finally:
        set_gdal_config("GDAL_CACHEMAX", before)


def test_an_image_is_written_with_megabytes_of_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rasterio.shutil

    seen, copy = [], rasterio.shutil.copy
    monkeypatch.setattr(
        "rasterio.shutil.copy", lambda *a, **k: (seen.append(cache()), copy(*a, **k))
    )
    area = xr.Dataset(
        {
            "probability": (("y", "x"), np.array([[0.1, 0.7]], "float32")),
            "observation": (("y", "x"), np.array([[0, 0]], "uint8")),
        },
        coords={"y": [4735005.0], "x": [577905.0, 577915.0]},
    )
    area.coords["spatial_ref"] = (
        (),
        0,
        {"crs_wkt": "EPSG:32654", "GeoTransform": "577900 10 0 4735010 0 -10"},
    )
    before = cache()
    write_cog(area, tmp_path / "map.tif")
    assert seen
    assert min(seen) >= 2**24
    assert cache() == before
