"""What every worker of a map does first: prove that it fits, and keep its engine to its cores.

Registered with the scheduler, so that workers which join later, or are started again, do the same
before they take work.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from distributed.core import Status
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.protocol import pickle

from sarmap.cluster.meeting import MeetingPlace
from sarmap.cluster.versions import difference, own_versions
from sarmap.errors import ClusterError, SarmapError
from sarmap.net.signing import adopt, signed_records


def engine_threads(threads: int, cores: int, neighbours: int) -> int:
    """Threads that one worker's engine may use.

    Reads wait, so workers may have far more Dask threads than there are cores; the engines of all
    workers of a machine together must not.

    Parameters
    ----------
    threads
        Dask threads of the worker.
    cores
        That its process may use (affinity and cgroup limits are in it).
    neighbours
        Workers on the same machine, itself included.

    >>> engine_threads(threads=16, cores=8, neighbours=2)
    4
    >>> engine_threads(threads=1, cores=8, neighbours=2)
    1
    """
    return max(1, min(threads, cores // max(neighbours, 1)))


class MapPlugin(WorkerPlugin):
    """Checks one worker for one map, makes its weights ready and sets its engine's threads.

    Where a worker does not fit, one that was there when the map started is told to the client; one
    that came later is closed, and the map goes on without it.
    """

    name = "sarmap-map"

    def __init__(self, job: Job, workers: Collection[str]) -> None:
        self.job = job
        self.workers = frozenset(workers)
        hosts = Counter(_host(address) for address in workers)
        self.neighbours = dict(hosts)

    async def setup(self, worker: Any) -> None:
        """Called on the worker, now or when it joins.

        Raises
        ------
        ClusterError
            It does not fit, and why.
        """
        from dask.system import CPU_COUNT

        from sarmap.detect.hardware import allow_cores

        neighbours = self.neighbours.get(_host(worker.address), 1)
        allow_cores(engine_threads(worker.state.nthreads, CPU_COUNT, neighbours))
        trouble = await asyncio.to_thread(self.job.trouble)
        if trouble is None:
            return
        if worker.address not in self.workers:
            worker.status = Status.paused
            worker.loop.add_callback(worker.close, nanny=True, reason=trouble)
        raise ClusterError(f"Worker {worker.address} {trouble}.")

    def teardown(self, worker: Any) -> None:
        """Called on the worker when the map is made: a worker may be a thread of this process."""
        from sarmap.detect.hardware import allow_cores

        allow_cores(None)


@dataclass(frozen=True)
class Job:
    """What a worker of one map must have."""

    versions: Mapping[str, str]
    """Package -> version, as the client has them."""
    place: MeetingPlace
    """Where the result goes."""
    detector: bytes
    """The detector, pickled: a handle, never its weights."""
    signed: Mapping[str, str] = field(default_factory=signed_records, repr=False)
    """Addresses that records of the client's catalogue gave signed: kept in memory alone."""

    def trouble(self) -> str | None:
        """Why this process cannot take part, as the end of a sentence; None: it can."""
        adopt(self.signed)
        other = difference(self.versions, own_versions(self.versions))
        if other is not None:
            return f"has {other}"
        return self.place.trouble() or self._detector_trouble()

    def _detector_trouble(self) -> str | None:
        try:
            detector = pickle.loads(self.detector)
            find = getattr(detector, "find_weights", None)
            if find is not None:
                find()
        except SarmapError as error:
            return f"cannot use the detector: {str(error).removesuffix('.')}"
        except Exception as error:  # whatever a user's own class raises
            return (
                f"cannot unpack the detector ({type(error).__name__}): install its module on every "
                "worker, or define it in the script that makes the map"
            )
        return None


def _host(address: str) -> str:
    """The machine in a worker's address.

    >>> _host("tls://10.0.0.7:40123")
    '10.0.0.7'
    """
    return address.rsplit("://", 1)[-1].rsplit(":", 1)[0]
