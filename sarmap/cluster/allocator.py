"""How worker processes take memory from the C library (glibc; others ignore it).

Dask's nanny starts workers with ``MALLOC_TRIM_THRESHOLD_`` set, and glibc takes that as a sign to
adapt no threshold by itself any more: every array over 128 KB is then mapped and unmapped anew, and
the kernel clears its pages each time. A map's arrays are megabytes, so that cost a quarter of a
worker's time (2.7 of 11.4 core-seconds for the papers' extent). Thresholds above a block's arrays
keep them in the heap; few arenas, shared by all threads, keep the heaps few.

Measured: docs/speed.md, "On a cluster". See `mallopt(3)`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SETTINGS", "large_arrays_reused"]

SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 2**20),
    "MALLOC_ARENA_MAX": "2",
}
"""Environment of a worker process, read by glibc when it starts: bytes, bytes, heaps."""


@contextmanager
def large_arrays_reused() -> Iterator[None]:
    """Nannies made meanwhile in this process start their workers with `SETTINGS`.

    What the environment has already counts more. Afterwards it is as it was: a nanny writes its
    settings there.

    Examples
    --------
    >>> import dask
    >>> with large_arrays_reused():
    ...     dask.config.get("distributed.nanny.pre-spawn-environ")["MALLOC_ARENA_MAX"]
    '2'
    """
    import dask
    import distributed  # noqa: F401  (its configuration)

    key = "distributed.nanny.pre-spawn-environ"
    before = {name: os.environ.get(name) for name in SETTINGS}
    try:
        with dask.config.set({key: {**dask.config.get(key), **SETTINGS}}):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
