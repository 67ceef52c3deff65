"""A client's workers made ready for one map: checked before anything is computed, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sarmap.cluster.plugin import check_versions, meeting_place, needed_packages, own_versions
from sarmap.errors import ClusterError, RequestError

if TYPE_CHECKING:
    from distributed import Client

    from sarmap.detect.protocol import Detector

DETECTOR_BYTES = 2**20
"""A detector that travels is a handle; a larger one carries its weights with it."""
FIRST_WORKER = 60.0
"""Seconds that a client's cluster is given to have a worker."""


@contextmanager
def ready_workers(client: Client, detector: Detector, out: str) -> Iterator[None]:
    """Check all workers, now and later ones, for as long as the `with` block lasts.

    They must run the client's versions, see the place that the result goes to, and have (or fetch)
    the detector's weights. Their engines are kept to their share of the machine's cores. Raises
    ClusterError where there is no worker, or one that does not fit; RequestError where this is no
    client that computes synchronously, or the detector or the result cannot be shared.
    """
    from sarmap.cluster.plugin import Job, MapPlugin

    _check_client(client)
    sent = packed(detector)
    workers = _workers(client)
    engine = getattr(detector, "engine", None)
    check_versions(client, engine)
    with meeting_place(out) as place:
        job = Job(own_versions(needed_packages(engine)), place, sent)
        try:
            # A client that is killed leaves the plugin with the scheduler; the next map replaces it
            client.register_plugin(MapPlugin(job, workers), name=MapPlugin.name)
            yield
        finally:
            _forget(client, MapPlugin.name)


def smallest_worker(client: Client) -> tuple[int, int, int, str]:
    """Threads, cores, bytes and address of the worker with the least memory for each thread;
    RequestError where this is no client, ClusterError where there is no worker.
    """
    from dask.system import cpu_count

    _check_client(client)
    addresses = _workers(client)
    cores = client.run(cpu_count)
    told = client.scheduler_info(n_workers=-1)["workers"]
    sizes = [
        (int(told[one]["nthreads"]), int(cores[one]), int(told[one]["memory_limit"] or 2**63), one)
        for one in addresses
        if one in told and one in cores
    ]
    if not sizes:
        raise ClusterError("The Dask cluster lost its workers: start some, or read its logs.")
    return min(sizes, key=lambda size: size[2] / size[0])


def _check_client(client: Any) -> None:
    from distributed import Client

    if not isinstance(client, Client):
        raise RequestError(
            f"client= is a {type(client).__name__}, not a Dask client: give a distributed.Client."
        )
    if client.asynchronous:
        raise RequestError(
            "client= is asynchronous: give a Dask client made without asynchronous=."
        )
    if client.status != "running":
        raise ClusterError(f"The Dask client is {client.status}: make a new one.")


def _workers(client: Client) -> list[str]:
    """Addresses of all workers; waits a little for the first."""
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER)
    except TimeoutError as error:
        raise ClusterError(
            f"The Dask cluster had no worker for {FIRST_WORKER:g} s: start some, or read its logs."
        ) from error
    return list(client.scheduler_info(n_workers=-1)["workers"])


def packed(detector: Detector) -> bytes:
    """A detector as it travels; RequestError where it cannot be pickled, or carries its weights
    with it.
    """
    from distributed.protocol import pickle

    name = str(getattr(detector, "name", type(detector).__name__))
    try:
        sent = bytes(pickle.dumps(detector))
    except Exception as error:  # whatever a user's own class raises
        raise RequestError(
            f"Detector {name} cannot travel to workers ({type(error).__name__} on pickling): keep "
            "locks, sessions and open files out of it, and open them at the first call."
        ) from error
    if len(sent) > DETECTOR_BYTES:
        raise RequestError(
            f"Detector {name} carries {len(sent) / 1e6:.0f} MB with it: models do not travel with "
            "tasks; keep the address of its weights in it, and load them at the first call."
        )
    return sent


def _forget(client: Client, name: str) -> None:
    """Take the plugin off the workers; a cluster that is gone has none."""
    from contextlib import suppress

    with suppress(OSError, ValueError, TimeoutError):
        client.unregister_worker_plugin(name)
