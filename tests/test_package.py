"""Importing sarmap is quick and light; its names are the contract's."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import sarmap

CONTRACT = {
    "MapRequest", "fuse", "load_detector", "make_composite", "make_grid", "map_landslides",
    "open_cube", "open_terrain", "plan", "predict", "search_passes", "write_cog", "write_item",
    "write_polygons", "write_zarr",
}  # fmt: skip


def test_the_contract_is_there() -> None:
    assert set(sarmap.__all__) >= CONTRACT
    for name in CONTRACT:
        assert callable(getattr(sarmap, name))


@pytest.mark.parametrize("package", [sarmap, sarmap.plot])
def test_all_that_the_stub_names_is_offered(package: ModuleType) -> None:
    """However its lines are written: the package finds the names by their text."""
    stub = ast.parse(Path(str(package.__file__)).with_suffix(".pyi").read_text())
    names = [n.name for one in stub.body if isinstance(one, ast.ImportFrom) for n in one.names]
    assert sorted(package.__all__) == sorted(names)


def test_importing_sarmap_loads_nothing_heavy() -> None:
    code = (
        "import sys, sarmap; heavy = {'tensorflow', 'keras', 'openvino', 'xarray', 'dask',"
        " 'numpy', 'rasterio', 'ast'} & set(sys.modules); sys.exit(','.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("order", ["sarmap, xarray", "xarray, sarmap"])
def test_data_has_its_accessor_in_a_fresh_session(order: str) -> None:
    code = f"import {order}; xarray.Dataset.sarmap.plot; xarray.DataArray.sarmap.pair"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_old_names_work_and_say_where_they_live() -> None:
    """And what they say is true; no name of the contract is among them."""
    assert not set(sarmap.__all__) & set(sarmap._MOVED)
    for name, home in sarmap._MOVED.items():
        with pytest.warns(DeprecationWarning, match=f"from {home} import {name}"):
            assert getattr(sarmap, name) is getattr(importlib.import_module(home), name)


def test_pictures_are_under_plot() -> None:
    assert len(sarmap.plot.__all__) > 8
    for name in sarmap.plot.__all__:
        assert callable(getattr(sarmap.plot, name))


def test_a_wrong_name_is_an_attribute_error() -> None:
    assert not hasattr(sarmap, "map_earthquakes")
