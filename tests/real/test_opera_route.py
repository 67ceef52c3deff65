"""OPERA RTC-S1 over California, where no landslide happened: what is read, and what is called one.

The files are read twice: by the whole route, through a STAC API whose records say nothing of their
projection (as CMR-STAC's), HTTP and stackstac; and by plain rasterio. Pre-event pass 2021-11-25
(Sentinel-1B), after it 12-01 (1A) and 12-07 (1B).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import odc.geo.xr  # noqa: F401  (the .odc accessor)
import pytest
import scipy.ndimage
import shapely
import xarray as xr

import sarmap
from sarmap.errors import RequestError

pytestmark = pytest.mark.real

EVENT = ("2021-11-26T00:00Z", "2021-11-30T00:00Z")
DAYS = {"pre": "20211125", "post_1": "20211201", "post_2": "20211207"}
CRS = 32611
NORTH = (239_250.0, 3_850_590.0, 242_250.0, 3_853_590.0)
"""left, bottom, right, top of the northernmost burst's crop, EPSG:32611."""
ALL = (239_250.0, 3_813_660.0, 247_920.0, 3_853_590.0)
"""The same around all three."""


class Change:
    """A first look without slope: change of 2.5 dB from one pass to the mean of the two after it.

    Power is averaged over 5 x 5 px first.
    """

    kind = "pixel"
    scaling = "power"
    halo = 2

    def __init__(self, band: str) -> None:
        self.name = f"change-{band}"
        self.bands = tuple(f"{band}_{role}" for role in DAYS)

    def __call__(self, tiles: Any) -> Any:
        seen = np.isfinite(tiles)
        mean = self._box(np.where(seen, tiles, 0)) / self._box(seen.astype(np.float32))
        before, *after = np.moveaxis(np.where(seen, mean, np.nan), -1, 0)
        change = np.abs(10 * np.log10(np.mean(after, axis=0) / before))
        return (1 / (1 + np.exp(-2 * (change - 2.5)))).astype(np.float32)

    @staticmethod
    def _box(image: Any) -> Any:
        along = scipy.ndimage.convolve1d(image, np.full(5, 0.2), 1, mode="nearest")
        return scipy.ndimage.convolve1d(along, np.full(5, 0.2), 2, mode="nearest")


@pytest.fixture(scope="module")
def passes(opera: Any, opera_records: ModuleType, opera_folder: Path) -> Any:
    records = opera_records.records(opera_folder)
    place = shapely.union_all([shapely.geometry.shape(r["geometry"]) for r in records])
    return sarmap.search_passes(place, EVENT, catalog=opera)


@pytest.fixture(scope="module")
def grid(opera: Any) -> Any:
    from odc.geo.geobox import GeoBox

    return GeoBox.from_bbox(ALL, crs=CRS, resolution=30)


@pytest.fixture(scope="module")
def cube(passes: Any, grid: Any) -> xr.Dataset:
    return sarmap.open_cube(passes, grid, bands=("vv", "vh"), chunk=160).compute()


def test_both_satellites_of_one_track_are_paired_by_date(passes: Any) -> None:
    found = [(p.role, f"{p.datetime:%Y%m%d}", p.platform, len(p.items)) for p in passes]
    assert found == [
        ("pre", "20211125", "SENTINEL-1B", 3),
        ("post_1", "20211201", "SENTINEL-1A", 3),
        ("post_2", "20211207", "SENTINEL-1B", 3),
    ]
    assert (passes.orbit_state, passes.relative_orbit) == ("ascending", 137)
    assert all(p.coverage > 0.999 for p in passes)


@pytest.mark.parametrize("band", ["vv", "vh"])
def test_the_cube_holds_the_files_own_pixels(
    cube: xr.Dataset, opera_records: ModuleType, opera_folder: Path, band: str
) -> None:
    for time, role in enumerate(cube["role"].values):
        expected = opera_records.mosaic(opera_folder, DAYS[str(role)], band.upper(), ALL)
        np.testing.assert_array_equal(cube[band][time].values, expected)


def test_what_no_burst_covers_is_no_data_and_the_rest_is_observed(
    cube: xr.Dataset, opera_records: ModuleType, opera_folder: Path
) -> None:
    for time, role in enumerate(cube["role"].values):
        seen = np.isfinite(opera_records.mosaic(opera_folder, DAYS[str(role)], "VV", ALL))
        np.testing.assert_array_equal(cube["observation"][time].values == 0, seen)
        np.testing.assert_array_equal(cube["observation"][time].values == 1, ~seen)
        assert seen.sum() == 30_000  # three crops of 100 x 100


def test_pixel_centres_lie_half_a_pixel_inside_the_files(cube: xr.Dataset) -> None:
    assert float(cube["x"][0]) == ALL[0] + 15
    assert float(cube["y"][0]) == ALL[3] - 15
    assert cube.odc.geobox.crs.epsg == CRS


