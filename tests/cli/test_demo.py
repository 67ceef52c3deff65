"""`sarmap demo` goes the whole way offline, says SIMULATED, and replaces nothing but its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import pytest
import xarray as xr

from sarmap.export.products import PRODUCTS


@pytest.fixture
def demo(sarmap_cli: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    def run(*words: str) -> Any:
        places = ("--cache", tmp_path / "cache", "--out", tmp_path / "out")
        return sarmap_cli("demo", "--rows", 300, "--columns", 280, *places, *words)

    return run


def test_it_ends_with_a_map_a_picture_and_a_score(
    demo: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / "map.zarr").mkdir(parents=True)  # an earlier run left it empty
    first = demo("--json")
    assert first.code == 0, first.err
    record = json.loads(first.out)
    assert set(record["files"]) == set(PRODUCTS) - {"points"}
    assert 0 <= record["scores"]["f1"] <= 1
    assert xr.open_zarr(tmp_path / "out" / "map.zarr").attrs["simulated"] == 1

    import sarmap.simulate.event as simulator

    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the second run simulated again")

    monkeypatch.setattr(simulator, "simulate_event", fail)
    second = demo()
    assert second.code == 0, second.err
    *_, event, passes, found, paper = second.out.splitlines()
    assert event == "event     2018-09-05 18:08 UTC"
    assert "2018-09-01 before, 2018-09-13" in passes
    count = len(geopandas.read_file(tmp_path / "out" / "map.gpkg"))
    assert found.startswith(f"found     {count} SIMULATED candidate landslides, ")
    assert paper.startswith("The paper: about 420 s on six cores")


def test_a_folder_that_holds_something_else_is_left_alone(
    demo: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "out" / "map.zarr").mkdir(parents=True)
    (tmp_path / "out" / "map.zarr" / "precious").write_text("data")
    answer = demo()
    assert answer.code == 2
    assert "choose another --out" in answer.err
    assert (tmp_path / "out" / "map.zarr" / "precious").read_text() == "data"
