"""Stored numbers to power: scale, offset and unit of files and records, and which band is which."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from sarmap.acquire import values
from sarmap.acquire.cube import open_cube
from sarmap.errors import RequestError

OBSERVED, NO_DATA = 0, 1
POWER = np.array([[0.02, 0.08, 1.0, 0.5], [0.004, 3.0, 0.25, 0.1]], np.float32)
DB = np.array([[-16.9897, -10.9691, 0.0, -3.0103], [-23.9794, 4.7712, -6.0206, -10.0]])  # of POWER


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_warned", set())


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A file of (band, y, x) numbers with tags of its own."""

    def make(bands: Any, *, tags: Any = None, nodata: float | None = None) -> Path:
        stack = np.asarray(bands)
        stack = stack if stack.ndim == 3 else stack[np.newaxis]
        lattice = Affine(10, 0, 600_000, 0, -10, 4_740_000)
        with rasterio.open(
            tmp_path / "a.tif", "w", driver="GTiff", count=len(stack), height=2, width=4,
            dtype=stack.dtype, crs="EPSG:32654", transform=lattice, nodata=nodata,
        ) as made:  # fmt: skip
            made.write(stack)
            for name, values in (tags or {}).items():
                setattr(made, name, values)
        return tmp_path / "a.tif"

    return make


@pytest.fixture
def read(kit: Any) -> Callable[..., Any]:
    """The cube of one file under a catalogue's settings."""

    def make(
        path: Path, *, fields: Any = None, bands: tuple[str, ...] = ("vv",), **told: Any
    ) -> Any:
        asset = {"href": str(path), **(fields or {})}
        item = kit.item("S1_x", {"vv": asset, "file": path})
        passes = kit.passes(
            {"pre": [item], "post_1": [item]}, settings=replace(kit.settings, **told)
        )
        return open_cube(passes, kit.box(2, 4), bands=bands).isel(time=0).compute()

    return make


class TestScale:
    """Of the file's tags, of `raster:bands`, or told; applied before anything is judged."""

    def test_of_the_file(self, write: Any, read: Any) -> None:
        stored = np.round(POWER / 1e-4).astype(np.uint16)
        cube = read(write(stored, tags={"scales": (1e-4,)}, nodata=0))
        np.testing.assert_allclose(cube.vv, POWER, rtol=1e-6)

    def test_of_the_record(self, write: Any, read: Any) -> None:
        stored = (np.round(POWER / 1e-4) + 10_000).astype(np.uint16)
        stored[0, 0], stored[0, 1] = 0, 9_000  # no data, and -0.1 after the offset
        fields = {"raster:bands": [{"scale": 1e-4, "offset": "-1.0", "nodata": 0}]}
        cube = read(write(stored), fields=fields)
        assert np.isnan(cube.vv.values[0, :2]).all()
        np.testing.assert_allclose(cube.vv.values[:, 2:], POWER[:, 2:], rtol=1e-4)

    def test_of_the_file_before_that_of_the_record(self, write: Any, read: Any) -> None:
        path = write(np.round(POWER / 1e-4).astype(np.uint16), tags={"scales": (1e-4,)})
        cube = read(path, fields={"raster:bands": [{"scale": 1e-3}]})
        np.testing.assert_allclose(cube.vv, POWER, rtol=1e-6)

    def test_once_where_both_say_it(self, write: Any, read: Any) -> None:
        stored = np.round((POWER + 1) / 1e-4).astype(np.uint16)
        path = write(stored, tags={"scales": (1e-4,), "offsets": (-1.0,)})
        cube = read(path, fields={"bands": [{"raster:scale": 1e-4, "raster:offset": -1.0}]})
        np.testing.assert_allclose(cube.vv, POWER, rtol=2e-3)

    def test_as_told_before_all_others(self, write: Any, read: Any) -> None:
        path = write(np.round(POWER / 1e-3).astype(np.uint16), tags={"scales": (1e-4,)})
        np.testing.assert_allclose(read(path, factor=1e-3).vv, POWER, rtol=1e-6)

    def test_a_negative_number_may_be_power(self, write: Any, read: Any) -> None:
        stored = np.round(POWER / 1e-4 - 32_000).astype(np.int16)
        path = write(stored, tags={"scales": (1e-4,), "offsets": (3.2,)})
        np.testing.assert_allclose(read(path).vv, POWER, rtol=1e-3)


