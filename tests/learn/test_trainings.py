"""Several trainings at once: on workers as in this process, one on each, and nothing is lost."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import dask
import pytest
from dask.system import cpu_count
from distributed import Client, LocalCluster

from sarmap.errors import ClusterError, OutputError, RequestError
from sarmap.learn.config import read_config
from sarmap.learn.train import prepare_samples
from sarmap.learn.trainings import Training, run_trainings

CONFIG = {
    "network": "cnn",
    "composite": ["vv_pre", "vv_post_1", "slope"],
    "tile": 9,
    "arguments": {"size": 8, "filters": [4], "dense": 8},
    "batch": 16,
    "learning_rate": 0.02,
    "events": [{"name": "made-up", "simulated": "nowhere"}],
    "samples": {"block": 64, "negative_stride": 4},
}


@pytest.fixture(scope="module")
def client(local_workers):
    """Two workers of more threads than their share of the cores, as `--cluster local:2` starts."""
    with local_workers(2, threads=3) as client:
        yield client


@pytest.fixture
def trainings(make_scene, tmp_path):
    at = tmp_path / "samples.zarr"
    dealt = prepare_samples(read_config({**CONFIG, "name": "all"}), at, scenes=[make_scene()])

    def make(seeds, **fields) -> list[Training]:
        configs = [
            read_config(
                CONFIG
                | {"epochs": 2, "name": f"seed-{seed}", "seed": seed}
                | {"out": str(tmp_path / f"seed-{seed}")}
                | fields
            )
            for seed in seeds
        ]
        return [Training(config, at, dealt.stored_parts()) for config in configs]

    return make


def losses(result) -> list[float]:
    return [one["val_loss"] for one in result.history]


def test_workers_train_what_this_process_trains(trainings, client, tmp_path):
    asked = trainings([1, 2])
    there = dict(run_trainings(asked, client=client))
    assert sorted(there) == [0, 1]
    assert len({tuple(losses(result)) for result in there.values()}) == 2
    elsewhere = trainings([2], out=str(tmp_path / "here"))
    (here,) = dict(run_trainings(elsewhere)).values()
    # other threads sum in another order
    assert losses(there[1]) == pytest.approx(losses(here), rel=1e-3)


@pytest.mark.nightly
def test_epochs_are_told_of_wherever_they_are_trained(trainings, client):
    here, there = [], []
    for told, seed, where in ((here, 10, None), (there, 11, client)):
        asked = trainings([seed, seed + 10])
        done = run_trainings(asked, client=where, report=lambda *said: told.append(said))  # noqa: B023
        for number, result in done:
            mine = [epoch for of, epoch in told if of == number]
            assert mine == list(result.history)
        assert sorted((number, epoch["epoch"]) for number, epoch in told) == [
            (0, 1),
            (0, 2),
            (1, 1),
            (1, 2),
        ]


@pytest.mark.nightly
def test_a_training_that_ends_its_workers_is_said_and_the_others_are_trained(trainings):
    class Deadly:
        def __eq__(self, _: object) -> bool:
            import os

            os._exit(1)

        __hash__ = None

    asked = trainings([13, 14])
    asked[0] = replace(asked[0], parts=Deadly())
    told = []
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as own,
    ):
        done = dict(run_trainings(asked, client=own, failed=lambda *said: told.append(said)))
    assert sorted(done) == [1]
    ((number, error),) = told
    assert number == 0
    assert isinstance(error, ClusterError)
    assert "Training seed-13 ended its workers again and again: give the workers more" in str(error)


@pytest.mark.nightly
def test_a_training_that_nobody_waits_for_ends_and_leaves_its_worker_to_others(trainings, client):
    (quick,) = trainings([20])
    (endless,) = trainings([21], epochs=10_000, patience=10_000)
    running = run_trainings([endless, quick], client=client)
    assert next(running)[0] == 1
    running.close()
    assert len(list(run_trainings(trainings([22, 23]), client=client))) == 2
    assert (Path(endless.config.out) / "training" / "checkpoint.npz").is_file()


@pytest.mark.nightly
def test_a_cluster_that_goes_is_said(trainings):
    learning = threading.Event()
    endless = trainings([15], epochs=10_000, patience=10_000)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as own,
    ):

        def close() -> None:
            learning.wait(120)
            cluster.close()

        closing = threading.Thread(target=close)
        closing.start()
        with pytest.raises(ClusterError, match=r"let go of its tasks.*the same command goes on"):
            list(run_trainings(endless, client=own, report=lambda *_: learning.set()))
        closing.join()


@pytest.mark.nightly
def test_a_worker_has_one_training_at_a_time_on_its_share_of_the_cores(trainings, client):
    running = run_trainings(trainings([4, 5, 6, 7]), client=client)
    done = {next(running)[0]}
    assert sum(map(len, client.processing().values())) <= 2
    assert {*done, *(number for number, _ in running)} == {0, 1, 2, 3}

    def threads() -> int:
        import tensorflow as tf

        return tf.config.threading.get_intra_op_parallelism_threads()

    share = max(cpu_count() // 2, 1)
    assert set(client.run(threads).values()) == {share}


@pytest.mark.nightly
def test_what_cannot_be_trained_is_said_in_a_sentence(trainings, client):
    assert len(list(run_trainings(trainings([9]), client=client))) == 1
    with pytest.raises(RequestError, match="holds another training"):
        list(run_trainings(trainings([9], epochs=1), client=client))


def test_a_folder_that_cannot_be_written_is_no_divergence(trainings, tmp_path):
    (tmp_path / "file").write_text("no folder")
    asked = trainings([1], out=str(tmp_path / "file"))
    told = []
    with pytest.raises(OutputError, match="cannot be written"):
        list(run_trainings(asked, failed=lambda *said: told.append(said)))
    assert not told


@pytest.mark.nightly
def test_a_folder_that_only_the_workers_see_is_refused(trainings, client, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    client.run(os.chdir, str(tmp_path))
    asked = trainings([1], out="mine")
    with pytest.raises(RequestError, match="share with this process"):
        list(run_trainings(asked, client=client))
    assert (tmp_path / "mine" / "seed-1.npz").is_file()
