"""`sarmap scan --control`: every unit has its control, and together they say one thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sarmap
from sarmap.errors import RequestError


@pytest.fixture
def fields(event: Any, server: Any) -> dict[str, Any]:
    """The small event, in several units."""
    return {
        "area": event.area,
        "event": event.event,
        "catalog": server.catalog,
        "detector": "log-ratio",
        "orbit": "ascending",
        "control": True,
    }


def test_units_agree_with_one_map_and_add_up(fields: dict[str, Any], tmp_path: Path) -> None:
    request = sarmap.ScanRequest(
        **fields, out=str(tmp_path / "scan"), unit=256, chunk=256, products=()
    )
    result = sarmap.scan(request)
    assert result.control is not None
    assert result.control["units"] == result.count("done") > 1
    (zone,) = sarmap.open_scan(result.path).datasets.values()
    control = zone["control_probability"].compute()
    seen = np.isfinite(control.values)
    assert ((zone["control_observation"].values == 0) == seen).all()
    assert result.control["control_seen_km2"] == pytest.approx(seen.sum() / 1e4, abs=0.001)
    called = (control.values >= np.float32(0.5)).sum() / 1e4
    assert result.control["control_mapped_km2"] == pytest.approx(called, abs=0.001)

    one = sarmap.map_landslides(
        sarmap.MapRequest(**fields | {"area": request.area}, out=str(tmp_path / "one.zarr"))
    ).dataset["control_probability"]
    inner = {"y": slice(16, -16), "x": slice(16, -16)}  # units read on where one map mirrors
    both = control.sel(y=slice(one.y[0], one.y[-1]), x=slice(one.x[0], one.x[-1])).isel(inner)
    one = one.isel(inner)
    together = np.isfinite(both.values) & np.isfinite(one.values)
    assert together.mean() > 0.8
    np.testing.assert_array_equal(both.values[together], one.values[together])


def test_another_control_is_another_scan(fields: dict[str, Any], tmp_path: Path) -> None:
    request = sarmap.ScanRequest(
        **fields, out=str(tmp_path / "scan"), unit=512, chunk=256, products=()
    )
    first = sarmap.scan(request)
    again = sarmap.scan(request.model_copy(update={"resume": True}))
    assert again.control == first.control
    with pytest.raises(RequestError, match="control True, and this request has control False"):
        sarmap.scan(request.model_copy(update={"resume": True, "control": False}))
