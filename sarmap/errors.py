"""Every failure a person can act on: one sentence, and the exit code the command line gives it.

Exit codes: 0 done, 1 failed, 2 bad request or bad input, 3 finished with unread data.
"""

from __future__ import annotations


class SarmapError(Exception):
    """Something failed that no change of the request would mend (exit code 1)."""

    exit_code = 1


class RequestError(SarmapError, ValueError):
    """The request or its input cannot be served as given (exit code 2)."""

    exit_code = 2


class WeightsError(RequestError):
    """Weights are missing, damaged, tampered with, or made for other bands (exit code 2)."""


class CatalogError(SarmapError):
    """The STAC catalogue could not be reached or answered nonsense (exit code 1)."""


class ClusterError(SarmapError):
    """A Dask cluster cannot be reached, or its workers cannot make this map (exit code 1)."""


class OutputError(SarmapError):
    """The result could not be written (exit code 1)."""


class UnreadDataError(SarmapError):
    """Some data could not be read and the request was strict (exit code 1)."""


class Interrupted(KeyboardInterrupt):
    """A run was stopped by the keyboard or a signal; says what is kept of it (exit code 130)."""
