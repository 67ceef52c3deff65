"""Watching a cluster while it computes: workers that are all gone are started again, or missed.

Dask waits for ever for a worker. A cluster that the client itself has started can be asked for new
ones; for others there is a time after which the run ends with a sentence, to be resumed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sarmap.errors import ClusterError

NO_WORKER = 300.0
"""Seconds without a single worker after which a run ends; `sarmap.cluster.no_worker` in Dask's
configuration sets another."""
_LOOK = 5.0
"""Seconds between two looks."""
_MISSED = 15.0
"""Seconds without a worker after which a cluster of our own is asked for new ones."""


@contextmanager
def watched(client: Any, waiting: Mapping[Any, Any]) -> Iterator[None]:
    """Watch a client's workers until the block ends; where there was none for too long, cancels
    what is `waiting` and raises ClusterError.
    """
    watch = _Watch(client, waiting)
    watch.start()
    try:
        yield
    finally:
        watch.ended.set()
        watch.join()
    if watch.given_up:
        raise ClusterError(
            f"The Dask cluster had no worker for {watch.patience:g} s: start some, or read their "
            "logs for why they ended."
        )


def killed_worker(future: Any) -> bool:
    """Whether a task failed because its workers ended under it."""
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    return isinstance(future.exception(), KilledWorker | CommClosedError)


def cluster_gone(kept: str) -> ClusterError:
    """What to say where a cluster has cancelled what it was asked for; `kept` is a sentence."""
    return ClusterError(
        "The Dask cluster has let go of its tasks: its scheduler ended, or was started again. "
        f"{kept}"
    )


def compute_on(client: Any, arrays: Sequence[Any], what: str, kept: str) -> list[Any]:
    """Values of lazy arrays, computed together on a cluster; others are given back as they are.
    `what` they are and `kept`, a sentence of what is kept, are for messages.

    Raises ClusterError where there was no worker for too long, the cluster is gone, or its workers
    ended under the task again and again; whatever a task raises is raised as it is.
    """
    from distributed import CancelledError, Future, wait

    made = client.compute(list(arrays))
    futures = {one.key: one for one in made if isinstance(one, Future)}
    with watched(client, futures), suppress(CancelledError):
        wait(list(futures.values()))
    for future in futures.values():
        if future.status in ("cancelled", "lost"):
            raise cluster_gone(kept)
        if future.status == "error" and killed_worker(future):
            raise ClusterError(
                f"{what} ended the workers that made them again and again: give the workers more "
                f"memory, or fewer threads. {kept}"
            )
    values: list[Any] = client.gather(made)
    return values


class _Watch(threading.Thread):
    """Looks every few seconds whether any worker is left."""

    def __init__(self, client: Any, waiting: Mapping[Any, Any]) -> None:
        import dask

        super().__init__(daemon=True, name="sarmap-watch")
        self.client, self.waiting = client, waiting
        self.patience = float(dask.config.get("sarmap.cluster.no_worker", NO_WORKER))
        self.ended = threading.Event()
        self.given_up = False
        self.wanted = 0  # workers at most so far
        self.since: float | None = None

    def run(self) -> None:
        """Until the run ends, or is given up."""
        asked = False
        self._alone()
        while not self.ended.wait(min(_LOOK, self.patience / 4)):
            alone = self._alone()
            asked = asked and alone > 0
            if alone > self.patience:
                self.given_up = True
                with suppress(Exception):  # it may be closing
                    self.client.cancel(list(self.waiting.values()))
                return
            if alone > min(_MISSED, self.patience / 2) and not asked:
                asked = True
                self._ask_for_workers()

    def _alone(self) -> float:
        """Seconds for which there has been no worker; 0 where there is one."""
        try:
            workers = len(self.client.nthreads())
        except Exception:  # a scheduler that is gone is told of elsewhere
            return 0.0
        self.wanted = max(self.wanted, workers)
        if workers:
            self.since = None
            return 0.0
        self.since = self.since or time.monotonic()
        return time.monotonic() - self.since

    def _ask_for_workers(self) -> None:
        """As many as there were, of a cluster that the client itself has started."""
        cluster = getattr(self.client, "cluster", None)
        if (
            cluster is not None
            and hasattr(cluster, "scale")
            and getattr(cluster, "_adaptive", None) is None
        ):
            with suppress(Exception):  # asked, not begged: patience ends all the same
                cluster.scale(max(self.wanted, 1))
