"""How worker processes take memory from the C library (glibc; others ignore it).

Dask's nanny starts workers with ``MALLOC_TRIM_THRESHOLD_`` set, and glibc takes that as a sign to
adapt no threshold by itself any more: every array over 128 KB is then mapped and unmapped anew, and
the kernel clears its pages each time. A map's arrays are megabytes, so that cost a sixth of a map's
time. Thresholds above a block's arrays keep them in the heap; few arenas, shared by all threads,
keep the heaps few.

Measured: docs/speed.md, "On a cluster". See `mallopt(3)`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 2**20),
    "MALLOC_ARENA_MAX": "2",
}
"""Environment of a worker process, read by glibc when it starts: bytes, bytes, heaps."""


@contextmanager
def large_arrays_reused() -> Iterator[None]:
    """Processes that are started meanwhile have `SETTINGS` in their environment.

    What the environment has already counts more, but for Dask's own setting: an earlier nanny of
    this process leaves it behind. Afterwards the environment is as it was.

    Examples
    --------
    >>> import os
    >>> with large_arrays_reused():
    ...     os.environ["MALLOC_MMAP_THRESHOLD_"]
    '33554432'
    """
    import dask
    import distributed  # noqa: F401  (its configuration)

    dasks = dask.config.get("distributed.nanny.pre-spawn-environ")
    before = {name: os.environ.get(name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        if before[name] in (None, str(dasks.get(name))):
            os.environ[name] = value
    try:
        yield
    finally:
        for name, there in before.items():
            if there is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = there
