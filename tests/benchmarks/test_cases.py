"""What each benchmark tries is sound before a minute is spent: labels, floors, tasks, arguments."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.cases import BENCHMARKS
from benchmarks.cases.scaling import shape_of

PLACE = {
    "catalog": "http://127.0.0.1:1/",
    "control": "http://127.0.0.1:2/",
    "transform": (10.0, 0.0, 5e5, 0.0, -10.0, 4.7e6),
    "shape": (3842, 2346),
    "crs": "EPSG:32654",
    "event": "2018-09-05T18:08:00Z",
}


@pytest.fixture(params=[True, False], ids=["quick", "full"])
def context(request, tmp_path, monkeypatch):
    """A context whose scenes nobody serves."""
    for module in ("paper", "engines", "peers", "gpu"):
        monkeypatch.setattr(f"benchmarks.cases.{module}.random_network", lambda _: "/tmp/x.json")
    monkeypatch.setattr("benchmarks.cases.peers.run_task", lambda *_, **__: {})
    monkeypatch.setattr("benchmarks.rightness.scenes.write_scenes", lambda _, folder: folder)
    scene = SimpleNamespace(arguments=lambda *_: dict(PLACE))
    return SimpleNamespace(
        quick=request.param,
        scene=scene,
        local=scene,
        mosaic=lambda shape: scene,
        extent=(3842, 2346),
        event=SimpleNamespace(inventory=Path("inventory.gpkg")),
        sizes=(),
        peers=Path("python"),
        folder=lambda name: tmp_path,
    )


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=BENCHMARKS)
def test_labels_are_unique_floors_exist_and_tasks_take_their_arguments(benchmark, context):
    configurations = benchmark.configure(context)
    labels = [one.label for one in configurations]
    assert configurations
    assert len(set(labels)) == len(labels)
    assert {one.floor for one in configurations} - {None} <= set(labels)
    for one in configurations:
        module, _, name = one.task.partition(":")
        if one.python is not None:  # another environment's libraries
            assert (
                (Path(importlib.import_module("benchmarks.tasks").__file__).parent)
                .joinpath(f"{module}.py")
                .is_file()
            )
            continue
        task = getattr(importlib.import_module(f"benchmarks.tasks.{module}"), name)
        given = {**one.arguments, **({"keep": "x"} if one.family else {})}
        inspect.signature(task).bind(**given)


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=BENCHMARKS)
def test_keys_tell_configurations_apart_and_do_not_hang_on_addresses(benchmark, context):
    first = benchmark.configure(context)
    assert len({one.key for one in first}) == len(first)
    PLACE_BEFORE = dict(PLACE)
    try:
        PLACE.update(catalog="http://127.0.0.1:3/", control="http://127.0.0.1:4/")
        assert [one.key for one in benchmark.configure(context)] == [one.key for one in first]
    finally:
        PLACE.update(PLACE_BEFORE)


def test_ninety_two_extents_are_834_megapixels():
    rows, columns = shape_of((3842, 2346), 92)
    assert round(rows * columns / 1e6) == 834
