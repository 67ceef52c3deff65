"""Several trainings: one after the other here, or as Dask tasks side by side.

A finished training is never repeated and a killed one goes on from its last epoch, here or on a
worker; workers must see the samples and the output folders.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import ClusterError, RequestError, SarmapError, WeightsError
from sarmap.learn.config import TrainingConfig
from sarmap.learn.fitting import Report
from sarmap.learn.outputs import TrainingResult, prepare_folder
from sarmap.learn.sample_store import open_samples
from sarmap.learn.settle import check_backend, settle
from sarmap.store.workers import cluster_gone, killed_worker, watched

_ALONE = threading.Lock()
"""Precision is Keras's own global: one training per process at a time."""

Failed = Callable[[int, SarmapError], None]
Told = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Training:
    """What to train, and on which samples."""

    config: TrainingConfig
    """What to make."""
    samples: Path
    """Zarr of the finished samples."""
    parts: NDArray[np.uint8]
    """Part of each sample, as `SampleStore.parts` deals them out."""

    @property
    def label(self) -> str:
        """Name of its folder, which only it has."""
        return Path(self.config.out).name


def run_trainings(
    trainings: Sequence[Training],
    *,
    client: Any = None,
    overwrite: bool = False,
    failed: Failed | None = None,
    report: Told | None = None,
) -> Iterator[tuple[int, TrainingResult]]:
    """Train all of them; gives the number of each in the sequence, and its result, once it is done.

    The workers of a Dask client train one at a time each, on their share of the cores of their
    machine; None: this process, in the order given. `failed` is called with the number and the
    error of a training that diverged or killed its workers, which is passed over; None: its error
    is raised. `report` is called with the number of a training and its losses after each epoch,
    from another thread where workers train.

    Raises RequestError where one cannot be trained as it is asked for, or its folder is not seen
    from here; OutputError where a folder cannot be written; ClusterError where the cluster is gone,
    or has no worker any more; SarmapError where one diverged or killed its workers, and nobody is
    to be told.
    """
    ended = (
        _here(trainings, overwrite, report)
        if client is None
        else _on_workers(client, trainings, overwrite, report)
    )
    for number, error in ended:
        if error is not None:
            if failed is None or not _its_own(error):
                raise error
            failed(number, error)
            continue
        result = prepare_folder(trainings[number].config)
        if result is None:
            raise RequestError(
                f"What a worker trained is not in {trainings[number].label} here: give an output "
                "folder that all workers share with this process."
            )
        yield number, result


def _its_own(error: SarmapError) -> bool:
    """Whether a training came to no numbers or no end; no wrong request, no full disk."""
    return type(error) is SarmapError or isinstance(error, WeightsError | ClusterError)


def _here(
    trainings: Sequence[Training], overwrite: bool, report: Told | None
) -> Iterator[tuple[int, SarmapError | None]]:
    """Numbers of the trainings as this process ends them, and their errors."""
    for number, training in enumerate(trainings):
        yield number, _catching(_train_one, training, overwrite, _epochs_of(number, report))


def _epochs_of(number: int, report: Told | None) -> Report | None:
    return None if report is None else lambda epoch: report(number, epoch)


def _catching(train: Callable[..., None], *given: Any) -> SarmapError | None:
    """The error of a training; None where it went well."""
    try:
        train(*given)
    except SarmapError as error:
        return error
    return None


# --- on workers ----------------------------------------------------------------------------------


def _on_workers(
    client: Any, trainings: Sequence[Training], overwrite: bool, report: Told | None
) -> Iterator[tuple[int, SarmapError | None]]:
    """Numbers of the trainings as workers end them, and their errors.

    As many are under way as there are workers: a worker with several threads would take several,
    and keep them from an idle one.
    """
    from distributed import as_completed

    waiting = iter(enumerate(trainings))
    numbers: dict[str, int] = {}
    futures: dict[str, Any] = {}
    running = as_completed()

    def submit_more() -> None:
        beside = dict(Counter(map(_host, client.scheduler_info(n_workers=-1)["workers"])))
        free = max(sum(beside.values()), 1) - len(numbers)
        for number, training in itertools.islice(waiting, max(free, 0)):
            future = client.submit(
                _train_on_worker, training, overwrite, beside, topic, number, pure=False
            )
            numbers[future.key], futures[future.key] = number, future
            running.add(future)

    try:
        with watched(client, futures), _heard(client, report) as topic:
            submit_more()
            for future in running:
                if future.status in ("cancelled", "lost"):
                    break
                del futures[future.key]
                number = numbers.pop(future.key)
                error = _error_of(future, trainings[number])
                submit_more()
                yield number, error
    finally:
        if futures and client.status == "running":
            client.cancel(list(futures.values()))
    if futures:
        raise cluster_gone("What was learnt is kept, and the same command goes on from there.")


def _error_of(future: Any, training: Training) -> SarmapError | None:
    """Why a training ended as it did; None where it went well."""
    if future.status == "error" and killed_worker(future):
        return ClusterError(
            f"Training {training.label} ended its workers again and again: give the workers more "
            "memory, or a smaller batch. What it learnt is kept, and the same command goes on from "
            "there."
        )
    return _catching(future.result)


@contextmanager
def _heard(client: Any, report: Told | None) -> Iterator[str | None]:
    """A topic on which workers tell of their epochs; None where nobody is to be told."""
    if report is None:
        yield None
        return
    topic = f"sarmap-epochs-{uuid.uuid4().hex}"
    client.subscribe_topic(topic, lambda event: report(*event[1]))
    try:
        yield topic
    finally:
        if client.status == "running":
            client.unsubscribe_topic(topic)


def _train_on_worker(
    training: Training,
    overwrite: bool,
    beside: Mapping[str, int],
    topic: str | None,
    number: int,
) -> None:
    """Train on this worker's share of the cores, for as long as somebody waits for it.

    Epochs are told of on a topic.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    _keep_to_share(beside.get(_host(worker.address), 1))

    def after_epoch(epoch: dict[str, float]) -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise ClusterError("Nobody waits for this training any more.")
        if topic is not None:
            worker.log_event(topic, (number, epoch))

    _train_one(training, overwrite, after_epoch)


def _host(address: str) -> str:
    """Machine of a worker's address."""
    from distributed.comm.addressing import get_address_host

    host: str = get_address_host(address)
    return host


def _keep_to_share(workers: int) -> None:
    """TensorFlow takes every core of a machine, also where several workers share it.

    Workers have more threads than their share of the cores, for reading.
    """
    check_backend()
    import tensorflow as tf
    from dask.system import cpu_count

    threads = max(cpu_count() // workers, 1)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:  # it has computed in this process before: what was set then stands
        pass


def _train_one(training: Training, overwrite: bool, report: Report | None) -> None:
    """Train, or find it trained; the result stays in the folder."""
    with _ALONE:
        if prepare_folder(training.config, overwrite=overwrite) is None:
            samples = open_samples(training.samples)
            settle(training.config, samples, training.parts, report=report)