@pytest.mark.parametrize(
    ("name", "bands"),
    [
        ("BAA", [("vv", "pre"), ("vv", "post_1"), ("vv", "post_2")]),
        ("BAH", [("vv", "pre"), ("vv", "post_1"), ("vh", "post_1")]),
        ("HHH", [("vh", "pre"), ("vh", "post_1"), ("vh", "post_2")]),
    ],
)
def test_composites_are_amplitudes_of_the_files(
    cube: xr.Dataset,
    opera_records: ModuleType,
    opera_folder: Path,
    name: str,
    bands: list[tuple[str, str]],
) -> None:
    composite = sarmap.make_composite(cube, None, name)
    for band, (polarisation, role) in zip(composite, bands, strict=True):
        power = opera_records.mosaic(opera_folder, DAYS[role], polarisation.upper(), ALL)
        np.testing.assert_allclose(band.values, np.sqrt(power), rtol=1e-6)


DETECTORS = pytest.mark.parametrize(
    "detector",
    [
        pytest.param("cnn", id="BAA"),
        pytest.param("cnn-bah", id="BAH", marks=pytest.mark.nightly),  # as BAA, of the other band
        pytest.param(Change("vv"), id="BAA change"),
        pytest.param(Change("vh"), id="HHH change"),
    ],
)


@DETECTORS
def test_where_nothing_happened_little_is_called_a_landslide(
    opera: Any,
    grid: Any,
    detector: Any,
    opera_records: ModuleType,
    opera_folder: Path,
    tmp_path: Path,
    record_property: Any,
) -> None:
    request = sarmap.MapRequest(
        area=grid,
        event=EVENT,
        catalog=opera,
        detector=detector,
        resolution=30,
        out=str(tmp_path / "map.zarr"),
    )
    result = sarmap.map_landslides(request)
    stored = xr.open_zarr(result.path)
    seen = np.isfinite(opera_records.mosaic(opera_folder, DAYS["pre"], "VV", ALL))
    probability = stored["probability"].values
    np.testing.assert_array_equal(np.isfinite(probability), seen)
    assert result.observation["observed"] == 30_000
    assert not result.read_failed
    assert "OPERA RTC-S1" in stored.attrs["attribution"]
    assert "DEM" not in stored.attrs["attribution"]  # none was read
    called = probability[seen] >= 0.5
    # 30,000 pixels of 900 m2 are 27 km2
    record_property("false_alarm_share", float(called.mean()))
    record_property("false_alarm_km2_in_27_km2", float(called.sum() * 900e-6))
    assert called.mean() < 0.02


@DETECTORS
def test_where_a_patch_is_made_darker_by_6_db_it_is_found(cube: xr.Dataset, detector: Any) -> None:
    """Few false alarms mean little from a detector that finds nothing: so it is given something."""
    patch = np.zeros((100, 100), bool)
    patch[40:70, 40:70] = True
    changed = cube.isel(y=slice(100), x=slice(100)).copy(deep=True)  # the northern burst
    changed["vv"].values[1:, patch] *= 10**-0.6
    # The networks know landslides, which show less in VH (paper 1); a plain VH ratio needs it all.
    changed["vh"].values[1:, patch] *= 10**-0.2 if isinstance(detector, str) else 10**-0.6
    loaded: Any = sarmap.load_detector(detector) if isinstance(detector, str) else detector
    composite = sarmap.make_composite(changed, None, loaded.bands, scaling=loaded.scaling)
    called = sarmap.predict(composite, loaded)["probability"].values >= 0.5
    assert called[patch].mean() > 0.5
    assert called[~patch].mean() < 0.05


def test_records_without_projection_map_as_a_mirrors_that_carry_it(
    opera: Any, opera_records: ModuleType, opera_folder: Path, grid: Any, cube: xr.Dataset
) -> None:
    from sarmap.simulate.serve import serve_catalog

    plain = opera_records.records(opera_folder)
    assert not [key for record in plain for key in record["properties"] if "proj" in key]
    mirror = opera_records.records(opera_folder, projected=True)
    with serve_catalog(mirror, [opera_records.collection()], opera_folder) as server:
        settings = replace(opera, url=server.url, projection_from_file=False)
        passes = sarmap.search_passes(grid, EVENT, catalog=settings)
        stated = sarmap.open_cube(passes, grid, bands=("vv", "vh")).compute()
    for name in ("vv", "vh", "observation"):
        np.testing.assert_array_equal(stated[name].values, cube[name].values)


def test_without_leave_to_read_headers_such_records_are_refused(opera: Any, grid: Any) -> None:
    passes = sarmap.search_passes(grid, EVENT, catalog=replace(opera, projection_from_file=False))
    with pytest.raises(RequestError, match=r"OPERA_L2_RTC-S1_T137-\S+ has no proj:code"):
        sarmap.open_cube(passes, grid, bands=("vv",))
