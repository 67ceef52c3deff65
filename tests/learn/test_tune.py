"""A grid is trained cell by cell, chosen by validation, and never trained twice."""

import csv

import pytest

from sarmap.errors import RequestError, SarmapError
from sarmap.learn.tune import PAPER_GRID, tune

CONFIG = {
    "name": "grid",
    "network": "cnn",
    "composite": ["vv_pre", "vv_post_1", "slope"],
    "tile": 9,
    "arguments": {"size": 8, "filters": [4], "dense": 8},
    "epochs": 2,
    "batch": 16,
    "events": [{"name": "made-up", "simulated": "nowhere"}],
    "samples": {"block": 64, "negative_stride": 4},
    "grid": {"learning_rate": [1e-6, 0.02], "batch": [16]},
}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("grid")


@pytest.fixture(scope="module")
def tuned(make_scene, out):
    return tune({**CONFIG, "out": str(out)}, scenes=[make_scene()])


def test_the_paper_s_grid_is_filters_and_batch_2_to_32():
    assert PAPER_GRID == {"filters": (2, 4, 8, 16, 32), "batch": (2, 4, 8, 16, 32)}


def test_every_cell_is_a_row_best_first_and_nothing_is_trained_twice(
    tuned, make_scene, out, monkeypatch
):
    assert tuned.best == {"learning_rate": 0.02, "batch": 16}
    with tuned.csv.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["learning_rate"]) for row in rows] == [0.02, 1e-6]
    assert "validation part of the split *blocks*" in tuned.markdown.read_text()
    monkeypatch.setattr("sarmap.learn.trainings.settle", None)
    again = tune({**CONFIG, "out": str(out)}, scenes=[make_scene()])
    assert again.rows == tuned.rows


def test_only_cells_that_are_missing_are_trained(tuned, make_scene, out):
    wider = {"learning_rate": [1e-6, 0.02], "batch": [16, 64]}
    asked = []
    tune(
        {**CONFIG, "out": str(out), "grid": wider},
        scenes=[make_scene()],
        progress=lambda done, total: asked.append((done, total)),
    )
    assert asked == [(1, 4), (2, 4), (3, 4), (4, 4)]
    kept = out / "cells" / "learning_rate-0.02_batch-16" / "grid.npz"
    new = out / "cells" / "learning_rate-0.02_batch-64" / "grid.npz"
    assert kept.stat().st_mtime_ns < new.stat().st_mtime_ns


def test_cells_run_as_tasks_on_a_dask_client(make_scene, tmp_path):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(  # in this process; workers of their own are in test_trainings
            n_workers=1,
            threads_per_worker=2,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        result = tune({**CONFIG, "out": str(tmp_path)}, scenes=[make_scene()], client=client)
    assert len(result.rows) == 2


def test_a_cell_that_diverges_is_said_and_the_others_are_trained(make_scene, tmp_path):
    wild = {"learning_rate": [1e38, 0.02]}
    result = tune({**CONFIG, "out": str(tmp_path), "grid": wild}, scenes=[make_scene()])
    assert result.best == {"learning_rate": 0.02}
    assert [row["f1"] is None for row in result.rows] == [False, True]
    assert "diverged in epoch 1" in result.rows[1]["note"]
    assert "diverged in epoch 1" in result.markdown.read_text()


def test_a_grid_of_nothing_but_diverging_cells_is_refused(make_scene, tmp_path):
    wild = {"learning_rate": [1e38]}
    with pytest.raises(SarmapError, match="No setting of the grid could be trained"):
        tune({**CONFIG, "out": str(tmp_path), "grid": wild}, scenes=[make_scene()])


@pytest.mark.parametrize("name", ["colour", "out"])
def test_a_grid_over_what_is_no_setting_is_refused(make_scene, tmp_path, name):
    with pytest.raises(RequestError, match=name):
        tune({**CONFIG, "out": str(tmp_path), "grid": {name: [1]}}, scenes=[make_scene()])