class TestUnits:
    """Decibel and amplitude are converted where that is told, and refused where they say so."""

    def test_decibel_in_whole_numbers(self, write: Any, read: Any) -> None:
        stored = np.round(DB * 100).astype(np.int16)
        stored[0, 0] = -32_768
        cube = read(write(stored, tags={"scales": (0.01,)}, nodata=-32_768), scaling="db")
        expected = POWER.copy()
        expected[0, 0] = expected[0, 2] = np.nan  # a stored zero is what surrounds the data
        np.testing.assert_allclose(cube.vv, expected, rtol=2e-3)

    def test_decibel_with_no_data_nobody_declared(self, write: Any, read: Any) -> None:
        stored = DB.astype(np.float32)
        stored[0] = [-9999.0, -np.inf, np.nan, -3.0103]
        cube = read(write(stored), scaling="db")
        assert cube.observation.values[0].tolist() == [NO_DATA] * 3 + [OBSERVED]
        np.testing.assert_allclose(cube.vv.values[1], POWER[1], rtol=1e-4)

    def test_amplitude(self, write: Any, read: Any) -> None:
        stored = np.sqrt(POWER)
        stored[0, 0], stored[0, 1] = -0.5, 0.0
        cube = read(write(stored), scaling="amplitude")
        assert np.isnan(cube.vv.values[0, :2]).all()
        np.testing.assert_allclose(cube.vv.values[1], POWER[1], rtol=1e-6)

    def test_digital_numbers(self, write: Any, read: Any) -> None:
        stored = np.round(np.sqrt(POWER) / 1e-4).astype(np.uint16)
        path = write(stored)
        told = read(path, scaling="dn", factor=1e-4)
        np.testing.assert_allclose(told.vv, POWER, rtol=2e-3)
        stated = read(path, scaling="dn", fields={"raster:bands": [{"scale": 1e-4}]})
        np.testing.assert_array_equal(stated.vv, told.vv)
        with pytest.raises(RequestError, match=r"item 'S1_x'.*set factor"):
            read(path, scaling="dn")

    @pytest.mark.parametrize(
        ("unit", "scaling"), [("dB", "db"), ("decibel", "db"), ("amplitude", "amplitude")]
    )
    def test_refused_by_the_records_word(
        self, write: Any, read: Any, unit: str, scaling: str
    ) -> None:
        path = write(DB.astype(np.float32))
        fields = {"raster:bands": [{"unit": unit}]}
        with pytest.raises(RequestError, match=rf"'S1_x', asset 'vv'.*set scaling: {scaling} "):
            read(path, fields=fields)
        assert read(path, fields=fields, scaling="db").vv.notnull().sum() == 7

    @pytest.mark.parametrize("tags", [{"units": ("dB",)}, {"descriptions": ("Gamma0_VV_db",)}])
    def test_refused_by_the_files_word(self, write: Any, read: Any, tags: Any) -> None:
        path = write(DB.astype(np.float32), tags=tags)
        with pytest.raises(RequestError, match=r"'S1_x', asset 'vv'.*decibel.*set scaling: db "):
            read(path)

    def test_the_largest_number_is_no_measurement(self, write: Any, read: Any) -> None:
        values = POWER.copy()
        values[0, :2] = np.finfo(np.float32).max, 1e12
        cube = read(write(values))
        assert np.isnan(cube.vv.values[0, :2]).all()
        assert np.isfinite(cube.vv.values[0, 2:]).all()

    def test_a_unit_of_power_is_none(self, write: Any, read: Any) -> None:
        path = write(POWER, tags={"units": ("m2/m2",)})
        np.testing.assert_array_equal(read(path, fields={"unit": "1"}).vv, POWER)

    def test_what_is_below_all_noise_is_no_data(self, write: Any, read: Any) -> None:
        faint = POWER.copy()
        faint[0, :2] = 3e-6, 1.1e-5
        cube = read(write(faint))
        assert cube.observation.values[0].tolist() == [NO_DATA, OBSERVED, OBSERVED, OBSERVED]


class TestBands:
    """VH is never VV in silence."""

    def test_each_band_as_it_is_numbered(self, write: Any, read: Any) -> None:
        path = write(np.stack([POWER, POWER / 4]))
        assets = {"vv": ("vv", 1), "vh": ("vv", 2)}
        cube = read(path, bands=("vv", "vh"), radar_assets=assets)
        np.testing.assert_array_equal(cube.vv, POWER)
        np.testing.assert_array_equal(cube.vh, POWER / 4)

    @pytest.mark.parametrize("who", ["file", "record", "record of STAC 1.0"])
    def test_a_band_by_its_name(self, write: Any, read: Any, who: str) -> None:
        tags = {"descriptions": ("Gamma0_VH", "Gamma0_VV")} if who == "file" else None
        names = [{"name": "VH"}, {"name": "VV"}]
        fields = {"record": {"bands": names}, "record of STAC 1.0": {"eo:bands": names}}
        cube = read(write(np.stack([POWER / 4, POWER]), tags=tags), fields=fields.get(who))
        np.testing.assert_array_equal(cube.vv, POWER)

    def test_a_number_that_the_file_contradicts(self, write: Any, read: Any) -> None:
        path = write(np.stack([POWER / 4, POWER]), tags={"descriptions": ("VH", "VV")})
        with pytest.raises(RequestError, match=r"Band 1 of item 'S1_x'.*calls band 2 that"):
            read(path, radar_assets={"vv": ("vv", 1)})

    def test_more_bands_than_anybody_named(
        self, write: Any, read: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            cube = read(write(np.stack([POWER, POWER / 4])))
        np.testing.assert_array_equal(cube.vv, POWER)
        assert "has 2 bands, and band 1 is read as VV: name the band in radar_assets" in caplog.text

    def test_one_band_is_the_one_that_was_meant(self, write: Any, read: Any) -> None:
        path = write(POWER, tags={"descriptions": ("HH",)})
        np.testing.assert_array_equal(read(path).vv, POWER)
