"""What a control leaves of a map, from counts that are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from sarmap.assess.control import beyond_control, read_control
from sarmap.errors import RequestError
from sarmap.export.control_words import described
from sarmap.store.result import write_zarr


def a_map(probability: np.ndarray, control: np.ndarray | None) -> xr.Dataset:
    rows, columns = probability.shape
    layers = {"probability": probability} | ({} if control is None else {"control": control})
    variables = {}
    for name, values in layers.items():
        prefix = "control_" if name == "control" else ""
        variables[f"{prefix}probability"] = (("y", "x"), values.astype(np.float32))
        codes = np.where(np.isnan(values), 1, 0).astype(np.uint8)
        variables[f"{prefix}observation"] = (("y", "x"), codes)
    made = xr.Dataset(
        variables,
        coords={"y": 5.0 - 10.0 * np.arange(rows), "x": 5.0 + 10.0 * np.arange(columns)},
    )
    made.coords["spatial_ref"] = (
        (),
        0,
        {"crs_wkt": "EPSG:32654", "GeoTransform": "0 10 0 10 0 -10"},
    )
    return made


@pytest.mark.parametrize("stored", [False, True])
def test_areas_are_counted_pixel_by_pixel(stored: bool, tmp_path: Path) -> None:
    probability = np.zeros((300, 520))
    probability[:10, :100] = 0.9  # 1000 pixels mapped
    probability[250:, :] = np.nan  # 50 x 520 pixels not seen after the event
    control = np.zeros((300, 520))
    control[100:102, 100:150] = 0.7  # one patch of 100 pixels
    control[200, 500] = 0.5  # and one of a single pixel
    control[:, :20] = np.nan  # not seen before the event
    dataset = a_map(probability, control)
    source = write_zarr(dataset, tmp_path / "map.zarr") if stored else dataset
    found = read_control(source, min_area=500.0)
    assert found.mapped_km2 == pytest.approx(0.1)
    assert found.seen_km2 == pytest.approx(250 * 520 / 1e4)
    assert found.control_seen_km2 == pytest.approx(300 * 500 / 1e4)
    assert found.control_mapped_km2 == pytest.approx(101 / 1e4)
    assert found.control_polygons == 1
    assert found.false_m2_per_km2 == pytest.approx(101 * 100 / 15.0)
    assert found.beyond_km2 == pytest.approx(0.1 - 101 / 1e4 / 15.0 * 13.0)
    assert math.isnan(found.interval.low)  # six blocks are too few


def test_the_interval_holds_the_value_and_grows_with_the_spread_of_blocks() -> None:
    rng = np.random.default_rng(3)
    even = np.column_stack([np.full(64, 5.0), np.full(64, 6.5), np.full(64, 1.0), np.full(64, 6.5)])
    uneven = even.copy()
    uneven[:, 0] = rng.gamma(0.3, 5 / 0.3, 64)
    value, interval = beyond_control(uneven)
    assert interval.low < value < interval.high
    assert beyond_control(even)[1].high - beyond_control(even)[1].low < 1e-9


@given(st.integers(0, 6500), st.integers(0, 6500))
def test_a_detector_that_calls_as_much_before_as_after_leaves_nothing(after: int, of: int) -> None:
    areas = np.tile([min(after, of), of, min(after, of), of], (20, 1)).astype(float)
    value, _ = beyond_control(areas)
    assert math.isnan(value) if of == 0 else value == pytest.approx(0, abs=1e-6)


def test_a_map_without_control_says_how_to_get_one() -> None:
    with pytest.raises(RequestError, match="make it with control=True"):
        read_control(a_map(np.zeros((4, 4)), None))


def test_a_control_that_saw_nothing_says_nothing() -> None:
    found = read_control(a_map(np.ones((4, 4)), np.full((4, 4), np.nan)))
    assert found.record()["false_m2_per_km2"] is None
    assert "says nothing of false alarms" in described(found.record())
