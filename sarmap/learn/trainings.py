"""Several trainings: one after the other here, or as Dask tasks side by side.

A finished training is never repeated and a killed one goes on from its last epoch, here or on a
worker; workers must see the samples and the output folders.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError, SarmapError, WeightsError
from sarmap.learn.config import TrainingConfig
from sarmap.learn.outputs import TrainingResult, prepare_folder
from sarmap.learn.settle import check_backend, settle
from sarmap.learn.store import open_samples

__all__ = ["Training", "run_trainings"]

_ALONE = threading.Lock()
"""Precision is Keras's own global: one training per process at a time."""

Failed = Callable[[int, SarmapError], None]


@dataclass(frozen=True)
class Training:
    """What to train, and on which samples."""

    config: TrainingConfig
    """What to make."""
    samples: Path
    """Zarr of the finished samples."""
    parts: NDArray[np.uint8]
    """Part of each sample, as `SampleStore.parts` deals them out."""


def run_trainings(
    trainings: Sequence[Training],
    *,
    client: Any = None,
    overwrite: bool = False,
    failed: Failed | None = None,
) -> Iterator[tuple[int, TrainingResult]]:
    """Train all of them; gives the number of each in the sequence, and its result, once it is done.

    Parameters
    ----------
    trainings
        What to train.
    client
        Dask client whose workers train, one training each at a time, on their share of the cores
        of their machine. None: this process, in the order given.
    overwrite
        Replace other trainings in the output folders.
    failed
        Called with the number and the error of a training that diverged, which is passed over.
        None: its error is raised.

    Raises
    ------
    RequestError
        One of them cannot be trained as it is asked for, or its folder is not seen from here.
    OutputError
        A folder cannot be written.
    SarmapError
        One diverged, and nobody is to be told.
    """
    ended = (
        _here(trainings, overwrite) if client is None else _on_workers(client, trainings, overwrite)
    )
    for number, error in ended:
        if error is not None:
            if failed is None or not _diverged(error):
                raise error
            failed(number, error)
            continue
        result = prepare_folder(trainings[number].config)
        if result is None:
            raise RequestError(
                f"What a worker trained is not in {Path(trainings[number].config.out).name} here: "
                "give an output folder that all workers share with this process."
            )
        yield number, result


def _diverged(error: SarmapError) -> bool:
    """Whether a training came to no numbers, and not to a wrong request or a full disk."""
    return type(error) is SarmapError or isinstance(error, WeightsError)


def _here(
    trainings: Sequence[Training], overwrite: bool
) -> Iterator[tuple[int, SarmapError | None]]:
    """Numbers of the trainings as this process ends them, and their errors."""
    for number, training in enumerate(trainings):
        yield number, _catching(_train_one, training, overwrite)


def _catching(train: Callable[..., None], *given: Any) -> SarmapError | None:
    """The error of a training; None where it went well."""
    try:
        train(*given)
    except SarmapError as error:
        return error
    return None


def _on_workers(
    client: Any, trainings: Sequence[Training], overwrite: bool
) -> Iterator[tuple[int, SarmapError | None]]:
    """Numbers of the trainings as workers end them, and their errors.

    As many are under way as there are workers: a worker with several threads would take several,
    and keep them from an idle one.
    """
    from distributed import as_completed

    waiting = iter(enumerate(trainings))
    numbers: dict[Any, int] = {}
    running = as_completed()

    def submit_more() -> None:
        beside = _workers_by_host(client)
        free = max(sum(beside.values()), 1) - len(numbers)
        for number, training in itertools.islice(waiting, max(free, 0)):
            future = client.submit(_train_on_worker, training, overwrite, beside, pure=False)
            numbers[future] = number
            running.add(future)

    submit_more()
    for future in running:
        error = _catching(future.result)
        number = numbers.pop(future)
        submit_more()
        yield number, error


def _train_on_worker(training: Training, overwrite: bool, beside: Mapping[str, int]) -> None:
    """Train on this worker's share of the cores."""
    from distributed import get_worker

    host = _host(get_worker().address)
    _keep_to_share(beside.get(host, 1))
    _train_one(training, overwrite)


def _workers_by_host(client: Any) -> dict[str, int]:
    """How many workers share each machine."""
    return dict(Counter(map(_host, client.scheduler_info(n_workers=-1)["workers"])))


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


def _train_one(training: Training, overwrite: bool) -> None:
    """Train, or find it trained; the result stays in the folder."""
    with _ALONE:
        if prepare_folder(training.config, overwrite=overwrite) is None:
            settle(training.config, open_samples(training.samples), training.parts)
